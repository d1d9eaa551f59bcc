//! nsexec-audit. `--help` says how it is used.

use std::error::Error;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::Instant;

use nix::sys::signal::SigSet;
use nsexec_audit::arguments::{self, Asked, Format, Run};
use nsexec_audit::chain;
use nsexec_audit::commands::{Report, Selftest, Tree as Drawn, Verify};
use nsexec_audit::cost;
use nsexec_audit::filter::Filtering;
use nsexec_audit::json;
use nsexec_audit::lineage::{File, Process};
use nsexec_audit::lines;
use nsexec_audit::output::{self, Files, Output, Rotation};
use nsexec_audit::probes::{self, Probes, Sizes};
use nsexec_audit::programs::Backend;
use nsexec_audit::report;
use nsexec_audit::rules::Rules;
use nsexec_audit::selftest;
use nsexec_audit::story::Story;
use nsexec_audit::teller::{Counts, Teller};
use nsexec_audit::text::Text;
use nsexec_audit::tree::{self, Tree};
use nsexec_audit::watch::{self, OnLoss, Terms, exit_code, say};
use nsexec_audit::writer::{Lines, Writer};
use nsexec_audit_abi::record::Snapshot;
use serde::Serialize;

/// What else there is to tell, where there is no program's status.
const ALERT: u8 = 3;
const LOST: u8 = 4;
/// As env(1) has them.
const FAILED: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

fn main() -> ExitCode {
    match run() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            say(&error.to_string());
            ExitCode::from(FAILED)
        }
    }
}

fn run() -> Result<u8, Box<dyn Error>> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let asked = match arguments::read(std::env::args_os().skip(1))? {
        Asked::Help => {
            out.write_all(arguments::help().as_bytes())?;
            out.flush()?;
            return Ok(0);
        }
        Asked::Version => {
            writeln!(out, "nsexec-audit {}", env!("CARGO_PKG_VERSION"))?;
            out.flush()?;
            return Ok(0);
        }
        Asked::Verify(asked) => return Ok(verify(&asked, &mut out)?),
        Asked::Report(asked) => {
            make_page(&asked, &mut out)?;
            return Ok(0);
        }
        Asked::Tree(asked) => {
            draw(&asked, &mut out)?;
            out.flush()?;
            return Ok(0);
        }
        Asked::Selftest(asked) => return test(&asked, &mut out),
        Asked::Run(run) => *run,
    };
    let mut story = Story::begin(nsexec_files(&asked)?)?;
    let waited_for = watch::waited_for(asked.output.is_some());
    let signals = watch::signals(&waited_for)?;
    let sizes = asked.ring.map_or(Sizes::DEFAULT, Sizes::of);
    let mut probes = load(asked.probes.as_deref(), sizes, asked.backend)?;
    let tasks = probes.snapshot()?;
    if asked.snapshot {
        for task in tasks {
            line(&json::snapshot(&task), &mut out)?;
        }
        out.flush()?;
        return Ok(0);
    }
    story.know(&tasks);
    let own = itself(&tasks);
    drop(tasks);
    if !story.knows_host() {
        say("which namespaces are the host's is not known: its kernel threads are hidden here");
    }
    if let Some(blind_spot) = story.cgroups().blind_spot() {
        say(&blind_spot);
    }
    let mut filtering = Filtering::new(asked.filter.clone(), std::process::id());
    filtering.resolve(story.cgroups())?;
    let (colour, out) = match &asked.output {
        None => {
            let stdout = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?);
            let buffered = BufWriter::with_capacity(1 << 16, stdout);
            (
                io::stdout().is_terminal(),
                Output::Stream(Box::new(buffered)),
            )
        }
        Some(path) => {
            let rotation = Rotation {
                size: asked.rotate,
                keep: asked.keep.unwrap_or(output::KEPT),
            };
            (false, Output::Files(Files::create(path, rotation)?))
        }
    };
    say("the probes are at work");
    let format = asked.format.unwrap_or_default();
    let writer = Writer::start(Lines {
        format,
        text: Text { colour },
        beginning: story.beginning(),
        out,
    })?;
    let mut teller = Teller {
        story,
        rules: Rules::without(&asked.no_rules),
        filtering,
        writer,
        counts: Counts::default(),
        unseen: Vec::new(),
        own,
    };
    let program = match start(&asked, &waited_for)? {
        Started::Program(child) => {
            if !asked.all {
                teller.filtering.follow(child.id());
            }
            Some(child)
        }
        Started::None => None,
        Started::Not(status) => return Ok(status),
    };
    let until = asked
        .duration
        .and_then(|length| Instant::now().checked_add(length));
    let terms = Terms {
        until,
        health: asked.health.unwrap_or(arguments::HEALTH),
        on_loss: asked.on_loss,
    };
    let watched = watch::run(&mut probes, &signals, &mut teller, terms, program);
    let counts = teller.counts;
    let Counts {
        told,
        gaps,
        lost,
        alerts,
        broken,
    } = counts;
    if format == Format::Text || watched.is_err() {
        let broken = match broken {
            0 => String::new(),
            _ => format!(", {broken} sums that do not agree"),
        };
        say(&format!(
            "{told} told, {alerts} alerts, {gaps} changes unseen, {lost} lost{broken}"
        ));
    }
    let ended = watched?;
    let failed = counts.losses() > 0 && asked.on_loss == OnLoss::Fail;
    if failed {
        let left = ended.left.map_or_else(String::new, |program| {
            format!("; process {} goes on, and nobody watches it", program.id())
        });
        say(&format!("events were lost, so it ended{left}"));
    }
    Ok(match ended.status {
        _ if failed => LOST,
        Some(status) => exit_code(status),
        None if counts.losses() > 0 && asked.on_loss == OnLoss::Alert => LOST,
        None if alerts > 0 && asked.alert_status => ALERT,
        None => 0,
    })
}

