//! Steps 4 to 8 for the command line: join, ceiling, clone, and both sides.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::io::IsTerminal;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::sys::socket::SockType;
use nix::unistd::pipe2;

use super::ceiling::Ceiling;
use super::exec::{
    CapabilityPlan, Credentials, Image, Line, Listening, Release, VerificationRequest, WorkDir,
};
use super::exec_label::ExecLabel;
use super::explain::{Audited, Explained, Explainer};
use super::failure::{Failure, Step};
use super::join::{self, Inside};
use super::own_namespaces::OwnNamespaces;
use super::protocol_a::warn;
use super::signals::Session;
use super::supervise::{Start, Supervisor};
use super::verifier::expected::{Expected, Groups, Place};
use super::verifier::{Outside, Verifier};
use super::waits::{Delivered, End, WaitError, WaitResult};
use super::{keyring, small_program};
use crate::ended::Ended;
use crate::error::{Error, ErrorKind, Result};
use crate::landlock::ruleset::Domain;
use crate::plan::environment::{self, Account, Variables};
use crate::plan::layers::Layers;
use crate::plan::{Accounts, Plan, report};
use crate::policy::capability::{Capability, CapabilitySet};
use crate::policy::layered::Layered;
use crate::policy::resolved::Capabilities;
use crate::prepare::cannot_clone::cannot_clone;
use crate::prepare::policy_choice::{self, Frontend};
use crate::prepare::preserved::{self, Declared};
use crate::prepare::status::StatusLines;
use crate::prepare::{clean, filters, own_file};
use crate::procfs::environ;
use crate::request::{self, Directory, Explain, Namespace, Pid, Request};
use crate::sys::clone::{Parentage, Side, clone};
use crate::sys::credentials;
use crate::sys::exec::StringArray;
use crate::sys::process::exit_now;
use crate::sys::signal::CallersSignals;
use crate::sys::{process, terminal};
use crate::target::directory::{self, ProgramRoot};
use crate::target::label::{self, Label};
use crate::target::procfs_root::{MAX_FILE, read_all};
use crate::target::{PathResolver, Procfs, RootFile, Target};
use crate::userdb::{self, passwd};

impl Plan {
    /// Opens all objects that the request names and decides how to do the exec. Changes only this
    /// process: descriptors above 2 become CLOEXEC, the process becomes undumpable and takes the
    /// policy's oom_score_adj, it ignores SIGPIPE but not SIGCHLD, and it unblocks SIGHUP, SIGINT
    /// and SIGTERM. The program gets the caller's signals back.
    ///
    /// # Errors
    /// Any [`ErrorKind`] but `NotFound`, `NotExecutable` and `Join`; `Safety` if
    /// [`crate::protect_own_file`] was not called.
    pub fn prepare(request: Request) -> Result<Self> {
        let declared = Declared::take(&request)?;
        let mut lines = request.status_fd.map(StatusLines::open).transpose()?;
        let signals = CallersSignals::take().map_err(|errno| {
            Error::new(ErrorKind::System, "the signals cannot be blocked").with_source(errno)
        })?;
        match Self::open(request, declared) {
            Ok(plan) => Ok(Self {
                lines,
                signals: Some(signals),
                ..plan
            }),
            Err(error) => {
                lines.iter_mut().for_each(|lines| lines.failed(&error));
                Err(error)
            }
        }
    }

    fn open(request: Request, declared: Declared) -> Result<Self> {
        let Declared {
            preserved,
            programs,
        } = declared;
        let procfs = Procfs::open()?;
        let own_file = own_file::status(&procfs)?;
        clean::make_fit(&procfs)?;
        let programs = programs.read()?;
        let loaded = policy_choice::load(&request.policy, Frontend::CommandLine)?;
        let policy = loaded.policy;
        if policy.process.capabilities == Capabilities::InitConfig {
            return Err(for_protocol_a(&policy.name));
        }
        let added_filters = programs.on_top_of(&policy)?;
        if let Some(adjust) = policy.process.oom_score_adj {
            adjust_oom_score(adjust)?;
        }
        clean::set_undumpable()?;
        let explains = (request.explain != Explain::No).then_some(loaded.origin);
        Ok(Self {
            explains,
            added_filters,
            preserved,
            ..Self::of(request, policy, own_file, procfs)?
        })
    }

