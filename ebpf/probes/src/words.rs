//! Setting and copying memory a word at a time: the linker makes a loop over bytes of
//! what the compiler leaves to memset and memcpy, and neither of a volatile access.

use core::ptr;

/// Words of a value that can be written so.
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
        // SAFETY: the caller's; it is within the value, and aligned as it is.
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
        // SAFETY: the caller's; it is within both values, and aligned as they are.
        unsafe {
            let word = ptr::read_volatile(from.cast::<u64>().add(index));
            ptr::write_volatile(to.cast::<u64>().add(index), word);
        }
    }
}
