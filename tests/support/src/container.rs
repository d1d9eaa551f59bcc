//! A real container, started by an OCI runtime from a bundle of our own.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The time limit for a runtime to start or stop a container.
const TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub struct Container {
    runtime: OsString,
    /// Options before the verb: the state directory and the caller's own.
    options: Vec<OsString>,
    id: String,
    run: Child,
    pid: i32,
}

impl Container {
    /// Starts a container in `bundle`, whose `rootfs` contains a busybox. Its
    /// first process ends when its standard input ends, and the runtime, which
    /// waits for it, then removes the container. So no container remains,
    /// however the caller ends.
    pub fn start(runtime: &Path, options: &[&str], bundle: &Path) -> io::Result<Self> {
        write_config(runtime, bundle)?;
        let mut all = vec![OsString::from("--root"), bundle.join("state").into()];
        all.extend(options.iter().map(OsString::from));
        let id = format!("nsexec-{}", std::process::id());
        let run = Command::new(runtime)
            .args(&all)
            .args(["run", "--bundle"])
            .arg(bundle)
            .arg(&id)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut container = Self {
            runtime: runtime.into(),
            options: all,
            id,
            run,
            pid: 0,
        };
        container.pid = container.first_process()?;
        Ok(container)
    }

    /// Its first process, as the caller sees it.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The runtime's `verb` on this container, such as `exec`.
    pub fn command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(&self.runtime);
        command.args(&self.options).args(verb).arg(&self.id);
        command
    }

    fn first_process(&mut self) -> io::Result<i32> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if self.run.try_wait()?.is_some() || Instant::now() > deadline {
                return Err(self.failure());
            }
            let state = self.command(&["state"]).output()?;
            let state: Value = serde_json::from_slice(&state.stdout).unwrap_or_default();
            if state.get("status").and_then(Value::as_str) == Some("running") {
                let pid = state.get("pid").and_then(Value::as_i64);
                return pid
                    .and_then(|pid| i32::try_from(pid).ok())
                    .ok_or_else(|| io::Error::other(format!("no pid in the state: {state}")));
            }
            std::thread::sleep(POLL);
        }
    }

    fn failure(&mut self) -> io::Error {
        let _ = self.run.kill();
        let mut printed = String::new();
        if let Some(mut errors) = self.run.stderr.take() {
            let _ = errors.read_to_string(&mut printed);
        }
        let runtime = Path::new(&self.runtime);
        let last = printed.lines().last().unwrap_or("it printed nothing");
        io::Error::other(format!("{}: {last}", runtime.display()))
    }

    /// Whether the runtime has removed the container and ended.
    fn has_ended(&mut self) -> bool {
        let deadline = Instant::now() + TIMEOUT;
        while Instant::now() < deadline {
            if !matches!(self.run.try_wait(), Ok(None)) {
                return true;
            }
            std::thread::sleep(POLL);
        }
        false
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(self.run.stdin.take());
        let ended = self.has_ended();
        // Prints an error and fails if the container is gone.
        let _ = self
            .command(&["delete", "--force"])
            .stderr(Stdio::null())
            .status();
        if !ended {
            let _ = self.run.kill();
            let _ = self.run.wait();
        }
    }
}

/// The runtime's own sample, changed to run cat on our pipe.
fn write_config(runtime: &Path, bundle: &Path) -> io::Result<()> {
    let spec = Command::new(runtime)
        .arg("spec")
        .current_dir(bundle)
        .output()?;
    if !spec.status.success() {
        let printed = String::from_utf8_lossy(&spec.stderr);
        return Err(io::Error::other(format!(
            "{} spec: {printed}",
            runtime.display()
        )));
    }
    let file = bundle.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&file)?)?;
    for (place, value) in [
        ("/process/terminal", json!(false)),
        ("/process/args", json!(["/bin/cat"])),
        ("/root/path", json!("rootfs")),
    ] {
        *config
            .pointer_mut(place)
            .ok_or_else(|| io::Error::other(format!("no {place} in the sample config.json")))? =
            value;
    }
    fs::write(file, config.to_string())
}
