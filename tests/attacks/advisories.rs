//! Advisories of other tools that belong to no other group.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::Attack;
use crate::arm::{
    ADMIN, Arm, DEFAULT, Fault, Host, Outcome, Tool, answer, bounded, broken, install, nsexec,
    refused,
};
use crate::support::cgroup::Cgroup;
use crate::support::{Target, protocol_a, text};

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "number-as-name",
        tries: "become root: passwd has the user's number as a name (CVE-2016-3697)",
        control: Tool::Other("nsenter and su(1)"),
        ways: &[Tool::ProtocolA, DEFAULT],
        run: number_as_name,
        quick: true,
    },
    Attack {
        name: "false-proc",
        tries: "receive writes meant for /proc/self: /proc is a tmpfs (CVE-2025-52881)",
        control: Tool::Other("nsenter, and a write in the target"),
        ways: &[Tool::ProtocolA],
        run: false_proc,
        quick: true,
    },
    Attack {
        name: "false-null",
        tries: "own the host's null device: /dev/null is another (CVE-2025-31133)",
        control: Tool::Other("nsenter, and a comparison in the target"),
        ways: &[Tool::ProtocolA],
        run: false_null,
        quick: true,
    },
    Attack {
        name: "false-console",
        tries: "be the console: its path is a file in the target (CVE-2025-52565)",
        control: Tool::Other("nsenter, and an open in the target"),
        ways: &[Tool::ProtocolA],
        run: false_console,
        quick: true,
    },
    Attack {
        name: "cgroup-above",
        tries: "lead -c out of the hierarchy by /.. in the cgroup's path",
        control: Tool::Other("a shell that follows /proc/PID/cgroup"),
        ways: &[DEFAULT, ADMIN],
        run: cgroup_above,
        quick: true,
    },
];

/// Runs a program as a runtime does, and returns its output in the form of a command's.
fn runtime(target: &Target, config: &serde_json::Value) -> Result<Output, Fault> {
    let mut exec = protocol_a::Exec::into(target.pid());
    exec.program = nsexec();
    let outcome = exec.run_config(config);
    if !outcome.answer.is_empty() {
        return broken(outcome.answer);
    }
    Ok(Output {
        status: outcome.helper,
        stdout: outcome.stdout.into_bytes(),
        stderr: outcome.stderr.into_bytes(),
    })
}

/// The target's passwd calls its root 1001.
fn number_as_name(tool: Tool) -> Arm {
    let target =
        Target::with_script("echo of-root > /tmp/file; chmod 600 /tmp/file; chmod 711 /tmp");
    install(&target, "hostile");
    let words = ["/bin/hostile", "read", "/tmp/file"];
    let output = match tool {
        Tool::ProtocolA => {
            let mut config = protocol_a::config(&words);
            config["user"] = json!("1001");
            runtime(&target, &config)?
        }
        Tool::Nsexec(_) => bounded(&mut tool.enter(target.pid(), &["-a", "-S", "1001"], &words))?,
        _ => {
            let su = ["su", "1001", "-c", "/bin/hostile read /tmp/file"];
            bounded(&mut Tool::Nsenter.enter(target.pid(), &["-a"], &su))?
        }
    };
    answer(&output)
}

/// Data for a file of /proc must not be written to a file of the target instead.
fn false_proc(tool: Tool) -> Arm {
    let target = Target::with_script(
        "mount -t tmpfs -o mode=755 tmpfs /proc; mkdir -p /proc/self/attr /proc/thread-self/attr; \
         touch /proc/self/oom_score_adj /proc/self/attr/exec /proc/thread-self/attr/exec",
    );
    if tool == Tool::ProtocolA {
        let mut config = protocol_a::config(&["true"]);
        config["config"]["oom_score_adj"] = json!(700);
        runtime(&target, &config)?;
    } else {
        let script = "echo 700 > /proc/self/oom_score_adj";
        bounded(&mut Tool::Nsenter.enter(target.pid(), &["-a"], &["sh", "-c", script]))?;
    }
    let written: String = [
        "self/oom_score_adj",
        "self/attr/exec",
        "thread-self/attr/exec",
    ]
    .iter()
    .map(|name| fs::read_to_string(target.root().join("proc").join(name)).expect("the file"))
    .collect();
    match written.as_str() {
        "" => Ok(Outcome::Blocked(
            "the target's files stayed empty".to_owned(),
        )),
        written => Ok(Outcome::Harm(format!("it received {:?}", written.trim()))),
    }
}

