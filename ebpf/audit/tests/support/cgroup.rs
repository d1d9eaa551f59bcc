//! Cgroups with names like those of containers.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nsexec_audit::cgroup_hierarchy::Hierarchy;

use super::leave_out;

/// A cgroup of the hierarchy that the auditor uses, removed at the end.
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// Below the root; if none can be created, `test` is counted as left out.
    pub fn new(test: &str, name: &str) -> Option<Self> {
        let hierarchy = Hierarchy::here();
        let directory = match hierarchy.mounted() {
            Some((root, at)) if root == Path::new("/") => at.join(name),
            _ => {
                leave_out(test, "the root of the cgroups is not mounted here");
                return None;
            }
        };
        match fs::create_dir(&directory) {
            Ok(()) => Some(Self(directory)),
            Err(error) => {
                leave_out(test, &format!("no cgroup can be made here: {error}"));
                None
            }
        }
    }

    /// Its cgroup.procs file.
    pub fn procs(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }

    /// Moves a process into it.
    #[track_caller]
    pub fn put(&self, pid: u32) {
        fs::write(self.procs(), pid.to_string()).unwrap();
    }

    /// Its id in the kernel.
    pub fn id(&self) -> u64 {
        fs::metadata(&self.0).unwrap().ino()
    }
}

impl Cgroup {
    /// Removes it, so that it can be created again.
    pub fn remove(&self) {
        // A killed process leaves the cgroup a little later.
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.0.exists() && fs::remove_dir(&self.0).is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // All its processes were moved there by the test.
        let procs = fs::read_to_string(self.procs()).unwrap_or_default();
        for pid in procs.lines().filter_map(|pid| pid.parse().ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        self.remove();
    }
}
