//! Throw-away targets, and ways to run nsexec against them.
//!
//! A target is a process with its own namespaces and root (after pivot_root, so that no
//! path means the same inside and outside). The target and everything created for it is
//! removed when the value is dropped.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part"
)]

pub mod apparmor;
pub mod cgroup;
pub mod features;
pub mod json_schema;
pub mod left_out;
pub mod needs;
pub mod protocol_a;
pub mod protocol_b;
pub mod runtime;
pub mod session;
pub mod share;
pub mod trace;
pub mod tracer;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) use left_out::leave_out;
#[allow(unused_imports, reason = "each test file uses its own part")]
pub(crate) use needs::needs;

/// The binary under test.
pub const NSEXEC: &str = env!("CARGO_BIN_EXE_nsexec");

/// The options of a target.
#[derive(Clone, Debug)]
pub struct Build {
    /// Also in a new user namespace, which maps 0 to 65535 to [`OUTSIDE`] and on.
    pub user_namespace: bool,
    /// The command that starts the target, such as setpriv(1).
    pub prefix: Vec<&'static str>,
    /// Shell commands inside, after pivot_root and before the target sleeps.
    pub script: String,
    /// What the target executes; it must not end by itself.
    pub program: String,
}

impl Default for Build {
    fn default() -> Self {
        Self {
            user_namespace: false,
            prefix: Vec::new(),
            script: String::new(),
            program: "sleep 1000".to_owned(),
        }
    }
}

/// A running target.
#[derive(Debug)]
pub struct Target {
    unshare: Child,
    pid: i32,
    directory: PathBuf,
}

impl Target {
    /// A target with new mount, uts, ipc, net, pid and cgroup namespaces.
    pub fn new() -> Self {
        Self::build(&Build::default())
    }

    pub fn with_script(script: &str) -> Self {
        Self::build(&Build {
            script: script.to_owned(),
            ..Build::default()
        })
    }

    /// A target that is also in a new user namespace, which maps root to 100000.
    pub fn with_user_namespace() -> Self {
        Self::build(&Build {
            user_namespace: true,
            ..Build::default()
        })
    }