    /// Joins, locks this process down, starts the program, waits for it.
    ///
    /// This process itself joins the namespaces and enforces the ceiling on itself, permanently. It
    /// closes every descriptor that it does not need, the declared ones included, and blocks its
    /// signals. Call it in a process that
    /// exists for this purpose. Until the program runs, each signal has its default effect.
    ///
    /// # Errors
    /// The reason why the program could not be started; the program did not start then.
    pub fn execute(mut self) -> Result<Ended> {
        let mut lines = self.lines.take();
        let signals = self.signals.take();
        let signals = signals.map_or_else(CallersSignals::take, Ok);
        let signals = signals.map_err(|errno| {
            Error::new(ErrorKind::System, "the signals cannot be blocked").with_source(errno)
        })?;
        let ended = self.run(&mut lines, signals);
        if let Err(error) = &ended {
            // A reader of standard error or of the status lines may stop reading; the helper must
            // be able to end then.
            let _ = signals.obey();
            lines.iter_mut().for_each(|lines| lines.failed(error));
        }
        ended
    }

    fn run(self, lines: &mut Option<StatusLines>, signals: CallersSignals) -> Result<Ended> {
        let plan = lines.is_some().then(|| self.to_value());
        if let (Some(lines), Some(plan)) = (&mut *lines, plan) {
            lines.write(&plan)?;
        }
        preserved::close_helpers_own(&self.request)?;
        if let Some(target) = &self.target {
            target.still_there()?;
        }
        let Self {
            request,
            policy,
            procfs,
            memberships,
            target,
            root,
            explains,
            ..
        } = self;
        let labelled = self.context.is_some();
        match (self.context, self.label) {
            (Some(context), _) => label_next_execve(&procfs, Label::Selinux(context))?,
            (None, label::Decision::Follow(label)) => {
                let text = label.to_text();
                label_next_execve(&procfs, label).map_err(|error| {
                    let wrong = format!("the program cannot have the target's label {text:?}");
                    Error::new(ErrorKind::LockDown, wrong)
                        .with_source(error)
                        .with_hint(
                            "use a policy with label = \"caller\", such as admin, to leave it out",
                        )
                })?;
            }
            (None, label::Decision::NotRequested | label::Decision::NothingToFollow) => {}
        }
        let own_namespaces = OwnNamespaces::open(&procfs, &memberships, &BTreeSet::new())?;
        let outside = Outside {
            procfs,
            memberships: &memberships,
            cgroups: self.cgroups,
            no_fork: request.no_fork,
            gift: None,
        };
        // In the namespaces of the caller, and not under the ceiling.
        let verifier = Verifier::start(outside)?;
        let explained = explains.map(|origin| Explained::start(request.explain, &policy, origin));
        let explained = explained.transpose()?;
        let enters_mounts = memberships.joins(Namespace::Mnt);
        let inside = if request.preserve_credentials {
            Inside::Same
        } else {
            Inside::Root
        };
        keyring::renew(policy.process.keyring)?;
        let target = target.map(Target::into_pidfd);
        join::join(
            memberships.into_joins(),
            target.as_ref().map(OwnedFd::as_fd),
            inside,
        )?;
        drop(target);
        own_namespaces.verify()?;

        let (layers, accounts, root, opened) = match (self.layers, root, self.finder) {
            (Some(layers), root, _) => (layers, self.accounts, root, self.work_dir),
            (None, _, None) => {
                let wrong = "the root of the program is not known";
                return Err(Error::new(ErrorKind::System, wrong));
            }
            (None, _, Some(finder)) => {
                let (root, opened) = directory::after_join(&request, self.work_dir, &finder)?;
                let directory = root.directory().ok_or_else(|| {
                    Error::new(ErrorKind::System, "the program's root is not open")
                })?;
                let layers = Layers::build(&policy, directory, PathResolver::Finder(&finder))?;
                let accounts = Accounts::open(directory, &request, &policy, &finder)?;
                (layers, accounts, root, opened)
            }
        };
        let capabilities = capabilities(policy.process.capabilities, &policy, request.keep_caps)?;
        // A person reads this line. A script reads --status-fd instead, and its standard error
        // contains only the program's errors.
        if let (Some(dropped_parts), true) =
            (layers.dropped_parts(), std::io::stderr().is_terminal())
        {
            warn(&format!(
                "on this kernel {dropped_parts} (policy {}; --dry-run says why)",
                policy.name
            ));
        }
        let Layers {
            mut ceiling,
            mut workload,
            supervisor,
        } = layers;
        if explained.is_some() {
            ceiling.log_all();
            workload.log_all();
        }
        let status = lines.is_some().then(|| {
            report::layers(
                Some(&ceiling.status),
                Some(&workload.status),
                &self.added_filters,
            )
        });
        let audited = match &explained {
            Some(_) => Audited::Whole,
            None => Audited::KernelDefault,
        };
        let (explainer, filters) = match explained {
            Some(Explained { explainer, filters }) => (Some(explainer), Some(filters)),
            None => (None, None),
        };
        let (ceiling_filter, workload_filter, last_filter) = match filters {
            Some(filters) => (filters.ceiling, filters.workload, Some(filters.last)),
            None => (ceiling.ready.seccomp, workload.ready.seccomp, None),
        };
        let ceiling_filters = u32::from(ceiling_filter.is_some());
        let ceiling = Ceiling {
            no_new_privs: policy.process.no_new_privs,
            layers: Layered {
                seccomp: ceiling_filter,
                landlock: ceiling.ready.landlock,
            },
            audited,
        };
        ceiling.enforce()?;

        // From here on the helper reads data of the target, under the ceiling.
        let uid = self
            .credentials
            .uid
            .unwrap_or_else(|| nix::unistd::geteuid().as_raw());
        for warning in accounts.warnings() {
            warn(warning);
        }
        if request.follow_context && !labelled {
            warn("-Z does nothing: this kernel runs without SELinux");
        }
        let account = account(accounts.passwd, uid);
        let target_environment = self.target_environment.map(read_environment).transpose()?;
        let caller = Variables::of_caller();
        let variables = environment::compose(
            &policy.process.environment,
            &caller,
            target_environment,
            &account,
            &request.environment,
        );
        let (program, arguments) = environment::arguments(&request.program, &variables);
        let candidates = environment::candidates(&program, &variables)?;
        let listening = match (&explainer, last_filter) {
            (Some(explainer), Some(filter)) => Some(Listening {
                filter,
                control: explainer.control()?,
            }),
            _ => None,
        };
        let place = match &root {
            ProgramRoot::Own(root) | ProgramRoot::Other(root) => Place::of(root)?,
            ProgramRoot::AfterJoin => Place::of(&directory::own_root()?)?,
        };
        let groups = if self.credentials.drop_groups {
            Groups::None
        } else {
            Groups::Unchanged
        };
        let directory = named_directory(&request);
        let refuses_32_bit = small_program::refused(
            [&policy.ceiling, &policy.workload]
                .into_iter()
                .filter_map(|layers| layers.seccomp.enforced())
                .chain(self.added_filters.programs()),
        );
        let image = Image {
            rlimits: policy.process.rlimits,
            umask: policy.process.umask,
            oom_score_adj: None,
            work_dir: work_dir(request.work_dir, opened, &root, enters_mounts)?,
            root: match root {
                ProgramRoot::Other(root) => Some(root),
                ProgramRoot::Own(_) | ProgramRoot::AfterJoin => None,
            },
            credentials: Credentials {
                uid: self.credentials.uid,
                gid: self.credentials.gid,
                groups: groups_to_set(self.credentials.drop_groups)?,
            },
            own_standard: false,
            capabilities,
            exec_label: None,
            no_new_privs: policy.process.no_new_privs,
            dies_with_parent: !request.no_fork,
            layers: Layered {
                // The policy's own filter is the last one. A check has shown that the added filters
                // do not prevent its loading.
                seccomp: self
                    .added_filters
                    .into_programs()
                    .chain(workload_filter)
                    .collect(),
                landlock: workload.ready.landlock,
            },
            refuses_32_bit,
            audited,
            listening,
            preserved: self.preserved,
            signals,
            candidates,
            argv: StringArray::new(arguments),
            envp: StringArray::new(variables.into_strings()),
        };
        let program = program.to_string_lossy().into_owned();
        let expected = image
            .expected(groups, ceiling_filters, place)
            .map_err(|errno| Error::new(ErrorKind::System, "capget").with_source(errno))?;
        if request.no_fork {
            let asking = VerificationRequest {
                verifier,
                pid: own_pid()?,
                expected,
                refused: OnceCell::new(),
            };
            let error = become_without_fork(&image, asking, &program, directory.as_deref());
            // The numbers of their descriptors are closed by the time execve fails.
            std::mem::forget((image, supervisor, explainer));
            return Err(error);
        }
        let parent = Parent {
            verifier,
            expected,
            supervisor,
            status,
            signals,
            session: Session::choose(),
            explainer,
            directory,
        };
        parent.start(image, &program, lines)
    }
}

