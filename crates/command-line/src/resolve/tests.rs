//! Valid and invalid command lines.

use proptest::prelude::*;

use super::*;
use crate::{arguments, options, read};
use nsexec_request::{Directory, Explain, IdChoice, Pid, PolicyChoice, WorkDir};

fn words(line: &str) -> Vec<OsString> {
    line.split(' ')
        .filter(|word| !word.is_empty())
        .map(OsString::from)
        .collect()
}

fn fault(line: &str) -> UsageFault {
    read(words(line)).unwrap_err()
}

fn request(line: &str) -> Request {
    match read(words(line)) {
        Ok(Command::Run(request)) => *request,
        other => panic!("{line}: {other:?}"),
    }
}

fn option(long: &str) -> &'static OptionSpec {
    OptionSpec::by_long(long).unwrap()
}

/// A value that the option accepts.
fn sample(known: &OptionSpec) -> &'static str {
    let takes =
        |value: &&str| read(words(&with(known, &format!("--{}={value}", known.long)))).is_ok();
    let found = ["7", "/x", "audit"].into_iter().find(takes);
    found.unwrap_or_else(|| panic!("--{} accepts no value", known.long))
}

/// A line with this option, and those that it requires.
fn with(known: &OptionSpec, form: &str) -> String {
    match known.name {
        Name::Target => form.to_owned(),
        Name::KeepCaps => format!("-t 7 -U {form}"),
        Name::UserParent => format!("-t 7 -n {form}"),
        _ => format!("-t 7 {form}"),
    }
}

#[test]
fn every_option_of_the_table_is_accepted_in_both_forms() {
    for known in options::all() {
        let (mut long, mut short) = (String::new(), String::new());
        if known.value != options::Value::None {
            let value = sample(known);
            (long, short) = (format!("={value}"), value.to_owned());
        }
        let mut forms = vec![format!("--{}{long}", known.long)];
        forms.extend(known.letter.map(|letter| format!("-{letter}{short}")));
        for form in forms {
            let line = with(known, &form);
            let accepted = read(words(&line));
            assert!(accepted.is_ok(), "{line}: {accepted:?}");
        }
    }
}

#[test]
fn every_option_changes_the_command() {
    for known in options::all() {
        // With -t alone, all namespaces are joined already.
        if matches!(known.name, Name::Target | Name::All) {
            continue;
        }
        let value = match known.value {
            options::Value::None => String::new(),
            _ => format!("={}", sample(known)),
        };
        let line = with(known, &format!("--{}{value}", known.long));
        let without = read(words(&with(known, ""))).expect("a command");
        assert_ne!(read(words(&line)).expect("a command"), without, "{line}");
    }
}

#[test]
fn namespaces_are_selected_as_nsenter_selects_them() {
    let only = |line: &str| match request(line).namespaces {
        Selection::Only(named) => named,
        other => panic!("{line}: {other:?}"),
    };
    let named = only("-t 1 -m -n=/f --uts=:12 -i./:x -p true");
    assert_eq!(named[&Namespace::Mnt], NamespaceSource::Target);
    assert_eq!(named[&Namespace::Net], NamespaceSource::File("/f".into()));
    assert_eq!(
        named[&Namespace::Uts],
        NamespaceSource::Id(std::num::NonZeroU64::new(12).unwrap())
    );
    assert_eq!(named[&Namespace::Ipc], NamespaceSource::File("./:x".into()));
    assert_eq!(named.len(), 5);
    assert_eq!(
        only("-t 1 -N 4 true")[&Namespace::Net],
        NamespaceSource::Socket(4)
    );
    // As in getopt, attached text is the value, not three more letters.
    assert_eq!(
        only("-t 1 -muin")[&Namespace::Mnt],
        NamespaceSource::File("uin".into())
    );
    assert_eq!(only("-r/f true").len(), 0);
    let all = Selection::All {
        except: BTreeMap::new(),
    };
    assert_eq!(request("-t 1 true").namespaces, all);
    assert_eq!(request("-t1 -a -m true").namespaces, all);
    assert_eq!(request("-t 1 -S 5 true").namespaces, all);
    let Selection::All { except } = request("-t 1 -a -n/f").namespaces else {
        panic!()
    };
    assert_eq!(except.len(), 1);
}

