//! In every situation in which the helper waits, SIGTERM, SIGINT and SIGHUP end it within a
//! second, and its child ends with it.
//!
//! A row of [`SCENES`] is a situation that does not end by itself: a file system whose
//! server does not answer, a pipe that no process reads or writes, a stopped or frozen
//! process. The signals alternate.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::cgroup::{Cgroup, HIERARCHIES};
use support::protocol_a::{become_subreaper, hand_over, shell};
use support::{NSEXEC, Target, fail, temporary_directory};

/// The time limit of the helper. The test fails only if three helpers exceed it: the
/// machine may be busy.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A helper that waits.
struct Scene {
    helper: Child,
    /// The process that receives the signal, if it is not the helper.
    signalled: Option<Pid>,
    /// The exit status of a program that has ended already: it must not be lost.
    known: Option<i32>,
    /// The objects that make the helper wait, dropped in this order.
    _servers: Vec<Server>,
    _pipes: Vec<OwnedFd>,
    _cgroup: Option<Frozen>,
    _target: Target,
    _joined: Option<Cgroup>,
    _directory: Option<Directory>,
}

/// A directory that is removed when the value is dropped.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that is killed when the value is dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A frozen cgroup.
struct Frozen {
    cgroup: Cgroup,
    switch: PathBuf,
    thawed: &'static str,
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = fs::write(&self.switch, self.thawed);
    }
}

/// The place where requests of a file system stop, linux/fuse.h.
#[derive(Clone, Copy)]
enum Until {
    /// The server reads no request: a waiting process can be killed.
    Mounted,
    /// The server reads the request and never answers: nothing ends a waiting process.
    Lookup,
    Open,
    Read,
    Ioctl,
}

impl Until {
    fn opcode(self) -> &'static str {
        match self {
            Self::Mounted => "0",
            Self::Lookup => "1",
            Self::Open => "14",
            Self::Read => "15",
            Self::Ioctl => "39",
        }
    }
}

/// The server of the file system that does not answer.
fn hanging_fs() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("hanging_fs"))
}

/// The process that keeps a directory locked.
fn locked_directory() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("locked_directory"))
}

/// A program of tests/data.
fn build(name: &str) -> PathBuf {
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let source = format!("{}/tests/data/{name}.c", env!("CARGO_MANIFEST_DIR"));
    let mut gcc = Command::new("gcc");
    gcc.args(["-O1", "-static", "-pthread", "-Wall", "-Werror", "-o"]);
    // Cargo makes the directory where it builds, and not where the tests are only run.
    fs::create_dir_all(env!("CARGO_TARGET_TMPDIR")).unwrap();
    support::succeed({
        gcc.arg(&program).arg(source);
        gcc
    });
    program
}

/// Locks a directory, in a target's mount namespace.
fn lock(target: &Target, directory: &str) -> Server {
    fs::copy(
        locked_directory(),
        target.root().join("tmp/locked_directory"),
    )
    .unwrap();
    let mut nsenter = Command::new("nsenter");
    nsenter.args(["-t", &target.pid().to_string(), "-m", "--"]);
    until_mounted(nsenter.args(["/tmp/locked_directory", directory]))
}

/// A target in which this directory is new and contains only a null device: the kernel has
/// no other name of it in its cache.
fn with_new(directory: &str) -> Target {
    let script = "mkdir -p /mnt; mount -t tmpfs t /mnt; mknod -m 666 /mnt/null c 1 3;";
    Target::with_script(&format!("{script} mount --move /mnt {directory}"))
}

/// `nsexec -t PID ARGUMENTS` in which a new directory is locked.
fn locked(directory: &str, arguments: &[&str]) -> Scene {
    let target = with_new(directory);
    let server = lock(&target, directory);
    let pid = target.pid().to_string();
    let command = nsexec(&[&["-t", &pid], arguments].concat());
    Scene::start(target, command).with_server(server)
}

/// A cgroup of the target that the target has locked.
fn locked_cgroup() -> Scene {
    let parent = HIERARCHIES
        .into_iter()
        .find(|parent| fs::exists(format!("{parent}/cgroup.procs")).unwrap())
        .unwrap_or_else(|| panic!("no cgroup hierarchy is mounted"));
    let cgroup = Cgroup::beneath(parent).unwrap();
    let target = Target::new();
    cgroup.add(target.pid());
    let directory = PathBuf::from(parent).join(cgroup.name());
    let server = until_mounted(Command::new(locked_directory()).arg(directory));
    let mut scene = Scene::into_target(target, &["-c", "--", "true"]).with_server(server);
    scene._joined = Some(cgroup);
    scene
}

