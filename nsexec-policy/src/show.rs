//! `show`: describes a policy, a profile or a rule file in words, prints its
//! filters as assembly, or counts its rules.

use std::fmt::Write as _;

use nsexec_policy_engine::policy::landlock_file::{self, Landlock};
use nsexec_policy_engine::policy::manifest::LayerSet;
use nsexec_policy_engine::policy::resolve::Parts;
use nsexec_policy_engine::policy::resolved::{
    Capabilities, Environment, Follow, HandledRight, Keyring, LandlockRules, Layer, Layers,
    Process, Require, ResolvedPolicy,
};
use nsexec_policy_engine::seccomp::oci::{self, Conditional, Context, UnmetCondition};
use nsexec_policy_engine::seccomp::profile::Profile;
use nsexec_policy_engine::seccomp::program::Program;
use serde_json::{Value, json};

use crate::Done;
use crate::arguments::Words;
use crate::assembly;
use crate::check::{at, compiled, count, program_of};
use crate::input::{self, Input, Kind};
use crate::words::{self, Calls};

pub(crate) fn run(words: &Words) -> Result<Done, String> {
    let [operand] = words.operands.as_slice() else {
        return Err(format!(
            "show accepts one policy or file, not {}",
            words.operands.len()
        ));
    };
    if words.has("bpf") && words.has("json") {
        return Err("--bpf and --json exclude each other".to_owned());
    }
    let input = Input::open(operand, words)?;
    let context = input::context(words, &input)?;
    let shown = match input.kind {
        Kind::Policy => match compiled(&input, context) {
            Ok((policy, parts)) => policy_shown(&policy, &parts, words),
            Err(wrong) => Err(wrong),
        },
        Kind::Profile => {
            profile_of(&input, context).map(|(conditional, profile, program)| match form(words) {
                Form::Words => decided_by(&context) + &in_words(&conditional, &profile, &context),
                Form::Assembly => assembly::listing(&program, context.arch),
                Form::Counts => pretty(&counts(&profile, &program, &context)),
            })
        }
        Kind::Rules(format) => landlock_file::parse(&input.text, format)
            .map(|rules| match form(words) {
                Form::Words => rules_in_words(&rules),
                Form::Assembly => String::new(),
                Form::Counts => pretty(&json!({
                    "handled": rules.handled.len(),
                    "paths": rules.beneath.len(),
                    "ports": rules.ports.len(),
                })),
            })
            .map_err(|fault| at(&input, fault.span.start, &fault.reason.to_string())),
    };
    match shown {
        Ok(text) if text.is_empty() => Err(format!("{}: it contains no filter", input.name)),
        Ok(stdout) => Ok(Done {
            stdout,
            ..Done::default()
        }),
        Err(wrong) => Ok(Done {
            stderr: wrong.render(),
            status: 1,
            ..Done::default()
        }),
    }
}

enum Form {
    Words,
    Assembly,
    Counts,
}

