//! Protocol B's log pipe.

use std::fmt::Arguments;
use std::fmt::Write as _;
use std::os::fd::OwnedFd;

use nix::errno::Errno;

use crate::error::{Error, ErrorKind, Result};
use crate::prepare::fitness::{self, Use};
use crate::request::Pid;
use crate::runtime_text::ForRuntime;
use crate::sys::descriptor;
use crate::sys::process::exit_now;
use crate::wire::env_b::LogTarget;
use crate::wire::log_line::{BootstrapStage, Level, Line, MAX_LINE};

/// The log of this process.
#[derive(Debug)]
pub(super) struct Log {
    pipe: Option<OwnedFd>,
    level: Level,
    stage: BootstrapStage,
}

impl Log {
    /// # Errors
    /// `Protocol`: the descriptor is not open, or not for writing.
    pub(super) fn open(target: LogTarget) -> Result<Self> {
        let copy = |number: i32| {
            let name = "_LIBCONTAINER_LOGPIPE=";
            fitness::take(ErrorKind::Protocol, name, number, Use::Write)
        };
        Ok(Self {
            pipe: target.pipe.map(copy).transpose()?,
            level: target.level,
            stage: BootstrapStage::Setup,
        })
    }

    /// From here on this process is `stage`.
    pub(super) fn enter(&mut self, stage: BootstrapStage) {
        self.stage = stage;
    }

    /// Writes one line, if its level was requested. A pipe without a reader does not block the
    /// stage.
    pub(super) fn line(&self, level: Level, text: Arguments<'_>) {
        if level <= self.level {
            let _ = self.write(level, text);
        }
    }

    /// Whether the pipe accepted the line.
    fn write(&self, level: Level, text: Arguments<'_>) -> bool {
        let own = i32::try_from(std::process::id()).ok().and_then(Pid::new);
        let (Some(pipe), Some(own)) = (&self.pipe, own) else {
            return false;
        };
        let mut buffer = [0; MAX_LINE];
        let mut line = Line::begin(&mut buffer, level, self.stage, own);
        let _ = line.write_fmt(text);
        let line = line.finish();
        loop {
            match nix::unistd::write(pipe, line) {
                Err(Errno::EINTR) => {}
                written => return written == Ok(line.len()),
            }
        }
    }

    /// Writes a line of the level `debug`.
    pub(super) fn debug(&self, text: &str) {
        self.line(Level::Debug, format_args!("{text}"));
    }

    /// Writes the reason why this process ends, and ends it. The runtime derives its error from
    /// this line, so no level suppresses it. Standard error gets the line if there is no pipe or
    /// the pipe does not accept it.
    pub(super) fn fatal(&self, error: &Error) -> ! {
        if !self.write(Level::Fatal, format_args!("{}", ForRuntime(error))) {
            print_fatal(error);
        }
        exit_now(1)
    }
}

/// Writes the line to standard error if there is no log pipe (yet).
pub(super) fn print_fatal(error: &Error) {
    let line = format!("FATAL: {}\n", ForRuntime(error));
    let _ = nix::unistd::write(descriptor::standard(2), line.as_bytes());
}
