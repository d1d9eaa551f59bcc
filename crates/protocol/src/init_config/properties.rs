use super::*;

use proptest::prelude::*;
use serde_json::{Value, json};

const SAMPLE: &str = include_str!("../../../../tests/data/proto_a_initConfig_setns.json");

/// The message that parses to `config`.
fn print(config: &InitConfig) -> String {
    let texts = |list: &[CString]| -> Vec<String> { list.iter().map(text).collect() };
    let label = |label: &Option<CString>| label.as_ref().map(text).unwrap_or_default();
    let names: Vec<String> = config.capabilities.iter().map(|c| c.to_string()).collect();
    let env: Vec<String> = config
        .env
        .iter()
        .map(|(key, value)| format!("{}={}", text(key), text(value)))
        .collect();
    let rlimits: Vec<Value> = config
        .rlimits
        .iter()
        .map(|limit| json!({"type": limit.resource, "hard": limit.hard, "soft": limit.soft}))
        .collect();
    let groups: Vec<String> = config
        .additional_groups
        .iter()
        .map(Account::to_string)
        .collect();
    let seccomp = config.seccomp.as_ref().map(|seccomp| {
        let rule = |rule: &libcontainer::Syscall| {
            let arg = |arg: &libcontainer::Arg| {
                json!({"index": arg.index, "value": arg.value, "value_two": arg.value_two, "op": arg.op})
            };
            let args = rule.args.as_ref().map(|args| args.iter().map(arg).collect::<Vec<_>>());
            json!({"name": rule.name, "action": rule.action, "args": args})
        };
        let rules = seccomp.syscalls.as_ref();
        let rules = rules.map(|rules| rules.iter().map(rule).collect::<Vec<_>>());
        json!({
            "default_action": seccomp.default_action,
            "architectures": seccomp.architectures,
            "syscalls": rules,
        })
    });
    json!({
        "args": texts(&config.args),
        "env": env,
        "cwd": label(&config.cwd),
        "capabilities": names,
        "user": config.user.to_string(),
        "config": {
            "rlimits": rlimits,
            "oom_score_adj": config.oom_score_adj,
            "seccomp": seccomp,
            "additional_groups": groups,
            "apparmor_profile": label(&config.apparmor_profile),
            "process_label": label(&config.process_label),
        },
        "passed_files_count": config.passed_files,
    })
    .to_string()
}

fn text(text: &CString) -> String {
    text.to_str().expect("JSON is UTF-8").to_owned()
}

fn strings(of: &'static str) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(of, 0..4)
}

prop_compose! {
    /// Messages, most of them valid.
    fn messages()(
        args in strings("[a-z/ ]{0,5}"),
        env in proptest::option::of(strings("[A-C]{0,2}=?[a-z=]{0,3}")),
        cwd in prop_oneof!["", "/[a-z/.]{0,9}", "[a-z]{0,2}"],
        user in prop_oneof!["", "[a-z0-9]{1,5}", "[a-z0-9]{1,3}:[a-z0-9]{1,3}", any::<String>()],
        capabilities in proptest::option::of(proptest::collection::vec(
            prop_oneof![Just("CAP_KILL"), Just("CAP_BPF"), Just("CAP_CHOWN")], 0..3)),
        rlimits in proptest::collection::vec((-1_i64..17, any::<u64>(), 0_u64..9), 0..3),
        score in -1010_i64..1010,
        groups in strings("[a-z0-9]{1,3}"),
        label in prop_oneof!["", "[a-z:\n]{0,9}"],
        filter in proptest::option::of((-5_i32..0, strings("[a-z]{1,5}"), any::<u64>())),
        files in -1_i64..9,
    ) -> String {
        let rlimits: Vec<Value> = rlimits
            .into_iter()
            .map(|(kind, hard, soft)| json!({"type": kind, "hard": hard, "soft": soft}))
            .collect();
        let seccomp = filter.map(|(action, names, value)| {
            let arg = json!({"index": 1, "value": value, "value_two": 0, "op": 2});
            let rules: Vec<Value> = names
                .into_iter()
                .map(|name| json!({"name": name, "action": action, "args": [arg]}))
                .collect();
            json!({"default_action": action, "architectures": null, "syscalls": rules})
        });
        json!({
            "args": args, "env": env, "cwd": cwd, "capabilities": capabilities, "user": user,
            "config": {
                "rlimits": rlimits, "oom_score_adj": score, "additional_groups": groups,
                "process_label": label, "seccomp": seccomp, "mounts": [], "capabilities": ["CAP_KILL"],
            },
            "console": "", "network": null, "passed_files_count": files,
        })
        .to_string()
    }
}

proptest! {
    #[test]
    fn a_parsed_message_prints_and_parses_to_the_same(text in messages()) {
        match parse(text.as_bytes()) {
            Ok(config) => prop_assert_eq!(parse(print(&config).as_bytes()), Ok(config)),
            Err(fault) => prop_assert!(text.get(fault.span).is_some()),
        }
    }

    #[test]
    fn a_changed_byte_is_refused_or_still_consistent(at in 0..SAMPLE.len(), byte: u8) {
        let mut text = SAMPLE.as_bytes().to_vec();
        text[at] = byte;
        match parse(&text) {
            Ok(config) => prop_assert_eq!(parse(print(&config).as_bytes()), Ok(config)),
            Err(fault) => prop_assert!(fault.span.end <= text.len(), "{fault:?}"),
        }
    }
}
