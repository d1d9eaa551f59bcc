//! The verifier's process: replies to the helper's requests about one child, and ends after the
//! last one.

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg};

use super::context::VerifierContext;
use super::expected::Expected;
use super::refusal::Refusal;
use super::{CHECK, FILES, HAND_OVER, MAX_MESSAGE, MOUNT, MOVE, NO, OPEN, Outside, RENEW, YES};
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
    mut socket: OwnedFd,
    outside: &Outside<'_>,
    context: &VerifierContext,
) -> ! {
    let procfs = &outside.procfs;
    // First of all: a process that is stopped before this outlives the helper.
    if process::bind_to(helper).is_err() || lock_down(outside).is_err() {
        exit_now(1);
    }
    let mut child_files = None;
    let mut message = vec![0; MAX_MESSAGE];
    loop {
        let (length, descriptor) = match receive(&socket, &mut message, context.helper()) {
            Ok((0, _)) => exit_now(0),
            Ok(received) => received,
            Err(Errno::EINTR) => continue,
            Err(_) => exit_now(1),
        };
        let question = message.get(..length).and_then(|question| {
            let (kind, rest) = question.split_first()?;
            let (pid, rest) = rest.split_first_chunk::<4>()?;
            Some((*kind, Pid::new(i32::from_ne_bytes(*pid))?, rest))
        });
        let answered = match question {
            Some((RENEW, _, _)) => replace(&mut socket, descriptor),
            Some((FILES, _, _)) => descriptor
                .map(|descriptor| child_files = Some(descriptor))
                .ok_or(Errno::EPROTO),
            Some((OPEN, child, _)) => answer_open(&socket, procfs, child),
            Some((MOVE, child, _)) => answer_move(&socket, &outside.cgroups, child),
            Some((HAND_OVER, child, _)) => {
                let given = answer_hand_over(&socket, procfs, child, child_files);
                exit_now(u8::from(given.is_err()))
            }
            Some((MOUNT, _, rest)) => {
                let verdict = Expected::decode(rest)
                    .and_then(|expected| context.compare_mount(procfs, &expected));
                match verdict {
                    Ok(()) => descriptor::send(&socket, &[YES], &[]),
                    Err(refusal) => refuse(&socket, &refusal),
                }
            }
            Some((CHECK, child, rest)) => {
                let verdict = Expected::decode(rest)
                    .and_then(|expected| context.compare(procfs, child, &expected));
                let sent = match verdict {
                    Ok(()) => descriptor::send(&socket, &[YES], &[]),
                    Err(refusal) => refuse(&socket, &refusal),
                };
                // Closes its end itself: a helper that cannot close its side still sees the end.
                if !outside.sends_files {
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

fn replace(socket: &mut OwnedFd, descriptor: Option<OwnedFd>) -> Result<(), Errno> {
    *socket = descriptor.ok_or(Errno::EPROTO)?;
    Ok(())
}

/// The next request of the helper, and its descriptor; 0: its end of the socket is closed.
///
/// # Errors
/// EPERM: another process sends. The kernel reports the sender: a process can only name another
/// process in its stead if it sees that process in its own pid namespace and is root of the host.
fn receive(
    socket: &OwnedFd,
    message: &mut [u8],
    helper: Pid,
) -> Result<(usize, Option<OwnedFd>), Errno> {
    let mut space = nix::cmsg_space!(UnixCredentials, [RawFd; 1]);
    let mut parts = [IoSliceMut::new(message)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let received = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    if received.bytes == 0 {
        return Ok((0, None));
    }
    let (mut sender, mut descriptor) = (None, None);
    for control in received.cmsgs()? {
        match control {
            ControlMessageOwned::ScmCredentials(credentials) => sender = Some(credentials.pid()),
            ControlMessageOwned::ScmRights(numbers) => {
                descriptor = numbers.into_iter().map(descriptor::received).next_back();
            }
            _ => {}
        }
    }
    match sender {
        Some(sender) if sender == helper.get() => Ok((received.bytes, descriptor)),
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
    if outside.sends_files {
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

fn answer_hand_over(
    socket: &OwnedFd,
    procfs: &Procfs,
    child: Pid,
    child_files: Option<OwnedFd>,
) -> Result<(), Errno> {
    let child_files = child_files.ok_or(Errno::EPROTO)?;
    own_files::send_files(&child_files, procfs, child)?;
    descriptor::send(socket, &[YES], &[])
}

fn refuse(socket: &OwnedFd, refusal: &Refusal) -> Result<(), Errno> {
    let mut bytes = vec![NO];
    bytes.extend(refusal.encode());
    bytes.truncate(MAX_MESSAGE);
    descriptor::send(socket, &bytes, &[])
}