/// Mounts it in the target's mount namespace.
fn mount(target: &Target, directory: &str, until: Until) -> Server {
    let root = target.root();
    fs::create_dir_all(root.join(directory.trim_start_matches('/'))).unwrap();
    let device = root.join("tmp/fuse");
    if !device.exists() {
        fs::copy(hanging_fs(), root.join("tmp/hanging_fs")).unwrap();
        let mut mknod = Command::new("mknod");
        mknod.arg(&device).args(["c", "10", "229"]);
        support::succeed(mknod);
    }
    let mut nsenter = Command::new("nsenter");
    nsenter.args([
        "-t",
        &target.pid().to_string(),
        "-m",
        "--",
        "/tmp/hanging_fs",
    ]);
    nsenter.args(["/tmp/fuse", directory, until.opcode()]);
    until_mounted(&mut nsenter)
}

/// Starts a server, and waits until it is ready.
fn until_mounted(command: &mut Command) -> Server {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut server = command.spawn().unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(server.stdout.take().unwrap());
    let server = Server(server);
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "mounted\n");
    server
}

/// A full pipe.
fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (read, write) = pipe();
    let end = File::from(write.try_clone().unwrap());
    let size = fcntl(&write, FcntlArg::F_GETPIPE_SZ).unwrap();
    (&end)
        .write_all(&vec![b'x'; usize::try_from(size).unwrap()])
        .unwrap();
    (read, write)
}

/// A full socket, and before it its other end.
fn full_socket() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    while (&theirs).write(&[b'x'; 4096]).is_ok() {}
    theirs.set_nonblocking(false).unwrap();
    (ours, theirs)
}

/// A pipe with room for one page.
fn small_pipe() -> (OwnedFd, OwnedFd) {
    let (read, write) = pipe();
    fcntl(&write, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    (read, write)
}

fn pipe() -> (OwnedFd, OwnedFd) {
    nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap()
}

/// `nsexec ARGUMENTS` with default signal dispositions, regardless of the test's.
fn nsexec(arguments: &[&str]) -> Command {
    let mut command = Command::new("env");
    command
        .arg("--default-signal=HUP,INT,TERM")
        .arg(NSEXEC)
        .args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

impl Scene {
    fn start(target: Target, mut command: Command) -> Self {
        Self {
            helper: command.spawn().unwrap(),
            signalled: None,
            known: None,
            _servers: Vec::new(),
            _pipes: Vec::new(),
            _cgroup: None,
            _target: target,
            _joined: None,
            _directory: None,
        }
    }

    fn with_server(mut self, server: Server) -> Self {
        self._servers.push(server);
        self
    }

    fn with_pipe(mut self, end: OwnedFd) -> Self {
        self._pipes.push(end);
        self
    }

    /// `nsexec -t PID -a ARGUMENTS`.
    fn into_target(target: Target, arguments: &[&str]) -> Self {
        let pid = target.pid().to_string();
        let all = [&["-t", &pid, "-a"], arguments].concat();
        Self::start(target, nsexec(&all))
    }

    /// The same, with a file system mounted at /mnt.
    fn below(until: Until, arguments: &[&str]) -> Self {
        let target = Target::new();
        let server = mount(&target, "/mnt", until);
        Self::into_target(target, arguments).with_server(server)
    }

    /// The same, with these descriptors from 3 on, and the options that name them.
    fn with(files: Vec<OwnedFd>, arguments: &[&str]) -> Self {
        let target = Target::new();
        let pid = target.pid().to_string();
        let mut command = nsexec(&[&["-t", &pid, "-a"], arguments].concat());
        hand_over(&mut command, files);
        Self::start(target, command)
    }

    /// Standard output or standard error is a full pipe.
    fn printing(error: bool, arguments: &[&str]) -> Self {
        let target = Target::new();
        let pid = target.pid().to_string();
        let (reader, end) = full_pipe();
        let mut command = nsexec(&[&["-t", &pid], arguments].concat());
        if error {
            command.stderr(end);
        } else {
            command.stdout(end);
        }
        Self::start(target, command).with_pipe(reader)
    }
}

/// The descendants of a process.
fn descendants(pid: Pid) -> Vec<Pid> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let children = children
        .split_whitespace()
        .map(|pid| Pid::from_raw(pid.parse().unwrap()));
    children
        .flat_map(|child| [vec![child], descendants(child)].concat())
        .collect()
}

/// Whether a process will execute no further instruction: it does not exist, is a zombie,
/// or waits in the kernel with a pending SIGKILL.
fn is_over(pid: Pid) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
        return true;
    };
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.map_or("", |line| line[name.len()..].trim()).to_owned()
    };
    let killed = |name| u64::from_str_radix(&field(name), 16).unwrap_or(0) & 1 << 8 != 0;
    field("State:").starts_with(['Z', 'X']) || killed("SigPnd:") || killed("ShdPnd:")
}

