//! Policies: manifest, seccomp profile, Landlock rules, and the encoded form.

use nsexec_kernel_text::capability::CapabilitySet;
use nsexec_policy_engine::policy::encode;
use nsexec_policy_engine::policy::landlock_file::{self, Form, Landlock};
use nsexec_policy_engine::policy::manifest::FileName;
use nsexec_policy_engine::policy::resolve::{FileFault, Files, compile};
use nsexec_policy_engine::policy::resolved::ResolvedPolicy;
use nsexec_policy_engine::policy::right::{self, Right};
use nsexec_policy_engine::seccomp::oci::{self, Context};
use nsexec_policy_engine::seccomp::profile::Profile;
use nsexec_policy_engine::seccomp::program::Program;
use nsexec_policy_engine::seccomp::table::Arch;
use nsexec_policy_engine::seccomp::{compile as compiler, interpret};

/// The shortest valid files of a manifest.
struct Few;

impl Files for Few {
    fn read(&mut self, name: &FileName) -> Result<Vec<u8>, FileFault> {
        let rules = name.as_str().starts_with("landlock/");
        let text = match (rules, Form::of(name)) {
            (true, Some(Form::Json)) => {
                r#"{"abi":7,"ruleset":[{"handledAccessFs":["execute","refer"]}],
                "pathBeneath":[{"allowedAccess":["execute","refer"],"parent":["/"]}],
                "x-nsexec":{"log":["new_exec_on"]}}"#
            }
            (_, Some(Form::Json)) => {
                r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["reboot"],"action":"SCMP_ACT_ERRNO"}]}"#
            }
            _ => {
                "abi = 2\n[[ruleset]]\nhandled_access_fs = [\"execute\", \"refer\"]\n\
                 [[path_beneath]]\nallowed_access = [\"execute\", \"refer\"]\nparent = [\"/\"]\n"
            }
        };
        Ok(text.as_bytes().to_vec())
    }
}

fn context(arch: Arch) -> Context {
    Context {
        arch,
        bounding: CapabilitySet::EMPTY,
        kernel: (6, 1),
    }
}

fn survives_the_pipe(policy: &ResolvedPolicy) {
    let encoded = encode::encode(policy).expect("a compiled policy can be encoded");
    assert!(encoded.len() <= encode::MAX_ENCODED);
    let decoded = encode::decode(&encoded).expect("an encoded policy can be decoded");
    assert_eq!(&decoded, policy);
    assert_eq!(encode::encode(&decoded).ok(), Some(encoded));
}

/// A manifest with small files.
pub fn policy_manifest(input: &[u8]) {
    for arch in Arch::ALL {
        if let Ok(policy) = compile("fuzz", input, &mut Few, context(arch)) {
            survives_the_pipe(&policy);
        }
    }
}

/// An OCI seccomp profile.
pub fn seccomp_json(input: &[u8]) {
    let Ok(profile) = oci::parse(input) else {
        return;
    };
    assert!(input.len() <= oci::MAX_BYTES);
    for arch in Arch::ALL {
        let resolved_32_bit = arch.of_32_bit().zip(profile.resolve_32_bit(&context(arch)));
        let Ok(profile) = profile.resolve(&context(arch)) else {
            continue;
        };
        let compat_profile = resolved_32_bit.as_ref().map(|(_, profile)| profile);
        let Ok(program) = compiler::compile_with_32_bit(&profile, arch, compat_profile) else {
            continue;
        };
        if let Some((arch, profile)) = &resolved_32_bit {
            answers_alike(profile, &program, *arch);
        }
        answers_alike(&profile, &program, arch);
    }
}

/// The program and the profile give the same answers, for calls of this
/// architecture.
fn answers_alike(profile: &Profile, program: &Program, arch: Arch) {
    for number in profile
        .rules
        .iter()
        .map(|rule| rule.syscall)
        .chain([0, 1, 59, 600])
        .take(64)
    {
        for arguments in [[0; 6], [1; 6], [u64::MAX; 6]] {
            let call = interpret::Call {
                number,
                arch: arch.audit(),
                instruction_pointer: 0,
                arguments,
            };
            let meant = compiler::return_value(profile.evaluate(arch, number, arguments));
            assert_eq!(
                interpret::run(program, &call),
                Some(meant),
                "{number} {arguments:?} on {arch}"
            );
        }
    }
}

