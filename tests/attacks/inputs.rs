//! Input from the target, the caller or the machine that the helper reads.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::Attack;
use crate::arm::{
    ADMIN, Arm, DEFAULT, Fault, Host, Outcome, STRICT, Tool, answer, bounded, broken, install,
    nsexec, program, refused, with_open,
};
use crate::container::Container;
use crate::place::jailed;
use crate::running::Running;
use crate::support::{self, Target, protocol_a, temporary_directory, text};

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "device-as-passwd",
        tries: "have a device of the target opened on the host, as its passwd",
        control: Tool::Runc,
        ways: &[DEFAULT, ADMIN, Tool::ProtocolA],
        run: |tool| node_is_opened(tool, "node", "passwd"),
        quick: true,
    },
    Attack {
        name: "fifo-as-passwd",
        tries: "have a FIFO of the target opened, as its passwd",
        control: Tool::Runc,
        ways: &[DEFAULT, ADMIN, Tool::ProtocolA],
        run: |tool| node_is_opened(tool, "fifo", "passwd"),
        quick: true,
    },
    Attack {
        name: "kernel-file-as-passwd",
        tries: "have a file of procfs opened with the host's rights, as its passwd",
        control: Tool::Runc,
        ways: &[DEFAULT, Tool::ProtocolA],
        run: |tool| node_is_opened(tool, "procfs", "passwd"),
        quick: true,
    },
    Attack {
        name: "device-as-group",
        tries: "the same of a device, as its group",
        control: Tool::Runc,
        ways: &[DEFAULT, Tool::ProtocolA],
        run: |tool| node_is_opened(tool, "node", "group"),
        quick: true,
    },
    Attack {
        name: "escape-sequence",
        tries: "write control characters to the terminal by a program's name",
        control: Tool::Nsenter,
        ways: &[DEFAULT, ADMIN],
        run: |tool| {
            let target = Target::new();
            let words = ["/bin/\u{1b}]0;owned\u{7}"];
            let output = bounded(&mut tool.enter(target.pid(), &["-a"], &words))?;
            control_characters(&text(&output.stderr), "owned")
        },
        quick: true,
    },
    Attack {
        name: "escape-sequence-runtime",
        tries: "the same, by a system call's name in initConfig",
        control: Tool::Nsenter,
        ways: &[Tool::ProtocolA],
        run: escape_from_config,
        quick: true,
    },
    Attack {
        name: "policy-replaced",
        tries: "replace a policy in a directory that others can write",
        control: Tool::Other("nsexec, from a directory of root's"),
        ways: &[DEFAULT],
        run: |tool| policy_file(tool, 0o777, 0),
        quick: true,
    },
    Attack {
        name: "policy-directory-owner",
        tries: "replace a policy in a directory of another user's",
        control: Tool::Other("nsexec, from a directory of root's"),
        ways: &[DEFAULT],
        run: |tool| policy_file(tool, 0o755, 65533),
        quick: true,
    },
    Attack {
        name: "configuration-dangles",
        tries: "have /etc/nsexec.toml passed over: it is a link to nothing",
        control: Tool::Other("nsexec, without /etc/nsexec.toml"),
        ways: &[DEFAULT],
        run: |tool| configuration(tool, |path| symlink("/nowhere/nsexec.toml", path).unwrap()),
        quick: true,
    },
    Attack {
        name: "configuration-is-a-fifo",
        tries: "have /etc/nsexec.toml passed over: it is a FIFO",
        control: Tool::Other("nsexec, without /etc/nsexec.toml"),
        ways: &[DEFAULT],
        run: |tool| {
            configuration(tool, |path| {
                nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
            })
        },
        quick: true,
    },
    success(
        "success-of-setns",
        "join nothing, where setns(2) answers 0",
        &[DEFAULT],
        |tool| {
            let host = Host::new();
            let words = ["sh", "-c", &host.script()];
            let calls = [libc::SYS_setns];
            let output = lie(tool, &Target::new(), &calls, &["-a"], &words)?;
            match host.evaluate(&output, &[]) {
                Err(_) => by_the_lie(tool, &output),
                judged => judged,
            }
        },
    ),
    success(
        "success-of-landlock",
        "write, where Landlock's calls answer 0",
        &[STRICT],
        |tool| {
            let target = Target::with_script("echo x > /tmp/file; chmod 666 /tmp/file");
            let calls = [libc::SYS_landlock_restrict_self];
            lied(
                tool,
                &target,
                &calls,
                &["-a"],
                &["/bin/hostile", "write", "/tmp/file"],
            )
        },
    ),
    success(
        "success-of-seccomp",
        "unshare, where seccomp(2) answers 0",
        &[DEFAULT, STRICT],
        |tool| {
            let words = ["/bin/hostile", "unshare", "0x10000000", "user"];
            lied(tool, &Target::new(), &[libc::SYS_seccomp], &["-a"], &words)
        },
    ),
    success(
        "success-of-prctl",
        "become root by a set-user-ID program: prctl(2) answers 0",
        &[DEFAULT],
        |tool| {
            let target = Target::new();
            install(&target, "hostile");
            let file = target.root().join("bin/hostile");
            fs::set_permissions(file, fs::Permissions::from_mode(0o4755)).expect("a mode");
            let options = ["-a", "-S", "1000", "-G", "1000"];
            lied(
                tool,
                &target,
                &[libc::SYS_prctl],
                &options,
                &["/bin/hostile", "set-user-id"],
            )
        },
    ),
    success(
        "success-of-capset",
        "keep inheritable capabilities: capset(2) answers 0",
        &[DEFAULT, STRICT],
        |tool| {
            let words = ["/bin/hostile", "capabilities", "CapInh"];
            lied(tool, &Target::new(), &[libc::SYS_capset], &["-a"], &words)
        },
    ),
    success(
        "success-of-setuid",
        "stay root, where setuid(2) and its like answer 0",
        &[DEFAULT, ADMIN],
        |tool| {
            let target = Target::with_script("echo of-root > /tmp/file; chmod 600 /tmp/file");
            let calls = [libc::SYS_setuid, libc::SYS_setreuid, libc::SYS_setresuid];
            let options = ["-a", "-S", "1000", "-G", "1000"];
            lied(
                tool,
                &target,
                &calls,
                &options,
                &["/bin/hostile", "read", "/tmp/file"],
            )
        },
    ),
    success(
        "success-of-setgroups",
        "keep the caller's groups: setgroups(2) answers 0",
        &[DEFAULT],
        |tool| {
            let target = Target::with_script(
                "echo of-the-group > /tmp/file; chown 0:4 /tmp/file; chmod 040 /tmp/file",
            );
            let options = ["-a", "-S", "1000", "-G", "1000"];
            let words = ["/bin/hostile", "read", "/tmp/file"];
            lied(tool, &target, &[libc::SYS_setgroups], &options, &words)
        },
    ),
    success(
        "success-of-chroot",
        "leave the target's root: chroot(2) answers 0",
        &[DEFAULT, ADMIN],
        |tool| {
            let target = jailed();
            for root in ["", ".."] {
                let bin = target.root().join(root).join("bin/hostile");
                fs::copy(program("hostile"), bin).expect("a copy");
            }
            let words = ["/bin/hostile", "read", "/above"];
            lied(tool, &target, &[libc::SYS_chroot], &["-a"], &words)
        },
    ),
    success(
        "success-of-close-range",
        "keep the caller's descriptors: close_range(2) answers 0",
        &[DEFAULT, ADMIN],
        |tool| {
            let host = Host::new();
            let path = format!("/proc/self/fd/9{}", host.path("secret"));
            let words = ["/bin/hostile", "read", &path];
            lied(
                tool,
                &Target::new(),
                &[libc::SYS_close_range],
                &["-a"],
                &words,
            )
        },
    ),
];

