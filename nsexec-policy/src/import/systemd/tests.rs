use super::*;

const SERVICE: &str = "\
[Unit]
Description=Answers questions
SystemCallFilter=nonsense

[Service]
ExecStart=/usr/bin/answerer --all \\
--verbose
# What a service needs,
SystemCallFilter=@system-service
; without what it does not.
SystemCallFilter=~@resources \\
# between the halves of a line
setuid:EACCES kill:kill
SystemCallErrorNumber=EPERM
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
";

fn import(text: &str) -> Imported {
    read(text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

/// The action for a call; each call is in at most one entry.
fn action(imported: &Imported, call: &str) -> Action {
    let mut found = imported.entries.iter().filter(|entry| {
        assert!(entry.conditions.is_empty());
        entry.names.iter().any(|name| name == call)
    });
    let action = found.next().map_or(imported.default, |entry| entry.action);
    assert_eq!(found.next(), None, "{call} twice");
    action
}

#[track_caller]
fn fault(text: &str, wrong: &str, reason: ImportErrorKind) {
    let fault = read(text.as_bytes()).expect_err(text);
    assert_eq!(fault.reason, reason, "{text}");
    assert_eq!(text.get(fault.span), Some(wrong), "{text}");
}

#[test]
fn a_service_is_read() {
    let policy = import(SERVICE);
    assert_eq!(policy.default, Action::Errno(1));
    assert_eq!(policy.notes, []);
    for (call, expected) in [
        ("read", Action::Allow),
        ("execve", Action::Allow),
        ("futex", Action::Allow),
        ("nice", Action::Errno(1)),
        ("sched_setattr", Action::Errno(1)),
        ("setuid", Action::Errno(13)),
        ("kill", Action::KillProcess),
        ("mount", Action::Errno(1)),
    ] {
        assert_eq!(action(&policy, call), expected, "{call}");
    }
    let comments: Vec<&str> = policy
        .entries
        .iter()
        .filter_map(|entry| entry.comment.as_deref())
        .collect();
    assert_eq!(comments, ["line 9: @system-service", "line 11", "line 11"]);
}

#[test]
fn an_allow_list_contains_the_calls_every_program_needs() {
    let policy = import("SystemCallFilter=openat\n");
    assert_eq!(policy.default, Action::KillProcess);
    for call in [
        "execve",
        "exit_group",
        "getrlimit",
        "rt_sigreturn",
        "openat",
    ] {
        assert_eq!(action(&policy, call), Action::Allow, "{call}");
    }
    assert_eq!(action(&policy, "read"), Action::KillProcess);
    let policy = import("SystemCallFilter=openat\nSystemCallFilter=~execve");
    assert_eq!(action(&policy, "execve"), Action::KillProcess);
}

#[test]
fn a_deny_list_allows_the_rest() {
    let text = "[Socket]\nSystemCallFilter = ~@mount ptrace:38 reboot:kill bpf:0\n\
                SystemCallErrorNumber=EACCES\nSystemCallFilter=umount2";
    let policy = import(text);
    assert_eq!(policy.default, Action::Allow);
    for (call, expected) in [
        ("mount", Action::Errno(13)),
        ("umount2", Action::Allow),
        ("ptrace", Action::Errno(38)),
        ("reboot", Action::KillProcess),
        ("bpf", Action::Errno(0)),
        ("read", Action::Allow),
        ("execve", Action::Allow),
    ] {
        assert_eq!(action(&policy, call), expected, "{call}");
    }
    let policy = import("SystemCallFilter=~ptrace\nSystemCallErrorNumber=kill");
    assert_eq!(action(&policy, "ptrace"), Action::KillProcess);
}

#[test]
fn an_empty_value_resets_the_list() {
    let text = "SystemCallFilter=read\nSystemCallErrorNumber=5\n\
                SystemCallFilter=\nSystemCallErrorNumber=\nSystemCallFilter=~ptrace";
    let policy = import(text);
    assert_eq!(policy.default, Action::Allow);
    assert_eq!(action(&policy, "read"), Action::Allow);
    assert_eq!(action(&policy, "ptrace"), Action::KillProcess);
}

#[test]
fn a_logged_call_is_logged_if_it_is_allowed() {
    let policy = import("SystemCallFilter=@basic-io\nSystemCallLog=read mount");
    assert_eq!(action(&policy, "read"), Action::Log);
    assert_eq!(action(&policy, "write"), Action::Allow);
    assert_eq!(action(&policy, "mount"), Action::KillProcess);
    let policy = import("SystemCallFilter=~ptrace\nSystemCallLog=ptrace mount");
    assert_eq!(action(&policy, "ptrace"), Action::KillProcess);
    assert_eq!(action(&policy, "mount"), Action::Log);
    assert_eq!(policy.default, Action::Allow);
    let policy = import("SystemCallFilter=~ptrace\nSystemCallLog=~read write");
    assert_eq!(action(&policy, "ptrace"), Action::KillProcess);
    assert_eq!(action(&policy, "read"), Action::Allow);
    assert_eq!(policy.default, Action::Log);
    let policy = import("SystemCallLog=@mount\nSystemCallLog=~chroot");
    assert_eq!(policy.default, Action::Allow);
    assert_eq!(action(&policy, "mount"), Action::Log);
    assert_eq!(action(&policy, "chroot"), Action::Allow);
}

#[test]
fn other_architectures_are_noted() {
    let text = "SystemCallFilter=read\nSystemCallArchitectures=native x86 x32\n";
    let policy = import(text);
    let [note] = policy.notes.as_slice() else {
        panic!("{:?}", policy.notes)
    };
    assert_eq!(note.line, 2);
    assert!(note.text.contains("x86, x32"), "{}", note.text);
    assert!(note.text.ends_with("denied instead"), "{}", note.text);
}

#[test]
fn faults_have_their_place() {
    let one = |text: &str| text.to_owned();
    fault(
        "SystemCallFilter=read raed",
        "raed",
        ImportErrorKind::UnknownCall(one("raed")),
    );
    fault(
        "SystemCallFilter=read \\\n  # a \\\n ~write",
        "~write",
        ImportErrorKind::UnknownCall(one("~write")),
    );
    fault(
        "SystemCallFilter=~ @nothing:EPERM",
        "@nothing",
        ImportErrorKind::Undefined(one("@nothing")),
    );
    fault(
        "SystemCallFilter=~read:EFUN",
        "EFUN",
        ImportErrorKind::UnknownConstant(one("EFUN")),
    );
    fault(
        "SystemCallFilter=~read:",
        "",
        ImportErrorKind::UnknownConstant(one("")),
    );
    fault(
        "SystemCallFilter=~read:4096",
        "4096",
        ImportErrorKind::Number(one("4096")),
    );
    fault(
        "SystemCallErrorNumber= 0 ",
        "0",
        ImportErrorKind::Number(one("0")),
    );
    fault(
        "SystemCallErrorNumber=99999999999999999999999",
        "99999999999999999999999",
        ImportErrorKind::Number(one("99999999999999999999999")),
    );
    fault(
        "SystemCallLog=read:EPERM",
        "read:EPERM",
        ImportErrorKind::UnknownCall(one("read:EPERM")),
    );
    fault(
        "SystemCallFilter=read:EPERM",
        "read:EPERM",
        ImportErrorKind::Unsupported("only a line that begins with ~ accepts error numbers"),
    );
    fault(
        "SystemCallFilter= ~ ",
        "~",
        ImportErrorKind::Empty("a list of calls"),
    );
    for text in [
        "",
        "[Unit]\nSystemCallFilter=read",
        "[Service]\nExecStart=/bin/true",
        "SystemCallFilter=~read\nSystemCallFilter=read",
    ] {
        fault(text, text, ImportErrorKind::Empty("SystemCallFilter="));
    }
    let fault = read(b"SystemCallFilter=\xff").expect_err("not UTF-8");
    assert_eq!((fault.span, fault.reason), (17..17, ImportErrorKind::Utf8));
}

#[test]
fn a_line_ends_where_its_backslashes_say() {
    let policy = import("SystemCallFilter=~read \\\r\n write\r\nptrace");
    assert_eq!(action(&policy, "write"), Action::KillProcess);
    assert_eq!(action(&policy, "ptrace"), Action::Allow);
    fault(
        "SystemCallFilter=read\\\\\nwrite",
        "read\\\\",
        ImportErrorKind::UnknownCall("read\\\\".to_owned()),
    );
}

#[test]
fn a_flood_of_groups_ends() {
    let text = format!("SystemCallFilter={}", "@system-service ".repeat(16_000));
    let fault = read(text.as_bytes()).expect_err("too many");
    assert_eq!(fault.reason, ImportErrorKind::TooManyEntries);
}

#[test]
fn truncated_text_does_not_panic() {
    for end in 0..=SERVICE.len() {
        for text in [SERVICE.get(..end), SERVICE.get(end..)] {
            let _ = read(text.unwrap_or_default().as_bytes());
        }
    }
}
