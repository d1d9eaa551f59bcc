//! Stage 2: a session of its own, user and group 0; then the runtime takes over.

use nix::errno::Errno;

use super::channel::{Channel, Message};
use crate::error::{Error, ErrorKind, Result};
use crate::library::Callers;
use crate::library::log::Log;
use crate::sys::{credentials, process, terminal};
use crate::wire::netlink::Bootstrap;

#[derive(Debug)]
pub(super) struct Init {
    pub(super) parent: Channel,
    pub(super) callers: Callers,
    pub(super) bootstrap: Bootstrap,
}

impl Init {
    /// Returns to the runtime.
    pub(super) fn run(self, log: &Log) -> Result<()> {
        let _ = process::set_name(c"runc:[2:INIT]");
        log.debug("~> nsexec stage-2");
        let system = |wrong: &'static str| {
            move |errno: Errno| Error::new(ErrorKind::System, wrong).with_source(errno)
        };
        let gone = system("cannot communicate with stage 0");
        match self.parent.receive().map_err(&gone)? {
            Some((Message::Done, None)) => {}
            Some(_) => return Err(gone(Errno::EPROTO)),
            None => return Err(gone(Errno::EPIPE)),
        }
        terminal::new_session().map_err(system("setsid failed"))?;
        credentials::set_uid(0).map_err(system("setuid failed"))?;
        credentials::set_gid(0).map_err(system("setgid failed"))?;
        if self.bootstrap.setgroups && !self.bootstrap.rootless_euid {
            credentials::set_groups(&[]).map_err(system("setgroups failed"))?;
        }
        // A change of ids has set it to the value of suid_dumpable. In namespaces of another
        // process, that process must not inspect this one. Runs before stage 0 ends, because no
        // process receives a later failure.
        let dumpable = (!self.bootstrap.join.is_empty()).then_some(0);
        self.callers.restore(dumpable)?;
        log.debug("signal completion to stage-0");
        self.parent.send(Message::Finished, None).map_err(gone)?;
        log.debug("<= nsexec container setup");
        log.debug("booting up go runtime ...");
        self.parent.close();
        Ok(())
    }
}
