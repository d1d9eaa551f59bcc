//! The last part of the child: from the clone of the helper to the program.
//!
//! All preparations are done before it: [`Image::become_program`] allocates nothing, takes no lock
//! and formats nothing. A failure is a [`Failure`].

use std::cell::OnceCell;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};

use super::exec_label::ExecLabel;
use super::explain::{self, Audited};
use super::failure::{Failure, Step};
use super::small_program;
use super::verifier::Verifier;
use super::verifier::expected::{Capabilities, Directory, Expected, Groups, Id, Place};
use super::waits::Delivered;
use crate::error::Error;
use crate::landlock::ruleset::Domain;
use crate::policy::capability::{Capability, CapabilitySet};
use crate::policy::layered::Layered;
use crate::policy::resolved::Rlimit;
use crate::prepare::clean::FIRST;
use crate::prepare::preserved::Preserved;
use crate::request::Pid;
use crate::seccomp::program::Program;
use crate::sys::credentials::{self, CapabilityState};
use crate::sys::descriptor::{self, Range};
use crate::sys::exec::{self, StringArray, execve};
use crate::sys::signal::CallersSignals;
use crate::sys::{process, seccomp, statx};
use crate::target::lookup::open_inside;

/// The program to execute, and all attributes of its process.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) rlimits: Vec<Rlimit>,
    pub(crate) umask: Option<u32>,
    pub(crate) oom_score_adj: Option<OomScoreAdj>,
    /// The directory for chroot.
    pub(crate) root: Option<OwnedFd>,
    pub(crate) work_dir: WorkDir,
    pub(crate) credentials: Credentials,
    /// fchown 0, 1 and 2 to the user, as libcontainer does.
    pub(crate) own_standard: bool,
    pub(crate) capabilities: CapabilityPlan,
    pub(crate) exec_label: Option<ExecLabel>,
    pub(crate) no_new_privs: bool,
    /// The program ends with the helper.
    pub(crate) dies_with_parent: bool,
    /// All filters of the stage, in the order in which they are loaded.
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

/// The working directory.
#[derive(Debug)]
pub(crate) enum WorkDir {
    /// The caller's, wherever it is: the program keeps the caller's root and mount namespace, and
    /// gains nothing that the caller did not have.
    Callers,
    /// The caller's if it is inside the program's root, else the root. `None`: it could not be
    /// opened.
    CallersIfInside(Option<OwnedFd>),
    /// The directory after the joins.
    Keep,
    /// This directory, entered with the helper's credentials.
    Opened(OwnedFd),
    /// A path inside the program's root, entered with the program's credentials.
    Path(CString),
}

impl WorkDir {
    /// The path that is entered by its name, for messages.
    pub(crate) fn path(&self) -> Option<std::borrow::Cow<'_, str>> {
        match self {
            Self::Path(path) => Some(path.to_string_lossy()),
            _ => None,
        }
    }
}

/// Users and groups; `None`: they stay unchanged.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) groups: Option<Vec<u32>>,
}

/// The capabilities of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CapabilityPlan {
    /// The capabilities stay unchanged.
    Inherit,
    /// These and no others.
    Set {
        /// The bounding set; `None`: it stays unchanged because it cannot be changed and nothing
        /// can be gained from it.
        bounding: Option<CapabilitySet>,
        /// Effective and permitted.
        permitted: CapabilitySet,
        /// Inheritable and ambient: only if they were requested.
        ambient: CapabilitySet,
    },
}

/// An adjustment to write, proc_pid_oom_score_adj(5).
#[derive(Debug)]
pub(crate) struct OomScoreAdj {
    /// The child's own oom_score_adj, open for writing.
    pub(crate) file: OwnedFd,
    /// The decimal number.
    pub(crate) value: Vec<u8>,
}

/// The child's connections to its parent.
#[derive(Debug)]
pub(crate) struct Line {
    /// EOF, or failure records.
    pub(crate) report: OwnedFd,
    pub(crate) release: Release,
}

