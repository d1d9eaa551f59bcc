use super::*;
use crate::policy::right::Kind;

const TOML: &str = r#"
abi = 7

[[variable]]
name = "programs"
literal = ["/bin", "/sbin"]

[[ruleset]]
handled_access_fs = ["execute", "ioctl_dev"]
handled_access_net = ["bind_tcp"]
scoped = ["signal"]

[[path_beneath]]
allowed_access = ["execute"]
parent = ["/", "/usr/bin", "/opt${programs}"]

[[net_port]]
allowed_access = ["bind_tcp"]
port = [80]

[x-nsexec]
log = ["new_exec_on", "subdomains_off"]
"#;

const JSON: &str = r#"{
  "abi": 7,
  "variable": [
    { "name": "programs", "literal": ["/bin", "/sbin"] }
  ],
  "ruleset": [
    {
      "handledAccessFs": ["execute", "ioctl_dev"],
      "handledAccessNet": ["bind_tcp"],
      "scoped": ["signal"]
    }
  ],
  "pathBeneath": [
    { "allowedAccess": ["execute"], "parent": ["/", "/usr/bin", "/opt${programs}"] }
  ],
  "netPort": [
    { "allowedAccess": ["bind_tcp"], "port": [80] }
  ],
  "x-nsexec": { "log": ["new_exec_on", "subdomains_off"] }
}
"#;

const FORMS: [(Form, &str); 2] = [(Form::Toml, TOML), (Form::Json, JSON)];

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not in the text");
    text.replacen(from, to, 1)
}

/// The error of an invalid text, and its span as text.
#[track_caller]
fn fault(form: Form, text: &str) -> (LandlockFileErrorKind, &str) {
    let fault = parse(text.as_bytes(), form).expect_err(text);
    (fault.reason, text.get(fault.span).expect("in the text"))
}

/// The rules of both forms after a replacement; both must be the same.
#[track_caller]
fn changed(from: &str, to: &str) -> Result<Landlock, LandlockFileErrorKind> {
    let [toml, json] = FORMS.map(|(form, text)| {
        parse(replaced(text, from, to).as_bytes(), form).map_err(|fault| fault.reason)
    });
    assert_eq!(toml, json);
    toml
}

#[test]
fn both_forms_are_equivalent() {
    let beneath = |path: &str| BeneathRule {
        path: path.into(),
        rights: vec![Right::Execute],
    };
    let meant = Landlock {
        handled: vec![
            Right::Execute,
            Right::IoctlDev,
            Right::BindTcp,
            Right::ScopeSignal,
        ],
        beneath: ["/", "/usr/bin", "/opt/bin", "/opt/sbin"]
            .map(beneath)
            .to_vec(),
        ports: vec![PortRule {
            port: 80,
            rights: vec![Right::BindTcp],
        }],
        log: vec![LogFlag::NewExecOn, LogFlag::SubdomainsOff],
    };
    for (form, text) in FORMS {
        assert_eq!(parse(text.as_bytes(), form), Ok(meant.clone()), "{form:?}");
    }
}

#[test]
fn the_suffix_of_a_name_decides_the_form() {
    let of = |name: &str| Form::of(&FileName::new(name).expect("a name"));
    assert_eq!(of("landlock/a.toml"), Some(Form::Toml));
    assert_eq!(of("a.b.json"), Some(Form::Json));
    for other in [
        "a", "toml", ".json", "a.JSON", "a.tom", "a.toml~", "a.json/b", "a.",
    ] {
        assert_eq!(of(other), None, "{other}");
    }
    for (form, text) in FORMS {
        let other = if form == Form::Toml {
            Form::Json
        } else {
            Form::Toml
        };
        let wrong = parse(text.as_bytes(), other).expect_err("in the other form");
        assert!(matches!(
            wrong.reason,
            LandlockFileErrorKind::Toml(_) | LandlockFileErrorKind::Json(_)
        ));
    }
}

