//! The cost of a join through protocol B: libnsexec and the nsexec.c of the installed runc,
//! in the same runc binary, in interleaved rounds. The time is measured from sending the
//! message until both stages are reaped.
//!
//! `cargo bench --bench join -- [--rounds N] [--save]`, as root. The benchmark asserts no
//! times.

#![expect(clippy::print_stdout, reason = "a benchmark is for people to read")]

use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use nsexec_protocol::netlink::{Bootstrap, encode};
use nsexec_protocol::ns_paths;

use nsexec_test_support::Target;
use nsexec_test_support::root::{self, Scratch};
use nsexec_test_support::samples::{self, Options, WARM_UP, percentile};

const ROUNDS: usize = 300;
/// Microseconds per second.
const MICROSECONDS: f64 = 1e6;
/// The leading NUL by which runc 1.1's nsexec.c requests its message.
const READY: u8 = 0;

struct Contender {
    name: &'static str,
    preload: Option<PathBuf>,
    samples: Vec<Duration>,
}

fn main() -> io::Result<()> {
    let options = Options::parse(ROUNDS)?;
    nix::sys::prctl::set_child_subreaper(true)?;
    let scratch = Scratch::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-join"))?;
    let directory = scratch.path();
    let runc = in_path("runc")?;
    let preload = preload(directory)?;
    let root = directory.join("root");
    root::fill(&root, &in_path("busybox")?)?;
    let target = Target::start(&root)?;
    let message = message(target.pid())?;
    let mut contenders = [
        ("nsexec.c in runc", None),
        ("libnsexec in its place", Some(preload)),
    ]
    .map(|(name, preload)| Contender {
        name,
        preload,
        samples: Vec::new(),
    });
    for round in 0..options.rounds + WARM_UP {
        for contender in &mut contenders {
            let taken = join(&runc, contender.preload.as_deref(), &message)?;
            if round >= WARM_UP {
                contender.samples.push(taken);
            }
        }
    }
    let report = table(&contenders, options.rounds);
    print!("{report}");
    if options.save {
        let samples: Vec<(&str, &[Duration])> = contenders
            .iter()
            .map(|contender| (contender.name, contender.samples.as_slice()))
            .collect();
        println!("{}", samples::save("join", &samples, &report)?.display());
    }
    Ok(())
}

/// One join; the process that takes over is ended at once.
fn join(runc: &Path, preload: Option<&Path>, message: &[u8]) -> io::Result<Duration> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new(runc);
    command
        .arg("init")
        .env_clear()
        .env("_LIBCONTAINER_INITPIPE", "3")
        .env("_LIBCONTAINER_INITTYPE", "setns")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(preload) = preload {
        command.env("LD_PRELOAD", preload);
    }
    let mapping = FdMapping {
        parent_fd: theirs.into(),
        child_fd: 3,
    };
    command
        .fd_mappings(vec![mapping])
        .map_err(|_| io::Error::other("descriptors collide"))?;
    let mut stage0 = command.spawn()?;
    drop(command);
    let mut ready = [1];
    ours.read_exact(&mut ready)?;
    if ready != [READY] {
        return Err(io::Error::other("this runc is not of 1.1"));
    }
    let started = Instant::now();
    ours.write_all(message)?;
    let status = stage0.wait()?;
    let mut report = [0; 256];
    let length = ours.read(&mut report)?;
    let report: serde_json::Value = serde_json::from_slice(report.get(..length).unwrap_or(&[]))?;
    let pid = |key: &str| {
        let pid = report.get(key).and_then(serde_json::Value::as_i64);
        let pid = pid.and_then(|pid| i32::try_from(pid).ok());
        pid.map(Pid::from_raw)
            .ok_or_else(|| io::Error::other(format!("no {key} in {report}; {status}")))
    };
    waitpid(pid("stage1_pid")?, None)?;
    let taken = started.elapsed();
    let stage2 = pid("stage2_pid")?;
    kill(stage2, Signal::SIGKILL)?;
    waitpid(stage2, None)?;
    Ok(taken)
}

/// The message of `runc exec`.
fn message(pid: i32) -> io::Result<Vec<u8>> {
    let paths = ["ipc", "uts", "net", "pid", "mnt"].map(|ns| format!("{ns}:/proc/{pid}/ns/{ns}"));
    let wrong = |fault: &dyn std::fmt::Display| io::Error::other(fault.to_string());
    let bootstrap = Bootstrap {
        join: ns_paths::parse(paths.join(",").as_bytes()).map_err(|fault| wrong(&fault))?,
        ..Bootstrap::default()
    };
    encode(&bootstrap, 1).map_err(|fault| wrong(&fault))
}

/// libnsexec, as a library that is loaded before runc's own code runs.
fn preload(directory: &Path) -> io::Result<PathBuf> {
    let prefix = directory.join("prefix");
    let library = directory.join("preload.so");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    run(Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "xtask", "--"])
        .args(["install", "--library"])
        .arg(&prefix)
        .current_dir(manifest))?;
    run(Command::new("gcc")
        .args(["-O2", "-shared", "-fPIC", "-Wl,-Bsymbolic", "-I"])
        .arg(prefix.join("include"))
        .arg("-o")
        .arg(&library)
        .arg(manifest.join("tests/runtime/preload.c"))
        .arg(prefix.join("lib/libnsexec.a")))?;
    Ok(library)
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command.stdout(Stdio::null()).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("{command:?}: {status}")))
    }
}

fn in_path(program: &str) -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
        .ok_or_else(|| io::Error::other(format!("there is no {program}")))
}

fn table(contenders: &[Contender], rounds: usize) -> String {
    let mut table = format!(
        "{:<26} {:>8} {:>8} {:>8} {:>8} {:>8}\n",
        "us", "min", "median", "p99", "min/C", "med/C"
    );
    let of = |contender: &Contender, percent| percentile(&contender.samples, percent, MICROSECONDS);
    let [least, median] =
        [0, 50].map(|percent| contenders.first().map_or(f64::NAN, |c| of(c, percent)));
    for contender in contenders {
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "{:<26} {:>8.0} {:>8.0} {:>8.0} {:>8.2} {:>8.2}",
            contender.name,
            of(contender, 0),
            of(contender, 50),
            of(contender, 99),
            of(contender, 0) / least,
            of(contender, 50) / median,
        );
    }
    let _ = writeln!(
        table,
        "{rounds} rounds after {WARM_UP} to warm up, interleaved"
    );
    table
}
