//! Operations that a policy must refuse to the program.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;
use std::time::Duration;

use crate::Attack;
use crate::arm::{
    ADMIN, Arm, DEFAULT, Fault, Host, STRICT, Tool, answer, bounded, broken, hostile, install,
    program,
};
use crate::running::{Running, wait};
use crate::support::{Target, text};

/// A row whose attack is one call of `hostile.c`, given by its arguments.
macro_rules! call {
    ($name:literal, $tries:literal, [$($tool:expr),*], $($word:literal),+) => {
        Attack {
            name: $name,
            tries: $tries,
            control: Tool::Nsenter,
            ways: &[$($tool),*],
            run: |tool| hostile(tool, &Target::new(), &["-a"], &[$($word),+]),
            quick: true,
        }
    };
}

/// The same on the target's file `/tmp/file`.
macro_rules! change {
    ($name:literal, $tries:literal, $word:literal) => {
        Attack {
            name: $name,
            tries: $tries,
            control: Tool::Nsenter,
            ways: &[STRICT],
            run: |tool| {
                let target = Target::with_script("echo x > /tmp/file; chmod 666 /tmp/file");
                hostile(tool, &target, &["-a"], &[$word, "/tmp/file"])
            },
            quick: true,
        }
    };
}

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "block-device",
        tries: "make a node of the host's disk, and read it",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT],
        run: block_device,
        quick: true,
    },
    Attack {
        name: "link-for-writing",
        tries: "write everywhere: /dev/pts of the target is a link to /",
        control: Tool::Nsenter,
        ways: &[STRICT],
        run: |tool| {
            let target = Target::with_script(
                "umount -l /dev/pts; rmdir /dev/pts; ln -s / /dev/pts; echo x > /tmp/file",
            );
            hostile(tool, &target, &["-a"], &["write", "/tmp/file"])
        },
        quick: true,
    },
    Attack {
        name: "link-for-device",
        tries: "control a block device: /dev/pts of the target is a link to its directory",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT],
        run: |tool| {
            let target = Target::with_script(
                "mkdir /dev/d; mknod /dev/d/loop b 7 0; umount -l /dev/pts; rmdir /dev/pts; \
                 ln -s d /dev/pts",
            );
            hostile(tool, &target, &["-a"], &["device-control", "/dev/d/loop"])
        },
        quick: true,
    },
    Attack {
        name: "device-as-null",
        tries: "control a block device: it is /dev/tty of the target",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT],
        run: |tool| {
            let target = Target::with_script("umount /dev/tty; rm /dev/tty; mknod /dev/tty b 7 0");
            hostile(tool, &target, &["-a"], &["device-control", "/dev/tty"])
        },
        quick: true,
    },
    Attack {
        name: "directory-as-terminals",
        tries: "write everywhere: /dev/pts of the target is a directory of its files",
        control: Tool::Nsenter,
        ways: &[STRICT],
        run: |tool| {
            let target = Target::with_script("umount -l /dev/pts; echo x > /dev/pts/file");
            hostile(tool, &target, &["-a"], &["write", "/dev/pts/file"])
        },
        quick: true,
    },
    change!("strict-mode", "make a file set-user-ID", "mode"),
    change!(
        "strict-owner",
        "change a file's owner, and so its ctime",
        "owner"
    ),
    change!("strict-times", "change a file's times", "times"),
    change!(
        "strict-attribute",
        "give a file an extended attribute",
        "attribute"
    ),
    change!("strict-flags", "change a file's flags", "flags"),
    change!("strict-write", "write a file", "write"),
    Attack {
        name: "strict-memory-segment",
        tries: "write to another process's System V segment",
        control: Tool::Nsenter,
        ways: &[STRICT],
        run: |tool| beside(tool, &["shm-own"], "shm-own", &["shm"]),
        quick: true,
    },
    Attack {
        name: "strict-unix-service",
        tries: "talk to a service of the target's by a path",
        control: Tool::Nsenter,
        ways: &[STRICT],
        run: |tool| {
            beside(
                tool,
                &["unix-own", "/tmp/service"],
                "/tmp/service",
                &["unix", "/tmp/service"],
            )
        },
        quick: true,
    },
    Attack {
        name: "strict-limits",
        tries: "limit another process with prlimit(2)",
        control: Tool::Nsenter,
        ways: &[STRICT],
        run: |tool| on_bystander(tool, "prlimit"),
        quick: true,
    },
    Attack {
        name: "strict-signal",
        tries: "kill another process",
        control: Tool::Nsenter,
        ways: &[STRICT],
        run: |tool| on_bystander(tool, "signal"),
        quick: true,
    },
    call!(
        "memory-executed",
        "execute a program that is in no directory",
        [STRICT],
        "memfd"
    ),
    call!("mount", "mount in the target", [DEFAULT, STRICT], "mount"),
    call!(
        "unshare",
        "make a namespace of its own",
        [DEFAULT, STRICT],
        "unshare",
        "0x04000000",
        "uts"
    ),
    call!(
        "unshare-user",
        "become root of a user namespace",
        [DEFAULT, STRICT],
        "unshare",
        "0x10000000",
        "user"
    ),
    call!(
        "clone3",
        "make a namespace by a call whose flags no filter sees",
        [DEFAULT, STRICT],
        "clone3",
        "0x10000000",
        "user"
    ),
    call!(
        "clone-upper-half",
        "make a namespace by clone(2), with a bit above the 32 that count",
        [DEFAULT, STRICT],
        "clone",
        "0x110000000",
        "user"
    ),
    call!(
        "io-uring",
        "make a refused call through io_uring",
        [DEFAULT, STRICT],
        "uring"
    ),
    call!(
        "bpf",
        "load a map into the kernel",
        [DEFAULT, STRICT],
        "bpf"
    ),
    call!(
        "userfaultfd",
        "block the kernel at a page fault (userfaultfd)",
        [DEFAULT, STRICT],
        "userfaultfd"
    ),
    call!(
        "vsock",
        "open a socket to the hypervisor",
        [DEFAULT, STRICT],
        "socket",
        "40",
        "1",
        "0"
    ),
    call!(
        "vsock-upper-half",
        "the same, with a bit above the 32 that count",
        [DEFAULT, STRICT],
        "socket",
        "0x100000028",
        "1",
        "0"
    ),
    call!(
        "packet-upper-half",
        "a raw packet socket, with a bit above the 32",
        [STRICT],
        "socket",
        "0x100000011",
        "3",
        "0"
    ),
    call!(
        "trace",
        "trace a process of the target",
        [DEFAULT, STRICT],
        "ptrace",
        "1"
    ),
    call!(
        "memory-of-other",
        "read another process's memory",
        [DEFAULT, STRICT],
        "vm",
        "1"
    ),
    Attack {
        name: "int-0x80",
        tries: "unshare by the 32-bit gate, with its number there",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: |tool| match cfg!(target_arch = "x86_64") {
            true => hostile(tool, &Target::new(), &["-a"], &["int80"]),
            false => Err(Fault::LeftOut("int 0x80 is x86_64's".to_owned())),
        },
        quick: true,
    },
    Attack {
        name: "file-handle",
        tries: "open a file of the host's by its handle (Shocker)",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: file_handle,
        quick: true,
    },
    Attack {
        name: "setns-by-pidfd",
        tries: "enter the host's mounts by a process that is visible",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT],
        run: setns_by_pidfd,
        quick: true,
    },
    Attack {
        name: "set-user-id",
        tries: "gain root by a set-user-ID program",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT],
        run: |tool| {
            let target = Target::new();
            install(&target, "hostile");
            let file = target.root().join("bin/hostile");
            fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o4755))
                .unwrap();
            let words = ["/bin/hostile", "set-user-id"];
            answer(&bounded(&mut tool.enter(
                target.pid(),
                &["-a", "-S", "1000", "-G", "1000"],
                &words,
            ))?)
        },
        quick: true,
    },
    Attack {
        name: "keep-caps",
        tries: "hold capabilities as uid 1000 where no user namespace is joined",
        control: Tool::Other("nsenter and setpriv --ambient-caps"),
        ways: &[DEFAULT, ADMIN],
        run: keep_caps,
        quick: true,
    },
    Attack {
        name: "caller-groups",
        tries: "read a file by a group of the caller's",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT],
        run: caller_groups,
        quick: true,
    },
    Attack {
        name: "caller-inheritable",
        tries: "inherit capabilities of the caller's (CVE-2022-29162)",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT],
        run: |tool| {
            let target = Target::new();
            install(&target, "hostile");
            let prefix = ["setpriv", "--inh-caps=+net_raw"];
            let words = ["/bin/hostile", "capabilities", "CapInh"];
            answer(&bounded(&mut tool.enter_by(
                &prefix,
                target.pid(),
                &["-a"],
                &words,
            ))?)
        },
        quick: true,
    },
    Attack {
        name: "caller-environment",
        tries: "read a secret of the caller's environment",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT],
        run: |tool| {
            let target = Target::new();
            install(&target, "hostile");
            let prefix = ["env", "NSEXEC_ATTACK_SECRET=of-the-host"];
            let words = ["/bin/hostile", "environment", "NSEXEC_ATTACK_SECRET"];
            answer(&bounded(&mut tool.enter_by(
                &prefix,
                target.pid(),
                &["-a"],
                &words,
            ))?)
        },
        quick: true,
    },
];