/// The error and span of the same invalid value in both forms.
#[test]
fn each_value_error_has_its_kind() {
    let name = |text: &str| text.to_owned();
    let next = (NEWEST_ABI + 1).to_string();
    let cases = [
        ("7", "0", "0", LandlockFileErrorKind::Abi(0)),
        (
            "7",
            &next,
            &next,
            LandlockFileErrorKind::Abi(i64::from(NEWEST_ABI) + 1),
        ),
        ("7", "-1", "-1", LandlockFileErrorKind::Abi(-1)),
        (
            "7",
            "4",
            "\"ioctl_dev\"",
            LandlockFileErrorKind::NewerRight {
                right: Right::IoctlDev,
                abi: 4,
            },
        ),
        (
            "[\"signal\"]",
            "[]",
            "[]",
            LandlockFileErrorKind::Empty("scoped"),
        ),
        (
            "\"signal\"",
            "\"kill\"",
            "\"kill\"",
            LandlockFileErrorKind::UnknownRight(name("kill")),
        ),
        (
            "\"ioctl_dev\"",
            "\"bind_tcp\"",
            "\"bind_tcp\"",
            LandlockFileErrorKind::UnknownRight(name("bind_tcp")),
        ),
        (
            "\"ioctl_dev\"",
            "\"v5.all\"",
            "\"v5.all\"",
            LandlockFileErrorKind::UnknownRight(name("v5.all")),
        ),
        (
            "\"ioctl_dev\"",
            "\"abi.all\"",
            "\"abi.all\"",
            LandlockFileErrorKind::Group(name("abi.all")),
        ),
        (
            "\"ioctl_dev\"",
            "\"execute\"",
            "\"execute\"",
            LandlockFileErrorKind::RepeatedRight(Right::Execute),
        ),
        (
            "[\"execute\"]",
            "[\"abi.read_execute\"]",
            "\"abi.read_execute\"",
            LandlockFileErrorKind::Group(name("abi.read_execute")),
        ),
        (
            "[\"execute\"]",
            "[\"read_file\"]",
            "\"read_file\"",
            LandlockFileErrorKind::NotHandled(Right::ReadFile),
        ),
        (
            "[\"execute\"]",
            "[\"signal\"]",
            "\"signal\"",
            LandlockFileErrorKind::UnknownRight(name("signal")),
        ),
        (
            "[\"/\", \"/usr/bin\", \"/opt${programs}\"]",
            "[ ]",
            "[ ]",
            LandlockFileErrorKind::Empty("parent"),
        ),
        (
            "\"/usr/bin\"",
            "\"usr/bin\"",
            "\"usr/bin\"",
            LandlockFileErrorKind::Path(name("usr/bin")),
        ),
        (
            "\"/usr/bin\"",
            "\"/usr/../bin\"",
            "\"/usr/../bin\"",
            LandlockFileErrorKind::Path(name("/usr/../bin")),
        ),
        (
            "\"/usr/bin\"",
            "\"/usr/./bin\"",
            "\"/usr/./bin\"",
            LandlockFileErrorKind::Path(name("/usr/./bin")),
        ),
        (
            "\"/usr/bin\"",
            "\"/usr//bin\"",
            "\"/usr//bin\"",
            LandlockFileErrorKind::Path(name("/usr//bin")),
        ),
        (
            "\"/usr/bin\"",
            "\"/usr/bin/\"",
            "\"/usr/bin/\"",
            LandlockFileErrorKind::Path(name("/usr/bin/")),
        ),
        (
            "\"/usr/bin\"",
            "\"/usr\\u0000\"",
            "\"/usr\\u0000\"",
            LandlockFileErrorKind::Path(name("/usr\0")),
        ),
        (
            "\"/usr/bin\"",
            "\"\"",
            "\"\"",
            LandlockFileErrorKind::Path(name("")),
        ),
        (
            "\"/usr/bin\"",
            "\"\\u002F\"",
            "\"\\u002F\"",
            LandlockFileErrorKind::RepeatedPath(name("/")),
        ),
        (
            "\"/usr/bin\"",
            "\"/opt/sbin\"",
            "\"/opt${programs}\"",
            LandlockFileErrorKind::RepeatedPath(name("/opt/sbin")),
        ),
        (
            "\"/bin\"",
            "\"/bin/\"",
            "\"/opt${programs}\"",
            LandlockFileErrorKind::Path(name("/opt/bin/")),
        ),
        (
            "\"/bin\"",
            "\"/..\"",
            "\"/opt${programs}\"",
            LandlockFileErrorKind::Path(name("/opt/..")),
        ),
        (
            "/opt${programs}",
            "${programs}/${program}",
            "\"${programs}/${program}\"",
            LandlockFileErrorKind::Undefined(name("program")),
        ),
        (
            "/opt${programs}",
            "/opt$programs",
            "\"/opt$programs\"",
            LandlockFileErrorKind::Dollar(name("/opt$programs")),
        ),
        (
            "/opt${programs}",
            "/opt${programs",
            "\"/opt${programs\"",
            LandlockFileErrorKind::Unclosed(name("/opt${programs")),
        ),
        (
            "/opt${programs}",
            "/opt${pro-grams}",
            "\"/opt${pro-grams}\"",
            LandlockFileErrorKind::VariableName(name("pro-grams")),
        ),
        (
            "/opt${programs}",
            "/opt$${programs}",
            "\"programs\"",
            LandlockFileErrorKind::Unused(name("programs")),
        ),
        (
            "\"programs\"",
            "\"_programs\"",
            "\"_programs\"",
            LandlockFileErrorKind::VariableName(name("_programs")),
        ),
        (
            "\"programs\"",
            "\"\"",
            "\"\"",
            LandlockFileErrorKind::VariableName(name("")),
        ),
        (
            "[\"/bin\", \"/sbin\"]",
            "[]",
            "[]",
            LandlockFileErrorKind::Empty("literal"),
        ),
        (
            "\"/bin\"",
            "\"\"",
            "\"\"",
            LandlockFileErrorKind::EmptyValue,
        ),
        (
            "\"/bin\"",
            "\"/sbin\"",
            "\"/sbin\"",
            LandlockFileErrorKind::RepeatedValue(name("/sbin")),
        ),
        (
            "\"/bin\"",
            "\"${programs}\"",
            "\"${programs}\"",
            LandlockFileErrorKind::Recursion(name("${programs}")),
        ),
        ("[80]", "[]", "[]", LandlockFileErrorKind::Empty("port")),
        ("80", "65536", "65536", LandlockFileErrorKind::Port(65536)),
        ("80", "-1", "-1", LandlockFileErrorKind::Port(-1)),
        (
            "80",
            "81, 80, 81",
            "81",
            LandlockFileErrorKind::RepeatedPort(81),
        ),
        (
            "[\"new_exec_on\", \"subdomains_off\"]",
            "[]",
            "[]",
            LandlockFileErrorKind::Empty("log"),
        ),
        (
            "\"new_exec_on\"",
            "\"LOG_NEW_EXEC_ON\"",
            "\"LOG_NEW_EXEC_ON\"",
            LandlockFileErrorKind::UnknownFlag(name("LOG_NEW_EXEC_ON")),
        ),
        (
            "\"new_exec_on\"",
            "\"tsync\"",
            "\"tsync\"",
            LandlockFileErrorKind::UnknownFlag(name("tsync")),
        ),
        (
            "\"new_exec_on\"",
            "\"subdomains_off\"",
            "\"subdomains_off\"",
            LandlockFileErrorKind::RepeatedFlag(LogFlag::SubdomainsOff),
        ),
        (
            "7",
            "6",
            "\"new_exec_on\"",
            LandlockFileErrorKind::NewerFlag {
                flag: LogFlag::NewExecOn,
                abi: 6,
            },
        ),
    ];
    for (from, to, at, reason) in cases {
        for (form, text) in FORMS {
            let text = replaced(text, from, to);
            assert_eq!(fault(form, &text), (reason.clone(), at), "{form:?} {to:?}");
        }
    }
}

