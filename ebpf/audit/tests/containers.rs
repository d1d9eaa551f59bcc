//! The container of an event, and the crossed boundary, with real processes and cgroups.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use nsexec_test_support::cgroup::Cgroup;
use support::cgroup;
use support::{Sleeper, inum, leave_out, object};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nsexec-audit");

/// The lines about a shell that runs `script` with the arguments `$0` and so on.
fn reported(options: &[&str], script: &str, arguments: &[&str]) -> Vec<Value> {
    let output = Command::new(PROGRAM)
        .args(support::backend_option())
        .args(["--format", "json"])
        .args(options)
        .args(["--", "sh", "-e", "-c", script])
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines = printed.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

fn text(path: PathBuf) -> String {
    path.into_os_string().into_string().unwrap()
}

/// A process in a cgroup with the name of a container's, in new namespaces.
struct Container {
    /// The process ends before its cgroup is removed.
    sleeper: Sleeper,
    cgroup: Cgroup,
    name: String,
}

impl Container {
    fn new(test: &str, of: &str) -> Option<Self> {
        object(test)?;
        let name = format!("nsexec-{of}-{}", std::process::id());
        let cgroup = cgroup::named(test, &name)?;
        let sleeper = Sleeper::new(&["--mount", "--uts", "--net"]);
        cgroup.add(sleeper.pid().cast_signed());
        Some(Self {
            sleeper,
            cgroup,
            name: format!("runc/{name}"),
        })
    }

    fn pid(&self) -> String {
        self.sleeper.pid().to_string()
    }
}

#[test]
fn a_join_from_the_host_has_the_entered_container() {
    let test = "a_join_from_the_host_has_the_entered_container";
    let Some(container) = Container::new(test, "into") else {
        return;
    };
    let lines = reported(&[], "nsenter -t $0 -u -n true", &[&container.pid()]);
    let joins = of_kind(&lines, "ns_join");
    let changed: Vec<&Value> = joins.iter().map(|line| &line["ns"]["changed"]).collect();
    assert_eq!(changed, [&json!(["uts"]), &json!(["net"])]);
    for join in joins {
        assert_eq!(join["crossed"], "host->container", "{join}");
        assert_eq!(join["crossed_by"], "mnt", "{join}");
        assert_eq!(join["entered"], json!(container.name), "{join}");
        assert_eq!(join["actor"]["container"], Value::Null, "{join}");
    }
    assert_eq!(of_kind(&lines, "alert"), [&Value::Null; 0]);
}

/// A script that enters a cgroup, given by its file of processes, and executes the
/// following words.
const INSIDE: &str = "inside() { exec sh -e -c 'echo $$ >\"$0\"; exec \"$@\"' \"$@\"; }; ";

#[test]
fn a_container_that_starts_later_is_recognised() {
    let test = "a_container_that_starts_later_is_recognised";
    if object(test).is_none() {
        return;
    }
    let name = format!("nsexec-later-{}", std::process::id());
    let Some(cgroup) = cgroup::named(test, &name) else {
        return;
    };
    let id = cgroup.id();
    let procs = text(cgroup.procs());
    // A name that existed before has another number then.
    cgroup.remove();
    let made = reported(
        &[],
        &format!(
            "{INSIDE} mkdir \"${{0%/*}}\"
             inside \"$0\" unshare --mount --uts sleep 1000 & child=$!
             for i in $(seq 2000); do
                 if [ \"$(cat /proc/$child/comm)\" = sleep ]; then break; fi
                 sleep 0.01
             done
             nsenter -t $child -u true
             kill $child; wait $child || :"
        ),
        &[&procs],
    );
    let container = json!(format!("runc/{name}"));
    let created = of_kind(&made, "ns_create");
    assert_eq!(created.len(), 1, "{created:?}");
    assert_eq!(created[0]["actor"]["container"], container);
    assert_ne!(created[0]["actor"]["cgroup_id"], id);
    let joins = of_kind(&made, "ns_join");
    assert_eq!(joins.len(), 1, "{joins:?}");
    assert_eq!(joins[0]["crossed"], "host->container");
    assert_eq!(joins[0]["entered"], container);
}

#[test]
fn a_hundred_short_processes_have_their_containers() {
    let test = "a_hundred_short_processes_have_their_containers";
    if object(test).is_none() {
        return;
    }
    let name = format!("nsexec-short-{}", std::process::id());
    let Some(cgroup) = cgroup::named(test, &name) else {
        return;
    };
    let script = format!(
        "{INSIDE} for i in $(seq 100); do (inside \"$0\" unshare --uts true); done; \
         unshare --ipc true"
    );
    let lines = reported(&["--lineage"], &script, &[&text(cgroup.procs())]);
    let name = json!(format!("runc/{name}"));
    let created = of_kind(&lines, "ns_create");
    let (host, inside): (Vec<&Value>, Vec<&Value>) = created
        .into_iter()
        .partition(|line| line["ns"]["changed"] == json!(["ipc"]));
    assert_eq!(inside.len(), 100);
    for line in inside {
        assert_eq!(line["actor"]["container"], name, "{line}");
        assert_eq!(line["actor"]["cgroup_id"], cgroup.id());
    }
    let [host] = host.as_slice() else {
        panic!("{host:?}");
    };
    assert_eq!(host["actor"]["container"], Value::Null, "{host}");
    let runs = |line: &&Value| line["kind"] == "exec" && line["path"] == "/usr/bin/unshare";
    let execs: Vec<&Value> = lines.iter().filter(runs).collect();
    assert_eq!(execs.len(), 101, "{execs:?}");
    let inside = |line: &&&Value| line["actor"]["container"] == name;
    assert_eq!(execs.iter().filter(inside).count(), 100);
}

/// The cgroup is removed as soon as the process has ended.
#[test]
fn a_removed_cgroup_is_unknown_and_never_the_hosts() {
    let test = "a_removed_cgroup_is_unknown_and_never_the_hosts";
    if object(test).is_none() {
        return;
    }
    let name = format!("nsexec-gone-{}", std::process::id());
    let Some(cgroup) = cgroup::named(test, &name) else {
        return;
    };
    let procs = text(cgroup.procs());
    cgroup.remove();
    let lines = reported(
        &[],
        &format!(
            "{INSIDE} for i in $(seq 50); do mkdir \"${{0%/*}}\"; (inside \"$0\" unshare --uts true)
             for j in $(seq 2000); do if rmdir \"${{0%/*}}\"; then break; fi; done; done"
        ),
        &[&procs],
    );
    let created = of_kind(&lines, "ns_create");
    assert_eq!(created.len(), 50);
    let name = json!(format!("runc/{name}"));
    let is = |right: &Value| {
        let of = |line: &&&Value| line["actor"]["container"] == *right;
        created.iter().filter(of).count()
    };
    let (known, unknown) = (is(&name), is(&json!("unknown")));
    println!("{known} known, {unknown} gone before they were looked up");
    assert_eq!(known + unknown, 50, "{created:?}");
}

#[test]
fn a_container_process_that_joins_the_host_crosses_to_the_host() {
    let test = "a_container_process_that_joins_the_host_crosses_to_the_host";
    let kernel = fs::read_to_string("/proc/2/comm").unwrap_or_default();
    if kernel != "kthreadd\n" || inum("self", "uts") != inum("2", "uts") {
        leave_out(test, "it is not run in the host's namespaces");
        return;
    }
    let Some(container) = Container::new(test, "out") else {
        return;
    };
    let script = format!("{INSIDE} inside \"$0\" nsenter -t $1 -m -u nsenter -t $2 -u true");
    let own = std::process::id().to_string();
    let procs = text(container.cgroup.procs());
    let lines = reported(&[], &script, &[&procs, &container.pid(), &own]);
    let joins = of_kind(&lines, "ns_join");
    let last = joins.last().unwrap();
    assert_eq!(last["class"], "join_host", "{last}");
    assert_eq!(last["crossed"], "container->host", "{last}");
    assert_eq!(last["crossed_by"], "mnt", "{last}");
    assert_eq!(last["actor"]["container"], json!(container.name), "{last}");
    let rules: Vec<&Value> = of_kind(&lines, "alert")
        .iter()
        .map(|alert| &alert["rule"])
        .collect();
    assert_eq!(rules, ["join-host"]);
}

#[test]
fn a_process_of_a_container_that_enters_another_one_is_an_alert() {
    let test = "a_process_of_a_container_that_enters_another_one_is_an_alert";
    let Some(from) = Container::new(test, "from") else {
        return;
    };
    let Some(to) = Container::new(test, "to") else {
        return;
    };
    let script = format!("{INSIDE} inside \"$0\" nsenter -t $1 -m -u nsenter -t $2 -u true");
    let procs = text(from.cgroup.procs());
    let lines = reported(&[], &script, &[&procs, &from.pid(), &to.pid()]);
    let joins = of_kind(&lines, "ns_join");
    let crossed: Vec<&Value> = joins.iter().map(|line| &line["crossed"]).collect();
    // nsenter(1) joins the mount namespace last.
    let into = json!("host->container");
    assert_eq!(crossed, [&into, &into, &json!("container->container")]);
    assert_eq!(joins[2]["entered"], json!(to.name));
    assert_eq!(joins[2]["actor"]["container"], json!(from.name));
    let alerts = of_kind(&lines, "alert");
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(alerts[0]["rule"], "join-container");
    assert_eq!(alerts[0]["tgid"], joins[2]["actor"]["tgid"]);
}

#[test]
fn events_are_selected_by_container_and_cgroup() {
    let test = "events_are_selected_by_container_and_cgroup";
    let Some(one) = Container::new(test, "one") else {
        return;
    };
    let Some(other) = Container::new(test, "other") else {
        return;
    };
    // Each process enters one of the cgroups and creates a namespace there; one more does
    // so outside.
    let script = format!(
        "{INSIDE} unshare --ipc true
         nsenter -t $1 -u true; (inside \"$0\" unshare --uts true)
         nsenter -t $3 -u true; (inside \"$2\" unshare --uts true)"
    );
    let (procs, others) = (text(one.cgroup.procs()), text(other.cgroup.procs()));
    let (pid, others_pid) = (one.pid(), other.pid());
    let arguments = [&procs, &pid, &others, &others_pid].map(String::as_str);
    let path = Path::new(&procs).parent().unwrap().to_str().unwrap();
    let (_, id) = one.name.split_once('/').unwrap();
    let number = one.cgroup.id().to_string();
    let (join, made) = (json!("ns_join"), json!("ns_create"));
    for (option, value, kinds) in [
        ("--container", id, vec![&join, &made]),
        ("--container", "nsexec-one-", vec![&join, &made]),
        ("--cgroup", path, vec![&made]),
        ("--cgroup", &number, vec![&made]),
        ("--cgroup", &format!("/{id}"), vec![&made]),
        ("--cgroup", "/", vec![&made, &join, &made, &join, &made]),
    ] {
        let lines = reported(&[option, value], &script, &arguments);
        let ours = lines.iter().map(|line| &line["kind"]);
        let ours: Vec<&Value> = ours.filter(|kind| [&join, &made].contains(kind)).collect();
        assert_eq!(ours, kinds, "{option} {value}");
    }
    let none = Command::new(PROGRAM)
        .args(["--cgroup", &u64::MAX.to_string(), "true"])
        .output()
        .unwrap();
    assert_eq!(none.status.code(), Some(125), "{none:?}");
}

/// A container of runc, removed at the end.
struct Runc {
    program: &'static str,
    directory: PathBuf,
    id: String,
}

impl Runc {
    /// `None`: no runc can run a container here, and `test` is left out.
    fn new(test: &str) -> Option<Self> {
        object(test)?;
        let found = ["/usr/sbin/runc", "/usr/bin/runc"];
        let program = found.into_iter().find(|path| Path::new(path).exists());
        let busybox = ["/usr/bin/busybox", "/bin/busybox"];
        let busybox = busybox.into_iter().find(|path| Path::new(path).exists());
        let (Some(program), Some(busybox)) = (program, busybox) else {
            leave_out(test, "there is no runc, or no busybox to run in it");
            return None;
        };
        let id = format!("nsexec-runc-{}", std::process::id());
        let directory = std::env::temp_dir().join(&id);
        let root = directory.join("rootfs");
        for directory in ["bin", "proc", "dev", "sys"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        fs::copy(busybox, root.join("bin/busybox")).unwrap();
        let runc = Self {
            program,
            directory,
            id,
        };
        let spec = Command::new(program)
            .arg("spec")
            .current_dir(&runc.directory)
            .status();
        assert!(spec.unwrap().success());
        let file = runc.directory.join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(["/bin/busybox", "sleep", "1000"]);
        config["process"]["rlimits"] = json!([]);
        fs::write(&file, config.to_string()).unwrap();
        Some(runc)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        let state = self.directory.join("state");
        command.arg("--root").arg(state).args(words);
        command
    }
}

impl Drop for Runc {
    fn drop(&mut self) {
        let _ = self.command(&["delete", "--force", &self.id]).output();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn processes_of_runc_are_in_its_container() {
    let test = "processes_of_runc_are_in_its_container";
    let Some(runc) = Runc::new(test) else {
        return;
    };
    let (state, bundle) = (runc.directory.join("state"), &runc.directory);
    let script =
        "\"$0\" --root \"$1\" run --detach --bundle \"$2\" \"$3\" </dev/null >/dev/null 2>&1
                  \"$0\" --root \"$1\" exec \"$3\" /bin/busybox unshare -u /bin/busybox true || :";
    let arguments = [
        runc.program,
        state.to_str().unwrap(),
        bundle.to_str().unwrap(),
        &runc.id,
    ];
    let lines = reported(&["--lineage"], script, &arguments);
    let name = json!(format!("runc/{}", runc.id));
    let inside = |path: &str| {
        let of = |line: &&Value| line["kind"] == "exec" && line["path"] == path;
        let all = lines.iter().filter(of);
        all.map(|line| &line["actor"]["container"])
            .collect::<Vec<_>>()
    };
    let programs = inside("/bin/busybox");
    assert!(programs.len() >= 2, "{programs:?}");
    assert!(programs.iter().all(|container| **container == name));
    assert!(
        inside(runc.program)
            .iter()
            .all(|container| container.is_null())
    );
    let joins = of_kind(&lines, "ns_join");
    let into: Vec<&&Value> = joins
        .iter()
        .filter(|line| line["crossed"] == "host->container")
        .collect();
    assert!(!into.is_empty(), "{joins:?}");
    assert!(into.iter().all(|line| line["entered"] == name), "{into:?}");
    let alerts = of_kind(&lines, "alert");
    let rules: Vec<&Value> = alerts.iter().map(|alert| &alert["rule"]).collect();
    assert!(!rules.contains(&&json!("join-container")), "{rules:?}");
}
