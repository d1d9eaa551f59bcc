//! Protocol A: libcontainer starts the helper, which joins, reports the pid of a sibling, and ends;
//! the sibling reads initConfig and becomes the program.
//!
//! initConfig arrives after the joins. So a process under the ceiling parses it, which can do no
//! harm yet.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::SockType;
use nix::sys::stat::{Mode, SFlag, fstat};

use super::ceiling::Ceiling;
use super::exec::{CapabilityPlan, Credentials, Image, Line, OomScoreAdj, Release, WorkDir};
use super::exec_label::ExecLabel;
use super::explain::Audited;
use super::failure::{Failure, Step};
use super::join::{self, Inside};
use super::keyring;
use super::own_files::OwnFiles;
use super::own_namespaces::OwnNamespaces;
use super::signals::Signals;
use super::verifier::expected::{Expected, Place};
use super::verifier::{Outside, Verifier};
use super::waits::{End, WaitError, WaitResult, Waits, send_at_once};
use super::{own_files, small_program};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::environment::{self, Variables};
use crate::plan::layers::BuiltLayers;
use crate::plan::{Accounts, Plan};
use crate::policy::capability::Capability;
use crate::policy::layered::Layered;
use crate::policy::needs;
use crate::policy::resolved::{Follow, Process};
use crate::prepare::cannot_clone::cannot_clone;
use crate::prepare::filters;
use crate::prepare::preserved::Preserved;
use crate::runtime_text::ForRuntime;
use crate::seccomp::compile::compile;
use crate::seccomp::libcontainer;
use crate::seccomp::program::Program;
use crate::seccomp::table::is_known_somewhere;
use crate::sys::clone::{Parentage, Side, clone};
use crate::sys::exec::StringArray;
use crate::sys::process::exit_now;
use crate::sys::signal::{self, CallersSignals};
use crate::sys::{credentials, descriptor, pidfd, terminal};
use crate::target::directory::ProgramRoot;
use crate::target::procfs_root::read_all;
use crate::target::{Procfs, RootFile, Target, cgroup};
use crate::userdb::{self, Identity};
use crate::wire::generic_error;
use crate::wire::init_config::{self, InitConfig};
use nsexec_text::json::printable;
use nsexec_text::printable::Printable;

/// The pipe to libcontainer: a socket, or the write end of a pipe.
#[derive(Debug)]
pub(crate) struct InitPipe {
    file: OwnedFd,
    readable: bool,
    is_socket: bool,
    /// The number of descriptors from 3 up to its own number.
    before: u32,
}

impl InitPipe {
    /// Takes the descriptor that _LIBCONTAINER_INITPIPE names.
    ///
    /// # Errors
    /// `Protocol`: it is not open, no socket or pipe, or not open for writing.
    pub(crate) fn take(number: i32) -> Result<Self> {
        let wrong = |what: &str| {
            Error::new(
                ErrorKind::Protocol,
                format!("_LIBCONTAINER_INITPIPE={number}: {what}"),
            )
            .with_hint("give a socket of a pair, or the write end of a pipe")
        };
        let before =
            u32::try_from(number - 3).map_err(|_| wrong("it is standard input or output"))?;
        let file = descriptor::duplicate_number(number).map_err(|_| wrong("it is not open"))?;
        let stat =
            fstat(&file).map_err(|errno| wrong("its type cannot be read").with_source(errno))?;
        let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        if kind != SFlag::S_IFSOCK && kind != SFlag::S_IFIFO {
            return Err(wrong("it is neither a socket nor a pipe"));
        }
        let flags = fcntl(&file, FcntlArg::F_GETFL)
            .map_err(|errno| wrong("its flags cannot be read").with_source(errno))?;
        match OFlag::from_bits_truncate(flags) & OFlag::O_ACCMODE {
            OFlag::O_RDWR => Ok(Self {
                file,
                readable: true,
                is_socket: kind == SFlag::S_IFSOCK,
                before,
            }),
            OFlag::O_WRONLY => Ok(Self {
                file,
                readable: false,
                is_socket: kind == SFlag::S_IFSOCK,
                before,
            }),
            _ => Err(wrong("it is not open for writing")),
        }
    }

