//! Users, groups and capabilities: the system calls themselves, because the C library's wrappers
//! take locks in order to notify other threads, of which there are none.

use nix::errno::Errno;

use super::check;
use crate::policy::capability::{Capability, CapabilitySet};

/// The three sets that capset(2) writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CapabilityState {
    pub(crate) effective: CapabilitySet,
    pub(crate) permitted: CapabilitySet,
    pub(crate) inheritable: CapabilitySet,
}

/// `struct __user_cap_header_struct`
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`; two of them, the low 32 bits first.
#[repr(C)]
#[derive(Clone, Copy)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// _LINUX_CAPABILITY_VERSION_3
const VERSION_3: u32 = 0x2008_0522;

/// This process's capabilities.
pub(crate) fn capabilities() -> Result<CapabilityState, Errno> {
    let mut header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let mut data = [Data {
        effective: 0,
        permitted: 0,
        inheritable: 0,
    }; 2];
    // SAFETY: capget with version 3 reads a header and writes two data
    // structures; both are there and outlive the call.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) })?;
    let [low, high] = data;
    let join =
        |low: u32, high: u32| CapabilitySet::from_bits(u64::from(high) << 32 | u64::from(low));
    Ok(CapabilityState {
        effective: join(low.effective, high.effective),
        permitted: join(low.permitted, high.permitted),
        inheritable: join(low.inheritable, high.inheritable),
    })
}

/// Gives up every capability but `kept`, of which this process has all: empties the ambient and the
/// inheritable set.
///
/// # Errors
/// Those of [`set_capabilities`].
pub(crate) fn keep_only(kept: CapabilitySet) -> Result<(), Errno> {
    clear_ambient_set()?;
    set_capabilities(CapabilityState {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::EMPTY,
    })
}

/// Sets this process's capabilities.
///
/// # Errors
/// EPERM: a permitted or inheritable capability that it does not have.
pub(crate) fn set_capabilities(state: CapabilityState) -> Result<(), Errno> {
    let mut header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let half = |shift: u32| {
        let part =
            |set: CapabilitySet| u32::try_from(set.bits() >> shift & 0xffff_ffff).unwrap_or(0);
        Data {
            effective: part(state.effective),
            permitted: part(state.permitted),
            inheritable: part(state.inheritable),
        }
    };
    let data = [half(0), half(32)];
    // SAFETY: capset with version 3 reads a header and two data structures;
    // both are there and outlive the call.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) })?;
    Ok(())
}

/// Removes a capability from the bounding set.
///
/// # Errors
/// EINVAL: the kernel has no such capability. EPERM: no CAP_SETPCAP.
pub(crate) fn drop_from_bounding_set(capability: Capability) -> Result<(), Errno> {
    let number = libc::c_ulong::from(capability.number());
    // SAFETY: PR_CAPBSET_DROP takes integers only.
    Errno::result(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) })?;
    Ok(())
}

/// Whether a capability is in the bounding set.
///
/// # Errors
/// EINVAL: the kernel has no such capability.
pub(crate) fn is_in_bounding_set(capability: Capability) -> Result<bool, Errno> {
    let number = libc::c_ulong::from(capability.number());
    // SAFETY: PR_CAPBSET_READ takes integers only.
    let read = Errno::result(unsafe { libc::prctl(libc::PR_CAPBSET_READ, number, 0, 0, 0) })?;
    Ok(read == 1)
}

/// Empties the ambient set.
pub(crate) fn clear_ambient_set() -> Result<(), Errno> {
    // SAFETY: PR_CAP_AMBIENT_CLEAR_ALL takes integers only.
    Errno::result(unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0,
        )
    })?;
    Ok(())
}

/// Whether a capability is in the ambient set.
///
/// # Errors
/// EINVAL: the kernel has no such capability.
pub(crate) fn is_ambient(capability: Capability) -> Result<bool, Errno> {
    let number = libc::c_ulong::from(capability.number());
    // SAFETY: PR_CAP_AMBIENT_IS_SET takes integers only.
    let read = Errno::result(unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_IS_SET,
            number,
            0,
            0,
        )
    })?;
    Ok(read == 1)
}

/// Adds a capability to the ambient set; it must be permitted and inheritable.
pub(crate) fn raise_ambient(capability: Capability) -> Result<(), Errno> {
    let number = libc::c_ulong::from(capability.number());
    // SAFETY: PR_CAP_AMBIENT_RAISE takes integers only.
    Errno::result(unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_RAISE,
            number,
            0,
            0,
        )
    })?;
    Ok(())
}

/// PR_SET_KEEPCAPS: whether permitted capabilities survive a change of user.
pub(crate) fn set_keep_capabilities(keep: bool) -> Result<(), Errno> {
    let keep = libc::c_ulong::from(keep);
    // SAFETY: PR_SET_KEEPCAPS takes integers only.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, keep, 0, 0, 0) })?;
    Ok(())
}

/// Sets the supplementary groups.
pub(crate) fn set_groups(groups: &[u32]) -> Result<(), Errno> {
    // SAFETY: setgroups reads as many gid_t as the first argument states; the slice is that long.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })?;
    Ok(())
}

/// The number of supplementary groups of this process.
pub(crate) fn group_count() -> Result<usize, Errno> {
    let none = std::ptr::null_mut::<libc::gid_t>();
    // SAFETY: with size 0, getgroups writes nothing and returns the count.
    let count = check(unsafe { libc::syscall(libc::SYS_getgroups, 0, none) })?;
    usize::try_from(count).map_err(|_| Errno::EOVERFLOW)
}

/// The supplementary groups of this process, in ascending order.
pub(crate) fn groups() -> Result<Vec<u32>, Errno> {
    let mut groups: Vec<u32> = nix::unistd::getgroups()?
        .into_iter()
        .map(nix::unistd::Gid::as_raw)
        .collect();
    groups.sort_unstable();
    Ok(groups)
}

/// Sets the real, effective and saved group id.
pub(crate) fn set_gid(gid: u32) -> Result<(), Errno> {
    // SAFETY: setresgid takes integers only.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    Ok(())
}

/// Sets the real, effective and saved user id.
pub(crate) fn set_uid(uid: u32) -> Result<(), Errno> {
    // SAFETY: setresuid takes integers only.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })?;
    Ok(())
}
