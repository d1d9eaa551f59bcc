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
    /// The kernel's types are malformed.
    Btf(btf::BtfFault),
    /// The kernel lacks fields that the probes have to read.
    Missing(Vec<String>),
    /// The object cannot be loaded here.
    Object(Box<dyn std::error::Error + Send + Sync>),
    /// The kernel refused a program.
    Program(&'static str, Box<ProgramError>),
    /// A map could not be used.
    Map(&'static str, Box<dyn std::error::Error + Send + Sync>),
    /// The probes read other values for this process than /proc reports.
    Check(io::Error),
    /// The tracepoints of the system calls cannot be found.
    Tracefs,
    /// The existing tasks could not be read.
    Snapshot(io::Error),
    /// A record is invalid.
    Record(Fault),
    /// The kernel refuses the probes, for this reason.
    Unsupported(String),
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
                "this kernel has no {}, which the probes read; Linux 5.15 and later have them",
                members.join(", ")
            ),
            Self::Object(error) => write!(
                f,
                "the probes could not be loaded: {}; this requires CAP_BPF, CAP_PERFMON and the object \
                 of `cargo xtask probes`",
                chain(error.as_ref())
            ),
            Self::Program(name, error) => {
                write!(
                    f,
                    "the kernel refuses {name}: {}",
                    brief(&chain(error.as_ref()))
                )
            }
            Self::Map(name, error) => write!(f, "map {name}: {}", chain(error.as_ref())),
            Self::Check(error) => write!(
                f,
                "the values that the probes read for this process differ from /proc: {error}; \
                 this kernel is not supported"
            ),
            Self::Tracefs => f.write_str(
                "tracefs is not mounted, and this process may not mount it for itself; `mount -t \
                 tracefs tracefs /sys/kernel/tracing` mounts it",
            ),
            Self::Snapshot(error) => write!(f, "the tasks could not be read: {error}"),
            Self::Unsupported(reason) => f.write_str(reason),
            Self::Record(fault) => write!(f, "invalid record of the probes: {fault}"),
        }
    }
}

impl std::error::Error for ProbeError {}

/// The first and the last lines of a text: the verifier's log has its reason at the end,
/// before its statistics, and may be hundreds of lines long.
fn brief(text: &str) -> String {
    const FIRST: usize = 2;
    const LAST: usize = 8;
    let lines: Vec<&str> = text.lines().collect();
    let Some(left_out) = lines.len().checked_sub(FIRST + LAST).filter(|n| *n > 0) else {
        return text.to_owned();
    };
    let (first, last) = (&lines[..FIRST], &lines[FIRST + left_out..]);
    format!(
        "{}\n... {left_out} lines of the verifier's log left out ...\n{}",
        first.join("\n"),
        last.join("\n")
    )
}

/// An error and its causes.
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

#[cfg(test)]
mod tests {
    use super::brief;

    #[test]
    fn a_long_log_is_shown_by_its_first_and_last_lines() {
        let short = "a\nb";
        assert_eq!(brief(short), short);
        let lines: Vec<String> = (1..=150).map(|n| n.to_string()).collect();
        let shown = brief(&lines.join("\n"));
        assert_eq!(shown.lines().count(), 11);
        assert!(shown.starts_with("1\n2\n... 140 lines"), "{shown}");
        assert!(shown.ends_with("\n149\n150"), "{shown}");
    }
}
