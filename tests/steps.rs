//! No path to the host: from the first join to execve, no process that has joined
//! anything, and no process in the target, holds a descriptor, a directory or a file
//! that leads out of the target.
//!
//! A tracer stops every process of an exec at every system call and inspects it through
//! /proc. The verifier is the only exception: it joins nothing, and no process in the
//! target sees it.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use nsexec_protocol::netlink::Bootstrap;
use nsexec_protocol::ns_paths;
use serde_json::Value;
use support::apparmor::Profile;
use support::features::can_use;
use support::protocol_a::config;
use support::protocol_b::{Exec, joining, nothing};
use support::runtime::{Link, runtime};
use support::tracer::{self, Action, Stop};
use support::{Build, NSEXEC, Target, temporary_directory, text};

/// The allowed descriptors of a process that has joined the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Allowed {
    /// 0, 1, 2 or one that the caller declared: the program gets it.
    Declared,
    /// A pipe or a socket.
    Channel,
    /// A namespace.
    Namespace,
    /// An inode without a file system: a pidfd, a signalfd, a ruleset.
    Anonymous,
    /// On a detached mount.
    Detached,
    /// Below the target's root.
    Inside,
    /// A file of one process in the caller's /proc, open for reading: the child's stat and
    /// status in the helper, the target's environ. It is no directory.
    ProcessFile,
    /// oom_score_adj of the process itself, in protocol A.
    OwnAdjustment,
    /// The helper's own file, on a read-only mount.
    OwnFile,
    /// The caller's /proc: only for a process that joins nothing.
    Procfs,
}

struct Look<'a> {
    target: &'a Target,
    /// Mounts of the target's mount namespace.
    inside: BTreeSet<u64>,
    /// Mounts of the host's.
    host: BTreeSet<u64>,
    joins: Joins,
    program: (u64, u64),
    /// Descriptors that this test inherited without CLOEXEC.
    inherited: BTreeMap<String, PathBuf>,
    seen: RefCell<BTreeMap<Allowed, usize>>,
    faults: RefCell<BTreeSet<String>>,
    steps: RefCell<usize>,
    host_sockets: HostSockets,
}

/// The order of the joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joins {
    /// All at once, including the mount namespace.
    AtOnce,
    /// One after the other, in the order of the files. Until the mount namespace is joined,
    /// root and directory are the host's: no process inside sees this process, which is in
    /// none of the target's pid namespaces.
    OneByOne,
}

fn mounts(pid: i32) -> BTreeSet<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    let ids = text
        .lines()
        .filter_map(|line| line.split(' ').next()?.parse().ok());
    ids.collect()
}

/// The inheritable descriptors of this process above 2, and their kinds.
fn inherited() -> BTreeMap<String, PathBuf> {
    let crosses_exec = |number: &String| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
        flags.is_some_and(|flags| flags & libc::O_CLOEXEC == 0)
    };
    let own = fs::read_dir("/proc/self/fd").unwrap();
    own.filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.to_owned()))
        .filter(crosses_exec)
        .filter_map(|number| {
            let link = fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
            Some((number, link))
        })
        .collect()
}

