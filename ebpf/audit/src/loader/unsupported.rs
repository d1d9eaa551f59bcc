//! The reason why a kernel refuses the probes, if it is known: an operator can act on
//! a reason, but not on the verifier's log.

use std::fs;

use super::error::ProbeError;

/// The oldest kernel on which the probes were seen to load, with both backends.
const OLDEST: (u32, u32) = (5, 15);

/// The error in the operator's terms. Only after the kernel has refused the probes: a
/// version alone is no evidence, because distributions backport features.
pub(super) fn explain(error: ProbeError) -> ProbeError {
    if !matches!(
        error,
        ProbeError::Object(_)
            | ProbeError::Program(..)
            | ProbeError::Map(..)
            | ProbeError::Missing(_)
    ) {
        return error;
    }
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let lockdown = read("/sys/kernel/security/lockdown");
    let release = read("/proc/sys/kernel/osrelease");
    match reason(&lockdown, release.trim()) {
        Some(reason) => ProbeError::Unsupported(reason),
        None => error,
    }
}

fn reason(lockdown: &str, release: &str) -> Option<String> {
    if lockdown.contains("[confidentiality]") {
        return Some(
            "the kernel is locked down (/sys/kernel/security/lockdown: confidentiality), and lets \
             no BPF program read its memory; boot it with lockdown=integrity or none"
                .to_owned(),
        );
    }
    let older = version(release).is_some_and(|version| version < OLDEST);
    older.then(|| {
        let (major, minor) = OLDEST;
        format!("Linux {release} refuses the probes; they need Linux {major}.{minor} or later")
    })
}

/// The first two numbers of a release, `5.10.0-46-cloud-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_or_locked_kernel_is_the_reason() {
        let none = "[none] integrity confidentiality\n";
        let locked = "none integrity [confidentiality]\n";
        assert_eq!(
            reason(none, "5.10.0-46-cloud-amd64").as_deref(),
            Some("Linux 5.10.0-46-cloud-amd64 refuses the probes; they need Linux 5.15 or later")
        );
        let locked = reason(locked, "6.12.1").expect("a reason");
        assert!(locked.contains("lockdown=integrity"), "{locked}");
    }

    #[test]
    fn other_kernels_are_not_the_reason() {
        let none = "[none] integrity confidentiality\n";
        for release in ["5.15.0", "6.1.0-57", "7.3.4", "", "generic"] {
            assert_eq!(reason(none, release), None, "{release}");
            assert_eq!(reason("", release), None, "{release}");
        }
    }
}
