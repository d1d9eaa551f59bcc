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
use crate::wire::log_line::{Level, Line, MAX_LINE, Stage};

/// Where this process tells what it does.
#[derive(Debug)]
pub(super) struct Log {
    pipe: Option<OwnedFd>,
    level: Level,
    stage: Stage,
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
            stage: Stage::Setup,
        })
    }

    /// From here on this process is `stage`.
    pub(super) fn enter(&mut self, stage: Stage) {
        self.stage = stage;
    }

    /// One line, if its level is asked for. A pipe that nobody reads keeps no
    /// stage from its work.
    pub(super) fn line(&self, level: Level, text: Arguments<'_>) {
        if level <= self.level {
            let _ = self.write(level, text);
        }
    }

    /// Whether the pipe took the line.
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

    /// As a line of the level `debug`.
    pub(super) fn debug(&self, text: &str) {
        self.line(Level::Debug, format_args!("{text}"));
    }

    /// Writes why this process ends, and ends it. The runtime makes its error of this
    /// line, so that no level leaves it out; standard error gets it when there is no
    /// pipe, and when the pipe does not take it.
    pub(super) fn fatal(&self, error: &Error) -> ! {
        if !self.write(Level::Fatal, format_args!("{}", ForRuntime(error))) {
            tell_fatal(error);
        }
        exit_now(1)
    }
}

/// The line on standard error when there is no log pipe (yet).
pub(super) fn tell_fatal(error: &Error) {
    let line = format!("FATAL: {}\n", ForRuntime(error));
    let _ = nix::unistd::write(descriptor::standard(2), line.as_bytes());
}