/// An option that selects no namespace never changes which ones are joined: with
/// a target, only a letter of a namespace does.
#[test]
fn with_a_target_only_a_namespace_letter_narrows_the_join() {
    let all = Selection::All {
        except: BTreeMap::new(),
    };
    let mut forms = 0;
    for known in options::all() {
        if matches!(
            known.name,
            Name::Namespace(_) | Name::NetSocket | Name::Target
        ) {
            continue;
        }
        let mut values = match known.value {
            options::Value::None => vec![String::new()],
            options::Value::Attached(_) => vec![String::new(), format!("={}", sample(known))],
            options::Value::Required(_) => vec![format!("={}", sample(known))],
        };
        if matches!(known.name, Name::SetUid | Name::SetGid) {
            values.push("=follow".to_owned());
        }
        for value in values {
            let line = format!("-t 7 --{}{value} -- true", known.long);
            match read(words(&line)) {
                Ok(Command::Run(request) | Command::DryRun(request)) => {
                    assert_eq!(request.namespaces, all, "{line}");
                    forms += 1;
                }
                Ok(Command::Help | Command::Version | Command::Features) => {}
                Err(fault) => panic!("{line}: {fault:?}"),
            }
        }
    }
    assert!(forms >= 20, "{forms}");
}

#[test]
fn the_program_begins_at_the_first_non_option() {
    let program = |line: &str| {
        let words = request(line).program;
        words
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(program("-t 1 ls -l -- -a"), ["ls", "-l", "--", "-a"]);
    assert_eq!(program("-t 1 -- -x -y"), ["-x", "-y"]);
    assert_eq!(program("-t 1 --"), Vec::<String>::new());
    assert_eq!(program("-t 1 -a"), Vec::<String>::new());
}

#[test]
fn each_value_is_parsed() {
    let request = request(
        "--target=5:77 -a -S 1000 -Gfollow -r -w=/work -e --env=A=b=c --env=D --preserve-fds 2 \
         --policy ./p.toml --status-fd 9 --seccomp-fd 7 --seccomp-fd=5 true",
    );
    assert_eq!(request.target.unwrap().pid, Pid::new(5).unwrap());
    assert_eq!(request.uid, Some(IdChoice::Number(1000)));
    assert_eq!(request.gid, Some(IdChoice::Follow));
    assert_eq!(request.root, Some(Directory::Target));
    assert_eq!(
        request.work_dir,
        WorkDir::Before(Directory::Path("/work".into()))
    );
    assert!(request.target_environment);
    let entries: Vec<_> = request
        .environment
        .iter()
        .map(|e| {
            (
                e.key.to_str().unwrap(),
                e.value.as_ref().map(|v| v.to_str().unwrap()),
            )
        })
        .collect();
    assert_eq!(entries, [("A", Some("b=c")), ("D", None)]);
    assert_eq!(request.preserve_fds.into_iter().collect::<Vec<_>>(), [3, 4]);
    assert_eq!(request.policy, PolicyChoice::File("./p.toml".into()));
    assert_eq!(request.status_fd, Some(9));
    assert_eq!(request.seccomp_fds, [7, 5]);
}

#[test]
fn every_error_names_its_option() {
    let net = option("net");
    for (line, expected) in [
        ("", UsageFault::NothingToJoin),
        ("true", UsageFault::NothingToJoin),
        ("-Q", UsageFault::UnknownLetter('Q')),
        ("--polic=x", UsageFault::UnknownLong("polic".into())),
        ("--all=x", UsageFault::UnexpectedValue(option("all"))),
        ("-t", UsageFault::NoValue(option("target"))),
        ("-t 1 -t 2", UsageFault::Twice(option("target"))),
        ("-t 1 -e -e", UsageFault::Twice(option("env"))),
        ("-t 1 -n -n/f", UsageFault::Twice(net)),
        (
            "-t 1 -w -W /x",
            UsageFault::Both(option("wd"), option("wdns")),
        ),
        ("-t 1 -N 3 -n", UsageFault::Both(option("net-socket"), net)),
        (
            "-t 1 -S 0 --preserve-credentials",
            UsageFault::Both(option("setuid"), option("preserve-credentials")),
        ),
        (
            "-t 1 -n --keep-caps",
            UsageFault::Requires(option("keep-caps"), "--user"),
        ),
        (
            "-r/f --user-parent",
            UsageFault::Requires(option("user-parent"), "a namespace"),
        ),
        ("-n true", UsageFault::NoTarget(net)),
        ("-a true", UsageFault::NoTarget(option("all"))),
        ("-n/f -S follow", UsageFault::NoTarget(option("setuid"))),
        ("-n/f -w", UsageFault::NoTarget(option("wd"))),
        ("-n/f -c", UsageFault::NoTarget(option("join-cgroup"))),
        (
            "-t 1 --env A=b cmd",
            UsageFault::DetachedVariable("A=b".into()),
        ),
    ] {
        assert_eq!(fault(line), expected, "{line}");
    }
    for (line, long, value) in [
        ("-t 1 --net=", "net", ""),
        ("-t 1 -r=", "root", ""),
        ("-t 1 --env==x", "env", "=x"),
        ("-t 1 --policy Default", "policy", "Default"),
        ("-t 1 --policy=", "policy", ""),
    ] {
        let expected = UsageFault::Text {
            option: option(long),
            value: value.into(),
        };
        assert_eq!(fault(line), expected, "{line}");
    }
    for line in [
        "-t 012",
        "-t +3",
        "-t 0",
        "-t 2147483648",
        "-t 1 -S root",
        "-t 1 -G 4294967295",
        "-t 1 --preserve-fds 1025",
        "-t 1 --preserve-fd 2",
        "-t 1 --preserve-fd 5-4",
        "-t 1 --preserve-fd 3,",
        "-t 1 --preserve-fd 3-1027",
        "-t 1 --preserve-fd 4,4",
        "-t 1 --status-fd -1",
        "-t 1 --seccomp-fd 0",
        "-t 1 --seccomp-fd 2",
        "-t 1 --seccomp-fd 2147483648",
        "-t 1 --seccomp-fd 05",
        "-t 1 --seccomp-fd 5 --seccomp-fd 5x",
        "-t 1 -N x",
        "-t 1 --net=:0",
        "-t 1 --net=:",
    ] {
        assert!(
            matches!(fault(line), UsageFault::Number { .. }),
            "{line}: {:?}",
            fault(line)
        );
    }
}

#[test]
fn a_descriptor_has_one_use() {
    let taken = |long, owner, number| UsageFault::Descriptor {
        option: option(long),
        number,
        owner: option(owner),
    };
    for (line, option, owner, number) in [
        (
            "-t 1 --seccomp-fd 5 --seccomp-fd 5",
            "seccomp-fd",
            "seccomp-fd",
            5,
        ),
        (
            "-t 1 --seccomp-fd 6 --status-fd 6",
            "seccomp-fd",
            "status-fd",
            6,
        ),
        (
            "-t 1 --status-fd 6 --seccomp-fd 6",
            "seccomp-fd",
            "status-fd",
            6,
        ),
        (
            "-t 1 --seccomp-fd 3 --preserve-fds 1",
            "seccomp-fd",
            "preserve-fds",
            3,
        ),
        (
            "-t 1 --preserve-fds 9 --seccomp-fd 11",
            "seccomp-fd",
            "preserve-fds",
            11,
        ),
        (
            "-t 1 --preserve-fd 9,11 --seccomp-fd 11",
            "seccomp-fd",
            "preserve-fd",
            11,
        ),
        (
            "-t 1 --seccomp-fd 11 --preserve-fd 10-12",
            "preserve-fd",
            "seccomp-fd",
            11,
        ),
        (
            "-t 1 --preserve-fds 2 --preserve-fd 4",
            "preserve-fd",
            "preserve-fds",
            4,
        ),
        (
            "-t 1 --preserve-fds 2 --status-fd 4",
            "preserve-fds",
            "status-fd",
            4,
        ),
        (
            "-t 1 --preserve-fd 63 --status-fd 63",
            "preserve-fd",
            "status-fd",
            63,
        ),
    ] {
        assert_eq!(fault(line), taken(option, owner, number), "{line}");
    }
    let line = "-t 1 --preserve-fds 8 --status-fd 13 --seccomp-fd 11 --seccomp-fd 12";
    assert_eq!(request(line).seccomp_fds, [11, 12]);
    assert_eq!(
        fault("-t 1 --seccomp-fd 3 --explain"),
        UsageFault::Both(option("explain"), option("seccomp-fd"))
    );
    assert_eq!(
        fault("-t 1 --seccomp-fd"),
        UsageFault::NoValue(option("seccomp-fd"))
    );
}

#[test]
fn numbers_at_their_bounds_are_accepted() {
    let greatest = request("-t 1 --seccomp-fd 3 --seccomp-fd 2147483647");
    assert_eq!(greatest.seccomp_fds, [3, i32::MAX]);
    assert_eq!(request("-t 1 --preserve-fds 1024").preserve_fds.len(), 1024);
    assert_eq!(
        request("-t 1 --preserve-fd 3-1026").preserve_fds.len(),
        1024
    );
}

#[test]
fn each_error_has_a_hint() {
    for (line, wrong, right) in [
        (
            "-t 012",
            "--target \"012\": a number has no leading zero",
            "give PID[:INODE]",
        ),
        (
            "--polic x",
            "unknown option --polic",
            "did you mean --policy?",
        ),
        ("-n true", "--net requires a target", "give -t PID"),
        (
            "-t 1 --seccomp-fd 5 --status-fd 5",
            "--seccomp-fd 5: --status-fd uses that descriptor already",
            "give each option a separate descriptor",
        ),
    ] {
        let fault = fault(line);
        assert_eq!(
            (fault.to_string().as_str(), fault.hint().as_deref()),
            (wrong, Some(right))
        );
    }
}

#[test]
fn auditing_is_switched_on_only_by_explain_audit() {
    for (line, explain) in [
        ("-t 7 true", Explain::No),
        ("-t 7 --explain true", Explain::WithoutSwitching),
        ("-t 7 --explain=audit true", Explain::SwitchAuditingOn),
    ] {
        match read(words(line)) {
            Ok(Command::Run(request)) => assert_eq!(request.explain, explain, "{line}"),
            other => panic!("{line}: {other:?}"),
        }
    }
    for value in ["", "audi", "on", "audit,", "Audit"] {
        let line = format!("-t 7 --explain={value} true");
        assert!(read(words(&line)).is_err(), "{line}");
    }
}

proptest! {
    /// A printed command line parses to the same request.
    #[test]
    fn a_command_line_survives_printing(
        line in proptest::collection::vec(
            prop_oneof![
                Just("-t"), Just("1"), Just("-t7:9"), Just("-a"), Just("-m"), Just("-n=/f"),
                Just("--uts=:5"), Just("-S"), Just("0"), Just("follow"), Just("-Gfollow"),
                Just("-r"), Just("-r/x"), Just("-w=y"), Just("-W"), Just("-e"), Just("--env=A=b"),
                Just("-F"), Just("--"), Just("ls"), Just("--policy"), Just("strict"), Just("-c"),
                Just("--dry-run"), Just("--preserve-fds=3"), Just("--seccomp-fd=9"), Just("-"), Just(""), Just("-é"),
            ],
            0..8,
        )
    ) {
        let words: Vec<OsString> = line.into_iter().map(OsString::from).collect();
        if let Ok(written) = arguments::split(words.clone()) {
            let printed = written.to_words();
            prop_assert_eq!(arguments::split(printed.clone()), Ok(written));
            prop_assert_eq!(read(printed), read(words));
        }
    }
}
