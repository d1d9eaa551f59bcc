//! `--status-fd`: JSON lines about the plan, the start, the end and a failure.
//!
//! docs/status.schema.json describes their contents.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, SFlag, fstat, major};
use serde_json::{Value, json};

use super::fitness::{self, Use};
use crate::ended::Ended;
use crate::error::{Error, ErrorKind, Result};
use crate::procfs::status::{self, Seccomp};
use crate::request::Pid;
use nsexec_text::printable;

/// The start of the errors about its descriptor.
pub(super) const OPTION: &str = "--status-fd ";

/// The destination of the lines.
///
/// A reader that leaves, or was never there, changes nothing for the program: the helper ignores
/// SIGPIPE, and EPIPE ends only the lines. A reader that does not read blocks the helper, but
/// signals still reach it: while the program runs, lines wait here, and are written once there is
/// room.
#[derive(Debug)]
pub(crate) struct StatusLines {
    fd: OwnedFd,
    /// The caller's number for it.
    number: RawFd,
    waiting: Vec<u8>,
}

/// PIPE_BUF, pipe(7): the number of bytes that a pipe accepts without blocking once poll(2) reports
/// that there is room.
const AT_ONCE: usize = 4096;

impl StatusLines {
    /// Takes a copy of the caller's descriptor.
    ///
    /// # Errors
    /// `Usage`: it is not open, or not for writing.
    pub(crate) fn open(fd: RawFd) -> Result<Self> {
        let taken = fitness::take(ErrorKind::Usage, OPTION, fd, Use::Write)?;
        Ok(Self {
            fd: without_blocking(&taken).unwrap_or(taken),
            number: fd,
            waiting: Vec::new(),
        })
    }

    /// Writes a line, and waits for the reader without a limit. Signals must not be blocked: they
    /// end the helper while it waits.
    ///
    /// # Errors
    /// `System`: the descriptor accepts no lines. A reader that left is no error.
    pub(crate) fn write(&mut self, value: &Value) -> Result<()> {
        self.push(value);
        while !self.waiting.is_empty() {
            match nix::unistd::write(&self.fd, &self.waiting) {
                Ok(written) => drop(self.waiting.drain(..written)),
                Err(Errno::EINTR) => {}
                Err(Errno::EPIPE) => self.waiting.clear(),
                // The caller's end is non-blocking.
                Err(Errno::EAGAIN) => {
                    let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLOUT)];
                    let _ = poll(&mut fds, PollTimeout::NONE);
                }
                Err(errno) => {
                    let number = self.number;
                    let wrong = format!("{OPTION}{number}: descriptor {number} takes no lines");
                    return Err(Error::new(ErrorKind::System, wrong)
                        .with_source(errno)
                        .with_hint("give a file, pipe or socket that has room"));
                }
            }
        }
        Ok(())
    }

    /// Adds a line to the queue.
    pub(crate) fn push(&mut self, value: &Value) {
        self.waiting
            .extend_from_slice(printable::json(value).as_bytes());
        self.waiting.push(b'\n');
    }

    /// Whether lines wait for room.
    pub(crate) fn wait(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes as much as it accepts without blocking, once poll(2) reports that there is room. A
    /// failure ends the lines: it must not change the exit status.
    pub(crate) fn write_some(&mut self) {
        let some = self.waiting.get(..AT_ONCE).unwrap_or(&self.waiting);
        match nix::unistd::write(&self.fd, some) {
            Ok(written) => drop(self.waiting.drain(..written)),
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(_) => self.waiting.clear(),
        }
    }

    /// A failure prevented the start of the program.
    pub(crate) fn failed(&mut self, error: &Error) {
        let line = json!({
            "event": "failed",
            "kind": error.kind().name(),
            "message": error.to_string(),
            "status": error.exit_status(),
        });
        // The caller needs the error itself.
        let _ = self.write(&line);
    }
}

/// UNIX98_PTY_SLAVE_MAJOR and the numbers after it, linux/major.h.
const PTS: std::ops::RangeInclusive<u64> = 136..=143;

