//! A target that changes during the join.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Attack;
use crate::arm::{
    ADMIN, Arm, DEFAULT, Fault, Outcome, STRICT, Tool, answer, bounded, broken, install, nsexec,
    program, refused,
};
use crate::container::Container;
use crate::inputs::watch;
use crate::running::{Running, wait};
use crate::support::cgroup::Cgroup;
use crate::support::{Build, Target, temporary_directory, text};

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "namespaces-mixed",
        tries: "be entered in namespaces of different moments: it unshares in a loop",
        control: Tool::Nsenter,
        ways: &[DEFAULT, ADMIN],
        run: |tool| moving(tool, &["-a"], 40),
        quick: false,
    },
    Attack {
        name: "root-outside",
        tries: "be entered with a root that is not in the mount namespace",
        control: Tool::Nsenter,
        ways: &[DEFAULT, ADMIN],
        run: |tool| match tool {
            // Without -r, nsenter keeps the root of the mount namespace.
            Tool::Nsenter => moving(tool, &["-m", "-p", "-r"], 40),
            _ => moving(tool, &["-m", "-p"], 40),
        },
        quick: false,
    },
    Attack {
        name: "renames-elsewhere",
        tries: "have execs into another target fail, by renaming files",
        control: Tool::Other("openat2(2), once"),
        ways: &[DEFAULT],
        run: renames_elsewhere,
        quick: true,
    },
    Attack {
        name: "passwd-rewritten",
        tries: "have a device opened: passwd is replaced by it in a loop",
        control: Tool::Runc,
        ways: &[DEFAULT, ADMIN],
        run: passwd_rewritten,
        quick: false,
    },
    Attack {
        name: "dev-rewritten",
        tries: "write a file: /dev/tty is replaced by it in a loop",
        control: Tool::Nsenter,
        ways: &[STRICT],
        run: dev_rewritten,
        quick: false,
    },
    Attack {
        name: "cgroup-rewritten",
        tries: "leave the program outside: it changes cgroups in a loop",
        control: Tool::Nsenter,
        ways: &[DEFAULT, ADMIN],
        run: cgroup_rewritten,
        quick: false,
    },
    Attack {
        name: "target-replaced",
        tries: "be replaced, pid and all, while it is entered",
        control: Tool::Nsenter,
        ways: &[DEFAULT, ADMIN],
        run: target_replaced,
        quick: false,
    },
];

/// strace(1), which delays the process by 2 ms after each open.
const HELD_UP: [&str; 6] = [
    "strace",
    "-qq",
    "-o",
    "/dev/null",
    "-einject=openat,ioctl:delay_exit=2000",
    "--",
];

/// The program has to be in one complete set of namespaces that the target was in.
fn moving(tool: Tool, options: &[&str], rounds: usize) -> Arm {
    let target = Target::build(&Build {
        program: Some(
            "sh -c 'while ! [ -x /bin/mover ]; do usleep 1000; done; exec /bin/mover'".to_owned(),
        ),
        ..Build::default()
    });
    install(&target, "mover");
    let sets = target.root().join("tmp/sets");
    let begun = || (fs::metadata(&sets).ok()?.len() > 0).then_some(());
    if wait(Duration::from_secs(5), begun).is_none() {
        return broken("the target does not move");
    }
    let script = "for n in uts ipc mnt; do readlink /proc/self/ns/$n || echo none; done | xargs; \
                  wc -l < /proc/self/mountinfo";
    let mut seen = Vec::new();
    let (mut outside, mut refusals) = (0, 0);
    for round in 0..rounds {
        // A delay at each open makes the race likely.
        let slow: &[&str] = if round % 2 == 0 { &HELD_UP } else { &[] };
        let words = ["sh", "-c", script];
        let output = bounded(&mut tool.enter_by(slow, target.pid(), options, &words))?;
        let stdout = text(&output.stdout);
        let mut lines = stdout.lines();
        match (lines.next(), lines.next()) {
            (Some(set), Some(mounts)) if mounts.trim() != "0" && !set.contains("none") => {
                seen.push(set.to_owned());
            }
            (None, _) if tool.is_nsexec() && output.status.code() == Some(125) => {
                let moves = ["namespace", "changed one of them", "changes its namespaces"];
                refused(&output, &moves)?;
                refusals += 1;
            }
            // In a partly joined state there is no /proc or no shell.
            _ => outside += 1,
        }
    }
    let known = fs::read_to_string(&sets).expect("the sets");
    let known: std::collections::HashSet<&str> = known.lines().collect();
    let whole = options.contains(&"-a");
    let mixed = seen
        .iter()
        .filter(|set| whole && !known.contains(set.as_str()))
        .count();
    match (mixed, outside) {
        (0, 0) if !seen.is_empty() => Ok(Outcome::Blocked(match refusals {
            0 => "one moment's, every time".to_owned(),
            _ => "one moment's, or refused".to_owned(),
        })),
        // The target changes continuously; `tests/place.rs` shows that a changed target can
        // be joined.
        (0, 0) if refusals == rounds => {
            Ok(Outcome::Blocked(format!("all of {rounds} were refused")))
        }
        (0, 0) => broken(format!("{refusals} of {rounds} were refused")),
        (0, outside) => Ok(Outcome::Harm(format!("outside in {outside} of {rounds}"))),
        (mixed, _) => Ok(Outcome::Harm(format!("mixed in {mixed} of {rounds}"))),
    }
}