/// The process that releases the child once everything but the last filters is prepared.
#[derive(Debug)]
pub(crate) enum Release {
    /// The parent, after the verifier has checked the child: the child reports that it is ready.
    /// The descriptor is readable once the parent releases the child, and hung up when the parent
    /// ends.
    Parent(OwnedFd),
    /// There is no parent: this process itself sends the request to the verifier.
    Verifier(VerificationRequest),
    /// None: the helper has ended, and the child reads its own state back.
    Own,
}

/// A request to the verifier to check this process.
#[derive(Debug)]
pub(crate) struct VerificationRequest {
    pub(crate) verifier: Verifier,
    pub(crate) pid: Pid,
    pub(crate) expected: Expected,
    /// The reason for a refusal.
    pub(crate) refused: OnceCell<Error>,
}

impl Image {
    /// Executes the program. Returns only on failure.
    pub(crate) fn become_program(&self, line: &Line) -> Failure {
        match self.prepare(line) {
            Ok(path) => Failure::new(Step::Execute, execve(path, &self.argv, &self.envp)),
            Err(failure) => failure,
        }
    }

    /// All steps up to execve, in order.
    fn prepare(&self, line: &Line) -> Result<&CStr, Failure> {
        self.limits()?;
        self.enter_root()?;
        self.enter_opened_directory()?;
        self.drop_bounding_set()?;
        self.change_credentials()?;
        self.set_capabilities()?;
        self.enter_directory_by_path()?;
        let program = self.look_up()?;
        if self.refuses_32_bit && small_program::is_32_bit(program) {
            return Err(Failure::new(Step::SmallProgram, Errno::ENOEXEC));
        }
        self.label()?;
        if self.no_new_privs {
            process::set_no_new_privs().map_err(|e| Failure::new(Step::NoNewPrivs, e))?;
        }
        self.bind_to_parent(line)?;
        if let Some(domain) = &self.layers.landlock {
            domain
                .enter()
                .map_err(|e| Failure::new(Step::Landlock, e))?;
        }
        self.wait_for_release(line)?;
        self.signals
            .give_back()
            .map_err(|e| Failure::new(Step::Signals, e))?;
        let control = self.listening.as_ref().map(|last| last.control.as_raw_fd());
        self.close_descriptors(line.report.as_raw_fd(), control)?;
        // This descriptor was open until now.
        if let Release::Parent(leave) = &line.release
            && descriptor::is_open(leave.as_raw_fd())
        {
            return Err(Failure::new(Step::Descriptors, Errno::EBADE));
        }
        for filter in &self.layers.seccomp {
            let loaded = self.audited.load_filter(filter);
            loaded.map_err(|e| Failure::new(Step::Seccomp, e))?;
        }
        if let Some(last) = &self.listening {
            // It stays open until execve, so that the explainer can take it.
            let listener = seccomp::load_listening(&last.filter).map(IntoRawFd::into_raw_fd);
            listener
                .and_then(|listener| explain::send_listener(&last.control, listener))
                .map_err(|e| Failure::new(Step::Explain, e))?;
        }
        Ok(program)
    }

    fn limits(&self) -> Result<(), Failure> {
        for limit in &self.rlimits {
            process::set_rlimit(limit.resource, limit.soft, limit.hard).map_err(|errno| {
                Failure {
                    step: Step::Rlimit,
                    errno,
                    detail: limit.resource.into(),
                }
            })?;
        }
        if let Some(umask) = self.umask {
            process::set_umask(umask);
        }
        match &self.oom_score_adj {
            Some(adjust) => write_all(&adjust.file, &adjust.value)
                .map_err(|e| Failure::new(Step::OomScoreAdj, e)),
            None => Ok(()),
        }
    }

    fn enter_root(&self) -> Result<(), Failure> {
        let Some(root) = &self.root else {
            return Ok(());
        };
        let enter = nix::unistd::fchdir(root).and_then(|()| nix::unistd::chroot(c"."));
        enter
            .and_then(|()| verify_place(c"/", root))
            .map_err(|e| Failure::new(Step::Root, e))
    }

