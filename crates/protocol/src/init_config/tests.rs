use super::*;

use serde_json::{Value, json};

use nsexec_kernel_text::userdb::spec;

const SAMPLE: &str = include_str!("../../../../tests/data/proto_a_initConfig_setns.json");

/// The shortest message after `change`.
fn message(change: impl FnOnce(&mut Value)) -> String {
    let mut message = json!({"args": ["true"], "config": {}});
    change(&mut message);
    message.to_string()
}

fn with(key: &str, value: Value) -> String {
    message(|message| message[key] = value)
}

fn with_config(key: &str, value: Value) -> String {
    message(|message| message["config"][key] = value)
}

fn accepted(text: &str) -> InitConfig {
    parse(text.as_bytes()).expect("it should be accepted")
}

fn refused(text: &str) -> Fault<InitConfigErrorKind> {
    parse(text.as_bytes()).expect_err("it should be refused")
}

fn reason(text: &str) -> InitConfigErrorKind {
    refused(text).reason
}

/// The reason, and the bytes that it is about.
fn complaint_about(text: &str) -> (InitConfigErrorKind, &str) {
    let fault = refused(text);
    let place = text.get(fault.span).expect("inside the message");
    (fault.reason, place)
}

fn is_shape(text: &str) -> bool {
    matches!(reason(text), InitConfigErrorKind::Shape(_))
}

fn c(text: &str) -> CString {
    CString::new(text).expect("no NUL")
}

