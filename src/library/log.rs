//! Protocol B's log pipe.

use std::fmt::Arguments;
use std::fmt::Write as _;
use std::os::fd::OwnedFd;

use nix::errno::Errno;

use crate::error::{Error, ErrorKind, Result};
use crate::request::Pid;
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
    /// `Protocol`: the descriptor is not open.
    pub(super) fn open(target: LogTarget) -> Result<Self> {
        let copy = |number: i32| {
            descriptor::duplicate_number(number).map_err(|errno| {
                let wrong = format!("_LIBCONTAINER_LOGPIPE={number}");
                Error::new(ErrorKind::Protocol, wrong).because(errno)
            })
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
        let Some(pipe) = &self.pipe else {
            return;
        };
        if level > self.level {
            return;
        }
        let mut buffer = [0; MAX_LINE];
        let own = i32::try_from(std::process::id()).ok().and_then(Pid::new);
        let Some(own) = own else {
            return;
        };
        let mut line = Line::begin(&mut buffer, level, self.stage, own);
        let _ = line.write_fmt(text);
        let line = line.finish();
        while nix::unistd::write(pipe, line) == Err(Errno::EINTR) {}
    }

    /// As a line of the level `debug`.
    pub(super) fn debug(&self, text: &str) {
        self.line(Level::Debug, format_args!("{text}"));
    }

    /// Tells why this process ends, and ends it. Without a pipe it is told on
    /// standard error.
    pub(super) fn fatal(&self, error: &Error) -> ! {
        if self.pipe.is_some() {
            self.line(Level::Fatal, format_args!("{error}"));
        } else {
            tell_fatal(error);
        }
        exit_now(1)
    }
}

/// The line on standard error when there is no log pipe (yet).
pub(super) fn tell_fatal(error: &Error) {
    let line = format!("FATAL: {error}\n");
    let _ = nix::unistd::write(descriptor::standard(2), line.as_bytes());
}