/// A Landlock rule file in TOML.
pub fn landlock_toml(input: &[u8]) {
    landlock(input, Form::Toml);
}

/// A Landlock rule file in JSON.
pub fn landlock_json(input: &[u8]) {
    landlock(input, Form::Json);
}

fn landlock(input: &[u8], form: Form) {
    let Ok(read) = landlock_file::parse(input, form) else {
        return;
    };
    assert!(input.len() <= landlock_file::MAX_BYTES);
    assert!(!read.handled.is_empty());
    for rule in &read.beneath {
        assert!(!rule.rights.is_empty() && rule.path.is_absolute());
        assert!(
            rule.rights
                .iter()
                .all(|right| right.is_fs() && read.handled.contains(right))
        );
    }
    for rule in &read.ports {
        assert!(!rule.rights.is_empty());
        assert!(
            rule.rights
                .iter()
                .all(|right| right.is_net() && read.handled.contains(right))
        );
    }
    for form in [Form::Toml, Form::Json] {
        let printed = print(&read, form);
        if printed.len() <= landlock_file::MAX_BYTES {
            assert_eq!(
                landlock_file::parse(printed.as_bytes(), form).as_ref(),
                Ok(&read),
                "{printed}"
            );
        }
    }
}

/// Prints rules. TOML's inline tables have the structure of JSON's objects.
fn print(rules: &Landlock, form: Form) -> String {
    let object = |members: &[(&str, String)]| {
        let members: Vec<String> = members
            .iter()
            .map(|(key, value)| match form {
                Form::Toml => format!("{key} = {value}"),
                Form::Json => format!("\"{key}\": {value}"),
            })
            .collect();
        format!("{{ {} }}", members.join(", "))
    };
    let list = |items: Vec<String>| format!("[{}]", items.join(", "));
    let names = |rights: &[Right]| {
        let name = |right: &Right| format!("\"{}\"", right.name());
        list(rights.iter().map(name).collect())
    };
    let key = |toml, json| match form {
        Form::Toml => toml,
        Form::Json => json,
    };
    let (fs, net, scoped): (Vec<Right>, _, _) = {
        let of = |kind: &dyn Fn(&Right) -> bool| -> Vec<Right> {
            rules.handled.iter().copied().filter(kind).collect()
        };
        let scope = |right: &Right| !right.is_fs() && !right.is_net();
        (of(&|r| r.is_fs()), of(&|r| r.is_net()), of(&scope))
    };
    let handled = [
        (key("handled_access_fs", "handledAccessFs"), fs),
        (key("handled_access_net", "handledAccessNet"), net),
        ("scoped", scoped),
    ];
    let handled: Vec<(&str, String)> = handled
        .into_iter()
        .filter(|(_, rights)| !rights.is_empty())
        .map(|(key, rights)| (key, names(&rights)))
        .collect();
    let allowed = key("allowed_access", "allowedAccess");
    let beneath: Vec<String> = rules
        .beneath
        .iter()
        .map(|rule| {
            let path = string(&rule.path.to_string_lossy().replace('$', "$$"));
            object(&[(allowed, names(&rule.rights)), ("parent", list(vec![path]))])
        })
        .collect();
    let ports: Vec<String> = rules
        .ports
        .iter()
        .map(|rule| {
            let port = rule.port.to_string();
            object(&[(allowed, names(&rule.rights)), ("port", list(vec![port]))])
        })
        .collect();
    let mut members = vec![
        ("abi", right::NEWEST_ABI.to_string()),
        ("ruleset", list(vec![object(&handled)])),
    ];
    if !beneath.is_empty() {
        members.push((key("path_beneath", "pathBeneath"), list(beneath)));
    }
    if !ports.is_empty() {
        members.push((key("net_port", "netPort"), list(ports)));
    }
    if !rules.log.is_empty() {
        let flags = rules.log.iter().map(|flag| string(flag.name())).collect();
        members.push(("x-nsexec", object(&[("log", list(flags))])));
    }
    match form {
        Form::Json => object(&members),
        Form::Toml => members
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect(),
    }
}

/// A string for both forms: TOML has JSON's escapes, and requires one for DEL.
fn string(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.replace('\u{7f}', "\\u007f")
}

/// The output of the unprivileged compiler process.
pub fn policy_encoding(input: &[u8]) {
    if let Ok(policy) = encode::decode(input) {
        survives_the_pipe(&policy);
    }
}
