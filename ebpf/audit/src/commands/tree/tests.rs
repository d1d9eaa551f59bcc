use std::sync::Arc;

use nsexec_audit_abi::code::{Hook, Kind};
use nsexec_audit_abi::parts::TaskId;

use super::*;
use crate::fixtures::{header, namespace_set, task, task_id, with};
use crate::model::container::{Container, Runtime};
use crate::output::text::Text;

const PLAIN: Text = Text { colour: false };

/// Tasks, and the facts from /proc about their processes.
#[derive(Default)]
struct Machine {
    tasks: Vec<Snapshot>,
    known: HashMap<ProcessId, ProcessInfo>,
}

impl Machine {
    /// With kthreadd and an init of the same age.
    fn new() -> Self {
        let mut machine = Self::default();
        machine.add(1, 0, "init", namespace_set(10), Place::Host);
        machine.kernel(2, 0, namespace_set(10));
        machine
    }

    fn add(
        &mut self,
        pid: u32,
        parent: u32,
        comm: &str,
        namespace_set: NamespaceSet,
        place: Place,
    ) {
        self.raw(pid, parent, comm, namespace_set, 1);
        let process = ProcessId::of(&task(pid, 1));
        let exe = Some(format!("/bin/{comm}"));
        self.known.insert(process, ProcessInfo { place, exe });
    }

    fn kernel(&mut self, pid: u32, parent: u32, namespace_set: NamespaceSet) {
        self.raw(pid, parent, "kernel", namespace_set, 0);
        let known = ProcessInfo {
            place: Place::Host,
            exe: None,
        };
        self.known.insert(ProcessId::of(&task(pid, 0)), known);
    }

    fn raw(&mut self, pid: u32, parent: u32, comm: &str, namespace_set: NamespaceSet, inode: u64) {
        let mut task = task(pid, inode);
        task.comm = [0; 16];
        task.comm[..comm.len()].copy_from_slice(comm.as_bytes());
        let parent = match parent {
            0 => TaskId::NONE,
            parent => task_id(&super::tests::task(parent, 1)),
        };
        self.tasks.push(Snapshot {
            header: header(Kind::Snapshot, Hook::IterTask, 0),
            task,
            parent,
            namespaces: namespace_set,
        });
    }

    fn tree(&self) -> Tree {
        Tree::of(&self.tasks, &self.known)
    }

    /// The sets from the second on.
    fn drawn(&self) -> String {
        let text = self.tree().text(PLAIN);
        let (_, rest) = text.split_once("\n\n").unwrap_or_default();
        rest.to_owned()
    }
}

fn docker(digit: &str) -> Place {
    Place::Container(Arc::new(Container {
        runtime: Runtime::Docker,
        id: digit.repeat(64),
        pod: None,
        path: format!("/docker/{}", digit.repeat(64)).into(),
    }))
}

#[test]
fn a_machine_is_drawn() {
    let mut machine = Machine::new();
    let inside = with(with(namespace_set(10), "mnt", 50), "net", 51);
    machine.kernel(3, 2, namespace_set(10));
    machine.kernel(4, 2, namespace_set(10));
    machine.add(20, 1, "shim", namespace_set(10), Place::Host);
    machine.add(21, 20, "sh", inside, docker("a"));
    machine.add(30, 1, "sshd", namespace_set(10), Place::Host);
    machine.add(31, 30, "bash", namespace_set(10), Place::Host);
    machine.add(32, 31, "ps", namespace_set(10), Place::Host);
    machine.add(33, 21, "sleep", inside, docker("a"));
    machine.add(34, 21, "nested", with(inside, "mnt", 60), docker("a"));
    // Joined from the host.
    machine.add(35, 31, "exec", inside, docker("a"));
    // In the order of their age, regardless of the kernel's order.
    machine.tasks.reverse();
    let right = "\
[0] host
    cgroup            10          2560
    ipc               11          2816
    mnt               12          3072
    net               13          3328
    pid               14          3584
    pid_for_children  14          3584
    time              16          4096
    time_for_children 16          4096
    user              18          4608
    uts               19          4864
├─ 1 init          0      /bin/init
│  ├─ 20 shim      0      /bin/shim
│  └─ 30 sshd      0      /bin/sshd
│     └─ 31 bash   0      /bin/bash
│        └─ 32 ps  0      /bin/ps
└─ 2 kernel        0      -  and 2 kernel threads

[1] docker aaaaaaaaaaaa, from [0]: mnt net
    mnt               50          12800
    net               51          13056
├─ 21 sh           0      /bin/sh  (parent 20)
│  └─ 33 sleep     0      /bin/sleep
└─ 35 exec         0      /bin/exec  (parent 31)

[2] docker aaaaaaaaaaaa, from [1]: mnt
    mnt               60          15360
└─ 34 nested       0      /bin/nested  (parent 21)
";
    assert_eq!(machine.tree().text(PLAIN), right);
}

