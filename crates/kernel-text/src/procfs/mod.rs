//! Readers of the text files of /proc. Their content is partly the target's to choose.
#![forbid(unsafe_code)]

pub mod cgroup;
pub mod decimal;
pub mod environ;
pub mod id_map;
pub mod mountinfo;
pub mod pending;
pub mod stat;
pub mod status;
