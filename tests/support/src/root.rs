//! Temporary directories, and roots with one static executable.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory that is removed when this is dropped; one that a killed process
/// left behind is removed by the next.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Creates a directory below `parent`, named after this process.
    pub fn new(parent: &Path) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        for entry in fs::read_dir(parent)? {
            let entry = entry?;
            let name = entry.file_name();
            let pid = name.to_str().and_then(|name| name.parse::<u32>().ok());
            if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        let directory = parent.join(std::process::id().to_string());
        fs::create_dir(&directory)?;
        Ok(Self(directory))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The next run removes the rest.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Fills `root` with a static busybox, users and groups, and the directories that become
/// mount points.
///
/// # Errors
/// `busybox` cannot be copied or executed, or a file cannot be created.
pub fn fill(root: &Path, busybox: &Path) -> io::Result<()> {
    for directory in [
        "bin", "dev", "etc", "old", "proc", "root", "tmp", "home/ann",
    ] {
        fs::create_dir_all(root.join(directory))?;
    }
    fs::copy(busybox, root.join("bin/busybox"))?;
    let list = Command::new(busybox).arg("--list").output()?;
    for applet in String::from_utf8_lossy(&list.stdout).lines() {
        if applet != "busybox" {
            symlink("busybox", root.join("bin").join(applet))?;
        }
    }
    let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000:Ann:/home/ann:/bin/sh\n\
                  1001:x:0:0:a number as a name:/root:/bin/sh\n";
    fs::write(root.join("etc/passwd"), passwd)?;
    let group = "root:x:0:\nann:x:1000:\nstaff:x:50:ann\naudio:x:29:ann,root\n";
    fs::write(root.join("etc/group"), group)
}
