//! The network namespace of a socket of the target (`--net-socket`).
//!
//! The target chooses the file under the number. The process that serves its file system may never
//! reply to an ioctl, nor to the close of a copy, and not even SIGKILL ends that wait. So a
//! separate process copies the descriptor with pidfd_getfd(2), and checks that it is a socket
//! before it asks anything else. The helper waits for its reply, a wait that every signal ends, and
//! leaves it behind.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, getsockopt, recvmsg,
    socketpair, sockopt,
};

use super::Target;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::capability::{Capability, CapabilitySet};
use crate::seccomp::program::Program;
use crate::sys::clone::{Parentage, Side, clone};
use crate::sys::credentials;
use crate::sys::descriptor::{self, received};
use crate::sys::process::exit_now;
use crate::sys::wait::{Change, WaitMode, change};
use crate::sys::{namespace, pidfd, process, seccomp, signal};

/// A reply: the errno of the step that failed, or 0 and the namespace.
type Reply = [u8; 4];

/// The network namespace of descriptor `number` of the target. `filter` restricts the process that
/// takes it.
///
/// # Errors
/// `Target`: the descriptor is not open, or is no socket. `System`: the process cannot be cloned.
pub(crate) fn network_namespace(
    target: &Target,
    number: i32,
    filter: &Program,
    cannot_clone: impl FnOnce(Errno) -> Error,
) -> Result<OwnedFd> {
    let failed = |errno| Error::new(ErrorKind::System, "the copy of a socket").with_source(errno);
    let (own, theirs) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
    .map_err(failed)?;
    // The helper's signals neither end nor stop it.
    let mask = signal::block_all().map_err(failed)?;
    let helper = std::process::id();
    match clone(Parentage::Own) {
        Ok(Side::Child) => {
            drop(own);
            // First of all: a process that is stopped before this outlives the helper.
            let taken = process::bind_to(helper)
                .and_then(|()| lock_down(filter, target.pidfd(), &theirs))
                .and_then(|()| take(target.pidfd(), number));
            // Before any copy is closed.
            let sent = send(&theirs, &taken);
            exit_now(u8::from(sent.is_err()))
        }
        Ok(Side::Parent { child, .. }) => {
            mask.restore().map_err(failed)?;
            drop(theirs);
            let namespace = receive(&own)
                .map_err(failed)?
                .map_err(|errno| refused(target, number, errno))?;
            // It took a socket, whose close waits for no process.
            while !matches!(
                change(child, WaitMode::Block),
                Ok(Some(Change::Exited(_) | Change::Signaled(_))) | Err(Errno::ECHILD)
            ) {}
            Ok(namespace)
        }
        Err(errno) => {
            mask.restore().map_err(failed)?;
            Err(cannot_clone(errno))
        }
    }
}

fn refused(target: &Target, number: i32, errno: Errno) -> Error {
    let pid = target.pid();
    let wrong = format!("descriptor {number} of process {pid}");
    match errno {
        Errno::EBADF => Error::new(ErrorKind::Target, format!("{wrong} is not open"))
            .with_hint(format!("/proc/{pid}/fd lists those that are")),
        errno => Error::new(ErrorKind::Target, wrong)
            .with_source(errno)
            .with_hint("give the number of a socket"),
    }
}

/// Keeps the rights to take a descriptor of the target and to open its namespace. Without
/// CAP_SYS_PTRACE it takes all of the caller's capabilities to take one: the kernel compares them
/// with the target's.
fn lock_down(
    filter: &Program,
    target: BorrowedFd<'_>,
    socket: &OwnedFd,
) -> std::result::Result<(), Errno> {
    let now = credentials::capabilities()?;
    if now.effective.contains(Capability::SYS_PTRACE) {
        let rights = CapabilitySet::EMPTY
            .with(Capability::SYS_PTRACE)
            .with(Capability::NET_ADMIN)
            .intersection(now.effective);
        credentials::keep_only(rights)?;
    }
    process::set_undumpable()?;
    process::set_no_new_privs()?;
    // A process that is left behind must not keep a pipe of the caller's open.
    descriptor::close_all_but(&[target.as_raw_fd(), socket.as_raw_fd()])?;
    seccomp::load(filter)
}

/// The network namespace, and the socket, which the caller of this keeps open.
fn take(
    target: BorrowedFd<'_>,
    number: i32,
) -> std::result::Result<(OwnedFd, std::mem::ManuallyDrop<OwnedFd>), Errno> {
    let socket = pidfd::duplicate(target, number)?;
    let socket = std::mem::ManuallyDrop::new(socket);
    // The kernel answers this itself, for each file: ENOTSOCK.
    getsockopt(&*socket, sockopt::SockType)?;
    Ok((namespace::of_socket(socket.as_fd())?, socket))
}

fn send<T>(
    socket: &OwnedFd,
    taken: &std::result::Result<(OwnedFd, T), Errno>,
) -> std::result::Result<(), Errno> {
    #[expect(
        clippy::as_conversions,
        reason = "the only way from Errno to its number"
    )]
    let reply: Reply = match taken {
        Ok(_) => 0,
        Err(errno) => *errno as i32,
    }
    .to_ne_bytes();
    let namespace = taken
        .as_ref()
        .ok()
        .map(|(namespace, _)| namespace.as_raw_fd());
    descriptor::send(socket, &reply, namespace.as_slice())
}

/// The namespace, or the reason for which there is none.
fn receive(socket: &OwnedFd) -> std::result::Result<std::result::Result<OwnedFd, Errno>, Errno> {
    let mut reply: Reply = [0; 4];
    let mut space = nix::cmsg_space!(RawFd);
    let (length, namespace) = loop {
        let mut parts = [IoSliceMut::new(&mut reply)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(message) => {
                let rights = message.cmsgs()?.find_map(|control| match control {
                    ControlMessageOwned::ScmRights(numbers) => numbers.first().copied(),
                    _ => None,
                });
                break (message.bytes, rights.map(received));
            }
        }
    };
    match (length, i32::from_ne_bytes(reply), namespace) {
        (4, 0, Some(namespace)) => Ok(Ok(namespace)),
        (4, errno, None) if errno != 0 => Ok(Err(Errno::from_raw(errno))),
        // It has ended without a reply.
        _ => Err(Errno::EPIPE),
    }
}