    fn enter_opened_directory(&self) -> Result<(), Failure> {
        match &self.work_dir {
            WorkDir::Opened(directory) => {
                nix::unistd::fchdir(directory)
                    .and_then(|()| verify_place(c".", directory))
                    .map_err(|e| Failure::new(Step::WorkDir, e))?;
                verify_work_dir()
            }
            WorkDir::CallersIfInside(directory) => {
                let entered = directory.as_ref().map(nix::unistd::fchdir);
                if entered == Some(Ok(())) && verify_work_dir().is_ok() {
                    return Ok(());
                }
                nix::unistd::chdir(c"/").map_err(|e| Failure::new(Step::WorkDir, e))?;
                verify_work_dir()
            }
            WorkDir::Keep => verify_work_dir(),
            WorkDir::Callers | WorkDir::Path(_) => Ok(()),
        }
    }

    fn enter_directory_by_path(&self) -> Result<(), Failure> {
        let WorkDir::Path(path) = &self.work_dir else {
            return Ok(());
        };
        // No magic links: /proc/self/fd/N leads out of the root (CVE-2024-21626).
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let work_dir = |errno| Failure::new(Step::WorkDir, errno);
        let root = nix::fcntl::open(c"/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(work_dir)?;
        let directory = open_inside(&root, path.as_c_str(), how).map_err(work_dir)?;
        nix::unistd::fchdir(&directory).map_err(work_dir)?;
        verify_place(c".", &directory).map_err(work_dir)?;
        verify_work_dir()
    }

    fn drop_bounding_set(&self) -> Result<(), Failure> {
        let CapabilityPlan::Set {
            bounding: Some(keep),
            ..
        } = self.capabilities
        else {
            return Ok(());
        };
        for capability in CapabilitySet::from_bits(u64::MAX).iter() {
            if keep.contains(capability) {
                continue;
            }
            match credentials::drop_from_bounding_set(capability) {
                Ok(()) => {}
                // The number is above the kernel's last capability.
                Err(Errno::EINVAL) => break,
                Err(errno) => {
                    let detail = capability.number().into();
                    return Err(Failure {
                        step: Step::BoundingSet,
                        errno,
                        detail,
                    });
                }
            }
        }
        Ok(())
    }

    fn change_credentials(&self) -> Result<(), Failure> {
        let at = |step| move |errno| Failure::new(step, errno);
        let keep = self.loads_as_admin() || self.capabilities != CapabilityPlan::Inherit;
        if keep {
            credentials::set_keep_capabilities(true).map_err(at(Step::Capabilities))?;
        }
        if self.own_standard {
            self.own_standard_descriptors()?;
        }
        let wanted = &self.credentials;
        if let Some(groups) = &wanted.groups {
            credentials::set_groups(groups).map_err(at(Step::Groups))?;
        }
        if let Some(gid) = wanted.gid {
            credentials::set_gid(gid).map_err(at(Step::Gid))?;
        }
        if let Some(uid) = wanted.uid {
            credentials::set_uid(uid).map_err(at(Step::Uid))?;
        }
        if keep {
            credentials::set_keep_capabilities(false).map_err(at(Step::Capabilities))?;
        }
        process::set_undumpable().map_err(at(Step::Dumpable))
    }

    /// Gives 0, 1 and 2 to the program's user, except /dev/null. Recognises /dev/null by its device
    /// number, never by a path in the target (CVE-2025-31133).
    fn own_standard_descriptors(&self) -> Result<(), Failure> {
        for fd in 0..=2 {
            let standard = descriptor::standard(fd);
            let failed = |errno| Failure::new(Step::StandardOwner, errno);
            let stat = fstat(standard).map_err(failed)?;
            let device = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFCHR;
            if device && stat.st_rdev == NULL_DEVICE {
                continue;
            }
            let uid = self.credentials.uid.map(Into::into);
            let gid = self.credentials.gid.map(Into::into);
            nix::unistd::fchown(standard, uid, gid).map_err(failed)?;
        }
        Ok(())
    }

    fn set_capabilities(&self) -> Result<(), Failure> {
        let failed = |errno| Failure::new(Step::Capabilities, errno);
        let CapabilityPlan::Set {
            permitted, ambient, ..
        } = self.capabilities
        else {
            return self.raise_admin_for_loading().map_err(failed);
        };
        credentials::clear_ambient_set().map_err(failed)?;
        let held = self.held(permitted).map_err(failed)?;
        let root = nix::unistd::geteuid().is_root();
        let effective = self.effective(permitted, ambient, root);
        let effective = effective.map_err(failed)?;
        credentials::set_capabilities(CapabilityState {
            effective,
            permitted: held,
            inheritable: ambient,
        })
        .map_err(failed)?;
        for capability in ambient.iter() {
            credentials::raise_ambient(capability).map_err(failed)?;
        }
        process::set_undumpable().map_err(|e| Failure::new(Step::Dumpable, e))
    }

    /// The capabilities that the child holds until execve.
    fn held(&self, permitted: CapabilitySet) -> Result<CapabilitySet, Errno> {
        if !self.loads_as_admin() {
            return Ok(permitted);
        }
        // Without no_new_privs, loading the layers below requires CAP_SYS_ADMIN. execve removes it
        // because it is in neither the bounding nor the ambient set.
        let now = credentials::capabilities()?;
        let admin = CapabilitySet::EMPTY.with(Capability::SYS_ADMIN);
        Ok(permitted.union(admin.intersection(now.permitted)))
    }

    /// From here on, the kernel resolves or refuses a path as it does for the program: execve gives
    /// root its permitted set, and another user the ambient set. Loading the layers needs no
    /// capability over files.
    fn effective(
        &self,
        permitted: CapabilitySet,
        ambient: CapabilitySet,
        is_root: bool,
    ) -> Result<CapabilitySet, Errno> {
        let programs = if is_root { permitted } else { ambient };
        if !self.loads_as_admin() {
            return Ok(programs);
        }
        let admin = CapabilitySet::EMPTY.with(Capability::SYS_ADMIN);
        Ok(programs.union(admin.intersection(self.held(permitted)?)))
    }

    /// If the program keeps the caller's capabilities: a change from root to another user has
    /// emptied the effective set, which the layers below need. execve empties both sets again.
    fn raise_admin_for_loading(&self) -> Result<(), Errno> {
        if !self.loads_as_admin() {
            return Ok(());
        }
        let now = credentials::capabilities()?;
        let admin = CapabilitySet::EMPTY.with(Capability::SYS_ADMIN);
        let effective = now.effective.union(admin.intersection(now.permitted));
        credentials::set_capabilities(CapabilityState { effective, ..now })
    }

    fn loads_as_admin(&self) -> bool {
        !self.no_new_privs && (self.layers.landlock.is_some() || !self.layers.seccomp.is_empty())
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

    /// Runs after the last change of credentials, because such a change clears PDEATHSIG. The
    /// parent may have ended before that, so the child checks the parent's end of the pipe
    /// afterwards.
    fn bind_to_parent(&self, line: &Line) -> Result<(), Failure> {
        if !self.dies_with_parent {
            return Ok(());
        }
        process::set_killed_with_parent().map_err(|e| Failure::new(Step::DeathSignal, e))?;
        match &line.release {
            Release::Parent(leave) if hung_up(leave.as_fd()) => {
                Err(Failure::new(Step::Orphan, Errno::EPIPE))
            }
            _ => Ok(()),
        }
    }

    /// All externally visible state is in place: waits until the verifier has compared it with the
    /// plan.
    fn wait_for_release(&self, line: &Line) -> Result<(), Failure> {
        match &line.release {
            Release::Parent(leave) => {
                write_all(&line.report, &Failure::READY)
                    .map_err(|e| Failure::new(Step::Leave, e))?;
                let mut byte = [0];
                loop {
                    match nix::unistd::read(leave, &mut byte) {
                        Ok(1) => return Ok(()),
                        Err(Errno::EINTR) => {}
                        // The parent ended: no process can receive a report.
                        _ => return Err(Failure::new(Step::Leave, Errno::EPIPE)),
                    }
                }
            }
            Release::Verifier(asking) => asking
                .send()
                .map_err(|()| Failure::new(Step::Verify, Errno::EPERM))
                .and_then(|()| self.verify_loading()),
            Release::Own => self.read_back().and_then(|()| self.verify_loading()),
        }
    }

    /// For a child without a parent that counts its filters.
    fn verify_loading(&self) -> Result<(), Failure> {
        if self.layers.seccomp.is_empty() || seccomp::is_executed() {
            return Ok(());
        }
        Err(Failure::new(Step::Seccomp, Errno::EBADE))
    }

    /// The child compares the parts of its own state that no outside process can read: ids, groups,
    /// capabilities and no_new_privs. No process counts the filters that it loads next.
    fn read_back(&self) -> Result<(), Failure> {
        let verify = |errno| Failure::new(Step::Verify, errno);
        let uids = nix::unistd::getresuid().map_err(verify)?;
        let gids = nix::unistd::getresgid().map_err(verify)?;
        let all =
            |ids: [u32; 3], wanted: Option<u32>| wanted.is_none_or(|wanted| ids == [wanted; 3]);
        let uids = [uids.real, uids.effective, uids.saved].map(nix::unistd::Uid::as_raw);
        let gids = [gids.real, gids.effective, gids.saved].map(nix::unistd::Gid::as_raw);
        let wanted = &self.credentials;
        let mut right = all(uids, wanted.uid) && all(gids, wanted.gid);
        if let Some(groups) = &wanted.groups {
            let mut groups = groups.clone();
            groups.sort_unstable();
            right &= credentials::groups().map_err(verify)? == groups;
        }
        if let CapabilityPlan::Set {
            permitted,
            ambient,
            bounding,
        } = self.capabilities
        {
            right &= only_in(ambient, credentials::is_ambient).map_err(verify)?;
            if let Some(keep) = bounding {
                right &= only_in(keep, credentials::is_in_bounding_set).map_err(verify)?;
            }
            let held = self.held(permitted).map_err(verify)?;
            let root = nix::unistd::geteuid().is_root();
            let effective = self.effective(permitted, ambient, root).map_err(verify)?;
            let now = credentials::capabilities().map_err(verify)?;
            right &=
                now.permitted == held && now.effective == effective && now.inheritable == ambient;
        }
        if self.no_new_privs {
            right &= process::no_new_privs().map_err(verify)?;
        }
        if right {
            Ok(())
        } else {
            Err(verify(Errno::EBADE))
        }
    }

    /// The state of the child once it is ready, for the verifier.
    pub(crate) fn expected(
        &self,
        groups: Groups,
        filters: u32,
        root: Place,
    ) -> Result<Expected, Errno> {
        let id = |id: Option<u32>| id.map_or(Id::Unchanged, Id::Is);
        let uid = self.credentials.uid;
        let is_root = uid.map_or_else(|| nix::unistd::geteuid().is_root(), |uid| uid == 0);
        let capabilities = match self.capabilities {
            CapabilityPlan::Inherit => Capabilities::Inherited,
            CapabilityPlan::Set {
                bounding,
                permitted,
                ambient,
            } => Capabilities::Exactly {
                permitted: self.held(permitted)?.bits(),
                effective: self.effective(permitted, ambient, is_root)?.bits(),
                inheritable: ambient.bits(),
                ambient: ambient.bits(),
                bounding: bounding.map(CapabilitySet::bits),
            },
        };
        let cwd = match &self.work_dir {
            WorkDir::Opened(directory) => {
                let known = statx::identify(directory.as_fd())?;
                Directory::Is(Place::from(known))
            }
            _ => Directory::Undecided,
        };
        Ok(Expected {
            uid: id(self.credentials.uid),
            gid: id(self.credentials.gid),
            groups,
            capabilities,
            no_new_privs: self.no_new_privs,
            filters,
            root: Directory::Is(root),
            root_mount: Some(root.mount()),
            cwd,
        })
    }

    /// The number of seccomp filters that the child loads after the verifier has checked it.
    pub(crate) fn last_filters(&self) -> u32 {
        let last = self.layers.seccomp.len() + usize::from(self.listening.is_some());
        u32::try_from(last).unwrap_or(u32::MAX)
    }

    /// Only 0, 1, 2 and the declared descriptors cross execve. The report and the explainer's
    /// socket stay open until then because the later steps need them.
    fn close_descriptors(&self, report: RawFd, control: Option<RawFd>) -> Result<(), Failure> {
        let failed = |errno| Failure::new(Step::Descriptors, errno);
        for fd in self.preserved.numbers() {
            descriptor::set_close_on_exec(*fd, false).map_err(failed)?;
        }
        let own = [report, control.unwrap_or(report)];
        if own.iter().any(|fd| self.preserved.contains(*fd)) {
            return Err(failed(Errno::EBUSY));
        }
        // Closes each range between two descriptors that stay open.
        let number = |fd: RawFd| u32::try_from(fd).map_err(|_| failed(Errno::EBADF));
        let mut first = FIRST;
        loop {
            let own = own.into_iter().filter(|fd| *fd >= first);
            let Some(kept) = own.chain(self.preserved.next(first)).min() else {
                break;
            };
            if kept > first {
                descriptor::close_range(number(first)?, number(kept)? - 1, Range::Close)
                    .map_err(failed)?;
            }
            // There are no descriptors above the greatest number.
            first = match kept.checked_add(1) {
                Some(next) => next,
                None => return Ok(()),
            };
        }
        descriptor::close_range(number(first)?, u32::MAX, Range::Close).map_err(failed)
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

/// Whether `has` is true of no capability outside `set`.
fn only_in(
    set: CapabilitySet,
    has: impl Fn(Capability) -> Result<bool, Errno>,
) -> Result<bool, Errno> {
    for capability in CapabilitySet::from_bits(u64::MAX).iter() {
        match has(capability) {
            Ok(has) if has && !set.contains(capability) => return Ok(false),
            Ok(_) => {}
            // The number is above the kernel's last capability.
            Err(Errno::EINVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(true)
}

/// The device number of /dev/null: major 1, minor 3.
const NULL_DEVICE: u64 = 1 << 8 | 3;

/// Checks that `path` leads to `wanted`. The verifier does not know a directory that was entered by
/// its path, and may not see root and directory of the child at all.
///
/// # Errors
/// EBADE: it leads elsewhere.
fn verify_place(path: &CStr, wanted: &OwnedFd) -> Result<(), Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let found = nix::fcntl::open(path, flags, Mode::empty())?;
    let found = statx::identify(found.as_fd())?;
    if found.is_same_place(&statx::identify(wanted.as_fd())?) {
        Ok(())
    } else {
        Err(Errno::EBADE)
    }
}

/// Refuses a working directory that is not beneath the root: its name then begins with
/// "(unreachable)", getcwd(2).
fn verify_work_dir() -> Result<(), Failure> {
    let mut buffer = [0; 4096];
    match process::current_directory(&mut buffer) {
        Ok([b'/', ..]) => Ok(()),
        Ok(_) => Err(Failure::new(Step::WorkDirOutside, Errno::EXDEV)),
        Err(errno) => Err(Failure::new(Step::WorkDir, errno)),
    }
}

fn hung_up(fd: BorrowedFd<'_>) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(fd, PollFlags::empty())];
    let polled = poll(&mut fds, PollTimeout::ZERO);
    let [fd] = fds;
    polled.is_err()
        || fd
            .revents()
            .is_some_and(|events| events.contains(PollFlags::POLLHUP))
}

impl VerificationRequest {
    /// Sends the request, and waits for the verifier to end: it must not become the program's
    /// child. Meanwhile each signal has its default effect on this process.
    fn send(&self) -> Result<(), ()> {
        let answer = self
            .verifier
            .verify(self.pid, &self.expected, &Delivered(None));
        answer.map_err(|error| {
            let _ = self.refused.set(error.into_error());
        })
    }
}

/// Writes all of `bytes` in one call.
fn write_all(file: &OwnedFd, bytes: &[u8]) -> Result<(), Errno> {
    match nix::unistd::write(file, bytes)? {
        written if written == bytes.len() => Ok(()),
        _ => Err(Errno::EIO),
    }
}
