//! The console, the terminal of the program in a session of its own.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use crate::error::{Error, ErrorKind, Result};
use crate::stage::failure::{Failure, Step};
use crate::sys::{descriptor, terminal};

/// Opens the console while this process is in the caller's mount namespace: a path in the target's
/// could lead anywhere (CVE-2025-52565).
pub(crate) fn open_console(path: &CString) -> Result<OwnedFd> {
    let name = path.to_string_lossy();
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let console = open(path.as_c_str(), flags, Mode::empty()).map_err(|errno| {
        Error::new(
            ErrorKind::Protocol,
            format!("cannot open the console {name}"),
        )
        .with_source(errno)
    })?;
    if nix::unistd::isatty(&console) != Ok(true) {
        let wrong = format!("the console {name} is not a terminal");
        return Err(Error::new(ErrorKind::Protocol, wrong).with_hint("give the path of a pty"));
    }
    Ok(console)
}

/// A session of its own, with the console as its terminal and on 0, 1 and 2.
pub(crate) fn start_session(console: Option<OwnedFd>) -> std::result::Result<(), Failure> {
    terminal::new_session().map_err(|errno| Failure::new(Step::Session, errno))?;
    let Some(console) = console else {
        return Ok(());
    };
    let failed = |errno| Failure::new(Step::Terminal, errno);
    terminal::take_control(console.as_fd()).map_err(failed)?;
    for standard in 0..=2 {
        descriptor::place(console.as_fd(), standard).map_err(failed)?;
    }
    Ok(())
}