/// Waits until the process has done all that it can do: it and its descendants sleep and
/// stay the same for a while.
fn until_stuck(name: &str, scene: &mut Scene) {
    let helper = pid(&scene.helper);
    let mut before = Vec::new();
    let mut same = 0;
    for _ in 0..400 {
        std::thread::sleep(Duration::from_millis(25));
        let ended = scene.helper.try_wait().unwrap();
        assert!(
            ended.is_none() || scene.signalled.is_some(),
            "{name}: it was not stuck: {ended:?}"
        );
        let all = [vec![helper], descendants(helper)].concat();
        let now: Vec<_> = all
            .iter()
            .map(|pid| {
                let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                let times: Vec<&str> = stat.split(' ').skip(2).step_by(11).take(2).collect();
                let switches = fs::read_to_string(format!("/proc/{pid}/status"));
                let switches = switches.unwrap_or_default();
                let mut switches = switches.lines();
                let switches = switches.find(|line| line.starts_with("voluntary"));
                // Before the start, the helper reads the child's state every 100 ms.
                let switches = switches.filter(|_| *pid != helper);
                (*pid, times.join(" "), switches.map(str::to_owned))
            })
            .collect();
        same = if now == before { same + 1 } else { 0 };
        before = now;
        if same == 12 {
            return;
        }
    }
    panic!("{name}: it does not come to rest: {before:?}");
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap())
}