/// A row whose caller installs a filter that returns success for calls without executing
/// them.
const fn success(
    name: &'static str,
    tries: &'static str,
    ways: &'static [Tool],
    run: fn(Tool) -> Arm,
) -> Attack {
    Attack {
        name,
        tries,
        control: Tool::Nsenter,
        ways,
        run,
        quick: true,
    }
}

/// Enters under a filter that returns success for `calls`. The caller is in group 4, has an
/// inheritable capability, and has the host's root open as descriptor 9.
fn lie(
    tool: Tool,
    target: &Target,
    calls: &[i64],
    options: &[&str],
    words: &[&str],
) -> Result<Output, Fault> {
    let mut numbers: Vec<String> = calls.iter().map(i64::to_string).collect();
    numbers.push("--".to_owned());
    let filter = program("errno0").display().to_string();
    let caller = ["setpriv", "--groups=4,20", "--inh-caps=+net_raw", &filter];
    let prefix: Vec<&str> = caller
        .into_iter()
        .chain(numbers.iter().map(String::as_str))
        .collect();
    let command = tool.enter_by(&prefix, target.pid(), options, words);
    bounded(&mut with_open(9, "/", command))
}

/// The actions of `hostile.c` under such a filter. Without the filter, nsexec has to run
/// the program, so that a refusal is due to the filter.
fn lied(tool: Tool, target: &Target, calls: &[i64], options: &[&str], words: &[&str]) -> Arm {
    let hostile = target.root().join("bin/hostile");
    if !hostile.exists() {
        install(target, "hostile");
    }
    if tool.is_nsexec() {
        let seen = answer(&lie(tool, target, &[], options, words)?)?;
        if matches!(seen, Outcome::Harm(_)) {
            return Ok(seen);
        }
    }
    let output = lie(tool, target, calls, options, words)?;
    answer(&output).or_else(|_| by_the_lie(tool, &output))
}

