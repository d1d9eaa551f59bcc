//! The root and the working directory of the program, with and without the
//! mount namespace of a target.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use support::{NSEXEC, Target, fail, run, succeed, temporary_directory, text};

/// A directory with a static shell in it, which can be a root.
struct Root(PathBuf);

impl Root {
    fn new() -> Self {
        let root = Self(temporary_directory("root"));
        fs::create_dir_all(root.0.join("bin")).unwrap();
        fs::create_dir_all(root.0.join("work")).unwrap();
        fs::copy("/bin/busybox", root.0.join("bin/busybox")).unwrap();
        for name in ["sh", "pwd", "ls"] {
            std::os::unix::fs::symlink("busybox", root.0.join("bin").join(name)).unwrap();
        }
        root
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `script` in perl, which ends by executing `command`.
fn after(script: &str, command: &Command) -> Command {
    let mut perl = Command::new("perl");
    perl.args(["-e", &format!("{script}; exec @ARGV or die")])
        .arg(command.get_program())
        .args(command.get_args());
    perl
}

#[test]
fn the_callers_directory_stays_even_if_deleted_or_unmounted() {
    support::needs!(root);
    let target = Target::new();
    let directory = temporary_directory("callers");
    for (what, script) in [
        (
            "deleted",
            "mkdir 'gone' and chdir 'gone' and rmdir '../gone' or die",
        ),
        (
            "too long for a path",
            "for (1 .. 25) { mkdir 'd' x 200; chdir 'd' x 200 or die }",
        ),
    ] {
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["-t", &target.pid().to_string(), "-n", "/bin/true"]);
        let nsexec = target.nsexec(["-n", "--", "/bin/true"]);
        for command in [nsenter, nsexec] {
            let mut command = after(script, &command);
            let output = run(std::mem::replace(
                command.current_dir(&directory),
                Command::new("true"),
            ));
            assert!(output.status.success(), "{what}: {}", text(&output.stderr));
        }
    }
    // The directory is on a file system that is no longer mounted.
    let script = "mkdir -p \"$1\" && mount -t tmpfs none \"$1\" && cd \"$1\" && touch here && \
                  umount -l \"$1\" && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(directory.join("detached"))
        .args([
            NSEXEC,
            "-t",
            &target.pid().to_string(),
            "-n",
            "--",
            "/bin/ls",
        ]);
    assert_eq!(succeed(command), "here\n");
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_directory_outside_the_programs_root_is_refused() {
    support::needs!(root);
    let target = Target::with_script("cd /tmp;");
    let root = Root::new();
    let own = format!("-r={}", root.0.display());
    for options in [
        // The target's directory is in another mount namespace.
        &["-u", "-w"][..],
        &["-u", &own, "-w=/usr"],
        &["-u", "-r", "-w=/usr"],
        &["-u", &own, "-w"],
    ] {
        let message = fail(target.nsexec([options, &["--", "/bin/sh"]].concat()), 125);
        assert!(
            message.contains("outside the program's root"),
            "{options:?}: {message}"
        );
    }
    // A joined root has its own working directory; the caller's is not used.
    let mut deleted = after(
        "mkdir 'gone' and chdir 'gone' and rmdir '../gone' or die",
        &target.nsexec(["-m", "--", "pwd", "-P"]),
    );
    deleted.current_dir(&root.0);
    assert_eq!(succeed(deleted), "/\n");
}

#[test]
fn without_a_mount_namespace_the_callers_directory_stays_if_the_root_holds_it() {
    support::needs!(root);
    let target = Target::new();
    let root = Root::new();
    let own = format!("-r={}", root.0.display());
    let pwd = |directory: PathBuf| {
        let mut command = target.nsexec(["-n", &own, "--", "/bin/pwd", "-P"]);
        command.current_dir(directory);
        succeed(command)
    };
    let mut nsenter = Command::new("nsenter");
    let own = format!("-r{}", root.0.display());
    nsenter
        .args([
            "-t",
            &target.pid().to_string(),
            "-n",
            &own,
            "/bin/pwd",
            "-P",
        ])
        .current_dir(root.0.join("work"));
    assert_eq!(succeed(nsenter), "/work\n");
    assert_eq!(pwd(root.0.join("work")), "/work\n");
    assert_eq!(pwd(root.0.clone()), "/\n");
    // nsenter(1) leaves the program outside its root.
    assert_eq!(pwd(PathBuf::from("/usr")), "/\n");
}

#[test]
fn directories_are_looked_up_in_a_mount_namespace_that_is_a_file() {
    support::needs!(root);
    let script = "mkdir -p /tmp/inner/bin /tmp/inner/deep; cp /bin/busybox /tmp/inner/bin; \
                  ln -s busybox /tmp/inner/bin/sh; ln -s busybox /tmp/inner/bin/pwd; \
                  ln -s / /tmp/inner/up;";
    let target = Target::with_script(script);
    let file = format!("--mount=/proc/{}/ns/mnt", target.pid());
    let seen = |options: &[&str]| {
        let mut command = Command::new(NSEXEC);
        command.arg(&file).args(options);
        command.args(["--", "/bin/busybox", "sh", "-c", "pwd -P; echo /*"]);
        succeed(command)
    };
    assert_eq!(seen(&["--root=/tmp/inner"]), "/\n/bin /deep /up\n");
    assert_eq!(
        seen(&["--root=/tmp/inner", "-w=/deep"]),
        "/deep\n/bin /deep /up\n"
    );
    assert_eq!(
        seen(&["--root=/tmp/inner", "-w=/up"]),
        "/\n/bin /deep /up\n"
    );
    assert_eq!(
        seen(&["--root=/tmp/inner", "-W", "/deep"]),
        "/deep\n/bin /deep /up\n"
    );
    let (first, _) = seen(&["-w=/tmp/inner"])
        .split_once('\n')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert_eq!(first, "/tmp/inner");
    let mut command = Command::new(NSEXEC);
    command.args([&file, "--root=/usr", "--", "/bin/true"]);
    let message = fail(command, 125);
    assert!(message.contains("directory /usr"), "{message}");
}

#[test]
fn a_directory_that_cannot_be_entered_is_named() {
    support::needs!(root);
    let target = Target::new();
    for option in ["-W/nope", "-w=/nope"] {
        let message = fail(target.nsexec([option, "--", "true"]), 125);
        assert!(message.contains("/nope"), "{message}");
    }
    let message = fail(
        target.nsexec(["-W", "/nope", "-F", "-m", "--", "true"]),
        125,
    );
    assert!(message.contains("/nope"), "{message}");
}
