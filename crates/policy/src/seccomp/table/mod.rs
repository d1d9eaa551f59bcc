//! System calls by name and number, for each architecture that nsexec runs on.

mod aarch64;
mod arm;
mod elsewhere;
mod i386;
mod index;
mod merge;
mod unified;
mod x86_64;

use std::fmt;

use index::Index;
use merge::merged;

/// The calls of an architecture with those of all, and where each is.
macro_rules! table {
    ($calls:ident, $index:ident, $own:expr) => {
        static $calls: [(&str, u32); $own.len() + unified::TABLE.len()] =
            merged($own, unified::TABLE);
        static $index: Index = Index::of(&$calls);
    };
}

table!(X86_64_CALLS, X86_64, x86_64::TABLE);
table!(AARCH64_CALLS, AARCH64, aarch64::TABLE);
table!(I386_CALLS, I386, i386::TABLE);
table!(ARM_CALLS, ARM, arm::TABLE);

/// An architecture whose calls a filter can decide. All are always compiled in,
/// so that tests on one machine cover the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arch {
    /// x86-64, 64-bit calls alone: neither i386 nor x32.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
    /// 32-bit programs on x86-64.
    I386,
    /// 32-bit programs on 64-bit Arm.
    Arm,
}

impl Arch {
    /// Every architecture that nsexec runs on.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// Those of the 32-bit programs that [`Self::ALL`] execute.
    pub const ALL_32_BIT: [Self; 2] = [Self::I386, Self::Arm];

    /// The architecture of the 32-bit programs that this one executes; `None`: it
    /// is one itself.
    #[must_use]
    pub const fn of_32_bit(self) -> Option<Self> {
        match self {
            Self::X86_64 => Some(Self::I386),
            Self::Aarch64 => Some(Self::Arm),
            Self::I386 | Self::Arm => None,
        }
    }

    /// The one that this binary is built for; `None` elsewhere.
    #[must_use]
    pub const fn native() -> Option<Self> {
        if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
            Some(Self::X86_64)
        } else if cfg!(all(target_arch = "aarch64", target_endian = "little")) {
            Some(Self::Aarch64)
        } else {
            None
        }
    }

    /// The architecture of this name in Rust and Cargo (`target_arch`).
    #[must_use]
    pub fn from_rust_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.rust_name() == name)
    }

    /// Its name in Rust, Cargo and uname(2).
    #[must_use]
    pub const fn rust_name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::I386 => "i386",
            Self::Arm => "arm",
        }
    }

    /// Its name in Go and in Docker's `arches`.
    #[must_use]
    pub const fn go_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
            Self::I386 => "x86",
            Self::Arm => "arm",
        }
    }

    /// Its name in OCI's `architectures`, as in seccomp(3) of libseccomp.
    #[must_use]
    pub const fn oci_name(self) -> &'static str {
        match self {
            Self::X86_64 => "SCMP_ARCH_X86_64",
            Self::Aarch64 => "SCMP_ARCH_AARCH64",
            Self::I386 => "SCMP_ARCH_X86",
            Self::Arm => "SCMP_ARCH_ARM",
        }
    }

    /// `AUDIT_ARCH_*` of linux/audit.h: the value of `seccomp_data.arch`.
    #[must_use]
    pub const fn audit(self) -> u32 {
        match self {
            Self::X86_64 => 0xc000_003e,
            Self::Aarch64 => 0xc000_00b7,
            Self::I386 => 0x4000_0003,
            Self::Arm => 0x4000_0028,
        }
    }

    /// Names and numbers, sorted by name.
    #[must_use]
    pub fn calls(self) -> &'static [(&'static str, u32)] {
        match self {
            Self::X86_64 => &X86_64_CALLS,
            Self::Aarch64 => &AARCH64_CALLS,
            Self::I386 => &I386_CALLS,
            Self::Arm => &ARM_CALLS,
        }
    }

    fn index(self) -> &'static Index {
        match self {
            Self::X86_64 => &X86_64,
            Self::Aarch64 => &AARCH64,
            Self::I386 => &I386,
            Self::Arm => &ARM,
        }
    }

    /// The number of the call of this name.
    #[must_use]
    pub fn number(self, name: &str) -> Option<u32> {
        let found = self.index().by_name(self.calls(), name);
        found.map(|(_, number)| *number)
    }

    /// The name of the call of this number.
    #[must_use]
    pub fn name(self, number: u32) -> Option<&'static str> {
        let found = self.index().by_number(self.calls(), number);
        found.map(|(name, _)| *name)
    }

    /// The numbers, ascending.
    #[must_use]
    pub fn numbers(self) -> Vec<u32> {
        let mut numbers: Vec<u32> = self.calls().iter().map(|(_, number)| *number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The highest number of a call that the table knows.
    #[must_use]
    pub fn highest(self) -> u32 {
        self.calls()
            .iter()
            .map(|(_, number)| *number)
            .max()
            .unwrap_or(0)
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rust_name())
    }
}

/// Whether any architecture of Linux has a call of this name.
#[must_use]
pub fn is_known_somewhere(name: &str) -> bool {
    Arch::ALL
        .into_iter()
        .chain(Arch::ALL_32_BIT)
        .any(|arch| arch.number(name).is_some())
        || elsewhere::NAMES.binary_search(&name).is_ok()
}

