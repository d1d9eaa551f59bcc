//! The auditor without a command: monitors the host, or a program and its descendants.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Instant;

use nix::sys::signal::SigSet;
use nsexec_audit_abi::record::Snapshot;

use super::{exit_status, probes, write_json};
use crate::cli::options::{AuditOptions, List};
use crate::config::{Format, HEALTH_INTERVAL, OnLoss};
use crate::dispatcher::{Counts, Dispatcher};
use crate::enrich::enricher::Enricher;
use crate::filter::ActiveFilter;
use crate::loader::probes::Sizes;
use crate::log::log_stderr;
use crate::model::process::{FileId, ProcessId};
use crate::monitor::{self, Ended, MonitorOptions};
use crate::output::files::{Files, KEPT, Output, Rotation};
use crate::output::snapshot;
use crate::output::text::Text;
use crate::output::writer::{Lines, Writer};
use crate::rules::Rules;

/// Monitors until a signal, the end of `--duration` or of the program. Returns the exit
/// status.
///
/// # Errors
/// The probes cannot be loaded, the output cannot be written, or the monitor fails.
pub fn run(options: &AuditOptions, out: &mut dyn io::Write) -> Result<u8, Box<dyn Error>> {
    let mut enricher = Enricher::start(nsexec_files(options)?)?;
    let awaited = monitor::awaited_signals(options.output.is_some());
    let signals = monitor::block_signals(&awaited)?;
    let sizes = options.ring.map_or(Sizes::DEFAULT, Sizes::of);
    let mut probes = probes::load(options.probes.as_deref(), sizes, options.backend)?;
    let tasks = probes.snapshot()?;
    if options.snapshot {
        for task in &tasks {
            write_json(&snapshot::snapshot(task), out)?;
        }
        return Ok(0);
    }
    enricher.load_snapshot(&tasks);
    let own = own_process(&tasks);
    drop(tasks);
    warn_of_blind_spots(&mut enricher);
    let mut filter = ActiveFilter::new(options.filter(), std::process::id());
    filter.resolve(enricher.cgroups())?;
    let format = options.format.unwrap_or_default();
    let output = open_output(options)?;
    log_stderr("the probes are attached");
    let writer = Writer::start(Lines {
        format,
        text: Text {
            colour: options.output.is_none() && io::stdout().is_terminal(),
        },
        stream_info: enricher.stream_info(),
        out: output,
    })?;
    let mut dispatcher = Dispatcher {
        enricher,
        rules: Rules::without(options.no_rules.as_ref().map_or(&[], |List(off)| off)),
        filter,
        writer,
        counts: Counts::default(),
        missed: Vec::new(),
        own,
    };
    let program = match start_program(options, &awaited)? {
        Started::Program(child) => {
            if !options.all {
                dispatcher.filter.follow(child.id());
            }
            Some(child)
        }
        Started::None => None,
        Started::Failed(status) => return Ok(status),
    };
    let monitored = monitor::run(
        &mut probes,
        &signals,
        &mut dispatcher,
        monitor_options(options),
        program,
    );
    let counts = dispatcher.counts;
    if format == Format::Text || monitored.is_err() {
        log_stderr(&counts.to_string());
    }
    Ok(exit_code(options, counts, &monitored?))
}

fn monitor_options(options: &AuditOptions) -> MonitorOptions {
    let now = Instant::now();
    MonitorOptions {
        until: options.duration.and_then(|length| now.checked_add(length)),
        health: options.health.unwrap_or(HEALTH_INTERVAL),
        on_loss: options.on_loss(),
    }
}

fn exit_code(options: &AuditOptions, counts: Counts, ended: &Ended) -> u8 {
    let lossy = counts.losses() > 0;
    if lossy && options.on_loss() == OnLoss::Fail {
        let running = ended.running.as_ref().map_or_else(String::new, |program| {
            format!(
                "; process {} keeps running without being monitored",
                program.id()
            )
        });
        log_stderr(&format!("events were lost, so the auditor exits{running}"));
        return exit_status::LOST;
    }
    match ended.status {
        Some(status) => monitor::exit_code(status),
        None if lossy && options.on_loss() == OnLoss::Alert => exit_status::LOST,
        None if counts.alerts > 0 && options.alert_status => exit_status::ALERT,
        None => 0,
    }
}

fn warn_of_blind_spots(enricher: &mut Enricher) {
    if !enricher.host_is_known() {
        log_stderr(
            "the host's namespaces are unknown: kernel threads are hidden from this process",
        );
    }
    if let Some(blind_spot) = enricher.cgroups().blind_spot() {
        log_stderr(&blind_spot);
    }
}

fn open_output(options: &AuditOptions) -> io::Result<Output> {
    match &options.output {
        None => {
            let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
            let buffered = BufWriter::with_capacity(1 << 16, stdout);
            Ok(Output::Stream(Box::new(buffered)))
        }
        Some(path) => {
            let rotation = Rotation {
                size: options.rotate,
                keep: options.keep.unwrap_or(KEPT),
            };
            Ok(Output::Files(Files::create(path, rotation)?))
        }
    }
}

/// The auditor itself, as events name it.
fn own_process(tasks: &[Snapshot]) -> ProcessId {
    let tgid = std::process::id();
    let own = tasks.iter().find(|task| task.task.tgid == tgid);
    own.map_or(ProcessId { tgid, start_ns: 0 }, |own| {
        ProcessId::of(&own.task)
    })
}

enum Started {
    None,
    Program(Child),
    /// It could not be started, which was logged; the exit status.
    Failed(u8),
}

fn start_program(options: &AuditOptions, awaited: &SigSet) -> io::Result<Started> {
    let Some((program, arguments)) = options.program.split_first() else {
        return Ok(Started::None);
    };
    let mut command = Command::new(program);
    command.args(arguments);
    match spawn_unblocked(&mut command, awaited) {
        Ok(child) => Ok(Started::Program(child)),
        Err(error) => {
            log_stderr(&format!("{}: {error}", program.display()));
            Ok(Started::Failed(match error.kind() {
                io::ErrorKind::NotFound => exit_status::NOT_FOUND,
                _ => exit_status::NOT_EXECUTABLE,
            }))
        }
    }
}

/// Starts a program with the signals unblocked that the auditor waits for.
fn spawn_unblocked(command: &mut Command, awaited: &SigSet) -> io::Result<Child> {
    awaited.thread_unblock()?;
    let child = command.spawn();
    awaited.thread_block()?;
    child
}

/// The files that are nsexec: those of `--nsexec`, or else the one in PATH.
fn nsexec_files(options: &AuditOptions) -> io::Result<Vec<FileId>> {
    let paths = if options.nsexec.is_empty() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).map(|directory| directory.join("nsexec"));
        found.filter(|file| file.is_file()).take(1).collect()
    } else {
        options.nsexec.clone()
    };
    let file = |path: &PathBuf| match std::fs::metadata(path) {
        Ok(found) => Ok(FileId {
            device: kernel_device(found.dev()),
            inode: found.ino(),
        }),
        Err(error) => Err(io::Error::other(format!("{}: {error}", path.display()))),
    };
    paths.iter().map(file).collect()
}

/// A device number in the kernel's format: the minor in 20 bits, the major above.
fn kernel_device(device: u64) -> u32 {
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    u32::try_from(major << 20 | minor & 0xf_ffff).unwrap_or(0)
}
