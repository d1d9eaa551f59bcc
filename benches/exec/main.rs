//! The cost of an exec: nsexec, similar tools and an unhardened joiner in C, in interleaved
//! rounds, as wall time from spawn to wait.
//!
//! `cargo bench --bench exec -- [--rounds N] [--save]`, as root. The benchmark asserts no
//! times: it compares them inside one run, and `--save` stores the samples in
//! `benches/runs/<date>-<host>/`.

#![expect(clippy::print_stdout, reason = "a benchmark is for people to read")]

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

mod mounts;
mod runtime;

use mounts::{Mounts, within};
use nsexec_test_support::root::{self, Scratch};
use nsexec_test_support::samples::{self, Options, WARM_UP, percentile};
use nsexec_test_support::{NSEXEC, Target};
use runtime::Runtime;

const ROUNDS: usize = 300;
/// Milliseconds per second.
const MILLISECONDS: f64 = 1e3;
/// The reference of all ratios.
const BASELINE: &str = "C joiner, nothing hardened";

fn main() -> io::Result<()> {
    let options = Options::parse(ROUNDS)?;
    // The mounts created below are private to this process.
    unshare(CloneFlags::CLONE_NEWNS).map_err(|errno| {
        io::Error::other(format!("a mount namespace of its own: {errno}; be root"))
    })?;
    change_mount(Path::new("/"), MsFlags::MS_REC | MsFlags::MS_PRIVATE)?;
    let scratch = Scratch::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench"))?;

    let files = Files::build(scratch.path())?;
    let target = Target::start(&files.root)?;
    let mut left_out = Vec::new();
    let mut kept = Vec::new();
    let mut contenders = files.contenders(target.pid());
    for runtime in [Runtime::Crun, Runtime::Runc] {
        match runtime.start(&files) {
            Ok((contender, running)) => {
                contenders.push(contender);
                contenders.extend(running.contender(&files));
                kept.push(running);
            }
            Err(error) => left_out.push((runtime.name(), error.to_string())),
        }
    }
    let mut ready = Vec::new();
    for mut contender in contenders {
        match contender.enters() {
            Ok(()) => ready.push(contender),
            Err(error) => left_out.push((contender.name, error.to_string())),
        }
    }

    measure(&mut ready, options.rounds)?;
    let mut report = table(&ready);
    for (name, reason) in &left_out {
        let _ = writeln!(report, "left out: {name}: {reason}");
    }
    let _ = writeln!(report, "{}", memory(target.pid()));
    print!("{report}");
    if options.save {
        let samples: Vec<(&str, &[Duration])> = ready
            .iter()
            .map(|contender| (contender.name, contender.samples.as_slice()))
            .collect();
        println!("{}", samples::save("exec", &samples, &report)?.display());
    }
    drop(kept);
    Ok(())
}

/// The compared commands, and the roots in which they run.
struct Files {
    directory: PathBuf,
    busybox: PathBuf,
    root: PathBuf,
    joiner: PathBuf,
    nsenter: PathBuf,
    read_only: PathBuf,
    writable: PathBuf,
}

impl Files {
    fn build(directory: &Path) -> io::Result<Self> {
        let files = Self {
            directory: directory.to_owned(),
            busybox: in_path("busybox")?,
            root: directory.join("root"),
            joiner: directory.join("joiner"),
            nsenter: in_path("nsenter")?,
            read_only: directory.join("read-only"),
            writable: directory.join("writable"),
        };
        compile("joiner.c", &files.joiner)?;
        files.fill(&files.root)?;

        for place in [&files.read_only, &files.writable] {
            fs::create_dir(place)?;
            fs::copy(NSEXEC, place.join("nsexec"))?;
        }
        let place = &files.read_only;
        mount(
            Some(place),
            place,
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        )?;
        change_mount(
            place,
            MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY,
        )?;
        Ok(files)
    }

    fn fill(&self, root: &Path) -> io::Result<()> {
        root::fill(root, &self.busybox)?;
        compile("true.c", &root.join("true"))
    }

    fn contenders(&self, pid: i32) -> Vec<Contender> {
        let pid = pid.to_string();
        let joiner = self.joiner.as_path();
        let read_only = self.read_only.join("nsexec");
        let writable = self.writable.join("nsexec");
        let all = ["-t", &pid, "-a", "--", "/true"];
        vec![
            Contender::new("true alone", &self.root.join("true"), &[]),
            Contender::new(BASELINE, joiner, &[&pid, "/true"]),
            Contender::new("nsenter(1)", &self.nsenter, &all),
            Contender::new("nsexec, on a read-only mount", &read_only, &all),
            Contender::new("nsexec, writable", &writable, &all),
        ]
    }
}