/// The parent's state after clone.
struct Parent {
    verifier: Verifier,
    /// The state that the child must have before it is released.
    expected: Expected,
    supervisor: Option<Domain>,
    /// The layers, as the status lines report them.
    status: Option<serde_json::Value>,
    signals: CallersSignals,
    session: Session,
    explainer: Option<Explainer>,
    /// The working directory that was requested, for messages.
    directory: Option<String>,
}

impl Parent {
    fn start(self, image: Image, program: &str, lines: &mut Option<StatusLines>) -> Result<Ended> {
        let system = |what: &'static str| {
            move |errno| Error::new(ErrorKind::System, what).with_source(errno)
        };
        let pair = || End::pair(SockType::Stream).map_err(system("a pair of sockets"));
        let (report, report_end) = pair()?;
        let (leave, leave_end) = pair()?;
        let filter = filters::supervisor()?;
        // The helper reads its signals from here on: the child must not outlive its parent.
        self.signals
            .block()
            .map_err(system("the signals cannot be blocked"))?;
        let (child, pidfd) = match clone(Parentage::Own).map_err(cannot_clone)? {
            Side::Child => {
                // The child must keep none of the parent's descriptors.
                drop((
                    report,
                    leave,
                    self.verifier,
                    self.supervisor,
                    lines.take(),
                    self.explainer,
                ));
                let line = Line {
                    report: report_end,
                    release: Release::Parent(leave_end),
                };
                child(&image, &line, self.session)
            }
            Side::Parent { child, pidfd } => (child, pidfd),
        };
        let last_filters = image.last_filters();
        drop((leave_end, image));
        // An open copy in this process would keep the child's report from ending.
        nix::unistd::close(report_end).map_err(system("the child's end of the report"))?;
        let verifier = self.verifier;
        let mut supervisor = Supervisor::new(
            (child, pidfd),
            report,
            (self.session, self.signals),
            lines.take(),
        )?;
        let filters = verifier.filters_before() + self.expected.filters + last_filters;
        let explainer = self.explainer.as_ref();
        let run = |supervisor: &mut Supervisor| -> WaitResult<Ended> {
            supervisor.watch(verifier.open(child, supervisor.signals())?);
            verifier.move_to_cgroups(child, supervisor.signals())?;
            let mut others = vec![leave.number(), verifier.number()];
            others.extend(explainer.iter().flat_map(|e| e.numbers()));
            supervisor.lock_down(self.supervisor, &filter, &others)?;
            match supervisor.wait_for_start(explainer.map(Explainer::end))? {
                Start::Ready => {}
                other => return Ok(not_started(other, program, self.directory.as_deref())?),
            }
            verifier.verify(child, &self.expected, supervisor.signals())?;
            drop(verifier);
            if let Some(explainer) = explainer {
                explainer.watch(child)?;
            }
            leave
                .send(&[1])
                .map_err(system("the program's process cannot be reached"))?;
            match supervisor.wait_for_start(explainer.map(Explainer::end))? {
                Start::Executed => {}
                other => return Ok(not_started(other, program, self.directory.as_deref())?),
            }
            drop(leave);
            supervisor.verify_filters(filters)?;
            if let Some(layers) = &self.status {
                supervisor.report_start(layers);
            }
            Ok(supervisor.wait_for_end()?)
        };
        let ended = match run(&mut supervisor) {
            Ok(ended) => Ok(ended),
            Err(WaitError::Signal(signal)) => Ok(Ended::Interrupted(signal)),
            Err(WaitError::Failed(error)) => Err(error),
        };
        if matches!(ended, Err(_) | Ok(Ended::Interrupted(_))) {
            supervisor.kill();
        }
        // The status is known: no failure from here on may lose it.
        if let Ok(ended) = ended {
            let _ = supervisor.report_end(ended, program);
        }
        if let Some(explainer) = self.explainer {
            let _ = supervisor.wait_for_explainer(explainer.finish().as_fd());
        }
        *lines = supervisor.into_lines();
        ended
    }
}

