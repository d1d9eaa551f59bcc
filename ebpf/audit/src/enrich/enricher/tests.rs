use nsexec_audit_abi::code::{Hook, Kind, Syscall};
use serde_json::{Value, json};

use super::*;
use crate::fixtures::{call, exec, exit_of, namespace, namespace_set, task, task_id, with};
use crate::output::escape;
use crate::output::event_json::Line;
use crate::output::text::Text;

/// A kernel thread, which is in the host's namespaces.
fn host() -> Snapshot {
    Snapshot {
        header: crate::fixtures::header(Kind::Snapshot, Hook::IterTask, 0),
        task: task(KTHREADD, 0),
        parent: task_id(&task(1, 1)),
        namespaces: namespace_set(1),
    }
}

pub(crate) fn enricher() -> Enricher {
    let nsexec = vec![FileId {
        device: 8,
        inode: 42,
    }];
    let mut enricher = Enricher::start(nsexec).unwrap();
    enricher.load_snapshot(&[host()]);
    assert!(enricher.host_is_known());
    enricher
}

/// All output, as JSON and as text.
fn lines(enricher: &mut Enricher) -> Vec<(Value, Option<String>)> {
    let mut all = Vec::new();
    let text = Text { colour: false };
    let mut keep = |event: OutputEvent| {
        let lines = Line::from(event);
        let mut line = Vec::new();
        escape::write(&lines, &mut line).unwrap();
        all.push((serde_json::from_slice(&line).unwrap(), text.line(&lines)));
    };
    while enricher.emit_next(None, &mut keep) {}
    all
}

#[test]
fn a_join_by_nsexec_is_reported_with_its_claims() {
    let mut enricher = enricher();
    let host = namespace_set(1);
    let inside = with(with(host, "mnt", 70), "net", 71);
    let mut joiner = exec(task(6, 42), b"/usr/bin/renamed", host);
    if let Event::Exec(exec) = &mut joiner {
        exec.arguments = crate::fixtures::text(b"nsexec\0-t\x007\0--policy\0admin\0--\0sh\0");
    }
    enricher.push(joiner);
    let mut join = namespace(task(6, 42), call(Syscall::Setns, 0), host, inside);
    join.header.boot_ns = 2;
    join.call.flags = 0x4002_0000;
    enricher.push(Event::Namespace(join));
    let lines = lines(&mut enricher);
    let (json, text) = &lines[1];
    assert_eq!(json["kind"], "ns_join");
    assert_eq!(json["class"], "join_other");
    assert_eq!(json["op"]["flags"], serde_json::json!(["NEWNS", "NEWNET"]));
    assert_eq!(json["ns"]["changed"], serde_json::json!(["mnt", "net"]));
    assert_eq!(json["ns"]["after"]["net"], serde_json::json!([71, 71 << 8]));
    assert_eq!(json["ns"]["before"]["net"], serde_json::json!([4, 4 << 8]));
    assert_eq!(json["ns"]["host"].as_array().unwrap().len(), 8);
    assert_eq!(json["actor"]["nsexec"]["policy"], "admin");
    assert_eq!(json["actor"]["exec_id"], "6.60");
    let text = text.as_ref().unwrap();
    assert!(text.contains("join_other  6 "), "{text}");
    assert!(
        text.contains("setns(NEWNS|NEWNET) -> mnt net  [nsexec, policy admin]"),
        "{text}"
    );
    // The largest memory use of an event, in the middle of the run.
    assert!(json.to_string().len() <= 900, "{}", json.to_string().len());
}

#[test]
fn cached_parts_are_dropped_when_the_host_becomes_known() {
    let mut enricher = Enricher::start(Vec::new()).unwrap();
    let noop = namespace(
        task(6, 1),
        call(Syscall::Setns, 0),
        namespace_set(1),
        namespace_set(1),
    );
    let hosts = |enricher: &mut Enricher| {
        enricher.push(Event::Namespace(noop));
        let (line, _) = lines(enricher).remove(0);
        line["ns"]["host"].as_array().unwrap().len()
    };
    assert_eq!(hosts(&mut enricher), 0);
    enricher.load_snapshot(&[host()]);
    assert_eq!(hosts(&mut enricher), 10);
}

