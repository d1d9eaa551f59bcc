//! Enters a target through protocol A, in the role of libcontainer's parent.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::wait::WaitStatus;
use serde_json::{Value, json};

use super::checks::Checks;
use super::inside::{DOCKER_CAPABILITIES, Inside, REPORT_SCRIPT};
use super::{Exec, Fixture, fresh, process};

/// The namespaces that protocol A joins.
const NAMESPACES: &[&str] = &["ipc", "mnt", "net", "pid", "user", "uts"];

const TIMEOUT: Duration = Duration::from_secs(10);

/// The program runs in the target, as initConfig requests, under the ceiling.
pub(crate) fn exec(fixture: &Fixture, checks: &mut Checks, pid: i32) -> Option<Exec> {
    checks.step(&format!(
        "protocol A: _LIBCONTAINER_INITPID={pid}, initConfig with /bin/sh -c ..."
    ));
    let config = init_config(&["/bin/sh", "-c", REPORT_SCRIPT]);
    let talk = checks.take("the protocol is kept to", talk(fixture, pid, &config))?;
    checks.equal("no error comes back", &talk.answer.as_str(), &"");
    checks.equal(
        "the process is our child, and ends with 0",
        &talk.end,
        &exited(&talk, 0),
    );
    let inside = Inside::parse(&talk.output);
    inside.check(checks, pid, NAMESPACES);
    inside.status(checks, "CapEff", &format!("{DOCKER_CAPABILITIES:016x}"));
    inside.session_leader(checks);
    Some(Exec {
        what: "protocol A",
        helper: talk.helper,
        namespaces: NAMESPACES,
    })
}

/// A missing program is reported as libcontainer's error.
pub(crate) fn refused(fixture: &Fixture, checks: &mut Checks, pid: i32) {
    checks.step(&format!(
        "protocol A: _LIBCONTAINER_INITPID={pid}, initConfig with unexistent"
    ));
    let config = init_config(&["unexistent"]);
    let Some(talk) = checks.take("the protocol is kept to", talk(fixture, pid, &config)) else {
        return;
    };
    let error: Value = serde_json::from_str(&talk.answer).unwrap_or_default();
    let message = error.get("Message").and_then(Value::as_str);
    checks.holds(
        &format!("the error names it: {}", message.unwrap_or_default()),
        message.is_some_and(|message| message.contains("unexistent")),
        &format!("the answer was {:?}", talk.answer),
    );
    checks.equal("the process ends with 1", &talk.end, &exited(&talk, 1));
}

struct Talk {
    /// The process that joined.
    helper: u32,
    /// The answer to initConfig: nothing, or an error.
    answer: String,
    pid: i32,
    end: WaitStatus,
    output: String,
}

fn exited(talk: &Talk, status: i32) -> WaitStatus {
    WaitStatus::Exited(nix::unistd::Pid::from_raw(talk.pid), status)
}

/// All that passes between libcontainer and its helper, in its order.
fn talk(fixture: &Fixture, target: i32, config: &Value) -> io::Result<Talk> {
    let (mut ours, theirs) = UnixStream::pair()?;
    ours.set_read_timeout(Some(TIMEOUT))?;
    process::inherit(&theirs)?;
    let (output, stdout) = fresh(fixture, "stdout")?;
    let (errors, stderr) = fresh(fixture, "stderr")?;
    let mut helper = Command::new(&fixture.nsexec)
        .arg0("nsexec")
        .arg("init")
        .env_clear()
        .env("_LIBCONTAINER_INITPIPE", theirs.as_raw_fd().to_string())
        .env("_LIBCONTAINER_INITPID", target.to_string())
        .env("_LIBCONTAINER_INITTYPE", "setns")
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()?;
    drop(theirs);
    let status = process::wait(&mut helper)?;
    if !status.success() {
        let printed = std::fs::read_to_string(errors)?;
        return Err(io::Error::other(format!(
            "the helper ended with {status}: {}",
            printed.trim_end()
        )));
    }

    let pid = reported_pid(&read_line(&mut ours)?)?;
    let answer = configure(&mut ours, config);
    // Always reap the child: no other code does.
    let end = process::wait_for_pid(pid)?;
    Ok(Talk {
        helper: helper.id(),
        answer: answer?,
        pid,
        end,
        output: std::fs::read_to_string(output)?,
    })
}

/// Reads byte by byte, because the answer to initConfig follows the line.
fn read_line(pipe: &mut UnixStream) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\n") && pipe.read(&mut byte)? == 1 {
        line.extend(byte);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn reported_pid(line: &str) -> io::Result<i32> {
    line.strip_prefix("{ \"pid\" : ")
        .and_then(|rest| rest.strip_suffix(" }\n"))
        .and_then(|number| number.parse().ok())
        .filter(|pid| *pid > 1)
        .ok_or_else(|| {
            io::Error::other(format!(
                "found {line:?}, wanted {{ \"pid\" : N }} and a newline"
            ))
        })
}

/// Sends initConfig; returns the answer up to the end of the pipe.
fn configure(pipe: &mut UnixStream, config: &Value) -> io::Result<String> {
    writeln!(pipe, "{config}")?;
    pipe.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    pipe.read_to_string(&mut answer)?;
    Ok(answer)
}

/// libcontainer's message for an exec in a container of its own integration
/// tests, without the parts of `config` that only matter at creation.
fn init_config(program: &[&str]) -> Value {
    json!({
        "args": program,
        "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
        "cwd": "/",
        "capabilities": null,
        "user": "",
        "config": {
            "rootfs": "/rootfs",
            "namespaces": [
                { "type": "NEWNS", "path": "" },
                { "type": "NEWUTS", "path": "" },
                { "type": "NEWIPC", "path": "" },
                { "type": "NEWPID", "path": "" },
                { "type": "NEWNET", "path": "" },
            ],
            "capabilities": [
                "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD",
                "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP",
                "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
            ],
            "rlimits": [{ "type": 7, "hard": 1024, "soft": 1024 }],
            "oom_score_adj": 0,
            "additional_groups": null,
            "apparmor_profile": "",
            "process_label": "",
            "seccomp": null,
        },
        "console": "",
        "network": null,
        "passed_files_count": 0,
    })
}

#[cfg(test)]
mod tests {
    use super::reported_pid;

    #[test]
    fn the_pid_line_is_read_exactly() {
        assert_eq!(reported_pid("{ \"pid\" : 42 }\n").ok(), Some(42));
        for wrong in [
            "",
            "{ \"pid\" : 42 }",
            "{\"pid\":42}\n",
            "{ \"pid\" : 0 }\n",
            "{ \"pid\" : -1 }\n",
            "{ \"pid\" : 42 }\n{",
        ] {
            assert!(reported_pid(wrong).is_err(), "{wrong:?}");
        }
    }
}
