//! The rights and flags that a kernel knows.
//!
//! The ABI version describes the kernel's features. It never decides the meaning of a policy: a
//! missing right is refused, or listed as dropped.

use landlock::{AccessFs, AccessNet, Scope};

use crate::policy::resolved::{LogFlag, Right};

/// A right in the types of the landlock crate.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Fs(AccessFs),
    Net(AccessNet),
    Scope(Scope),
}

/// The number of ABI versions that the rights and flags of policies span.
pub(crate) const NEWEST: u32 = 7;

/// The Linux version that introduced an ABI version.
pub(crate) fn kernel(abi: u32) -> &'static str {
    match abi {
        0 | 1 => "5.13",
        2 => "5.19",
        3 => "6.2",
        4 => "6.7",
        5 => "6.10",
        6 => "6.12",
        _ => "6.15",
    }
}

/// The right as the landlock crate's type.
pub(crate) fn kind(right: Right) -> Kind {
    match right {
        Right::Execute => Kind::Fs(AccessFs::Execute),
        Right::WriteFile => Kind::Fs(AccessFs::WriteFile),
        Right::ReadFile => Kind::Fs(AccessFs::ReadFile),
        Right::ReadDir => Kind::Fs(AccessFs::ReadDir),
        Right::RemoveDir => Kind::Fs(AccessFs::RemoveDir),
        Right::RemoveFile => Kind::Fs(AccessFs::RemoveFile),
        Right::MakeChar => Kind::Fs(AccessFs::MakeChar),
        Right::MakeDir => Kind::Fs(AccessFs::MakeDir),
        Right::MakeReg => Kind::Fs(AccessFs::MakeReg),
        Right::MakeSock => Kind::Fs(AccessFs::MakeSock),
        Right::MakeFifo => Kind::Fs(AccessFs::MakeFifo),
        Right::MakeBlock => Kind::Fs(AccessFs::MakeBlock),
        Right::MakeSym => Kind::Fs(AccessFs::MakeSym),
        Right::Refer => Kind::Fs(AccessFs::Refer),
        Right::Truncate => Kind::Fs(AccessFs::Truncate),
        Right::IoctlDev => Kind::Fs(AccessFs::IoctlDev),
        Right::BindTcp => Kind::Net(AccessNet::BindTcp),
        Right::ConnectTcp => Kind::Net(AccessNet::ConnectTcp),
        Right::ScopeAbstractUnixSocket => Kind::Scope(Scope::AbstractUnixSocket),
        Right::ScopeSignal => Kind::Scope(Scope::Signal),
    }
}

/// The flag of landlock_restrict_self(2), linux/landlock.h.
pub(crate) fn bit(flag: LogFlag) -> u32 {
    match flag {
        LogFlag::SameExecOff => 1 << 0,
        LogFlag::NewExecOn => 1 << 1,
        LogFlag::SubdomainsOff => 1 << 2,
    }
}

/// Whether a right can be granted for a file that is no directory.
pub(crate) fn applies_to_file(right: Right) -> bool {
    matches!(
        right,
        Right::Execute | Right::WriteFile | Right::ReadFile | Right::Truncate | Right::IoctlDev
    )
}
