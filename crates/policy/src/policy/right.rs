//! The rights and log flags of Landlock: the only table of them.
//!
//! Names, bits and versions come from landlock(7) and linux/landlock.h.

use serde::{Deserialize, Serialize};

/// An ABI version of Landlock.
struct Abi {
    /// The Linux version that introduced it.
    linux: &'static str,
    /// The feature that this ABI added, as the rows of `--features` name it.
    adds: &'static str,
}

const fn abi(linux: &'static str, adds: &'static str) -> Abi {
    Abi { linux, adds }
}

/// The ABI versions 1, 2 and so on, as far as policies can use them.
const ABIS: [Abi; 7] = [
    abi("5.13", "execute"),
    abi("5.19", "refer"),
    abi("6.2", "truncate"),
    abi("6.7", "TCP"),
    abi("6.10", "device ioctls"),
    abi("6.12", "scopes"),
    abi("6.15", "log flags"),
];

/// The newest ABI whose rights and flags have names here.
pub const NEWEST_ABI: u8 = 7;

/// The Linux version that introduced an ABI version; the first or the last one
/// known if there is no such ABI version.
#[must_use]
pub fn linux(abi: u32) -> &'static str {
    let abi = abi.clamp(1, NEWEST_ABI.into());
    let mut numbered = (1..).zip(&ABIS);
    numbered
        .find(|(number, _)| *number == abi)
        .map_or("", |(_, abi)| abi.linux)
}

/// The ABI versions, and what each added.
pub fn abis() -> impl Iterator<Item = (u8, &'static str)> {
    (1..).zip(ABIS.iter().map(|abi| abi.adds))
}

/// The part of a ruleset that a right belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A right on files and directories: a rule beneath a path grants it.
    Fs,
    /// A right on TCP ports: a rule for a port grants it.
    Net,
    /// A scope: no rule grants it.
    Scope,
}

/// A Landlock right, landlock(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// LANDLOCK_ACCESS_FS_EXECUTE
    Execute,
    /// LANDLOCK_ACCESS_FS_WRITE_FILE
    WriteFile,
    /// LANDLOCK_ACCESS_FS_READ_FILE
    ReadFile,
    /// LANDLOCK_ACCESS_FS_READ_DIR
    ReadDir,
    /// LANDLOCK_ACCESS_FS_REMOVE_DIR
    RemoveDir,
    /// LANDLOCK_ACCESS_FS_REMOVE_FILE
    RemoveFile,
    /// LANDLOCK_ACCESS_FS_MAKE_CHAR
    MakeChar,
    /// LANDLOCK_ACCESS_FS_MAKE_DIR
    MakeDir,
    /// LANDLOCK_ACCESS_FS_MAKE_REG
    MakeReg,
    /// LANDLOCK_ACCESS_FS_MAKE_SOCK
    MakeSock,
    /// LANDLOCK_ACCESS_FS_MAKE_FIFO
    MakeFifo,
    /// LANDLOCK_ACCESS_FS_MAKE_BLOCK
    MakeBlock,
    /// LANDLOCK_ACCESS_FS_MAKE_SYM
    MakeSym,
    /// LANDLOCK_ACCESS_FS_REFER
    Refer,
    /// LANDLOCK_ACCESS_FS_TRUNCATE
    Truncate,
    /// LANDLOCK_ACCESS_FS_IOCTL_DEV
    IoctlDev,
    /// LANDLOCK_ACCESS_NET_BIND_TCP
    BindTcp,
    /// LANDLOCK_ACCESS_NET_CONNECT_TCP
    ConnectTcp,
    /// LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
    ScopeAbstractUnixSocket,
    /// LANDLOCK_SCOPE_SIGNAL
    ScopeSignal,
}

/// The properties of a right.
struct Facts {
    /// The name in a rule file, as landlockconfig has it.
    name: &'static str,
    kind: Kind,
    /// The number of its bit among those of its kind.
    bit: u8,
    abi: u8,
    /// Whether a rule for a file that is no directory can grant it.
    of_files: bool,
}

/// A right that a rule for a file or a directory grants.
const fn file(name: &'static str, bit: u8, abi: u8) -> Facts {
    let (kind, of_files) = (Kind::Fs, true);
    Facts {
        name,
        kind,
        bit,
        abi,
        of_files,
    }
}

