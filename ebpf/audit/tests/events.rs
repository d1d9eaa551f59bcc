//! The records of real calls, compared with /proc.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::fs::File;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use nsexec_audit_abi::Event;
use nsexec_audit_abi::code::{Abi, EventFlags, Hook, Source, Syscall};
use nsexec_audit_abi::parts::{NamespaceSet, SLOT_NAMES, TaskId};

use support::{Sleeper, Watched, changed, has, inum, kernel, own_tid, slot};

const NEWUTS: u64 = 0x0400_0000;

/// Every slot, from the links of /proc/PID/ns.
#[track_caller]
fn is_in(namespace_set: &NamespaceSet, of: &str) {
    for (name, found) in SLOT_NAMES.iter().zip(namespace_set.inum) {
        assert_eq!(found, inum(of, name), "{name}");
    }
}

#[test]
fn a_join_has_its_target_and_both_namespace_sets() {
    let Some(mut watched) = Watched::start("a_join_has_its_target_and_both_namespace_sets") else {
        return;
    };
    let target = Sleeper::new(&["--uts", "--ipc"]);
    let pid = target.pid().to_string();
    let mut nsenter = Command::new("nsenter")
        .args(["-t", &pid, "--uts", "--", "sh", "-c", "exit 7"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    nsenter.wait().unwrap();
    let event = watched.namespace(nsenter.id());
    assert_eq!(event.header.hook, Hook::SetnsExit);
    assert_eq!(event.call.syscall, Syscall::Setns);
    assert_eq!(event.call.abi, Abi::Native);
    assert_eq!((event.call.ret, event.call.flags), (0, NEWUTS));
    assert_eq!(event.call.notes, EventFlags::NONE);
    assert!(event.call.fd > 2);
    let joined = event.call.target;
    assert_eq!(joined.source, Source::Nsfs);
    assert_eq!(joined.inum, inum(&pid, "uts"));
    assert_eq!(u64::from(joined.flag), NEWUTS);
    is_in(&event.before, "self");
    assert_eq!(changed(&event), ["uts"]);
    assert_eq!(event.after.inum[slot("uts")], joined.inum);
    assert_eq!(event.after.id[slot("uts")], joined.id);
    assert_eq!(event.child, TaskId::NONE);
    // The fields of the actor.
    let actor = event.actor;
    assert_eq!((actor.tgid, actor.ns_tgid), (nsenter.id(), nsenter.id()));
    assert_eq!(&actor.comm[..8], b"nsenter\0");
    assert_eq!((actor.uid, actor.euid, actor.seccomp), (0, 0, 0));
    assert!(actor.start_ns > 0 && actor.start_ns == actor.leader_start_ns);
    assert!(actor.start_ns < event.header.boot_ns);
    assert_eq!(event.parent.tgid, std::process::id());
    assert_eq!(event.parent.tid, own_tid());
    assert_eq!((event.user.level, event.user.parent_inum), (0, 0));
}

#[test]
fn a_call_that_fails_is_seen_with_its_target() {
    let Some(mut watched) = Watched::start("a_call_that_fails_is_seen_with_its_target") else {
        return;
    };
    // A uts namespace is not a net namespace.
    let uts = File::open("/proc/self/ns/uts").unwrap();
    assert_eq!(setns(&uts, CloneFlags::CLONE_NEWNET), Err(Errno::EINVAL));
    let event = watched.namespace(own_tid());
    assert_eq!(event.call.ret, -i64::from(nix::libc::EINVAL));
    assert_eq!(event.call.target.source, Source::Nsfs);
    assert_eq!(event.call.target.inum, inum("self", "uts"));
    assert_eq!(changed(&event), [""; 0]);
    is_in(&event.after, "self");
}

#[test]
fn descriptors_are_distinguished() {
    let test = "descriptors_are_distinguished";
    if !has(test, "perl") {
        return;
    }
    let Some(mut watched) = Watched::start(test) else {
        return;
    };
    let script = "
        syscall($ARGV[0], 999, 0);
        open(my $file, '<', '/dev/null'); syscall($ARGV[0], fileno($file), 0);
        syscall($ARGV[0], syscall(434, $$ + 0, 0), 0x04000000);
    ";
    let perl = perl(script, &[nix::libc::SYS_setns]);
    let calls: Vec<_> = watched.calls(perl, 3);
    let seen: Vec<_> = calls
        .iter()
        .map(|call| (call.target.source, call.ret))
        .collect();
    let bad = -i64::from(nix::libc::EBADF);
    let wrong = -i64::from(nix::libc::EINVAL);
    // Without its own file system, a pidfd is one of many anonymous files.
    let pidfd = if kernel() >= (6, 9) {
        (Source::Pidfd, perl)
    } else {
        (Source::Other, 0)
    };
    assert_eq!(
        seen,
        [(Source::Closed, bad), (Source::Other, wrong), (pidfd.0, 0)]
    );
    assert_eq!(calls[2].target.pid, pidfd.1);
}

#[test]
fn unshare_has_the_namespaces_before_and_after() {
    let test = "unshare_has_the_namespaces_before_and_after";
    let Some(mut watched) = Watched::start(test) else {
        return;
    };
    let before = inum("thread-self", "uts");
    unshare(CloneFlags::CLONE_NEWUTS).unwrap();
    let after = inum("thread-self", "uts");
    let event = watched.namespace(own_tid());
    assert_eq!(event.header.hook, Hook::UnshareExit);
    assert_eq!(event.call.syscall, Syscall::Unshare);
    assert_eq!((event.call.fd, event.call.flags), (-1, NEWUTS));
    assert_eq!(event.call.target.source, Source::None);
    assert_eq!(event.before.inum[slot("uts")], before);
    assert_eq!(event.after.inum[slot("uts")], after);
    assert_eq!(changed(&event), ["uts"]);
    // The main thread and this thread have different namespaces.
    is_in(&event.after, "thread-self");
}

#[test]
fn a_user_namespace_has_its_owner_and_parent() {
    let test = "a_user_namespace_has_its_owner_and_parent";
    let Some(mut watched) = Watched::start(test) else {
        return;
    };
    let target = Sleeper::new(&["--user"]);
    let event = watched.namespace(target.pid());
    assert_eq!(changed(&event), ["user"]);
    assert_eq!(
        event.after.inum[slot("user")],
        inum(&target.pid().to_string(), "user")
    );
    assert_eq!((event.user.level, event.user.owner), (1, 0));
    assert_eq!(event.user.parent_inum, inum("self", "user"));
    assert_eq!(event.user.parent_id, event.before.id[slot("user")]);
}

#[test]
fn successful_and_failed_clones_are_reported() {
    let test = "successful_and_failed_clones_are_reported";
    if !has(test, "perl") {
        return;
    }
    let Some(mut watched) = Watched::start(test) else {
        return;
    };
    // clone3 with CLONE_NEWUTS; with CLONE_NEWNS and CLONE_FS, which is EINVAL; with
    // unreadable arguments; and clone, with CLONE_NEWUTS and SIGCHLD.
    let script = "
        sub clone3 { my $args = pack('Q8', $_[0], 0, 0, 0, 17, 0, 0, 0); syscall(435, $args, 64) }
        my $child = clone3(0x04000000); if ($child == 0) { exit 0 } waitpid($child, 0);
        clone3(0x00020200);
        syscall(435, 1, 64);
        $child = syscall($ARGV[0], 0x04000011, 0, 0, 0, 0);
        if ($child == 0) { exit 0 } waitpid($child, 0);
    ";
    let perl = perl(script, &[nix::libc::SYS_clone]);
    watched.calls(perl, 4);
    let events: Vec<_> = watched
        .seen
        .iter()
        .filter_map(|event| match event {
            Event::Namespace(record) if record.actor.tid == perl => Some(*record),
            _ => None,
        })
        .collect();
    let [made, refused, unread, cloned] = events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(made.header.hook, Hook::TaskNewtask);
    assert_eq!(made.call.syscall, Syscall::Clone3);
    assert_eq!(
        (made.call.flags, made.call.notes),
        (NEWUTS, EventFlags::NONE)
    );
    assert_eq!(made.call.ret, i64::from(made.child.tid));
    assert_eq!(changed(&made), ["uts"]);
    assert!(made.child.tid != perl && made.child.start_ns > made.actor.start_ns);

    assert_eq!(refused.header.hook, Hook::Clone3Exit);
    assert_eq!(refused.call.syscall, Syscall::Clone3);
    assert_eq!(refused.call.flags, 0x0002_0200);
    assert_eq!(refused.call.ret, -i64::from(nix::libc::EINVAL));
    assert_eq!(refused.call.notes, EventFlags::FLAGS_RACY);
    assert_eq!(refused.child, TaskId::NONE);
    assert_eq!(changed(&refused), [""; 0]);

    assert_eq!(unread.call.ret, -i64::from(nix::libc::EFAULT));
    assert!(unread.call.notes.has(EventFlags::FLAGS_UNREAD));

    assert_eq!(cloned.header.hook, Hook::TaskNewtask);
    assert_eq!(cloned.call.syscall, Syscall::Clone);
    assert_eq!(cloned.call.flags, NEWUTS);
}

#[test]
fn a_clone_without_namespaces_ends_no_recorded_call() {
    let test = "a_clone_without_namespaces_ends_no_recorded_call";
    if !has(test, "perl") {
        return;
    }
    let Some(mut watched) = Watched::start(test) else {
        return;
    };
    // CLONE_THREAD alone is EINVAL. It follows a recorded call, a clone3 that created a
    // task, and has a signal with the value of CLONE_NEWTIME.
    let script = "
        syscall($ARGV[0], 0x04000000);
        syscall($ARGV[1], 0x00010080, 0, 0, 0, 0);
        my $args = pack('Q8', 0x04000000, 0, 0, 0, 17, 0, 0, 0);
        my $child = syscall(435, $args, 64);
        if ($child == 0) { exit 0 } waitpid($child, 0);
        syscall($ARGV[1], 0x00010080, 0, 0, 0, 0);
        syscall($ARGV[2], 999, 0);
    ";
    let perl = perl(
        script,
        &[
            nix::libc::SYS_unshare,
            nix::libc::SYS_clone,
            nix::libc::SYS_setns,
        ],
    );
    let calls = watched.calls(perl, 3);
    let syscalls: Vec<_> = calls.iter().map(|call| call.syscall).collect();
    assert_eq!(
        syscalls,
        [Syscall::Unshare, Syscall::Clone3, Syscall::Setns]
    );
}

#[test]
fn a_process_is_reported_from_fork_to_exit() {
    let Some(mut watched) = Watched::start("a_process_is_reported_from_fork_to_exit") else {
        return;
    };
    let mut child = Command::new("/bin/sh")
        .args(["-c", "exit 3", "a b", ""])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    child.wait().unwrap();
    let pid = child.id();
    let exit = watched.find("exit", |event| match event {
        Event::Exit(record) if record.actor.tid == pid => Some(*record),
        _ => None,
    });
    assert_eq!((exit.status, exit.live), (3 << 8, 0));
    let fork = watched.find("fork", |event| match event {
        Event::Fork(record) if record.child.tid == pid => Some(*record),
        _ => None,
    });
    assert_eq!(fork.actor.tid, own_tid());
    assert_eq!(fork.child.tgid, pid);
    let exec = watched.find("exec", |event| match event {
        Event::Exec(record) if record.actor.tid == pid => Some(*record),
        _ => None,
    });
    assert_eq!(exec.path.get(), b"/bin/sh");
    assert_eq!(exec.arguments.get(), b"/bin/sh\0-c\0exit 3\0a b\0\0");
    assert!(!exec.path.cut.get() && !exec.arguments.cut.get());
    assert_eq!(exec.old_tid, pid);
    for namespace_set in [&fork.namespaces, &exec.namespaces, &exit.namespaces] {
        is_in(namespace_set, "self");
    }
    for start in [exec.actor.start_ns, exit.actor.start_ns] {
        assert_eq!(start, fork.child.start_ns);
    }
    use std::os::unix::fs::MetadataExt as _;
    let shell = std::fs::metadata("/bin/sh").unwrap();
    assert_eq!(exec.actor.exe_inode, shell.ino());
    let (major, minor) = (
        exec.actor.exe_device >> 20,
        exec.actor.exe_device & 0xf_ffff,
    );
    assert_eq!(
        (u64::from(major), u64::from(minor)),
        (
            nix::libc::major(shell.dev()).into(),
            nix::libc::minor(shell.dev()).into()
        )
    );
}

#[test]
fn long_arguments_are_cut_and_marked() {
    let Some(mut watched) = Watched::start("long_arguments_are_cut_and_marked") else {
        return;
    };
    let long = "x".repeat(600);
    let mut child = Command::new("/bin/true").arg(&long).spawn().unwrap();
    child.wait().unwrap();
    let pid = child.id();
    let arguments = watched.find("exec", |event| match event {
        Event::Exec(record) if record.actor.tid == pid => Some(record.arguments),
        _ => None,
    });
    assert!(arguments.cut.get());
    assert_eq!(arguments.get().len(), 512);
    assert!(arguments.get().starts_with(b"/bin/true\0xxx"));
}

#[test]
fn a_snapshot_has_every_thread_and_its_namespaces() {
    let test = "a_snapshot_has_every_thread_and_its_namespaces";
    let Some(mut watched) = Watched::start(test) else {
        return;
    };
    let target = Sleeper::new(&["--uts", "--net", "--time"]);
    let tasks = watched.probes.snapshot().unwrap();
    let find = |tid: u32| tasks.iter().find(|task| task.task.tid == tid).unwrap();
    let own = find(own_tid());
    assert_eq!(own.task.tgid, std::process::id());
    assert!(own.task.start_ns >= own.task.leader_start_ns);
    is_in(&own.namespaces, "self");
    let sleeping = find(target.pid());
    is_in(&sleeping.namespaces, &target.pid().to_string());
    assert_eq!(sleeping.parent.tgid, std::process::id());
    // kthreadd, the first kernel thread.
    let kernel = find(2);
    assert_eq!((kernel.task.tgid, kernel.parent.tgid), (2, 0));
    assert_eq!(kernel.task.exe_inode, 0);
}

/// Runs a script with numbers as arguments, and returns its pid.
fn perl(script: &str, arguments: &[i64]) -> u32 {
    let mut child = Command::new("perl")
        .args(["-e", script])
        .args(arguments.iter().map(ToString::to_string))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    assert!(child.wait().unwrap().success());
    child.id()
}

impl Watched {
    /// The calls of a thread, once there are this many.
    #[track_caller]
    fn calls(&mut self, tid: u32, count: usize) -> Vec<nsexec_audit_abi::parts::Call> {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            self.drain();
            let calls: Vec<_> = self
                .seen
                .iter()
                .filter_map(|event| match event {
                    Event::Namespace(record) if record.actor.tid == tid => Some(record.call),
                    _ => None,
                })
                .collect();
            if calls.len() >= count {
                assert_eq!(calls.len(), count, "{calls:?}");
                return calls;
            }
            assert!(std::time::Instant::now() < deadline, "{calls:?}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}