#[test]
fn each_right_is_accepted_from_its_abi_on() {
    for right in Right::ALL {
        let (key, grant) = match right.kind() {
            Kind::Fs => ("handled_access_fs", "[[path_beneath]]\nparent = [\"/\"]"),
            Kind::Net => ("handled_access_net", "[[net_port]]\nport = [80]"),
            Kind::Scope => ("scoped", ""),
        };
        let name = right.name();
        let text = |abi: u8| {
            let grant = match grant {
                "" => String::new(),
                grant => format!("{grant}\nallowed_access = [{name:?}]"),
            };
            format!("abi = {abi}\n[[ruleset]]\n{key} = [{name:?}]\n{grant}\n")
        };
        for abi in right.abi()..=NEWEST_ABI {
            let rules = parse(text(abi).as_bytes(), Form::Toml).expect("a right of this ABI");
            assert_eq!(rules.handled, [right]);
        }
        for abi in 1..right.abi() {
            let reason = LandlockFileErrorKind::NewerRight { right, abi };
            assert_eq!(
                parse(text(abi).as_bytes(), Form::Toml)
                    .expect_err("newer")
                    .reason,
                reason
            );
        }
    }
}

#[test]
fn empty_lists_are_named_as_in_their_form() {
    for (from, toml, json) in [
        (
            "[\"execute\", \"ioctl_dev\"]",
            "handled_access_fs",
            "handledAccessFs",
        ),
        ("[\"bind_tcp\"]", "handled_access_net", "handledAccessNet"),
        ("[\"execute\"]", "allowed_access", "allowedAccess"),
    ] {
        let empty = |text| replaced(text, from, "[]");
        assert_eq!(
            fault(Form::Toml, &empty(TOML)),
            (LandlockFileErrorKind::Empty(toml), "[]")
        );
        assert_eq!(
            fault(Form::Json, &empty(JSON)),
            (LandlockFileErrorKind::Empty(json), "[]")
        );
    }
    let ruleset = "abi = 1\nruleset = [{ scoped = [\"signal\"] }]\n";
    for key in ["variable", "path_beneath", "net_port"] {
        let text = replaced(ruleset, "1", &format!("7\n{key} = []"));
        assert_eq!(
            fault(Form::Toml, &text),
            (LandlockFileErrorKind::Empty(key), "[]")
        );
    }
    let ruleset = "{\"abi\": 7, \"ruleset\": [{ \"scoped\": [\"signal\"] }], \"KEY\": []}";
    for key in ["variable", "pathBeneath", "netPort"] {
        let text = replaced(ruleset, "KEY", key);
        assert_eq!(
            fault(Form::Json, &text),
            (LandlockFileErrorKind::Empty(key), "[]")
        );
    }
}