/// Checks that nsexec refuses, and that it does not refuse without the filter.
fn by_the_lie(tool: Tool, output: &Output) -> Arm {
    if !tool.is_nsexec() {
        return broken(format!("{output:?}"));
    }
    refused(output, &[""])
}

/// A watcher in a target, on a device or a FIFO.
pub(crate) fn watch(pid: i32, kind: &str, file: &str) -> Result<Running, Fault> {
    let words = ["/bin/watch", kind, file];
    let mut watcher = Running::start(&mut Tool::BusyboxNsenter.enter(pid, &["-m"], &words));
    watcher.expect_line("watching")?;
    Ok(watcher)
}

/// A node in the place of a file that the helper reads, and the process that opens it.
fn node_is_opened(tool: Tool, kind: &str, name: &str) -> Arm {
    let file = format!("/etc/{name}");
    let make = |pid: i32, root: &Path| {
        let node = root.join("etc").join(name);
        if kind == "procfs" {
            let words = ["/bin/busybox", "mount", "--bind", "/proc/version", &file];
            bounded(&mut Tool::BusyboxNsenter.enter(pid, &["-m"], &words))?;
            return Ok(());
        }
        let _ = fs::remove_file(&node);
        let mut mknod = Command::new(if kind == "fifo" { "mkfifo" } else { "mknod" });
        mknod.arg(&node);
        if kind == "node" {
            mknod.args(["c", "1", "3"]);
        }
        support::succeed(mknod);
        Ok(())
    };
    if tool == Tool::Runc {
        let container = Container::start(|_| ())?;
        make(container.pid(), &container.root())?;
        let watcher = watch(container.pid(), kind, &file)?;
        bounded(&mut container.exec(&["--user", "1000"], &["/bin/true"]))?;
        fs::write(container.root().join("tmp/done"), "").expect("a file");
        return answer(&watcher.output()?);
    }
    let target = Target::new();
    install(&target, "watch");
    make(target.pid(), &target.root())?;
    let watcher = watch(target.pid(), kind, &file)?;
    if tool == Tool::ProtocolA {
        let mut exec = protocol_a::Exec::into(target.pid());
        exec.program = nsexec();
        exec.run_config(&protocol_a::config(&["true"]));
    } else {
        bounded(&mut tool.enter(target.pid(), &["-a"], &["/bin/true"]))?;
    }
    fs::write(target.root().join("tmp/done"), "").expect("a file");
    answer(&watcher.output()?)
}