fn form(words: &Words) -> Form {
    if words.has("bpf") {
        Form::Assembly
    } else if words.has("json") {
        Form::Counts
    } else {
        Form::Words
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// The profile in a file without a policy.
pub(crate) fn profile_of(
    input: &Input,
    context: Context,
) -> Result<(Conditional, Profile, Program), crate::check::Diagnostic> {
    let conditional = oci::parse(&input.text)
        .map_err(|fault| at(input, fault.span.start, &fault.reason.to_string()))?;
    let profile = conditional
        .resolve(&context)
        .map_err(|fault| at(input, fault.span.start, &fault.reason.to_string()))?;
    let program = program_of(input, &conditional, &profile, context)?;
    Ok((conditional, profile, program))
}

fn policy_shown(
    policy: &ResolvedPolicy,
    parts: &Parts,
    words: &Words,
) -> Result<String, crate::check::Diagnostic> {
    let stages = [
        (
            LayerSet::Ceiling,
            &policy.ceiling,
            "ceiling",
            "restricts nsexec and the program, from before the clone",
        ),
        (
            LayerSet::Workload,
            &policy.workload,
            "program",
            "restricts the program, in addition to the ceiling",
        ),
    ];
    let mut text = String::new();
    let mut all = serde_json::Map::new();
    for (layer_set, layers, name, what) in stages {
        let part = parts
            .profiles
            .iter()
            .find(|part| part.layer_set == layer_set);
        match form(words) {
            Form::Assembly => {
                if let Some(program) = layers.seccomp.enforced() {
                    let listing = assembly::listing(program, parts.context.arch);
                    // Writing to a String cannot fail.
                    let _ = write!(text, "; {name}\n{listing}");
                }
            }
            Form::Counts => {
                let mut counted = match (part, layers.seccomp.enforced()) {
                    (Some(part), Some(program)) => counts(&part.profile, program, &parts.context),
                    _ => json!({ "instructions": 0 }),
                };
                counted["landlock"] = match layers.landlock.enforced() {
                    Some(rules) => json!({
                        "handled": rules.handled.len(),
                        "paths": rules.beneath.len(),
                        "ports": rules.ports.len(),
                    }),
                    None => Value::Null,
                };
                all.insert(name.to_owned(), counted);
            }
            Form::Words => {
                let _ = writeln!(text, "{name}: {what}\n");
                match (part, &layers.seccomp) {
                    (Some(part), _) => {
                        let _ = writeln!(text, "  seccomp, {}", part.file);
                        let shown = in_words(&part.conditional, &part.profile, &parts.context);
                        text.push_str(&indented(&shown));
                    }
                    (None, Layer::None { reason }) => {
                        let _ = writeln!(text, "  seccomp: none ({reason})");
                    }
                    (None, Layer::Enforce(_)) => {}
                }
                text.push_str(&landlock_in_words(layers, parts, layer_set));
                text.push('\n');
            }
        }
    }
    if let Form::Counts = form(words) {
        return Ok(pretty(&Value::Object(all)));
    }
    if let Form::Words = form(words) {
        text.push_str(&process_in_words(&policy.process, policy.preserve_fds));
    }
    Ok(text)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// The context of the conditions, if it is not part of the policy.
fn decided_by(context: &Context) -> String {
    let (major, minor) = context.kernel;
    let names: Vec<String> = context.bounding.iter().map(|c| c.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let held = match names.as_slice() {
        [] => "no capability".to_owned(),
        all if all.len() > 40 => "all capabilities".to_owned(),
        all => format!("these capabilities:\n{}", words::wrapped(2, all).trim_end()),
    };
    format!(
        "on {}, Linux {major}.{minor}, with {held}\n\n",
        context.arch.rust_name()
    )
}

fn in_words(conditional: &Conditional, profile: &Profile, context: &Context) -> String {
    let calls = Calls::of(profile, context.arch);
    let mut text = String::new();
    for ((_, action), names) in &calls.always {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {action} ({})", names.len());
        text.push_str(&words::wrapped(4, names));
    }
    if !calls.conditional.is_empty() {
        let _ = writeln!(text, "  by their arguments ({})", calls.conditional.len());
        for (name, rules, otherwise) in &calls.conditional {
            for (at, rule) in rules.iter().enumerate() {
                let name = if at == 0 { name } else { "" };
                let _ = writeln!(text, "    {name:<16} {rule}");
            }
            let _ = writeln!(text, "    {:<16} else {otherwise}", "");
        }
    }
    for ((_, action), number) in &calls.others {
        let _ = writeln!(
            text,
            "  {action}: {} not named in the text",
            count(*number, "call")
        );
    }
    let mut more: std::collections::BTreeMap<String, Vec<&str>> = std::collections::BTreeMap::new();
    let mut known = context.arch.calls().to_vec();
    known.sort_unstable();
    for (name, number) in known {
        for grant in conditional.grants(context, number) {
            if !grant.excluded && !grant.unmet.is_empty() {
                let unmet: Vec<String> = grant.unmet.iter().map(unmet).collect();
                let names = more.entry(unmet.join(" and ")).or_default();
                if names.last() != Some(&name) {
                    names.push(name);
                }
            }
        }
    }
    for (unmet, names) in more {
        let _ = writeln!(text, "  also allowed with {unmet} ({})", names.len());
        text.push_str(&words::wrapped(4, &names));
    }
    text
}

fn unmet(unmet: &UnmetCondition) -> String {
    match unmet {
        UnmetCondition::Capability(capability) => capability.to_string(),
        UnmetCondition::Architecture => "another architecture".to_owned(),
        UnmetCondition::Kernel((major, minor)) => format!("Linux {major}.{minor} or later"),
    }
}

fn counts(profile: &Profile, program: &Program, context: &Context) -> Value {
    let calls = Calls::of(profile, context.arch);
    let mut answers = serde_json::Map::new();
    for ((_, action), names) in &calls.always {
        answers.insert(action.clone(), json!(names.len()));
    }
    for ((_, action), number) in &calls.others {
        let named = answers.get(action).and_then(Value::as_u64).unwrap_or(0);
        let number = u64::try_from(*number).unwrap_or(u64::MAX);
        answers.insert(action.clone(), json!(named.saturating_add(number)));
    }
    json!({
        "arch": context.arch.rust_name(),
        "instructions": program.instructions().len(),
        "rules": profile.rules.len(),
        "default": words::action(profile.default),
        "calls": answers,
        "by_arguments": calls.conditional.len(),
    })
}

fn rules_in_words(rules: &Landlock) -> String {
    let mut text = String::new();
    let names = |rights: &[nsexec_policy_engine::policy::resolved::Right]| -> String {
        let names: Vec<&str> = rights.iter().map(|right| right.name()).collect();
        names.join(", ")
    };
    let _ = writeln!(text, "  denied unless a rule grants it");
    let handled: Vec<&str> = rules.handled.iter().map(|right| right.name()).collect();
    text.push_str(&words::wrapped(4, &handled));
    for rule in &rules.beneath {
        let _ = writeln!(
            text,
            "  beneath {}: {}",
            rule.path.display(),
            names(&rule.rights)
        );
    }
    for rule in &rules.ports {
        let _ = writeln!(text, "  port {}: {}", rule.port, names(&rule.rights));
    }
    let flags: Vec<&str> = rules.log.iter().map(|flag| flag.name()).collect();
    if !flags.is_empty() {
        let _ = writeln!(text, "  log: {}", flags.join(", "));
    }
    text
}

fn landlock_in_words(layers: &Layers, parts: &Parts, layer_set: LayerSet) -> String {
    let mut text = String::new();
    match (
        &layers.landlock,
        parts
            .landlock
            .iter()
            .find(|part| part.layer_set == layer_set),
    ) {
        (Layer::Enforce(rules), Some(part)) => {
            let _ = writeln!(text, "  landlock, {}", part.file);
            text.push_str(&indented(&rules_in_words(&part.rules)));
            text.push_str(&may_be_missing(rules));
        }
        (Layer::None { reason }, _) => {
            let _ = writeln!(text, "  landlock: none ({reason})");
        }
        (Layer::Enforce(_), None) => {}
    }
    text
}

fn may_be_missing(rules: &LandlockRules) -> String {
    let mut text = String::new();
    let mut say = |what: &str, require: &Require| {
        if let Require::BestEffort { reason } = require {
            let _ = writeln!(text, "    {what} is optional: {reason}");
        }
    };
    say("all of it", &rules.require);
    for HandledRight { right, require } in &rules.handled {
        say(right.name(), require);
    }
    text
}

/// The settings of a policy's process: name and value, one per line.
pub(crate) fn process_lines(process: &Process, preserve_fds: bool) -> Vec<(&'static str, String)> {
    let kept = |kept: bool| if kept { "kept" } else { "dropped" }.to_owned();
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let capabilities = match process.capabilities {
        Capabilities::Keep(set) if set.iter().next().is_none() => "none".to_owned(),
        Capabilities::Keep(set) => {
            let names: Vec<String> = set.iter().map(|c| c.to_string()).collect();
            names.join(" ")
        }
        Capabilities::Inherit => "the caller's".to_owned(),
        Capabilities::InitConfig => "initConfig's".to_owned(),
    };
    let follow = |follow: &Follow| {
        match follow {
            Follow::Caller => "the caller's",
            Follow::Target(Require::Full) => "the target's",
            Follow::Target(Require::BestEffort { .. }) => "the target's, if available",
        }
        .to_owned()
    };
    let limit = |limit: u64| match limit {
        u64::MAX => "unlimited".to_owned(),
        limit => limit.to_string(),
    };
    let rlimits: Vec<String> = process
        .rlimits
        .iter()
        .map(|r| format!("{}: {} {}", r.resource, limit(r.soft), limit(r.hard)))
        .collect();
    vec![
        ("capabilities", capabilities),
        ("no_new_privs", yes(process.no_new_privs)),
        ("the caller's groups", kept(process.keep_groups)),
        ("cgroups", follow(&process.cgroup)),
        ("security label", follow(&process.label)),
        (
            "session keyring",
            match process.keyring {
                Keyring::New => "a new one",
                Keyring::Caller => "the caller's",
            }
            .to_owned(),
        ),
        (
            "rlimits",
            if rlimits.is_empty() {
                "the caller's".to_owned()
            } else {
                rlimits.join(", ")
            },
        ),
        (
            "umask",
            process
                .umask
                .map_or_else(|| "the caller's".to_owned(), |u| format!("{u:#o}")),
        ),
        (
            "oom_score_adj",
            process
                .oom_score_adj
                .map_or_else(|| "the caller's".to_owned(), |a| a.to_string()),
        ),
        (
            "environment",
            match &process.environment {
                Environment::Inherit => "the caller's".to_owned(),
                Environment::InitConfig => "initConfig's".to_owned(),
                Environment::Login { pass } => format!("login, and {}", pass.join(" ")),
            },
        ),
        (
            "descriptors beyond 2",
            if preserve_fds { "if requested" } else { "none" }.to_owned(),
        ),
    ]
}

fn process_in_words(process: &Process, preserve_fds: bool) -> String {
    let mut text = "process\n".to_owned();
    for (what, value) in process_lines(process, preserve_fds) {
        if what == "capabilities" && value.len() > 60 {
            let names: Vec<&str> = value.split(' ').collect();
            let _ = writeln!(text, "  capabilities ({})", names.len());
            text.push_str(&words::wrapped(4, &names));
        } else {
            let _ = writeln!(text, "  {what:<22} {value}");
        }
    }
    text
}
