//! How the four calls begin and end, whichever kind of program sees it.

use aya_ebpf::helpers::bpf_probe_read_user;
use nsexec_audit_abi::code::{EventFlags, Hook, NAMESPACE_FLAGS, Syscall};

use crate::kernel::{Access, Object};
use crate::namespaces::NamespacePtrs;
use crate::task::TaskPtrs;
use crate::{pending, ring, task};

/// The signal that the child ends with shares the word with the flags.
const CSIGNAL: u64 = 0xff;

/// The hooks of a call: of its beginning, and of its end.
#[inline(always)]
const fn hooks(syscall: Syscall) -> (Hook, Hook) {
    match syscall {
        Syscall::Unshare => (Hook::UnshareEnter, Hook::UnshareExit),
        Syscall::Clone => (Hook::CloneEnter, Hook::CloneExit),
        Syscall::Clone3 => (Hook::Clone3Enter, Hook::Clone3Exit),
        _ => (Hook::SetnsEnter, Hook::SetnsExit),
    }
}

/// A call of the current task begins with these two arguments. Only setns(2) has a
/// second one of interest.
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
    // Of those that make tasks only what asks for a namespace is of interest.
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

/// The pointers for the end of a call. They are loaded before the call is distinguished,
/// or the verifier would check them for each.
#[inline(always)]
pub(crate) fn caller() -> (TaskPtrs, Object) {
    let current = TaskPtrs::current();
    (current, task::parent(&current))
}

/// The same, of its beginning.
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
    // When a task was made, that was written when it was.
    if matches!(syscall, Syscall::Clone | Syscall::Clone3) && (ret >= 0 || pending.is_none()) {
        ring::count(hook, ring::filtered);
    } else {
        pending::write(hook, syscall, task, *parent, pending, ret);
    }
    if let Some(pending) = pending {
        pending::forget(pending);
    }
}