/// Standard input is the null device of the host; the target's /dev/null is an ordinary
/// file.
fn false_null(tool: Tool) -> Arm {
    let host = Host::new();
    let null = host.path("null");
    let mut mknod = Command::new("mknod");
    mknod.args([&null, "c", "1", "3"]);
    crate::support::succeed(mknod);
    let target = Target::with_script("umount /dev/null; rm /dev/null; touch /dev/null");
    let stdin = fs::File::open(&null).expect("a null device");
    if tool == Tool::ProtocolA {
        let mut config = protocol_a::config(&["/bin/true"]);
        config["user"] = json!("ann");
        let mut exec = protocol_a::Exec::into(target.pid());
        exec.program = nsexec();
        exec.stdin = stdin.into();
        protocol_a::assert_success(&exec.run_config(&config));
    } else {
        let script = "[ /proc/self/fd/0 -ef /dev/null ] || chown 1000 /proc/self/fd/0";
        let mut enter = Tool::Nsenter.enter(target.pid(), &["-a"], &["sh", "-c", script]);
        bounded(enter.stdin(stdin))?;
    }
    match fs::metadata(&null).expect("the device").uid() {
        0 => Ok(Outcome::Blocked(
            "the host's device is still root's".to_owned(),
        )),
        uid => Ok(Outcome::Harm(format!("the host's device is user {uid}'s"))),
    }
}

/// The console's path, opened in the wrong mount namespace.
fn false_console(tool: Tool) -> Arm {
    let pty = nix::pty::openpty(None, None).expect("a terminal");
    let path = nix::unistd::ttyname(&pty.slave)
        .expect("its path")
        .display()
        .to_string();
    let target = Target::with_script(&format!(
        "umount -l /dev/pts; touch {path}; chmod 666 {path}"
    ));
    if tool == Tool::ProtocolA {
        let mut exec = protocol_a::Exec::into(target.pid());
        exec.program = nsexec();
        exec.set("_LIBCONTAINER_CONSOLE_PATH", &path);
        protocol_a::assert_success(&exec.run_config(&protocol_a::config(&["echo", "of-the-host"])));
    } else {
        let script = format!("echo of-the-host > {path}");
        bounded(&mut Tool::Nsenter.enter(target.pid(), &["-a"], &["sh", "-c", &script]))?;
    }
    let inside = target.root().join(path.trim_start_matches('/'));
    match fs::read_to_string(inside).expect("the file").trim() {
        "" => Ok(Outcome::Blocked(
            "the program's terminal is the host's".to_owned(),
        )),
        text => Ok(Outcome::Harm(format!(
            "the target's file received {text:?}"
        ))),
    }
}

/// In a cgroup namespace, /proc/PID/cgroup shows a sibling target as `/../NAME`.
fn cgroup_above(tool: Tool) -> Arm {
    const HIERARCHY: &str = "/sys/fs/cgroup/freezer";
    let (Some(own), Some(theirs)) = (Cgroup::beneath(HIERARCHY), Cgroup::beneath(HIERARCHY)) else {
        return Err(Fault::LeftOut("no freezer hierarchy is mounted".to_owned()));
    };
    let host = Host::new();
    let target = Target::new();
    theirs.add(target.pid());
    // A hierarchy that is mounted at host/mount, and a file beside it.
    let planted = host.directory().join(theirs.name());
    fs::create_dir_all(&planted).expect("a directory");
    fs::create_dir_all(host.directory().join("mount")).expect("a directory");
    fs::write(planted.join("cgroup.procs"), "").expect("a file");
    let enter = match tool {
        Tool::Nsexec(policy) => format!(
            "{} --policy {policy} -t {} -u -c -- true",
            nsexec().display(),
            target.pid()
        ),
        _ => format!(
            "c=$(grep :freezer: /proc/{}/cgroup); echo $$ > {}/mount${{c##*:}}/cgroup.procs",
            target.pid(),
            host.directory().display()
        ),
    };
    // Only its own hierarchy is visible, so that nsexec must select it.
    let script = format!(
        "echo $$ > {HIERARCHY}/{}/cgroup.procs; exec unshare --cgroup --mount sh -c '\
         mount -t cgroup -o freezer none {}/mount && umount -l {HIERARCHY} && {enter}'",
        own.name(),
        host.directory().display()
    );
    let output = bounded(
        Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::null()),
    )?;
    let received = fs::read_to_string(planted.join("cgroup.procs")).expect("the file");
    if !received.is_empty() {
        return Ok(Outcome::Harm(
            "a file beside the hierarchy was written".to_owned(),
        ));
    }
    if !text(&output.stderr).contains("nsexec") {
        return broken(format!("{output:?}"));
    }
    refused(&output, &["cgroup"])
}
