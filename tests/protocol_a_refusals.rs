//! Protocol A: requests that are refused, the channel of the error, and the proof that
//! nothing was started.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use nix::sys::wait::WaitStatus;
use serde_json::json;
use support::protocol_a::{Exec, assert_exited, assert_success, config, hand_over, pid_of, shell};
use support::{NSEXEC, Target, temporary_directory};

#[test]
fn wrong_users_are_errors_and_never_root() {
    support::needs!(root);
    let target = Target::with_script("echo 'broken:x:abc:0::/:/bin/sh' >> /etc/passwd;");
    for user in [
        "nobody-here",
        "ann:nogroup",
        "-1",
        "2147483648",
        "broken",
        "ann:",
        ":0",
        "1000x",
    ] {
        let mut config = shell("id -u");
        config["user"] = json!(user);
        let outcome = Exec::into(target.pid()).run_config(&config);
        assert_exited(&outcome, 1);
        assert_ne!(outcome.message(), "", "{user}");
        assert_eq!(outcome.stdout, "", "{user}");
    }
}

#[test]
fn more_passed_files_than_there_are_is_an_error() {
    support::needs!(root);
    let target = Target::new();
    let mut exec = Exec::into(target.pid());
    exec.files.push(File::open("/dev/null").unwrap().into());
    let mut config = shell("true");
    config["passed_files_count"] = json!(2);
    let outcome = exec.run_config(&config);
    assert!(
        outcome.message().contains("descriptor 4 was not passed"),
        "{outcome:?}"
    );
    assert_exited(&outcome, 1);
}