/// The time until the signal ends the helper; `None`: it does not end.
fn end_by(name: &str, scene: &mut Scene, signal: Signal, number: i32) -> Option<Duration> {
    let below = descendants(pid(&scene.helper));
    let begun = Instant::now();
    if let Some(other) = scene.signalled {
        kill(other, signal).unwrap();
        while !is_over(other) {
            if begun.elapsed() > Duration::from_secs(10) {
                kill(other, Signal::SIGKILL).unwrap();
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        return Some(begun.elapsed());
    }
    kill(pid(&scene.helper), signal).unwrap();
    let status = loop {
        if let Some(status) = scene.helper.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > Duration::from_secs(10) {
            scene.helper.kill().unwrap();
            // If the signal does not end the helper, the test releases it.
            scene._servers.clear();
            scene.helper.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let took = begun.elapsed();
    let expected = match scene.known {
        Some(known) => status.code() == Some(known),
        None => status.signal() == Some(number),
    };
    assert!(expected, "{name}: {status}");
    for pid in below {
        let end = Instant::now() + Duration::from_secs(10);
        while !is_over(pid) {
            assert!(Instant::now() < end, "{name}: process {pid} outlives it");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Some(took)
}

/// A situation by its name.
type Row = (&'static str, fn() -> Scene);

const SCENES: [Row; 52] = [
    // Before the helper opens anything of the target.
    ("--help into a full pipe", || {
        Scene::printing(false, &["--help"])
    }),
    ("--features into a full pipe", || {
        Scene::printing(false, &["--features"])
    }),
    ("--dry-run into a full pipe", || {
        Scene::printing(false, &["-a", "--dry-run"])
    }),
    ("a usage error into a full pipe", || {
        Scene::printing(true, &["--nonsense"])
    }),
    ("an error into a full pipe", || {
        Scene::printing(true, &["-a", "--", "no-such-program"])
    }),
    ("a filter that never comes", || {
        let (reader, end) = pipe();
        Scene::with(vec![reader], &["--seccomp-fd", "3", "--", "true"]).with_pipe(end)
    }),
    ("the plan into a full status pipe", || {
        let (reader, end) = full_pipe();
        Scene::with(vec![end], &["--status-fd", "3", "--", "true"]).with_pipe(reader)
    }),
    ("the plan into a full status socket", || {
        let (ours, theirs) = full_socket();
        let scene = Scene::with(vec![theirs.into()], &["--status-fd", "3", "--", "true"]);
        scene.with_pipe(ours.into())
    }),
    ("a failure into a full status pipe", || {
        let (reader, end) = full_pipe();
        let arguments = [
            "--policy",
            "/nowhere.toml",
            "--status-fd",
            "3",
            "--",
            "true",
        ];
        Scene::with(vec![end], &arguments).with_pipe(reader)
    }),
    ("a policy on a file system that hangs", || {
        let directory = temporary_directory("stuck");
        let mut unshare = Command::new("unshare");
        unshare.arg("--mount").arg(hanging_fs()).arg("/dev/fuse");
        let server = until_mounted(unshare.arg(&directory).arg("0"));
        let target = Target::new();
        let mut command = Command::new("nsenter");
        command.args(["-t", &server.0.id().to_string(), "-m", "--", NSEXEC]);
        command.args(["-t", &target.pid().to_string(), "-a", "--policy"]);
        command
            .arg(directory.join("policy.toml"))
            .args(["--", "true"]);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let mut scene = Scene::start(target, command).with_server(server);
        scene._directory = Some(Directory(directory));
        scene
    }),
    ("a policy's compiler that is stopped", stopped_compiler),
    // A lookup in the target that no signal ends.
    ("passwd in a directory that is locked", || {
        locked("/etc", &["-a", "--", "true"])
    }),
    ("a directory in one that is locked", || {
        locked("/etc", &["-a", "-w=/etc/none", "--", "true"])
    }),
    ("a root in a directory that is locked", || {
        locked("/etc", &["-a", "-r=/etc/none", "--", "true"])
    }),
    ("the path of a rule in a directory that is locked", || {
        locked("/dev", &["-a", "--", "true"])
    }),
    ("a directory that is locked, without a helper", || {
        locked("/etc", &["-a", "-F", "--", "true"])
    }),
    (
        "passwd in a directory that is locked, after the join",
        || {
            let target = with_new("/etc");
            let server = lock(&target, "/etc");
            let file = format!("--mount=/proc/{}/ns/mnt", target.pid());
            let command = nsexec(&[&file, "--", "true"]);
            Scene::start(target, command).with_server(server)
        },
    ),
    ("a cgroup that is locked", locked_cgroup),
    (
        "passwd in a directory that is locked, for a runtime",
        || {
            let target = with_new("/etc");
            let server = lock(&target, "/etc");
            let (ours, theirs) = UnixStream::pair().unwrap();
            let command = protocol_a(&target, theirs.into());
            let scene = Scene::start(target, command).with_server(server);
            scene.with_pipe(ours.into())
        },
    ),
    // The verifier, at each request of the helper and after its last reply.
    ("a verifier that does not open the child", || {
        verifier_stops(UNANSWERED, 1, &["--", "true"])
    }),
    ("a verifier that does not move the child", || {
        verifier_stops(UNANSWERED, 2, &["--", "true"])
    }),
    ("a verifier that does not compare", || {
        verifier_stops(UNANSWERED, 3, &["--", "true"])
    }),
    ("a verifier that does not end", || {
        verifier_stops(ANSWERED, 3, &["--", "true"])
    }),
    ("a verifier that does not compare, without a helper", || {
        verifier_stops(UNANSWERED, 3, &["-m", "-F", "--", "true"])
    }),
    ("a verifier that does not end, without a helper", || {
        verifier_stops(ANSWERED, 3, &["-m", "-F", "--", "true"])
    }),
    // The child, before it executes the program. The helper makes no lookup there.
    ("a directory on a file system that hangs", || {
        Scene::below(Until::Mounted, &["-W", "/mnt/directory", "--", "true"])
    }),
    ("a directory whose look-up is not answered", || {
        Scene::below(Until::Lookup, &["-W", "/mnt/directory", "--", "true"])
    }),
    ("a look-up that is not taken", || {
        Scene::below(Until::Mounted, &["--", "/mnt/program"])
    }),
    ("a look-up that is not answered", || {
        Scene::below(Until::Lookup, &["--", "/mnt/program"])
    }),
    ("an execution whose open is not answered", || {
        Scene::below(Until::Open, &["--", "/mnt/program"])
    }),
    ("an execution whose read is not answered", || {
        Scene::below(Until::Read, &["--", "/mnt/program"])
    }),
    ("a directory inside that is not answered", || {
        Scene::below(Until::Lookup, &["-W", "/mnt/directory", "--", "true"])
    }),
    ("a child that is stopped", || {
        let mut scene = Scene::below(Until::Mounted, &["--", "/mnt/program"]);
        until_stuck("before the stop", &mut scene);
        let child = descendants(pid(&scene.helper));
        kill(*child.first().unwrap(), Signal::SIGSTOP).unwrap();
        scene
    }),
    ("a program in a directory that is locked", || {
        locked("/etc", &["-a", "--policy", "admin", "--", "/etc/none"])
    }),
    ("a look-up without a helper", || {
        let target = Target::new();
        let server = mount(&target, "/mnt", Until::Mounted);
        let pid = target.pid().to_string();
        let command = nsexec(&["-t", &pid, "-m", "-F", "--", "/mnt/program"]);
        Scene::start(target, command).with_server(server)
    }),
    // The program.
    ("a program that sleeps", || {
        Scene::into_target(Target::new(), &["--", "sleep", "1000"])
    }),
    ("a program that waits for its child", || {
        Scene::into_target(Target::new(), &["--", "sh", "-c", "sleep 1000; exit 3"])
    }),
    ("a program whose read is not answered", || {
        Scene::below(Until::Read, &["--", "cat", "/mnt/file"])
    }),
    ("a program that is stopped", || {
        let script = "kill -STOP $$; exit 3";
        Scene::into_target(Target::new(), &["--", "sh", "-c", script])
    }),
    ("a program in a frozen cgroup, version 2", || frozen(false)),
    (FROZEN_BY_VERSION_1, || frozen(true)),
    ("a started line that finds no room", || {
        let (reader, end) = small_pipe();
        // The plan fits into a page; no further line fits.
        let arguments = ["--status-fd", "3", "--", "sleep", "1000"];
        Scene::with(vec![end], &arguments).with_pipe(reader)
    }),
    ("a last line that finds no room", || {
        let (reader, end) = small_pipe();
        let arguments = ["--status-fd", "3", "--", "true"];
        let mut scene = Scene::with(vec![end], &arguments).with_pipe(reader);
        scene.known = Some(0);
        scene
    }),
    ("an explainer into a full pipe", || {
        let mut scene = Scene::printing(true, &["-a", "--explain", "--", "true"]);
        scene.known = Some(0);
        scene
    }),
    (
        "a caller that blocks all signals and ignores SIGCHLD",
        || {
            let target = Target::new();
            let mut command = Command::new("env");
            command.args(["--block-signal", "--ignore-signal=CHLD", NSEXEC, "-t"]);
            command.args([&target.pid().to_string(), "-a", "--", "cat"]);
            let (reader, end) = pipe();
            command.stdin(reader).env("NSEXEC_TEST", "blocked");
            Scene::start(target, command).with_pipe(end)
        },
    ),
    // Protocol A.
    ("a pid that cannot be reported", || {
        let target = Target::new();
        let (ours, theirs) = full_socket();
        let command = protocol_a(&target, theirs.into());
        Scene::start(target, command).with_pipe(ours.into())
    }),
    ("a verifier of protocol A that does not compare", || {
        verifier_of_protocol_a_stops(UNANSWERED, 1)
    }),
    ("a verifier of protocol A that hands nothing over", || {
        verifier_of_protocol_a_stops(UNANSWERED, 2)
    }),
    (
        "a verifier of protocol A that does not confirm the hand-over",
        || verifier_of_protocol_a_stops(UNANSWERED, 3),
    ),
    ("a verifier of protocol A that does not end", || {
        verifier_of_protocol_a_stops(ANSWERED, 3)
    }),
    ("an initConfig that never comes", || {
        let target = Target::new();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let command = protocol_a(&target, theirs.into());
        reported(target, command, &ours).with_pipe(ours.into())
    }),
    ("an initConfig whose program hangs", || {
        let target = Target::new();
        let server = mount(&target, "/mnt", Until::Mounted);
        let (ours, theirs) = UnixStream::pair().unwrap();
        let command = protocol_a(&target, theirs.into());
        let scene = reported(target, command, &ours).with_server(server);
        let mut config = shell("true");
        config["args"] = serde_json::json!(["/mnt/program"]);
        writeln!(&ours, "{config}").unwrap();
        ours.shutdown(std::net::Shutdown::Write).unwrap();
        scene.with_pipe(ours.into())
    }),
];

/// A helper whose policy compiler was stopped during its work.
fn stopped_compiler() -> Scene {
    let directory = temporary_directory("stuck-policy");
    let manifest = directory.join("long.toml");
    let line = "# a manifest that takes a while\n";
    fs::write(&manifest, line.repeat(30_000)).unwrap();
    let path = manifest.to_string_lossy().into_owned();
    for _ in 0..50 {
        let mut scene = Scene::into_target(Target::new(), &["--policy", &path, "--", "true"]);
        let helper = pid(&scene.helper);
        let end = Instant::now() + Duration::from_secs(2);
        while Instant::now() < end {
            let Some(compiler) = descendants(helper).first().copied() else {
                continue;
            };
            let status = fs::read_to_string(format!("/proc/{compiler}/status"));
            // It has dropped its rights, and compiles.
            if !status.unwrap_or_default().contains("Seccomp:\t2") {
                continue;
            }
            let stopped = kill(compiler, Signal::SIGSTOP).is_ok();
            std::thread::sleep(Duration::from_millis(100));
            if stopped && !is_over(compiler) && scene.helper.try_wait().unwrap().is_none() {
                fs::remove_dir_all(&directory).unwrap();
                return scene;
            }
            break;
        }
        let _ = scene.helper.kill();
        let _ = scene.helper.wait();
    }
    panic!("the compiler was too quick fifty times");
}

/// The verifier is stopped at its n-th message, before or after it sends that message.
const ANSWERED: &str = "signal=STOP";
const UNANSWERED: &str = "error=EPERM:signal=STOP";

/// `env --default-signal=... PROGRAM ARGUMENTS` with a delayed first join, so that the test
/// can find the verifier. strace(1) leaves it the child of this process.
fn joining_late(command: &Command) -> Command {
    let mut words = command.get_args();
    let mut traced = Command::new("env");
    traced.args(words.next());
    traced.args([
        "strace",
        "-D",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=setns",
    ]);
    traced.args(["-e", "inject=setns:delay_enter=1500000:when=1"]);
    traced.args(words);
    for (key, value) in command.get_envs() {
        traced.env(key, value.unwrap());
    }
    traced.stdin(Stdio::null());
    traced.stdout(Stdio::null()).stderr(Stdio::null());
    traced
}

/// `nsexec -t PID ARGUMENTS` with a stopped verifier.
fn verifier_stops(how: &str, n: usize, arguments: &[&str]) -> Scene {
    let target = Target::new();
    let pid = target.pid().to_string();
    let command = nsexec(&[&["-t", &pid], arguments].concat());
    let scene = Scene::start(target, joining_late(&command));
    stop_verifier(scene, how, n)
}

/// The same in protocol A. The runtime waits for the pid.
fn verifier_of_protocol_a_stops(how: &str, n: usize) -> Scene {
    let target = Target::new();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (_, unused) = UnixStream::pair().unwrap();
    let command = protocol_a(&target, unused.into());
    let mut command = joining_late(&command);
    hand_over(&mut command, vec![theirs.into()]);
    let scene = Scene::start(target, command).with_pipe(ours.into());
    stop_verifier(scene, how, n)
}

fn stop_verifier(scene: Scene, how: &str, n: usize) -> Scene {
    let helper = pid(&scene.helper);
    let end = Instant::now() + Duration::from_secs(20);
    let status = |pid: &Pid, name: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    // The process with a filter, with CAP_SYS_PTRACE, and without the finder's
    // CAP_DAC_READ_SEARCH.
    let is_verifier = |pid: &Pid| {
        let held = u64::from_str_radix(&status(pid, "CapEff:"), 16).unwrap_or(0);
        status(pid, "Seccomp:") == "2" && held & (1 << 19) != 0 && held & (1 << 2) == 0
    };
    let verifier = loop {
        if let Some(verifier) = descendants(helper).into_iter().find(is_verifier) {
            break verifier;
        }
        assert!(Instant::now() < end, "there is no verifier");
        std::thread::sleep(Duration::from_millis(2));
    };
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-o", "/dev/null", "-e", "trace=sendmsg", "-e"]);
    strace.arg(format!("inject=sendmsg:{how}:when={n}"));
    strace.args(["-p", &verifier.to_string()]);
    let scene = scene.with_server(Server(strace.spawn().unwrap()));
    // Repeatedly: strace also stops it for inspection, and the helper is delayed.
    let mut same = 0;
    while same < 10 {
        assert!(Instant::now() < end, "the verifier is not stopped");
        std::thread::sleep(Duration::from_millis(5));
        let stopped = status(&verifier, "State:").starts_with(['T', 't']);
        let waits = status(&helper, "State:").starts_with('S');
        same = if stopped && waits { same + 1 } else { 0 };
    }
    scene
}

/// Where the cgroups of a version are mounted.
fn hierarchy(version_1: bool) -> Option<&'static str> {
    HIERARCHIES.into_iter().find(|parent| {
        let v2 = fs::exists(format!("{parent}/cgroup.controllers")).unwrap();
        v2 != version_1 && fs::exists(format!("{parent}/cgroup.procs")).unwrap()
    })
}

/// The situation that needs cgroups of version 1.
const FROZEN_BY_VERSION_1: &str = "a program in a frozen cgroup, version 1";

/// A program that was frozen while it ran.
fn frozen(version_1: bool) -> Scene {
    let parent = hierarchy(version_1).expect("no hierarchy of this version is mounted");
    let cgroup = Cgroup::beneath(parent).unwrap();
    let target = Target::new();
    cgroup.add(target.pid());
    let mut scene = Scene::into_target(target, &["-c", "--", "sleep", "1000"]);
    until_stuck("before the freeze", &mut scene);
    // The target itself runs on: otherwise no process would reap it.
    fs::write(
        format!("{parent}/cgroup.procs"),
        scene._target.pid().to_string(),
    )
    .unwrap();
    let directory = PathBuf::from(parent).join(cgroup.name());
    let (switch, state, thawed) = if version_1 {
        ("freezer.state", "FROZEN", "THAWED")
    } else {
        ("cgroup.freeze", "1", "0")
    };
    let switch = directory.join(switch);
    fs::write(&switch, state).unwrap();
    let events = directory.join("cgroup.events");
    for _ in 0..400 {
        let now = fs::read_to_string(if version_1 { &switch } else { &events }).unwrap();
        if now.contains("frozen 1") || now.contains("FROZEN") {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    scene._cgroup = Some(Frozen {
        cgroup,
        switch,
        thawed,
    });
    scene
}

/// The helper of protocol A, with this pipe.
fn protocol_a(target: &Target, pipe: OwnedFd) -> Command {
    become_subreaper();
    let mut command = nsexec(&["init"]);
    command.env("_LIBCONTAINER_INITPID", target.pid().to_string());
    command.env("_LIBCONTAINER_INITTYPE", "setns");
    command.env("_LIBCONTAINER_INITPIPE", "3");
    hand_over(&mut command, vec![pipe]);
    command
}

/// The child of protocol A receives the signal.
fn reported(target: Target, mut command: Command, pipe: &UnixStream) -> Scene {
    let helper = command.spawn().unwrap();
    drop(command);
    let mut scene = Scene {
        helper,
        signalled: None,
        known: None,
        _servers: Vec::new(),
        _pipes: Vec::new(),
        _cgroup: None,
        _target: target,
        _joined: None,
        _directory: None,
    };
    let line = support::protocol_a::read_line(pipe);
    scene.signalled = Some(Pid::from_raw(support::protocol_a::pid_of(&line)));
    scene.helper.wait().unwrap();
    scene
}

/// The target chooses the file under the number that it gives out as a socket's. A request
/// to its file system would never end.
#[test]
fn a_file_in_place_of_a_socket_is_refused_at_once() {
    support::needs!(root);
    let target = Target::new();
    let server = mount(&target, "/mnt", Until::Ioctl);
    let mut nsenter = Command::new("nsenter");
    nsenter.args(["-t", &target.pid().to_string(), "-m", "--", "/bin/sh", "-c"]);
    nsenter.arg("exec 9</mnt/file; echo mounted; exec /bin/sleep 1000");
    let holder = until_mounted(&mut nsenter);
    let pid = holder.0.id().to_string();
    let mut helper = nsexec(&["-t", &pid, "--net-socket=9", "--", "true"]);
    let mut helper = helper.stderr(Stdio::piped()).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    let mut ended = None;
    while ended.is_none() && Instant::now() < end {
        ended = helper.try_wait().unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    // Ends every request to it.
    drop(server);
    let output = helper.wait_with_output().unwrap();
    let error = support::text(&output.stderr);
    let status = ended.and_then(|ended| ended.code());
    assert_eq!(status, Some(125), "{error}");
    assert!(error.contains("give the number of a socket"), "{error}");
}

#[test]
fn a_signal_ends_the_helper_wherever_it_is_stuck() {
    support::needs!(root);
    let signals = [
        (Signal::SIGTERM, 15),
        (Signal::SIGINT, 2),
        (Signal::SIGHUP, 1),
    ];
    let only = std::env::var("STUCK").unwrap_or_default();
    let mut wrong = Vec::new();
    let mut slowest = Duration::ZERO;
    let turns = signals.into_iter().cycle();
    for ((name, set_up), (signal, number)) in SCENES.into_iter().zip(turns) {
        if !name.contains(&only) {
            continue;
        }
        if name == FROZEN_BY_VERSION_1 && hierarchy(true).is_none() {
            let case = format!("a_signal_ends_the_helper_wherever_it_is_stuck, {name}");
            support::leave_out(&case, "cgroups of version 1 are not mounted here");
            continue;
        }
        let took: Vec<Option<Duration>> = (0..3)
            .map(|_| {
                let mut scene = set_up();
                until_stuck(name, &mut scene);
                end_by(name, &mut scene, signal, number)
            })
            // The test passes if one of three helpers is in time.
            .scan(false, |done, took| {
                let next = (!*done).then_some(took);
                *done |= took.is_some_and(|took| took < AT_ONCE);
                next
            })
            .collect();
        println!("{name}: {signal}: {took:?}");
        match took.iter().flatten().min() {
            Some(least) if *least < AT_ONCE => slowest = slowest.max(*least),
            _ => wrong.push(name),
        }
    }
    println!("{} situations, {slowest:?} at most", SCENES.len());
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_frozen_cgroup_is_refused_before_the_start() {
    support::needs!(root);
    let parents = HIERARCHIES.into_iter();
    let parents = parents.filter(|parent| fs::exists(format!("{parent}/cgroup.procs")).unwrap());
    let mut tried = 0;
    for parent in parents {
        let cgroup = Cgroup::beneath(parent).unwrap();
        let directory = PathBuf::from(parent).join(cgroup.name());
        let v2 = directory.join("cgroup.freeze");
        let (switch, frozen, thawed) = if v2.exists() {
            (v2, "1", "0")
        } else {
            (directory.join("freezer.state"), "FROZEN", "THAWED")
        };
        let target = Target::new();
        cgroup.add(target.pid());
        fs::write(&switch, frozen).unwrap();
        let cgroup = Frozen {
            cgroup,
            switch,
            thawed,
        };
        let message = fail(target.nsexec(["-a", "-c", "--", "true"]), 125);
        let expected = format!("{} is frozen; thaw the cgroup first", cgroup.cgroup.name());
        assert!(message.contains(&expected), "{message}");
        fs::write(&cgroup.switch, thawed).unwrap();
        drop(target);
        tried += 1;
    }
    assert!(tried > 0, "no hierarchy can be written to");
}

/// The kernel drops a signal to process 1 of a pid namespace that has the default disposition.
#[test]
fn a_signal_ends_process_1_of_a_pid_namespace_before_the_start() {
    support::needs!(root);
    let script = format!(
        "mkfifo \"$0\"; exec 4<>\"$0\" 3<\"$0\"; \
         exec unshare -p -f --mount-proc --kill-child \
         {NSEXEC} --net=/proc/self/ns/net --seccomp-fd 3 -- /bin/true"
    );
    let directory = temporary_directory("process-1");
    for (signal, number) in [
        (Signal::SIGTERM, 15),
        (Signal::SIGINT, 2),
        (Signal::SIGHUP, 1),
    ] {
        let fifo = directory.join(format!("fifo-{number}"));
        let mut command = Command::new("sh");
        command.arg("-c").arg(&script).arg(&fifo);
        let mut unshare = command.stdin(Stdio::null()).spawn().unwrap();
        let pid = unshare.id();
        let children = || fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        // It waits for the filter: ten times in a row it is in the same call.
        let (mut seen, mut same) = (String::new(), 0);
        let helper = loop {
            let child = children().unwrap_or_default().trim().to_owned();
            let read = |name: &str| fs::read_to_string(format!("/proc/{child}/{name}"));
            let call = read("syscall").unwrap_or_default();
            let is_helper = read("comm").unwrap_or_default().trim() == "nsexec";
            let waits = is_helper && !call.is_empty() && call == seen && call != "running\n";
            same = if waits { same + 1 } else { 0 };
            seen = call;
            if same == 10 {
                break child.parse().unwrap();
            }
            assert!(unshare.try_wait().unwrap().is_none(), "it has ended");
            std::thread::sleep(Duration::from_millis(5));
        };
        kill(Pid::from_raw(helper), signal).unwrap();
        let end = Instant::now() + AT_ONCE;
        let ended = loop {
            if let Some(ended) = unshare.try_wait().unwrap() {
                break Some(ended);
            }
            if Instant::now() > end {
                unshare.kill().unwrap();
                unshare.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let status = ended.and_then(|ended| ended.code());
        assert_eq!(status, Some(128 + number), "{signal}");
    }
    fs::remove_dir_all(directory).unwrap();
}

/// Neither another signal, which the program ignores, nor the same one again extends the time in
/// which the program has to take the first.
#[test]
fn later_signals_do_not_keep_the_helper_alive() {
    support::needs!(root);
    let target = Target::new();
    let later = [
        (Signal::SIGHUP, 1),
        (Signal::SIGTERM, 100),
        (Signal::SIGWINCH, 100),
    ];
    for (signal, times) in later {
        let words = ["--", "sh", "-c", "trap '' HUP; echo ready; kill -STOP $$"];
        let mut command = target.nsexec(words);
        let mut helper = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let stdout = helper.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let pid = Pid::from_raw(i32::try_from(helper.id()).unwrap());
        std::thread::sleep(Duration::from_millis(200));
        kill(pid, Signal::SIGTERM).unwrap();
        let start = Instant::now();
        let mut ended = None;
        for turn in 0..400 {
            if turn % 4 == 0 && turn / 4 < times {
                let _ = kill(pid, signal);
            }
            ended = helper.try_wait().unwrap();
            if ended.is_some() || start.elapsed() > Duration::from_secs(3) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let took = start.elapsed();
        let _ = helper.kill();
        let _ = helper.wait();
        let by = ended.and_then(|ended| ended.signal());
        assert_eq!(by, Some(15), "{signal}, {times} times: after {took:?}");
        assert!(took < AT_ONCE, "{signal}, {times} times: {took:?}");
    }
}
