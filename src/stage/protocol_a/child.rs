//! The sibling: it reads initConfig, and becomes the program.

use std::mem::ManuallyDrop;
use std::os::fd::OwnedFd;

use super::console::start_session;
use super::init_pipe::{InitPipe, receive};
use crate::error::{Error, ErrorKind};
use crate::exit_status::PROTOCOL_FAILED;
use crate::plan::layers::BuiltLayers;
use crate::plan::opened::Accounts;
use crate::policy::resolved::Process;
use crate::runtime_text::ForRuntime;
use crate::stage::exec::{ParentConnection, Release};
use crate::stage::own_files;
use crate::standard_error::print_error;
use crate::sys::process::exit_now;
use crate::sys::signal::CallersSignals;
use crate::target::directory::ProgramRoot;
use crate::wire::generic_error;

/// The process that becomes the program.
pub(super) struct Child {
    /// The socket on which it receives its own files in the caller's /proc.
    pub(super) child_files: OwnedFd,
    pub(super) root: ProgramRoot,
    /// Opened before the join, like all other objects of the target.
    pub(super) accounts: Accounts,
    pub(super) process: Process,
    pub(super) workload: BuiltLayers,
    pub(super) ceiling_refuses_32_bit: bool,
    /// The helper's own, in the kernel's format.
    pub(super) oom_score_adj: Vec<u8>,
    pub(super) has_power_over_callers_network: bool,
    pub(super) signals: CallersSignals,
    /// The number of descriptors, from 3 on, that the caller handed over.
    pub(super) handed_over: u32,
}

impl Child {
    pub(super) fn run(self, pipe: InitPipe, console: Option<OwnedFd>, ready: OwnedFd) -> ! {
        match start_session(console) {
            Ok(()) => {
                if nix::unistd::write(&ready, &[1]) != Ok(1) {
                    exit_now(PROTOCOL_FAILED);
                }
            }
            Err(failure) => {
                let _ = nix::unistd::write(&ready, &failure.to_bytes());
                exit_now(PROTOCOL_FAILED);
            }
        }
        drop(ready);
        // A process that knows the pid can end the child while it waits.
        let _ = self.signals.obey();
        // The verifier compares this process before it sends the files.
        let Ok(own_files) = own_files::receive(&self.child_files) else {
            exit_now(PROTOCOL_FAILED);
        };
        if !pipe.readable {
            let wrong = "no initConfig can be read: _LIBCONTAINER_INITPIPE is for writing only";
            print_error(&ForRuntime(&Error::new(ErrorKind::Protocol, wrong)));
            exit_now(PROTOCOL_FAILED);
        }
        let received = match receive(&pipe.file) {
            Ok(received) => received,
            Err(errno) => {
                let error = Error::new(
                    ErrorKind::Protocol,
                    "initConfig cannot be read from the pipe",
                )
                .with_source(errno);
                print_error(&ForRuntime(&error));
                exit_now(PROTOCOL_FAILED);
            }
        };
        // From here on libcontainer waits for an error or for the end of the pipe.
        let parent = ParentConnection {
            report: pipe.file,
            release: Release::Own,
        };
        let error = match self.prepare(received, own_files) {
            Ok((image, program)) => {
                // The last step before execve closes its descriptors; a drop would close them
                // again.
                let image = ManuallyDrop::new(image);
                let failure = image.become_program(&parent);
                failure.into_error_in(&program, image.work_dir.path().as_deref())
            }
            Err(error) => error,
        };
        print_error(&ForRuntime(&error));
        let message = answer(&error);
        let _ = nix::unistd::write(&parent.report, &message);
        exit_now(PROTOCOL_FAILED)
    }
}

/// The error as libcontainer's JSON.
fn answer(error: &Error) -> Vec<u8> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let message = ForRuntime(error).to_string();
    generic_error::generic_error(now.unwrap_or_default(), message.as_bytes())
}
