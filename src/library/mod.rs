//! libnsexec: replaces nsexec.c in a process that a runtime takes over once it is in the right
//! namespaces.
//!
//! It is called before any runtime exists: there is one thread, and the runtime decides the state
//! of this process afterwards (descriptors, environment, signal mask). So it keeps nothing: no
//! descriptor, no thread, no lock.

mod ceiling;
mod log;
mod protocol_a;
mod protocol_b;

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use crate::error::{Error, ErrorKind, Result};
use crate::exit_status::PROTOCOL_FAILED;
use crate::runtime_text::ForRuntime;
use crate::standard_error::print_error;
use crate::sys::descriptor;
use crate::sys::process::{self, exit_now};
use crate::sys::signal::{self, CallersMask};
use crate::wire::{env, env_b};

/// The choices of a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Enforces the ceiling of the policy `libcontainer` before the last clone: for runtimes that
    /// only join. A runtime that mounts, creates namespaces or traces afterwards cannot work under
    /// it.
    pub ceiling: bool,
    /// The runtime is runc 1.1. It waits for one NUL on the init pipe, which is written before
    /// protocol B's message is read. Before that the program executes itself again from a place
    /// where a container cannot write to its file; runc 1.2 and later do that by themselves
    /// (CVE-2019-5736).
    pub leading_nul: bool,
}

/// Serves the request in the environment, and returns in the process that the runtime takes over.
/// Returns at once if there is no request.
///
/// `_LIBCONTAINER_INITPID` selects protocol A. `_LIBCONTAINER_INITPIPE` without it selects protocol
/// B, unless `_LIBCONTAINER_INITTYPE=standard` comes without `_LIBCONTAINER_LOGPIPE` and
/// `_LIBCONTAINER_SYNCPIPE`: libcontainer of 2015 creates a container, which it does by itself. A
/// failure is reported in the format of the protocol, and ends the process with 1.
///
/// The process must have one thread, and must not start another one meanwhile.
pub fn enter(options: Options) {
    let variables: Vec<_> = std::env::vars_os().collect();
    let pairs = || {
        let pairs = variables.iter();
        pairs.map(|(key, value)| (key.as_bytes(), value.as_bytes()))
    };
    let protocol_a = pairs().any(|(key, _)| key == env::Variable::Pid.name().as_bytes());
    if protocol_a {
        let requested = env::recognise(pairs())
            .map_err(|fault| Error::new(ErrorKind::Protocol, fault.to_string()));
        match requested {
            Ok(None) => {}
            Ok(Some(requested)) => {
                if let Err(error) = protocol_a::enter(&requested, options) {
                    print_error(&ForRuntime(&error));
                    exit_now(PROTOCOL_FAILED);
                }
            }
            Err(error) => {
                print_error(&ForRuntime(&error));
                exit_now(PROTOCOL_FAILED);
            }
        }
        return;
    }
    let environment = env_b::Environment::collect(pairs());
    if environment.requests_protocol_b() {
        protocol_b::enter(&environment, options);
    }
}

/// The caller's state of this process, which is restored.
#[derive(Debug)]
struct Callers {
    /// Those of 0, 1 and 2 that were closed, so that none of our own files ever becomes standard
    /// input or output.
    standard: Vec<OwnedFd>,
    dumpable: i32,
    mask: CallersMask,
}

impl Callers {
    /// Saves it, and blocks all signals but SIGKILL and SIGSTOP: no other signal ends this process
    /// between two clones.
    fn save() -> Result<Self> {
        let system =
            |errno| Error::new(ErrorKind::System, "the process's state").with_source(errno);
        let mut standard = Vec::new();
        for _ in (0..=2).filter(|fd| !descriptor::is_open(*fd)) {
            let null = open(c"/dev/null", OFlag::O_RDWR, Mode::empty()).map_err(system)?;
            standard.push(null);
        }
        Ok(Self {
            standard,
            dumpable: process::dumpable().map_err(system)?,
            mask: signal::block_all().map_err(system)?,
        })
    }

    /// Restores it, except `dumpable` if another value is given.
    fn restore(self, dumpable: Option<i32>) -> Result<()> {
        let system =
            |errno| Error::new(ErrorKind::System, "the process's state").with_source(errno);
        drop(self.standard);
        process::restore_dumpable(dumpable.unwrap_or(self.dumpable)).map_err(system)?;
        self.mask.restore().map_err(system)
    }
}
