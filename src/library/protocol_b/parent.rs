//! Stage 0: does the steps for stage 1 that need the runtime's privileges, reports the pids, and
//! ends once stage 2 is independent.

use std::os::fd::OwnedFd;

use nix::errno::Errno;

use super::channel::{Channel, Message};
use super::{id_maps, kill};
use crate::error::{Error, ErrorKind, Result};
use crate::library::log::Log;
use crate::request::Pid;
use crate::stage::verifier::context::VerifierContext;
use crate::stage::verifier::expected::Expected;
use crate::sys::pidfd;
use crate::sys::process::{self, exit_now};
use crate::sys::signal::CallersMask;
use crate::target::{Memberships, Procfs};
use crate::wire::log_line::Level;
use crate::wire::netlink::Bootstrap;
use crate::wire::pid_report::{MAX_REPORT, pid_report};

#[derive(Debug)]
pub(super) struct Parent {
    pub(super) pipe: OwnedFd,
    pub(super) bootstrap: Bootstrap,
    pub(super) procfs: Procfs,
    /// Open until the end: no other namespace can have their numbers meanwhile.
    pub(super) _memberships: Memberships,
    pub(super) context: VerifierContext,
    /// The state that stage 2 must have.
    pub(super) expected: Expected,
    pub(super) child: Channel,
    pub(super) init: Channel,
    pub(super) stage1: (Pid, OwnedFd),
    pub(super) mask: CallersMask,
}

impl Parent {
    /// Ends the process.
    pub(super) fn run(self, log: &Log) -> ! {
        // The name in ps(1) decides nothing.
        let _ = process::set_name(c"runc:[0:PARENT]");
        let mut stage2 = None;
        match self.serve(log, &mut stage2) {
            Ok(()) => {
                log.debug("<~ nsexec stage-0");
                exit_now(0)
            }
            Err(error) => {
                kill(&self.stage1.1);
                if let Some(stage2) = &stage2 {
                    kill(stage2);
                }
                log.fatal(&error)
            }
        }
    }

    /// `stage2` is its pidfd, once it exists.
    fn serve(&self, log: &Log, stage2: &mut Option<OwnedFd>) -> Result<()> {
        log.debug("-> stage-1 synchronisation loop");
        let mut init = None;
        loop {
            let (message, descriptor) = self
                .child
                .receive_from(self.stage1.0)
                .map_err(|errno| receive_failed(1, errno))?
                .ok_or_else(|| lost(1))?;
            match message {
                Message::MapIds => {
                    log.debug("stage-1 requested userns mappings");
                    let stage1 = self.stage1.0;
                    id_maps::write(&self.procfs, stage1, &self.bootstrap, self.mask, log)?;
                }
                Message::SetTimeOffsets => {
                    log.debug("stage-1 requested timens offsets to be configured");
                    self.set_time_offsets(log)?;
                }
                Message::Started(pid) => {
                    log.debug("stage-1 requested pid to be forwarded");
                    let descriptor = descriptor.ok_or_else(|| lost(1))?;
                    if stage2.is_some() {
                        return Err(lost(1));
                    }
                    self.verify(pid, stage2.insert(descriptor))?;
                    init = Some(pid);
                    self.report(pid, log)?;
                }
                Message::Finished if stage2.is_some() => break,
                Message::Finished | Message::Done => return Err(lost(1)),
            }
            self.child
                .send(Message::Done, None)
                .map_err(|errno| lost(1).with_source(errno))?;
        }
        log.debug("stage-1 complete");
        log.debug("<- stage-1 synchronisation loop");
        log.debug("-> stage-2 synchronisation loop");
        log.debug("signalling stage-2 to run");
        self.init
            .send(Message::Done, None)
            .map_err(|errno| lost(2).with_source(errno))?;
        match self.init.receive_from(init.ok_or_else(|| lost(1))?) {
            Ok(Some((Message::Finished, None))) => {}
            Ok(_) => return Err(lost(2)),
            Err(errno) => return Err(receive_failed(2, errno)),
        }
        log.debug("stage-2 complete");
        log.debug("<- stage-2 synchronisation loop");
        Ok(())
    }

    /// Compares stage 2 with the message, before the runtime learns its pid. Stage 2 waits
    /// meanwhile, and does not change its namespaces afterwards.
    fn verify(&self, stage2: Pid, pidfd: &OwnedFd) -> Result<()> {
        let found = self
            .context
            .verify_taken_over(&self.procfs, stage2, &self.expected);
        // An ended process has no state to read, or its pid belongs to another one.
        match pidfd::has_ended(pidfd) {
            Ok(false) => found,
            Ok(true) => Err(lost(2)),
            Err(errno) => Err(lost(2).with_source(errno)),
        }
    }

    fn report(&self, stage2: Pid, log: &Log) -> Result<()> {
        let stage1 = self.stage1.0;
        log.line(
            Level::Debug,
            format_args!("forward stage-1 ({stage1}) and stage-2 ({stage2}) pids to runc"),
        );
        let failed = |errno| {
            Error::new(
                ErrorKind::Protocol,
                "failed to report the pids to the runtime",
            )
            .with_source(errno)
        };
        let mut buffer = [0; MAX_REPORT];
        let report = pid_report(&mut buffer, stage1, stage2);
        match nix::unistd::write(&self.pipe, report).map_err(failed)? {
            written if written == report.len() => Ok(()),
            _ => Err(failed(Errno::EIO)),
        }
    }

    fn set_time_offsets(&self, log: &Log) -> Result<()> {
        let Some(offsets) = &self.bootstrap.time_offsets else {
            return Err(lost(1));
        };
        let path = format!("{}/timens_offsets", self.stage1.0);
        log.line(
            Level::Debug,
            format_args!("update /proc/{path} to '{offsets}'"),
        );
        let c_path = std::ffi::CString::new(path.as_str()).unwrap_or_default();
        self.procfs
            .write(&c_path, offsets.to_string().as_bytes())
            .map_err(|errno| id_maps::update_failed(&path, errno))
    }
}

/// The messages of a stage cannot be read, or another process sends in its place.
fn receive_failed(stage: u8, errno: Errno) -> Error {
    if errno == Errno::EPERM {
        let wrong = format!("failed to sync with stage-{stage}: another process sent its message");
        return Error::new(ErrorKind::Safety, wrong);
    }
    lost(stage).with_source(errno)
}

/// A stage ended, or sent an invalid message.
fn lost(stage: u8) -> Error {
    let wrong = format!("failed to sync with stage-{stage}: it ended");
    Error::new(ErrorKind::System, wrong)
}
