//! The target, pinned: the helper opens all of the target's objects before the first join, through
//! descriptors that still refer to the target after its pid is recycled.

pub(crate) mod cgroup;
pub(crate) mod directory;
pub(crate) mod find;
pub(crate) mod finder;
pub(crate) mod label;
pub(crate) mod lookup;
pub(crate) mod namespace;
pub(crate) mod process;
pub(crate) mod procfs_root;
pub(crate) mod regular_file;
pub(crate) mod root_file;
pub(crate) mod socket;

pub(crate) use finder::{Finder, PathResolver};
pub(crate) use namespace::{Join, Memberships};
pub(crate) use process::Target;
pub(crate) use procfs_root::Procfs;
pub(crate) use root_file::RootFile;
