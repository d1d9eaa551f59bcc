//! Errors of loading and reading the probes.

use std::fmt;
use std::io;

use aya::programs::ProgramError;
use nsexec_audit_abi::Fault;

use super::btf;

/// The probes cannot be loaded or read.
#[derive(Debug)]
pub enum ProbeError {
    /// The kernel's types could not be read.
    Types(io::Error),
    /// They are not what they should be.
    Btf(btf::BtfFault),
    /// The kernel lacks what the probes have to read.
    Missing(Vec<String>),
    /// The object is not one that can be loaded here.
    Object(Box<dyn std::error::Error + Send + Sync>),
    /// The kernel did not take a program.
    Program(&'static str, Box<ProgramError>),
    /// A map could not be used.
    Map(&'static str, Box<dyn std::error::Error + Send + Sync>),
    /// The probes read other values of this process than /proc has.
    Check(io::Error),
    /// The tracepoints of the system calls cannot be found.
    Tracefs,
    /// The tasks that are there could not be read.
    Snapshot(io::Error),
    /// A record is not one.
    Record(Fault),
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Types(error) => write!(
                f,
                "{}: {error}; the kernel has to be built with CONFIG_DEBUG_INFO_BTF",
                btf::KERNEL
            ),
            Self::Btf(fault) => write!(f, "{}: {fault}", btf::KERNEL),
            Self::Missing(members) => write!(
                f,
                "this kernel has no {}; Linux 6.1 and 6.18 have them",
                members.join(", ")
            ),
            Self::Object(error) => write!(
                f,
                "the probes could not be loaded: {}; this requires CAP_BPF, CAP_PERFMON and the object \
                 of `cargo xtask probes`",
                chain(error.as_ref())
            ),
            Self::Program(name, error) => {
                write!(f, "the kernel refuses {name}: {}", chain(error.as_ref()))
            }
            Self::Map(name, error) => write!(f, "map {name}: {}", chain(error.as_ref())),
            Self::Check(error) => write!(
                f,
                "the probes do not read this process as it is: {error}; this kernel is not \
                 supported"
            ),
            Self::Tracefs => f.write_str(
                "tracefs is not mounted, and this process may not mount it for itself; `mount -t \
                 tracefs tracefs /sys/kernel/tracing` mounts it",
            ),
            Self::Snapshot(error) => write!(f, "the tasks could not be read: {error}"),
            Self::Record(fault) => write!(f, "invalid record of the probes: {fault}"),
        }
    }
}

impl std::error::Error for ProbeError {}

/// An error and what caused it.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = error.source();
    }
    text
}
