//! Reads the kernel's memory.

use core::mem::MaybeUninit;

use aya_ebpf::Global;
use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use nsexec_audit_abi::offsets::ABSENT;

/// A kernel object, of a type that the verifier may know.
pub(crate) type Object = *const u8;

/// An offset in an object.
#[inline(always)]
pub(crate) fn at(object: Object, offset: &Global<u32>) -> Object {
    object.wrapping_add(offset.load() as usize)
}

/// Whether this kernel has the member. The verifier knows the value, and does not check
/// code that this condition excludes.
#[inline(always)]
pub(crate) fn has(offset: &Global<u32>) -> bool {
    offset.load() != ABSENT
}

/// Loads a member of an object with a type that the verifier knows: the verifier refuses
/// loads across two members, and knows the type of a loaded pointer. A faulting load gives
/// 0.
#[inline(always)]
pub(crate) fn load<T: Copy>(object: Object, offset: &Global<u32>) -> T {
    load_at(at(object, offset))
}

/// The same for a member of a member.
#[inline(always)]
pub(crate) fn load_in<T: Copy>(object: Object, outer: &Global<u32>, inner: &Global<u32>) -> T {
    load_at(at(at(object, outer), inner))
}

#[inline(always)]
pub(crate) fn load_at<T: Copy>(place: Object) -> T {
    // SAFETY: the verifier accepts only a load from a typed pointer, within a member of its
    // type, and makes a faulting load give 0.
    unsafe { core::ptr::read_volatile(place.cast()) }
}

/// Copies an object behind a pointer without a type: one from an array, or a void pointer.
/// A faulting copy gives 0, written by the helper. There is no branch here, because the
/// verifier would check the rest twice.
#[inline(always)]
pub(crate) fn copy<T: Copy>(place: Object) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper writes all of it, whether or not the address can be read; every
    // use is a number, or an address that is copied from in the same way.
    unsafe {
        bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            place.cast(),
        );
        value.assume_init()
    }
}

/// Copies a member of such an object.
#[inline(always)]
pub(crate) fn copy_pointer(object: Object, offset: &Global<u32>) -> Object {
    copy::<u64>(at(object, offset)) as Object
}

/// The beginning of such an object, copied at once: a copy of all these words takes as long
/// as a copy of one member.
pub(crate) struct Beginning {
    object: Object,
    words: [u64; 5],
    bytes: usize,
}

impl Beginning {
    /// The object has at least this many bytes: memory beyond it may be unmapped, and a
    /// fault makes all of them zero.
    #[inline(always)]
    pub(crate) fn of(object: Object, bytes: usize) -> Self {
        let mut words = [0_u64; 5];
        let bytes = bytes.min(size_of_val(&words));
        // SAFETY: the helper writes at most the words, whether or not they can be read.
        unsafe {
            bpf_probe_read_kernel(words.as_mut_ptr().cast(), bytes as u32, object.cast());
        }
        Self {
            object,
            words,
            bytes,
        }
    }

    /// A member, whichever way the object is read.
    #[inline(always)]
    pub(crate) fn member<T: Copy>(&self, offset: &Global<u32>) -> T {
        let place = offset.load() as usize;
        if place + size_of::<T>() > self.bytes {
            return copy(at(self.object, offset));
        }
        // SAFETY: the offset is within the words, which are integers, as T is; the verifier
        // knows the offset.
        unsafe {
            self.words
                .as_ptr()
                .byte_add(place)
                .cast::<T>()
                .read_volatile()
        }
    }
}

/// The way of reading an object.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    /// The verifier knows its type.
    Typed,
    /// The verifier does not know its type, or would take long for it: see
    /// [`current`](crate::task::current).
    ProbeRead,
}

impl Access {
    #[inline(always)]
    pub(crate) fn pointer(self, object: Object, offset: &Global<u32>) -> Object {
        match self {
            Self::Typed => load(object, offset),
            Self::ProbeRead => copy_pointer(object, offset),
        }
    }

    #[inline(always)]
    pub(crate) fn value<T: Copy>(self, object: Object, offset: &Global<u32>) -> T {
        self.value_at(at(object, offset))
    }

    #[inline(always)]
    pub(crate) fn value_at<T: Copy>(self, place: Object) -> T {
        match self {
            Self::Typed => load_at(place),
            Self::ProbeRead => copy(place),
        }
    }
}
