//! Descriptors and other handles that lead from the target to the host.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::Attack;
use crate::arm::{
    ADMIN, Arm, DEFAULT, Fault, Host, STRICT, Seen, Way, answer, bounded, broken, install, nsexec,
    program, refused, with_open,
};
use crate::running::Running;
use crate::support::{Build, Target, protocol_a, temporary_directory, text};

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "descriptor-of-proc",
        tries: "read the host's files through a descriptor that the child has open",
        control: Way::Other("nsenter, whose caller has /proc open"),
        ways: &[DEFAULT, STRICT, ADMIN],
        run: |way| {
            reach_child(
                way,
                if way.is_nsexec() {
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
        control: Way::Other("nsenter, whose caller has /proc open"),
        ways: &[Way::ProtocolA],
        run: |way| match way {
            Way::ProtocolA => reach_protocol_a(),
            _ => reach_child(way, "/proc"),
        },
        quick: true,
    },
    Attack {
        name: "descriptor-of-caller",
        tries: "the same, through a descriptor of the caller's before the exec",
        control: Way::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: |way| reach_child(way, "/"),
        quick: true,
    },
    Attack {
        name: "descriptor-in-program",
        tries: "the same, through a descriptor of the caller's in the program",
        control: Way::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: descriptor_in_program,
        quick: true,
    },
    Attack {
        name: "directory-on-stdin",
        tries: "leave through a directory of the host's on standard input",
        control: Way::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: directory_on_stdin,
        quick: true,
    },
    Attack {
        name: "namespace-on-stdin",
        tries: "leave through a mount namespace of the host's on standard input",
        control: Way::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: namespace_on_stdin,
        quick: true,
    },
    Attack {
        name: "memory-of-child",
        tries: "write the memory of the child before it becomes the program",
        control: Way::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: memory_of_child,
        quick: false,
    },
    Attack {
        name: "dumpable-once",
        tries: "the same, in a user namespace, while oom_score_adj is written",
        control: Way::Other("a joiner that is dumpable once"),
        ways: &[Way::ProtocolA],
        run: dumpable_once,
        quick: true,
    },
    Attack {
        name: "own-file",
        tries: "overwrite the host's helper through /proc/PID/exe",
        control: Way::Nsenter,
        ways: &[DEFAULT, ADMIN],
        run: own_file,
        quick: false,
    },
    Attack {
        name: "own-file-executed",
        tries: "have the helper executed again, by #!/proc/self/exe",
        control: Way::BusyboxNsenter,
        ways: &[DEFAULT, STRICT],
        run: |way| own_file_executed(way, "/bin/evil"),
        quick: true,
    },
    Attack {
        name: "own-file-by-link",
        tries: "the same, by a link to /proc/self/exe",
        control: Way::BusyboxNsenter,
        ways: &[DEFAULT, STRICT],
        run: |way| own_file_executed(way, "/bin/itself"),
        quick: true,
    },
    Attack {
        name: "program-by-descriptor",
        tries: "execute a program of the host's through a declared descriptor",
        control: Way::Nsenter,
        ways: &[DEFAULT],
        run: |way| by_descriptor(way, &["-a"], "/proc/self/fd/3/hostile"),
        quick: true,
    },
    Attack {
        name: "directory-by-descriptor",
        tries: "start in a directory of the host's: -W /proc/self/fd/3",
        control: CD,
        ways: &[DEFAULT, ADMIN],
        run: |way| by_descriptor(way, &["-a", "-W", "/proc/self/fd/3"], "/bin/hostile"),
        quick: true,
    },
    Attack {
        name: "session-keyring",
        tries: "read a key of the caller's session keyring",
        control: Way::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: session_keyring,
        quick: true,
    },
];

/// A hostile program that waits inside, with every capability or without that
/// for tracing.
fn wait_inside(target: &Target, prefix: &[&str], words: &[&str]) -> Running {
    install(target, "reach");
    let words = [&["/bin/reach"], words].concat();
    let mut command = Way::Nsenter.enter_by(prefix, target.pid(), &["-a"], &words);
    let running = Running::start(&mut command);
    // It looks around from its first moment on; it has to be there before.
    std::thread::sleep(Duration::from_millis(50));
    running
}

/// What the child says, once it has ended.
fn said(attacker: Running) -> Arm {
    answer(&attacker.output()?)
}

/// strace(1) that holds each process up: for a third of a second before execve, for a
/// moment at each step before.
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

/// A tracer in the target, with CAP_SYS_PTRACE, against the child of a join whose
/// caller has `open` open.
fn reach_child(way: Way, open: &str) -> Arm {
    let host = Host::new();
    let target = Target::new();
    let (enter, name) = if way.is_nsexec() {
        (way, "nsexec")
    } else {
        (Way::Nsenter, "nsenter")
    };
    let attacker = wait_inside(&target, &[], &["paths", name, &host.path("secret")]);
    let slow = enter.enter_by(&SLOW, target.pid(), &["-a"], &["/bin/true"]);
    let output = bounded(&mut with_open(9, open, slow))?;
    if !output.status.success() {
        return broken(format!("{output:?}"));
    }
    said(attacker)
}

/// The child of protocol A waits for as long as the runtime likes.
fn reach_protocol_a() -> Arm {
    let host = Host::new();
    let target = Target::new();
    let attacker = wait_inside(&target, &[], &["paths", "nsexec", &host.path("secret")]);
    let mut exec = protocol_a::Exec::into(target.pid());
    exec.program = nsexec();
    let message = format!("{}\n", protocol_a::config(&["true"]));
    let pause = |_| std::thread::sleep(Duration::from_millis(500));
    protocol_a::assert_success(&exec.run_meanwhile(message.as_bytes(), pause));
    said(attacker)
}

fn descriptor_in_program(way: Way) -> Arm {
    let host = Host::new();
    let target = Target::new();
    install(&target, "hostile");
    let path = format!("/proc/self/fd/9{}", host.path("secret"));
    let command = way.enter(target.pid(), &["-a"], &["/bin/hostile", "read", &path]);
    answer(&bounded(&mut with_open(9, "/", command))?)
}

fn directory_on_stdin(way: Way) -> Arm {
    let host = Host::new();
    let target = Target::new();
    install(&target, "hostile");
    let path = format!("/proc/self/fd/0{}", host.path("secret"));
    let mut command = way.enter(target.pid(), &["-a"], &["/bin/hostile", "read", &path]);
    let root = fs::File::open("/").expect("the host's root");
    let output = bounded(command.stdin(root))?;
    answer(&output).or_else(|fault| match way.is_nsexec() {
        true => refused(&output, &["directory"]),
        false => Err(fault),
    })
}

fn namespace_on_stdin(way: Way) -> Arm {
    let host = Host::new();
    let target = Target::new();
    install(&target, "hostile");
    let secret = host.path("secret");
    let words = ["/bin/hostile", "read-joined", "0", &secret];
    let mut command = way.enter(target.pid(), &["-a"], &words);
    let namespace = fs::File::open("/proc/self/ns/mnt").expect("the host's mount namespace");
    let output = bounded(command.stdin(namespace))?;
    answer(&output).or_else(|fault| match way.is_nsexec() {
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

/// CVE-2016-9962: root in the target that is no tracer.
fn memory_of_child(way: Way) -> Arm {
    let target = Target::build(&Build {
        prefix: WITHOUT_PTRACE.to_vec(),
        ..Build::default()
    });
    let name = if way.is_nsexec() { "nsexec" } else { "nsenter" };
    let attacker = wait_inside(&target, &WITHOUT_PTRACE, &["memory", name, "-"]);
    // Who has what the attacker lacks is out of reach anyway.
    let prefix = [&WITHOUT_PTRACE[..], &SLOW].concat();
    let output = bounded(&mut way.enter_by(&prefix, target.pid(), &["-a"], &["/bin/true"]))?;
    if !output.status.success() {
        return broken(format!("{output:?}"));
    }
    said(attacker)
}

/// Root of the target's user namespace; a child whose prctl(2) takes long.
fn dumpable_once(way: Way) -> Arm {
    let target = Target::with_user_namespace();
    if way != Way::ProtocolA {
        let attacker = wait_inside(&target, &[], &["memory", "dumpable", "-"]);
        let mut joiner = Command::new(program("dumpable"));
        let output = bounded(joiner.arg(target.pid().to_string()))?;
        if !output.status.success() {
            return broken(format!("{output:?}"));
        }
        return said(attacker);
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
    said(attacker)
}

/// Holds /proc/CHILD/exe of whoever comes in open, and writes through that once
/// the process has gone.
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

/// A copy of a program at a path of its own, called helper.
fn copy(program: &Path, directory: &Path) -> String {
    let path = directory.join("helper");
    fs::copy(program, &path).expect("a copy");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    path.display().to_string()
}

fn own_file(way: Way) -> Arm {
    let directory = temporary_directory("own-file");
    let original = match way {
        Way::Nsenter => "/usr/bin/nsenter".into(),
        _ => nsexec(),
    };
    let helper = copy(&original, &directory);
    let target = Target::new();
    let words = ["sh", "-c", OVERWRITE];
    let mut inside = Way::Nsenter.enter(target.pid(), &["-a"], &words);
    let attacker = Running::start(&mut inside);
    let mut slow = Command::new("strace");
    slow.args(&SLOW[1..]).arg(&helper);
    if let Way::Nsexec(policy) = way {
        slow.args(["--policy", policy]);
    }
    slow.args(["-t", &target.pid().to_string(), "-a", "--", "/bin/true"]);
    let output = bounded(slow.stdin(Stdio::null()))?;
    let attacker = attacker.output()?;
    let overwritten = fs::read(&helper).expect("the helper") != fs::read(&original).expect("it");
    fs::remove_dir_all(directory).expect("the directory");
    if overwritten {
        return Ok(Seen::Harm("the file was overwritten".to_owned()));
    }
    if !output.status.success() {
        return broken(format!("{output:?}"));
    }
    answer(&attacker)
}

/// A program of the target's that is the helper.
fn own_file_executed(way: Way, program: &str) -> Arm {
    let target = Target::with_script(
        "printf '#!/proc/self/exe\\n' > /bin/evil; chmod +x /bin/evil; ln -s /proc/self/exe /bin/itself",
    );
    let output = bounded(&mut way.enter(target.pid(), &["-a"], &[program]))?;
    let said = text(&[output.stdout.as_slice(), &output.stderr].concat());
    if said.contains("BusyBox") || said.contains("applet not found") {
        return Ok(Seen::Harm("the host's helper ran in the target".to_owned()));
    }
    let reasons = ["Permission denied", "permission denied"];
    refused(&output, &reasons)
}

/// As a helper starts in a directory that it knows the path of.
const CD: Way = Way::Other("nsenter, and cd in the target");

/// The caller has a directory of the host's at descriptor 3, and declares it.
fn by_descriptor(way: Way, options: &[&str], path: &str) -> Arm {
    let host = Host::new();
    fs::copy(program("hostile"), host.path("hostile")).expect("a copy");
    let target = Target::new();
    install(&target, "hostile");
    let declared: &[&str] = if way.is_nsexec() {
        &["--preserve-fds", "1"]
    } else {
        &[]
    };
    let options = [options, declared].concat();
    // Once as the program that runs, once as the directory that it runs in.
    let words: &[&str] = match path {
        "/bin/hostile" => &[path, "read", "secret"],
        _ => &[path, "executed"],
    };
    let command = if way == CD {
        let script = "cd /proc/self/fd/3 && exec /bin/hostile read secret";
        Way::Nsenter.enter(target.pid(), &["-a"], &["sh", "-c", script])
    } else {
        way.enter(target.pid(), &options, words)
    };
    let directory = host.directory().display().to_string();
    let output: Output = bounded(&mut with_open(3, &directory, command))?;
    match answer(&output) {
        Err(Fault::Broken(_)) if way.is_nsexec() => refused(
            &output,
            &["EACCES", "Permission denied", "/proc/self/fd/3", "ELOOP"],
        ),
        other => other,
    }
}

fn session_keyring(way: Way) -> Arm {
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
    let mut command = way.enter_by(&prefix, target.pid(), &["-a"], &words);
    answer(&bounded(&mut command)?)
}
