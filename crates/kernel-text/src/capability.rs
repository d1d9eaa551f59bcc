//! Capabilities by name and number, capabilities(7).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The names by number, without `CAP_`, in lower case. From linux/capability.h;
/// the last is CAP_CHECKPOINT_RESTORE (Linux 5.9).
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// One capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability(u8);

impl Capability {
    /// CAP_DAC_OVERRIDE
    pub const DAC_OVERRIDE: Self = Self(1);
    /// CAP_DAC_READ_SEARCH
    pub const DAC_READ_SEARCH: Self = Self(2);
    /// CAP_KILL
    pub const KILL: Self = Self(5);
    /// CAP_SETUID
    pub const SETUID: Self = Self(7);
    /// CAP_SETPCAP
    pub const SETPCAP: Self = Self(8);
    /// CAP_NET_ADMIN
    pub const NET_ADMIN: Self = Self(12);
    /// CAP_SYS_PTRACE
    pub const SYS_PTRACE: Self = Self(19);
    /// CAP_SYS_ADMIN
    pub const SYS_ADMIN: Self = Self(21);
    /// CAP_SYS_NICE
    pub const SYS_NICE: Self = Self(23);
    /// CAP_AUDIT_CONTROL
    pub const AUDIT_CONTROL: Self = Self(30);

    /// The capability of this name, as libcontainer and Docker write it:
    /// `CAP_` and capitals.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let short = name.strip_prefix("CAP_")?;
        let known = NAMES.iter().zip(0_u8..).find(|(known, _)| {
            known.len() == short.len()
                && known
                    .bytes()
                    .zip(short.bytes())
                    .all(|(k, s)| k.to_ascii_uppercase() == s)
        });
        known.map(|(_, number)| Self(number))
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.get(usize::from(self.0)) {
            Some(name) => write!(f, "CAP_{}", name.to_ascii_uppercase()),
            None => write!(f, "CAP_{}", self.0),
        }
    }
}

/// A set of capabilities in the kernel's format: bit N is capability N.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CapabilitySet(u64);

impl CapabilitySet {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// The set with these bits.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whether `capability` is in it.
    #[must_use]
    pub fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << capability.0) != 0
    }

    /// This set and `capability`.
    #[must_use]
    pub fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability.0)
    }

    /// The intersection.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The union.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Its members in ascending order; a member newer than the table is printed as
    /// a number.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        (0..64)
            .filter(move |bit| self.0 & (1_u64 << bit) != 0)
            .map(Capability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree_with_the_kernel_header() {
        assert_eq!(
            Capability::from_name("CAP_CHOWN").map(Capability::number),
            Some(0)
        );
        assert_eq!(
            Capability::from_name("CAP_SYS_ADMIN"),
            Some(Capability::SYS_ADMIN)
        );
        assert_eq!(
            Capability::from_name("CAP_CHECKPOINT_RESTORE").map(Capability::number),
            Some(40)
        );
        for wrong in [
            "",
            "CAP_",
            "chown",
            "CAP_chown",
            "CAP_CHOWN ",
            "CAP_NOSUCH",
            "SYS_ADMIN",
        ] {
            assert_eq!(Capability::from_name(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_set_lists_its_members() {
        let set = CapabilitySet::EMPTY
            .with(Capability::KILL)
            .with(Capability::SYS_ADMIN);
        assert_eq!(set.bits(), 1 << 5 | 1 << 21);
        let names: Vec<String> = set
            .iter()
            .map(|capability| capability.to_string())
            .collect();
        assert_eq!(names, ["CAP_KILL", "CAP_SYS_ADMIN"]);
    }
}