#[test]
fn a_variable_is_defined_once() {
    let again = "[[variable]]\nname = \"programs\"\nliteral = [\"/x\"]\n\n[[ruleset]]";
    let toml = replaced(TOML, "[[ruleset]]", again);
    let again = "{ \"name\": \"programs\", \"literal\": [\"/x\"] },\n    { \"name\"";
    let json = replaced(JSON, "{ \"name\"", again);
    for (form, text) in [(Form::Toml, toml), (Form::Json, json)] {
        let repeated = LandlockFileErrorKind::RepeatedVariable("programs".to_owned());
        assert_eq!(fault(form, &text), (repeated, "\"programs\""));
        let second = text.rfind("\"programs\"");
        let fault = parse(text.as_bytes(), form).expect_err("twice");
        assert_eq!(Some(fault.span.start), second, "{form:?}");
    }
}

#[test]
fn a_file_has_one_ruleset_that_handles_something() {
    let cases = [
        (
            Form::Toml,
            "abi = 7\nruleset = []\n",
            LandlockFileErrorKind::Rulesets(0),
            "[]",
        ),
        (
            Form::Json,
            "{ \"abi\": 7, \"ruleset\": [] }",
            LandlockFileErrorKind::Rulesets(0),
            "[]",
        ),
        (
            Form::Toml,
            "abi = 7\nruleset = [{}]\n",
            LandlockFileErrorKind::Empty("ruleset"),
            "{}",
        ),
        (
            Form::Json,
            "{ \"abi\": 7, \"ruleset\": [{}] }",
            LandlockFileErrorKind::Empty("ruleset"),
            "{}",
        ),
        (
            Form::Json,
            "{ \"ruleset\": [{}, {}, {}], \"abi\": 7 }",
            LandlockFileErrorKind::Rulesets(3),
            "[{}, {}, {}]",
        ),
    ];
    for (form, text, reason, at) in cases {
        assert_eq!(fault(form, text), (reason, at), "{text}");
    }
    let two = replaced(
        TOML,
        "[[path_b",
        "[[ruleset]]\nscoped = [\"signal\"]\n[[path_b",
    );
    assert_eq!(
        fault(Form::Toml, &two).0,
        LandlockFileErrorKind::Rulesets(2)
    );
}

