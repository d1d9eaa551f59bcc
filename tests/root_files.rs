//! Files of the target that nsexec reads: it opens only regular files, and never waits for
//! one.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};
use serde_json::json;
use support::protocol_a::{Exec, assert_success, shell};
use support::{Target, leave_out, succeed, text, trace};

/// Runs a command that has to end by itself; the timeout detects a hang.
#[track_caller]
fn ends(mut command: Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("it hangs: {command:?}: {}", text(&output.stderr));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

/// HOME under the default policy, and the warning about passwd.
#[track_caller]
fn home(target: &Target) -> (String, String) {
    let output = ends(target.nsexec(["-a", "--", "/bin/sh", "-c", "echo $HOME"]));
    assert!(output.status.success(), "{output:?}");
    (text(&output.stdout), text(&output.stderr))
}

/// The file is looked up with O_PATH and not opened.
fn assert_only_looked_up(target: &Target, script: &str) {
    let calls = trace::trace(target, &["-a", "--", "/bin/true"]);
    // Before that, the helper may open and execute a copy of its own file.
    let helper = &calls[0].0;
    let begin = calls
        .iter()
        .rposition(|(pid, call)| pid == helper && trace::name(call).starts_with("execve"))
        .unwrap();
    let mut opened = calls[begin..]
        .iter()
        .map(|(_, call)| call)
        .filter(|call| trace::name(call).starts_with("open"))
        .filter(|call| call.contains("etc/passwd") || call.contains("self/fd/"))
        .peekable();
    assert!(opened.peek().is_some());
    for call in opened {
        assert!(call.contains("O_PATH"), "{script}: {call}");
    }
}

#[test]
fn only_regular_files_are_opened() {
    support::needs!(root);
    for (script, kind) in [
        ("mknod /etc/passwd c 1 5", "a character device"),
        ("mknod /etc/passwd b 7 0", "a block device"),
        ("mkfifo /etc/passwd", "a FIFO"),
        ("mkdir /etc/passwd", "a directory"),
        ("ln -s /dev/zero /etc/passwd", "a character device"),
    ] {
        let target = Target::with_script(&format!("rm /etc/passwd; {script}"));
        let (home, printed) = home(&target);
        assert_eq!(home, "/\n", "{script}");
        assert_eq!(
            printed,
            format!(
                "nsexec: warning: /etc/passwd of the program's root is not read: it is {kind} \
                 and no regular file\n"
            )
        );
        assert_only_looked_up(&target, script);
    }
}

/// The kernel generates the content of its files for the reader's rights: such a file shows
/// data that the target may not see, or loses data when it is read.
#[test]
fn a_regular_file_of_procfs_or_sysfs_is_not_opened() {
    support::needs!(root);
    for script in [
        "mount --bind /proc/version /etc/passwd",
        "mount --bind /proc/self/status /etc/passwd",
        "mkdir -p /s; mount -t sysfs s /s; mount --bind /s/kernel/uevent_seqnum /etc/passwd",
        "rm /etc/passwd; ln -s /proc/version /etc/passwd",
    ] {
        let target = Target::with_script(script);
        let (home, printed) = home(&target);
        assert_eq!(home, "/\n", "{script}");
        assert!(
            printed.starts_with(
                "nsexec: warning: /etc/passwd of the program's root is not read: no file system \
                 that stores files is known by the type 0x"
            ),
            "{script}: {printed}"
        );
        assert_only_looked_up(&target, script);
    }
    // Another file system that stores files.
    let stored = "mount -t tmpfs t /tmp; cp /etc/passwd /tmp;
                  mount --bind /tmp/passwd /etc/passwd";
    let target = Target::with_script(stored);
    let (home, printed) = home(&target);
    assert_eq!((home.as_str(), printed.as_str()), ("/root\n", ""));
}

/// The same in protocol A, where opening a pipe for reading would release its writer.
#[test]
fn a_fifo_in_place_of_passwd_or_group_is_not_opened_for_a_runtime() {
    support::needs!(root);
    for file in ["passwd", "group"] {
        let script = format!("rm /etc/{file}; mkfifo /etc/{file};");
        let target = Target::with_script(&script);
        let fifo = target.root().join("etc").join(file);
        let mut writer = Command::new("sh")
            .args(["-c", "echo opened > $0"])
            .arg(&fifo)
            .spawn()
            .unwrap();
        let mut config = shell("echo ran");
        config["user"] = json!("0");
        let outcome = Exec::into(target.pid()).run_config(&config);
        assert_success(&outcome);
        assert_eq!(outcome.stdout, "ran\n");
        assert!(outcome.stderr.contains("it is a FIFO"), "{outcome:?}");
        let opened = writer.try_wait().unwrap();
        writer.kill().unwrap();
        writer.wait().unwrap();
        assert_eq!(opened, None, "{file} was opened");
    }
}

/// Nothing of the target is looked up after the helper has joined it.
#[test]
fn in_protocol_a_passwd_and_group_are_opened_before_the_join() {
    support::needs!(root);
    let target = Target::new();
    let directory = support::temporary_directory("before");
    let log = directory.join("log");
    let mut exec = Exec::into(target.pid());
    exec.program = "/usr/bin/strace".into();
    let log_name = log.to_str().unwrap().to_owned();
    // -D: the helper is this test's child, as it is libcontainer's.
    exec.arguments = [
        "-D",
        "-f",
        "-q",
        "-o",
        &log_name,
        "--",
        support::NSEXEC,
        "init",
    ]
    .map(str::to_owned)
    .into();
    let mut config = shell("echo $HOME; grep Groups: /proc/self/status");
    config["user"] = json!("ann");
    config["env"] = json!(["PATH=/bin"]);
    let outcome = exec.run_config(&config);
    assert!(outcome.stdout.starts_with("/home/ann\n"), "{outcome:?}");
    let begun = Instant::now();
    let calls = loop {
        let calls = fs::read_to_string(&log).unwrap();
        // The helper and its sibling process.
        if calls.matches("+++ exited").count() >= 2 {
            break calls;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{calls}");
        std::thread::sleep(Duration::from_millis(10));
    };
    fs::remove_dir_all(directory).unwrap();
    let of = |word: &str| calls.lines().position(|call| call.contains(word)).unwrap();
    let last = |word: &str| {
        let mut lines = calls.lines().collect::<Vec<_>>().into_iter();
        lines.rposition(|call| call.contains(word)).unwrap()
    };
    for file in ["etc/passwd", "etc/group"] {
        assert!(last(file) < of("setns("), "{file}: {calls}");
    }
}

/// Mounts a file system without a server: a process that sends it a request waits forever,
/// or until the descriptor is closed.
fn hanging_file_system(target: &Target, place: &str, mode: &str) -> Option<OwnedFd> {
    let device = match File::options().read(true).write(true).open("/dev/fuse") {
        Ok(device) => OwnedFd::from(device),
        Err(error) => {
            leave_out("hanging_file_system", &format!("/dev/fuse: {error}"));
            return None;
        }
    };
    let mut mount = Command::new("nsenter");
    let options = format!("fd=3,rootmode={mode},user_id=0,group_id=0,allow_other");
    mount.args(["-t", &target.pid().to_string(), "-m", "-r", "/bin/busybox"]);
    mount.args(["mount", "-t", "fuse", "-o", &options, "nobody", place]);
    let mapping = FdMapping {
        parent_fd: device.try_clone().unwrap(),
        child_fd: 3,
    };
    mount.fd_mappings(vec![mapping]).unwrap();
    succeed(mount);
    Some(device)
}

#[test]
fn a_file_system_that_never_answers_is_not_entered() {
    support::needs!(root);
    for (script, place, mode) in [
        ("", "/etc", "40000"),
        ("", "/etc/passwd", "100444"),
        // Through a symbolic link, out of the file system and back.
        (
            "mkdir /tmp/f; ln -s /tmp/f/../f/passwd /etc/new; mv /etc/new /etc/passwd",
            "/tmp/f",
            "40000",
        ),
    ] {
        let target = Target::with_script(script);
        let Some(device) = hanging_file_system(&target, place, mode) else {
            return;
        };
        let (home, printed) = home(&target);
        // Processes that wait now are released.
        drop(device);
        assert_eq!(home, "/\n");
        assert_eq!(
            printed,
            "nsexec: warning: /etc/passwd of the program's root is not read: it lies on a file \
             system of the type fuse, which a process or another machine serves\n",
            "{place}"
        );
    }
}

#[test]
fn mounts_and_links_inside_the_root_are_followed() {
    support::needs!(root);
    for script in [
        "mount --bind /etc/passwd /etc/passwd",
        "mount --bind /etc /etc",
        "cp /etc/passwd /tmp/p; mount --bind /tmp/p /etc/passwd",
        "mkdir /m; mount -t tmpfs m /m; mkdir -p /m/a/b; mv /etc/passwd /m/a/b/p;
         ln -s ../../../../m/./a/b/../b//p /etc/passwd",
        "mkdir /m; mount -t tmpfs m /m; mv /etc/passwd /m/p; ln -s /m/p /m/q; ln -s /m/q /etc/passwd",
        "mkdir /m; mount -t tmpfs m /m; mv /etc/passwd /m/p; ln -s ../m/p /etc/passwd",
    ] {
        let target = Target::with_script(script);
        assert_eq!(
            home(&target),
            ("/root\n".to_owned(), String::new()),
            "{script}"
        );
    }
    for (script, expected) in [
        ("rm /etc/passwd", ""),
        ("mount -t tmpfs m /etc", ""),
        (
            "mkdir /m; mount -t tmpfs m /m; ln -s l /m/l; rm /etc/passwd; ln -s /m/l /etc/passwd",
            "too many links",
        ),
        (
            "rm /etc/passwd; ln -s /proc/1/root/etc/group /etc/passwd",
            "",
        ),
        (
            "mkdir /m; mount -t tmpfs m /m; rm /etc/passwd; ln -s /m/.. /etc/passwd",
            "a directory and no regular file",
        ),
    ] {
        let target = Target::with_script(script);
        let (home, printed) = home(&target);
        assert_eq!(home, "/\n", "{script}");
        assert!(printed.contains(expected), "{script}: {printed}");
        assert_eq!(
            printed.is_empty(),
            expected.is_empty(),
            "{script}: {printed}"
        );
    }
}

/// Unneeded files are not read: their content is no reason to refuse.
#[test]
fn passwd_is_not_read_unless_needed() {
    support::needs!(root);
    let target = Target::with_script("rm /etc/passwd; mkfifo /etc/passwd;");
    for options in [&["-a", "--policy", "admin"][..], &["-a", "-e"]] {
        let calls = trace::trace(&target, &[options, &["--", "/bin/true"]].concat());
        let touched = calls.iter().find(|(_, call)| call.contains("etc/passwd"));
        assert_eq!(touched, None, "{options:?}");
    }
}

#[test]
fn lines_that_c_libraries_accept_are_accepted_with_a_warning() {
    support::needs!(root);
    for (line, home_is, expected) in [
        ("root:x:00:00:root:/h:/bin/sh", "/h\n", ""),
        ("root:x:0:0:root:/h", "/h\n", "has 6 fields instead of 7"),
        (
            "root:x:0:0:root:/h:/bin/sh:a:b:c",
            "/h\n",
            "has 10 fields instead of 7",
        ),
        ("root:x:0x0:0:root:/h:/bin/sh", "/\n", ""),
    ] {
        let target = Target::with_script(&format!("echo '{line}' > /etc/passwd"));
        let (home, printed) = home(&target);
        assert_eq!(home, home_is, "{line}");
        assert!(printed.contains(expected), "{line}: {printed}");
        assert_eq!(
            printed.lines().count(),
            usize::from(!expected.is_empty()),
            "{printed}"
        );
        let mut config = shell("echo $HOME $(id -u)");
        config["user"] = json!("root");
        config["env"] = json!(["PATH=/bin"]);
        let outcome = Exec::into(target.pid()).run_config(&config);
        if home_is == "/\n" {
            assert!(
                outcome.message().contains("not a decimal number"),
                "{outcome:?}"
            );
        } else {
            assert_success(&outcome);
            assert_eq!(outcome.stdout, "/h 0\n");
            assert!(outcome.stderr.contains(expected), "{outcome:?}");
        }
    }
}

/// nsexec does not read a file beyond the size limit. It refuses only if it needs the file
/// to identify the user.
#[test]
fn oversized_files_are_refused_if_needed() {
    support::needs!(root);
    let target = Target::with_script(
        "for f in passwd group; do dd if=/dev/zero of=/etc/$f bs=1 count=1 seek=16777216; done",
    );
    let (home, printed) = home(&target);
    assert_eq!(home, "/\n");
    assert_eq!(
        printed,
        "nsexec: warning: /etc/passwd of the program's root is longer than 16777216 bytes\n"
    );
    let run = |user: &str, additional: &[&str]| {
        let mut config = shell("echo $HOME");
        config["user"] = json!(user);
        config["config"]["additional_groups"] = json!(additional);
        config["env"] = json!(["PATH=/bin"]);
        Exec::into(target.pid()).run_config(&config)
    };
    let outcome = run("7:8", &["9"]);
    assert_success(&outcome);
    assert_eq!(outcome.stdout, "/\n");
    assert!(outcome.stderr.contains("/etc/passwd"), "{outcome:?}");
    for (user, additional, file) in [
        ("7", &[][..], "passwd"),
        ("root", &[], "passwd"),
        ("", &[], "passwd"),
        ("7:root", &[], "group"),
        ("7:8", &["root"], "group"),
    ] {
        let outcome = run(user, additional);
        assert_eq!(outcome.stdout, "");
        let wanted = format!("/etc/{file} of the program's root is longer than 16777216 bytes");
        assert_eq!(outcome.message(), wanted);
    }
    // A file of exactly the maximum size is read.
    let target = Target::with_script(
        "dd if=/dev/zero bs=1048576 count=16 | tr '\\0' '\\n' | dd of=/etc/passwd bs=1048576 seek=0 conv=notrunc;
         echo 'root:x:0:0::/h:' | dd of=/etc/passwd bs=1 seek=16777200",
    );
    let length = fs::metadata(target.root().join("etc/passwd"))
        .unwrap()
        .len();
    assert_eq!(length, 16_777_216);
    assert_eq!(self::home(&target), ("/h\n".to_owned(), String::new()));
}
