//! A process in its own namespaces, with pivot_root: a target without a container runtime.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{NSEXEC, root, succeed, temporary_directory};

/// The options of a target.
#[derive(Clone, Debug, Default)]
pub struct Build {
    /// Also in a new user namespace, which maps 0 to 65535 to [`OUTSIDE`] and on.
    pub user_namespace: bool,
    /// The command that starts the target, such as setpriv(1).
    pub prefix: Vec<&'static str>,
    /// Shell commands inside, after pivot_root and before the target waits.
    pub script: String,
    /// The program of the target; it must not end by itself. `None`: it waits for the end
    /// of the caller.
    pub program: Option<String>,
}

/// A running target.
#[derive(Debug)]
pub struct Target {
    /// unshare(1); killing it kills the target. It holds the target's standard input.
    unshare: Child,
    pid: i32,
    /// The directory to remove at the end.
    directory: Option<PathBuf>,
}

impl Target {
    /// A target with new mount, uts, ipc, net, pid and cgroup namespaces.
    #[track_caller]
    pub fn new() -> Self {
        Self::build(&Build::default())
    }

    #[track_caller]
    pub fn with_script(script: &str) -> Self {
        Self::build(&Build {
            script: script.to_owned(),
            ..Build::default()
        })
    }

    /// A target that is also in a new user namespace, which maps root to 100000.
    #[track_caller]
    pub fn with_user_namespace() -> Self {
        Self::build(&Build {
            user_namespace: true,
            ..Build::default()
        })
    }

    #[track_caller]
    pub fn build(build: &Build) -> Self {
        let directory = temporary_directory("target");
        let root = directory.join("root");
        let busybox = Path::new("/bin/busybox");
        root::fill(&root, busybox).expect("busybox-static has to be installed");
        let holder = build.user_namespace.then(|| {
            let owner = format!("{OUTSIDE}:{OUTSIDE}");
            let mut chown = Command::new("chown");
            chown.args(["-R", &owner]).arg(&root);
            succeed(chown);
            UserNamespace::new()
        });
        // root's capabilities inside require an execve by a mapped user.
        let unshare = match (&holder, build.prefix.split_first()) {
            (Some(holder), _) => {
                let mut nsenter = Command::new("nsenter");
                let pid = holder.0.id().to_string();
                nsenter.args(["-t", &pid, "-U", "-S0", "-G0", "unshare"]);
                nsenter
            }
            (None, Some((program, arguments))) => {
                let mut prefixed = Command::new(program);
                prefixed.args(arguments).arg("unshare");
                prefixed
            }
            (None, None) => Command::new("unshare"),
        };
        let mut target = start(unshare, &root, build).unwrap_or_else(|error| panic!("{error}"));
        target.directory = Some(directory);
        target
    }

    /// A target in `root`, which [`root::fill`] has filled. It gets a user namespace if the
    /// caller is not root.
    ///
    /// # Errors
    /// unshare(1) fails; its message is on standard error.
    pub fn start(root: &Path) -> io::Result<Self> {
        let mut unshare = Command::new("unshare");
        if !nix::unistd::geteuid().is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        start(unshare, root, &Build::default())
    }

    /// The first process of the pid namespace, as the caller sees it.
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
    #[track_caller]
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

impl Default for Target {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // --kill-child ends the target too, unless it has changed its user.
        // Until unshare(1) has reaped it, its pid stays its own.
        if matches!(self.unshare.try_wait(), Ok(None)) {
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        if let Some(directory) = &self.directory {
            let _ = fs::remove_dir_all(directory);
        }
    }
}

/// Starts the target with this beginning of a command, which ends with unshare(1).
fn start(mut unshare: Command, root: &Path, build: &Build) -> io::Result<Target> {
    let mut unshare = unshare
        .args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"])
        .args(["--fork", "--kill-child", "--propagation", "private"])
        .args(["--", "/bin/sh", "-c", OUTER])
        .env("ROOT", root)
        .env("INNER", INNER)
        .env("SCRIPT", &build.script)
        .env("PROGRAM", build.program.as_deref().unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::other(format!("unshare(1): {error}")))?;
    let mut line = String::new();
    if let Some(output) = unshare.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    let parent = unshare.id();
    let mut target = Target {
        unshare,
        pid: 0,
        directory: None,
    };
    if line != "ready\n" {
        let _ = target.unshare.kill();
        return Err(io::Error::other(
            "the target did not start; see the message of unshare(1) above",
        ));
    }
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    target.pid = children
        .trim()
        .parse()
        .map_err(|_| io::Error::other(format!("children of unshare(1): {children:?}")))?;
    Ok(target)
}

/// The id outside to which 0 inside is mapped.
pub const OUTSIDE: u32 = 100_000;

/// Runs in the new namespaces, still in the host's root.
const OUTER: &str = r#"
    set -e
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
    if [ -z "$program" ]; then exec cat > /dev/null; fi
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