/// This process, by the names that it has in events.
fn itself(tasks: &[Snapshot]) -> Process {
    let tgid = std::process::id();
    let own = tasks.iter().find(|task| task.task.tgid == tgid);
    own.map_or(Process { tgid, start_ns: 0 }, |own| Process::of(&own.task))
}

/// Each file continues the one before.
fn verify(asked: &Verify, out: &mut dyn io::Write) -> io::Result<u8> {
    let mut last = asked.after;
    for path in &asked.files {
        let name = path.display();
        let read = std::fs::File::open(path)
            .and_then(|file| chain::verify(&mut io::BufReader::new(file), last));
        match read {
            Ok(Ok((lines, value))) => {
                writeln!(
                    out,
                    "{name}: {lines} lines, whole; chain {}",
                    chain::hex(value)
                )?;
                last = value;
            }
            Ok(Err(found)) => {
                writeln!(out, "{name}:{}: {}", found.line, found.wrong)?;
                out.flush()?;
                return Ok(1);
            }
            Err(error) => {
                say(&format!("{name}: {error}"));
                return Ok(2);
            }
        }
    }
    out.flush()?;
    Ok(0)
}

/// Everything is read before anything is written; a page that is made anew can be read
/// by its owner only, as what it is made from.
fn make_page(asked: &Report, out: &mut dyn io::Write) -> Result<(), Box<dyn Error>> {
    let named = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let mut files = Vec::new();
    let mut inputs = Vec::new();
    for path in &asked.files {
        let file = std::fs::File::open(path).map_err(|error| named(path, error))?;
        let found = file.metadata().map_err(|error| named(path, error))?;
        inputs.push((found.dev(), found.ino()));
        files.push((path.display().to_string(), io::BufReader::new(file)));
    }
    if let Some(output) = &asked.output
        && let Ok(found) = std::fs::metadata(output)
        && inputs.contains(&(found.dev(), found.ino()))
    {
        return Err(format!(
            "{} would be overwritten; give another --output",
            output.display()
        )
        .into());
    }
    let page = report::page(&report::read(files)?);
    match &asked.output {
        Some(output) => {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let written = options
                .open(output)
                .and_then(|mut file| file.write_all(page.as_bytes()));
            written.map_err(|error| named(output, error))?;
        }
        None => {
            out.write_all(page.as_bytes())?;
            out.flush()?;
        }
    }
    Ok(())
}