#[test]
fn a_wrong_console_fails_before_a_pid_is_reported() {
    support::needs!(root);
    let target = Target::new();
    let directory = temporary_directory("console");
    let plain = directory.join("plain");
    fs::write(&plain, "").unwrap();
    for console in [
        "/dev/null",
        plain.to_str().unwrap(),
        "/no/such/tty",
        "",
        "/",
    ] {
        let mut exec = Exec::into(target.pid());
        exec.set("_LIBCONTAINER_CONSOLE_PATH", console);
        let outcome = exec.run_config(&shell("true"));
        assert_eq!(outcome.helper.code(), Some(1), "{outcome:?}");
        assert_eq!(outcome.line, "");
        assert!(outcome.stderr.starts_with("nsexec: "), "{outcome:?}");
    }
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_console_of_another_session_fails_before_a_pid_is_reported() {
    support::needs!(root);
    let target = Target::new();
    let pty = nix::pty::openpty(None, None).unwrap();
    let path = nix::unistd::ttyname(&pty.slave).unwrap();
    let mut holder = Command::new("setsid")
        .args([
            "sh",
            "-c",
            "exec < \"$0\" > /dev/null; echo ready >&2; exec sleep 1000",
        ])
        .arg(&path)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut word = [0; 6];
    holder.stderr.take().unwrap().read_exact(&mut word).unwrap();
    let mut exec = Exec::into(target.pid());
    exec.set("_LIBCONTAINER_CONSOLE_PATH", path.to_str().unwrap());
    let outcome = exec.run_config(&shell("true"));
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(outcome.helper.code(), Some(1), "{outcome:?}");
    assert_eq!(outcome.line, "");
    assert!(
        outcome.stderr.contains("controlling terminal"),
        "{outcome:?}"
    );
}

#[test]
fn the_write_end_of_a_pipe_is_enough_for_the_pid() {
    support::needs!(root);
    let target = Target::new();
    let (read, write) = nix::unistd::pipe().unwrap();
    let mut command = Command::new(NSEXEC);
    command.env_clear().arg("init");
    command.env("_LIBCONTAINER_INITPID", target.pid().to_string());
    command.env("_LIBCONTAINER_INITPIPE", "3");
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    hand_over(&mut command, vec![write]);
    let mut helper = command.spawn().unwrap();
    drop(command);
    let mut stderr = helper.stderr.take().unwrap();
    assert!(helper.wait().unwrap().success());
    let mut line = String::new();
    File::from(read).read_to_string(&mut line).unwrap();
    let child = nix::unistd::Pid::from_raw(pid_of(&line));
    let ended = nix::sys::wait::waitpid(child, None).unwrap();
    assert_eq!(ended, WaitStatus::Exited(child, 1));
    let mut message = String::new();
    stderr.read_to_string(&mut message).unwrap();
    assert!(message.contains("no initConfig can be read"), "{message}");
}

#[test]
fn wrong_variables_are_errors_and_nothing_is_written() {
    support::needs!(root);
    let target = Target::new();
    let pid = target.pid().to_string();
    let long = "9".repeat(40);
    let dead = {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id().to_string()
    };
    let cases: [(&str, &[&str]); 3] = [
        (
            "_LIBCONTAINER_INITPID",
            &[
                "",
                "0",
                "-1",
                "012",
                "+3",
                " 3",
                "3 ",
                "0x3",
                "2147483648",
                "2",
                &long,
                &dead,
            ],
        ),
        (
            "_LIBCONTAINER_INITPIPE",
            &["", "0", "1", "2", "-1", "03", "99", "x", "2147483648"],
        ),
        (
            "_LIBCONTAINER_INITTYPE",
            &["", "standard", "SETNS", "setns "],
        ),
    ];
    for (key, values) in cases {
        for value in values {
            let mut exec = Exec::into(target.pid());
            exec.set(key, value);
            let outcome = exec.run_config(&shell("echo started"));
            assert_eq!(outcome.helper.code(), Some(1), "{key}={value}: {outcome:?}");
            assert_eq!((outcome.line.as_str(), outcome.stdout.as_str()), ("", ""));
            assert!(
                outcome.stderr.starts_with("nsexec: "),
                "{key}={value}: {outcome:?}"
            );
        }
    }
    for key in ["_LIBCONTAINER_INITPID", "_LIBCONTAINER_INITPIPE"] {
        let mut exec = Exec::into(target.pid());
        exec.unset(key);
        let outcome = exec.run_config(&shell("echo started"));
        assert_eq!(outcome.helper.code(), Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains(key), "{outcome:?}");
    }
    // libcontainer has one InitPath for both uses, and nsexec creates no container.
    let mut exec = Exec::into(target.pid());
    exec.unset("_LIBCONTAINER_INITPID");
    exec.set("_LIBCONTAINER_INITTYPE", "standard");
    let outcome = exec.run_config(&shell("echo started"));
    assert_eq!(outcome.helper.code(), Some(1), "{outcome:?}");
    let message = "is the first process of a container, and nsexec only joins";
    assert!(outcome.stderr.contains(message), "{outcome:?}");
    let mut exec = Exec::into(pid.parse().unwrap());
    exec.unset("_LIBCONTAINER_INITTYPE");
    assert_success(&exec.run_config(&shell("true")));
}

#[test]
fn a_pipe_that_is_a_file_is_refused() {
    support::needs!(root);
    let target = Target::new();
    let directory = temporary_directory("pipe");
    let path = directory.join("file");
    let mut exec = Exec::into(target.pid());
    let file: OwnedFd = File::create(&path).unwrap().into();
    exec.files.push(file);
    let mut command = Command::new(NSEXEC);
    command.env_clear().arg("init");
    command.env("_LIBCONTAINER_INITPID", target.pid().to_string());
    command.env("_LIBCONTAINER_INITPIPE", "3");
    hand_over(&mut command, exec.files);
    let message = support::fail(command, 1);
    assert!(message.contains("neither a socket nor a pipe"), "{message}");
    assert_eq!(fs::read(&path).unwrap(), b"");
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn wrong_messages_are_errors_in_libcontainers_json() {
    support::needs!(root);
    let target = Target::new();
    let good = shell("echo started").to_string();
    let nested = format!(
        "{{\"args\":[\"true\"],\"config\":{}{}}}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let mut unknown_capability = shell("echo started");
    unknown_capability["capabilities"] = json!(["CAP_NONE"]);
    let mut no_arguments = shell("");
    no_arguments["args"] = json!([]);
    let mut unknown_key = shell("echo started");
    unknown_key["surprise"] = json!(1);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("truncated", good.as_bytes()[..good.len() / 2].to_vec()),
        ("twice", format!("{good}\n{good}\n").into_bytes()),
        ("trailing", format!("{good}\nx").into_bytes()),
        ("64 MiB", vec![b' '; 64 << 20]),
        ("nested", nested.into_bytes()),
        ("no JSON", b"hello\n".to_vec()),
        (
            "not UTF-8",
            good.replace("echo", "\u{fffd}")
                .into_bytes()
                .iter()
                .map(|b| if *b == 0xef { 0xff } else { *b })
                .collect(),
        ),
        ("capability", unknown_capability.to_string().into_bytes()),
        ("arguments", no_arguments.to_string().into_bytes()),
        ("key", unknown_key.to_string().into_bytes()),
        (
            "duplicate",
            good.replacen('{', "{\"cwd\":\"/\",", 1).into_bytes(),
        ),
        ("NUL", shell("a\0b").to_string().into_bytes()),
    ];
    for (case, message) in cases {
        let outcome = Exec::into(target.pid()).run(&message);
        assert_exited(&outcome, 1);
        assert_ne!(outcome.message(), "", "{case}");
        assert_eq!(outcome.stdout, "", "{case}");
        assert!(outcome.answer.ends_with('\n'), "{case}");
    }
}

#[test]
fn the_error_is_shaped_as_libcontainers() {
    support::needs!(root);
    let target = Target::new();
    let outcome = Exec::into(target.pid()).run_config(&config(&["unexistent"]));
    let error: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&outcome.answer).unwrap();
    let sample: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(include_str!("data/proto_a_genericError.json")).unwrap();
    assert_eq!(
        error.keys().collect::<Vec<_>>(),
        sample.keys().collect::<Vec<_>>(),
        "{}",
        outcome.answer
    );
    let time = error["Timestamp"].as_str().unwrap();
    assert_eq!(
        (time.len() > 19, &time[10..11], time.ends_with('Z')),
        (true, "T", true),
        "{time}"
    );
    assert_eq!(outcome.answer.lines().count(), 1);
}

/// execve itself fails, after all descriptors are closed.
#[test]
fn a_file_of_no_format_is_an_error() {
    support::needs!(root);
    let target = Target::with_script("echo garbage > /tmp/bad; chmod 755 /tmp/bad;");
    let outcome = Exec::into(target.pid()).run_config(&config(&["/tmp/bad"]));
    assert!(outcome.message().contains("/tmp/bad"), "{outcome:?}");
    assert!(outcome.message().contains("format"), "{outcome:?}");
    // The same on the command line with -F, in the called process.
    let message = support::fail(target.nsexec(["-m", "-F", "--", "/tmp/bad"]), 126);
    assert!(message.contains("format"), "{message}");
}