fn mount_of(fdinfo: &str) -> Option<u64> {
    let line = fdinfo.lines().find(|line| line.starts_with("mnt_id:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

impl<'a> Look<'a> {
    fn new(target: &'a Target, joins: Joins) -> Self {
        // nsexec closes undeclared descriptors.
        let inherited = BTreeMap::new();
        let program = Path::new(NSEXEC);
        Self {
            inherited,
            host_sockets: HostSockets::Only(Vec::new()),
            ..Self::of(target, joins, program)
        }
    }

    fn of(target: &'a Target, joins: Joins, program: &Path) -> Self {
        let own = fs::metadata(program).unwrap();
        Self {
            target,
            inside: mounts(target.pid()),
            host: mounts(i32::try_from(std::process::id()).unwrap()),
            joins,
            program: (own.dev(), own.ino()),
            inherited: inherited(),
            seen: RefCell::default(),
            faults: RefCell::default(),
            steps: RefCell::default(),
            host_sockets: HostSockets::Any,
        }
    }

    /// Whether the process is in one of the target's namespaces.
    fn has_joined(&self, pid: i32) -> bool {
        [
            "ipc",
            "uts",
            "net",
            "pid_for_children",
            "mnt",
            "user",
            "cgroup",
        ]
        .iter()
        .any(|name| {
            let link = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/{name}")).ok();
            let theirs = name.strip_suffix("_for_children").unwrap_or(name);
            let theirs = fs::read_link(format!("/proc/{}/ns/{theirs}", self.target.pid()));
            let own = fs::read_link(format!("/proc/self/ns/{name}")).ok();
            let link = link(pid);
            link.is_some() && link == theirs.ok() && link != own
        })
    }

    /// The process that executes it, before and after, is a different one.
    fn is_program(&self, pid: i32) -> bool {
        let exe = fs::metadata(format!("/proc/{pid}/exe"));
        exe.is_ok_and(|exe| (exe.dev(), exe.ino()) == self.program || exe.nlink() == 0)
    }

    fn fault(&self, pid: i32, what: &str) {
        self.faults.borrow_mut().insert(format!("{pid}: {what}"));
    }

    fn look(&self, stop: Stop) -> Action {
        if stop.result.is_some() {
            return Action::Go;
        }
        let pid = stop.pid;
        if !self.is_program(pid) || !self.has_joined(pid) {
            return Action::Go;
        }
        *self.steps.borrow_mut() += 1;
        self.look_at_owner(pid);
        self.look_at_directories(pid);
        self.look_at_descriptors(pid);
        for entry in fs::read_dir(format!("/proc/{pid}/map_files"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let file = fs::metadata(entry.path());
            let own = file
                .is_ok_and(|file| (file.dev(), file.ino()) == self.program || file.nlink() == 0);
            if !own {
                let link = fs::read_link(entry.path());
                self.fault(pid, &format!("a mapping of {link:?}"));
            }
        }
        Action::Go
    }

    fn look_at_descriptors(&self, pid: i32) {
        for entry in fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let number = entry.file_name().to_string_lossy().into_owned();
            match self.classify(pid, &number) {
                Ok(allowed) => *self.seen.borrow_mut().entry(allowed).or_default() += 1,
                Err(what) => self.fault(pid, &what),
            }
        }
    }

    /// Stage 0 of protocol B, from the moment another process has joined.
    fn look_outside(&self, stop: Stop) {
        let pid = stop.pid;
        if stop.result.is_some() || !self.is_program(pid) {
            return;
        }
        if self.has_joined(pid) {
            self.fault(pid, "stage 0 joined something");
        }
        if *self.steps.borrow() == 0 {
            return;
        }
        *self.steps.borrow_mut() += 1;
        self.look_at_descriptors(pid);
    }

    /// The files in /proc of an undumpable process belong to root. In a user namespace the
    /// process has another user, so a moment in which it is dumpable is visible: a process
    /// of the target could attach to it.
    fn look_at_owner(&self, pid: i32) {
        let own = fs::read_link("/proc/self/ns/user").unwrap();
        let theirs = fs::read_link(format!("/proc/{pid}/ns/user"));
        if theirs.is_ok_and(|theirs| theirs != own)
            && let Ok(file) = fs::metadata(format!("/proc/{pid}/environ"))
            && file.uid() != 0
        {
            self.fault(pid, "dumpable");
        }
    }

    /// Root and working directory are in the target after the mount namespace is joined.
    fn look_at_directories(&self, pid: i32) {
        let theirs = fs::read_link(format!("/proc/{}/ns/mnt", self.target.pid())).unwrap();
        let joined = fs::read_link(format!("/proc/{pid}/ns/mnt")).is_ok_and(|own| own == theirs);
        if !joined {
            let link = |of: &str| fs::read_link(format!("/proc/{of}/ns/pid")).ok();
            if self.joins == Joins::AtOnce {
                self.fault(pid, "joined something, and not the mount namespace");
            } else if link(&pid.to_string()) != link("self") {
                self.fault(pid, "is seen inside with the host's root");
            }
            return;
        }
        for name in ["root", "cwd"] {
            let path = format!("/proc/{pid}/{name}");
            let (Ok(found), Ok(wanted)) = (fs::metadata(&path), fs::metadata(self.target.root()))
            else {
                continue;
            };
            let inside = (found.dev(), found.ino()) == (wanted.dev(), wanted.ino())
                || self.is_inside(Path::new(&path));
            if !inside {
                self.fault(pid, &format!("{name} is {:?}", fs::read_link(path)));
            }
        }
    }

    /// Whether the directory's device is one of the target and not of the host.
    fn is_inside(&self, path: &Path) -> bool {
        let file = fs::File::open(path).ok();
        let fdinfo = file.and_then(|file| {
            use std::os::fd::AsRawFd;
            fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).ok()
        });
        fdinfo
            .and_then(|info| mount_of(&info))
            .is_some_and(|mount| self.inside.contains(&mount))
    }

    fn classify_socket(&self, pid: i32, link: &str) -> Result<Allowed, String> {
        let namespace = |of: i32, name: &str| fs::read_link(format!("/proc/{of}/ns/{name}")).ok();
        let is_targets = |name| namespace(pid, name) == namespace(self.target.pid(), name);
        let HostSockets::Only(callers) = &self.host_sockets else {
            return Ok(Allowed::Channel);
        };
        if is_targets("pid") && is_targets("net") && !callers.iter().any(|known| known == link) {
            let inode = link.trim_start_matches("socket:[").trim_end_matches(']');
            let sockets = fs::read_to_string("/proc/net/unix").unwrap();
            let mut inodes = sockets
                .lines()
                .filter_map(|line| line.split_whitespace().nth(6));
            if inodes.any(|other| other == inode) {
                return Err(format!("{link} is of the host's network namespace"));
            }
        }
        Ok(Allowed::Channel)
    }

    fn classify(&self, pid: i32, number: &str) -> Result<Allowed, String> {
        let path = PathBuf::from(format!("/proc/{pid}/fd/{number}"));
        let Ok(link) = fs::read_link(&path) else {
            return Ok(Allowed::Channel); // closed meanwhile
        };
        let link = link.to_string_lossy().into_owned();
        let known = self.inherited.get(number);
        if matches!(number, "0" | "1" | "2") || known.is_some_and(|known| known == Path::new(&link))
        {
            return Ok(Allowed::Declared);
        }
        if link.starts_with("socket:") {
            return self.classify_socket(pid, &link);
        }
        if link.starts_with("pipe:") {
            return Ok(Allowed::Channel);
        }
        if link.starts_with("anon_inode:") || link.starts_with("pidfd:") {
            return Ok(Allowed::Anonymous);
        }
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap_or_default();
        let mount = mount_of(&info).unwrap_or(0);
        let kind = [
            "ipc:[", "uts:[", "net:[", "pid:[", "mnt:[", "user:[", "cgroup:[", "time:[",
        ];
        if kind.iter().any(|kind| link.starts_with(kind)) {
            return Ok(Allowed::Namespace);
        }
        if self.inside.contains(&mount) {
            return Ok(Allowed::Inside);
        }
        let metadata = fs::metadata(&path);
        let directory = metadata.as_ref().is_ok_and(fs::Metadata::is_dir);
        if link == "/proc" && directory && !self.has_joined(pid) {
            return Ok(Allowed::Procfs);
        }
        if !self.host.contains(&mount) {
            return Ok(Allowed::Detached);
        }
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:\t"));
        let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
        let writes = flags.is_none_or(|flags| flags & libc::O_ACCMODE != libc::O_RDONLY);
        let file = link.rsplit('/').next().unwrap_or_default();
        let of_process = link.starts_with("/proc/") && !directory;
        if of_process && !writes && ["stat", "status", "environ"].contains(&file) {
            return Ok(Allowed::ProcessFile);
        }
        if of_process && link == format!("/proc/{pid}/oom_score_adj") {
            return Ok(Allowed::OwnAdjustment);
        }
        if metadata.is_ok_and(|file| (file.dev(), file.ino()) == self.program) && !writes {
            return Ok(Allowed::OwnFile);
        }
        Err(format!(
            "descriptor {number} is {link} on mount {mount} ({info:?})"
        ))
    }
}

/// The sockets of the host's network namespace that a process inside may hold. A process with a
/// copy of such a socket and CAP_NET_ADMIN can open and change that namespace.
#[derive(Debug)]
enum HostSockets {
    /// Those with these links: the caller's own.
    Only(Vec<String>),
    /// Any. In protocol B the runtime's own pipe is one, which the process inside keeps.
    Any,
}

/// Runs nsexec under the tracer and checks every step against the list.
fn check(target: &Target, arguments: &[&str], joins: Joins) -> Vec<Allowed> {
    let directory = temporary_directory("steps");
    let open = |name: &str| fs::File::create(directory.join(name)).unwrap();
    let look = Look::new(target, joins);
    let pid = target.pid().to_string();
    let mut words = vec![NSEXEC];
    if joins == Joins::AtOnce {
        words.extend(["-t", &pid]);
    }
    words.extend(arguments);
    let ended = tracer::run(&words, open("out"), open("err"), |stop| look.look(stop));
    let stderr = text(&fs::read(directory.join("err")).unwrap());
    fs::remove_dir_all(directory).unwrap();
    assert_eq!(ended.status, 0, "{arguments:?}: {stderr}");
    let faults = look.faults.into_inner();
    assert!(faults.is_empty(), "{arguments:?}: {faults:#?}");
    let steps = look.steps.into_inner();
    assert!(
        steps > 30,
        "{arguments:?}: only {steps} steps were looked at"
    );
    look.seen.into_inner().into_keys().collect()
}

#[test]
fn the_command_line_holds_nothing_that_leads_out() {
    support::needs!(root);
    let target = Target::new();
    for policy in ["default", "strict", "admin", "net"] {
        if !can_use(policy, "the_command_line_holds_nothing_that_leads_out") {
            continue;
        }
        for options in [&[][..], &["-c"], &["-e"], &["-F"], &["-w"], &["-r"]] {
            let mut arguments = vec!["--policy", policy];
            arguments.extend(options);
            arguments.extend(["--", "/bin/true"]);
            check(&target, &arguments, Joins::AtOnce);
        }
    }
}

/// A file that only the helper reads or writes: a process of the target could open it again
/// through /proc/CHILD/fd, for writing as well.
#[test]
fn the_files_of_the_helper_are_not_the_childs() {
    use command_fds::{CommandFdExt, FdMapping};
    support::needs!(root);
    let target = Target::new();
    let directory = temporary_directory("steps-own");
    let open = |name: &str| fs::File::create(directory.join(name)).unwrap();
    // SECCOMP_RET_ALLOW
    let (filter, status) = (directory.join("filter"), directory.join("status"));
    fs::write(&filter, [6, 0, 0, 0, 0, 0, 0xff, 0x7f]).unwrap();
    let prepare = |command: &mut Command| {
        let mapping = |file: fs::File, child_fd| FdMapping {
            parent_fd: file.into(),
            child_fd,
        };
        let filter = mapping(fs::File::open(&filter).unwrap(), 9);
        let status = mapping(open("status"), 8);
        command.fd_mappings(vec![filter, status]).unwrap();
    };
    let look = Look::new(&target, Joins::AtOnce);
    let inside = fs::read_link(format!("/proc/{}/ns/pid", target.pid())).unwrap();
    let (mut steps, mut faults) = (0, BTreeSet::new());
    let pid = target.pid().to_string();
    let words = [
        "-t",
        &pid,
        "--seccomp-fd=9",
        "--status-fd=8",
        "--",
        "/bin/true",
    ];
    let words = [&[NSEXEC], &words[..]].concat();
    let ended = tracer::run_prepared(&words, prepare, open("out"), open("err"), |stop| {
        if stop.result.is_some() || !look.is_program(stop.pid) || !look.has_joined(stop.pid) {
            return Action::Go;
        }
        let link = fs::read_link(format!("/proc/{}/ns/pid", stop.pid));
        let is_child = link.is_ok_and(|link| link == inside);
        // Its first calls close the helper's copy; in a debug build std checks it before.
        let closes = [libc::SYS_close, libc::SYS_fcntl].map(libc::c_long::cast_unsigned);
        let keeps_status = is_child && !closes.contains(&stop.number);
        steps += usize::from(keeps_status);
        let descriptors = fs::read_dir(format!("/proc/{}/fd", stop.pid));
        for entry in descriptors.into_iter().flatten().flatten() {
            let file = fs::read_link(entry.path()).unwrap_or_default();
            if file == filter || keeps_status && file == status {
                faults.insert(file);
            }
        }
        Action::Go
    });
    let stderr = text(&fs::read(directory.join("err")).unwrap());
    let lines = text(&fs::read(&status).unwrap());
    fs::remove_dir_all(directory).unwrap();
    assert_eq!(ended.status, 0, "{stderr}");
    assert!(lines.contains(r#""event":"exited""#), "{lines}");
    assert!(steps > 20, "only {steps} steps were looked at");
    assert!(faults.is_empty(), "{faults:?}");
}

/// The child holds the listener of the notifying filter until the explainer has taken it.
/// The explainer itself joins nothing.
#[test]
fn a_run_that_is_explained_holds_nothing_that_leads_out() {
    support::needs!(root);
    let target = Target::new();
    for policy in ["default", "strict", "admin", "net"] {
        if !can_use(
            policy,
            "a_run_that_is_explained_holds_nothing_that_leads_out",
        ) {
            continue;
        }
        let arguments = ["--policy", policy, "--explain", "--", "/bin/true"];
        let seen = check(&target, &arguments, Joins::AtOnce);
        // The child's and the helper's ends of the control socket.
        assert!(seen.contains(&Allowed::Channel), "{seen:?}");
    }
}

/// If the mount namespace is a file, its root exists only after the join. The finder, which
/// stays outside, makes the lookups: the helper holds nothing of /proc for them.
#[test]
fn a_mount_namespace_file_gives_no_access_to_the_host() {
    support::needs!(root);
    let target = Target::new();
    let file = |letter: &str, name: &str| format!("-{letter}=/proc/{}/ns/{name}", target.pid());
    let mount = file("m", "mnt");
    let others = [
        ("u", "uts"),
        ("i", "ipc"),
        ("n", "net"),
        ("p", "pid"),
        ("C", "cgroup"),
    ];
    let others = others.map(|(letter, name)| file(letter, name));
    for policy in ["default", "strict", "admin", "net"] {
        if !can_use(policy, "a_mount_namespace_file_gives_no_access_to_the_host") {
            continue;
        }
        for others in [&[][..], &others] {
            let mut arguments = vec!["--policy", policy, &mount];
            arguments.extend(others.iter().map(String::as_str));
            arguments.extend(["--", "/bin/true"]);
            let seen = check(&target, &arguments, Joins::OneByOne);
            assert!(!seen.contains(&Allowed::Detached), "{policy}: {seen:?}");
        }
    }
}

/// The allowed descriptors of a stage of protocol B from the first setns(2) on, each with
/// the reason.
type List = &'static [(Allowed, &'static str)];

const DECLARED: (Allowed, &str) = (Allowed::Declared, "0, 1 and 2 are the runtime's");
const CHANNEL: (Allowed, &str) = (
    Allowed::Channel,
    "init, sync and log pipe are the runtime's; the stages' own end with the stages",
);

/// Joins nothing, stays with the runtime, and no process inside sees it.
const STAGE_0: List = &[
    DECLARED,
    CHANNEL,
    (
        Allowed::Anonymous,
        "the pidfds of stages 1 and 2, which it kills when something fails",
    ),
    (
        Allowed::Namespace,
        "those to join, so that their numbers stay theirs until stage 2 is compared",
    ),
    (
        Allowed::Procfs,
        "it writes stage 1's id maps and offsets, and reads stage 2's namespaces",
    ),
    (
        Allowed::ProcessFile,
        "stage 2's status, which it compares with the ceiling",
    ),
];
/// nsexec.c opens the namespaces in this stage, by their paths; libnsexec passes them open.
const STAGE_1: List = &[
    DECLARED,
    CHANNEL,
    (Allowed::Namespace, "those that are still to join"),
    (
        Allowed::Anonymous,
        "the target's pidfd while it joins; stage 2's until stage 0 has it; a ruleset",
    ),
    (
        Allowed::Inside,
        "the root that the ceiling's ruleset grants rights beneath",
    ),
];
/// Nothing else: the process belongs to the runtime after the return.
const STAGE_2: List = &[DECLARED, CHANNEL];

/// One exec through protocol B in which each stage is checked against its list. Returns the
/// kinds of descriptors that each stage held.
fn check_b(look: &Look<'_>, exec: Exec) -> [BTreeSet<Allowed>; 3] {
    let lists = [STAGE_0, STAGE_1, STAGE_2];
    let mut kinds = [const { BTreeSet::new() }; 3];
    let mut steps = [0; 3];
    let mut counted = 0;
    let mut taken_over = false;
    let outcome = exec.run_traced(|stop| {
        // `runtime.c` reads its process name, and the library never does.
        taken_over |= stop.place == 2
            && i64::try_from(stop.number) == Ok(libc::SYS_prctl)
            && i32::try_from(stop.argument) == Ok(libc::PR_GET_NAME);
        if taken_over && stop.place == 2 {
            return Action::Go;
        }
        let before = look.seen.borrow().clone();
        if stop.place == 0 {
            look.look_outside(stop);
        } else {
            look.look(stop);
        }
        if *look.steps.borrow() == counted {
            return Action::Go;
        }
        counted = *look.steps.borrow();
        steps[stop.place] += 1;
        for (kind, count) in &*look.seen.borrow() {
            if before.get(kind) != Some(count) {
                kinds[stop.place].insert(*kind);
            }
        }
        Action::Go
    });
    assert!(outcome.stage0.success() && taken_over, "{outcome:?}");
    for (stage, list) in lists.into_iter().enumerate() {
        assert!(steps[stage] > 5, "only {steps:?} steps were looked at");
        for kind in &kinds[stage] {
            let listed = list.iter().any(|(allowed, _)| allowed == kind);
            assert!(listed, "stage {stage} holds {kind:?}: {outcome:?}");
        }
    }
    kinds
}

#[test]
fn each_stage_of_protocol_b_holds_only_allowed_descriptors() {
    support::needs!(root);
    let most = ["ipc", "uts", "net", "pid", "mnt", "cgroup"];
    let with_user = ["user", "ipc", "uts", "net", "pid", "mnt", "cgroup"];
    let program = runtime(Link::Static);
    let mut seen = [const { BTreeSet::new() }; 3];
    for (user_namespace, namespaces) in [(false, &most[..]), (true, &with_user)] {
        let target = Target::build(&Build {
            user_namespace,
            ..Build::default()
        });
        let pid = target.pid();
        // A spelling that stage 0 does not recognise as one process's.
        let files = namespaces.iter();
        let files = files.map(|name| format!("{name}:/proc/{pid}/task/{pid}/ns/{name}"));
        let files = Bootstrap {
            join: ns_paths::parse(files.collect::<Vec<_>>().join(",").as_bytes()).unwrap(),
            ..nothing()
        };
        let whole = joining(pid, namespaces);
        for (bootstrap, joins) in [(&whole, Joins::AtOnce), (&files, Joins::OneByOne)] {
            for option in ["RUNTIME_NOTHING", "RUNTIME_LEADING_NUL", "RUNTIME_CEILING"] {
                let look = Look::of(&target, joins, &program);
                let exec = Exec::new(program.clone(), bootstrap).set(option, "1");
                let kinds = check_b(&look, exec);
                let faults = look.faults.into_inner();
                assert!(faults.is_empty(), "{option}, {joins:?}: {faults:#?}");
                for (all, kinds) in seen.iter_mut().zip(kinds) {
                    all.extend(kinds);
                }
            }
        }
    }
    // The lists contain no kind that a stage never holds.
    for (list, seen) in [STAGE_0, STAGE_1, STAGE_2].into_iter().zip(seen) {
        let listed: BTreeSet<Allowed> = list.iter().map(|(allowed, _)| *allowed).collect();
        assert_eq!(listed, seen);
    }
}

#[test]
fn a_target_in_a_user_namespace_gets_no_descriptor_of_the_host() {
    support::needs!(root);
    let target = Target::build(&Build {
        user_namespace: true,
        ..Build::default()
    });
    for policy in ["default", "admin"] {
        let arguments = ["--policy", policy, "--", "/bin/true"];
        check(&target, &arguments, Joins::AtOnce);
    }
}

/// A process that copies the sockets of the child, which is stopped at its first
/// instruction: one of them is the helper's socket to the verifier.
struct Thief {
    process: std::process::Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Thief {
    /// Starts the copier; when this returns, it has sent its requests, and it runs as long as
    /// the child.
    fn of(child: i32, victim: u32, question: &str) -> Self {
        static BUILT: OnceLock<PathBuf> = OnceLock::new();
        let program = BUILT.get_or_init(|| {
            let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ask");
            let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ask.c");
            let mut gcc = Command::new("gcc");
            gcc.args(["-O1", "-static", "-Wall", "-Werror", "-o"]);
            gcc.arg(&program).arg(source);
            fs::create_dir_all(env!("CARGO_TARGET_TMPDIR")).unwrap();
            support::succeed(gcc);
            program
        });
        let mut asking = Command::new(program);
        asking.args([&child.to_string(), &victim.to_string(), question]);
        let mut process = asking
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut sockets = String::new();
        output.read_line(&mut sockets).unwrap();
        assert!(sockets.as_str() > "sockets 0\n", "{sockets}: no proof");
        Self { process, output }
    }

    /// The replies that it received.
    fn answers(mut self) -> String {
        let mut answers = String::new();
        self.output.read_to_string(&mut answers).unwrap();
        // The tracer waits for every child, and may have reaped this one.
        let _ = self.process.wait();
        answers
    }
}

/// One traced exec into `target`: of the command line, or of protocol A with an open, empty
/// pipe.
fn traced(
    protocol_a: bool,
    target: &Target,
    (stdout, stderr): (fs::File, fs::File),
    look: impl FnMut(Stop) -> Action,
) -> tracer::Ended {
    let pid = target.pid().to_string();
    let (_ours, theirs) = UnixStream::pair().unwrap();
    if protocol_a {
        let prepare = |command: &mut Command| runtimes(command, &pid, theirs.into());
        tracer::run_prepared(&[NSEXEC, "init"], prepare, stdout, stderr, look)
    } else {
        let words = [NSEXEC, "-t", &pid, "--", "/bin/true"];
        tracer::run(&words, stdout, stderr, look)
    }
}

/// The child, at the exit of the helper's clone: both are stopped, and the helper has not
/// yet sent a request about the child.
fn child_of_helper(stop: Stop, target: &Target) -> Option<i32> {
    if stop.place != 0 || stop.number != libc::SYS_clone.cast_unsigned() {
        return None;
    }
    let child = i32::try_from(stop.result?).ok()?;
    let link = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = fs::read_link("/proc/self/ns/pid").ok();
    let link_of = link(child);
    (link_of.is_some() && link_of != own && link_of == link(target.pid())).then_some(child)
}

/// The verifier can move any process of the host to the target's cgroup, and in protocol A
/// sends a directory of any process: `/proc/1/root` is below that of process 1.
#[test]
fn the_verifier_replies_only_to_the_helper() {
    support::needs!(root);
    let mut victim = Command::new("sleep").arg("1000").spawn().unwrap();
    for (protocol_a, questions) in [(false, ["O", "M"]), (true, ["O", "H"])] {
        for question in questions {
            let target = Target::new();
            let directory = temporary_directory("steps-ask");
            let open = |name: &str| fs::File::create(directory.join(name)).unwrap();
            let mut thief = None;
            let look = |stop: Stop| {
                if let Some(child) = child_of_helper(stop, &target) {
                    thief = Some(Thief::of(child, victim.id(), question));
                }
                Action::Go
            };
            let ended = traced(protocol_a, &target, (open("out"), open("err")), look);
            fs::remove_dir_all(directory).unwrap();
            let answers = thief.unwrap().answers();
            assert_eq!(answers, "", "{question}: the verifier answered");
            assert_ne!(ended.status, 0, "{question}: the verifier went on");
        }
    }
    let _ = victim.kill();
    let _ = victim.wait();
}

/// The explainer takes a descriptor out of the process that the helper names: only the
/// helper may name it.
#[test]
fn the_explainer_accepts_a_pid_only_from_the_helper() {
    support::needs!(root);
    let mut victim = Command::new("sleep").arg("1000").spawn().unwrap();
    let target = Target::new();
    let directory = temporary_directory("steps-explain");
    let open = |name: &str| fs::File::create(directory.join(name)).unwrap();
    let mut thief = None;
    let mut opened = Vec::new();
    let look = |stop: Stop| {
        if let Some(child) = child_of_helper(stop, &target) {
            thief = Some(Thief::of(child, victim.id(), "E"));
        }
        if stop.number == libc::SYS_pidfd_open.cast_unsigned() && stop.place > 0 {
            opened.push(stop.argument);
        }
        Action::Go
    };
    let pid = target.pid().to_string();
    let words = [NSEXEC, "-t", &pid, "--explain", "--", "/bin/true"];
    let ended = tracer::run(&words, open("out"), open("err"), look);
    fs::remove_dir_all(directory).unwrap();
    let answers = thief.unwrap().answers();
    assert_eq!(answers, "", "the verifier or the explainer replied");
    assert!(!opened.contains(&u64::from(victim.id())), "{opened:?}");
    assert_ne!(ended.status, 0, "it went on");
    let _ = victim.kill();
    let _ = victim.wait();
}

/// The child has a copy of the helper's sockets. If another process takes a reply from
/// there before the helper does, the exec ends without waiting.
#[test]
fn a_reply_taken_by_another_process_ends_the_exec() {
    support::needs!(root);
    for (protocol_a, answers) in [(false, 4), (true, 3)] {
        for taken in 0..answers {
            let target = Target::new();
            let directory = temporary_directory("steps-take");
            let open = |name: &str| fs::File::create(directory.join(name)).unwrap();
            let (mut takes, mut born) = (0, false);
            let look = |stop: Stop| {
                born |= child_of_helper(stop, &target).is_some();
                let takes_answer = stop.number == libc::SYS_recvmsg.cast_unsigned();
                if born && stop.place == 0 && stop.result.is_none() && takes_answer {
                    if takes == taken {
                        let nothing = Thief::of(stop.pid, 0, "T").answers();
                        assert_eq!(nothing, "");
                    }
                    takes += 1;
                }
                Action::Go
            };
            let ended = traced(protocol_a, &target, (open("out"), open("err")), look);
            let error = text(&fs::read(directory.join("err")).unwrap());
            fs::remove_dir_all(directory).unwrap();
            let what = if protocol_a {
                "protocol A"
            } else {
                "command line"
            };
            // A verifier that has answered its last request ends by itself.
            let texts = [
                "another process took",
                "the verifier, the process that checks the program's state, has ended",
            ];
            let reported = texts.iter().any(|text| error.contains(text));
            assert!(reported, "{what}, {taken}: {error:?}");
            assert_ne!(ended.status, 0, "{what}, {taken}");
        }
    }
}

/// The child does not load its last filter, and a process that holds a copy of its end of
/// the report socket keeps that open. The helper still detects that the program runs, and
/// its filters.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_start_is_detected_while_another_process_keeps_the_report_open() {
    support::needs!(root);
    let target = Target::new();
    let directory = temporary_directory("steps-keep");
    let open = |name: &str| fs::File::create(directory.join(name)).unwrap();
    let (mut thief, mut born) = (None, None);
    let look = |stop: Stop| {
        if let Some(child) = child_of_helper(stop, &target) {
            born = Some(child);
            thief = Some(Thief::of(child, 0, "K"));
        }
        let loads = stop.number == libc::SYS_seccomp.cast_unsigned() && stop.result.is_none();
        if loads && born == Some(stop.pid) {
            return Action::Pretend;
        }
        Action::Go
    };
    let pid = target.pid().to_string();
    let words = [NSEXEC, "-t", &pid, "--", "/bin/sleep", "1000"];
    let ended = tracer::run(&words, open("out"), open("err"), look);
    let error = text(&fs::read(directory.join("err")).unwrap());
    fs::remove_dir_all(directory).unwrap();
    let mut thief = thief.unwrap().process;
    let _ = thief.kill();
    let _ = thief.wait();
    assert!(error.contains("its Seccomp_filters is"), "{error}");
    assert_ne!(ended.status, 0, "{error}");
}

/// The command of a runtime that uses protocol A on this socket.
fn runtimes(command: &mut Command, pid: &str, socket: OwnedFd) {
    use command_fds::{CommandFdExt, FdMapping};
    let mapping = |parent_fd, child_fd| FdMapping {
        parent_fd,
        child_fd,
    };
    let host = fs::File::open("/").unwrap();
    let mappings = vec![mapping(socket, 3), mapping(host.into(), 4)];
    command.fd_mappings(mappings).unwrap();
    command
        .env("_LIBCONTAINER_INITPID", pid)
        .env("_LIBCONTAINER_INITPIPE", "3")
        .env("_LIBCONTAINER_INITTYPE", "setns");
}

#[expect(
    clippy::disallowed_methods,
    reason = "the runtime's side waits while the tracer works"
)]
/// Runs `nsexec init` under the tracer, and checks every step against the list. The caller
/// chooses passed files; this test passes none. A directory is open after the pipe, and is
/// not passed.
fn check_a(target: &Target, owner: Option<u32>, config: &Value) -> BTreeMap<Allowed, usize> {
    let directory = temporary_directory("steps-a");
    let open = |name: &str| {
        let file = fs::File::create(directory.join(name)).unwrap();
        // The helper changes its owner to the program's user, so it needs root of the
        // owning user namespace.
        std::os::unix::fs::fchown(&file, owner, owner).unwrap();
        file
    };
    let (ours, theirs) = UnixStream::pair().unwrap();
    let pipe = fs::read_link(format!("/proc/self/fd/{}", theirs.as_raw_fd())).unwrap();
    let pipe = pipe.to_string_lossy().into_owned();
    let look = Look {
        host_sockets: HostSockets::Only(vec![pipe]),
        ..Look::new(target, Joins::AtOnce)
    };
    let config = config.to_string();
    let runtime = std::thread::spawn(move || {
        let mut line = String::new();
        BufReader::new(&ours).read_line(&mut line).unwrap();
        (&ours).write_all(config.as_bytes()).unwrap();
        ours.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        (&ours).read_to_string(&mut answer).unwrap();
        (line, answer)
    });
    let pid = target.pid().to_string();
    let prepare = |command: &mut Command| runtimes(command, &pid, theirs.into());
    let words = [NSEXEC, "init"];
    let look_at = |stop| look.look(stop);
    let ended = tracer::run_prepared(&words, prepare, open("out"), open("err"), look_at);
    let stderr = text(&fs::read(directory.join("err")).unwrap());
    fs::remove_dir_all(directory).unwrap();
    let (line, answer) = runtime.join().unwrap();
    assert_eq!((ended.status, answer.as_str()), (0, ""), "{line}: {stderr}");
    let faults = look.faults.into_inner();
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(look.steps.into_inner() > 50);
    look.seen.into_inner()
}

