//! The beginning and the end of the four calls, for every kind of program.

use aya_ebpf::helpers::bpf_probe_read_user;
use nsexec_audit_abi::code::{EventFlags, Hook, NAMESPACE_FLAGS, Syscall};

use crate::kernel::{Access, Object};
use crate::namespaces::NamespacePtrs;
use crate::task::TaskPtrs;
use crate::{pending, ring, task};

/// The exit signal of the child shares this word with the flags.
const CSIGNAL: u64 = 0xff;

/// The hooks of a call: for its beginning and for its end.
#[inline(always)]
const fn hooks(syscall: Syscall) -> (Hook, Hook) {
    match syscall {
        Syscall::Unshare => (Hook::UnshareEnter, Hook::UnshareExit),
        Syscall::Clone => (Hook::CloneEnter, Hook::CloneExit),
        Syscall::Clone3 => (Hook::Clone3Enter, Hook::Clone3Exit),
        _ => (Hook::SetnsEnter, Hook::SetnsExit),
    }
}

/// A call of the current task begins with these two arguments. Only setns(2) uses the
/// second one.
#[inline(always)]
pub(crate) fn begins(
    (current, namespaces): &(Object, NamespacePtrs),
    syscall: Syscall,
    first: u64,
    second: impl FnOnce() -> u64,
) {
    let hook = ring::hidden(hooks(syscall).0);
    ring::count(hook, ring::seen);
    let (flags, notes, fd) = match syscall {
        Syscall::Setns => (
            u64::from(second() as u32),
            EventFlags::NONE,
            Some(first as i32),
        ),
        Syscall::Clone3 => match read(first) {
            Some(flags) => (flags, EventFlags::FLAGS_RACY, None),
            None => (
                0,
                EventFlags::FLAGS_RACY.and(EventFlags::FLAGS_UNREAD),
                None,
            ),
        },
        Syscall::Clone => (
            first & u64::from(u32::MAX) & !CSIGNAL,
            EventFlags::NONE,
            None,
        ),
        _ => (first, EventFlags::NONE, None),
    };
    let makes_tasks = matches!(syscall, Syscall::Clone | Syscall::Clone3);
    // Of the calls that create tasks, only those that request a namespace are of interest.
    if makes_tasks && flags & NAMESPACE_FLAGS == 0 && !notes.has(EventFlags::FLAGS_UNREAD) {
        ring::count(hook, ring::filtered);
    } else {
        pending::start(hook, syscall, *current, namespaces, (flags, notes), fd);
    }
}

/// The flags are the first member of `struct clone_args`.
#[inline(always)]
fn read(arguments: u64) -> Option<u64> {
    // SAFETY: the helper fails on an address that cannot be read.
    unsafe { bpf_probe_read_user(arguments as *const u64) }.ok()
}

/// The pointers for the end of a call. They are loaded before the calls are distinguished,
/// because the verifier would check the loads once per call.
#[inline(always)]
pub(crate) fn caller() -> (TaskPtrs, Object) {
    let current = TaskPtrs::current();
    (current, task::parent(&current))
}

/// The same for its beginning.
#[inline(always)]
pub(crate) fn namespaces() -> (Object, NamespacePtrs) {
    let current = task::current();
    (current, NamespacePtrs::of(current, Access::Typed))
}

/// A call ends, in the caller.
#[inline(always)]
pub(crate) fn ends((task, parent): &(TaskPtrs, Object), syscall: Syscall, ret: i64) {
    let hook = ring::hidden(hooks(syscall).1);
    ring::count(hook, ring::seen);
    let pending = pending::find();
    // If a task was created, the record was written at its creation.
    if matches!(syscall, Syscall::Clone | Syscall::Clone3) && (ret >= 0 || pending.is_none()) {
        ring::count(hook, ring::filtered);
    } else {
        pending::write(hook, syscall, task, *parent, pending, ret);
    }
    if let Some(pending) = pending {
        pending::forget(pending);
    }
}