/// Whether a message contains control characters that another process wrote.
fn control_characters(message: &str, word: &str) -> Arm {
    if message
        .trim_end()
        .chars()
        .any(|c| c.is_control() && c != '\n')
    {
        return Ok(Outcome::Harm("they are on standard error".to_owned()));
    }
    match message.contains(word) {
        true => Ok(Outcome::Blocked("they are escaped".to_owned())),
        false => broken(message),
    }
}

fn escape_from_config(tool: Tool) -> Arm {
    let target = Target::new();
    if tool == Tool::Nsenter {
        let words = ["/bin/\u{1b}]0;owned\u{7}"];
        let output = bounded(&mut tool.enter(target.pid(), &["-a"], &words))?;
        return control_characters(&text(&output.stderr), "owned");
    }
    let mut config = protocol_a::config(&["true"]);
    config["config"]["seccomp"] = json!({
        "default_action": -1,
        "architectures": null,
        "syscalls": [{ "name": "no\u{1b}]0;owned\u{7}", "action": -3, "args": null }],
    });
    let mut exec = protocol_a::Exec::into(target.pid());
    exec.program = nsexec();
    let outcome = exec.run_config(&config);
    control_characters(&[outcome.stderr, outcome.answer].concat(), "owned")
}

/// A policy file that another user has put in the place of `strict`; it allows as much as
/// `admin`.
fn policy_file(tool: Tool, mode: u32, owner: u32) -> Arm {
    let directory = temporary_directory("policy");
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for (from, to) in [
        ("admin.toml", "strict.toml"),
        ("seccomp/ceiling-host.json", "seccomp/ceiling-host.json"),
    ] {
        let to = directory.join(to);
        fs::create_dir_all(to.parent().expect("a directory")).expect("a directory");
        fs::copy(policies.join(from), to).expect("a copy");
    }
    let target = Target::new();
    install(&target, "hostile");
    if tool.is_nsexec() {
        fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).expect("a mode");
        std::os::unix::fs::chown(&directory, Some(owner), Some(owner)).expect("an owner");
    }
    let mut command = Command::new(nsexec());
    command.arg("--policy").arg(directory.join("strict.toml"));
    command.args(["-t", &target.pid().to_string(), "-a", "--"]);
    command.args(["/bin/hostile", "unshare", "0x10000000", "user"]);
    let output = bounded(command.stdin(Stdio::null()))?;
    fs::remove_dir_all(&directory).expect("the directory");
    answer(&output).or_else(|_| refused(&output, &["can write it", "belongs to user"]))
}

/// In a new mount namespace, `make` creates /etc/nsexec.toml. Without that file the default
/// policy applies.
fn configuration(tool: Tool, make: impl FnOnce(&Path)) -> Arm {
    let etc = temporary_directory("etc");
    if tool.is_nsexec() {
        make(&etc.join("nsexec.toml"));
    }
    let target = Target::new();
    install(&target, "hostile");
    let script = "mount --bind $0 /etc && exec \"$@\"";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script])
        .arg(&etc)
        .arg(nsexec());
    command.args([
        "-t",
        &target.pid().to_string(),
        "-a",
        "--",
        "/bin/hostile",
        "executed",
    ]);
    let output = bounded(command.stdin(Stdio::null()))?;
    fs::remove_dir_all(&etc).expect("the directory");
    answer(&output).or_else(|_| refused(&output, &["/etc/nsexec.toml", "/nowhere"]))
}