    pub fn build(build: &Build) -> Self {
        let directory = temporary_directory("target");
        let root = directory.join("root");
        lay_out(&root);
        let holder = build.user_namespace.then(|| {
            let chown = ["-R", &format!("{OUTSIDE}:{OUTSIDE}")];
            succeed_in(Command::new("chown").args(chown).arg(&root));
            UserNamespace::new()
        });
        // root's capabilities inside require an execve by a mapped user.
        let mut unshare = match &holder {
            Some(holder) => {
                let mut nsenter = Command::new("nsenter");
                nsenter.args([
                    "-t",
                    &holder.0.id().to_string(),
                    "-U",
                    "-S0",
                    "-G0",
                    "unshare",
                ]);
                nsenter
            }
            None => match build.prefix.split_first() {
                Some((program, arguments)) => {
                    let mut prefixed = Command::new(program);
                    prefixed.args(arguments).arg("unshare");
                    prefixed
                }
                None => Command::new("unshare"),
            },
        };
        let mut unshare = unshare
            .args([
                "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--fork",
            ])
            .args(["--kill-child", "--", "/bin/sh", "-c", OUTER])
            .env("ROOT", &root)
            .env("INNER", INNER)
            .env("SCRIPT", &build.script)
            .env("PROGRAM", &build.program)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare(1)");
        let mut ready = String::new();
        let stdout = unshare.stdout.take().expect("a pipe");
        BufReader::new(stdout)
            .read_line(&mut ready)
            .expect("the target's word");
        assert_eq!(ready, "ready\n", "the target could not be made");
        drop(holder);
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let children = fs::read_to_string(children).expect("the children of unshare");
        let pid = children.trim().parse().expect("one child");
        Self {
            unshare,
            pid,
            directory,
        }
    }

    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The root as a path on the host.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.pid))
    }

    /// A link in the target's `/proc/PID/ns`.
    pub fn namespace(&self, name: &str) -> String {
        let link = fs::read_link(format!("/proc/{}/ns/{name}", self.pid)).expect("a namespace");
        link.to_string_lossy().into_owned()
    }

    /// The command `nsexec -t PID ARGUMENTS`, not yet started.
    pub fn nsexec<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(NSEXEC);
        command.arg("-t").arg(self.pid.to_string()).args(arguments);
        command.stdin(Stdio::null());
        command
    }

    /// Runs `sh -c SCRIPT` in the target under the default policy and returns its output;
    /// the script has to succeed.
    pub fn shell(&self, script: &str) -> String {
        succeed(self.nsexec(["-a", "--", "sh", "-c", script]))
    }

    /// The inode number in pidfs; `None`: the kernel has none.
    pub fn inode(&self) -> Option<u64> {
        let planned = succeed(self.nsexec(["-a", "--dry-run"]));
        let plan: serde_json::Value = serde_json::from_str(&planned).expect("JSON");
        plan["target"]["inode"].as_u64()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // --kill-child ends the target too, unless it has changed its user.
        // Until unshare(1) has reaped it, its pid stays its own.
        if matches!(self.unshare.try_wait(), Ok(None)) {
            let target = nix::unistd::Pid::from_raw(self.pid);
            let _ = nix::sys::signal::kill(target, nix::sys::signal::Signal::SIGKILL);
        }
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The id outside to which 0 inside is mapped.
pub const OUTSIDE: u32 = 100_000;

/// Runs in the new namespaces, still in the host's root.
const OUTER: &str = r#"
    set -e
    mount --make-rprivate /
    mount --bind "$ROOT" "$ROOT"
    cd "$ROOT"
    mount -t tmpfs -o mode=755 tmpfs dev
    for device in null zero full random urandom tty; do
        touch dev/$device; mount --bind /dev/$device dev/$device
    done
    mkdir dev/pts; mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    mount -t proc proc proc
    hostname target
    pivot_root . old
    exec chroot . /bin/sh -c "$INNER"
"#;

/// Runs in its own root.
const INNER: &str = r#"
    set -e
    export PATH=/bin
    cd /
    umount -l /old
    eval "$SCRIPT"
    program=$PROGRAM
    unset INNER SCRIPT PROGRAM ROOT
    echo ready
    eval "exec $program" < /dev/null
"#;

/// A process that keeps a user namespace open, with written maps.
struct UserNamespace(Child);

impl UserNamespace {
    fn new() -> Self {
        let mut unshare = Command::new("unshare");
        let holder = unshare
            .args(["--user", "sleep", "1000"])
            .stdin(Stdio::null());
        let holder = Self(holder.stdout(Stdio::null()).spawn().expect("unshare(1)"));
        let pid = holder.0.id();
        let own = fs::read_link("/proc/self/ns/user").expect("a user namespace");
        while fs::read_link(format!("/proc/{pid}/ns/user")).expect("unshare") == own {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        for map in ["uid_map", "gid_map"] {
            fs::write(format!("/proc/{pid}/{map}"), format!("0 {OUTSIDE} 65536")).expect("a map");
        }
        holder
    }
}

impl Drop for UserNamespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The files of a small root: busybox, passwd, group.
fn lay_out(root: &Path) {
    for directory in [
        "bin", "dev", "etc", "old", "proc", "tmp", "root", "home/ann",
    ] {
        fs::create_dir_all(root.join(directory)).expect("a directory");
    }
    let busybox = root.join("bin/busybox");
    fs::copy("/bin/busybox", &busybox).expect("busybox-static has to be installed");
    let list = Command::new("/bin/busybox")
        .arg("--list")
        .output()
        .expect("busybox");
    for applet in String::from_utf8_lossy(&list.stdout).lines() {
        if applet != "busybox" {
            let _ = symlink("busybox", root.join("bin").join(applet));
        }
    }
    let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000:Ann:/home/ann:/bin/sh\n\
                  1001:x:0:0:a number as a name:/root:/bin/sh\n";
    fs::write(root.join("etc/passwd"), passwd).expect("passwd");
    let group = "root:x:0:\nann:x:1000:\nstaff:x:50:ann\naudio:x:29:ann,root\n";
    fs::write(root.join("etc/group"), group).expect("group");
}

/// A new, empty directory with a unique name.
pub fn temporary_directory(purpose: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("nsexec-test-{}-{number}-{purpose}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    fs::create_dir_all(&directory).expect("a temporary directory");
    directory
}

/// Runs a command that has to succeed, and returns its standard output.
#[track_caller]
pub fn succeed(mut command: Command) -> String {
    succeed_in(&mut command)
}

#[track_caller]
fn succeed_in(command: &mut Command) -> String {
    let output = command.output().expect("the command");
    assert!(
        output.status.success(),
        "{command:?}: {}\nstdout: {}\nstderr: {}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Runs a command that has to fail with this status, and returns its standard error; its
/// standard output must be empty.
#[track_caller]
pub fn fail(mut command: Command, status: i32) -> String {
    let output = command.output().expect("the command");
    let stderr = text(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(status),
        "{command:?}: {}: {stderr}",
        output.status
    );
    assert_eq!(
        text(&output.stdout),
        "",
        "{command:?}: something was started"
    );
    assert!(stderr.starts_with("nsexec: "), "{command:?}: {stderr:?}");
    stderr
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn run(mut command: Command) -> Output {
    command.output().expect("the command")
}
