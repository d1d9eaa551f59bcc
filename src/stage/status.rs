//! `--status-fd`: JSON lines about what was planned, started and ended.

use std::os::fd::{OwnedFd, RawFd};

use serde_json::{Value, json};

use super::supervise::Ended;
use crate::error::{Error, ErrorKind, Result};
use crate::procfs::status::{self, Seccomp};
use crate::request::Pid;
use crate::sys::descriptor;

/// Where the lines go. A reader that has gone away does not end the program:
/// signals are blocked while it is supervised, and EPIPE is passed over.
#[derive(Debug)]
pub(crate) struct StatusLines(OwnedFd);

impl StatusLines {
    /// Takes a copy of the caller's descriptor.
    pub(crate) fn open(fd: RawFd) -> Result<Self> {
        let copy = descriptor::duplicate_number(fd).map_err(|errno| {
            Error::new(ErrorKind::Usage, format!("--status-fd {fd}"))
                .because(errno)
                .right("give the number of an open descriptor")
        })?;
        Ok(Self(copy))
    }

    pub(crate) fn write(&self, value: &Value) -> Result<()> {
        let mut line = value.to_string();
        line.push('\n');
        let mut left = line.as_bytes();
        while !left.is_empty() {
            match nix::unistd::write(&self.0, left) {
                Ok(written) => left = left.get(written..).unwrap_or_default(),
                Err(nix::errno::Errno::EINTR) => {}
                Err(nix::errno::Errno::EPIPE) => return Ok(()),
                Err(errno) => {
                    return Err(Error::new(ErrorKind::System, "--status-fd").because(errno));
                }
            }
        }
        Ok(())
    }

    /// The program runs: what was asked for, and what the kernel says of it.
    pub(crate) fn started(&self, pid: Pid, layers: &Value, state: &OwnedFd) -> Result<()> {
        let mut buffer = [0; 8192];
        let read = nix::sys::uio::pread(state, &mut buffer, 0);
        let text = buffer.get(..read.unwrap_or(0)).unwrap_or_default();
        // A program that has ended already has no state left to tell.
        let observed = status::parse(text).ok().map(|status| {
            json!({
                "uid": status.uids.effective,
                "gid": status.gids.effective,
                "no_new_privs": status.no_new_privs,
                "seccomp": match status.seccomp {
                    Seccomp::Disabled => 0,
                    Seccomp::Strict => 1,
                    Seccomp::Filter => 2,
                },
                "seccomp_filters": status.seccomp_filters,
                "cap_inheritable": format!("{:016x}", status.inheritable.bits()),
                "cap_permitted": format!("{:016x}", status.permitted.bits()),
                "cap_effective": format!("{:016x}", status.effective.bits()),
                "cap_bounding": format!("{:016x}", status.bounding.bits()),
                "cap_ambient": format!("{:016x}", status.ambient.bits()),
            })
        });
        self.write(&json!({
            "event": "started",
            "pid": pid.get(),
            "layers": layers,
            "observed": observed,
        }))
    }

    pub(crate) fn ended(&self, ended: Ended) -> Result<()> {
        self.write(&match ended {
            Ended::Exited(status) => json!({ "event": "exited", "status": status }),
            Ended::Signaled(signal) => json!({ "event": "exited", "signal": signal }),
        })
    }
}
