//! The descriptor of setns(2).
//!
//! A descriptor is found through an array of pointers, so the verifier knows no type from
//! there on, and everything is copied. The tests compare the results with the kernel's.

use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use nsexec_audit_abi::code::Source;
use nsexec_audit_abi::parts::Target;

use crate::kernel::{Beginning, Object, at, copy, copy_pointer, has, load};
use crate::offsets::*;

/// NSFS_MAGIC and PID_FS_MAGIC of linux/magic.h.
const NSFS: u64 = 0x6e73_6673;
const PIDFS: u64 = 0x5049_4446;

/// The superblock of nsfs, once it was found: there is only one, and it exists as long as
/// the kernel runs.
#[map]
static NSFS_SUPERBLOCK: Array<u64> = Array::with_max_entries(1, 0);

/// The magic number of a file system.
#[inline(always)]
fn file_system(superblock: Object) -> u64 {
    let known = NSFS_SUPERBLOCK.get_ptr_mut(0);
    // SAFETY: a value of the map.
    let is_known = known.is_some_and(|known| unsafe { known.read_volatile() } == superblock as u64);
    // Null if it could not be read, which is the map's initial value.
    if is_known && !superblock.is_null() {
        return NSFS;
    }
    let magic = copy(at(superblock, &SB_MAGIC));
    if let (Some(known), NSFS) = (known, magic) {
        // SAFETY: the same; concurrent writers write the same value.
        unsafe { known.write_volatile(superblock as u64) };
    }
    magic
}

/// Fills in the current object of the descriptor of `task`; another thread may replace it
/// before the kernel uses it.
#[inline(always)]
pub(crate) fn read(task: Object, fd: i32, out: &mut Target) {
    let files: Object = load(task, &TASK_FILES);
    let table: Object = load(files, &FILES_FDT);
    let count: u32 = load(table, &FDTABLE_MAX_FDS);
    let array: u64 = load(table, &FDTABLE_FD);
    out.source = Source::Closed;
    let index = fd as u32;
    if fd < 0 || index >= count {
        return;
    }
    let slot = array.wrapping_add(u64::from(index) * 8) as Object;
    let file = copy::<u64>(slot) as Object;
    if file.is_null() {
        return;
    }
    let inode = copy_pointer(file, &FILE_INODE);
    match file_system(copy_pointer(inode, &INODE_SB)) {
        NSFS => {
            // Before Linux 6.18 the structure is smaller, and may be at the end of its
            // namespace structure.
            let bytes = if has(&NS_ID) { 40 } else { 24 };
            let namespace = Beginning::of(copy_pointer(inode, &INODE_PRIVATE), bytes);
            out.source = Source::Nsfs;
            out.inum = namespace.member(&NS_INUM);
            if has(&NS_ID) {
                out.id = namespace.member(&NS_ID);
            }
            if has(&NS_TYPE) {
                out.flag = namespace.member(&NS_TYPE);
            } else if has(&NS_OPS_TYPE) {
                let operations = namespace.member::<u64>(&NS_OPS) as Object;
                out.flag = copy(at(operations, &NS_OPS_TYPE));
            }
        }
        PIDFS => {
            let pid = copy_pointer(inode, &INODE_PRIVATE);
            out.source = Source::Pidfd;
            out.inum = copy::<u64>(at(inode, &INODE_INO)) as u32;
            // Its number in the initial pid namespace.
            out.pid = copy(at(at(pid, &PID_NUMBERS), &UPID_NR));
        }
        _ => out.source = Source::Other,
    }
}
