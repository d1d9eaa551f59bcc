mod hostile;

use serde_json::{Value, json};

use super::*;
use crate::output::event_json::{Line, LineError};
use crate::output::hash_chain::{BEGINNING, ChainWriter};

/// Lines with their chain values.
fn written(objects: &[Value]) -> Vec<u8> {
    let mut chained = ChainWriter::after(BEGINNING);
    let mut file = Vec::new();
    for object in objects {
        let mut line = serde_json::to_vec(object).unwrap();
        chained.end(&mut line).unwrap();
        file.extend(line);
    }
    file
}

fn read_one(file: &[u8]) -> Result<History, ReadError> {
    read([("events".to_owned(), file)])
}

fn drawn(history: &History) -> String {
    page(history).unwrap()
}

fn page_of(objects: &[Value]) -> String {
    drawn(&read_one(&written(objects)).unwrap())
}

fn start() -> Value {
    json!({
        "kind": "start", "schema": 1, "version": "0.1.0", "boot_id": "b", "node": "n",
        "ts_wall_ms": 0, "host": { "net": [1, 3], "uts": [2, 1] },
    })
}

fn health() -> Value {
    json!({
        "kind": "health", "ts_boot_ns": 9, "ts_wall_ms": 9, "backend": "b", "ended": true,
        "broken": [], "forgotten": 0, "nice": 0, "missed": { "call": 0 },
        "hooks": { "sys_exit_setns": {
            "seen": 1, "filtered": 0, "written": 1, "ring_full": 0, "pending_full": 0,
            "beginning_unseen": 0,
        } },
        "rings": { "namespaces": [{ "sequence": 1, "lost": 0 }], "lineage": [] },
    })
}

fn envelope(kind: &str, at: u64) -> Value {
    json!({
        "kind": kind, "ts_boot_ns": at, "ts_wall_ms": at / 1_000_000, "cpu": 0, "cpu_seq": 0,
        "lost_before": 0, "backend": "x",
    })
}

fn actor(pid: u32, comm: &str) -> Value {
    json!({
        "exec_id": format!("{pid}.1"), "tgid": pid, "tid": pid, "ns_tgid": pid, "comm": comm,
        "exe": comm, "exe_file": "1:2:3", "uid": 0, "gid": 0, "euid": 0, "caps_eff": "0",
        "no_new_privs": false, "seccomp_mode": 0, "cgroup_id": 1,
    })
}

fn with(mut object: Value, members: Value) -> Value {
    let members = members.as_object().unwrap().clone();
    object.as_object_mut().unwrap().extend(members);
    object
}

/// A setns into the host's network namespace, or out of it.
fn join(at: u64, pid: u32, comm: &str, into_host: bool) -> Value {
    let (after, before, host) = match into_host {
        true => (json!({}), json!({ "net": [9, 9] }), json!(["net", "uts"])),
        false => (
            json!({ "net": [9, 9] }),
            json!({ "net": [1, 3] }),
            json!(["uts"]),
        ),
    };
    with(
        envelope("ns_join", at),
        json!({
            "class": if into_host { "join_host" } else { "join_other" },
            "actor": actor(pid, comm), "parent": { "exec_id": "1.1", "tgid": 1 },
            "op": { "syscall": "setns", "abi": "native", "flags_raw": 1, "flags": ["NEWNET"], "ret": 0 },
            "ns": { "after": after, "before": before, "changed": ["net"], "host": host },
        }),
    )
}

fn denied(at: u64, pid: u32, comm: &str) -> Value {
    with(
        envelope("ns_denied", at),
        json!({
            "class": "denied", "actor": actor(pid, comm), "parent": { "exec_id": "1.1", "tgid": 1 },
            "op": {
                "syscall": "setns", "abi": "native", "flags_raw": 1, "flags": ["NEWPID"],
                "ret": -1, "errno": "EPERM",
            },
            "ns": { "after": {}, "changed": [], "host": ["net", "uts"] },
        }),
    )
}

fn lost(at: u64, count: u64) -> Value {
    with(
        envelope("lost", at),
        json!({ "ring": "lineage", "count": count }),
    )
}

fn missed(at: u64, count: u64) -> Value {
    json!({
        "kind": "missed", "ts_boot_ns": at, "ts_wall_ms": 0, "backend": "setns",
        "why": "pending_full", "count": count,
    })
}