/// Serde's own refusals: their words are serde's, their place is checked.
#[test]
fn keys_and_types_follow_the_form() {
    for (from, to) in [
        ("abi = 7\n", ""),
        ("abi = 7", "abi = 7\nabi = 7"),
        ("abi = 7", "abi = \"6\""),
        ("abi = 7", "abi = 7.0"),
        ("abi = 7", "abi = 7\nx = 1"),
        ("handled_access_fs", "handledAccessFs"),
        ("path_beneath", "pathBeneath"),
        ("scoped = [\"signal\"]", "scoped = \"signal\""),
        ("parent", "parents"),
        ("name", "names"),
        ("literal = [\"/bin\", \"/sbin\"]\n", ""),
        ("name = \"programs\"", "name = [\"programs\"]"),
        ("parent = [\"/\"", "parent = [1"),
        ("allowed_access = [\"execute\"]\n", ""),
        ("port = [80]", "port = [\"80\"]"),
        ("port = [80]", "port = 80"),
        // serde's derived code would accept a list as the struct's fields.
        ("[[net_port]]", "[[x]]"),
        ("abi = 7", "net_port = [[[\"bind_tcp\"], [80]]]\nabi = 7"),
        ("abi = 7", "abi = 7 6"),
        ("log =", "flags ="),
        ("log = [\"new_exec_on\", \"subdomains_off\"]", ""),
        ("[x-nsexec]", "[x-other]"),
        ("[x-nsexec]", "[[x-nsexec]]"),
    ] {
        let text = replaced(TOML, from, to);
        let (reason, _) = fault(Form::Toml, &text);
        assert!(
            matches!(reason, LandlockFileErrorKind::Toml(_)),
            "{to:?}: {reason:?}"
        );
    }
    for (from, to) in [
        ("\"abi\": 7,", ""),
        ("\"abi\": 7,", "\"abi\": 7, \"abi\": 7,"),
        ("\"abi\": 7", "\"abi\": \"6\""),
        ("\"abi\": 7", "\"abi\": 7.0"),
        ("\"abi\": 7", "\"abi\": 18446744073709551615"),
        ("\"abi\": 7", "\"abi\": null"),
        ("\"abi\": 7", "\"abi\": 7, \"x\": 1"),
        ("handledAccessFs", "handled_access_fs"),
        ("pathBeneath", "path_beneath"),
        ("[\"signal\"]", "\"signal\""),
        ("[\"signal\"]", "null"),
        ("\"parent\"", "\"parents\""),
        ("\"name\"", "\"names\""),
        ("\"literal\": [\"/bin\", \"/sbin\"]", "\"literal\": null"),
        (", \"literal\": [\"/bin\", \"/sbin\"]", ""),
        ("\"name\": \"programs\"", "\"name\": null"),
        ("[\"/\"", "[1"),
        ("\"allowedAccess\": [\"execute\"],", ""),
        ("[80]", "[\"80\"]"),
        ("[80]", "80"),
        ("[80]", "[80.5]"),
        ("[80]", "null"),
        (
            "{ \"allowedAccess\": [\"bind_tcp\"], \"port\": [80] }",
            "[[\"bind_tcp\"], [80]]",
        ),
        ("\"netPort\": [", "\"netPort\": null, \"x\": ["),
        ("{\n", "[7, "),
        ("}\n}\n", "}\n}\n{}"),
        ("}\n}\n", "},\n}\n"),
        ("{ \"log\": [", "{ \"flags\": ["),
        ("{ \"log\": [\"new_exec_on\", \"subdomains_off\"] }", "null"),
        ("{ \"log\": [\"new_exec_on\", \"subdomains_off\"] }", "{}"),
        (
            "{ \"log\": [\"new_exec_on\", \"subdomains_off\"] }",
            "[[\"new_exec_on\"]]",
        ),
        ("x-nsexec", "x-other"),
        ("\"abi\": 7", "abi: 6"),
    ] {
        let text = replaced(JSON, from, to);
        let (reason, _) = fault(Form::Json, &text);
        assert!(
            matches!(reason, LandlockFileErrorKind::Json(_)),
            "{to:?}: {reason:?}"
        );
    }
    for (form, text) in [(Form::Toml, ""), (Form::Json, ""), (Form::Json, "null")] {
        assert!(parse(text.as_bytes(), form).is_err(), "{form:?} {text:?}");
    }
    let text = replaced(JSON, "\"parent\"", "\"parents\"");
    let fault = parse(text.as_bytes(), Form::Json).expect_err("an unknown key");
    let key = text.find("\"parents").expect("there");
    assert_eq!(fault.span.start, key);
    let words = "unknown field `parents`, expected `allowedAccess` or `parent`";
    assert_eq!(fault.reason, LandlockFileErrorKind::Json(words.to_owned()));
}

