//! `cargo xtask demo`: runs nsexec, and checks the result from outside and
//! inside.
//!
//! It enters a throw-away target and a real container, each through the command
//! line and through protocol A, with this program as libcontainer's parent. The
//! auditor runs meanwhile, and its events are checked too.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{cargo, dist, no_arguments, probes, setup, text};
use nsexec_test_support::Target;
use nsexec_test_support::container::Container;
use nsexec_test_support::root::{self, Scratch};

mod audit;
mod checks;
mod command_line;
mod inside;
mod process;
mod protocol_a;

use audit::Auditor;
use checks::Checks;

/// The program under test, and a directory for its output.
pub(crate) struct Fixture {
    nsexec: PathBuf,
    output: PathBuf,
    /// None if it cannot run here, which was printed.
    auditor: Option<PathBuf>,
}

/// An exec that the auditor must have observed.
pub(crate) struct Exec {
    what: &'static str,
    /// The process that joined.
    helper: u32,
    /// The requested types.
    namespaces: &'static [&'static str],
}

pub(crate) fn run(arguments: &[OsString]) -> io::Result<()> {
    no_arguments(arguments)?;
    let missing = setup::tools(&[setup::BUSYBOX, setup::UNSHARE, setup::RUNC])?;
    let is_missing =
        |wanted: setup::Tool| missing.iter().any(|tool| tool.program == wanted.program);
    if is_missing(setup::BUSYBOX) || is_missing(setup::UNSHARE) {
        return Err(io::Error::other("no target can be made without these"));
    }
    let busybox = setup::find(setup::BUSYBOX.program).unwrap_or_default();

    println!("{}", text::bold("== build"));
    let mut checks = Checks::default();
    let hindrance = audit::hindrance().or_else(|| Some(probes::build().err()?.to_string()));
    if let Some(reason) = &hindrance {
        checks.leave_out("events of the auditor", reason);
    }
    let nsexec = dist::build()?;
    let auditor = nsexec.with_file_name("nsexec-audit");
    let scratch = Scratch::new(&cargo::scratch()?.join("demo"))?;
    let fixture = Fixture {
        nsexec,
        output: scratch.path().to_owned(),
        auditor: hindrance.is_none().then_some(auditor),
    };

    println!(
        "\n{}",
        text::bold("== a throw-away target with namespaces of its own")
    );
    let directory = scratch.path().join("target");
    root::fill(&directory, &busybox)?;
    let target = Target::start(&directory)?;
    println!("  its first process: pid {}", target.pid());
    enter(&fixture, &mut checks, target.pid());
    protocol_a::refused(&fixture, &mut checks, target.pid());

    println!("\n{}", text::bold("== a container that runc started"));
    match start_container(&scratch, &busybox, is_missing(setup::RUNC)) {
        Ok(container) => {
            println!("  its first process: pid {}", container.pid());
            enter(&fixture, &mut checks, container.pid());
        }
        Err(LeftOut(reason)) => checks.leave_out("a real container", &reason),
    }
    checks.verdict()
}

fn enter(fixture: &Fixture, checks: &mut Checks, pid: i32) {
    let auditor = fixture.auditor.as_ref().and_then(|program| {
        checks.step("nsexec-audit --format json --ring 64M --nsexec dist/nsexec");
        checks.take("the probes are attached", Auditor::start(fixture, program))
    });
    command_line::plan(fixture, checks, pid);
    let by_command_line = command_line::exec(fixture, checks, pid);
    command_line::status(fixture, checks, pid);
    let by_protocol = protocol_a::exec(fixture, checks, pid);
    let execs: Vec<Exec> = by_command_line.into_iter().chain(by_protocol).collect();
    if let Some(auditor) = auditor {
        auditor.stop(checks, &execs, pid);
    }
}

/// The reason why there is no container to enter on this machine or for this user.
struct LeftOut(String);

fn start_container(
    scratch: &Scratch,
    busybox: &Path,
    runc_is_missing: bool,
) -> Result<Container, LeftOut> {
    let runc = match setup::find(setup::RUNC.program) {
        Some(runc) if !runc_is_missing => runc,
        _ => return Err(LeftOut("there is no runc".to_owned())),
    };
    if !setup::is_root() {
        return Err(LeftOut("runc needs root here".to_owned()));
    }
    let bundle = scratch.path().join("bundle");
    root::fill(&bundle.join("rootfs"), busybox)
        .and_then(|()| Container::start(&runc, &[], &bundle))
        .map_err(|error| LeftOut(error.to_string()))
}

/// Removes the output of an earlier step, so that this step cannot read it.
fn fresh(fixture: &Fixture, name: &str) -> io::Result<(PathBuf, fs::File)> {
    let path = fixture.output.join(name);
    let file = fs::File::create(&path)?;
    Ok((path, file))
}