#[test]
fn a_loss_is_reported_in_its_place() {
    let mut enricher = enricher();
    let found = with(namespace_set(1), "uts", 90);
    enricher.push(exec(task(5, 1), b"/bin/a", namespace_set(1)));
    let mut later = exec(task(5, 1), b"/bin/b", found);
    if let Event::Exec(exec) = &mut later {
        exec.header.boot_ns = 2;
        exec.header.lost = 3;
    }
    enricher.push(later);
    let mut last = exit_of(task(9, 1), 3);
    if let Event::Exit(exit) = &mut last {
        exit.header.lost = 3;
    }
    enricher.push(last);
    let lines = lines(&mut enricher);
    let kinds: Vec<&str> = lines
        .iter()
        .map(|(json, _)| json["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["exec", "lost", "ns_gap", "exec", "exit"]);
    assert_eq!(lines[1].0["count"], 3);
    assert_eq!(lines[2].0["ns"]["changed"], serde_json::json!(["uts"]));
    assert_eq!(lines[2].0["found_at"], "exec");
    assert!(
        lines[2]
            .1
            .as_ref()
            .unwrap()
            .contains("changed unseen before its exec: uts")
    );
}

#[test]
fn the_program_of_a_process_that_ends_is_still_reported() {
    let mut enricher = enricher();
    enricher.push(exec(task(5, 1), b"/bin/a", namespace_set(1)));
    enricher.push(exit_of(task(5, 0), 2));
    let lines = lines(&mut enricher);
    assert_eq!(lines[1].0["kind"], "exit");
    assert_eq!(lines[1].0["actor"]["exe"], "/bin/a");
}

#[test]
fn nothing_is_emitted_before_its_time() {
    let mut enricher = enricher();
    let mut early = exit_of(task(5, 1), 0);
    if let Event::Exit(exit) = &mut early {
        exit.header.boot_ns = u64::MAX;
    }
    enricher.push(early);
    let lines = enricher.emit_next(Some(clock::boottime_ns()), drop);
    assert!(!lines);
}

/// A cgroup id that no machine has.
const CGROUP: u64 = u64::MAX - 1;

fn in_container(enricher: &mut Enricher, path: &str) {
    let container = crate::enrich::container::of_path(path.as_ref()).unwrap();
    let place = Place::Container(std::sync::Arc::new(container));
    enricher.cgroups().found(CGROUP, path.as_ref(), place);
}

#[test]
fn events_have_the_container_and_the_boundary() {
    let mut enricher = enricher();
    let id = "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970";
    let pod = "2b1f5c0e-6a3d-4a56-9c1d-0a1b2c3d4e5f";
    in_container(&mut enricher, &format!("/kubepods/pod{pod}/crio-{id}"));
    let host = namespace_set(1);
    let inside = with(with(host, "mnt", 70), "net", 71);
    let container = Task {
        cgroup_id: CGROUP,
        ..task(5, 1)
    };
    enricher.push(exec(container, b"/bin/a", inside));
    let mut at = 2;
    let mut call = |actor, syscall, before, after| {
        let mut record = namespace(actor, call(syscall, 0), before, after);
        record.header.boot_ns = at;
        at += 1;
        Event::Namespace(record)
    };
    let unshared = with(inside, "uts", 80);
    enricher.push(call(container, Syscall::Unshare, inside, unshared));
    enricher.push(call(task(6, 1), Syscall::Setns, host, inside));
    let back = with(unshared, "net", 4);
    enricher.push(call(container, Syscall::Setns, unshared, back));
    let unknown = Task {
        cgroup_id: u64::MAX,
        ..task(8, 1)
    };
    enricher.push(call(unknown, Syscall::Unshare, host, with(host, "uts", 90)));
    let lines = lines(&mut enricher);
    let name = format!("cri-o/{id}");
    let null = Value::Null;
    for ((json, text), (container, pod, crossed, by, entered, end)) in lines.iter().skip(1).zip([
        (
            &json!(name),
            &json!(pod),
            null.clone(),
            null.clone(),
            &null,
            "uts  (cri-o 4f797c539e6c)",
        ),
        (
            &null,
            &null,
            json!("host->container"),
            json!("mnt"),
            &json!(name),
            "mnt net  (host->cri-o 4f797c539e6c)",
        ),
        (
            &json!(name),
            &json!(pod),
            json!("container->host"),
            json!("mnt"),
            &null,
            "net  (cri-o 4f797c539e6c->host)",
        ),
        (
            &json!("unknown"),
            &null,
            null.clone(),
            null.clone(),
            &null,
            "uts  (unknown)",
        ),
    ]) {
        assert_eq!(json["actor"]["container"], *container, "{json}");
        assert_eq!(json["actor"]["pod"], *pod, "{json}");
        assert_eq!(json["crossed"], crossed, "{json}");
        assert_eq!(json["crossed_by"], by, "{json}");
        assert_eq!(json["entered"], *entered, "{json}");
        let text = text.as_ref().unwrap();
        assert!(text.ends_with(end), "{text}");
    }
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0].0["actor"]["container"], name);
}

#[test]
fn the_oldest_process_determines_the_owner_of_a_namespace() {
    let mut enricher = enricher();
    in_container(&mut enricher, "/c1");
    let listed = |pid, cgroup_id, namespace_set| Snapshot {
        header: crate::fixtures::header(Kind::Snapshot, Hook::IterTask, 0),
        task: Task {
            cgroup_id,
            ..task(pid, 1)
        },
        parent: task_id(&task(1, 1)),
        namespaces: namespace_set,
    };
    let host = namespace_set(1);
    let inside = with(host, "mnt", 70);
    let service = with(host, "mnt", 80);
    // The older one is always last.
    enricher.load_snapshot(&[
        listed(40, 1, inside),
        listed(30, CGROUP, inside),
        listed(50, CGROUP, service),
        listed(20, 1, service),
    ]);
    for (after, boot_ns) in [(inside, 1), (service, 2)] {
        let mut record = namespace(task(6, 1), call(Syscall::Setns, 0), host, after);
        record.header.boot_ns = boot_ns;
        record.actor.tid += u32::try_from(boot_ns).unwrap();
        enricher.push(Event::Namespace(record));
    }
    let lines = lines(&mut enricher);
    assert_eq!(lines[0].0["entered"], "runc/c1", "{}", lines[0].0);
    assert_eq!(lines[1].0["entered"], Value::Null, "{}", lines[1].0);
}
