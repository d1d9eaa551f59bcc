//! The label that a security module gives the program at execve.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::failure::{Failure, Step};

/// Longer than the part of a security context before its first colon.
const CONTEXT_START: usize = 256;

/// A label for the next execve, proc_pid_attr(5).
#[derive(Debug)]
pub(crate) struct ExecLabel {
    /// This process's own directory in the caller's /proc: a path into the target's /proc could
    /// lead anywhere (CVE-2019-16884, CVE-2025-52881).
    directory: OwnedFd,
    module: Module,
    text: Vec<u8>,
}

/// The security module that must accept the label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Module {
    AppArmor,
    Selinux,
}

impl ExecLabel {
    /// The AppArmor profile with this name.
    pub(crate) fn apparmor(directory: OwnedFd, profile: &[u8]) -> Self {
        Self {
            directory,
            module: Module::AppArmor,
            text: [b"exec ", profile].concat(),
        }
    }

    /// This SELinux context.
    pub(crate) fn selinux(directory: OwnedFd, context: Vec<u8>) -> Self {
        Self {
            directory,
            module: Module::Selinux,
            text: context,
        }
    }

    /// Sets the label. Allocates nothing.
    pub(crate) fn write(&self) -> std::result::Result<(), Failure> {
        match self.module {
            // `attr/exec` belongs to the first module of lsm= that accepts labels: the stubs of
            // `bpf` return EINVAL, and SELinux without a policy accepts any text and does nothing.
            // This file belongs to AppArmor alone.
            Module::AppArmor => self.write_to(c"attr/apparmor/exec"),
            Module::Selinux => self
                .write_to(c"attr/exec")
                .and_then(|()| self.read_context()),
        }
        .map_err(|errno| Failure::new(self.module.step(), errno))
    }

    fn write_to(&self, file: &CStr) -> std::result::Result<(), Errno> {
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        let file = nix::fcntl::openat(&self.directory, file, flags, Mode::empty())?;
        match nix::unistd::write(&file, &self.text)? {
            written if written == self.text.len() => Ok(()),
            _ => Err(Errno::EIO),
        }
    }

    /// Without a policy SELinux accepts any text, and returns the name of an initial SID on
    /// reading. A context of a policy has colons: `user:role:type`.
    fn read_context(&self) -> std::result::Result<(), Errno> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        let path = c"attr/exec";
        let file = nix::fcntl::openat(&self.directory, path, flags, Mode::empty())?;
        let mut start = [0; CONTEXT_START];
        let length = nix::unistd::read(&file, &mut start)?;
        if is_context(start.get(..length).unwrap_or_default()) {
            Ok(())
        } else {
            Err(Errno::EOPNOTSUPP)
        }
    }
}

impl Module {
    fn step(self) -> Step {
        match self {
            Self::AppArmor => Step::AppArmorLabel,
            Self::Selinux => Step::SelinuxLabel,
        }
    }
}

fn is_context(text: &[u8]) -> bool {
    text.contains(&b':')
}

#[cfg(test)]
mod tests {
    use super::is_context;

    #[test]
    fn the_name_of_an_initial_sid_is_no_context() {
        assert!(is_context(b"system_u:system_r:container_t:s0:c1,c2\0"));
        for text in [&b""[..], b"kernel\0", b"unlabeled", b"init\n"] {
            assert!(!is_context(text), "{text:?}");
        }
    }
}
