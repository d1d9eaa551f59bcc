//! Protocol A: environment, argv, initConfig.

use std::ffi::CString;

use nsexec_protocol::{argv as words, env as variables, init_config as config};
use nsexec_request::PolicyChoice;
use serde_json::{Value, json};

/// Lines of `KEY=VALUE` as an environment.
pub fn env(input: &[u8]) {
    let pairs = |text: &[u8]| -> Vec<(Vec<u8>, Vec<u8>)> {
        let pair = |line: &[u8]| {
            let equals = line.iter().position(|byte| *byte == b'=')?;
            let (key, value) = line.split_at_checked(equals)?;
            Some((key.to_vec(), value.get(1..)?.to_vec()))
        };
        text.split(|byte| *byte == b'\n').filter_map(pair).collect()
    };
    let recognise = |pairs: &[(Vec<u8>, Vec<u8>)]| {
        variables::recognise(
            pairs
                .iter()
                .map(|(key, value)| (key.as_slice(), value.as_slice())),
        )
    };
    let Ok(Some(read)) = recognise(&pairs(input)) else {
        return;
    };
    assert!(read.pid.get() > 0 && read.pipe > 2);
    let mut printed = format!(
        "_LIBCONTAINER_INITPID={}\n_LIBCONTAINER_INITPIPE={}\n",
        read.pid, read.pipe
    )
    .into_bytes();
    if let Some(console) = &read.console {
        printed.extend(b"_LIBCONTAINER_CONSOLE_PATH=");
        printed.extend(console.as_bytes());
    }
    assert_eq!(recognise(&pairs(&printed)), Ok(Some(read)));
}

/// Words with NULs between them as an argv.
pub fn argv(input: &[u8]) {
    let Ok(choice) = words::parse(input.split(|byte| *byte == 0)) else {
        return;
    };
    let policy = match &choice {
        PolicyChoice::Configured => return,
        PolicyChoice::Named(name) => name.clone().into_bytes(),
        PolicyChoice::File(path) => path.clone().into_os_string().into_encoded_bytes(),
    };
    let again = [&b"nsexec"[..], b"--policy", &policy, b"init"];
    assert_eq!(words::parse(again), Ok(choice));
}

/// An initConfig.
pub fn init_config(input: &[u8]) {
    let Ok(read) = config::parse(input) else {
        return;
    };
    assert!(input.len() <= config::MAX_INIT_CONFIG);
    assert!(!read.args.is_empty());
    assert!(
        read.env
            .iter()
            .all(|(key, _)| !key.is_empty() && !key.as_bytes().contains(&b'='))
    );
    assert!(
        read.rlimits
            .iter()
            .all(|limit| limit.resource <= 15 && limit.soft <= limit.hard)
    );
    let printed = print(&read).to_string();
    assert_eq!(config::parse(printed.as_bytes()), Ok(read));
}

fn print(config: &config::InitConfig) -> Value {
    let text = |string: &CString| string.to_string_lossy().into_owned();
    let label = |label: &Option<CString>| label.as_ref().map(text).unwrap_or_default();
    let args: Vec<String> = config.args.iter().map(text).collect();
    let pair = |(key, value): &(CString, CString)| format!("{}={}", text(key), text(value));
    let env: Vec<String> = config.env.iter().map(pair).collect();
    let capabilities: Vec<String> = config.capabilities.iter().map(|c| c.to_string()).collect();
    let limit = |limit: &nsexec_policy_engine::policy::resolved::Rlimit| json!({ "type": limit.resource, "hard": limit.hard, "soft": limit.soft });
    let rlimits: Vec<Value> = config.rlimits.iter().map(limit).collect();
    let groups: Vec<String> = config
        .additional_groups
        .iter()
        .map(|g| g.to_string())
        .collect();
    json!({
        "args": args,
        "env": env,
        "cwd": config.cwd.as_ref().map(text).unwrap_or_default(),
        "capabilities": capabilities,
        "user": config.user.to_string(),
        "passed_files_count": config.passed_files,
        "config": {
            "rlimits": rlimits,
            "oom_score_adj": config.oom_score_adj,
            "additional_groups": groups,
            "apparmor_profile": label(&config.apparmor_profile),
            "process_label": label(&config.process_label),
            "seccomp": config.seccomp.as_ref().map(seccomp),
        },
    })
}

fn seccomp(config: &nsexec_policy_engine::seccomp::libcontainer::Config) -> Value {
    let syscalls = config.syscalls.as_ref().map(|syscalls| {
        let print = |syscall: &nsexec_policy_engine::seccomp::libcontainer::Syscall| {
            let args = syscall.args.as_ref().map(|args| {
                let print = |arg: &nsexec_policy_engine::seccomp::libcontainer::Arg| {
                    json!({
                        "index": arg.index,
                        "value": arg.value,
                        "value_two": arg.value_two,
                        "op": arg.op,
                    })
                };
                args.iter().map(print).collect::<Vec<_>>()
            });
            json!({ "name": syscall.name, "action": syscall.action, "args": args })
        };
        syscalls.iter().map(print).collect::<Vec<_>>()
    });
    json!({
        "default_action": config.default_action,
        "architectures": config.architectures,
        "syscalls": syscalls,
    })
}
