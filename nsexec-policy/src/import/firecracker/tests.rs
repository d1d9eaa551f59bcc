use nsexec_policy_engine::seccomp::profile::{Comparison, Condition};

use super::super::all_hold;
use super::*;

const SAMPLE: &str = r#"{
  "device": {
    "default_action": "trap",
    "filter_action": "allow",
    "filter": [
      { "syscall": "read" },
      { "syscall": "write", "comment": "to the tap device" },
      {
        "syscall": "fcntl",
        "args": [
          { "index": 1, "type": "dword", "op": "eq", "val": 2, "comment": "F_SETFD" },
          { "index": 2, "type": "qword", "op": "eq", "val": 1 }
        ]
      },
      {
        "syscall": "mmap",
        "args": [{ "index": 3, "type": "dword", "op": {"masked_eq": 1}, "val": 3 }]
      },
      { "syscall": "ioctl", "args": [{ "index": 1, "type": "qword", "op": "eq", "val": 1 }] },
      { "syscall": "ioctl", "args": [{ "index": 1, "type": "qword", "op": "eq", "val": 9 }] }
    ]
  },
  "api": {
    "mismatch_action": { "errno": 38 },
    "match_action": "kill_process",
    "filter": [{ "syscall": "ptrace" }]
  }
}"#;

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

/// A filter of one thread with these rules.
fn filter(default: &str, action: &str, rules: &str) -> String {
    format!(
        "{{\"vmm\": {{\"default_action\": {default}, \"filter_action\": {action}, \
         \"filter\": [{rules}]}}}}"
    )
}

fn imported(default: &str, action: &str, rules: &str) -> Imported {
    read(filter(default, action, rules).as_bytes(), None).expect("it is a filter")
}

fn holds(imported: &Imported, x: u64) -> bool {
    imported.entries.iter().any(|entry| {
        assert!(entry.conditions.len() < 2, "an argument is named twice");
        all_hold(&entry.conditions, &[x; 6])
    })
}

#[test]
fn the_filter_of_the_named_thread_becomes_entries() {
    use Action::Allow;
    use Comparison::{Equal, Masked};
    let device = read(SAMPLE.as_bytes(), Some("device")).expect("it is a filter");
    let low = |mask, value| Masked { mask, value };
    let expected = Imported {
        default: Action::Trap,
        entries: vec![
            entry("read", Allow, 6, &[]),
            entry("write", Allow, 7, &[]),
            entry(
                "fcntl",
                Allow,
                9,
                &[(1, low(0xffff_ffff, 2)), (2, Equal(1))],
            ),
            entry("mmap", Allow, 16, &[(3, low(1, 1))]),
            entry("ioctl", Allow, 19, &[(1, Equal(1))]),
            entry("ioctl", Allow, 20, &[(1, Equal(9))]),
        ],
        notes: Vec::new(),
    };
    assert_eq!(device, expected);
    let json = device.to_json().to_string();
    nsexec_policy_engine::seccomp::oci::parse(json.as_bytes())
        .expect("the output is a valid OCI profile");

    let api = read(SAMPLE.as_bytes(), Some("api")).expect("it is a filter");
    assert_eq!(api.default, Action::Errno(38));
    assert_eq!(api.entries, [entry("ptrace", Action::KillProcess, 26, &[])]);
}

#[test]
fn each_action_has_its_equivalent() {
    for (written, action) in [
        ("\"allow\"", Action::Allow),
        ("\"log\"", Action::Log),
        ("\"trap\"", Action::Trap),
        ("\"kill_thread\"", Action::KillThread),
        ("\"kill_process\"", Action::KillProcess),
        ("{\"errno\": 4095}", Action::Errno(4095)),
    ] {
        let read = r#"{"syscall": "read"}"#;
        let other = r#"{"errno": 7}"#;
        assert_eq!(imported(written, other, read).default, action);
        let entries = imported(other, written, read).entries;
        assert_eq!(entries, [entry("read", action, 1, &[])]);
    }
}