#[test]
fn containers_in_the_same_namespaces_are_distinguished() {
    let mut machine = Machine::new();
    machine.add(20, 1, "one", namespace_set(10), docker("a"));
    machine.add(21, 1, "two", namespace_set(10), docker("b"));
    let right = "\
[1] docker aaaaaaaaaaaa, in the namespaces of [0]
└─ 20 one    0      /bin/one  (parent 1)

[2] docker bbbbbbbbbbbb, in the namespaces of [0]
└─ 21 two    0      /bin/two  (parent 1)
";
    assert_eq!(machine.drawn(), right);
}

#[test]
fn a_thread_is_drawn_in_its_own_namespaces() {
    let mut machine = Machine::new();
    machine.add(20, 1, "many", namespace_set(10), Place::Host);
    for (tid, namespace_set) in [
        (21, namespace_set(10)),
        (22, with(namespace_set(10), "uts", 70)),
    ] {
        machine.raw(20, 1, "many", namespace_set, 1);
        machine.tasks.last_mut().unwrap().task.tid = tid;
    }
    let right = "\
[1] host, from [0]: uts
    uts               70          17920
└─ 20/22 many  0      /bin/many
";
    assert_eq!(machine.drawn(), right);
    // If the leader has ended, the process is in the namespaces of its threads.
    machine.tasks.retain(|task| task.task.tid != 21);
    let leader = |task: &&mut Snapshot| task.task.tid == 20;
    machine.tasks.iter_mut().find(leader).unwrap().namespaces = NamespaceSet::NONE;
    let right = "\
[1] host, from [0]: uts
    uts               70          17920
└─ 20 many   0      /bin/many  (parent 1)
";
    assert_eq!(machine.drawn(), right);
}

#[test]
fn a_process_that_has_ended_is_drawn_with_its_parent() {
    let mut machine = Machine::new();
    let inside = with(namespace_set(10), "pid", 50);
    machine.add(20, 1, "sh", inside, docker("a"));
    machine.raw(21, 20, "zombie", NamespaceSet::NONE, 0);
    let mut left = inside;
    left.inum[3] = 0;
    left.id[3] = 0;
    machine.raw(22, 20, "half", left, 0);
    let right = "\
[1] docker aaaaaaaaaaaa, from [0]: pid
    pid               50          12800
└─ 20 sh         0      /bin/sh  (parent 1)
   ├─ 21 zombie  0      -
   └─ 22 half    0      -
";
    assert_eq!(machine.drawn(), right);
}

#[test]
fn an_unknown_host_and_old_kernels_are_no_hindrance() {
    let mut machine = Machine::default();
    let mut old = namespace_set(10);
    old.id = [0; SLOTS];
    old.inum[6..8].fill(0);
    machine.raw(5, 4, "first", old, 1);
    let right = "\
[0] unknown
    cgroup            10
    ipc               11
    mnt               12
    net               13
    pid               14
    pid_for_children  14
    user              18
    uts               19
└─ 5 first  0      -  (parent 4)
";
    assert_eq!(machine.tree().text(PLAIN), right);
    assert_eq!(Machine::default().tree().text(PLAIN), "");
}

/// A kernel thread with its own namespace is not hidden.
#[test]
fn a_kernel_thread_elsewhere_is_shown() {
    let mut machine = Machine::new();
    machine.kernel(3, 2, namespace_set(10));
    machine.kernel(4, 2, with(namespace_set(10), "mnt", 50));
    assert!(
        machine
            .tree()
            .text(PLAIN)
            .contains("and 1 kernel threads\n")
    );
    assert!(
        machine.drawn().contains("└─ 4 kernel"),
        "{}",
        machine.drawn()
    );
}

