use nsexec_policy_engine::seccomp::profile::Comparison;

use super::super::all_hold;
use super::*;

const SAMPLE: &str = "\
# A decoder that gets its files over a socket.
@frequency ./decoder.frequency
@default kill-thread
read: 1
write: allow
close: 1  # nothing to see
fcntl: arg1 == F_GETFL || \\
       arg1 == F_SETFD && arg2 == FD_CLOEXEC
mmap: arg2 in PROT_READ|PROT_WRITE && arg3 & MAP_SHARED
openat: return ENOENT
prctl: arg0 == PR_SET_NAME || arg0 == 0x59616d61; return EPERM
ioctl: log
ptrace: kill
unshare: user-notify
";

fn entry(name: &str, action: Action, line: usize, conditions: &[(u8, Comparison)]) -> Entry {
    let condition = |(argument, comparison): &(u8, Comparison)| Condition {
        argument: *argument,
        comparison: *comparison,
    };
    Entry {
        names: vec![name.to_owned()],
        action,
        conditions: conditions.iter().map(condition).collect(),
        comment: Some(format!("line {line}")),
    }
}

fn imported(text: &str) -> Imported {
    read(text.as_bytes()).expect("it is a policy")
}

/// The imported profile's answer to a call, decided by nsexec's compiler.
fn answer(imported: &Imported, name: &str, arguments: [u64; 6]) -> Action {
    let named = imported.entries.iter().filter(|e| e.names == [name]);
    let matching = named.filter(|e| all_hold(&e.conditions, &arguments));
    let strictest = matching.map(|e| e.action).max_by_key(|a| a.strictness());
    strictest.unwrap_or(imported.default)
}

#[test]
fn a_policy_becomes_entries() {
    use Action::{Allow, Errno, KillProcess, Log};
    use Comparison::{Equal, GreaterOrEqual, Masked};
    let imported = imported(SAMPLE);
    assert_eq!(imported.default, Action::KillThread);
    let without = Masked { mask: !3, value: 0 };
    let shared = Masked { mask: 1, value: 1 };
    let (start, end) = (
        &imported.entries[..7],
        &imported.entries[imported.entries.len() - 2..],
    );
    assert_eq!(
        start,
        [
            entry("read", Allow, 4, &[]),
            entry("write", Allow, 5, &[]),
            entry("close", Allow, 6, &[]),
            entry("fcntl", Allow, 7, &[(1, Equal(3))]),
            entry("fcntl", Allow, 7, &[(1, Equal(2)), (2, Equal(1))]),
            entry("mmap", Allow, 9, &[(2, without), (3, shared)]),
            entry("openat", Errno(2), 10, &[]),
        ]
    );
    assert_eq!(
        end,
        [
            entry("ioctl", Log, 12, &[]),
            entry("ptrace", KillProcess, 13, &[]),
        ]
    );
    assert!(imported.entries.contains(&entry(
        "prctl",
        Errno(1),
        11,
        &[(0, GreaterOrEqual(0x5961_6d62))]
    )));
    let lines: Vec<usize> = imported.notes.iter().map(|note| note.line).collect();
    assert_eq!(lines, [2, 11, 14]);
    for (argument, action) in [
        (15, Allow),
        (0x5961_6d61, Allow),
        (14, Errno(1)),
        (0, Errno(1)),
    ] {
        assert_eq!(
            answer(&imported, "prctl", [argument, 0, 0, 0, 0, 0]),
            action
        );
    }
    assert_eq!(answer(&imported, "unshare", [0; 6]), Action::KillThread);
}

#[test]
fn an_import_is_a_valid_profile() {
    let json = imported(SAMPLE).to_json().to_string();
    nsexec_policy_engine::seccomp::oci::parse(json.as_bytes())
        .expect("the output is a valid OCI profile");
}

#[test]
fn each_operator_holds_where_minijail_has_it() {
    type Holds = fn(u64) -> bool;
    let operators: [(&str, Holds); 10] = [
        ("== 5", |x| x == 5),
        ("!= 5", |x| x != 5),
        ("< 5", |x| x < 5),
        ("<= 0x5", |x| x <= 5),
        ("> 05", |x| x > 5),
        (">= 5", |x| x >= 5),
        ("& 6", |x| x & 6 != 0),
        ("in 6", |x| x & !6 == 0),
        ("in ~(PROT_EXEC|PROT_WRITE)", |x| x & 6 == 0),
        ("== -1", |x| x == u64::MAX),
    ];
    for (condition, holds) in operators {
        for errno in [None, Some(13)] {
            let tail = errno.map_or("", |_| "; return EACCES");
            let imported = imported(&format!("dup2: arg1 {condition}{tail}\n"));
            let otherwise = errno.map_or(KILL, Action::Errno);
            for x in (0..20).chain([1 << 32, (1 << 32) + 5, u64::MAX - 1, u64::MAX]) {
                let expected = if holds(x) { Action::Allow } else { otherwise };
                let answer = answer(&imported, "dup2", [0, x, 0, 0, 0, 0]);
                assert_eq!(answer, expected, "{condition}{tail} of {x}");
            }
        }
    }
}