/// Another right: of directories alone, of ports, or a scope.
const fn other(name: &'static str, kind: Kind, bit: u8, abi: u8) -> Facts {
    let of_files = false;
    Facts {
        name,
        kind,
        bit,
        abi,
        of_files,
    }
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 20] = [
        Self::Execute,
        Self::WriteFile,
        Self::ReadFile,
        Self::ReadDir,
        Self::RemoveDir,
        Self::RemoveFile,
        Self::MakeChar,
        Self::MakeDir,
        Self::MakeReg,
        Self::MakeSock,
        Self::MakeFifo,
        Self::MakeBlock,
        Self::MakeSym,
        Self::Refer,
        Self::Truncate,
        Self::IoctlDev,
        Self::BindTcp,
        Self::ConnectTcp,
        Self::ScopeAbstractUnixSocket,
        Self::ScopeSignal,
    ];

    const fn facts(self) -> Facts {
        use Kind::{Fs, Net, Scope};
        match self {
            Self::Execute => file("execute", 0, 1),
            Self::WriteFile => file("write_file", 1, 1),
            Self::ReadFile => file("read_file", 2, 1),
            Self::ReadDir => other("read_dir", Fs, 3, 1),
            Self::RemoveDir => other("remove_dir", Fs, 4, 1),
            Self::RemoveFile => other("remove_file", Fs, 5, 1),
            Self::MakeChar => other("make_char", Fs, 6, 1),
            Self::MakeDir => other("make_dir", Fs, 7, 1),
            Self::MakeReg => other("make_reg", Fs, 8, 1),
            Self::MakeSock => other("make_sock", Fs, 9, 1),
            Self::MakeFifo => other("make_fifo", Fs, 10, 1),
            Self::MakeBlock => other("make_block", Fs, 11, 1),
            Self::MakeSym => other("make_sym", Fs, 12, 1),
            Self::Refer => other("refer", Fs, 13, 2),
            Self::Truncate => file("truncate", 14, 3),
            Self::IoctlDev => file("ioctl_dev", 15, 5),
            Self::BindTcp => other("bind_tcp", Net, 0, 4),
            Self::ConnectTcp => other("connect_tcp", Net, 1, 4),
            Self::ScopeAbstractUnixSocket => other("abstract_unix_socket", Scope, 0, 6),
            Self::ScopeSignal => other("signal", Scope, 1, 6),
        }
    }

    /// The name in a rule file, as landlockconfig has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The right with this name, of any kind.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.name() == name)
    }

    /// The part of a ruleset that it belongs to.
    #[must_use]
    pub fn kind(self) -> Kind {
        self.facts().kind
    }

    /// Whether a rule beneath a path can grant it.
    #[must_use]
    pub fn is_fs(self) -> bool {
        self.kind() == Kind::Fs
    }

    /// Whether a rule for a port can grant it.
    #[must_use]
    pub fn is_net(self) -> bool {
        self.kind() == Kind::Net
    }

    /// Its bit among the rights of its kind, linux/landlock.h.
    #[must_use]
    pub fn bit(self) -> u64 {
        1 << self.facts().bit
    }

    /// The first Landlock ABI that has it.
    #[must_use]
    pub fn abi(self) -> u8 {
        self.facts().abi
    }

    /// Whether a rule for a file that is no directory can grant it.
    #[must_use]
    pub fn applies_to_file(self) -> bool {
        self.facts().of_files
    }
}

/// The denials of a domain that the kernel logs to audit,
/// landlock_restrict_self(2), since Landlock ABI 7. Log flags do not change
/// which accesses are denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFlag {
    /// LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF: none before the next execve.
    SameExecOff,
    /// LANDLOCK_RESTRICT_SELF_LOG_NEW_EXEC_ON: those after an execve, too.
    NewExecOn,
    /// LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF: none of domains entered later.
    SubdomainsOff,
}

impl LogFlag {
    /// Every flag.
    pub const ALL: [Self; 3] = [Self::SameExecOff, Self::NewExecOn, Self::SubdomainsOff];

    /// The first Landlock ABI that has them.
    pub const ABI: u8 = 7;

    /// The name in a rule file: the kernel's name without the common prefix.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SameExecOff => "same_exec_off",
            Self::NewExecOn => "new_exec_on",
            Self::SubdomainsOff => "subdomains_off",
        }
    }

    /// The flag of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flag| flag.name() == name)
    }

    /// Its bit for landlock_restrict_self(2), linux/landlock.h.
    #[must_use]
    pub fn bit(self) -> u32 {
        match self {
            Self::SameExecOff => 1 << 0,
            Self::NewExecOn => 1 << 1,
            Self::SubdomainsOff => 1 << 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bits_are_distinct_and_each_abi_is_known() {
        assert!(Right::ALL.is_sorted());
        for right in Right::ALL {
            assert_eq!(Right::from_name(right.name()), Some(right));
            assert!((1..=NEWEST_ABI).contains(&right.abi()), "{right:?}");
            let same = |other: &Right| (other.kind(), other.bit()) == (right.kind(), right.bit());
            assert_eq!(Right::ALL.iter().filter(|other| same(other)).count(), 1);
        }
        assert_eq!(abis().count(), usize::from(NEWEST_ABI));
        assert_eq!([linux(0), linux(1), linux(99)], ["5.13", "5.13", "6.15"]);
    }
}
