//! Attacks that make the program run in the wrong place: on the host, or outside the
//! target.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Attack;
use crate::arm::{
    ADMIN, Arm, DEFAULT, Fault, Host, Outcome, STRICT, Tool, answer, bounded, broken, install,
    program, refused,
};
use crate::running::{Running, wait};
use crate::support::{Build, Target, protocol_a, text};

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "leader-gone",
        tries: "have the program run on the host: the target's first thread has ended",
        control: PRESENT,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: |tool| leader_gone(tool, &["-a"]),
        quick: true,
    },
    Attack {
        name: "leader-gone-some",
        tries: "the same, where two namespaces are named",
        control: PRESENT,
        ways: &[DEFAULT, ADMIN],
        run: |tool| leader_gone(tool, &["-m", "-u"]),
        quick: true,
    },
    Attack {
        name: "leader-gone-runtime",
        tries: "the same, as a runtime starts it",
        control: PRESENT,
        ways: &[Tool::ProtocolA],
        run: |tool| leader_gone(tool, &["-a"]),
        quick: true,
    },
    Attack {
        name: "no-letter-wd",
        tries: "have -t PID -w=/ join nothing",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: |tool| no_letter(tool, &["-w/"]),
        quick: true,
    },
    Attack {
        name: "no-letter-root",
        tries: "have -t PID -r=/ join nothing",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: |tool| no_letter(tool, &["-r/"]),
        quick: true,
    },
    Attack {
        name: "no-letter-inside",
        tries: "have -t PID -W / join nothing",
        control: Tool::Nsenter,
        ways: &[DEFAULT],
        run: |tool| match tool {
            Tool::Nsenter => no_letter(tool, &["-w/"]),
            _ => no_letter(tool, &["-W", "/"]),
        },
        quick: true,
    },
    Attack {
        name: "no-letter-env",
        tries: "have -t PID -e, or --env=K=V, join nothing",
        control: Tool::Nsenter,
        ways: &[DEFAULT, ADMIN],
        run: |tool| match tool {
            Tool::Nsenter => no_letter(tool, &["-w/"]),
            _ => match no_letter(tool, &["-e"]) {
                Ok(Outcome::Blocked(_)) => no_letter(tool, &["--env=K=V"]),
                other => other,
            },
        },
        quick: true,
    },
    Attack {
        name: "no-letter-user",
        tries: "have -t PID -S 0 -G 0 -w/ join nothing",
        control: Tool::Nsenter,
        ways: &[DEFAULT, ADMIN],
        run: |tool| no_letter(tool, &["-S", "0", "-G", "0", "-w/"]),
        quick: true,
    },
    Attack {
        name: "no-letter-cgroup",
        tries: "have -t PID -c join nothing",
        control: Tool::Nsenter,
        ways: &[DEFAULT, ADMIN],
        run: |tool| match tool {
            Tool::Nsenter => no_letter(tool, &["-w/"]),
            _ => no_letter(tool, &["-c"]),
        },
        quick: true,
    },
    Attack {
        name: "chroot-on-host",
        tries: "leave the root of a target that is chroot'ed in the caller's mounts",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: chroot_on_host,
        quick: true,
    },
    Attack {
        name: "chroot-in-target",
        tries: "leave the root that the target has chroot'ed itself to",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: chroot_in_target,
        quick: true,
    },
    Attack {
        name: "root-by-link",
        tries: "lead -r=DIR to the host's root by a link",
        control: Tool::Nsenter,
        ways: &[DEFAULT, ADMIN],
        run: |tool| directory_by_link(tool, "-r"),
        quick: true,
    },
    Attack {
        name: "directory-by-link",
        tries: "lead -w=DIR to a directory of the host by a link",
        control: Tool::Nsenter,
        ways: &[DEFAULT, ADMIN],
        run: |tool| directory_by_link(tool, "-w"),
        quick: true,
    },
    Attack {
        name: "pid-given-again",
        tries: "be entered in the place of a process whose pid it got",
        control: Tool::Nsenter,
        ways: &[DEFAULT, ADMIN],
        run: pid_given_again,
        quick: false,
    },
];