/// Another container renames files while paths with `..` are looked up in this one.
fn renames_elsewhere(tool: Tool) -> Arm {
    let elsewhere = temporary_directory("renames");
    let renames: Vec<Running> = ["one", "two", "three"]
        .map(|name| {
            let mut command = Command::new(program("renames"));
            Running::start(command.arg(elsewhere.join(name)))
        })
        .into_iter()
        .collect();
    let target = Target::with_script(
        "mkdir -p /a/b; cp /etc/passwd /a/passwd; \
         ln -sf ../a/b/../b/../b/../b/../b/../b/../b/../passwd /etc/passwd",
    );
    let seen = if tool.is_nsexec() {
        let mut failed = 0;
        for _ in 0..60 {
            let output = bounded(&mut tool.enter(target.pid(), &["-a"], &["true"]))?;
            if !output.status.success() {
                refused(&output, &["EAGAIN"])?;
                failed += 1;
            }
        }
        match failed {
            0 => Ok(Outcome::Blocked("60 of 60 programs ran".to_owned())),
            _ => Ok(Outcome::Harm(format!("{failed} of 60 execs failed"))),
        }
    } else {
        let mut lookup = Command::new(program("lookup"));
        lookup.arg(target.root()).args(["etc/passwd", "2000000"]);
        answer(&bounded(&mut lookup)?)
    };
    drop(renames);
    let _ = fs::remove_dir_all(elsewhere);
    seen
}

/// Swaps a file and a node in a loop.
const SWAP: &str = "while :; do ln -f $1 $3; ln -f $2 $3; done";

/// The loop, in the mount namespace of a process.
fn swap(pid: i32, first: &str, second: &str, place: &str) -> Running {
    let words = ["/bin/busybox", "sh", "-c", SWAP, "sh", first, second, place];
    let mut inside = Tool::BusyboxNsenter.enter(pid, &["-m"], &words);
    Running::start(&mut inside)
}

fn passwd_rewritten(tool: Tool) -> Arm {
    let prepare = |root: &std::path::Path| {
        let node = root.join("etc/node");
        let mut mknod = Command::new("mknod");
        mknod.arg(&node).args(["c", "1", "3"]);
        crate::support::succeed(mknod);
        fs::copy(root.join("etc/passwd"), root.join("etc/real")).expect("a copy");
        fs::copy("/bin/busybox", root.join("bin/ln")).expect("busybox");
    };
    let done = |root: &std::path::Path| fs::write(root.join("tmp/done"), "").expect("a file");
    if tool == Tool::Runc {
        let container = Container::start(prepare)?;
        let _swap = swap(container.pid(), "/etc/real", "/etc/node", "/etc/passwd");
        let watcher = watch(container.pid(), "node", "/etc/node")?;
        for _ in 0..40 {
            bounded(&mut container.exec(&[], &["/bin/true"]))?;
        }
        done(&container.root());
        return answer(&watcher.output()?);
    }
    let target = Target::new();
    install(&target, "watch");
    let _ = fs::remove_file(target.root().join("bin/ln"));
    prepare(&target.root());
    let _swap = swap(target.pid(), "/etc/real", "/etc/node", "/etc/passwd");
    let watcher = watch(target.pid(), "node", "/etc/node")?;
    let mut ran = 0;
    for _ in 0..60 {
        let output = bounded(&mut tool.enter(target.pid(), &["-a"], &["/bin/true"]))?;
        ran += usize::from(output.status.success());
    }
    done(&target.root());
    let seen = answer(&watcher.output()?)?;
    match seen {
        Outcome::Blocked(_) if ran == 0 => broken("no program ran"),
        Outcome::Blocked(_) => Ok(Outcome::Blocked("no process opened it".to_owned())),
        harm => Ok(harm),
    }
}

/// /dev/tty when the rules are created, and when they apply.
fn dev_rewritten(tool: Tool) -> Arm {
    let target = Target::with_script(
        "umount /dev/tty; mknod /dev/real c 5 0; echo x > /dev/file; ln -f /dev/real /dev/tty",
    );
    let _swap = swap(target.pid(), "/dev/real", "/dev/file", "/dev/tty");
    install(&target, "hostile");
    for _ in 0..60 {
        let words = ["/bin/hostile", "write", "/dev/file"];
        let seen = answer(&bounded(&mut tool.enter(target.pid(), &["-a"], &words))?)?;
        if let Outcome::Harm(_) = seen {
            return Ok(seen);
        }
    }
    Ok(Outcome::Blocked(
        "open: Permission denied, 60 times".to_owned(),
    ))
}