#[test]
fn each_operator_holds_where_seccompiler_has_it() {
    type Holds = fn(u64) -> bool;
    let operators: [(&str, Holds); 7] = [
        ("\"eq\"", |x| x == 5),
        ("\"ne\"", |x| x != 5),
        ("\"ge\"", |x| x >= 5),
        ("\"gt\"", |x| x > 5),
        ("\"le\"", |x| x <= 5),
        ("\"lt\"", |x| x < 5),
        ("{\"masked_eq\": 6}", |x| x & 6 == 4),
    ];
    for (op, expected) in operators {
        for (width, mask) in [("dword", 0xffff_ffff), ("qword", u64::MAX)] {
            for (default, action) in [("\"trap\"", "\"allow\""), ("\"allow\"", "\"trap\"")] {
                let arg = format!(r#"{{"index": 0, "type": "{width}", "op": {op}, "val": 5}}"#);
                let rule = format!(r#"{{"syscall": "dup", "args": [{arg}]}}"#);
                let imported = imported(default, action, &rule);
                assert_eq!(imported.notes, []);
                for high in [0, 1 << 32, 0xffff_ffff << 32] {
                    for low in (0..10).chain([0x7fff_ffff, 0xffff_ffff]) {
                        let x: u64 = high | low;
                        let found = holds(&imported, x);
                        assert_eq!(found, expected(x & mask), "{width} {op} {x:#x}");
                    }
                }
            }
        }
    }
}

#[test]
fn an_argument_that_is_named_twice_has_to_satisfy_both() {
    let arg = |op, val| format!(r#"{{"index": 0, "type": "qword", "op": "{op}", "val": {val}}}"#);
    let rule = |a, b| format!(r#"{{"syscall": "dup", "args": [{a}, {b}]}}"#);
    let range = imported("\"trap\"", "\"allow\"", &rule(arg("ge", 3), arg("lt", 9)));
    for x in 0..20 {
        assert_eq!(holds(&range, x), (3..9).contains(&x), "{x}");
    }
    let none = imported("\"trap\"", "\"allow\"", &rule(arg("eq", 3), arg("eq", 9)));
    assert_eq!(none.entries, []);
    assert!(none.notes[0].text.ends_with("left out"));
}

#[test]
fn rules_with_and_without_args_combine_to_the_stricter() {
    let arg = r#"{"index": 0, "type": "qword", "op": "eq", "val": 3}"#;
    let rules = format!(r#"{{"syscall": "dup"}}, {{"syscall": "dup", "args": [{arg}]}}"#);
    let allowing = imported("\"trap\"", "\"allow\"", &rules);
    let conditions = [(0, Comparison::Equal(3))];
    assert_eq!(
        allowing.entries,
        [entry("dup", Action::Allow, 1, &conditions)]
    );
    assert_eq!(allowing.notes.len(), 1);
    let denying = imported("\"allow\"", "\"trap\"", &rules);
    assert_eq!(denying.entries[0], entry("dup", Action::Trap, 1, &[]));
    assert_eq!(denying.notes, []);
}

#[test]
fn args_that_take_too_many_entries_err_to_the_strict_side() {
    let ne = |index| format!(r#"{{"index": {index}, "type": "dword", "op": "ne", "val": 5}}"#);
    let rule = format!(r#"{{"syscall": "dup2", "args": [{}, {}]}}"#, ne(0), ne(1));
    let allowing = imported("\"trap\"", "\"allow\"", &rule);
    assert_eq!(allowing.entries, []);
    assert!(
        allowing.notes[0]
            .text
            .ends_with("the default answers instead")
    );
    let denying = imported("\"allow\"", "\"trap\"", &rule);
    assert_eq!(denying.entries, [entry("dup2", Action::Trap, 1, &[])]);
    assert!(denying.notes[0].text.ends_with("all arguments instead"));
}

/// `text` marks the invalid part with brackets, which are removed.
#[track_caller]
fn refused(text: &str, thread: Option<&str>, reason: ImportErrorKind) {
    let (before, rest) = text.split_once('⟨').expect("a bracket");
    let (wrong, after) = rest.split_once('⟩').expect("a bracket");
    let clean = format!("{before}{wrong}{after}");
    let span = before.len()..before.len() + wrong.len();
    assert_eq!(
        read(clean.as_bytes(), thread),
        Err(Fault { span, reason }),
        "{clean}"
    );
}

#[test]
fn an_invalid_rule_is_an_error_with_its_span() {
    let rule = |rule: &str, reason| {
        let rule = rule.replace("TYPE", r#""type": "dword", "op": "eq""#);
        refused(&filter("\"trap\"", "\"allow\"", &rule), None, reason);
    };
    rule(
        r#"{"syscall": "⟨raed⟩"}"#,
        ImportErrorKind::UnknownCall("raed".to_owned()),
    );
    rule(
        r#"{"syscall": "⟨read⟩", "args": []}"#,
        ImportErrorKind::Empty("args"),
    );
    rule(
        r#"{"syscall": "⟨read⟩", "args": [{"index": 6, TYPE, "val": 1}]}"#,
        ImportErrorKind::Argument("6".to_owned()),
    );
    rule(
        r#"{"syscall": "⟨read⟩", "args": [{"index": 0, TYPE, "val": 4294967296}]}"#,
        ImportErrorKind::Expected("a val that fits the 32 bits of a dword"),
    );
    let thread = |action: &str, rules: &str, reason| {
        let text = filter("\"trap\"", action, rules).replace("vmm", "⟨vmm⟩");
        refused(&text, None, reason);
    };
    let read = r#"{"syscall": "read"}"#;
    thread("\"allow\"", "", ImportErrorKind::Empty("filter"));
    thread("\"trap\"", read, ImportErrorKind::Unsupported(SAME));
    thread(
        "{\"errno\": 4096}",
        read,
        ImportErrorKind::Expected("an errno of 0 to 4095"),
    );
    thread(
        "{\"trace\": 1}",
        read,
        ImportErrorKind::Unsupported("trace: nsexec has no tracer"),
    );
}

#[test]
fn a_thread_is_found_or_must_be_named() {
    let second = SAMPLE.replace("\"api\"", "\"⟨api⟩\"");
    let what = "name one of the threads with --thread";
    refused(&second, None, ImportErrorKind::Unsupported(what));
    let all = format!("⟨{SAMPLE}⟩");
    refused(
        &all,
        Some("vcpu"),
        ImportErrorKind::Undefined("vcpu".to_owned()),
    );
    refused("⟨{}⟩", None, ImportErrorKind::Empty("the map of threads"));
    refused(
        "⟨{}⟩",
        Some("api"),
        ImportErrorKind::Empty("the map of threads"),
    );
    let twice = second.replace("device", "api");
    refused(
        &twice,
        Some("api"),
        ImportErrorKind::Repeated("api".to_owned()),
    );
}

#[test]
fn json_of_another_shape_is_refused() {
    let json = |text: &str, part: &str| {
        let error = read(text.as_bytes(), None).expect_err("it is of another shape");
        let ImportErrorKind::Json(message) = error.reason else {
            panic!("{text}: {:?}", error.reason);
        };
        assert!(message.contains(part), "{text}: {message}");
        assert!(!message.contains(" at line "), "{message}");
    };
    json("", "EOF");
    json("[]", "a map of threads");
    json("{} {}", "trailing characters");
    let rule = |rule: &str, part| json(&filter("\"trap\"", "\"allow\"", rule), part);
    rule("{}", "missing field `syscall`");
    rule(r#"{"syscall": "read", "arg": []}"#, "unknown field `arg`");
    rule(
        r#"{"syscall": "read", "syscall": "read"}"#,
        "duplicate field `syscall`",
    );
    rule(r#"{"syscall": "read", "comment": 1}"#, "a string");
    let arg = |rest: &str, part| {
        let arg = format!(r#"{{"syscall": "dup", "args": [{{"index": 0, {rest}}}]}}"#);
        rule(&arg, part);
    };
    arg(
        r#""type": "word", "op": "eq", "val": 1"#,
        "unknown variant `word`",
    );
    arg(
        r#""type": "dword", "op": "equal", "val": 1"#,
        "unknown variant `equal`",
    );
    arg(r#""type": "dword", "op": "eq", "val": -1"#, "invalid value");
    arg(
        r#""type": "dword", "op": "eq", "val": 1, "val": 1"#,
        "duplicate field `val`",
    );
    arg(r#""type": "dword", "op": "eq""#, "missing field `val`");
    json(
        &filter("\"notify\"", "\"allow\"", ""),
        "unknown variant `notify`",
    );
    let both = filter("\"trap\", \"mismatch_action\": \"trap\"", "\"allow\"", "");
    json(&both, "duplicate field `mismatch_action`");
}

#[test]
fn a_fault_of_json_is_at_its_line_and_column() {
    let text = SAMPLE.replace("\"api\": {", "\"api\": ?");
    let at = text.find('?').expect("it was put there");
    let error = read(text.as_bytes(), Some("api")).expect_err("no JSON");
    assert_eq!(error.span, at..at + 1);
    let error = read(b"{\"\xff\": 1}", None).expect_err("not UTF-8");
    assert_eq!((error.span, error.reason), (2..2, ImportErrorKind::Utf8));
}

#[test]
fn filters_that_make_too_many_entries_are_refused() {
    let rules = vec![r#"{"syscall":"read"}"#; MAX_ENTRIES + 1].join(",");
    let text = filter("\"trap\"", "\"allow\"", &rules);
    let error = read(text.as_bytes(), None).expect_err("too many");
    assert_eq!(error.reason, ImportErrorKind::TooManyEntries);
    assert_eq!(text.get(error.span), Some("read"));
}

#[test]
fn no_part_of_a_filter_panics() {
    for at in 0..SAMPLE.len() {
        for thread in [None, Some("device"), Some("")] {
            let _ = read(&SAMPLE.as_bytes()[..at], thread);
            let _ = read(&SAMPLE.as_bytes()[at..], thread);
            let mut changed = SAMPLE.as_bytes().to_vec();
            changed[at] = changed[at].wrapping_add(1);
            let _ = read(&changed, thread);
            changed[at] = b'\\';
            let _ = read(&changed, thread);
        }
    }
    let deep = "{\"a\":".repeat(10_000);
    assert!(read(deep.as_bytes(), None).is_err());
}