    /// Writes all bytes in one write, once there is room: other processes may fill a socket
    /// meanwhile. A plain pipe, for writing only, has no program to start.
    pub(crate) fn write(&self, bytes: &[u8], waits: &dyn Waits) -> WaitResult<()> {
        let failed = |errno| Error::new(ErrorKind::System, PID).with_source(errno);
        let room = PollFd::new(self.file.as_fd(), PollFlags::POLLOUT);
        waits.until(Some(room), None)?;
        if self.is_socket {
            return Ok(send_at_once(self.file.as_raw_fd(), bytes).map_err(failed)?);
        }
        match nix::unistd::write(&self.file, bytes).map_err(failed)? {
            written if written == bytes.len() => Ok(()),
            _ => Err(failed(Errno::EIO).into()),
        }
    }
}

/// Opens the console while this process is in the caller's mount namespace: a path in the target's
/// could lead anywhere (CVE-2025-52565).
pub(crate) fn open_console(path: &CString) -> Result<OwnedFd> {
    let name = path.to_string_lossy();
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let console = open(path.as_c_str(), flags, Mode::empty()).map_err(|errno| {
        Error::new(ErrorKind::Protocol, format!("the console {name}")).with_source(errno)
    })?;
    if nix::unistd::isatty(&console) != Ok(true) {
        let wrong = format!("the console {name} is no terminal");
        return Err(Error::new(ErrorKind::Protocol, wrong).with_hint("give the path of a pty"));
    }
    Ok(console)
}

/// Joins, clones, reports the pid. Returns in the helper only.
///
/// # Errors
/// The reason why the pid could not be reported; there is no child then.
pub(crate) fn run(
    plan: Plan,
    pipe: InitPipe,
    console: Option<OwnedFd>,
    handed_over: u32,
    caller: CallersSignals,
) -> Result<()> {
    let Plan {
        policy,
        procfs,
        memberships,
        root,
        layers,
        accounts,
        target,
        ..
    } = plan;
    let Process { cgroup, label, .. } = &policy.process;
    if [cgroup, label]
        .iter()
        .any(|follow| **follow != Follow::Caller)
    {
        let wrong = format!(
            "the policy {} follows the target's cgroup or label",
            policy.name
        );
        return Err(Error::new(ErrorKind::Policy, wrong)
            .with_hint("in this protocol the runtime does: use one with \"caller\" for both"));
    }
    let layers = layers.ok_or_else(|| {
        Error::new(
            ErrorKind::Protocol,
            "the program's root is not known before the join",
        )
    })?;
    if let Some(target) = &target {
        target.still_there()?;
    }
    let oom_score_adj = own_oom_score_adj(&procfs)?;
    keyring::renew(policy.process.keyring)?;
    let own_namespaces = OwnNamespaces::open(&procfs, &memberships, &BTreeSet::new())?;
    let (gift_end, gift) = own_files::pair()?;
    let verifier = Verifier::start(Outside {
        procfs,
        memberships: &memberships,
        cgroups: cgroup::Decision::NotRequested,
        no_fork: false,
        gift: Some(gift_end),
    })?;
    let target = target.map(Target::into_pidfd);
    join::join(
        memberships.into_joins(),
        target.as_ref().map(OwnedFd::as_fd),
        Inside::Root,
    )?;
    drop(target);
    let ceiling_refuses_32_bit = small_program::refused(layers.ceiling.ready.seccomp.iter());
    own_namespaces.verify()?;
    let root_mount = root.directory().map(Place::of).transpose()?;
    let expected = Expected {
        no_new_privs: policy.process.no_new_privs,
        filters: u32::from(layers.ceiling.ready.seccomp.is_some()),
        root_mount: root_mount.map(Place::mount),
        ..Expected::JOINED
    };
    let ceiling = Ceiling {
        no_new_privs: policy.process.no_new_privs,
        layers: layers.ceiling.ready,
        audited: Audited::KernelDefault,
    };
    ceiling.enforce()?;
    let system = |what: &'static str| {
        move |errno: Errno| Error::new(ErrorKind::System, what).with_source(errno)
    };
    caller
        .block()
        .map_err(system("the signals cannot be blocked"))?;
    let (ready, ready_end) = End::pair(SockType::Stream).map_err(system("a pair of sockets"))?;
    match clone(Parentage::Sibling).map_err(cannot_clone)? {
        Side::Child => {
            drop((ready, verifier));
            let child = Child {
                gift,
                root,
                accounts,
                process: policy.process,
                workload: layers.workload,
                ceiling_refuses_32_bit,
                oom_score_adj,
                signals: caller,
                // The pipe comes right after the passed files.
                handed_over: handed_over.min(pipe.before),
            };
            child.run(pipe, console, ready_end)
        }
        Side::Parent { child, pidfd } => {
            drop((ready_end, gift));
            let reported = Signals::open()
                .map_err(|errno| system(PID)(errno).into())
                .and_then(|signals| {
                    wait_until_ready(&ready, &signals)?;
                    verifier.verify(child, &expected, &signals)?;
                    pipe.write(&generic_error::pid_line(child), &signals)
                });
            if reported.is_err() {
                let _ = pidfd::send_signal(pidfd.as_fd(), libc::SIGKILL);
                let _ = caller.obey();
            }
            match reported {
                Ok(()) => Ok(()),
                Err(WaitError::Failed(error)) => Err(error),
                Err(WaitError::Signal(signal)) => {
                    signal::die_of(signal);
                    let wrong = format!("{PID}: signal {signal}");
                    Err(Error::new(ErrorKind::System, wrong))
                }
            }
        }
    }
}