/// The child did not become the program, or a signal ended the helper before.
fn not_started(start: Start, program: &str, directory: Option<&str>) -> Result<Ended> {
    match start {
        Start::Failed(failure) => Err(failure.into_error_in(program, directory)),
        Start::Interrupted(signal) => Ok(Ended::Interrupted(signal)),
        Start::Ended | Start::Ready | Start::Executed => {
            let wrong = format!("{program}: ended before it was started");
            Err(Error::new(ErrorKind::System, wrong))
        }
    }
}

/// The label applies to the next execve, by a child of this process, which inherits it. It is
/// written before the joins because the target may have mounted its own /proc.
fn label_next_execve(procfs: &Procfs, label: Label) -> Result<()> {
    let directory = procfs
        .open_directory(c"thread-self")
        .map_err(|errno| Error::new(ErrorKind::System, "/proc/thread-self").with_source(errno))?;
    let label = match label {
        Label::AppArmor(profile) => ExecLabel::apparmor(directory, &profile),
        Label::Selinux(context) => ExecLabel::selinux(directory, context),
    };
    label.write().map_err(|failure| failure.into_error("-Z"))
}

/// The child becomes the program.
fn child(image: &Image, line: &Line, session: Session) -> ! {
    let failure = match begin(session) {
        Ok(()) => image.become_program(line),
        Err(failure) => failure,
    };
    let _ = nix::unistd::write(&line.report, &failure.to_bytes());
    exit_now(125)
}

