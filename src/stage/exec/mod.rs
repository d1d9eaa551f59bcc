//! The last part of the child: from the clone of the helper to the program.
//!
//! All preparations are done before it: [`Image::become_program`] allocates nothing, takes no lock
//! and formats nothing. A failure is a [`Failure`].

mod credentials;
mod descriptors;
mod directories;
mod release;
mod state;

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{SFlag, fstatat};

use super::compat_program;
use super::exec_label::ExecLabel;
use super::explain::{self, Audited};
use super::failure::{Failure, Step};

use crate::landlock::ruleset::Domain;
use crate::plan::attributes::Attributes;
use crate::policy::layered::Layered;
use crate::prepare::preserved::Preserved;
use crate::seccomp::program::Program;
use crate::sys::exec::{self, StringArray, execve};
use crate::sys::signal::CallersSignals;
use crate::sys::{descriptor, process, seccomp};
pub(crate) use credentials::{CapabilityPlan, Credentials};
pub(crate) use directories::WorkDir;
pub(crate) use release::{ParentConnection, Release, VerificationRequest};

/// The program to execute, and all attributes of its process.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) attributes: Attributes,
    /// The directory for chroot.
    pub(crate) root: Option<OwnedFd>,
    pub(crate) work_dir: WorkDir,
    pub(crate) credentials: Credentials,
    /// fchown 0, 1 and 2 to the user, as libcontainer does.
    pub(crate) own_standard: bool,
    pub(crate) capabilities: CapabilityPlan,
    pub(crate) exec_label: Option<ExecLabel>,
    pub(crate) no_new_privs: bool,
    /// All filters of the workload, in the order in which they are loaded.
    pub(crate) layers: Layered<Vec<Program>, Option<Domain>>,
    /// One of the filters, or of the ceiling's, refuses 32-bit programs.
    pub(crate) refuses_32_bit: bool,
    /// Whether the kernel audits refusals of the layers that it does not audit by default.
    pub(crate) audited: Audited,
    /// The filter that is loaded last if refusals are explained.
    pub(crate) listening: Option<Listening>,
    /// These descriptors cross execve in addition to 0, 1 and 2.
    pub(crate) preserved: Preserved,
    /// The caller's signals.
    pub(crate) signals: CallersSignals,
    /// The possible paths of the program, in the order of PATH.
    pub(crate) candidates: Vec<CString>,
    pub(crate) argv: StringArray,
    pub(crate) envp: StringArray,
}

/// A filter with a listener: the explainer replies to its notifications.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) filter: Program,
    /// The socket on which the explainer learns the listener's number.
    pub(crate) control: OwnedFd,
}

impl Image {
    /// Executes the program. Returns only on failure.
    pub(crate) fn become_program(&self, parent: &ParentConnection) -> Failure {
        match self.prepare(parent) {
            Ok(path) => Failure::new(Step::Execute, execve(path, &self.argv, &self.envp)),
            Err(failure) => failure,
        }
    }

    /// All steps up to execve, in order.
    fn prepare(&self, parent: &ParentConnection) -> Result<&CStr, Failure> {
        self.attributes.set().map_err(Failure::of_attribute)?;
        self.enter_root()?;
        self.enter_opened_directory()?;
        self.drop_bounding_set()?;
        self.change_credentials()?;
        self.set_capabilities()?;
        self.enter_directory_by_path()?;
        let program = self.look_up()?;
        if self.refuses_32_bit && compat_program::is_32_bit(program) {
            return Err(Failure::new(Step::CompatProgram, Errno::ENOEXEC));
        }
        self.label()?;
        if self.no_new_privs {
            process::set_no_new_privs().map_err(|e| Failure::new(Step::NoNewPrivs, e))?;
        }
        self.bind_to_parent(parent)?;
        if let Some(domain) = &self.layers.landlock {
            domain
                .enter()
                .map_err(|e| Failure::new(Step::Landlock, e))?;
        }
        self.wait_for_release(parent)?;
        self.signals
            .give_back()
            .map_err(|e| Failure::new(Step::Signals, e))?;
        let control = self.listening.as_ref().map(|last| last.control.as_raw_fd());
        self.close_descriptors(parent.report.as_raw_fd(), control)?;
        // This descriptor was open until now.
        if let Release::Parent(release) = &parent.release
            && descriptor::is_open(release.as_raw_fd())
        {
            return Err(Failure::new(Step::Descriptors, Errno::EBADE));
        }
        self.load_filters()?;
        Ok(program)
    }

    fn load_filters(&self) -> Result<(), Failure> {
        for filter in &self.layers.seccomp {
            let loaded = self.audited.load_filter(filter);
            loaded.map_err(|e| Failure::new(Step::Seccomp, e))?;
        }
        let Some(last) = &self.listening else {
            return Ok(());
        };
        // It stays open until execve, so that the explainer can take it.
        let listener = seccomp::load_listening(&last.filter).map(IntoRawFd::into_raw_fd);
        listener
            .and_then(|listener| explain::send_listener(&last.control, listener))
            .map_err(|e| Failure::new(Step::Explain, e))
    }

    /// The first candidate that the program's user may execute, by the rules of execvp(3).
    fn look_up(&self) -> Result<&CStr, Failure> {
        let mut reason = Errno::ENOENT;
        for candidate in &self.candidates {
            match executable(candidate) {
                Ok(()) => return Ok(candidate),
                Err(Errno::ENOENT | Errno::ENOTDIR) => {}
                Err(errno) => reason = errno,
            }
        }
        Err(Failure::new(Step::LookUp, reason))
    }

    fn label(&self) -> Result<(), Failure> {
        match &self.exec_label {
            Some(label) => label.write(),
            None => Ok(()),
        }
    }

    /// The number of seccomp filters that the child loads after the verifier has checked it.
    pub(crate) fn last_filters(&self) -> u32 {
        let last = self.layers.seccomp.len() + usize::from(self.listening.is_some());
        u32::try_from(last).unwrap_or(u32::MAX)
    }
}

/// Fails if it is no regular file, or if the effective user may not execute it.
fn executable(path: &CStr) -> Result<(), Errno> {
    let stat = fstatat(nix::fcntl::AT_FDCWD, path, AtFlags::empty())?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err(Errno::EACCES);
    }
    match exec::may_execute(path) {
        // A ceiling that does not list faccessat2. execve(2) decides then.
        Err(Errno::ENOSYS | Errno::EPERM) if stat.st_mode & 0o111 != 0 => Ok(()),
        Err(Errno::ENOSYS | Errno::EPERM) => Err(Errno::EACCES),
        answer => answer,
    }
}

/// Writes all of `bytes` in one call.
fn write_all(file: &OwnedFd, bytes: &[u8]) -> Result<(), Errno> {
    match nix::unistd::write(file, bytes)? {
        written if written == bytes.len() => Ok(()),
        _ => Err(Errno::EIO),
    }
}