/// A file that represents a disk of the host.
struct Disk(String);

impl Disk {
    /// `None`: no loop device is available.
    fn of(file: &str) -> Option<Self> {
        let mut losetup = Command::new("losetup");
        let output = losetup.args(["--find", "--show", file]).output().ok()?;
        output
            .status
            .success()
            .then(|| Self(text(&output.stdout).trim().to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.0]).status();
    }
}

/// A disk of the host for which the target has no device node.
fn block_device(tool: Tool) -> Arm {
    let host = Host::new();
    let file = fs::File::options()
        .append(true)
        .open(host.path("secret"))
        .expect("the file");
    file.set_len(1 << 20).expect("its length");
    let Some(disk) = Disk::of(&host.path("secret")) else {
        return Err(Fault::LeftOut("there is no loop device".to_owned()));
    };
    let device = fs::metadata(&disk.0).expect("the device").rdev();
    let [major, minor] = [nix::sys::stat::major(device), nix::sys::stat::minor(device)]
        .map(|number| number.to_string());
    hostile(tool, &Target::new(), &["-a"], &["device", &major, &minor])
}

/// A process of the target that runs during the attack.
fn service(target: &Target, words: &[&str]) -> Running {
    install(target, "hostile");
    let words = [&["/bin/hostile"], words].concat();
    let mut command = Tool::BusyboxNsenter.enter(target.pid(), &["-m", "-i"], &words);
    Running::start(&mut command)
}