#[test]
fn a_condition_over_several_arguments_is_answered_as_written() {
    let text = "socket: arg0 == AF_UNIX && arg1 & 3 && arg2 == 0 \
                || arg0 >= 4 && arg0 <= 9 && arg0 != 6 || arg0 == 2 && arg0 == 3; return EPERM";
    let imported = imported(text);
    for arg0 in 0..12 {
        for arg1 in 0..8 {
            for arg2 in 0..2 {
                let unix = arg0 == 1 && arg1 & 3 != 0 && arg2 == 0;
                let allowed = unix || ((4..=9).contains(&arg0) && arg0 != 6);
                let expected = if allowed {
                    Action::Allow
                } else {
                    Action::Errno(1)
                };
                let answer = answer(&imported, "socket", [arg0, arg1, arg2, 0, 0, 0]);
                assert_eq!(answer, expected, "{arg0} {arg1} {arg2}");
            }
        }
    }
    for entry in &imported.entries {
        let arguments: Vec<u8> = entry.conditions.iter().map(|c| c.argument).collect();
        assert!(arguments.is_sorted_by(|a, b| a < b), "{entry:?}");
    }
    let mut notes = imported.notes.iter().map(|note| note.text.as_str());
    assert!(
        notes
            .next_back()
            .is_some_and(|text| text.ends_with("never applies; left out"))
    );
}

#[test]
fn a_rule_with_too_many_entries_becomes_a_noted_denial() {
    let every_other: Vec<String> = (0..90).map(|n| format!("arg1 == {}", 2 * n)).collect();
    let text = format!("ioctl: {}; return ENOTTY", every_other.join(" || "));
    let with_return = imported(&text);
    assert_eq!(with_return.entries.len(), 90);
    assert_eq!(with_return.notes.len(), 2);
    assert_eq!(
        answer(&with_return, "ioctl", [0, 2, 0, 0, 0, 0]),
        Action::Allow
    );
    assert_eq!(answer(&with_return, "ioctl", [0, 3, 0, 0, 0, 0]), KILL);
    let text = text
        .replace("==", "!=")
        .replace("||", "&&")
        .replace("; return ENOTTY", "");
    let left_out = imported(&text);
    assert_eq!(left_out.entries, []);
    assert!(left_out.notes[0].text.ends_with("denied instead"));
}

/// `text` marks the invalid part with brackets, which are removed.
#[track_caller]
fn refused(text: &str, reason: ImportErrorKind) {
    let (before, rest) = text.split_once('⟨').expect("a bracket");
    let (wrong, after) = rest.split_once('⟩').expect("a bracket");
    let clean = format!("{before}{wrong}{after}");
    let span = before.len()..before.len() + wrong.len();
    assert_eq!(
        read(clean.as_bytes()),
        Err(Fault { span, reason }),
        "{clean}"
    );
}

#[test]
fn an_invalid_rule_is_an_error_with_its_span() {
    let owned = str::to_owned;
    refused(
        "read: 1\n⟨raed⟩: 1",
        ImportErrorKind::UnknownCall(owned("raed")),
    );
    refused(
        "read: 1\n⟨read⟩: 1\n",
        ImportErrorKind::Repeated(owned("read")),
    );
    refused(
        "@default kill\n⟨@default⟩ trap\n",
        ImportErrorKind::Repeated(owned("@default")),
    );
    refused("dup: ⟨arg6⟩ == 1", ImportErrorKind::Argument(owned("arg6")));
    refused(
        "dup: ⟨arg999⟩ == 1",
        ImportErrorKind::Argument(owned("arg999")),
    );
    refused("dup: arg0 == ⟨08⟩", ImportErrorKind::Number(owned("08")));
    refused("dup: arg0 == ⟨-⟩", ImportErrorKind::Number(owned("-")));
    refused("dup: arg0 == ⟨0x⟩", ImportErrorKind::Number(owned("0x")));
    refused(
        "dup: arg0 == ⟨0x10000000000000000⟩",
        ImportErrorKind::Number(owned("0x10000000000000000")),
    );
    refused(
        "dup: arg0 == ⟨-9223372036854775809⟩",
        ImportErrorKind::Number(owned("-9223372036854775809")),
    );
    refused(
        "open: arg1 == O_RDONLY|⟨O_DIRECTORY⟩",
        ImportErrorKind::UnknownConstant(owned("O_DIRECTORY")),
    );
    refused(
        "dup: return ⟨EWRONG⟩",
        ImportErrorKind::UnknownConstant(owned("EWRONG")),
    );
    refused("⟨# nothing\n⟩", ImportErrorKind::Empty("the policy"));
}