fn alert() -> Value {
    json!({
        "kind": "alert", "ts_boot_ns": 8, "ts_wall_ms": 0, "rule": "join-host",
        "severity": "critical", "mitre": "T1611", "about": "it came back", "exec_id": "7.1", "tgid": 7,
    })
}

fn exec(at: u64, pid: u32, argv: &[&str]) -> Value {
    with(
        envelope("exec", at),
        json!({ "actor": actor(pid, argv[0]), "path": argv[0], "argv": argv }),
    )
}

/// A time that is no date is drawn; a browser draws no ticks for it.
#[test]
fn a_time_outside_the_calendar_is_drawn() {
    for wall_ms in [i64::MIN, i64::MAX] {
        let line = with(denied(5, 7, "sh"), json!({ "ts_wall_ms": wall_ms }));
        let page = page_of(&[start(), line, health()]);
        assert!(page.contains(&format!("{wall_ms} ms")), "{page}");
    }
}

/// A section, by its id.
#[track_caller]
fn section<'a>(page: &'a str, id: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("<section id=\"{id}\">")).unwrap();
    rest.split_once("</section>").unwrap().0
}

#[test]
fn a_complete_run_is_reported_as_complete() {
    let page = page_of(&[start(), join(5_000_000, 7, "sh", false), health()]);
    assert!(page.contains("banner good"), "{page}");
    assert!(!page.contains("banner bad") && !page.contains("banner warn"));
    assert!(section(&page, "crossings").contains("out of the host"));
    assert!(section(&page, "refused").contains("Nothing was refused."));
    assert!(section(&page, "losses").contains("No event was lost"));
}

#[test]
fn a_broken_chain_is_reported_with_its_line() {
    let file = written(&[start(), denied(5, 7, "sh"), denied(6, 7, "sh"), health()]);
    let changed = String::from_utf8(file)
        .unwrap()
        .replacen("\"tgid\":7", "\"tgid\":8", 1);
    let page = drawn(&read_one(changed.as_bytes()).unwrap());
    assert!(
        page.contains("banner bad\"><b>The chain is broken.</b> events:2: it was changed"),
        "{page}"
    );
    assert!(!page.contains("banner good") && !page.contains("Last chain value"));
    assert_eq!(page.matches("<tr id=\"e").count(), 2);
}

#[test]
fn a_file_that_was_cut_is_drawn_up_to_there() {
    let file = written(&[start(), denied(5, 7, "sh"), health()]);
    let page = drawn(&read_one(&file[..file.len() - 20]).unwrap());
    assert!(page.contains("events:3: it has no end"));
    assert!(page.contains("The end is missing."));
    assert_eq!(page.matches("<tr id=\"e").count(), 1);
    // At the end of a line, the chain cannot detect the cut, but the kind of the last line
    // shows it.
    let (_, whole) = file.split_last().unwrap();
    let end = whole.iter().rposition(|byte| *byte == b'\n').unwrap();
    let page = drawn(&read_one(&file[..=end]).unwrap());
    assert!(page.contains("The end is missing.") && !page.contains("banner bad"));
}

#[test]
fn losses_gaps_and_counters_are_shown_at_the_top_and_in_place() {
    let gap = with(
        envelope("ns_gap", 9),
        json!({
            "exec_id": "7.1", "tgid": 7, "tid": 70, "found_at": "exec",
            "ns": { "after": { "net": [9, 9] }, "before": { "net": [1, 3] }, "changed": ["net"], "host": ["uts"] },
        }),
    );
    let mut health = health();
    health["hooks"]["sys_exit_setns"]["ring_full"] = 3.into();
    health["missed"]["call"] = 2.into();
    health["broken"] = json!(["setns: 4 seen, 3 filtered, written or lost"]);
    let page = page_of(&[
        start(),
        lost(5, 1200),
        lost(7, 34),
        missed(8, 2),
        gap,
        health,
    ]);
    let (header, _) = page.split_once("</header>").unwrap();
    for printed in [
        "1,234 events did not fit, at 2 places",
        "2 calls were not observed by the probe",
        "ring_full 3, programs not run 2",
        "counted wrong: setns: 4 seen, 3 filtered",
        "1 time, a task was in other",
    ] {
        assert!(header.contains(printed), "{printed}: {header}");
    }
    assert!(!header.contains("banner good"));
    let losses = section(&page, "losses");
    assert!(losses.contains("1,200 events of the lineage ring, processor 0"));
    assert!(losses.contains("task 70 changed namespaces unobserved: net; detected at its exec"));
    assert_eq!(
        section(&page, "timeline")
            .matches("<line class=\"loss\"")
            .count(),
        3
    );
    assert!(losses.contains("2 calls not seen by setns (pending full)"));
    assert!(section(&page, "counters").contains("<td class=\"n bad\">3</td>"));
}