fn begin(session: Session) -> std::result::Result<(), Failure> {
    // A change of credentials clears it: `Image` sets it again.
    process::set_killed_with_parent().map_err(|e| Failure::new(Step::DeathSignal, e))?;
    if session == Session::Own {
        terminal::new_session().map_err(|e| Failure::new(Step::Session, e))?;
    }
    Ok(())
}

fn own_pid() -> Result<Pid> {
    let pid = i32::try_from(std::process::id()).ok().and_then(Pid::new);
    pid.ok_or_else(|| Error::new(ErrorKind::System, "the helper's pid"))
}

/// Returns only on failure.
fn become_without_fork(
    image: &Image,
    asking: VerificationRequest,
    program: &str,
    directory: Option<&str>,
) -> Error {
    let (verifier, pid) = (&asking.verifier, asking.pid);
    // Each signal has its default effect on this process.
    let waits = Delivered(None);
    let begun = verifier
        .move_to_cgroups(pid, &waits)
        .and_then(|()| verifier.verify_mount(pid, &asking.expected, &waits));
    if let Err(error) = begun {
        return error.into_error();
    }
    // The report has no reader: this process returns the failure and reports it itself.
    let report = match pipe2(OFlag::O_CLOEXEC) {
        Ok((_, report)) => report,
        Err(errno) => {
            return Error::new(ErrorKind::System, "a pipe cannot be made").with_source(errno);
        }
    };
    let line = Line {
        report,
        release: Release::Verifier(asking),
    };
    let failure = image.become_program(&line);
    let refused = match line.release {
        Release::Verifier(VerificationRequest {
            verifier, refused, ..
        }) => {
            // The number of its socket is closed as well.
            std::mem::forget(verifier);
            refused.into_inner()
        }
        Release::Parent(_) | Release::Own => None,
    };
    refused.unwrap_or_else(|| failure.into_error_in(program, directory))
}