#[test]
fn hostile_names_do_not_reach_a_terminal() {
    let mut machine = Machine::new();
    let name = "\u{1b}[2J\n└─ 1";
    machine.add(20, 1, name, namespace_set(10), Place::Host);
    machine.add(
        21,
        1,
        "x",
        with(namespace_set(10), "uts", 50),
        docker("\u{1b}"),
    );
    let text = machine.tree().text(PLAIN);
    assert!(!text.contains('\u{1b}'), "{text}");
    let line = text.lines().find(|line| line.contains(" 20 ")).unwrap();
    let shown = "\\u{1b}[2J\\n\\u{2514}\\u{2500}\\ 1";
    assert!(line.contains(&format!("20 {shown} ")), "{line}");
    assert!(line.ends_with(&format!("/bin/{shown}")), "{line}");
    assert_eq!(
        machine.tree().json()["sets"][0]["processes"][2]["comm"],
        name
    );
}

#[test]
fn colour_is_used_only_on_request() {
    let mut machine = Machine::new();
    machine.add(20, 1, "a", with(namespace_set(10), "uts", 50), docker("a"));
    machine.add(21, 1, "b", with(namespace_set(10), "uts", 51), Place::Host);
    let coloured = machine.tree().text(Text { colour: true });
    assert!(coloured.contains("[0] host\n"));
    assert!(coloured.contains("[1] \u{1b}[32mdocker aaaaaaaaaaaa\u{1b}[0m, from"));
    assert!(coloured.contains("[2] \u{1b}[33mhost\u{1b}[0m, from"));
    let stripped = ["\u{1b}[32m", "\u{1b}[33m", "\u{1b}[0m"]
        .iter()
        .fold(coloured, |text, code| text.replace(code, ""));
    assert_eq!(stripped, machine.tree().text(PLAIN));
}

/// Each process is the child of the previous one.
#[test]
fn a_long_chain_is_drawn_in_bounded_lines() {
    let mut machine = Machine::new();
    const MOST: u32 = 20_000;
    for pid in 3..MOST {
        let parent = if pid == 3 { 1 } else { pid - 1 };
        machine.add(pid, parent, "chain", namespace_set(10), Place::Host);
    }
    let text = machine.tree().text(PLAIN);
    let last = format!(" … {} chain", MOST - 1);
    assert!(text.lines().any(|line| line.contains(&last)), "it is there");
    let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(longest < 130, "{longest}");
    // Other lines are not indented either.
    let init = text.lines().find(|line| line.contains(" 1 init")).unwrap();
    assert!(init.chars().count() < 80, "{init}");
    assert_eq!(
        machine.tree().json()["sets"][0]["processes"]
            .as_array()
            .unwrap()
            .len(),
        usize::try_from(MOST - 1).unwrap()
    );
}

#[test]
fn json_has_every_process_in_its_set() {
    let mut machine = Machine::new();
    let inside = with(namespace_set(10), "uts", 50);
    let Place::Container(container) = docker("a") else {
        unreachable!("it is one");
    };
    let place = Place::Container(Arc::new(Container {
        pod: Some("uid".to_owned()),
        ..Container::clone(&container)
    }));
    machine.add(20, 1, "sh", inside, place);
    let tree = machine.tree().json();
    assert_eq!(tree["kind"], "tree");
    let [host, set] = tree["sets"].as_array().unwrap().as_slice() else {
        panic!("{tree}");
    };
    assert_eq!(
        (&host["place"], &host["from"]),
        (&json!("host"), &Value::Null)
    );
    assert_eq!(host["container"], Value::Null);
    assert_eq!(host["processes"].as_array().unwrap().len(), 2);
    assert_eq!(set["place"], "container");
    let container = json!({
        "runtime": "docker", "id": "a".repeat(64), "pod": "uid",
        "path": format!("/docker/{}", "a".repeat(64)),
    });
    assert_eq!(set["container"], container);
    assert_eq!(
        (&set["from"], &set["differs"]),
        (&json!(0), &json!(["uts"]))
    );
    assert_eq!(set["ns"]["uts"], json!({ "inum": 50, "id": 50 << 8 }));
    assert_eq!(set["ns"]["net"], host["ns"]["net"]);
    let process = json!({
        "tgid": 20, "tid": 20, "ns_tgid": 20, "parent": 1, "start_boottime_ns": 200,
        "comm": "sh", "exe": "/bin/sh", "uid": 0,
    });
    assert_eq!(set["processes"], json!([process]));
}