/// The text of a failure to report the pid.
const PID: &str = "the pid cannot be reported";

/// A child that cannot have its console ends before the helper reports its pid.
pub(crate) fn wait_until_ready(ready: &End, waits: &dyn Waits) -> WaitResult<()> {
    let mut record = [0; Failure::LENGTH];
    waits.until(Some(ready.readable()), None)?;
    match ready.take(&mut record, &mut Vec::new()) {
        Ok(1) => Ok(()),
        Ok(Failure::LENGTH) => {
            let failure = Failure::from_bytes(record);
            let error = failure.map_or_else(ended_early, |failure| failure.into_error("init"));
            Err(error.into())
        }
        Ok(_) => Err(ended_early().into()),
        Err(Errno::EAGAIN) => {
            let wrong = "another process took the report of the child";
            Err(Error::new(ErrorKind::Safety, wrong).into())
        }
        Err(errno) => {
            let wrong = "the program's process cannot be reached";
            Err(Error::new(ErrorKind::System, wrong)
                .with_source(errno)
                .into())
        }
    }
}

fn ended_early() -> Error {
    Error::new(
        ErrorKind::System,
        "the report of the child is missing: the child has ended, or another process took \
         its report",
    )
}

fn own_oom_score_adj(procfs: &Procfs) -> Result<Vec<u8>> {
    let file = procfs.open_file(c"self/oom_score_adj").map_err(|errno| {
        Error::new(ErrorKind::System, "/proc/self/oom_score_adj").with_source(errno)
    })?;
    read_all(file, 16, &"/proc/self/oom_score_adj")
}

/// The process that becomes the program.
struct Child {
    /// The socket on which it receives its own files in the caller's /proc.
    gift: OwnedFd,
    root: ProgramRoot,
    /// Opened before the join, like all other objects of the target.
    accounts: Accounts,
    process: Process,
    workload: BuiltLayers,
    ceiling_refuses_32_bit: bool,
    /// The helper's own, in the kernel's format.
    oom_score_adj: Vec<u8>,
    signals: CallersSignals,
    /// The number of descriptors, from 3 on, that the caller handed over.
    handed_over: u32,
}