/// A pipe or pseudo-terminal, opened again for writing without blocking; `None`: it is something
/// else, or cannot be opened. A flag of the caller's own descriptor would change it for the caller too. A
/// terminal reports room with one free byte, and another writer can fill a pipe after it did.
fn without_blocking(fd: &OwnedFd) -> Option<OwnedFd> {
    let stat = fstat(fd).ok()?;
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL).ok()?);
    let is_pipe = kind == SFlag::S_IFIFO && !flags.contains(OFlag::O_DIRECT);
    // Not /dev/tty and /dev/ptmx: opened again, they are other terminals.
    let is_terminal = kind == SFlag::S_IFCHR && PTS.contains(&major(stat.st_rdev));
    if !is_pipe && !is_terminal {
        return None;
    }
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let again = open(path.as_str(), flags, Mode::empty()).ok()?;
    let found = fstat(&again).ok()?;
    ((found.st_dev, found.st_ino) == (stat.st_dev, stat.st_ino)).then_some(again)
}

impl AsFd for StatusLines {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The program runs: the requested layers, and the state that the kernel reports.
pub(crate) fn started(pid: Pid, layers: &Value, state: &[u8]) -> Value {
    // A program that has ended already has no state to report.
    let observed = status::parse(state).ok().map(|status| {
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
    json!({
        "event": "started",
        "pid": pid.get(),
        "layers": layers,
        "observed": observed,
    })
}

/// The program ended, or a signal ended the helper.
pub(crate) fn ended(ended: Ended, program: &str) -> Value {
    match ended {
        Ended::Exited(status) => json!({ "event": "exited", "status": status }),
        Ended::Signaled(signal) => json!({ "event": "exited", "signal": signal }),
        Ended::Interrupted(signal) => json!({
            "event": "failed",
            "kind": "interrupted",
            "message": format!("{program}: signal {signal} ended nsexec"),
            "signal": signal,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

    use super::*;

    /// A copy of /dev/ptmx would be another terminal, and a copy of a packet pipe would merge lines.
    #[test]
    fn only_pipes_and_pseudo_terminals_are_opened_again() {
        let pty = nix::pty::openpty(None, None).expect("a terminal");
        assert!(without_blocking(&pty.master).is_none());
        assert!(without_blocking(&pty.slave).is_some());
        let (_end, pipe) = nix::unistd::pipe().expect("a pipe");
        assert!(without_blocking(&pipe).is_some());
        let (_end, packets) = nix::unistd::pipe2(OFlag::O_DIRECT).expect("a pipe");
        assert!(without_blocking(&packets).is_none());
        let file = open(c"/proc/self/exe", OFlag::O_RDONLY, Mode::empty()).expect("a file");
        assert!(without_blocking(&file).is_none());
    }

    fn set_flags(fd: &OwnedFd, flags: OFlag) {
        fcntl(fd, FcntlArg::F_SETFL(flags)).expect("F_SETFL");
    }

    /// A terminal reports room with one free byte; a blocking write waits for the rest.
    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a blocking write would never return"
    )]
    fn a_nearly_full_terminal_does_not_block() {
        let pty = nix::pty::openpty(None, None).expect("a terminal");
        let mut raw = tcgetattr(&pty.slave).expect("attributes");
        cfmakeraw(&mut raw);
        tcsetattr(&pty.slave, SetArg::TCSANOW, &raw).expect("attributes");
        set_flags(&pty.slave, OFlag::O_NONBLOCK);
        while nix::unistd::write(&pty.slave, &[b'x'; 256]).is_ok() {}
        set_flags(&pty.slave, OFlag::empty());
        let mut some = [0; 1024];
        nix::unistd::read(&pty.master, &mut some).expect("the first bytes");
        let mut lines = StatusLines::open(pty.slave.as_raw_fd()).expect("status lines");
        lines.push(&json!("x".repeat(64 << 10)));
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for _ in 0..8 {
                lines.write_some();
            }
            sender.send(lines.wait())
        });
        let waits = receiver.recv_timeout(Duration::from_secs(20));
        assert_eq!(
            waits,
            Ok(true),
            "the write blocked, or there was room for all"
        );
    }
}
