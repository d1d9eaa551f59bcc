use super::super::all_hold;
use super::*;

const SAMPLE: &str = "\
// The calls of a small tool.
#define PROT_EXEC 4
#define TCGETS 0x5401

POLICY files {
  ALLOW {
    openat { (flags & 3) == 0 },
    read, newfstat, close,
    write { fd == 1 || fd == 2 }
  }
}

POLICY memory {
  ERRNO(12) { mmap { (prot & PROT_EXEC) != 0 } },
  ALLOW { brk, mmap, munmap { len <= 0x100000 } }
}

/* The terminal, and
   nothing else. */
POLICY all {
  USE files,
  USE memory,
  ALLOW { ioctl(fd, request, arg) { request == TCGETS, request == 0b11 } },
  ERRNO(25) { ioctl },
  TRAP(7) { ptrace }
}

USE all
DEFAULT KILL_PROCESS
";

fn import(text: &str) -> Imported {
    read(text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

/// The answer of the native form: the strictest entry, or else the default.
fn answer(imported: &Imported, call: &str, arguments: &[u64; 6]) -> Action {
    let mut strictest: Option<Action> = None;
    for entry in &imported.entries {
        assert!(
            entry
                .conditions
                .is_sorted_by(|a, b| a.argument < b.argument)
        );
        let named = entry.names.iter().filter(|name| *name == call).count();
        assert!(named <= 1, "{call} twice in an entry");
        if named == 1 && all_hold(&entry.conditions, arguments) {
            if let Some(other) = strictest
                && other.strictness() == entry.action.strictness()
            {
                assert_eq!(other, entry.action, "two that are as strict");
            }
            if strictest.is_none_or(|other| other.strictness() < entry.action.strictness()) {
                strictest = Some(entry.action);
            }
        }
    }
    strictest.unwrap_or(imported.default)
}

#[track_caller]
fn answers(imported: &Imported, call: &str, first: &[u64], expected: Action) {
    let mut arguments = [0; 6];
    for (argument, value) in arguments.iter_mut().zip(first) {
        *argument = *value;
    }
    assert_eq!(
        answer(imported, call, &arguments),
        expected,
        "{call} {first:?}"
    );
}

#[track_caller]
fn fault(text: &str, wrong: &str, reason: ImportErrorKind) {
    let fault = read(text.as_bytes()).expect_err(text);
    assert_eq!(fault.reason, reason, "{text}");
    assert_eq!(text.get(fault.span), Some(wrong), "{text}");
}

#[test]
fn a_policy_is_read() {
    let policy = import(SAMPLE);
    assert_eq!(policy.default, Action::KillProcess);
    let (allow, kill) = (Action::Allow, Action::KillProcess);
    answers(&policy, "openat", &[3, 9, 0o100], allow);
    answers(&policy, "openat", &[3, 9, 0o101], kill);
    answers(&policy, "fstat", &[], allow);
    answers(&policy, "write", &[1], allow);
    answers(&policy, "write", &[0x7_0000_0002], allow);
    answers(&policy, "write", &[3], kill);
    answers(&policy, "mmap", &[0, 0, 3], allow);
    answers(&policy, "mmap", &[0, 0, 5], Action::Errno(12));
    answers(&policy, "munmap", &[0, 0x10_0000], allow);
    answers(&policy, "munmap", &[0, 0x10_0001], kill);
    answers(&policy, "ioctl", &[0, 0x5401], allow);
    answers(&policy, "ioctl", &[0, 3], allow);
    answers(&policy, "ioctl", &[0, 4], Action::Errno(25));
    answers(&policy, "ptrace", &[], Action::Trap);
    let [note] = policy.notes.as_slice() else {
        panic!("{:?}", policy.notes)
    };
    assert_eq!(note.line, 25);
    assert!(note.text.starts_with("TRAP(7)"), "{}", note.text);
}

#[test]
fn calls_without_conditions_share_an_entry() {
    let policy = import("ALLOW { read, write { fd == 1 },\n close } LOG { openat }");
    assert_eq!(policy.default, Action::KillThread);
    let seen: Vec<(Vec<&str>, Action, &str)> = policy
        .entries
        .iter()
        .map(|entry| {
            (
                entry.names.iter().map(String::as_str).collect(),
                entry.action,
                entry.comment.as_deref().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (vec!["read", "close"], Action::Allow, "line 1"),
            (vec!["write"], Action::Allow, "line 1"),
            (vec!["openat"], Action::Log, "line 2"),
        ]
    );
}

#[test]
fn actions_have_their_equals() {
    let text = "ALLOW { read } LOG { write } KILL { openat } KILL_THREAD { close }\
                KILL_PROCESS { fork } DENY { vfork } ERRNO(13) { execve } TRAP(0) { kill }\
                ERRNO(65535) { bpf } #define EIO 5\nERRNO(EIO) { mount } DEFAULT LOG";
    let policy = import(text);
    assert_eq!((policy.default, &policy.notes), (Action::Log, &Vec::new()));
    for (call, expected) in [
        ("read", Action::Allow),
        ("write", Action::Log),
        ("openat", Action::KillThread),
        ("close", Action::KillThread),
        ("fork", Action::KillProcess),
        ("vfork", Action::KillThread),
        ("execve", Action::Errno(13)),
        ("kill", Action::Trap),
        ("bpf", Action::Errno(4095)),
        ("mount", Action::Errno(5)),
    ] {
        answers(&policy, call, &[], expected);
    }
}

#[test]
fn an_action_that_needs_a_process_becomes_a_noted_denial() {
    for (default, expected) in [
        ("", Action::KillThread),
        ("DEFAULT ALLOW", Action::Errno(1)),
        ("DEFAULT ERRNO(38)", Action::Errno(38)),
    ] {
        let text =
            format!("ALLOW {{ read }}\nTRACE(1) {{ openat }}\nUSER_NOTIF {{ mount }} {default}");
        let policy = import(&text);
        answers(&policy, "openat", &[], expected);
        answers(&policy, "mount", &[], expected);
        let lines: Vec<usize> = policy.notes.iter().map(|note| note.line).collect();
        assert_eq!(lines, [2, 3], "{default}");
    }
    let policy = import("ALLOW { read }\nDEFAULT TRACE(2)");
    assert_eq!(policy.default, Action::Errno(1));
    assert_eq!(policy.notes.len(), 1);
    // An unused policy gets no note.
    let policy = import("POLICY a { TRACE(1) { read } } ALLOW { read }");
    assert_eq!(policy.notes, []);
}

#[test]
fn each_operator_compares_correctly() {
    let (allow, kill) = (Action::Allow, Action::KillThread);
    let max = u64::MAX;
    for (expression, yes, no) in [
        ("a == 5", &[5][..], &[4, 6, max][..]),
        ("a != 5", &[4, 6, max], &[5]),
        ("a < 5", &[0, 4], &[5, max]),
        ("a <= 5", &[0, 5], &[6, max]),
        ("a > 5", &[6, max], &[0, 5]),
        ("a >= 5", &[5, max], &[0, 4]),
        ("5 > a", &[0, 4], &[5, max]),
        ("a == -1", &[max], &[0, 0xffff_ffff]),
        ("a & 6 == 2", &[2, 3, 10], &[0, 6]),
        ("(a & 6) != 0", &[2, 4, 7], &[0, 1, 9]),
        ("(a | 4) == 6", &[2, 6], &[4, 7]),
        ("a == 1|4", &[5], &[1, 4]),
        ("a & (1 | 4) == 5", &[5, 7], &[1, 4]),
        ("a == 1 || a == 2 && a == 3", &[1], &[2, 3]),
        ("a == 1, a == 2", &[1, 2], &[3]),
        ("(a == 1, a == 2) && !(a == 2)", &[1], &[2, 3]),
        ("!a == 1 && ((a)) < 3", &[0, 2], &[1, 3]),
        ("5 <= a && a <= 9", &[5, 7, 9], &[4, 10]),
        ("a > 4 && (a & 1) == 0 && a != 8", &[6, 10], &[4, 5, 8]),
        ("1 == 1", &[0, max], &[]),
    ] {
        let policy = import(&format!("ALLOW {{ read(a) {{ {expression} }}, write }}"));
        for (values, expected) in [(yes, allow), (no, kill)] {
            for value in values {
                assert_eq!(
                    answer(&policy, "read", &[*value, 1, 1, 1, 1, 1]),
                    expected,
                    "{expression} {value}"
                );
            }
        }
        assert_eq!(policy.notes, []);
    }
}

#[test]
fn the_first_rule_wins() {
    let (allow, denied) = (Action::Allow, Action::Errno(1));
    let policy = import("ALLOW { kill { sig == 0 } } ERRNO(1) { kill } DEFAULT ALLOW");
    answers(&policy, "kill", &[9, 0], allow);
    answers(&policy, "kill", &[9, 9], denied);
    let policy = import("ERRNO(1) { kill { sig == 9 } } ALLOW { kill } KILL { kill }");
    answers(&policy, "kill", &[9, 9], denied);
    answers(&policy, "kill", &[9, 0], allow);
    let policy = import("ERRNO(1) { kill { sig == 9 } } ERRNO(2) { kill }");
    answers(&policy, "kill", &[9, 9], denied);
    answers(&policy, "kill", &[9, 1], Action::Errno(2));
    // Final rules equal to the default need no entries.
    let policy = import("ALLOW { kill { sig != 9 } } KILL { kill }");
    assert!(policy.entries.iter().all(|entry| entry.action == allow));
    answers(&policy, "kill", &[9, 9], Action::KillThread);
}

#[test]
fn used_policies_are_expanded_in_place() {
    let policy = import(
        "POLICY a { ALLOW { read } } POLICY b { ERRNO(1) { read, write } }\
         POLICY c { } POLICY d { USE b, USE a } USE a, b, USE c, ALLOW { } USE d",
    );
    answers(&policy, "read", &[], Action::Allow);
    answers(&policy, "write", &[], Action::Errno(1));
    let mut chain = "POLICY p0 { ALLOW { read, write } }".to_owned();
    for step in 1..40 {
        chain += &format!("POLICY p{step} {{ USE p{0}, USE p{0} }}\n", step - 1);
    }
    let fault = read(chain.as_bytes()).expect_err("it doubles");
    assert_eq!(fault.reason, ImportErrorKind::TooManyEntries);
}

#[test]
fn faults_of_the_grammar_have_their_place() {
    let expected =
        |text: &str, wrong: &str, what| fault(text, wrong, ImportErrorKind::Expected(what));
    expected("ALLOW read", "read", "{");
    expected("ALLOW { read", "", ", or }");
    expected("ALLOW { read write", "write", ", or }");
    expected("ALLOW { read, }", "}", "a system call");
    expected("PERMIT { read }", "PERMIT", "USE or an action");
    expected("ERRNO { read }", "{", "(");
    expected("ERRNO(1 { read }", "{", ")");
    expected("ERRNO(,) { read }", ",", "a number");
    expected("POLICY { }", "{", "the name of a policy");
    expected("POLICY a { ALLOW { read }", "", ", or }");
    expected("USE", "", "the name of a policy");
    expected("DEFAULT 1", "1", "USE or an action");
    expected("#undef A", "undef", "#define");
    expected("#define 1 A", "1", "the name of a constant");
    expected("#define A B", "B", "a number");
    expected("ALLOW { read(1) }", "1", "the name of an argument");
    expected("ALLOW { read { fd } }", "}", "a comparison");
    expected("ALLOW { read { !fd } }", "}", "a comparison");
    expected("ALLOW { read { fd == } }", "}", "a number or an argument");
    expected("ALLOW { read { fd == 1 == 2 } }", "==", "}");
    expected(
        "ALLOW { read { fd == (fd == 2) } }",
        "}",
        "a number or an argument before this",
    );
    expected(
        "ALLOW { read { (fd == 2) & 1 } }",
        "&",
        "&& or || behind a comparison",
    );
    expected("ALLOW { read ; }", ";", "a name, a number or an operator");
    expected("ALLOW { /* read }", "/*", "*/ at the end of the comment");
}

#[test]
fn faults_of_names_and_numbers_have_their_place() {
    let own = str::to_owned;
    fault(
        "ALLOW { raed }",
        "raed",
        ImportErrorKind::UnknownCall(own("raed")),
    );
    fault("USE a", "a", ImportErrorKind::Undefined(own("a")));
    fault(
        "POLICY a { USE a }",
        "a",
        ImportErrorKind::Undefined(own("a")),
    );
    fault(
        "ALLOW { read { df == 1 } }",
        "df",
        ImportErrorKind::Undefined(own("df")),
    );
    fault(
        "ALLOW { read() { fd == 1 } }",
        "fd",
        ImportErrorKind::Undefined(own("fd")),
    );
    fault(
        "ALLOW { getpid { fd == 1 } }",
        "fd",
        ImportErrorKind::Undefined(own("fd")),
    );
    fault(
        "ERRNO(EIO) { read }",
        "EIO",
        ImportErrorKind::Undefined(own("EIO")),
    );
    fault(
        "ERRNO(65536) { read }",
        "65536",
        ImportErrorKind::Number(own("65536")),
    );
    fault(
        "ALLOW { read { fd == 08 } }",
        "08",
        ImportErrorKind::Number(own("08")),
    );
    fault(
        "POLICY a { } POLICY a { }",
        "a",
        ImportErrorKind::Repeated(own("a")),
    );
    fault(
        "#define A 1\n#define A 1\n#define A 2",
        "A",
        ImportErrorKind::Repeated(own("A")),
    );
    fault(
        "DEFAULT KILL DEFAULT KILL",
        "DEFAULT",
        ImportErrorKind::Repeated(own("DEFAULT")),
    );
    fault(
        "ALLOW { read(a, b, a) }",
        "a",
        ImportErrorKind::Repeated(own("a")),
    );
    fault(
        "ALLOW { read(a, b, c, d, e, f, g) }",
        "g",
        ImportErrorKind::Argument(own("g")),
    );
    for text in ["", "DEFAULT KILL", "POLICY a { ALLOW { read } }"] {
        fault(text, text, ImportErrorKind::Empty("the policy"));
    }
    let fault = read(b"ALLOW { \xff }").expect_err("not UTF-8");
    assert_eq!((fault.span, fault.reason), (8..8, ImportErrorKind::Utf8));
    let long = vec![b' '; super::super::MAX_BYTES + 1];
    let fault = read(&long).expect_err("too long");
    assert_eq!(fault.reason, ImportErrorKind::TooLong(long.len()));
}

#[test]
fn a_rule_without_an_equivalent_is_an_error() {
    let number = "a number is another call on each architecture; write the call's name";
    fault(
        "ALLOW { SYSCALL[1] }",
        "SYSCALL",
        ImportErrorKind::Unsupported(number),
    );
    fault(
        "#define mine 1\nALLOW { mine }",
        "mine",
        ImportErrorKind::Unsupported(number),
    );
    fault(
        "#include \"a.policy\"",
        "#include",
        ImportErrorKind::Unsupported(
            "no other file is read; put its text in the place of #include",
        ),
    );
    fault(
        "ALLOW { read ON x86_64 }",
        "ON",
        ImportErrorKind::Unsupported(
            "entries hold on every architecture; leave ON out or the call",
        ),
    );
    let two = "an argument is compared with numbers alone";
    fault(
        "ALLOW { dup2 { oldfd == newfd } }",
        "==",
        ImportErrorKind::Unsupported(two),
    );
    fault(
        "ALLOW { dup2 { oldfd & newfd == 0 } }",
        "&",
        ImportErrorKind::Unsupported(two),
    );
}

#[test]
fn depth_and_size_are_bounded() {
    let nested = |depth: usize| {
        let (open, close) = ("(".repeat(depth), ")".repeat(depth));
        format!("ALLOW {{ read {{ {open}fd{close} == 1 }} }}")
    };
    answers(&import(&nested(64)), "read", &[1], Action::Allow);
    let deep = "expressions are 64 levels deep at most";
    fault(&nested(65), "(", ImportErrorKind::Unsupported(deep));
    let many = format!("ALLOW {{ read {{ {}fd == 1 }} }}", "!".repeat(100_000));
    fault(&many, "!", ImportErrorKind::Unsupported(deep));
    let long = format!(
        "ALLOW {{ read {{ {}fd == 1 }} }}",
        "fd == 1 || ".repeat(20_000)
    );
    answers(&import(&long), "read", &[1], Action::Allow);
    let factor = "(a != 1 && b != 1 && c != 1 && d != 1)";
    let product = format!(
        "ALLOW {{ read(a, b, c, d) {{ {factor} }}, kill {{ pid != 1 && sig != 1 && pid != 5 }} }} \
         ERRNO(1) {{ futex {{ op != 1 && val != 1 && val3 != 1 }} }}"
    );
    fault(&product, "futex", ImportErrorKind::TooManyEntries);
    let mut rules = String::new();
    for value in 0..5_000 {
        rules += &format!("ALLOW{{read(a){{a=={value}}}}}LOG{{read(a){{a=={value}}}}}");
    }
    let fault = read(rules.as_bytes()).expect_err("too much work");
    assert_eq!(fault.reason, ImportErrorKind::TooManyEntries);
}

/// Knuth's numbers; the high bits, which are the good ones.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % end
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

const NUMBERS: [u64; 10] = [
    0,
    1,
    2,
    3,
    6,
    9,
    0xffff_ffff,
    0x1_0000_0002,
    u64::MAX - 1,
    u64::MAX,
];

type Truth = Box<dyn Fn(&[u64; 6]) -> bool>;

/// A condition on fcntl's arguments: two short ones and a long one.
fn condition(random: &mut Random, depth: usize) -> (String, Truth) {
    match random.below(if depth == 0 { 1 } else { 4 }) {
        0 => comparison(random),
        1 => {
            let (text, inner) = condition(random, depth - 1);
            (format!("!({text})"), Box::new(move |a| !inner(a)))
        }
        2 => {
            let (left, l) = condition(random, depth - 1);
            let (right, r) = condition(random, depth - 1);
            (
                format!("({left} && {right})"),
                Box::new(move |a| l(a) && r(a)),
            )
        }
        _ => {
            let (left, l) = condition(random, depth - 1);
            let (right, r) = condition(random, depth - 1);
            (
                format!("({left} || {right})"),
                Box::new(move |a| l(a) || r(a)),
            )
        }
    }
}

fn comparison(random: &mut Random) -> (String, Truth) {
    let (name, at) = random.one(&[("fd", 0_usize), ("cmd", 1), ("arg", 2)]);
    let value = random.one(&NUMBERS);
    let mask = match random.below(3) {
        0 => Some(random.one(&NUMBERS)),
        _ => None,
    };
    let wide = at == 2 || value > 0xffff_ffff || mask.is_some_and(|mask| mask > 0xffff_ffff);
    let seen = move |a: &[u64; 6]| {
        let argument = if wide { a[at] } else { a[at] & 0xffff_ffff };
        argument & mask.unwrap_or(u64::MAX)
    };
    let left = mask.map_or(name.to_owned(), |mask| format!("({name} & {mask:#x})"));
    let (sign, truth): (&str, Truth) = match random.below(6) {
        0 => ("==", Box::new(move |a| seen(a) == value)),
        1 => ("!=", Box::new(move |a| seen(a) != value)),
        2 => ("<", Box::new(move |a| seen(a) < value)),
        3 => ("<=", Box::new(move |a| seen(a) <= value)),
        4 => (">", Box::new(move |a| seen(a) > value)),
        _ => (">=", Box::new(move |a| seen(a) >= value)),
    };
    (format!("{left} {sign} {value:#x}"), truth)
}

#[test]
fn random_policies_answer_as_their_source_does() {
    let actions = [
        ("ALLOW", Action::Allow),
        ("LOG", Action::Log),
        ("ERRNO(1)", Action::Errno(1)),
        ("ERRNO(2)", Action::Errno(2)),
        ("TRACE(3)", Action::Errno(1)),
        ("KILL", Action::KillThread),
        ("KILL_PROCESS", Action::KillProcess),
    ];
    let mut random = Random(1);
    let (mut compared, mut refused) = (0, 0);
    for _ in 0..400 {
        let mut text = String::new();
        let mut rules: Vec<(Action, bool, Truth)> = Vec::new();
        for _ in 0..=random.below(4) {
            let (written, action) = random.one(&actions);
            let (condition, truth) = condition(&mut random, 2);
            text += &format!("{written} {{ fcntl {{ {condition} }} }}\n");
            rules.push((action, written.starts_with("TRACE"), truth));
        }
        let (written, default) = random.one(&actions);
        text += &format!("ALLOW {{ read }} DEFAULT {written}");
        let policy = match read(text.as_bytes()) {
            Ok(policy) => policy,
            Err(fault) => {
                assert_eq!(fault.reason, ImportErrorKind::TooManyEntries, "{text}");
                refused += 1;
                continue;
            }
        };
        for _ in 0..200 {
            let mut arguments = [0; 6];
            for argument in &mut arguments {
                *argument = random.one(&NUMBERS).wrapping_add(random.one(&[0, 0, 1]));
            }
            let first = rules.iter().find(|(_, _, truth)| truth(&arguments));
            let (expected, traced) = first.map_or((default, false), |(a, traced, _)| (*a, *traced));
            let seen = answer(&policy, "fcntl", &arguments);
            let allows = |action| matches!(action, Action::Allow | Action::Log);
            assert!(!allows(seen) || allows(expected), "{text} {arguments:?}");
            if !traced {
                assert_eq!(seen, expected, "{text} {arguments:?}");
            }
            compared += 1;
        }
    }
    assert!(compared > 50_000 && refused < 100, "{compared} {refused}");
}

#[test]
fn truncated_text_does_not_panic() {
    for end in 0..=SAMPLE.len() {
        for text in [SAMPLE.get(..end), SAMPLE.get(end..)] {
            let _ = read(text.unwrap_or_default().as_bytes());
        }
    }
}

#[test]
fn random_words_do_not_panic() {
    let words: Vec<&str> = SAMPLE
        .split_inclusive([' ', '\n', '(', ')', '{', ','])
        .chain([
            "!", "#define ", "fd ", "|", "-1 ", "SYSCALL[", "\u{e9}", "*/",
        ])
        .collect();
    let mut random = Random(7);
    for _ in 0..5_000 {
        let count = random.below(40);
        let text: String = (0..count).map(|_| random.one(&words)).collect();
        if let Err(fault) = read(text.as_bytes()) {
            assert!(text.get(fault.span).is_some(), "{text}");
        }
    }
}