impl Child {
    fn run(self, pipe: InitPipe, console: Option<OwnedFd>, ready: OwnedFd) -> ! {
        match start_session(console) {
            Ok(()) => {
                if nix::unistd::write(&ready, &[1]) != Ok(1) {
                    exit_now(1);
                }
            }
            Err(failure) => {
                let _ = nix::unistd::write(&ready, &failure.to_bytes());
                exit_now(1);
            }
        }
        drop(ready);
        // A process that knows the pid can end the child while it waits.
        let _ = self.signals.obey();
        // The verifier compares this process before it sends the files.
        let Ok(own_files) = own_files::receive(&self.gift) else {
            exit_now(1);
        };
        if !pipe.readable {
            let wrong = "no initConfig can be read: _LIBCONTAINER_INITPIPE is for writing only";
            print_error(&ForRuntime(&Error::new(ErrorKind::Protocol, wrong)));
            exit_now(1);
        }
        let received = match receive(&pipe.file) {
            Ok(received) => received,
            Err(errno) => {
                let error = Error::new(
                    ErrorKind::Protocol,
                    "initConfig cannot be read from the pipe",
                )
                .with_source(errno);
                print_error(&ForRuntime(&error));
                exit_now(1);
            }
        };
        // From here on libcontainer waits for an error or for the end of the pipe.
        let line = Line {
            report: pipe.file,
            release: Release::Own,
        };
        let error = match self.prepare(received, own_files) {
            Ok((image, program)) => {
                // The last step before execve closes its descriptors; a drop would close them
                // again.
                let image = ManuallyDrop::new(image);
                let failure = image.become_program(&line);
                failure.into_error_in(&program, image.work_dir.path().as_deref())
            }
            Err(error) => error,
        };
        print_error(&ForRuntime(&error));
        let message = answer(&error);
        let _ = nix::unistd::write(&line.report, &message);
        exit_now(1)
    }

    fn prepare(self, received: Received, own_files: OwnFiles) -> Result<(Image, String)> {
        if !received.whole {
            let wrong = format!(
                "initConfig is longer than {} bytes",
                init_config::MAX_INIT_CONFIG
            );
            return Err(Error::new(ErrorKind::Protocol, wrong));
        }
        let config = init_config::parse(&received.text)
            .map_err(|fault| Error::new(ErrorKind::Protocol, format!("initConfig: {fault}")))?;
        let preserved = self.passed_files(config.passed_files)?;
        let identity = Self::identity(self.accounts, &config)?;
        let mut variables = Variables::from_pairs(
            config
                .env
                .iter()
                .map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())),
        );
        if variables.value(b"HOME").is_none_or(<[u8]>::is_empty) {
            variables.set(b"HOME", identity.home.as_bytes().to_vec());
        }
        let first = config.args.first().cloned().unwrap_or_default();
        let candidates = environment::candidates(&first, &variables)?;
        let mut seccomp: Vec<Program> = self.workload.ready.seccomp.into_iter().collect();
        if let Some(filter) = &config.seccomp {
            seccomp.push(own_filter(filter)?);
        }
        let oom_score_adj = oom_score_adj(
            own_files.oom_score_adj,
            &self.oom_score_adj,
            config.oom_score_adj,
        )?;
        let exec_label = exec_label(own_files.directory, &config)?;
        let image = Image {
            rlimits: config.rlimits,
            umask: self.process.umask,
            oom_score_adj,
            root: match self.root {
                ProgramRoot::Other(root) => Some(root),
                ProgramRoot::Own(_) | ProgramRoot::AfterJoin => None,
            },
            work_dir: config.cwd.map_or(WorkDir::Keep, WorkDir::Path),
            credentials: Credentials {
                uid: Some(identity.uid),
                gid: Some(identity.gid),
                groups: Some(identity.groups),
            },
            own_standard: true,
            capabilities: capabilities(config.capabilities)?,
            exec_label,
            no_new_privs: self.process.no_new_privs,
            dies_with_parent: false,
            refuses_32_bit: self.ceiling_refuses_32_bit || small_program::refused(seccomp.iter()),
            layers: Layered {
                seccomp,
                landlock: self.workload.ready.landlock,
            },
            audited: Audited::KernelDefault,
            listening: None,
            preserved,
            signals: self.signals,
            candidates,
            argv: StringArray::new(config.args),
            envp: StringArray::new(variables.into_strings()),
        };
        Ok((image, first.to_string_lossy().into_owned()))
    }

    /// Descriptors 3 to 3 + N - 1 are the caller's. A descriptor that was not open at the helper's
    /// start would be one of the helper's own.
    fn passed_files(&self, count: u32) -> Result<Preserved> {
        Preserved::counted(count, self.handed_over).ok_or_else(|| {
            let wrong = format!(
                "passed_files_count {count}: descriptor {} was not passed",
                3 + self.handed_over
            );
            Error::new(ErrorKind::Protocol, wrong)
                .with_hint("count the files that were passed, from descriptor 3 on")
        })
    }

    /// The user, from the passwd and group files of the program's root.
    fn identity(accounts: Accounts, config: &InitConfig) -> Result<Identity> {
        for warning in accounts.warnings() {
            warn(warning);
        }
        let [needs_passwd, needs_group] = userdb::needs(&config.user, &config.additional_groups);
        let read = |file: RootFile, needed: bool| match file.read(userdb::MAX_FILE) {
            Err(error) if !needed => {
                warn(&error.to_string());
                Ok(Vec::new())
            }
            other => other,
        };
        // If the user does not need it, passwd serves only to find HOME.
        let passwd = read(accounts.passwd, needs_passwd)?;
        let group = match needs_group {
            true => read(accounts.group, true)?,
            false => Vec::new(),
        };
        let (uid, gid) = (
            nix::unistd::getuid().as_raw(),
            nix::unistd::getgid().as_raw(),
        );
        let mut identity = userdb::resolve(&config.user, &passwd, &group, uid, gid)
            .map_err(|fault| Error::new(ErrorKind::Protocol, fault.reason.to_string()))?;
        identity
            .add_groups(&config.additional_groups, &group)
            .map_err(|fault| Error::new(ErrorKind::Protocol, fault.reason.to_string()))?;
        for doubt in &identity.doubts {
            warn(&doubt.to_string());
        }
        Ok(identity)
    }
}