#[test]
fn alerts_joins_and_refusals_are_counted_by_process() {
    let events = [
        start(),
        join(5, 7, "sh", true),
        alert(),
        join(9, 7, "sh", true),
        denied(10, 8, "cat"),
        denied(11, 8, "cat"),
        denied(12, 8, "cat"),
        health(),
    ];
    let page = page_of(&events);
    let alerts = section(&page, "alerts");
    assert!(
        alerts.contains("<span class=\"sev critical\">critical</span>") && alerts.contains("T1611")
    );
    let joins = section(&page, "crossings");
    assert!(joins.contains("into the host") && joins.contains("<td class=\"n\">2</td>"));
    assert_eq!(joins.matches("<tr data-p").count(), 1);
    let refused = section(&page, "refused");
    assert!(refused.contains("setns(NEWPID)") && refused.contains("EPERM"));
    assert!(refused.contains("<td class=\"n\">3</td>"));
    let actors = section(&page, "who");
    assert!(actors.contains("title=\"join_host: 2\"") && actors.contains("title=\"denied: 3\""));
    assert!(
        actors.contains("1 #3 <span class=\"box host\">host</span>"),
        "{actors}"
    );
}

#[test]
fn children_are_listed_below_their_parents() {
    let fork = |at, of: u32, child: u32| {
        let child = json!({ "exec_id": format!("{child}.1"), "tgid": child });
        with(
            envelope("fork", at),
            json!({ "actor": actor(of, "sh"), "child": child }),
        )
    };
    let page = page_of(&[
        start(),
        fork(1, 7, 8),
        fork(2, 7, 9),
        fork(3, 8, 10),
        health(),
    ]);
    let lanes = section(&page, "timeline")
        .split("<div class=\"lane ")
        .skip(1);
    let lanes: Vec<(String, String)> = lanes
        .map(|lane| {
            let pid = lane
                .split_once("data-p=\"")
                .unwrap()
                .1
                .split('.')
                .next()
                .unwrap();
            (lane[..2].to_owned(), pid.to_owned())
        })
        .collect();
    let right = [("d0", "7"), ("d1", "8"), ("d2", "10"), ("d1", "9")];
    assert_eq!(
        lanes,
        right.map(|(depth, pid)| (depth.to_owned(), pid.to_owned()))
    );
}

#[test]
fn lines_that_are_none_are_refused_with_their_place() {
    let refused = |file: &[u8]| read_one(file).unwrap_err().to_string();
    let ours = |objects: &[Value]| refused(&written(objects));
    assert!(refused(b"").starts_with("events: there is no line"));
    assert!(ours(&[health()]).starts_with("events:1: the first line is not a start"));
    let unknown = ours(&[start(), json!({ "kind": "snapshot" })]);
    assert!(
        unknown.starts_with("events:2: unknown kind snapshot"),
        "{unknown}"
    );
    assert!(refused(b"text\n").starts_with("events:1: not a line of --format json"));
    let other = with(start(), json!({ "boot_id": "c" }));
    assert!(ours(&[start(), health(), other]).starts_with("events:3: it begins another boot"));
    let negative = with(
        envelope("lost", 5),
        json!({ "ring": "lineage", "count": -1 }),
    );
    assert!(ours(&[start(), negative]).starts_with("events:2: invalid value: integer `-1`"));
}

#[test]
fn a_line_is_read_up_to_its_bound() {
    let long = |length: usize| {
        let mut file = written(&[start()]);
        let line = |node: &str| written(&[with(start(), json!({ "node": node }))]);
        let node = "x".repeat(length - line("").len());
        file.extend(line(&node));
        read_one(&file)
            .map(|_| ())
            .map_err(|refused| refused.to_string())
    };
    assert_eq!(long(MAX_LINE - 1), Ok(()));
    assert!(
        long(MAX_LINE)
            .unwrap_err()
            .starts_with("events:2: it has 1048576 bytes")
    );
}