fn for_protocol_a(policy: &str) -> Error {
    let wrong = format!("the policy {policy} is for protocol A");
    Error::new(ErrorKind::Policy, wrong)
        .with_hint("use one that says which capabilities the program has")
}

/// The capabilities that the policy grants and the helper has.
fn capabilities(
    wanted: Capabilities,
    policy: &crate::policy::resolved::ResolvedPolicy,
    keep_as_ambient: bool,
) -> Result<CapabilityPlan> {
    let now = credentials::capabilities().map_err(|errno| {
        Error::new(
            ErrorKind::System,
            "the capabilities of the helper cannot be read",
        )
        .with_source(errno)
    })?;
    let set = match wanted {
        Capabilities::Inherit if keep_as_ambient => now.permitted,
        Capabilities::Inherit => return Ok(CapabilityPlan::Inherit),
        Capabilities::Keep(set) => set,
        Capabilities::InitConfig => return Err(for_protocol_a(&policy.name)),
    };
    let permitted = set.intersection(now.permitted);
    let ambient = if keep_as_ambient {
        permitted
    } else {
        CapabilitySet::EMPTY
    };
    let bounding = match wanted {
        Capabilities::Keep(_) => bounding(set, now.effective, policy.process.no_new_privs)?,
        _ => None,
    };
    Ok(CapabilityPlan::Set {
        bounding,
        permitted,
        ambient,
    })
}

/// The bounding set after the exec; `None`: it stays unchanged because nothing can be gained from
/// it.
fn bounding(
    keep: CapabilitySet,
    effective: CapabilitySet,
    no_new_privs: bool,
) -> Result<Option<CapabilitySet>> {
    if effective.contains(Capability::SETPCAP) {
        return Ok(Some(keep));
    }
    let outside = CapabilitySet::from_bits(u64::MAX)
        .iter()
        .filter(|capability| !keep.contains(*capability))
        .any(|capability| credentials::is_in_bounding_set(capability) == Ok(true));
    if outside && !no_new_privs {
        let wrong = "the capability bounding set cannot be reduced";
        return Err(Error::new(ErrorKind::LockDown, wrong)
            .with_hint("this takes CAP_SETPCAP, or a policy with no_new_privs"));
    }
    Ok(None)
}

/// The groups to set; `None`: there are no groups to drop.
fn groups_to_set(drop_groups: bool) -> Result<Option<Vec<u32>>> {
    let count = credentials::group_count().map_err(|errno| {
        Error::new(ErrorKind::System, "the groups of the helper cannot be read").with_source(errno)
    })?;
    Ok((drop_groups && count != 0).then(Vec::new))
}

