//! Checks the auditor's events against the execs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::checks::Checks;
use super::{Exec, Fixture, fresh, process};
use crate::{setup, text};

const READY: &str = "nsexec-audit: the probes are attached\n";

/// Other programs may be running, and their events must not cause a loss.
const RING: &str = "64M";

/// capability(7): CAP_PERFMON and CAP_BPF.
const CAPABILITIES: u64 = 1 << 38 | 1 << 39;

/// The reason why the auditor cannot start here; `None`: it can.
pub(crate) fn hindrance() -> Option<String> {
    if !setup::is_root() {
        return Some("it loads programs into the kernel, as root".to_owned());
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    if effective.is_none_or(|set| set & CAPABILITIES != CAPABILITIES) {
        return Some("this root has no CAP_BPF and CAP_PERFMON".to_owned());
    }
    let types = "/sys/kernel/btf/vmlinux";
    (!Path::new(types).exists()).then(|| format!("this kernel has no {types}"))
}

/// A running nsexec-audit; it is killed on drop.
pub(crate) struct Auditor {
    child: Child,
    /// Kept open, because the auditor prints to it at its end.
    errors: BufReader<ChildStderr>,
    program: PathBuf,
    lines: PathBuf,
}

impl Auditor {
    /// Starts the auditor, which observes everything that happens afterwards.
    pub(crate) fn start(fixture: &Fixture, program: &Path) -> io::Result<Self> {
        let (lines, stdout) = fresh(fixture, "audit")?;
        let mut child = Command::new(program)
            .args(["--format", "json", "--ring", RING, "--nsexec"])
            .arg(&fixture.nsexec)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()?;
        let errors = child.stderr.take();
        let errors = errors.ok_or_else(|| io::Error::other("it has no standard error"))?;
        let mut auditor = Self {
            child,
            errors: BufReader::new(errors),
            program: program.to_owned(),
            lines,
        };
        let mut printed = String::new();
        while !printed.ends_with(READY) {
            if auditor.errors.read_line(&mut printed)? == 0 {
                return Err(io::Error::other(printed.trim_end().to_owned()));
            }
        }
        Ok(auditor)
    }

    /// Stops the auditor as ^C does, and checks its events for these execs of a
    /// target that still exists.
    pub(crate) fn stop(mut self, checks: &mut Checks, execs: &[Exec], target: i32) {
        checks.step("events of nsexec-audit");
        let Some(lines) = checks.take("it ends, and its lines are read", self.end()) else {
            return;
        };
        for exec in execs {
            joins(checks, exec, target, &lines);
        }
        let lost = lost(&lines);
        checks.equal("nothing was lost", &lost.as_deref(), &Some(&[][..]));
        let mut verify = Command::new(&self.program);
        verify.arg("verify").arg(&self.lines).stdout(Stdio::null());
        let whole = verify.status().is_ok_and(|status| status.success());
        checks.holds(
            &format!("{} lines are unchanged, by their hash chain", lines.len()),
            whole,
            "nsexec-audit verify reports an error",
        );
    }

    fn end(&mut self) -> io::Result<Vec<Value>> {
        let pid = i32::try_from(self.child.id()).map_err(io::Error::other)?;
        kill(Pid::from_raw(pid), Signal::SIGINT)?;
        let status = process::wait(&mut self.child)?;
        if !status.success() {
            let mut printed = String::new();
            self.errors.read_to_string(&mut printed)?;
            return Err(io::Error::other(format!(
                "{status}: {}",
                printed.trim_end()
            )));
        }
        let text = fs::read_to_string(&self.lines)?;
        let lines: Result<_, _> = text.lines().map(serde_json::from_str).collect();
        Ok(lines?)
    }
}

impl Drop for Auditor {
    fn drop(&mut self) {
        // Both fail if it has ended already, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The joins of one exec: all requested ones are present and attributed to
/// nsexec.
fn joins(checks: &mut Checks, exec: &Exec, target: i32, lines: &[Value]) {
    let own: Vec<&Value> = lines
        .iter()
        .filter(|line| line["actor"]["tgid"] == exec.helper && line["kind"] == "ns_join")
        .collect();
    for line in shown(&own).lines() {
        println!("            {line}");
    }
    let Some(wanted) = checks.take("the target's namespaces", apart(target, exec.namespaces))
    else {
        return;
    };
    let names: Vec<&str> = wanted.keys().map(String::as_str).collect();
    checks.equal(
        &format!("{} joined: {}", exec.what, names.join(" ")),
        &joined(&own),
        &wanted,
    );
    checks.holds(
        "each join is known as nsexec's, by its file",
        !own.is_empty() && own.iter().all(|line| line["actor"]["nsexec"].is_object()),
        "one is not",
    );
}

/// The types in `namespaces` in which target and caller differ, with the target's inode
/// number, by the slot that a join changes.
fn apart(target: i32, namespaces: &[&str]) -> io::Result<BTreeMap<String, u64>> {
    let mut apart = BTreeMap::new();
    for name in namespaces {
        let inum =
            |of: &str| Ok::<_, io::Error>(fs::metadata(format!("/proc/{of}/ns/{name}"))?.ino());
        let there = inum(&target.to_string())?;
        if there != inum("self")? {
            let _ = apart.insert(slot(name).to_owned(), there);
        }
    }
    Ok(apart)
}

/// A process stays in its own pid namespace: only its children are in the joined one.
fn slot(name: &str) -> &str {
    match name {
        "pid" => "pid_for_children",
        other => other,
    }
}

/// The changed types, and the namespace of each.
fn joined(lines: &[&Value]) -> BTreeMap<String, u64> {
    let mut joined = BTreeMap::new();
    for line in lines {
        for name in words(&line["ns"]["changed"]) {
            let inum = line["ns"]["after"][name][0].as_u64().unwrap_or_default();
            let _ = joined.insert(name.to_owned(), inum);
        }
    }
    // A join changes both slots of the time namespace.
    let _ = joined.remove("time_for_children");
    joined
}

/// Each place with missing events (a hook, a program or a ring) and their number, and each
/// broken sum. `None`: the last line is missing.
fn lost(lines: &[Value]) -> Option<Vec<String>> {
    let health = lines.last().filter(|line| line["kind"] == "health")?;
    let mut lost = BTreeSet::new();
    for (hook, counters) in health["hooks"].as_object()? {
        for name in ["ring_full", "pending_full"] {
            if counters[name] != 0 {
                lost.insert(format!("{hook}, {name}: {}", counters[name]));
            }
        }
    }
    for (program, missed) in health["missed"].as_object()? {
        if *missed != 0 {
            lost.insert(format!("{program}, missed: {missed}"));
        }
    }
    lost.extend(words(&health["broken"]).into_iter().map(str::to_owned));
    for (ring, by_cpu) in health["rings"].as_object()? {
        for one in by_cpu.as_array()?.iter().filter(|one| one["lost"] != 0) {
            lost.insert(format!("{ring}: {}", one["lost"]));
        }
    }
    Some(lost.into_iter().collect())
}

/// One row per call: the process, the call, the changed types, the class and
/// destination, and the policy in nsexec's arguments.
fn shown(lines: &[&Value]) -> String {
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let rows: Vec<[String; 6]> = lines
        .iter()
        .map(|line| {
            let op = &line["op"];
            [
                format!("{} {}", line["actor"]["tgid"], word(&line["actor"]["comm"])),
                format!(
                    "{}({})",
                    word(&op["syscall"]),
                    words(&op["flags"]).join("|")
                ),
                format!("-> {}", words(&line["ns"]["changed"]).join(" ")),
                word(&line["class"]),
                word(&line["crossed"]),
                format!("policy {}", word(&line["actor"]["nsexec"]["policy"])),
            ]
        })
        .collect();
    text::aligned(&rows)
}

fn words(list: &Value) -> Vec<&str> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use std::slice;

    use serde_json::json;

    use super::*;

    fn join(changed: &[&str]) -> Value {
        json!({
            "kind": "ns_join", "class": "join_other", "crossed": "host->container",
            "actor": { "tgid": 7, "comm": "nsexec", "nsexec": { "policy": "default" } },
            "op": { "syscall": "setns", "flags": ["NEWUTS"] },
            "ns": { "changed": changed, "after": { "uts": [5, 0], "time": [6, 0], "time_for_children": [6, 0] } },
        })
    }

    #[test]
    fn a_join_that_was_not_seen_is_missing() {
        let (uts, time) = (join(&["uts"]), join(&["time", "time_for_children"]));
        let right = BTreeMap::from([("time".to_owned(), 6), ("uts".to_owned(), 5)]);
        assert_eq!(joined(&[&uts, &time]), right);
        assert_ne!(joined(&[&uts]), right);
        assert_eq!(
            shown(&[&uts]),
            "  7 nsexec  setns(NEWUTS)  -> uts  join_other  host->container  policy default\n"
        );
    }

    #[test]
    fn lost_events_and_a_missing_end_are_failures() {
        let whole = json!({
            "kind": "health", "broken": [], "missed": { "p": 0 },
            "hooks": { "a": { "ring_full": 0, "pending_full": 0 } },
            "rings": { "b": [{ "sequence": 9, "lost": 0 }] },
        });
        let with = |pointer: &str, value: Value| {
            let mut health = whole.clone();
            *health.pointer_mut(pointer).unwrap() = value;
            lost(&[health])
        };
        assert_eq!(lost(slice::from_ref(&whole)), Some(Vec::new()));
        for (pointer, value, message) in [
            ("/hooks/a/ring_full", json!(1), "a, ring_full: 1"),
            ("/missed/p", json!(3), "p, missed: 3"),
            ("/rings/b/0/lost", json!(2), "b: 2"),
            ("/broken", json!(["a sum"]), "a sum"),
        ] {
            assert_eq!(with(pointer, value), Some(vec![message.to_owned()]));
        }
        assert_eq!(lost(&[]), None);
        assert_eq!(lost(&[whole, join(&["uts"])]), None);
    }
}