/// A session of its own, with the console as its terminal and on 0, 1 and 2.
pub(crate) fn start_session(console: Option<OwnedFd>) -> std::result::Result<(), Failure> {
    terminal::new_session().map_err(|errno| Failure::new(Step::Session, errno))?;
    let Some(console) = console else {
        return Ok(());
    };
    let failed = |errno| Failure::new(Step::Terminal, errno);
    terminal::take_control(console.as_fd()).map_err(failed)?;
    for standard in 0..=2 {
        descriptor::place(console.as_fd(), standard).map_err(failed)?;
    }
    Ok(())
}

/// The bytes from the pipe up to its end.
struct Received {
    text: Vec<u8>,
    /// No byte was dropped.
    whole: bool,
}

/// Reads to the end: libcontainer shuts its side down after initConfig, and it reads an error only
/// after its whole message was read.
fn receive(pipe: &OwnedFd) -> std::result::Result<Received, Errno> {
    let mut text = Vec::new();
    let mut whole = true;
    let mut chunk = [0; 16384];
    loop {
        match nix::unistd::read(pipe, &mut chunk) {
            Ok(0) => return Ok(Received { text, whole }),
            Ok(read) if text.len() + read > init_config::MAX_INIT_CONFIG => whole = false,
            Ok(read) if whole => text.extend(chunk.iter().take(read)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// The capabilities that initConfig gives the program, exactly. The kernel refuses to set more than
/// the helper has.
fn capabilities(wanted: crate::policy::capability::CapabilitySet) -> Result<CapabilityPlan> {
    let now = credentials::capabilities().map_err(|errno| {
        Error::new(
            ErrorKind::System,
            "the capabilities of the helper cannot be read",
        )
        .with_source(errno)
    })?;
    let bounding = now
        .effective
        .contains(Capability::SETPCAP)
        .then_some(wanted);
    let ambient = crate::policy::capability::CapabilitySet::EMPTY;
    Ok(CapabilityPlan::Set {
        bounding,
        permitted: wanted,
        ambient,
    })
}

/// The filter of initConfig. Skips calls that this architecture does not have, as libcontainer
/// does.
fn own_filter(config: &libcontainer::Config) -> Result<Program> {
    let failed = |what: String| Error::new(ErrorKind::Protocol, format!("seccomp: {what}"));
    let arch = filters::native()?;
    let resolved = libcontainer::resolve_libcontainer_2015(config, arch)
        .map_err(|reason| failed(reason.to_string()))?;
    if let Some(warning) = passed_over(&resolved.skipped) {
        warn(&warning);
    }
    if let Some(call) = needs::denied_to_workload(&resolved.profile, arch) {
        return Err(failed(format!(
            "it denies {call}, without which nothing can be executed"
        )));
    }
    compile(&resolved.profile, arch).map_err(|fault| failed(fault.to_string()))
}

/// One line for all names that no architecture has; none for those of other architectures, which
/// cannot be called here. An engine's profile has a hundred of those, and standard error belongs to
/// the program.
fn passed_over(skipped: &[String]) -> Option<String> {
    /// How many names the line lists.
    const NAMED: usize = 3;
    let unknown = skipped.iter().filter(|name| !is_known_somewhere(name));
    let unknown: BTreeSet<&String> = unknown.collect();
    let count = unknown.len();
    let named: Vec<String> = unknown
        .into_iter()
        .take(NAMED)
        .map(|name| printable(name))
        .collect();
    let named = named.join(", ");
    match count {
        0 => None,
        1 => Some(format!(
            "seccomp: {named} is no system call, and is ignored"
        )),
        _ => {
            let more = if count > NAMED { ", ..." } else { "" };
            Some(format!(
                "seccomp: {count} names are no system calls, and are ignored: {named}{more}"
            ))
        }
    }
}

/// The error as libcontainer's JSON.
fn answer(error: &Error) -> Vec<u8> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let message = ForRuntime(error).to_string();
    generic_error::generic_error(now.unwrap_or_default(), message.as_bytes())
}

/// The adjustment to write; `None`: it has the value already.
fn oom_score_adj(file: Option<OwnedFd>, now: &[u8], wanted: i16) -> Result<Option<OomScoreAdj>> {
    let value = wanted.to_string().into_bytes();
    if now.trim_ascii() == value.as_slice() {
        return Ok(None);
    }
    let file = file.ok_or_else(|| {
        let wrong = format!("oom_score_adj {wanted} cannot be set");
        Error::new(ErrorKind::Unsupported, wrong)
            .with_hint("its file belongs to root: run the runtime as root, or leave it as it is")
    })?;
    Ok(Some(OomScoreAdj { file, value }))
}

fn exec_label(directory: Option<OwnedFd>, config: &InitConfig) -> Result<Option<ExecLabel>> {
    let directory = || {
        directory.ok_or_else(|| {
            let wrong = "the program cannot be given a security label";
            Error::new(ErrorKind::Unsupported, wrong)
                .with_hint("this takes CAP_SYS_ADMIN: run the runtime as root, or set none")
        })
    };
    match (&config.apparmor_profile, &config.process_label) {
        (None, None) => Ok(None),
        (Some(profile), None) => {
            let label = ExecLabel::apparmor(directory()?, profile.as_bytes());
            Ok(Some(label))
        }
        (None, Some(context)) => {
            let label = ExecLabel::selinux(directory()?, context.as_bytes().to_vec());
            Ok(Some(label))
        }
        (Some(_), Some(_)) => {
            let wrong = "initConfig has both an AppArmor profile and an SELinux label";
            Err(Error::new(ErrorKind::Protocol, wrong)
                .with_hint("a kernel runs with one of the two: leave the other empty"))
        }
    }
}

/// One line on standard error about a problem that does not prevent the start of the program.
pub(crate) fn warn(warning: &str) {
    print_error(&Error::new(
        ErrorKind::Target,
        format!("warning: {warning}"),
    ));
}

/// One line on standard error.
pub(crate) fn print_error(error: &dyn std::fmt::Display) {
    let line = format!("nsexec: {}\n", Printable(error));
    let _ = nix::unistd::write(descriptor::standard(2), line.as_bytes());
}