/// Architectures by libseccomp's name (OCI) and by Go's (Docker, libcontainer).
const ARCHITECTURES: [(&str, &str); 23] = [
    ("SCMP_ARCH_X86", "x86"),
    ("SCMP_ARCH_X86_64", "amd64"),
    ("SCMP_ARCH_X32", "x32"),
    ("SCMP_ARCH_ARM", "arm"),
    ("SCMP_ARCH_AARCH64", "arm64"),
    ("SCMP_ARCH_LOONGARCH64", "loong64"),
    ("SCMP_ARCH_M68K", "m68k"),
    ("SCMP_ARCH_MIPS", "mips"),
    ("SCMP_ARCH_MIPS64", "mips64"),
    ("SCMP_ARCH_MIPS64N32", "mips64n32"),
    ("SCMP_ARCH_MIPSEL", "mipsel"),
    ("SCMP_ARCH_MIPSEL64", "mipsel64"),
    ("SCMP_ARCH_MIPSEL64N32", "mipsel64n32"),
    ("SCMP_ARCH_PARISC", "parisc"),
    ("SCMP_ARCH_PARISC64", "parisc64"),
    ("SCMP_ARCH_PPC", "ppc"),
    ("SCMP_ARCH_PPC64", "ppc64"),
    ("SCMP_ARCH_PPC64LE", "ppc64le"),
    ("SCMP_ARCH_RISCV64", "riscv64"),
    ("SCMP_ARCH_S390", "s390"),
    ("SCMP_ARCH_S390X", "s390x"),
    ("SCMP_ARCH_SH", "sh"),
    ("SCMP_ARCH_SHEB", "sheb"),
];

/// Whether this is libseccomp's name of an architecture.
#[must_use]
pub fn is_oci_architecture(name: &str) -> bool {
    ARCHITECTURES.iter().any(|(oci, _)| *oci == name)
}

/// Whether this is Go's name of an architecture.
#[must_use]
pub fn is_go_architecture(name: &str) -> bool {
    ARCHITECTURES.iter().any(|(_, go)| *go == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_hold_no_number_twice() {
        for arch in Arch::ALL.into_iter().chain(Arch::ALL_32_BIT) {
            assert!(arch.calls().is_sorted_by(|a, b| a.0 < b.0), "{arch}");
            assert!(arch.numbers().is_sorted_by(|a, b| a < b), "{arch}");
            for (name, number) in arch.calls() {
                assert_eq!(arch.number(name), Some(*number), "{name}");
                assert_eq!(arch.name(*number), Some(*name), "{number}");
            }
        }
        assert!(elsewhere::NAMES.is_sorted_by(|a, b| a < b));
        for name in elsewhere::NAMES {
            let mut all = Arch::ALL.iter().chain(&Arch::ALL_32_BIT);
            let known = all.any(|arch| arch.number(name).is_some());
            assert!(!known, "{name} is in a table");
        }
    }

    #[test]
    fn the_native_table_agrees_with_libc() {
        let arch = Arch::native().expect("tests run on a supported architecture");
        for (name, number) in [
            ("read", libc::SYS_read),
            ("execve", libc::SYS_execve),
            ("openat2", libc::SYS_openat2),
            ("landlock_restrict_self", libc::SYS_landlock_restrict_self),
            ("set_mempolicy_home_node", libc::SYS_set_mempolicy_home_node),
            ("mseal", libc::SYS_mseal),
        ] {
            assert_eq!(
                arch.number(name).map(i64::from),
                Some(number),
                "{name} on {arch}"
            );
        }
    }

    #[test]
    fn each_architecture_has_all_its_names() {
        for arch in Arch::ALL {
            assert!(is_oci_architecture(arch.oci_name()));
            assert!(is_go_architecture(arch.go_name()));
            assert_eq!(Arch::from_rust_name(arch.rust_name()), Some(arch));
        }
        assert!(!is_go_architecture("SCMP_ARCH_X86_64"));
        assert!(!is_oci_architecture("amd64"));
    }

    #[test]
    fn names_of_one_architecture_are_not_those_of_the_other() {
        assert_eq!(Arch::X86_64.number("open"), Some(2));
        assert_eq!(Arch::Aarch64.number("open"), None);
        assert_eq!(Arch::X86_64.number("listns"), Some(470));
        assert_eq!(Arch::Aarch64.number("listns"), Some(470));
        assert_eq!(Arch::Aarch64.name(221), Some("execve"));
        assert_eq!(Arch::Aarch64.name(244), None);
        assert_eq!(Arch::I386.number("execve"), Some(11));
        assert_eq!(Arch::I386.name(102), Some("socketcall"));
        assert_eq!(Arch::Arm.number("set_tls"), Some(983_045));
        assert_eq!(Arch::Arm.name(983_045), Some("set_tls"));
        assert_eq!(Arch::Arm.name(983_047), None);
        assert!(is_known_somewhere("s390_pci_mmio_read"));
        assert!(!is_known_somewhere("raed"));
        assert!(!is_known_somewhere(""));
    }
}