/// Joins the available namespaces, and accepts that there are none.
const PRESENT: Tool = Tool::Other("nsenter, with what /proc/PID/ns has");

/// The program must not run on the host if the first thread of the target has ended.
fn leader_gone(tool: Tool, options: &[&str]) -> Arm {
    let host = Host::new();
    let target = Target::build(&Build {
        program: Some(
            "sh -c 'while ! [ -x /bin/leader ]; do usleep 1000; done; exec /bin/leader'".to_owned(),
        ),
        ..Build::default()
    });
    install(&target, "leader");
    let stat = format!("/proc/{}/stat", target.pid());
    let gone = || {
        fs::read_to_string(&stat)
            .ok()?
            .contains(") Z ")
            .then_some(())
    };
    if wait(Duration::from_secs(5), gone).is_none() {
        return broken("the first thread did not end");
    }
    let reasons = ["has ended", "thread"];
    if tool == Tool::ProtocolA {
        let mut exec = protocol_a::Exec::into(target.pid());
        exec.program = crate::arm::nsexec();
        let outcome = exec.run_config(&protocol_a::shell(&host.script()));
        let output = std::process::Output {
            status: outcome.helper,
            stdout: outcome.stdout.into_bytes(),
            stderr: [outcome.stderr, outcome.answer].concat().into_bytes(),
        };
        return match host.evaluate(&output, &[]) {
            // The runtime is answered with status 1.
            Err(_) if output.status.code() == Some(1) => {
                let printed = text(&output.stderr);
                match reasons.iter().any(|reason| printed.contains(reason)) {
                    true => Ok(Outcome::Blocked("refused: the target has ended".to_owned())),
                    false => broken(printed),
                }
            }
            other => other,
        };
    }
    let script = host.script();
    let words = ["sh", "-c", &script];
    if tool == PRESENT {
        let present = format!(
            "for n in mount:mnt uts:uts ipc:ipc net:net pid:pid cgroup:cgroup; do \
             f=/proc/{}/ns/${{n#*:}}; \
             [ -e $f ] && o=\"$o --${{n%:*}}=$f\"; done; exec nsenter $o -- \"$@\"",
            target.pid()
        );
        let mut shell = Command::new("sh");
        shell.args(["-c", &present, "sh"]).args(words);
        return host.evaluate(&bounded(shell.stdin(Stdio::null()))?, &reasons);
    }
    host.evaluate(
        &bounded(&mut tool.enter(target.pid(), options, &words))?,
        &reasons,
    )
}

/// No namespace option is given, only another option.
fn no_letter(tool: Tool, options: &[&str]) -> Arm {
    let host = Host::new();
    let target = Target::new();
    let words = ["sh", "-c", &host.script()];
    host.evaluate(
        &bounded(&mut tool.enter(target.pid(), options, &words))?,
        &[],
    )
}

