//! Reading the kernel's memory.

use core::mem::MaybeUninit;

use aya_ebpf::Global;
use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
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
/// of an array, or a void pointer. 0 where that faults: the helper writes it, and
/// nothing is decided here, as the verifier would go on twice.
#[inline(always)]
pub(crate) fn copy<T: Copy>(place: Object) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper writes all of it, whether or not the address can be read;
    // every use is a number, or an address that is copied from in the same way.
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

/// The beginning of such an object, which is copied at once: to copy takes as long for
/// these as for one member.
pub(crate) struct Beginning {
    object: Object,
    words: [u64; 5],
    bytes: usize,
}

impl Beginning {
    /// The object has at least as many bytes: beyond it nothing may be there, and what
    /// faults is all zero.
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

    /// A member, wherever it is.
    #[inline(always)]
    pub(crate) fn member<T: Copy>(&self, offset: &Global<u32>) -> T {
        let place = offset.load() as usize;
        if place + size_of::<T>() > self.bytes {
            return copy(at(self.object, offset));
        }
        // SAFETY: it is within the words, which are numbers, as T is; the verifier
        // knows the place.
        unsafe {
            self.words
                .as_ptr()
                .byte_add(place)
                .cast::<T>()
                .read_volatile()
        }
    }
}

/// How an object is read.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    /// The verifier knows its type.
    Typed,
    /// It does not, or would take long for it: see [`current`](crate::task::current).
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
