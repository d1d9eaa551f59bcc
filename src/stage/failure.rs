//! The child's record of a failure between clone and exec: it has a fixed size, and the parent
//! turns it into words.

use std::fmt;

use nix::errno::Errno;

use crate::error::{Error, ErrorKind};
use crate::plan::attributes::Attribute;

/// A step of the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    /// Waiting for the parent to release the child.
    Release,
    /// setsid(2)
    Session,
    /// TIOCSCTTY and the descriptors 0, 1 and 2.
    Terminal,
    /// The [`Attribute`] whose number is the detail.
    Attribute,
    /// chroot(2)
    Root,
    /// chdir(2)
    WorkDir,
    /// The working directory is outside the root.
    WorkDirOutside,
    /// PR_CAPBSET_DROP
    BoundingSet,
    /// fchown(2) of 0, 1 and 2.
    StandardOwner,
    /// setgroups(2)
    Groups,
    /// setresgid(2)
    Gid,
    /// setresuid(2)
    Uid,
    /// capset(2), PR_SET_KEEPCAPS, PR_CAP_AMBIENT
    Capabilities,
    /// Writing the AppArmor profile for the next execve.
    AppArmorLabel,
    /// Writing the SELinux context for the next execve.
    SelinuxLabel,
    /// Looking for the program.
    LookUp,
    /// The program is a 32-bit one, which the filters refuse.
    CompatProgram,
    /// PR_SET_NO_NEW_PRIVS
    NoNewPrivs,
    /// PR_SET_PDEATHSIG
    DeathSignal,
    /// The child's state differs from the plan.
    Verify,
    /// The parent ended.
    Orphan,
    /// PR_SET_DUMPABLE
    Dumpable,
    /// landlock_restrict_self(2)
    Landlock,
    /// close_range(2) and the preserved descriptors.
    Descriptors,
    /// The signal mask.
    Signals,
    /// seccomp(2)
    Seccomp,
    /// The filter that the explainer listens to.
    Explain,
    /// execve(2)
    Execute,
}

impl Step {
    const ALL: [Self; 28] = [
        Self::Release,
        Self::Session,
        Self::Terminal,
        Self::Attribute,
        Self::Root,
        Self::WorkDir,
        Self::WorkDirOutside,
        Self::BoundingSet,
        Self::StandardOwner,
        Self::Groups,
        Self::Gid,
        Self::Uid,
        Self::Capabilities,
        Self::AppArmorLabel,
        Self::SelinuxLabel,
        Self::LookUp,
        Self::CompatProgram,
        Self::NoNewPrivs,
        Self::DeathSignal,
        Self::Verify,
        Self::Orphan,
        Self::Dumpable,
        Self::Landlock,
        Self::Descriptors,
        Self::Signals,
        Self::Seccomp,
        Self::Explain,
        Self::Execute,
    ];

    fn code(self) -> u8 {
        let position = Self::ALL
            .iter()
            .zip(0_u8..)
            .find(|(step, _)| **step == self);
        position.map_or(u8::MAX, |(_, code)| code)
    }