fn compile(source: &str, program: &Path) -> io::Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("benches")
        .join(source);
    let status = Command::new("gcc")
        .args(["-O2", "-static", "-Wall", "-o"])
        .args([program, &source])
        .status()
        .map_err(|error| io::Error::other(format!("gcc: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!(
            "gcc {}: {status}",
            source.display()
        )))
    }
}

/// Looked up once, not in each run.
fn in_path(program: &str) -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
        .ok_or_else(|| io::Error::other(format!("there is no {program}")))
}

fn change_mount(place: &Path, flags: MsFlags) -> io::Result<()> {
    Ok(mount(
        None::<&str>,
        place,
        None::<&str>,
        flags,
        None::<&str>,
    )?)
}

/// One row of the table.
struct Contender {
    name: &'static str,
    command: Command,
    mounts: Option<Mounts>,
    samples: Vec<Duration>,
}

impl Contender {
    fn new(name: &'static str, program: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        Self {
            name,
            command: quiet(command),
            mounts: None,
            samples: Vec::new(),
        }
    }

    /// Whether the command executes the program: with a program that fails instead of
    /// `/true`, the command must fail.
    fn enters(&mut self) -> io::Result<()> {
        self.once()?;
        let arguments: Vec<&OsStr> = self.command.get_args().collect();
        let Some((_, before)) = arguments.split_last() else {
            return Ok(());
        };
        let mut command = Command::new(self.command.get_program());
        command.args(before).arg("/bin/false");
        let status = within(self.mounts.as_ref(), || quiet(command).status())?;
        if status.code() == Some(1) {
            Ok(())
        } else {
            Err(io::Error::other(format!("false(1) in its place: {status}")))
        }
    }

    /// The time from before the spawn until the process is reaped.
    fn once(&mut self) -> io::Result<Duration> {
        let command = &mut self.command;
        let (taken, status) = within(self.mounts.as_ref(), || {
            let start = Instant::now();
            let status = command.status()?;
            Ok((start.elapsed(), status))
        })?;
        if status.success() {
            Ok(taken)
        } else {
            Err(io::Error::other(format!("{status}")))
        }
    }
}

fn quiet(mut command: Command) -> Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Each round runs each command once, and begins with a different one, so that disturbances
/// of the machine affect all of them alike.
fn measure(contenders: &mut [Contender], rounds: usize) -> io::Result<()> {
    let count = contenders.len();
    for round in 0..WARM_UP + rounds {
        for place in 0..count {
            let Some(contender) = contenders.get_mut((round + place) % count) else {
                continue;
            };
            let taken = contender
                .once()
                .map_err(|error| io::Error::other(format!("{}: {error}", contender.name)))?;
            if round >= WARM_UP {
                contender.samples.push(taken);
            }
        }
    }
    Ok(())
}

fn table(contenders: &[Contender]) -> String {
    let of = |contender: &Contender, percent| percentile(&contender.samples, percent, MILLISECONDS);
    let base = contenders
        .iter()
        .find(|contender| contender.name == BASELINE);
    let [base_min, base_median] =
        [0, 50].map(|percent| base.map_or(f64::NAN, |contender| of(contender, percent)));
    let mut out = format!(
        "{:<30}{:>9}{:>9}{:>9}{:>9}{:>9}\n",
        "ms", "min", "median", "p99", "min/C", "med/C"
    );
    for contender in contenders {
        let [min, median, p99] = [0, 50, 99].map(|percent| of(contender, percent));
        let _ = writeln!(
            out,
            "{:<30}{min:>9.3}{median:>9.3}{p99:>9.3}{:>9.2}{:>9.2}",
            contender.name,
            min / base_min,
            median / base_median,
        );
    }
    let rounds = contenders.first().map_or(0, |first| first.samples.len());
    let _ = writeln!(
        out,
        "{rounds} rounds after {WARM_UP} to warm up, interleaved"
    );
    out
}

/// The memory of the helper while the program runs.
fn memory(pid: i32) -> String {
    let held = supervising(pid).unwrap_or_else(|error| format!("left out: {error}"));
    format!("nsexec while it supervises: {held}")
}

fn supervising(pid: i32) -> io::Result<String> {
    let mut child = Command::new(NSEXEC)
        .args(["-t", &pid.to_string(), "-a", "--", "/bin/cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("no pipes"));
    };
    // The output shows that the program runs.
    let mut byte = [0];
    let echoed = input
        .write_all(b"x")
        .and_then(|()| output.read_exact(&mut byte));
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()));
    drop(input);
    child.wait()?;
    echoed?;
    let status = status?;
    let fields: Vec<String> = status
        .lines()
        .filter(|line| {
            ["VmRSS:", "RssAnon:", "RssFile:"]
                .iter()
                .any(|key| line.starts_with(key))
        })
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    Ok(fields.join(", "))
}