#[test]
fn bytes_that_are_no_text_are_refused_where_they_are() {
    for (form, text) in FORMS {
        let fault = parse(&[text.as_bytes(), b"\xff"].concat(), form).expect_err("no UTF-8");
        assert_eq!(
            fault,
            Fault::new(text.len()..text.len(), LandlockFileErrorKind::Utf8)
        );
        let deep = "[".repeat(60_000);
        assert!(parse(deep.as_bytes(), form).is_err(), "{form:?}");
    }
}

#[test]
fn texts_and_lists_are_accepted_up_to_the_limit() {
    for (form, text) in FORMS {
        let mut text = format!("{text}{}", "\n".repeat(MAX_BYTES - text.len()));
        assert!(parse(text.as_bytes(), form).is_ok(), "{form:?}");
        text.push('\n');
        let fault = parse(text.as_bytes(), form).expect_err("too long");
        assert_eq!(fault.reason, LandlockFileErrorKind::TooLong(MAX_BYTES + 1));
    }
    let paths = |count: usize| {
        let paths: Vec<String> = (0..count).map(|n| format!("\"/p{n}\"")).collect();
        changed("\"/\", \"/usr/bin\"", &paths.join(", ")).map(|rules| rules.beneath.len())
    };
    // The variable makes two more.
    assert_eq!(paths(MAX_PLACES - 2), Ok(MAX_PLACES));
    assert_eq!(
        paths(MAX_PLACES - 1),
        Err(LandlockFileErrorKind::TooMany("parent"))
    );
    let values = |count: usize| {
        let values: Vec<String> = (0..count).map(|n| format!("\"/v{n}\"")).collect();
        changed("\"/bin\", \"/sbin\"", &values.join(", ")).map(|rules| rules.beneath.len())
    };
    assert_eq!(values(MAX_PLACES - 2), Ok(MAX_PLACES));
    assert_eq!(
        values(MAX_PLACES - 1),
        Err(LandlockFileErrorKind::TooMany("parent"))
    );
    assert_eq!(
        values(MAX_PLACES + 1),
        Err(LandlockFileErrorKind::TooMany("literal"))
    );
    let ports = |count: usize| {
        let ports: Vec<String> = (0..count).map(|n| n.to_string()).collect();
        changed("80", &ports.join(", ")).map(|rules| rules.ports.len())
    };
    assert_eq!(ports(MAX_PLACES), Ok(MAX_PLACES));
    assert_eq!(
        ports(MAX_PLACES + 1),
        Err(LandlockFileErrorKind::TooMany("port"))
    );
}