    /// The step in words, and a correction if there is one.
    fn words(self) -> (ErrorKind, &'static str, Option<&'static str>) {
        use ErrorKind::{LockDown, NotExecutable, NotFound, Safety, System};
        match self {
            Self::Release => (
                System,
                "the helper ended before it released the child",
                None,
            ),
            Self::Session => (System, "cannot create a session: setsid", None),
            Self::Terminal => (
                System,
                "the console cannot become the controlling terminal",
                Some("give a terminal that controls no other session"),
            ),
            Self::Attribute => (System, "an attribute of the program cannot be set", None),
            Self::Root => (System, "the root directory cannot be entered", None),
            Self::WorkDir => (System, "the working directory cannot be entered", None),
            Self::WorkDirOutside => (
                Safety,
                "the working directory is outside the program's root",
                Some("give a directory inside it"),
            ),
            Self::BoundingSet => (
                LockDown,
                "the capability bounding set cannot be reduced",
                Some("this requires CAP_SETPCAP"),
            ),
            Self::StandardOwner => (
                System,
                "cannot change the owner of standard input, output or error to the program's user",
                None,
            ),
            Self::Groups => (
                LockDown,
                "the supplementary groups cannot be set",
                Some(
                    "if the user namespace denies setgroups, --preserve-credentials keeps the caller's groups",
                ),
            ),
            Self::Gid => (
                System,
                "the group id cannot be set",
                Some("it has to be mapped in the user namespace"),
            ),
            Self::Uid => (
                System,
                "the user id cannot be set",
                Some("it has to be mapped in the user namespace"),
            ),
            Self::Capabilities => (LockDown, "the capabilities cannot be set", None),
            Self::AppArmorLabel => (
                LockDown,
                "the AppArmor label of the program cannot be set",
                Some("name a profile that is loaded; AppArmor has to be on (lsm=)"),
            ),
            Self::SelinuxLabel => (
                LockDown,
                "the SELinux label of the program cannot be set",
                Some("SELinux has to be on (lsm=), with a policy that defines the label"),
            ),
            Self::LookUp => (
                NotFound,
                "not found",
                Some("give a path, or the name of a program in PATH"),
            ),
            Self::NoNewPrivs => (LockDown, "no_new_privs cannot be set", None),
            Self::DeathSignal => (
                LockDown,
                "cannot set the parent-death signal of the program: prctl PR_SET_PDEATHSIG",
                None,
            ),
            Self::Verify => (
                Safety,
                "the program was not started: its ids, groups, capabilities, no_new_privs or \
                 root differ from the plan",
                None,
            ),
            Self::Orphan => (
                System,
                "the helper ended before the program was executed",
                None,
            ),
            Self::Dumpable => (LockDown, "the helper cannot be made undumpable", None),
            Self::Landlock => (
                LockDown,
                "the program's Landlock domain cannot be entered",
                Some("at most 16 domains can be nested"),
            ),
            Self::Descriptors => (LockDown, "the descriptors cannot be closed", None),
            Self::Signals => (System, "the signal mask cannot be restored", None),
            Self::Seccomp => (
                LockDown,
                "the program's seccomp filter cannot be loaded",
                None,
            ),
            Self::Explain => (
                System,
                "cannot send the listener of the program's filter to the explainer",
                None,
            ),
            Self::CompatProgram => (NotExecutable, "the program is a 32-bit program", None),
            Self::Execute => (NotExecutable, "the program cannot be executed", None),
        }
    }
}

/// A step that failed, and the kernel's reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) step: Step,
    pub(crate) errno: Errno,
    /// Which one, if a step has several: a limit, a descriptor, a candidate.
    pub(crate) detail: u32,
}

impl Failure {
    /// The length of the record.
    pub(crate) const LENGTH: usize = 12;
    /// No failure: the child is ready to be verified. No step has this code.
    pub(crate) const READY: [u8; Self::LENGTH] = [u8::MAX; Self::LENGTH];

    pub(crate) fn new(step: Step, errno: Errno) -> Self {
        Self {
            step,
            errno,
            detail: 0,
        }
    }

    pub(crate) fn of_attribute((attribute, errno): (Attribute, Errno)) -> Self {
        let number = Attribute::ALL
            .iter()
            .zip(0..)
            .find(|(a, _)| **a == attribute);
        Self {
            step: Step::Attribute,
            errno,
            detail: number.map_or(u32::MAX, |(_, number)| number),
        }
    }

    /// The failure in words, and a correction if there is one.
    fn words(self) -> (ErrorKind, &'static str, Option<&'static str>) {
        let attribute = usize::try_from(self.detail).ok();
        match attribute.and_then(|number| Attribute::ALL.get(number)) {
            Some(attribute) if self.step == Step::Attribute => attribute.words(),
            _ => self.step.words(),
        }
    }

    /// The record: the step and three zeros, errno, detail; native byte order.
    pub(crate) fn to_bytes(self) -> [u8; Self::LENGTH] {
        let [e0, e1, e2, e3] = errno_number(self.errno).to_ne_bytes();
        let [d0, d1, d2, d3] = self.detail.to_ne_bytes();
        [self.step.code(), 0, 0, 0, e0, e1, e2, e3, d0, d1, d2, d3]
    }

