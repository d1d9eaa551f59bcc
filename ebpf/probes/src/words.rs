//! Sets and copies memory one word at a time: for memset and memcpy the linker generates
//! loops over bytes, and volatile accesses avoid both.

use core::ptr;

/// The number of words of a value that can be written this way.
const fn words<T>() -> usize {
    assert!(size_of::<T>() % 8 == 0 && align_of::<T>() == 8);
    size_of::<T>() / 8
}

/// Sets all of a value to zero, its padding too.
///
/// # Safety
/// `out` can be written.
#[inline(always)]
pub(crate) unsafe fn zero<T>(out: *mut T) {
    for index in 0..const { words::<T>() } {
        // SAFETY: guaranteed by the caller; the access is within the value, and aligned
        // like it.
        unsafe { ptr::write_volatile(out.cast::<u64>().add(index), 0) };
    }
}

/// Copies a value.
///
/// # Safety
/// `from` can be read, and `to` written.
#[inline(always)]
pub(crate) unsafe fn copy<T>(from: *const T, to: *mut T) {
    for index in 0..const { words::<T>() } {
        // SAFETY: guaranteed by the caller; the accesses are within both values, and
        // aligned like them.
        unsafe {
            let word = ptr::read_volatile(from.cast::<u64>().add(index));
            ptr::write_volatile(to.cast::<u64>().add(index), word);
        }
    }
}
