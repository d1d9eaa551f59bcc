//! A container of Debian's runc, as a control.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::arm::{Fault, program};
use crate::running::wait;
use crate::support::temporary_directory;

/// The first process ends when its standard input ends; runc then removes the container.
#[derive(Debug)]
pub(crate) struct Container {
    run: Child,
    bundle: PathBuf,
    pid: i32,
}

/// The id: each container has its own state directory.
const ID: &str = "attacked";

impl Container {
    /// Starts a container after `change` has changed its root.
    pub(crate) fn start(change: impl FnOnce(&std::path::Path)) -> Result<Self, Fault> {
        let absent = || Fault::LeftOut("runc is not installed".to_owned());
        let bundle = temporary_directory("bundle");
        let root = bundle.join("rootfs");
        for directory in ["bin", "etc", "proc", "dev", "sys", "tmp"] {
            fs::create_dir_all(root.join(directory)).expect("a directory");
        }
        for name in ["busybox", "sh", "cat", "true"] {
            fs::copy("/bin/busybox", root.join("bin").join(name)).expect("busybox");
        }
        fs::copy(program("watch"), root.join("bin/watch")).expect("a copy");
        fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n").expect("passwd");
        change(&root);
        let spec = Command::new("runc")
            .arg("spec")
            .current_dir(&bundle)
            .status();
        if !spec.is_ok_and(|status| status.success()) {
            return Err(absent());
        }
        let file = bundle.join("config.json");
        let mut config: Value =
            serde_json::from_slice(&fs::read(&file).expect("the file")).expect("JSON");
        config["process"]["terminal"] = false.into();
        config["process"]["args"] = serde_json::json!(["/bin/cat"]);
        config["root"]["readonly"] = false.into();
        fs::write(file, config.to_string()).expect("the file");
        let mut runc = Command::new("runc");
        runc.arg("--root")
            .arg(bundle.join("state"))
            .args(["run", "--bundle"])
            .arg(&bundle)
            .arg(ID);
        runc.stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let run = runc.spawn().map_err(|_| absent())?;
        let mut container = Self {
            run,
            bundle,
            pid: 0,
        };
        let running = || {
            let state = container.runc("state").arg(ID).output().ok()?;
            let state: Value = serde_json::from_slice(&state.stdout).ok()?;
            let pid = state["pid"]
                .as_i64()
                .and_then(|pid| i32::try_from(pid).ok());
            (state["status"] == "running").then_some(pid?)
        };
        let Some(pid) = wait(Duration::from_secs(10), running) else {
            return crate::arm::broken("runc started no container");
        };
        container.pid = pid;
        Ok(container)
    }

    /// The first process of the container.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// The root of the container, as a path on the host.
    pub(crate) fn root(&self) -> PathBuf {
        self.bundle.join("rootfs")
    }

    fn runc(&self, verb: &str) -> Command {
        let mut runc = Command::new("runc");
        runc.arg("--root").arg(self.bundle.join("state")).arg(verb);
        runc.stdin(Stdio::null()).stderr(Stdio::piped());
        runc
    }

    /// `runc exec OPTIONS` with this command line.
    pub(crate) fn exec(&self, options: &[&str], words: &[&str]) -> Command {
        let mut runc = self.runc("exec");
        runc.args(options).arg(ID).args(words);
        runc
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(self.run.stdin.take());
        let ended = wait(Duration::from_secs(5), || self.run.try_wait().ok()?);
        let _ = self.runc("delete").args(["--force", ID]).output();
        if ended.is_none() {
            let _ = self.run.kill();
            let _ = self.run.wait();
        }
        let _ = fs::remove_dir_all(&self.bundle);
    }
}
