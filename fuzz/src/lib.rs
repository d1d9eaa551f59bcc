//! Properties of the parsers. A fuzz target has two lines and calls one of these
//! functions; `cargo test` runs each over its corpus and its regressions.
//!
//! For a format with a printer, the property prints the parsed value and parses
//! it again: both values must be equal. The fuzzer searches for a failed
//! assertion, and for any panic of a parser.
#![forbid(unsafe_code)]

mod audit;
mod audit_event;
mod audit_report;
mod bootstrap;
mod filter;
mod ids;
mod import;
mod policy;
mod procfs;
mod protocol;
mod raw_bpf;
#[cfg(test)]
mod replay;
mod userdb;

pub use audit::audit_record;
pub use audit_event::audit_event;
pub use audit_report::audit_report;
pub use bootstrap::{id_map_lines, log_escape, netlink, ns_paths, time_offsets};
pub use filter::filter;
pub use ids::{command_line, ids};
pub use import::{import_firecracker, import_kafel, import_minijail, import_systemd};
pub use policy::{landlock_json, landlock_toml, policy_encoding, policy_manifest, seccomp_json};
pub use procfs::{proc_cgroup, proc_environ, proc_id_map, proc_mountinfo, proc_stat, proc_status};
pub use protocol::{argv, env, init_config};
pub use raw_bpf::raw_bpf;
pub use userdb::userdb;

/// The whole of a target: libFuzzer's entry point, or, on stable, a program that
/// does nothing, so that every target is compiled by every build.
#[macro_export]
macro_rules! target {
    ($property:path) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|input: &[u8]| $property(input));
        #[cfg(not(fuzzing))]
        fn main() {}
    };
}
