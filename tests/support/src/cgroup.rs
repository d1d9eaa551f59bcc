//! A cgroup for a test.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The mount points of a hierarchy: v2 only, v2 on a hybrid system, v1.
pub const HIERARCHIES: [&str; 3] = [
    "/sys/fs/cgroup",
    "/sys/fs/cgroup/unified",
    "/sys/fs/cgroup/freezer",
];

/// A cgroup, which is removed when this is dropped; the processes in it are killed then.
#[derive(Debug)]
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// In v2 if that is mounted, otherwise in v1 (freezer). `None`: no hierarchy is writable.
    pub fn new() -> Option<Self> {
        HIERARCHIES.into_iter().find_map(Self::beneath)
    }

    /// In this hierarchy. `None`: it is not mounted there, or not writable.
    pub fn beneath(parent: &str) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("nsexec-test-{}-{number}", std::process::id());
        // On a hybrid system /sys/fs/cgroup is no hierarchy.
        fs::metadata(format!("{parent}/cgroup.procs")).ok()?;
        Self::create(Path::new(parent).join(name)).ok()
    }

    /// With its own cpuset; `None` without that controller.
    pub fn with_cpuset() -> Option<Self> {
        let cgroup = match Self::beneath("/sys/fs/cgroup/cpuset") {
            Some(cgroup) => cgroup,
            None => Self::beneath("/sys/fs/cgroup")?,
        };
        let set = |file| fs::write(cgroup.0.join(file), "0");
        (set("cpuset.cpus").is_ok() && set("cpuset.mems").is_ok()).then_some(cgroup)
    }

    /// # Errors
    /// `directory` cannot be created.
    pub fn create(directory: PathBuf) -> io::Result<Self> {
        fs::create_dir(&directory)?;
        Ok(Self(directory))
    }

    pub fn name(&self) -> &str {
        let name = self.0.file_name().and_then(|name| name.to_str());
        name.expect("a name in UTF-8")
    }

    /// Its cgroup.procs file.
    pub fn procs(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }

    /// Its id in the kernel.
    #[track_caller]
    pub fn id(&self) -> u64 {
        fs::metadata(&self.0).expect("the cgroup").ino()
    }

    /// Moves a process into it.
    #[track_caller]
    pub fn add(&self, pid: i32) {
        fs::write(self.procs(), pid.to_string()).expect("cgroup.procs");
    }

    /// Removes it. A killed process leaves the cgroup a little later.
    pub fn remove(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.0.exists() && fs::remove_dir(&self.0).is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let processes = fs::read_to_string(self.procs()).unwrap_or_default();
        for pid in processes.lines().filter_map(|pid| pid.parse().ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        self.remove();
    }
}