/// An attack through a service of another process of the target.
fn beside(tool: Tool, service_words: &[&str], what: &str, words: &[&str]) -> Arm {
    let target = Target::new();
    let process = service(&target, service_words);
    let ready = || match what.strip_prefix('/') {
        Some(path) => target.root().join(path).exists().then_some(()),
        None => {
            let mut ipcs = Command::new("nsenter");
            ipcs.args(["-t", &process.pid().to_string(), "-i", "ipcs", "-m"]);
            text(&ipcs.output().ok()?.stdout)
                .contains("0x6e736578")
                .then_some(())
        }
    };
    if wait(Duration::from_secs(5), ready).is_none() {
        return broken("the service did not begin");
    }
    hostile(tool, &target, &["-a"], words)
}

/// An attack on another process of the target than its first one.
fn on_bystander(tool: Tool, word: &str) -> Arm {
    let target = Target::build(&crate::support::Build {
        program: Some("sh -c 'sleep 999 & echo $! > /tmp/bystander; exec sleep 1000'".to_owned()),
        ..crate::support::Build::default()
    });
    let file = target.root().join("tmp/bystander");
    let number = || {
        let text = fs::read_to_string(&file).ok()?;
        text.ends_with('\n').then(|| text.trim().to_owned())
    };
    let Some(number) = wait(Duration::from_secs(5), number) else {
        return broken("there is no bystander");
    };
    hostile(tool, &target, &["-a"], &[word, &number])
}

/// The files of the target and of the host are on the same file system.
fn file_handle(tool: Tool) -> Arm {
    let host = Host::new();
    let mut own = Command::new(program("hostile"));
    own.args(["handle-of", &host.path("secret")]);
    let handle = text(&bounded(&mut own)?.stdout).trim().to_owned();
    if handle.is_empty() {
        return Err(Fault::LeftOut("the file system has no handles".to_owned()));
    }
    hostile(tool, &Target::new(), &["-a"], &["handle", &handle])
}

/// In the caller's pid namespace, the caller's processes have pids.
fn setns_by_pidfd(tool: Tool) -> Arm {
    let host = Host::new();
    let own = std::process::id().to_string();
    let words = ["pidfd", &own, &host.path("secret")];
    hostile(tool, &Target::new(), &["-m", "-u", "-i"], &words)
}

fn keep_caps(tool: Tool) -> Arm {
    let target = Target::new();
    install(&target, "hostile");
    let words = ["/bin/hostile", "capabilities", "CapEff"];
    let output = if tool.is_nsexec() {
        let options = ["-a", "-S", "1000", "-G", "1000", "--keep-caps"];
        bounded(&mut tool.enter(target.pid(), &options, &words))?
    } else {
        let setpriv = [
            "setpriv",
            "--reuid=1000",
            "--inh-caps=+net_raw",
            "--ambient-caps=+net_raw",
        ];
        let mut command = Tool::Nsenter.enter_by(&[], target.pid(), &["-n", "-u", "-i"], &setpriv);
        command.arg(program("hostile")).args(&words[1..]);
        bounded(&mut command)?
    };
    match answer(&output) {
        Err(Fault::Broken(_)) if tool.is_nsexec() => crate::arm::refused(&output, &["--keep-caps"]),
        other => other,
    }
}

/// A file that only a group of the caller may read.
fn caller_groups(tool: Tool) -> Arm {
    let target = Target::with_script(
        "echo of-the-group > /tmp/file; chown 0:4 /tmp/file; chmod 040 /tmp/file",
    );
    install(&target, "hostile");
    let prefix = ["setpriv", "--groups=4,20"];
    let words = ["/bin/hostile", "read", "/tmp/file"];
    answer(&bounded(&mut tool.enter_by(
        &prefix,
        target.pid(),
        &["-a", "-S", "1000"],
        &words,
    ))?)
}