/// Puts the probes to work: those of this file, or those that were built in.
fn load(
    file: Option<&Path>,
    sizes: Sizes,
    backend: Option<Backend>,
) -> Result<Probes, Box<dyn Error>> {
    let read;
    let object = match file {
        Some(path) => {
            read = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
            read.as_slice()
        }
        None => probes::embedded().ok_or(
            "it was built without its probes; run `cargo xtask probes` and build it again, or \
             give --probes FILE",
        )?,
    };
    let kernel = probes::running_kernel()?;
    Ok(Probes::start_with(object, &kernel, sizes, backend)?)
}

/// One line of JSON.
fn line(value: &impl Serialize, out: &mut dyn io::Write) -> io::Result<()> {
    let mut line = Vec::new();
    lines::write(value, &mut line)?;
    line.push(b'\n');
    out.write_all(&line)
}

fn draw(asked: &Drawn, out: &mut dyn io::Write) -> Result<(), Box<dyn Error>> {
    let tasks = load(asked.probes.as_deref(), Sizes::DEFAULT, None)?.snapshot()?;
    let tree = Tree::of(&tasks, &tree::look_up(&tasks));
    match asked.format {
        Format::Json => line(&tree.json(), out)?,
        Format::Text => {
            let colour = io::stdout().is_terminal();
            out.write_all(tree.text(Text { colour }).as_bytes())?;
        }
    }
    Ok(())
}

/// Whether what happens is what is reported, and what it costs.
fn test(asked: &Selftest, out: &mut dyn io::Write) -> Result<u8, Box<dyn Error>> {
    let sizes = asked.ring.map_or(Sizes::DEFAULT, Sizes::of);
    let start = || load(asked.probes.as_deref(), sizes, asked.backend);
    let mut report = selftest::run(&mut start()?, sizes.namespaces, asked.events)?;
    report.cost = cost::measure(start, sizes.namespaces)?;
    match asked.format {
        Format::Json => line(&report, out)?,
        Format::Text => write!(out, "{report}")?,
    }
    out.flush()?;
    Ok(u8::from(!report.ok))
}

enum Started {
    None,
    Program(Child),
    /// It could not be, which was said.
    Not(u8),
}

fn start(asked: &Run, waited_for: &SigSet) -> io::Result<Started> {
    let Some((program, arguments)) = asked.program.split_first() else {
        return Ok(Started::None);
    };
    let mut command = Command::new(program);
    command.args(arguments);
    match unblocked(&mut command, waited_for) {
        Ok(child) => Ok(Started::Program(child)),
        Err(error) => {
            say(&format!("{}: {error}", program.display()));
            Ok(Started::Not(match error.kind() {
                io::ErrorKind::NotFound => NOT_FOUND,
                _ => NOT_EXECUTABLE,
            }))
        }
    }
}

/// With the signals that this program waits for let through to the other.
fn unblocked(command: &mut Command, waited_for: &SigSet) -> io::Result<Child> {
    waited_for.thread_unblock()?;
    let child = command.spawn();
    waited_for.thread_block()?;
    child
}

/// The files that are nsexec: those that were named, or else the one in PATH.
fn nsexec_files(asked: &Run) -> io::Result<Vec<File>> {
    let named = !asked.nsexec.is_empty();
    let paths = if named {
        asked.nsexec.clone()
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).map(|directory| directory.join("nsexec"));
        found.filter(|file| file.is_file()).take(1).collect()
    };
    let file = |path: &PathBuf| match std::fs::metadata(path) {
        Ok(found) => Ok(File {
            device: kernel_device(found.dev()),
            inode: found.ino(),
        }),
        Err(error) => Err(io::Error::other(format!("{}: {error}", path.display()))),
    };
    paths.iter().map(file).collect()
}

/// As the kernel has it: the minor in 20 bits, the major above.
fn kernel_device(device: u64) -> u32 {
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    u32::try_from(major << 20 | minor & 0xf_ffff).unwrap_or(0)
}
