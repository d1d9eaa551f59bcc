//! The pipe between libcontainer and the helper.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags};
use nix::sys::stat::{SFlag, fstat};

use crate::error::{Error, ErrorKind, Result};
use crate::stage::waits::{WaitResult, Waits, send_at_once};
use crate::sys::descriptor;
use crate::wire::init_config;

/// The text of a failure to report the pid.
pub(super) const PID: &str = "the pid cannot be reported";

/// The pipe to libcontainer: a socket, or the write end of a pipe.
#[derive(Debug)]
pub(crate) struct InitPipe {
    pub(super) file: OwnedFd,
    pub(super) readable: bool,
    is_socket: bool,
    /// The number of descriptors from 3 up to its own number.
    pub(super) before: u32,
}

impl InitPipe {
    /// Takes the descriptor that _LIBCONTAINER_INITPIPE names.
    ///
    /// # Errors
    /// `Protocol`: it is not open, no socket or pipe, or not open for writing.
    pub(crate) fn take(number: i32) -> Result<Self> {
        let wrong = |what: &str| {
            Error::new(
                ErrorKind::Protocol,
                format!("_LIBCONTAINER_INITPIPE={number}: {what}"),
            )
            .with_hint("give a socket of a pair, or the write end of a pipe")
        };
        let before = u32::try_from(number - 3).map_err(|_| wrong("it is a standard descriptor"))?;
        let file = descriptor::duplicate_number(number).map_err(|_| wrong("it is not open"))?;
        let stat =
            fstat(&file).map_err(|errno| wrong("its type cannot be read").with_source(errno))?;
        let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        if kind != SFlag::S_IFSOCK && kind != SFlag::S_IFIFO {
            return Err(wrong("it is neither a socket nor a pipe"));
        }
        let flags = fcntl(&file, FcntlArg::F_GETFL)
            .map_err(|errno| wrong("its flags cannot be read").with_source(errno))?;
        match OFlag::from_bits_truncate(flags) & OFlag::O_ACCMODE {
            OFlag::O_RDWR => Ok(Self {
                file,
                readable: true,
                is_socket: kind == SFlag::S_IFSOCK,
                before,
            }),
            OFlag::O_WRONLY => Ok(Self {
                file,
                readable: false,
                is_socket: kind == SFlag::S_IFSOCK,
                before,
            }),
            _ => Err(wrong("it is not open for writing")),
        }
    }

    /// Writes all bytes in one write, once there is room: other processes may fill a socket
    /// meanwhile. A plain pipe, for writing only, has no program to start.
    pub(crate) fn write(&self, bytes: &[u8], waits: &dyn Waits) -> WaitResult<()> {
        let failed = |errno| Error::new(ErrorKind::System, PID).with_source(errno);
        let room = PollFd::new(self.file.as_fd(), PollFlags::POLLOUT);
        waits.until(Some(room), None)?;
        if self.is_socket {
            return Ok(send_at_once(self.file.as_raw_fd(), bytes).map_err(failed)?);
        }
        match nix::unistd::write(&self.file, bytes).map_err(failed)? {
            written if written == bytes.len() => Ok(()),
            _ => Err(failed(Errno::EIO).into()),
        }
    }
}

/// The bytes from the pipe up to its end.
pub(super) struct Received {
    pub(super) text: Vec<u8>,
    /// No byte was dropped.
    pub(super) whole: bool,
}

/// Reads to the end: libcontainer shuts its side down after initConfig, and it reads an error only
/// after its whole message was read.
pub(super) fn receive(pipe: &OwnedFd) -> std::result::Result<Received, Errno> {
    let mut text = Vec::new();
    let mut whole = true;
    let mut chunk = [0; 16384];
    loop {
        match nix::unistd::read(pipe, &mut chunk) {
            Ok(0) => return Ok(Received { text, whole }),
            Ok(read) if text.len() + read > init_config::MAX_INIT_CONFIG => whole = false,
            Ok(read) if whole => text.extend(chunk.iter().take(read)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