#[test]
fn libcontainer_s_messages_are_valid() {
    let config = accepted(SAMPLE);
    assert_eq!(config.args, [c("unexistent")]);
    assert_eq!(
        config.env,
        [
            (c("HOME"), c("/root")),
            (
                c("PATH"),
                c("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            ),
            (c("HOSTNAME"), c("integration")),
            (c("TERM"), c("xterm")),
        ]
    );
    assert_eq!(config.cwd, None);
    assert_eq!(config.user, UserSpec::Unset);
    assert_eq!(config.additional_groups, []);
    assert_eq!(
        config.rlimits,
        [Rlimit {
            resource: 7,
            soft: 1025,
            hard: 1025
        }]
    );
    assert_eq!(config.oom_score_adj, 0);
    assert_eq!(config.seccomp, None);
    assert_eq!(config.apparmor_profile, None);
    assert_eq!(config.process_label, None);
    assert_eq!(config.passed_files, 0);
    // Docker's fourteen: 0 1 3 4 5 6 7 8 10 13 18 27 29 31.
    assert_eq!(config.capabilities.bits(), 0xa804_25fb);
}

#[test]
fn the_shortest_message_has_a_program_and_nothing_else() {
    let config = accepted(&message(|_| ()));
    assert_eq!(config.args, [c("true")]);
    assert_eq!(config.capabilities, CapabilitySet::EMPTY);
    assert_eq!(config.env, []);
    assert_eq!(config.rlimits, []);
}

#[test]
fn white_space_alone_may_surround_the_value() {
    let text = message(|_| ());
    assert_eq!(accepted(&format!(" \t\r\n{text}\n\n ")), accepted(&text));
    for behind in ["{}", "x", ",", "]", "\0", &text] {
        let fault = refused(&format!("{text}\n{behind}"));
        assert_eq!(fault.reason, InitConfigErrorKind::Trailing, "{behind:?}");
        assert_eq!(fault.span.start, text.len() + 1, "{behind:?}");
    }
    let twice = format!("{SAMPLE}{SAMPLE}");
    assert_eq!(reason(&twice), InitConfigErrorKind::Trailing);
}

#[test]
fn an_empty_and_a_truncated_message_differ() {
    assert_eq!(reason(""), InitConfigErrorKind::Nothing);
    assert_eq!(reason(" \n"), InitConfigErrorKind::Truncated);
    let sample = SAMPLE.trim_end();
    for end in (1..sample.len()).step_by(7) {
        let cut = sample.get(..end).expect("ASCII");
        assert_eq!(reason(cut), InitConfigErrorKind::Truncated, "{cut}");
    }
}

#[test]
fn the_message_is_bounded() {
    let fill = |length: usize| {
        let mut text = message(|_| ()).into_bytes();
        text.resize(length, b' ');
        parse(&text)
    };
    assert!(fill(MAX_INIT_CONFIG).is_ok());
    let fault = fill(MAX_INIT_CONFIG + 1).expect_err("it should be refused");
    assert_eq!(
        fault.reason,
        InitConfigErrorKind::TooLong(MAX_INIT_CONFIG + 1)
    );
    let fault = fill(64 << 20).expect_err("it should be refused");
    assert_eq!(fault.reason, InitConfigErrorKind::TooLong(64 << 20));
}

#[test]
fn nesting_is_bounded_everywhere() {
    let nested = |depth: usize| {
        let value = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        [
            format!("{{\"args\":[\"a\"],\"config\":{{}},\"network\":{value}}}"),
            format!("{{\"args\":[\"a\"],\"network\":null,\"config\":{{\"mounts\":{value}}}}}"),
        ]
    };
    let [top, config] = [nested(MAX_DEPTH - 1), nested(MAX_DEPTH - 2)];
    assert!(parse(top[0].as_bytes()).is_ok());
    assert!(parse(config[1].as_bytes()).is_ok());
    let [top, config] = [nested(MAX_DEPTH), nested(MAX_DEPTH - 1)];
    assert_eq!(reason(&top[0]), InitConfigErrorKind::TooDeep);
    assert_eq!(reason(&config[1]), InitConfigErrorKind::TooDeep);
    for text in nested(10_000) {
        assert_eq!(reason(&text), InitConfigErrorKind::TooDeep);
    }
    assert_eq!(reason(&"[".repeat(10_000)), InitConfigErrorKind::TooDeep);
    assert_eq!(
        reason(&"{\"args\":".repeat(10_000)),
        InitConfigErrorKind::TooDeep
    );
}

#[test]
fn invalid_utf8_is_an_error_with_its_span() {
    let mut wrong = message(|_| ()).into_bytes();
    let at = wrong.iter().position(|byte| *byte == b't').expect("true");
    wrong[at] = 0xff;
    let fault = parse(&wrong).expect_err("it should be refused");
    assert_eq!(fault, Fault::new(at..at + 1, InitConfigErrorKind::Utf8));
    // A lone surrogate, which Go replaces.
    let lone = message(|_| ()).replace("true", "\\ud800");
    assert!(matches!(reason(&lone), InitConfigErrorKind::Syntax(_)));
}

#[test]
fn invalid_json_is_an_error() {
    for wrong in [
        "nul",
        "{'args':[]}",
        "{\"args\":[\"a\"],}",
        "\u{feff}{}",
        "\0",
    ] {
        assert!(
            matches!(
                reason(wrong),
                InitConfigErrorKind::Syntax(_) | InitConfigErrorKind::Truncated
            ),
            "{wrong:?}"
        );
    }
}

#[test]
fn unknown_top_level_keys_are_refused() {
    for (key, value) in [
        ("console", json!("/dev/pts/1")),
        ("network", json!([{"type": "loopback"}])),
        ("network", Value::Null),
    ] {
        accepted(&with(key, value));
    }
    for key in ["Args", "ARGS", "uid", "no_new_privileges", ""] {
        assert!(is_shape(&with(key, json!([]))), "{key:?}");
    }
    let one = message(|_| ());
    for key in [
        "args",
        "env",
        "cwd",
        "capabilities",
        "user",
        "config",
        "console",
        "network",
        "passed_files_count",
    ] {
        let known: Value = serde_json::from_str(SAMPLE).expect("JSON");
        let value = &known[key];
        let rest = message(|message| {
            message.as_object_mut().expect("object").remove(key);
        });
        let rest = rest.trim_start_matches('{');
        let once = format!("{{\"{key}\":{value},{rest}");
        let twice = format!("{{\"{key}\":{value},\"{key}\":{value},{rest}");
        assert!(parse(once.as_bytes()).is_ok(), "{once}");
        assert!(is_shape(&twice), "{twice}");
    }
    assert!(is_shape(&one.replace("\"config\":{}", "\"cwd\":\"\"")));
    assert!(is_shape(
        &one.replace("\"args\":[\"true\"]", "\"cwd\":\"\"")
    ));
}

#[test]
fn an_array_is_no_object() {
    for wrong in [
        "[[\"true\"],null,\"\",null,\"\",{},\"\",null,0]".to_owned(),
        with("config", json!([[], [], 0, null, [], "", ""])),
        with_config("rlimits", json!([[7, 1, 1]])),
        with_config("seccomp", json!([-1, null, null])),
        with_config(
            "seccomp",
            json!({"default_action": -1, "architectures": null, "syscalls": [["read", -1, null]]}),
        ),
        with_config(
            "seccomp",
            json!({"default_action": -1, "architectures": null,
                "syscalls": [{"name": "read", "action": -1, "args": [[0, 1, 0, 0]]}]}),
        ),
    ] {
        assert!(is_shape(&wrong), "{wrong}");
    }
}

#[test]
fn other_settings_of_the_container_are_ignored() {
    accepted(&with_config("no_such_key", json!({"a": [1, {"b": null}]})));
    accepted("{\"args\":[\"a\"],\"config\":{\"x\":1,\"x\":2}}");
}

#[test]
fn a_used_setting_is_unique_and_exactly_spelled() {
    for key in Config::KEYS {
        let known: Value = serde_json::from_str(SAMPLE).expect("JSON");
        let value = &known["config"][key];
        let twice = format!(
            "{{\"args\":[\"a\"],\"config\":{{\"{key}\":{value},\"x\":0,\"{key}\":{value}}}}}"
        );
        assert!(is_shape(&twice), "{twice}");
        for almost in [
            key.to_uppercase(),
            key.replacen('s', "\u{17f}", 1).replacen('m', "M", 1),
            key.replacen('o', "O", 1).replacen('b', "B", 1),
        ] {
            if almost != key {
                let text = with_config(&almost, value.clone());
                let quoted = format!("\"{almost}\"");
                assert_eq!(
                    complaint_about(&text),
                    (InitConfigErrorKind::KeyCase(key), quoted.as_str())
                );
            }
        }
    }
    assert_eq!(fold('\u{212a}'), 'k');
}

#[test]
fn there_is_a_program() {
    let text = with("args", json!([]));
    assert_eq!(
        complaint_about(&text),
        (InitConfigErrorKind::NoProgram, "[]")
    );
    assert!(is_shape(&with("args", Value::Null)));
    assert!(is_shape(&with("args", json!(["a", null]))));
    assert!(is_shape(&with("args", json!("a"))));
    let text = with("args", json!(["a", "b\0c"]));
    assert_eq!(
        complaint_about(&text),
        (InitConfigErrorKind::Nul, "\"b\\u0000c\"")
    );
    assert_eq!(accepted(&with("args", json!([""]))).args, [c("")]);
}

#[test]
fn arguments_and_variables_are_bounded_in_number() {
    let list = |count| Value::from(vec!["a="; count]);
    for key in ["args", "env"] {
        accepted(&with(key, list(MAX_STRINGS)));
        assert_eq!(
            reason(&with(key, list(MAX_STRINGS + 1))),
            InitConfigErrorKind::TooMany {
                count: MAX_STRINGS + 1,
                limit: MAX_STRINGS
            }
        );
    }
}

#[test]
fn the_environment_is_set_entry_by_entry() {
    let config = accepted(&with(
        "env",
        json!(["A=1", "B=", "A=2=3", "C==", "a=4", "A=5"]),
    ));
    let expected = [("A", "5"), ("B", ""), ("C", "="), ("a", "4")];
    assert_eq!(config.env, expected.map(|(key, value)| (c(key), c(value))));
    assert_eq!(accepted(&with("env", Value::Null)).env, []);
    assert_eq!(accepted(&with("env", json!([]))).env, []);
}

#[test]
fn an_invalid_variable_is_an_error() {
    let about = |entry: &str| {
        let text = with("env", json!(["A=1", entry]));
        let (reason, place) = complaint_about(&text);
        (reason, place.to_owned())
    };
    assert_eq!(
        about("X"),
        (
            InitConfigErrorKind::Environment("X".to_owned()),
            "\"X\"".to_owned()
        )
    );
    assert_eq!(about("").0, InitConfigErrorKind::Environment(String::new()));
    assert_eq!(about("=x").0, InitConfigErrorKind::EmptyKey);
    assert_eq!(about("=").0, InitConfigErrorKind::EmptyKey);
    assert_eq!(about("A\0=x").0, InitConfigErrorKind::Nul);
    assert_eq!(about("A=x\0").0, InitConfigErrorKind::Nul);
    let text = InitConfigErrorKind::Environment("X".to_owned()).to_string();
    assert!(text.starts_with("invalid environment 'X'"), "{text}");
}

#[test]
fn the_working_directory_is_absolute() {
    assert_eq!(accepted(&with("cwd", json!(""))).cwd, None);
    assert_eq!(accepted(&with("cwd", json!("/a b"))).cwd, Some(c("/a b")));
    assert_eq!(
        complaint_about(&with("cwd", json!("a"))),
        (InitConfigErrorKind::Directory, "\"a\"")
    );
    assert_eq!(
        reason(&with("cwd", json!("/a\0"))),
        InitConfigErrorKind::Nul
    );
    let longest = format!("/{}", "d".repeat(MAX_PATH - 1));
    accepted(&with("cwd", json!(longest)));
    assert_eq!(
        reason(&with("cwd", json!(format!("{longest}d")))),
        InitConfigErrorKind::Directory
    );
    assert!(is_shape(&with("cwd", Value::Null)));
}

#[test]
fn the_process_s_capabilities_come_before_the_container_s() {
    let effective = |own: Value, container: Value| {
        let text = message(|message| {
            message["capabilities"] = own;
            message["config"]["capabilities"] = container;
        });
        accepted(&text).capabilities.bits()
    };
    let kill = || json!(["CAP_KILL"]);
    assert_eq!(effective(Value::Null, kill()), 1 << 5);
    assert_eq!(effective(json!([]), kill()), 0);
    assert_eq!(effective(json!(["CAP_CHOWN"]), kill()), 1);
    assert_eq!(effective(Value::Null, Value::Null), 0);
    assert_eq!(
        effective(json!(["CAP_KILL", "CAP_BPF", "CAP_KILL"]), json!([])),
        1 << 5 | 1 << 39
    );
}

#[test]
fn an_unknown_capability_is_refused_in_either_list() {
    for wrong in ["", "KILL", "CAP_X", "cap_kill", "CAP_KILL "] {
        let quoted = format!("\"{wrong}\"");
        let unknown = (
            InitConfigErrorKind::UnknownCapability(wrong.to_owned()),
            &quoted[..],
        );
        let list = json!(["CAP_KILL", wrong]);
        assert_eq!(
            complaint_about(&with("capabilities", list.clone())),
            unknown
        );
        assert_eq!(
            complaint_about(&with_config("capabilities", list.clone())),
            unknown
        );
        // Even in the list that is not the effective one.
        let text = message(|message| {
            message["capabilities"] = json!([]);
            message["config"]["capabilities"] = list;
        });
        assert_eq!(complaint_about(&text), unknown);
    }
    assert_eq!(
        InitConfigErrorKind::UnknownCapability("CAP_X".to_owned()).to_string(),
        "unknown capability \"CAP_X\""
    );
}

#[test]
fn the_user_is_parsed() {
    let spec = UserSpec::parse("1000:wheel").expect("a specification");
    assert_eq!(accepted(&with("user", json!("1000:wheel"))).user, spec);
    assert_eq!(
        complaint_about(&with("user", json!("012"))),
        (
            InitConfigErrorKind::User(spec::UserSpecErrorKind::LeadingZero),
            "\"012\""
        )
    );
}

#[test]
fn additional_groups_are_parsed_and_bounded() {
    let groups = accepted(&with_config("additional_groups", json!(["10", "wheel"])));
    let printed: Vec<_> = groups
        .additional_groups
        .iter()
        .map(Account::to_string)
        .collect();
    assert_eq!(printed, ["10", "wheel"]);
    assert_eq!(
        complaint_about(&with_config("additional_groups", json!(["a", ""]))),
        (
            InitConfigErrorKind::Group(spec::UserSpecErrorKind::Empty),
            "\"\""
        )
    );
    let list = |count| with_config("additional_groups", Value::from(vec!["1"; count]));
    accepted(&list(MAX_GROUPS));
    assert_eq!(
        reason(&list(MAX_GROUPS + 1)),
        InitConfigErrorKind::TooMany {
            count: MAX_GROUPS + 1,
            limit: MAX_GROUPS
        }
    );
}

#[test]
fn limits_are_sorted_by_resource_and_unique() {
    let limits = |limits: Value| with_config("rlimits", limits);
    let limit = |kind: i64, hard: u64, soft: u64| json!({"type": kind, "hard": hard, "soft": soft});
    let config = accepted(&limits(json!([limit(15, u64::MAX, 0), limit(0, 1, 1)])));
    assert_eq!(
        config.rlimits,
        [
            Rlimit {
                resource: 15,
                soft: 0,
                hard: u64::MAX
            },
            Rlimit {
                resource: 0,
                soft: 1,
                hard: 1
            }
        ]
    );
    let wrong = limit(16, 1, 1).to_string();
    assert_eq!(
        complaint_about(&limits(json!([limit(16, 1, 1)]))),
        (InitConfigErrorKind::RlimitType, wrong.as_str())
    );
    for kind in [-1, 256, i64::MIN, i64::MAX] {
        assert_eq!(
            reason(&limits(json!([limit(kind, 1, 1)]))),
            InitConfigErrorKind::RlimitType
        );
    }
    assert_eq!(
        reason(&limits(json!([limit(7, 1, 2)]))),
        InitConfigErrorKind::RlimitOrder
    );
    assert_eq!(
        reason(&limits(json!([limit(7, 2, 1), limit(7, 2, 1)]))),
        InitConfigErrorKind::RlimitRepeated(7)
    );
    for shape in [
        json!([{"type": 7, "hard": 1}]),
        json!([{"type": 7, "hard": 1, "soft": 1, "x": 1}]),
        json!([{"type": 7, "hard": -1, "soft": -1}]),
        json!([{"type": 7.0, "hard": 1, "soft": 1}]),
        json!([null]),
        json!({}),
    ] {
        assert!(is_shape(&limits(shape)));
    }
}

#[test]
fn the_oom_score_is_within_the_kernel_s_range() {
    let score = |score: Value| with_config("oom_score_adj", score);
    assert_eq!(accepted(&score(json!(-1000))).oom_score_adj, -1000);
    assert_eq!(accepted(&score(json!(1000))).oom_score_adj, 1000);
    for wrong in [-1001, 1001, 65_536, i64::MIN] {
        assert_eq!(
            complaint_about(&score(json!(wrong))),
            (InitConfigErrorKind::OomScoreAdj, wrong.to_string().as_str())
        );
    }
}

#[test]
fn labels_fit_into_one_write() {
    for key in ["apparmor_profile", "process_label"] {
        let longest = "l".repeat(MAX_LABEL);
        let config = accepted(&with_config(key, json!(longest)));
        let labels = [config.apparmor_profile, config.process_label];
        assert!(labels.contains(&Some(c(&longest))) && labels.contains(&None));
        for wrong in [format!("{longest}l"), "a\nb".into(), "a\0".into()] {
            assert_eq!(
                reason(&with_config(key, json!(wrong))),
                InitConfigErrorKind::Label
            );
        }
    }
}

#[test]
fn passed_files_are_bounded() {
    let files = |count: Value| with("passed_files_count", count);
    let most = i64::from(MAX_PASSED_FILES);
    assert_eq!(accepted(&files(json!(most))).passed_files, MAX_PASSED_FILES);
    for wrong in [-1, most + 1, 4_294_967_296] {
        assert_eq!(
            complaint_about(&files(json!(wrong))),
            (InitConfigErrorKind::PassedFiles, wrong.to_string().as_str())
        );
    }
}

#[test]
fn the_filter_is_read_as_written() {
    let config = accepted(&with_config(
        "seccomp",
        json!({"default_action": -1, "architectures": ["amd64", "x86"], "syscalls": [
            {"name": "clone", "action": -3, "args": [
                {"index": 0, "value": 2_114_060_288, "value_two": 0, "op": 6}]},
            {"name": "keyctl", "action": -4, "args": null}]}),
    ));
    let seccomp = config.seccomp.expect("a filter");
    assert_eq!(seccomp.default_action, -1);
    let rules = seccomp.syscalls.expect("rules");
    let names: Vec<_> = rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["clone", "keyctl"]);
    for wrong in [
        json!({}),
        json!({"default_action": -1}),
        json!({"default_action": -1, "architectures": null}),
        json!({"default_action": -1, "syscalls": null}),
        json!({"default_action": -1, "architectures": null, "syscalls": null, "extra": 1}),
        json!({"default_action": -1, "architectures": null, "syscalls": [null]}),
        json!({"default_action": -1, "architectures": null, "syscalls": [
            {"name": "a", "action": -1}]}),
        json!({"default_action": -1, "architectures": null, "syscalls": [
            {"name": "a", "action": -1, "args": null, "arg": []}]}),
    ] {
        assert!(is_shape(&with_config("seccomp", wrong.clone())), "{wrong}");
    }
}

#[test]
fn the_decoder_s_message_has_its_span() {
    let text = "{\"args\":[\"a\"],\n\"config\":{},\n  \"nope\x1f\":1}".replace('\x1f', "\\u001b");
    let (reason, place) = complaint_about(&text);
    let InitConfigErrorKind::Shape(words) = &reason else {
        panic!("{reason:?}")
    };
    assert!(words.starts_with("unknown field `nope\\u{1b}`"), "{words}");
    assert!(!words.contains("line"), "{words}");
    assert_eq!(place, "\"");
    assert_eq!(Some(refused(&text).span.start), text.find("\"nope"));
}
