//! Reading the kernel's memory.

use aya_ebpf::Global;
use aya_ebpf::helpers::bpf_probe_read_kernel;
use nsexec_audit_abi::offsets::ABSENT;

/// Something of the kernel's, of a type that the verifier may know.
pub(crate) type Object = *const u8;

/// A place in an object.
#[inline(always)]
pub(crate) fn at(object: Object, offset: &Global<u32>) -> Object {
    object.wrapping_add(offset.load() as usize)
}

/// Whether this kernel has the member. Code that it guards is not even checked
/// where it has not: the verifier knows the answer.
#[inline(always)]
pub(crate) fn has(offset: &Global<u32>) -> bool {
    offset.load() != ABSENT
}

/// Loads a member of an object whose type the verifier knows: it takes no
/// program that loads parts of two members, and it knows the type of what a
/// pointer points to. A load that faults gives 0.
#[inline(always)]
pub(crate) fn load<T: Copy>(object: Object, offset: &Global<u32>) -> T {
    load_at(at(object, offset))
}

/// The same, of a member of a member.
#[inline(always)]
pub(crate) fn load_in<T: Copy>(object: Object, outer: &Global<u32>, inner: &Global<u32>) -> T {
    load_at(at(at(object, outer), inner))
}

#[inline(always)]
pub(crate) fn load_at<T: Copy>(place: Object) -> T {
    // SAFETY: the verifier takes a load from a typed pointer only, within a member
    // of its type, and makes one that faults give 0.
    unsafe { core::ptr::read_volatile(place.cast()) }
}

/// Copies what a pointer points to whose type the verifier does not know: one out
/// of an array, or a void pointer. 0 where that faults.
#[inline(always)]
pub(crate) fn copy<T: Copy + Default>(place: Object) -> T {
    // SAFETY: the helper fails on an address that cannot be read.
    unsafe { bpf_probe_read_kernel(place.cast()) }.unwrap_or_default()
}

/// Copies a member of such an object.
#[inline(always)]
pub(crate) fn copy_pointer(object: Object, offset: &Global<u32>) -> Object {
    copy::<u64>(at(object, offset)) as Object
}