/// The options that choose the working directory, for messages.
fn named_directory(request: &Request) -> Option<String> {
    let directory = match &request.work_dir {
        request::WorkDir::Default => return None,
        request::WorkDir::Before(Directory::Target) => "--wd".to_owned(),
        request::WorkDir::Before(Directory::Path(path)) => format!("--wd={}", path.display()),
        request::WorkDir::After(path) => format!("--wdns={}", path.display()),
    };
    Some(match &request.root {
        None => directory,
        Some(Directory::Target) => format!("{directory} with --root"),
        Some(Directory::Path(root)) => format!("{directory} with --root={}", root.display()),
    })
}

fn work_dir(
    wanted: request::WorkDir,
    opened: Option<OwnedFd>,
    root: &ProgramRoot,
    enters_mounts: bool,
) -> Result<WorkDir> {
    use std::os::unix::ffi::OsStrExt;
    match (wanted, opened) {
        (request::WorkDir::After(path), _) => {
            let path = CString::new(path.as_os_str().as_bytes());
            let path = path.map_err(|error| {
                Error::new(ErrorKind::Usage, "the working directory").with_source(error)
            })?;
            Ok(WorkDir::Path(path))
        }
        (_, Some(directory)) => Ok(WorkDir::Opened(directory)),
        (_, None) => match root {
            ProgramRoot::Other(_) if !enters_mounts => {
                Ok(WorkDir::CallersIfInside(directory::own_directory().ok()))
            }
            ProgramRoot::Other(root) => {
                let root = root.try_clone().map_err(|error| {
                    Error::new(ErrorKind::System, "a descriptor cannot be copied")
                        .with_source(error)
                })?;
                Ok(WorkDir::Opened(root))
            }
            ProgramRoot::Own(_) if !enters_mounts => Ok(WorkDir::Callers),
            // After setns(2), the root of the mount namespace.
            ProgramRoot::Own(_) | ProgramRoot::AfterJoin => Ok(WorkDir::Keep),
        },
    }
}

/// The user's entry in passwd: HOME, SHELL and USER. None of them is a layer, so an unreadable file
/// is a warning.
fn account(passwd: RootFile, uid: u32) -> Account {
    let unknown = Account::unknown();
    let text = passwd.read(userdb::MAX_FILE).unwrap_or_else(|error| {
        warn(&error.to_string());
        Vec::new()
    });
    let Ok(Some(entry)) = passwd::by_uid(&text, uid) else {
        return unknown;
    };
    if let Some(doubt) = entry.doubt() {
        warn(&doubt.to_string());
    }
    let string = |bytes: &[u8], otherwise: CString| match CString::new(bytes) {
        Ok(string) if !string.is_empty() => string,
        _ => otherwise,
    };
    Account {
        name: CString::new(entry.name).ok(),
        home: string(entry.home, unknown.home),
        shell: string(entry.shell, unknown.shell),
    }
}

fn read_environment(file: OwnedFd) -> Result<Variables> {
    let text = read_all(file, MAX_FILE, &"the target's environment")?;
    let parsed = environ::parse(&text).map_err(|fault| {
        Error::new(
            ErrorKind::Target,
            format!("the target's environment: {fault}"),
        )
    })?;
    let bytes = |(key, value): (CString, CString)| (key.into_bytes(), value.into_bytes());
    Ok(Variables::from_pairs(parsed.into_iter().map(bytes)))
}

/// Before the helper becomes undumpable: until then its user owns its files in /proc.
fn adjust_oom_score(adjust: i16) -> Result<()> {
    let value = adjust.to_string();
    let now = std::fs::read("/proc/self/oom_score_adj").unwrap_or_default();
    if now.trim_ascii() == value.as_bytes() {
        return Ok(());
    }
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open("/proc/self/oom_score_adj");
    file.and_then(|mut file| std::io::Write::write_all(&mut file, value.as_bytes()))
        .map_err(|error| {
            Error::new(
                ErrorKind::Policy,
                format!("oom_score_adj {value} cannot be set"),
            )
            .with_source(error)
            .with_hint("it is lowered with CAP_SYS_RESOURCE only")
        })
}
