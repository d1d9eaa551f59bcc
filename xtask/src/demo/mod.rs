//! `cargo xtask demo`: nsexec at work, checked from outside and from inside.
//!
//! A throw-away target and a real container are each entered both ways: through
//! the command line, and through protocol A, with this program in the part of
//! libcontainer's parent.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::container::Container;
use crate::root::{self, Scratch};
use crate::target::Target;
use crate::{cargo, dist, no_arguments, setup, text};

mod checks;
mod command_line;
mod inside;
mod process;
mod protocol_a;

use checks::Checks;

/// The program under test, and a directory for what it prints.
pub(crate) struct Stage {
    nsexec: PathBuf,
    output: PathBuf,
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
    let nsexec = dist::build()?;
    let scratch = Scratch::new(&cargo::scratch()?.join("demo"))?;
    let stage = Stage {
        nsexec,
        output: scratch.path().to_owned(),
    };
    let mut checks = Checks::default();

    println!(
        "\n{}",
        text::bold("== a throw-away target with namespaces of its own")
    );
    let directory = scratch.path().join("target");
    root::fill(&directory, &busybox)?;
    let target = Target::start(&directory)?;
    println!("  its first process: pid {}", target.pid());
    enter(&stage, &mut checks, target.pid());
    protocol_a::refused(&stage, &mut checks, target.pid());

    println!("\n{}", text::bold("== a container that runc started"));
    match start_container(&scratch, &busybox, is_missing(setup::RUNC)) {
        Ok(container) => {
            println!("  its first process: pid {}", container.pid());
            enter(&stage, &mut checks, container.pid());
        }
        Err(LeftOut(reason)) => checks.leave_out("a real container", &reason),
    }
    checks.verdict()
}

fn enter(stage: &Stage, checks: &mut Checks, pid: i32) {
    command_line::plan(stage, checks, pid);
    command_line::exec(stage, checks, pid);
    command_line::status(stage, checks, pid);
    protocol_a::exec(stage, checks, pid);
}

/// Why this machine or this user has no container to enter.
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

/// Removes what an earlier step printed, so that it cannot be taken for this one's.
fn fresh(stage: &Stage, name: &str) -> io::Result<(PathBuf, fs::File)> {
    let path = stage.output.join(name);
    let file = fs::File::create(&path)?;
    Ok((path, file))
}