/// The program has to be in a cgroup that the target was in.
fn cgroup_rewritten(tool: Tool) -> Arm {
    const HIERARCHY: &str = "/sys/fs/cgroup/freezer";
    let (Some(one), Some(other)) = (Cgroup::beneath(HIERARCHY), Cgroup::beneath(HIERARCHY)) else {
        return Err(Fault::LeftOut("no freezer hierarchy is mounted".to_owned()));
    };
    let target = Target::new();
    one.add(target.pid());
    let script = format!(
        "while :; do for c in {} {}; do echo {} > {HIERARCHY}/$c/cgroup.procs; done; done",
        one.name(),
        other.name(),
        target.pid()
    );
    let mover = Running::start(Command::new("sh").args(["-c", &script]));
    let (mut outside, rounds) = (0, 20);
    for _ in 0..rounds {
        let options: &[&str] = if tool.is_nsexec() {
            &["-a", "-c"]
        } else {
            &["-a"]
        };
        // The caller's cgroup namespace shows the whole path: compare the last component.
        let words = ["sh", "-c", "grep :freezer: /proc/self/cgroup"];
        let output = bounded(&mut tool.enter(target.pid(), options, &words))?;
        let line = text(&output.stdout);
        if line.is_empty() {
            return broken(format!("{output:?}"));
        }
        let inside = [one.name(), other.name()]
            .iter()
            .any(|name| line.contains(name));
        outside += usize::from(!inside);
    }
    drop(mover);
    match outside {
        0 => Ok(Outcome::Blocked(
            "in one of its cgroups, every time".to_owned(),
        )),
        _ => Ok(Outcome::Harm(format!(
            "in none of its cgroups in {outside} of {rounds}"
        ))),
    }
}

/// The target ends and its pid is reused between two steps of the join: strace stops the
/// joining process there.
fn target_replaced(tool: Tool) -> Arm {
    let nsexec = nsexec();
    let nsexec = nsexec.display();
    let enter = match tool {
        Tool::Nsexec(policy) => format!(
            "strace -f -qq -o /dev/null -e inject=pidfd_open:signal=STOP:when=1 \
             -- {nsexec} --policy {policy} -t $first -u -i"
        ),
        _ => "strace -f -qq -o /dev/null -P /proc/$first/ns/ipc \
              -e inject=openat:signal=STOP:when=1 -- nsenter -t $first -u -i"
            .to_owned(),
    };
    let script = format!(
        r#"mount -t proc proc /proc || exit 9
        unshare -u -i sh -c 'hostname meant; exec sleep 1000' & first=$!
        while [ "$(nsenter -t $first -u hostname)" != meant ]; do :; done
        # Held open, so that their numbers are not given again.
        exec 8< /proc/$first/ns/uts 9< /proc/$first/ns/ipc
        readlink /proc/$first/ns/uts /proc/$first/ns/ipc
        {enter} -- readlink /proc/self/ns/uts /proc/self/ns/ipc & joiner=$!
        # strace stops it at each call, too: for a moment.
        n=0
        while [ $n -lt 20 ]; do
            stopped=$(cat /proc/$joiner/task/$joiner/children)
            stopped=${{stopped% }}
            grep -qs 'State:.[tT]' /proc/${{stopped:-none}}/status && n=$((n+1)) || n=0
            sleep 0.01
        done
        kill -9 $first; wait $first 2>/dev/null
        n=0
        while :; do
            # The namespace's own; before Linux 6.14, pid_max was the machine's.
            echo $((first - 1)) > /proc/sys/kernel/ns_last_pid
            unshare -u -i sh -c 'hostname other; exec sleep 1000' & now=$!
            [ $now = $first ] && break
            kill -9 $now; wait $now 2>/dev/null
            n=$((n+1)); [ $n -gt 2000 ] && exit 7
        done
        while [ "$(nsenter -t $first -u hostname)" != other ]; do :; done
        kill -CONT $stopped
        wait $joiner; status=$?
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
    let mut output = bounded(unshare.stdin(Stdio::null()))?;
    let stdout = text(&output.stdout);
    let links: Vec<&str> = stdout.lines().collect();
    match links[..] {
        [uts, ipc, program_uts, program_ipc] if uts == program_uts && ipc == program_ipc => {
            Ok(Outcome::Blocked(
                "the program is in the namespaces of the one that was meant".to_owned(),
            ))
        }
        [_, _, _, _] => Ok(Outcome::Harm(
            "the program is in the other process's namespaces".to_owned(),
        )),
        [_, _] => {
            output.stdout.clear();
            refused(&output, &["has ended"])
        }
        _ => broken(format!("{output:?}")),
    }
}
