//! A cgroup for a test, in v2 if that is mounted, otherwise in v1 (freezer).

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// The mount points of a hierarchy: v2 only, v2 on a hybrid system, v1.
pub const HIERARCHIES: [&str; 3] = [
    "/sys/fs/cgroup",
    "/sys/fs/cgroup/unified",
    "/sys/fs/cgroup/freezer",
];

#[derive(Debug)]
pub struct Cgroup {
    directory: PathBuf,
    name: String,
}

impl Cgroup {
    /// `None`: no hierarchy is writable.
    pub fn new() -> Option<Self> {
        [
            "/sys/fs/cgroup",
            "/sys/fs/cgroup/unified",
            "/sys/fs/cgroup/freezer",
        ]
        .into_iter()
        .filter(|parent| fs::metadata(format!("{parent}/cgroup.procs")).is_ok())
        .find_map(Self::beneath)
    }

    /// In this hierarchy.
    pub fn beneath(parent: &str) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("nsexec-test-{}-{number}", std::process::id());
        let directory = PathBuf::from(parent).join(&name);
        // On a hybrid system /sys/fs/cgroup is no hierarchy.
        fs::metadata(format!("{parent}/cgroup.procs")).ok()?;
        fs::create_dir(&directory).ok()?;
        Some(Self { directory, name })
    }

    /// With its own cpuset; `None` without that controller.
    pub fn with_cpuset() -> Option<Self> {
        let cgroup = match Self::beneath("/sys/fs/cgroup/cpuset") {
            Some(cgroup) => cgroup,
            None => Self::beneath("/sys/fs/cgroup")?,
        };
        let set = |file| fs::write(cgroup.directory.join(file), "0");
        (set("cpuset.cpus").is_ok() && set("cpuset.mems").is_ok()).then_some(cgroup)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn add(&self, pid: i32) {
        fs::write(self.directory.join("cgroup.procs"), pid.to_string()).expect("cgroup.procs");
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Until the kernel has released the last process in it.
        for _ in 0..200 {
            if fs::remove_dir(&self.directory).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
