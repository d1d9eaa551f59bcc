//! The output conforms to docs/audit-event.schema.json.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support::json_schema;
mod support;

use std::collections::BTreeSet;
use std::process::Command;

use json_schema::wrong;
use nsexec_audit::model::event::{MissReason, MissedEvent, Time};
use nsexec_audit::output::event_json::{self, Line};
use serde_json::{Value, json};

use support::cgroup;
use support::{Sleeper, object};

const SCHEMA: &str = include_str!("../../../docs/audit-event.schema.json");

/// The lines about a script, each checked against the schema.
fn held(script: &str, arguments: &[&str]) -> Vec<(String, Value)> {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_nsexec-audit"))
        .args(support::backend_option())
        .args(["--format", "json", "--lineage", "--", "sh", "-c", script])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let kinds = schema["oneOf"].as_array().unwrap();
    let hold = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        let complaints = kinds.iter().map(|one| wrong(&schema, one, &value, "line"));
        let complaints: Vec<_> = complaints.collect();
        let fitting = complaints.iter().filter(|wrong| wrong.is_none()).count();
        assert_eq!(fitting, 1, "{line}\n{complaints:?}");
        (line.to_owned(), value)
    };
    printed.lines().map(hold).collect()
}

#[test]
fn every_line_conforms_to_the_schema() {
    if object("every_line_conforms_to_the_schema").is_none() {
        return;
    }
    let script = "unshare --uts --net true; unshare --time true; unshare --user --map-root-user true; \
                  unshare --fork --pid --kill-child true; nsenter --net=/proc/1/ns/net true; \
                  nsenter --net=/etc/passwd true; exit 0";
    let lines = held(script, &[]);
    let mut kinds = BTreeSet::new();
    let mut sizes = Vec::new();
    for (line, value) in &lines {
        let kind = value["kind"].as_str().unwrap();
        if kind.starts_with("ns_") {
            sizes.push(line.len());
        }
        kinds.insert(kind);
    }
    for kind in [
        "start",
        "ns_create",
        "ns_denied",
        "alert",
        "fork",
        "exec",
        "exit",
        "health",
    ] {
        assert!(kinds.contains(kind), "{kind}: {kinds:?}");
    }
    sizes.sort_unstable();
    let median = sizes[sizes.len() / 2];
    println!("{} lines of namespaces, median {median} bytes", sizes.len());
    assert!(median <= 900, "{sizes:?}");
}

#[test]
fn lines_with_a_container_conform_to_the_schema() {
    let test = "lines_with_a_container_conform_to_the_schema";
    if object(test).is_none() {
        return;
    }
    let name = format!("nsexec-schema-{}", std::process::id());
    let Some(cgroup) = cgroup::named(test, &name) else {
        return;
    };
    // The process ends before its cgroup is removed.
    let sleeper = Sleeper::new(&["--uts"]);
    cgroup.add(sleeper.pid().cast_signed());
    let procs = cgroup.procs();
    let script = "nsenter -t $1 -u true; echo $$ >$0; unshare --uts true; exit 0";
    let arguments = [procs.to_str().unwrap(), &sleeper.pid().to_string()];
    let lines = held(script, &arguments);
    let container = json!(format!("runc/{name}"));
    let of_kind = |kind| {
        let mut all = lines.iter().map(|(_, value)| value);
        all.find(|value| value["kind"] == kind).unwrap()
    };
    let join = of_kind("ns_join");
    assert_eq!(join["crossed"], "host->container");
    assert_eq!(join["crossed_by"], "mnt");
    assert_eq!(join["entered"], container);
    assert_eq!(of_kind("ns_create")["actor"]["container"], container);
}

/// The shipped schema is generated from the types that are written and read.
#[test]
fn the_schema_is_generated_from_the_types() {
    let generated = serde_json::to_string_pretty(&event_json::schema()).unwrap();
    assert!(
        generated == SCHEMA.trim_end(),
        "cargo run -p nsexec-audit --example schema >docs/audit-event.schema.json"
    );
}

/// The checker knows every keyword of the schema: it would ignore unknown ones.
#[test]
fn the_schema_only_uses_checked_words() {
    fn words(schema: &Value, are_names: bool, all: &mut BTreeSet<String>) {
        match schema {
            Value::Object(members) => {
                for (name, member) in members {
                    if !are_names {
                        all.insert(name.clone());
                    }
                    let inner = !are_names && (name == "properties" || name == "$defs");
                    words(member, inner, all);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| words(item, false, all)),
            _ => {}
        }
    }
    let mut all = BTreeSet::new();
    words(&serde_json::from_str(SCHEMA).unwrap(), false, &mut all);
    // Annotations for readers, and bounds that the types have.
    let unchecked = [
        "$schema",
        "title",
        "description",
        "default",
        "format",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
    ];
    let checked = [
        "$defs",
        "$ref",
        "additionalProperties",
        "const",
        "enum",
        "items",
        "oneOf",
        "prefixItems",
        "properties",
        "required",
        "type",
    ];
    for word in all {
        let word = word.as_str();
        assert!(
            checked.contains(&word) || unchecked.contains(&word),
            "{word}"
        );
    }
}

/// The checker itself finds errors.
#[test]
fn nonconforming_lines_are_found() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let lost = serde_json::json!({
        "kind": "lost", "ts_boot_ns": 1, "ts_wall_ms": 1, "cpu": 0, "cpu_seq": 0,
        "lost_before": 1, "backend": "x", "ring": "lineage", "count": 1, "chain": "0",
    });
    let of_kind = |kind: &str| {
        let mut all = schema["oneOf"].as_array().unwrap().iter();
        all.find(|one| one["properties"]["kind"]["const"] == kind)
            .unwrap()
    };
    let of = |value: &Value| wrong(&schema, of_kind("lost"), value, "line");
    assert_eq!(of(&lost), None);
    for (name, value) in [("ring", "other"), ("more", "x"), ("count", "1")] {
        let mut changed = lost.clone();
        changed[name] = value.into();
        assert!(of(&changed).is_some(), "{name}");
    }
    let missed = serde_json::to_value(Line::Missed(MissedEvent {
        time: Time {
            ts_boot_ns: 1,
            ts_wall_ms: 1,
        },
        backend: "x".into(),
        why: MissReason::Recursion,
        count: 1,
    }));
    let mut missed = missed.unwrap();
    missed["chain"] = "0".into();
    let of_missed = |value: &Value| wrong(&schema, of_kind("missed"), value, "line");
    assert_eq!(of_missed(&missed), None);
    missed["why"] = "other".into();
    assert!(of_missed(&missed).is_some());
    let mut without = lost;
    without.as_object_mut().unwrap().remove("count");
    assert_eq!(of(&without), Some("line: no \"count\"".to_owned()));
}