#[test]
fn an_unexpected_token_is_an_error_with_its_span() {
    let expected = |text, what| refused(text, ImportErrorKind::Expected(what));
    expected("read⟨⟩", "`:`");
    expected("read⟨;⟩ 1", "`:`");
    expected("read: 1 ⟨1⟩", "the end of the line");
    expected("⟨:⟩ 1", "a system call, @default or @frequency");
    expected("⟨@defaul⟩ kill", "a system call, @default or @frequency");
    let what = "kill, kill-process, kill-thread or trap; there is no other default";
    expected("@default ⟨allow⟩", what);
    let what = "a condition such as `arg0 == 1`, or an action: 1, allow, log, trap, kill, \
                return ERRNO";
    expected("read: ⟨2⟩", what);
    expected("read: ⟨\n⟩", what);
    expected("dup: arg0 == 1 && ⟨1⟩", "arg0 to arg5");
    expected("dup: arg0 ⟨=⟩ 1", "one of == != < <= > >= & in");
    expected("dup: arg0 == ⟨⟩", "a number or the name of one");
    expected("dup: arg0 == ~⟨~⟩1", "a number or the name of one");
    expected("dup: arg0 == (1|2⟨⟩", "`)` or `|`");
    expected("dup: return ⟨4096⟩", "an errno of 0 to 4095");
    expected("dup: ⟨?⟩", "a word, a number or an operator");
    expected("dup: ⟨é⟩", "a word, a number or an operator");
    expected("dup: ⟨\\⟩ 1", "the end of the line after `\\`");
    expected("# dup: ⟨\\⟩\nread: 1", "no `\\` at the end of a comment");
    let deep = format!("dup: arg0 == {}⟨(⟩1", "(".repeat(16));
    expected(&deep, "fewer parentheses");
}

#[test]
fn an_unsupported_feature_is_an_error_with_its_span() {
    let unsupported = |text, what| refused(text, ImportErrorKind::Unsupported(what));
    unsupported("⟨@include⟩ /etc/common.policy", INCLUDE);
    unsupported("⟨@denylist⟩\nread: return EPERM", DENYLIST);
    unsupported("⟨{⟩read, write}: 1", BRACES);
    unsupported("read: ⟨{⟩arg0 == 1; allow}", BRACES);
    unsupported("read⟨[⟩arch=arm]: 1", ARCH);
    unsupported("dup: arg0 == 1; ⟨kill⟩", OTHERWISE);
    unsupported("dup: arg0 == 1; ⟨⟩", OTHERWISE);
}

#[test]
fn policies_that_are_too_long_or_make_too_much_are_refused() {
    let bits = "read: arg0 & 0x5555555555555555 && arg1 & 3\n".replace("read", "dup");
    assert!(read(bits.as_bytes()).expect("it is a policy").entries.len() <= 64);
    let many = vec!["arg0 == 1"; MAX_ENTRIES + 1].join("||");
    let error = read(format!("dup: {many}").as_bytes()).expect_err("too many");
    assert_eq!(error.reason, ImportErrorKind::TooManyEntries);
    let long = "#".repeat(super::super::MAX_BYTES + 1);
    let error = read(long.as_bytes()).expect_err("too long");
    assert_eq!(error.reason, ImportErrorKind::TooLong(long.len()));
    let error = read(b"read: 1\n\xff").expect_err("not UTF-8");
    assert_eq!((error.span, error.reason), (8..8, ImportErrorKind::Utf8));
}

#[test]
fn no_part_of_a_policy_panics() {
    let soup = "dup: arg0 &&|| in ~((|\\ \\\n;return 0x-1 é@include {[\0\r#\\";
    for text in [SAMPLE, soup] {
        for (at, _) in text.char_indices() {
            let _ = read(&text.as_bytes()[..at]);
            let _ = read(&text.as_bytes()[at..]);
            let _ = read(format!("{}{}", &text[at..], &text[..at]).as_bytes());
        }
    }
}
