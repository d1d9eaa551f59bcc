//! A process executes another program.

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel_str, bpf_probe_read_user};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use nsexec_audit_abi::code::Hook;
use nsexec_audit_abi::field::{Bool, Reserved};
use nsexec_audit_abi::parts::Text;
use nsexec_audit_abi::record::{ARGUMENT_BYTES, Exec, PATH_BYTES};

use crate::kernel::{Access, Object, load};
use crate::offsets::{BPRM_FILENAME, MM_ARG_END, MM_ARG_START};
use crate::task::TaskPtrs;
use crate::{namespaces, ring, task};

#[btf_tracepoint(function = "sched_process_exec")]
pub(crate) fn sched_process_exec(context: BtfTracePointContext) -> i32 {
    let hook = Hook::SchedProcessExec;
    let task = TaskPtrs::current();
    let parent = task::parent(&task);
    ring::count(hook, ring::seen);
    let old_tid: u32 = context.arg(1);
    let program: Object = context.arg(2);
    if let Some(mut entry) = ring::begin::<Exec>(hook) {
        let out = entry.as_mut_ptr();
        // SAFETY: the entry is a record, and every field is written here, except the bytes
        // of a text beyond its length.
        unsafe {
            task::read(&task, &raw mut (*out).actor);
            task::read_id(Access::Typed, parent, &raw mut (*out).parent);
            namespaces::read(&task.namespaces, &raw mut (*out).namespaces);
            (&raw mut (*out).old_tid).write(old_tid);
            path(program, &raw mut (*out).path);
            arguments(task.memory, &raw mut (*out).arguments);
            (&raw mut (*out).reserved).write(Reserved::ZERO);
        }
        ring::submit(hook, entry);
    }
    0
}

/// # Safety
/// `out` can be written.
#[inline(always)]
unsafe fn path(program: Object, out: *mut Text<PATH_BYTES>) {
    let name: u64 = load(program, &BPRM_FILENAME);
    // SAFETY: guaranteed by the caller; the helper fails on an address that cannot be read.
    let read = unsafe {
        let place = &raw mut (*out).bytes;
        bpf_probe_read_kernel_str(place.cast(), PATH_BYTES as u32, name as *const _)
    };
    // Includes the terminating zero, which a cut path has as well.
    let length = if read > 0 { read - 1 } else { 0 };
    // SAFETY: guaranteed by the caller.
    unsafe { head(out, length as u16, read <= 0 || read == PATH_BYTES as i64) };
}

/// # Safety
/// `out` can be written.
#[inline(always)]
unsafe fn arguments(memory: Object, out: *mut Text<ARGUMENT_BYTES>) {
    let start: u64 = load(memory, &MM_ARG_START);
    let whole = load::<u64>(memory, &MM_ARG_END).wrapping_sub(start);
    let mut length = whole;
    if length > ARGUMENT_BYTES as u64 {
        length = ARGUMENT_BYTES as u64;
    }
    // SAFETY: guaranteed by the caller; the helper fails on an address that cannot be read.
    let failed = unsafe {
        let place = &raw mut (*out).bytes;
        bpf_probe_read_user(place.cast(), length as u32, start as *const _)
    } != 0;
    let kept = if failed { 0 } else { length };
    // SAFETY: guaranteed by the caller.
    unsafe { head(out, kept as u16, kept != whole) };
}

/// # Safety
/// `out` can be written.
#[inline(always)]
unsafe fn head<const N: usize>(out: *mut Text<N>, length: u16, cut: bool) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        (&raw mut (*out).length).write(length);
        (&raw mut (*out).cut).write(Bool::new(cut));
        (&raw mut (*out).reserved).write(Reserved::ZERO);
    }
}
