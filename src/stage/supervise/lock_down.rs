//! The lock-down of the helper while it waits for the program.

use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::errno::Errno;

use super::Supervisor;
use crate::error::{Error, ErrorKind, Result};
use crate::landlock::ruleset::Domain;
use crate::policy::capability::{Capability, CapabilitySet};
use crate::seccomp::program::Program;
use crate::sys::credentials;
use crate::sys::{descriptor, process, seccomp};

impl Supervisor {
    /// Gives up every right that waiting does not need: every capability but CAP_KILL, the file
    /// system, TCP, abstract sockets, all but a few system calls, and every descriptor but its own,
    /// `others` and standard error.
    pub(crate) fn lock_down(
        &self,
        domain: Option<Domain>,
        filter: &Program,
        others: &[RawFd],
    ) -> Result<()> {
        let failed = |layer: &'static str| {
            move |errno: Errno| {
                let wrong = format!("the helper's own {layer} cannot be put in force");
                Error::new(ErrorKind::LockDown, wrong).with_source(errno)
            }
        };
        let now = credentials::capabilities().map_err(failed("capabilities"))?;
        if now.effective.contains(Capability::SETPCAP) {
            drop_bounding_set().map_err(failed("bounding set"))?;
        }
        process::set_no_new_privs().map_err(failed("no_new_privs"))?;
        let kill = CapabilitySet::EMPTY
            .with(Capability::KILL)
            .intersection(now.permitted);
        credentials::keep_only(kill).map_err(failed("capabilities"))?;
        process::set_undumpable().map_err(failed("dumpable flag"))?;
        if let Some(domain) = domain {
            domain.enter().map_err(failed("Landlock domain"))?;
            drop(domain);
        }
        self.close_all_but(others).map_err(failed("descriptors"))?;
        seccomp::load(filter).map_err(failed("seccomp filter"))
    }

    /// The caller's descriptors belong to the program alone: once it closes a pipe, the reader
    /// must see the end. No value of this process owns one of the closed descriptors.
    fn close_all_but(&self, others: &[RawFd]) -> std::result::Result<(), Errno> {
        let mut kept = vec![2, self.pidfd.as_raw_fd()];
        kept.extend(self.state.iter().map(AsRawFd::as_raw_fd));
        kept.push(self.signals.as_fd().as_raw_fd());
        kept.extend(self.lines.iter().map(|lines| lines.as_fd().as_raw_fd()));
        if let Some(starting) = &self.starting {
            kept.push(starting.report.number());
            kept.extend(starting.stat.iter().map(AsRawFd::as_raw_fd));
        }
        kept.extend(others);
        descriptor::close_all_but(&kept)
    }
}

/// Takes everything but CAP_KILL out of the bounding set.
fn drop_bounding_set() -> std::result::Result<(), Errno> {
    for capability in CapabilitySet::from_bits(u64::MAX).iter() {
        if capability == Capability::KILL {
            continue;
        }
        match credentials::drop_from_bounding_set(capability) {
            Ok(()) => {}
            // Past the kernel's last capability.
            Err(Errno::EINVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
