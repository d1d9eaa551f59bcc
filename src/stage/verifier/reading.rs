//! The verifier's process: replies to two requests about one child, and ends.

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg};

use super::context::VerifierContext;
use super::expected::Expected;
use super::refusal::Refusal;
use super::{CHECK, HAND_OVER, MAX_MESSAGE, MOUNT, MOVE, NO, OPEN, Outside, YES};
use crate::policy::capability::{Capability, CapabilitySet};
use crate::prepare::filters;
use crate::request::Pid;
use crate::stage::own_files;
use crate::sys::credentials;
use crate::sys::process::exit_now;
use crate::sys::{descriptor, process, seccomp};
use crate::target::process::path;
use crate::target::{Procfs, cgroup};

/// Replies until the last request is done, or no process is left to send one.
pub(super) fn run(
    helper: u32,
    socket: &OwnedFd,
    outside: &Outside<'_>,
    context: &VerifierContext,
) -> ! {
    let procfs = &outside.procfs;
    // First of all: a process that is stopped before this outlives the helper.
    if process::bind_to(helper).is_err() || lock_down(outside).is_err() {
        exit_now(1);
    }
    let mut message = vec![0; MAX_MESSAGE];
    loop {
        let length = match receive(socket, &mut message, context.helper()) {
            Ok(0) => exit_now(0),
            Ok(length) => length,
            Err(Errno::EINTR) => continue,
            Err(_) => exit_now(1),
        };
        let question = message.get(..length).and_then(|question| {
            let (kind, rest) = question.split_first()?;
            let (pid, rest) = rest.split_first_chunk::<4>()?;
            Some((*kind, Pid::new(i32::from_ne_bytes(*pid))?, rest))
        });
        let answered = match question {
            Some((OPEN, child, _)) => answer_open(socket, procfs, child),
            Some((MOVE, child, _)) => answer_move(socket, &outside.cgroups, child),
            Some((HAND_OVER, child, _)) => {
                let given = answer_hand_over(socket, outside, child);
                exit_now(u8::from(given.is_err()))
            }
            Some((MOUNT, _, rest)) => {
                let verdict = Expected::decode(rest)
                    .and_then(|expected| context.compare_mount(procfs, &expected));
                match verdict {
                    Ok(()) => descriptor::send(socket, &[YES], &[]),
                    Err(refusal) => refuse(socket, &refusal),
                }
            }
            Some((CHECK, child, rest)) => {
                let verdict = Expected::decode(rest)
                    .and_then(|expected| context.compare(procfs, child, &expected));
                let sent = match verdict {
                    Ok(()) => descriptor::send(socket, &[YES], &[]),
                    Err(refusal) => refuse(socket, &refusal),
                };
                // Closes its end itself: a helper that cannot close its side still sees the end.
                if outside.child_files.is_none() {
                    exit_now(u8::from(sent.is_err()))
                }
                sent
            }
            _ => Err(Errno::EPROTO),
        };
        if answered.is_err() {
            exit_now(1);
        }
    }
}

/// The next request of the helper; 0: its end of the socket is closed.
///
/// # Errors
/// EPERM: another process sends. The kernel reports the sender: a process can only name another
/// process in its stead if it sees that process in its own pid namespace and is root of the host.
fn receive(socket: &OwnedFd, message: &mut [u8], helper: Pid) -> Result<usize, Errno> {
    // Room for the sender's credentials and no descriptors: the kernel passes none then.
    let mut space = nix::cmsg_space!(UnixCredentials);
    let mut parts = [IoSliceMut::new(message)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let received = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    if received.bytes == 0 {
        return Ok(0);
    }
    let sender = received.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmCredentials(sender) => Some(sender.pid()),
        _ => None,
    });
    match sender {
        Some(sender) if sender == helper.get() => Ok(received.bytes),
        _ => Err(Errno::EPERM),
    }
}

/// Keeps the capabilities and the calls that the replies need.
fn lock_down(outside: &Outside<'_>) -> Result<(), Errno> {
    let now = credentials::capabilities()?;
    // To read another process.
    let mut kept = CapabilitySet::EMPTY.with(Capability::SYS_PTRACE);
    if outside.cgroups.join().is_some() {
        // To move a process out of a cgroup that another user owns; and, into another cpuset, a
        // process with capabilities that this one lacks (cap_safe_nice in security/commoncap.c).
        kept = kept
            .with(Capability::DAC_OVERRIDE)
            .with(Capability::SYS_NICE);
    }
    if outside.child_files.is_some() {
        // To clone a mount.
        kept = kept.with(Capability::SYS_ADMIN);
    }
    let kept = kept.intersection(now.permitted);
    let filter = filters::verifier().map_err(|_| Errno::EINVAL)?;
    credentials::keep_only(kept)?;
    process::set_undumpable()?;
    process::set_no_new_privs()?;
    seccomp::load(&filter)
}

fn answer_open(socket: &OwnedFd, procfs: &Procfs, child: Pid) -> Result<(), Errno> {
    let open = |name| procfs.open_file(&path(child, name));
    match open("stat").and_then(|stat| Ok((stat, open("status")?))) {
        Ok((stat, status)) => {
            descriptor::send(socket, &[YES], &[stat.as_raw_fd(), status.as_raw_fd()])
        }
        Err(errno) => refuse(socket, &Refusal::hidden(child, errno)),
    }
}

fn answer_move(socket: &OwnedFd, cgroups: &cgroup::Decision, child: Pid) -> Result<(), Errno> {
    let procs = cgroups.join().map_or(&[][..], |join| &join.procs);
    for procs in procs {
        if let Err(errno) = nix::unistd::write(procs, child.to_string().as_bytes()) {
            return refuse(socket, &Refusal::cgroup(errno));
        }
    }
    descriptor::send(socket, &[YES], &[])
}

fn answer_hand_over(socket: &OwnedFd, outside: &Outside<'_>, child: Pid) -> Result<(), Errno> {
    if let Some(child_files) = &outside.child_files {
        own_files::send_files(child_files, &outside.procfs, child)?;
    }
    descriptor::send(socket, &[YES], &[])
}

fn refuse(socket: &OwnedFd, refusal: &Refusal) -> Result<(), Errno> {
    let mut bytes = vec![NO];
    bytes.extend(refusal.encode());
    bytes.truncate(MAX_MESSAGE);
    descriptor::send(socket, &bytes, &[])
}