/// Also while the child waits for initConfig, and with an oom_score_adj to write.
#[test]
fn protocol_a_holds_nothing_that_leads_out() {
    support::needs!(root);
    for user_namespace in [false, true] {
        let target = Target::build(&Build {
            user_namespace,
            ..Build::default()
        });
        let mut config = config(&["/bin/true"]);
        config["config"]["oom_score_adj"] = 500.into();
        let owner = user_namespace.then_some(support::OUTSIDE);
        let seen = check_a(&target, owner, &config);
        assert!(seen.contains_key(&Allowed::OwnAdjustment), "{seen:?}");
    }
}

/// The command line writes the label before the joins. In protocol A the child writes it after
/// them, through a detached mount of its own directory in /proc.
#[test]
fn a_label_gives_no_access_to_the_host() {
    support::needs!(root, apparmor);
    let profile = Profile::new("steps");
    let confined = profile.target("");
    for policy in ["default", "net"] {
        let arguments = ["--policy", policy, "--", "/bin/true"];
        check(&confined, &arguments, Joins::AtOnce);
    }
    let mut config = config(&["/bin/true"]);
    config["config"]["apparmor_profile"] = profile.name().into();
    for target in [&confined, &Target::new()] {
        let seen = check_a(target, None, &config);
        assert!(seen.contains_key(&Allowed::Detached), "{seen:?}");
    }
}