#[test]
fn files_continue_each_other() {
    let whole = written(&[start(), denied(5, 7, "sh"), health()]);
    let cut = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let (first, second) = whole.split_at(cut);
    let run = read([("a".to_owned(), first), ("b".to_owned(), second)]).unwrap();
    let page = drawn(&run);
    assert!(page.contains("banner good") && page.contains("<td class=\"n\">b:1</td>"));
    let run = read([("b".to_owned(), first), ("a".to_owned(), first)]).unwrap();
    assert!(drawn(&run).contains("a:1: it starts a chain of its own"));
}

/// The files after a rotation that deleted the first ones.
#[test]
fn a_file_without_the_one_before_begins_in_the_middle() {
    let mut chained = ChainWriter::after([7; 32]);
    let mut file = Vec::new();
    for object in [
        with(start(), json!({ "continues": "07".repeat(32) })),
        health(),
    ] {
        let mut line = serde_json::to_vec(&object).unwrap();
        chained.end(&mut line).unwrap();
        file.extend(line);
    }
    let printed = drawn(&read_one(&file).unwrap());
    assert!(printed.contains("The beginning is missing.") && !printed.contains("banner bad"));
    assert!(!printed.contains("banner good"));
    let whole = written(&[start(), health()]);
    let files = [("a".to_owned(), whole.as_slice()), ("b".to_owned(), &file)];
    let printed = drawn(&read(files).unwrap());
    assert!(printed.contains("b:1: it continues 0707"), "{printed}");
    assert!(!printed.contains("The beginning is missing."));
}

/// An unknown class, kind or name is never taken for a known one.
#[test]
fn unknown_names_are_refused_with_their_line() {
    for (name, object) in [
        (
            "class",
            with(denied(5, 7, "sh"), json!({ "class": "escaped" })),
        ),
        ("severity", with(alert(), json!({ "severity": "grave" }))),
        ("ring", with(lost(5, 1), json!({ "ring": "other" }))),
        ("why", with(missed(5, 1), json!({ "why": "other" }))),
    ] {
        let refused = read_one(&written(&[start(), object])).unwrap_err();
        assert_eq!(refused.line, 2, "{name}");
        assert!(matches!(
            refused.kind,
            ReadErrorKind::Line(LineError::Member(_))
        ));
        let text = refused.to_string();
        assert!(text.starts_with("events:2: unknown variant"), "{text}");
    }
    // A class of another kind.
    let other = with(denied(5, 7, "sh"), json!({ "class": "create" }));
    let text = read_one(&written(&[start(), other]))
        .unwrap_err()
        .to_string();
    assert!(
        text.starts_with("events:2: class create is of kind ns_create"),
        "{text}"
    );
}

/// Events beyond the limit are counted; forks and execs are left out first.
#[test]
fn events_that_are_not_drawn_are_counted() {
    let mut run = read_one(&written(&[
        start(),
        denied(1, 7, "sh"),
        exec(2, 7, &["sh"]),
    ]))
    .unwrap();
    assert_eq!(run.undrawn, [0, 0]);
    let line = |object: Value| {
        let object = with(object, json!({ "chain": "0" }));
        Line::parse(&serde_json::to_vec(&object).unwrap()).unwrap()
    };
    let mut take = |object: Value| run.take(9, line(object)).unwrap();
    for _ in 0..10 {
        take(exec(3, 7, &["sh"]));
    }
    for _ in 0..MAX_DRAWN - 2 {
        take(denied(4, 7, "sh"));
    }
    let run = run.end(BEGINNING).unwrap();
    assert_eq!((run.events.len(), run.undrawn), (MAX_DRAWN, [0, 10]));
    let mut run = run;
    run.take(10, line(denied(5, 7, "sh"))).unwrap();
    run.take(11, line(denied(5, 7, "sh"))).unwrap();
    let run = run.end(BEGINNING).unwrap();
    assert_eq!((run.events.len(), run.undrawn), (MAX_DRAWN, [1, 11]));
    assert_eq!(
        run.count("denied") + run.count("exec"),
        u64::try_from(MAX_DRAWN).unwrap() + 12
    );
}