    /// Parses a record; `None` for other bytes.
    pub(crate) fn from_bytes(bytes: [u8; Self::LENGTH]) -> Option<Self> {
        let [step, 0, 0, 0, e0, e1, e2, e3, d0, d1, d2, d3] = bytes else {
            return None;
        };
        let step = *Step::ALL.get(usize::from(step))?;
        let errno = Errno::from_raw(i32::from_ne_bytes([e0, e1, e2, e3]));
        Some(Self {
            step,
            errno,
            detail: u32::from_ne_bytes([d0, d1, d2, d3]),
        })
    }

    /// The same as [`Self::into_error`], with `directory` as the requested working directory.
    pub(crate) fn into_error_in(self, program: &str, directory: Option<&str>) -> Error {
        let (kind, wrong, right) = self.words();
        match (self.step, directory) {
            (Step::WorkDir | Step::WorkDirOutside, Some(directory)) => {
                let error = Error::new(kind, format!("{directory}: {wrong}"));
                match right {
                    Some(right) => error.with_hint(right),
                    None => error.with_source(self.errno),
                }
            }
            _ => self.into_error(program),
        }
    }

    /// The failure as an error about executing `program`.
    pub(crate) fn into_error(self, program: &str) -> Error {
        let (kind, wrong, right) = self.words();
        let found = matches!(
            self.step,
            Step::Execute | Step::LookUp | Step::CompatProgram
        );
        let kind = match (self.step, self.errno) {
            (Step::LookUp, errno) if errno != Errno::ENOENT => ErrorKind::NotExecutable,
            _ => kind,
        };
        // Engines choose 126 or 127 by these texts, which are libcontainer's.
        let reason = match (self.step, self.errno) {
            (Step::LookUp, Errno::ENOENT) if program.contains('/') => {
                Some(format!("stat {program}: no such file or directory"))
            }
            (Step::LookUp, Errno::ENOENT) => Some("executable file not found in $PATH".to_owned()),
            (Step::Execute, Errno::ENOENT) => Some(
                "no such file or directory: its interpreter is missing or not executable"
                    .to_owned(),
            ),
            (Step::CompatProgram, _) => Some(
                "exec format error: it is a 32-bit program, and the policy's seccomp profiles do \
                 not all list its architecture (SCMP_ARCH_X86, SCMP_ARCH_ARM)"
                    .to_owned(),
            ),
            (_, Errno::EACCES) => Some("permission denied".to_owned()),
            (_, Errno::ENOEXEC) => Some("exec format error".to_owned()),
            _ => None,
        };
        let error = match (found, reason) {
            (true, Some(reason)) => Error::new(kind, format!("exec: {program:?}: {reason}")),
            (true, None) => {
                let wrong = format!("exec: {program:?}: it cannot be executed");
                Error::new(kind, wrong).with_source(self.errno)
            }
            (false, _) if self.step == Step::WorkDirOutside => Error::new(kind, wrong),
            (false, _) => Error::new(kind, wrong).with_source(self.errno),
        };
        let right = match (self.step, self.errno) {
            (Step::Seccomp, Errno::EACCES) => Some(
                "without no_new_privs this requires CAP_SYS_ADMIN: use a policy that sets no_new_privs",
            ),
            (Step::Seccomp, Errno::ENOMEM) => {
                Some("all filters of a process, its caller's too, have at most 32768 instructions")
            }
            _ => right,
        };
        match right {
            Some(right) if kind != ErrorKind::NotExecutable => error.with_hint(right),
            _ => error,
        }
    }
}

fn errno_number(errno: Errno) -> i32 {
    // Errno is a fieldless enum over the kernel's numbers; this is how nix
    // gives them back.
    #[expect(
        clippy::as_conversions,
        reason = "the only way from Errno to its number"
    )]
    let number = errno as i32;
    number
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, wrong, _) = self.words();
        write!(f, "{wrong}: {}", self.errno)
    }
}

#[cfg(test)]
mod tests;