/// chroot(2) to a directory from which only the root itself leads out.
fn chroot_on_host(tool: Tool) -> Arm {
    let host = Host::new();
    let root = host.directory().join("root");
    let bin = root.join("bin");
    for directory in ["bin", "proc", "etc"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    for name in ["busybox", "sh", "cat"] {
        fs::copy("/bin/busybox", bin.join(name)).unwrap();
    }
    fs::copy(program("hostile"), bin.join("hostile")).unwrap();
    let sleep = [
        "chroot",
        &root.display().to_string(),
        "/bin/busybox",
        "sleep",
        "1000",
    ]
    .map(str::to_owned);
    let mut chroot = Command::new("chroot");
    chroot.args(&sleep[1..]).stdin(Stdio::null());
    let process = Running::start(&mut chroot);
    let own = format!("/proc/{}/root", process.pid());
    let moved = || (fs::read_link(&own).ok()? == root).then_some(());
    if wait(Duration::from_secs(5), moved).is_none() {
        return broken("the target did not chroot");
    }
    // From the correct root, hostile is in /bin and the secret does not exist.
    let script = format!(
        "if [ -r {0} ]; then read line < {0}; echo harm read $line; else echo denied the root is the target\\'s; fi",
        host.path("secret")
    );
    let output =
        bounded(&mut tool.enter(process.pid().as_raw(), &["-a"], &["/bin/sh", "-c", &script]))?;
    answer(&output)
}

/// A target that called chroot: the program must not reach directories above its root.
pub(crate) fn jailed() -> Target {
    let target = Target::build(&Build {
        script: "mkdir -p /jail/bin /jail/proc; cp /bin/busybox /jail/bin/busybox; \
                 for a in sh cat sleep; do ln -s busybox /jail/bin/$a; done; echo above > /above"
            .to_owned(),
        program: Some("chroot /jail /bin/sleep 1000".to_owned()),
        ..Build::default()
    });
    let above = target.root().join("above");
    let moved = wait(Duration::from_secs(5), || (!above.exists()).then_some(()));
    assert!(moved.is_some(), "the target did not chroot");
    target
}

fn chroot_in_target(tool: Tool) -> Arm {
    let target = jailed();
    let script =
        "if read line < /above; then echo harm read $line; else echo denied no such file; fi";
    answer(&bounded(&mut tool.enter(
        target.pid(),
        &["-a"],
        &["/bin/sh", "-c", script],
    ))?)
}

/// The target's /srv is a symbolic link to a directory of the host.
fn directory_by_link(tool: Tool, option: &str) -> Arm {
    let host = Host::new();
    let target = Target::with_script(&match option {
        "-r" => "ln -s / /srv".to_owned(),
        _ => format!("ln -s {} /srv", host.directory().display()),
    });
    let place = if tool.is_nsexec() {
        format!("{option}/srv")
    } else {
        // nsenter(1) looks the path up before the join.
        format!("{option}{}/srv", target.root().display())
    };
    let file = match option {
        "-r" => host.path("secret"),
        _ => "secret".to_owned(),
    };
    let script = format!(
        "if read line < {file}; then echo harm read $line; else echo denied no such file; fi"
    );
    let words = ["/bin/sh", "-c", &script];
    let output = bounded(&mut tool.enter(target.pid(), &["-a", &place], &words))?;
    match answer(&output) {
        Err(Fault::Broken(_)) if tool.is_nsexec() => refused(&output, &["directory /srv: ENOENT"]),
        other => other,
    }
}

/// In a pid namespace with at most 400 pids, the kernel soon reuses a pid.
fn pid_given_again(tool: Tool) -> Arm {
    let nsexec = crate::arm::nsexec();
    let nsexec = nsexec.display();
    let enter = match tool {
        Tool::Nsexec(policy) => format!("{nsexec} --policy {policy} -t $first:$inode"),
        _ => "nsenter -t $first".to_owned(),
    };
    let script = format!(
        r#"mount -t proc proc /proc && echo 400 > /proc/sys/kernel/pid_max || exit 9
        n=0; while [ $n -lt 310 ]; do /bin/true; n=$((n+1)); done
        unshare -u sh -c 'hostname meant; exec sleep 1000' & first=$!
        sleep 0.1
        inode=$({nsexec} -t $first -u --dry-run -- true | sed 's/.*"target":{{"inode":\([0-9]*\).*/\1/')
        kill -9 $first; wait $first 2>/dev/null
        n=0
        while :; do
            unshare -u sh -c 'hostname other; exec sleep 1000' & now=$!
            [ $now = $first ] && break
            kill -9 $now; wait $now 2>/dev/null
            n=$((n+1)); [ $n -gt 2000 ] && exit 7
        done
        while [ "$(nsenter -t $first -u hostname)" != other ]; do :; done
        {enter} -u -- hostname
        status=$?
        kill -9 $now
        exit $status"#
    );
    let mut unshare = Command::new("unshare");
    unshare.args([
        "--pid",
        "--fork",
        "--mount",
        "--kill-child",
        "--",
        "sh",
        "-c",
        &script,
    ]);
    let output = bounded(unshare.stdin(Stdio::null()))?;
    match text(&output.stdout).trim() {
        "other" => Ok(Outcome::Harm(
            "the program is in the other process's namespace".to_owned(),
        )),
        _ => refused(&output, &["not the one that was meant"]),
    }
}
