//! A throw-away process in its own namespaces, with pivot_root: a target for
//! nsexec without a container runtime.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Devices that a program may expect; an ordinary user cannot make them, but
/// can mount the host's.
const DEVICES: &[&str] = &["null", "zero", "full", "tty", "urandom"];

/// Run in the new namespaces, with the root's path as `$1`. It ends when its
/// standard input does, so that no way of ending the caller leaves it behind.
const BECOME_TARGET: &str = r#"
set -e
PATH=$1/bin
mount -o bind "$1" "$1"
cd "$1"
mount -t proc proc proc
for device in $2; do mount -o bind "/dev/$device" "dev/$device"; done
mkdir .old
pivot_root . .old
cd /
PATH=/bin
umount -l .old
rmdir .old
hostname throw-away
echo ready
exec cat
"#;

#[derive(Debug)]
pub(crate) struct Target {
    /// unshare(1); killing it kills the target.
    unshare: Child,
    pid: i32,
}

impl Target {
    /// Starts it in `root`, which holds a busybox already. It gets a user
    /// namespace where the caller is not root.
    pub(crate) fn start(root: &Path) -> io::Result<Self> {
        for device in DEVICES {
            fs::write(root.join("dev").join(device), "")?;
        }
        let mut command = Command::new("unshare");
        if fs::metadata("/proc/self")?.uid() != 0 {
            command.args(["--user", "--map-root-user"]);
        }
        let unshare = command
            .args(["--mount", "--uts", "--ipc", "--net", "--pid"])
            .args(["--fork", "--kill-child", "--propagation", "private"])
            .arg(root.join("bin/busybox"))
            .args(["sh", "-c", BECOME_TARGET, "target"])
            .arg(root)
            .arg(DEVICES.join(" "))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::other(format!("unshare(1): {error}")))?;
        let mut target = Self { unshare, pid: 0 };
        target.pid = target.first_process()?;
        Ok(target)
    }

    /// The first process of the pid namespace, as the caller sees it.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    fn first_process(&mut self) -> io::Result<i32> {
        let mut line = String::new();
        if let Some(output) = self.unshare.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        if line != "ready\n" {
            return Err(io::Error::other(
                "the throw-away target did not start; see the message of unshare(1) above",
            ));
        }
        let parent = self.unshare.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
        children
            .trim()
            .parse()
            .map_err(|_| io::Error::other(format!("children of unshare(1): {children:?}")))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // Both fail if it has ended already, which is fine.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}
