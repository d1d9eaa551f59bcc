//! The id maps of a created user namespace, written from outside.

use std::ffi::{CStr, CString};
use std::fmt;

use nix::errno::Errno;

use crate::error::{Error, ErrorKind, Result};
use crate::library::log::Log;
use crate::request::Pid;
use crate::sys::clone::{Parentage, Side, clone};
use crate::sys::descriptor::{self, Range};
use crate::sys::exec::{StringArray, execve};
use crate::sys::process::exit_now;
use crate::sys::signal::CallersMask;
use crate::sys::wait::{Change, WaitMode, change};
use crate::target::Procfs;
use crate::wire::id_map_lines::{self, SMALLEST_PAGE};
use crate::wire::log_line::Level;
use crate::wire::netlink::{Bootstrap, Mapping};

/// Maps the ids of `process` by the message.
pub(super) fn write(
    procfs: &Procfs,
    process: Pid,
    bootstrap: &Bootstrap,
    mask: CallersMask,
    log: &Log,
) -> Result<()> {
    if bootstrap.rootless_euid && !bootstrap.setgroups {
        deny_setgroups(procfs, process)?;
    }
    for (file, mapping) in [
        ("uid_map", &bootstrap.uid_map),
        ("gid_map", &bootstrap.gid_map),
    ] {
        if let Some(mapping) = mapping {
            write_map(procfs, process, file, mapping, mask, log)?;
        }
    }
    Ok(())
}

/// Before Linux 3.19 there is no such file, and nothing to deny.
fn deny_setgroups(procfs: &Procfs, process: Pid) -> Result<()> {
    let path = format!("{process}/setgroups");
    let c_path = CString::new(path.as_str()).unwrap_or_default();
    match procfs.write(&c_path, b"deny") {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => {
            let wrong = format!("failed to write 'deny' to /proc/{path}");
            Err(Error::new(ErrorKind::System, wrong).with_source(errno))
        }
    }
}

fn write_map(
    procfs: &Procfs,
    process: Pid,
    file: &str,
    mapping: &Mapping,
    mask: CallersMask,
    log: &Log,
) -> Result<()> {
    let path = format!("{process}/{file}");
    let lines = id_map_lines::print(&mapping.map);
    log.line(
        Level::Debug,
        format_args!("update /proc/{path} to '{lines}'"),
    );
    let c_path = CString::new(path.as_str()).unwrap_or_default();
    match (procfs.write(&c_path, lines.as_bytes()), &mapping.tool) {
        (Ok(()), _) => Ok(()),
        // It requires privileges that newuidmap(1) has.
        (Err(Errno::EPERM), Some(tool)) => {
            let name = tool.to_string_lossy();
            log.line(
                Level::Debug,
                format_args!("update /proc/{path} got -EPERM (trying {name})"),
            );
            run(tool, process, &lines, mask)
        }
        (Err(Errno::EINVAL), _) if lines.len() >= SMALLEST_PAGE => {
            let wrong = format!("failed to update /proc/{path} with {} bytes", lines.len());
            Err(Error::new(ErrorKind::System, wrong)
                .with_source(Errno::EINVAL)
                .with_hint("the kernel accepts a map that is shorter than a page"))
        }
        (Err(errno), _) => Err(update_failed(&path, errno)),
    }
}

/// Runs `tool PID INSIDE OUTSIDE LENGTH...` to its end, with an empty environment and only 0, 1 and
/// 2: it is usually set-user-ID and needs nothing else.
fn run(tool: &CStr, process: Pid, lines: &str, mask: CallersMask) -> Result<()> {
    let name = tool.to_string_lossy().into_owned();
    let failed =
        |what: &dyn fmt::Display| Error::new(ErrorKind::System, format!("{name} failed: {what}"));
    let words = std::iter::once(process.to_string())
        .chain(lines.split_ascii_whitespace().map(str::to_owned));
    let words = words.map(|word| CString::new(word).unwrap_or_default());
    let argv = StringArray::new(std::iter::once(tool.to_owned()).chain(words).collect());
    let envp = StringArray::new(Vec::new());
    let child = match clone(Parentage::Own).map_err(|errno| failed(&errno))? {
        Side::Parent { child, .. } => child,
        Side::Child => {
            let _ = mask.restore();
            let _ = descriptor::close_range(3, u32::MAX, Range::Close);
            let _ = execve(tool, &argv, &envp);
            exit_now(127)
        }
    };
    loop {
        match change(child, WaitMode::Block) {
            Ok(Some(Change::Exited(0))) => return Ok(()),
            Ok(Some(Change::Exited(status))) => {
                return Err(failed(&format_args!("exit status {status}")));
            }
            Ok(Some(Change::Signaled(signal))) => {
                return Err(failed(&format_args!("signal {signal}")));
            }
            Ok(Some(Change::Stopped(_)) | None) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(failed(&errno)),
        }
    }
}

/// A file of a process beneath /proc was not written.
pub(super) fn update_failed(path: &str, errno: Errno) -> Error {
    let wrong = format!("failed to update /proc/{path}");
    Error::new(ErrorKind::System, wrong).with_source(errno)
}
