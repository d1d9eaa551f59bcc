//! The lines of JSON: docs/audit-event.schema.json says what each member means.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use nsexec_audit_abi::code::{Notes, Source};
use nsexec_audit_abi::parts::{Header, Kin, Task, UNSET, Vector};
use nsexec_audit_abi::record::{Exec, Exit, Fork, Namespace};

use crate::cgroups::Cgroup;
use crate::crossing::Passage;
use crate::judge::{self, Class, Host};
use crate::lineage::{File, Gap, Process, Program};
use crate::rendered::Rendered;
use crate::repeated::Parts;
use crate::slots::{Chosen, Id, SlotSet};

/// The version of the lines.
pub const SCHEMA: u32 = 1;

/// What every line begins with.
#[derive(Clone, Debug, Serialize)]
pub struct Envelope {
    pub kind: &'static str,
    pub ts_boot_ns: u64,
    /// Since 1970.
    pub ts_wall_ms: i64,
    pub cpu: u32,
    pub cpu_seq: u64,
    pub lost_before: u64,
    pub backend: &'static str,
}

/// Who did it.
#[derive(Clone, Debug, Serialize)]
pub struct Actor {
    pub exec_id: ExecId,
    pub tgid: u32,
    pub tid: u32,
    pub ns_tgid: u32,
    pub comm: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    pub exe_file: FileId,
    pub uid: u32,
    pub gid: u32,
    pub euid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loginuid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessionid: Option<u32>,
    pub caps_eff: Hex,
    pub no_new_privs: bool,
    pub seccomp_mode: u8,
    pub cgroup_id: u64,
    #[serde(flatten)]
    pub cgroup: Cgroup,
    /// It is nsexec, by the identity of its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nsexec: Option<Claimed>,
}

/// What the arguments of an nsexec say, which it could have changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claimed {
    pub policy: String,
    pub argv: Vec<String>,
}

/// A process, by its names.
#[derive(Clone, Debug, Serialize)]
pub struct Named {
    pub exec_id: ExecId,
    pub tgid: u32,
}

/// What was asked, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Op {
    pub syscall: &'static str,
    pub abi: &'static str,
    pub flags_raw: u64,
    pub flags: Flags,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fd: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetOf>,
    pub ret: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<Errno>,
    #[serde(skip_serializing_if = "Noted::is_empty")]
    pub notes: Noted,
}

/// Flags, as an array of their names without CLONE_.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u64);

impl Flags {
    /// Those that have names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        judge::flags(self.0)
    }
}

impl Serialize for Flags {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.names())
    }
}

/// Notes, as an array of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted(pub Notes);

impl Noted {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == Notes::NONE
    }
}

impl Serialize for Noted {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let all = Notes::ALL.iter().filter(|(note, _)| self.0.has(*note));
        to.collect_seq(all.map(|(_, name)| name))
    }
}

/// What the descriptor was when the call began.
#[derive(Clone, Debug, Serialize)]
pub struct TargetOf {
    pub source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    pub racy: bool,
}

/// The first line of each file: what the others are read with.
#[derive(Clone, Debug, Serialize)]
pub struct StartLine<'a> {
    pub kind: &'static str,
    pub schema: u32,
    pub version: &'static str,
    pub boot_id: &'a str,
    pub node: String,
    pub ts_wall_ms: i64,
    /// The host's namespaces; empty: they are not known.
    pub host: Map<String, Value>,
    /// The chain value before it, where that is another file's last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continues: Option<String>,
}

/// The ten slots, each `[inum, ns_id]`.
#[derive(Clone, Debug, Serialize)]
pub struct Namespaces {
    /// After the call, or as they are; those of `host` are in the first line.
    pub after: Chosen,
    /// Those that are other than after.
    #[serde(skip_serializing_if = "Chosen::is_empty")]
    pub before: Chosen,
    pub changed: SlotSet,
    /// Those that are the host's.
    pub host: SlotSet,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_at: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserOf>,
}

/// What is to be known of a user namespace beside its name.
#[derive(Clone, Debug, Serialize)]
pub struct UserOf {
    pub level: u32,
    pub owner_uid: u32,
    pub parent: Id,
}

/// A change of namespaces, or an attempt.
#[derive(Clone, Debug, Serialize)]
pub struct NamespaceLine {
    #[serde(flatten)]
    pub envelope: Envelope,
    pub class: &'static str,
    pub actor: Arc<Rendered<Actor>>,
    pub parent: Named,
    pub op: Arc<Rendered<Op>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub child: Option<Named>,
    pub ns: Arc<Rendered<Namespaces>>,
    #[serde(flatten)]
    pub passage: Passage,
}

/// A task is not where it was left.
#[derive(Clone, Debug, Serialize)]
pub struct GapLine {
    #[serde(flatten)]
    pub envelope: Envelope,
    pub exec_id: ExecId,
    pub tgid: u32,
    pub tid: u32,
    #[serde(flatten)]
    pub cgroup: Cgroup,
    /// What showed it.
    pub found_at: &'static str,
    pub ns: Namespaces,
}

/// A fork, exec or exit.
#[derive(Clone, Debug, Serialize)]
pub struct LineageLine {
    #[serde(flatten)]
    pub envelope: Envelope,
    pub actor: Actor,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub child: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
}

/// Events that did not fit, where they are missing.
#[derive(Clone, Debug, Serialize)]
pub struct LostLine {
    #[serde(flatten)]
    pub envelope: Envelope,
    pub ring: &'static str,
    pub count: u64,
}

/// Calls that a hook did not see; where, nobody knows.
#[derive(Clone, Debug, Serialize)]
pub struct MissedLine {
    pub kind: &'static str,
    pub ts_boot_ns: u64,
    pub ts_wall_ms: i64,
    pub backend: &'static str,
    pub why: &'static str,
    pub count: u64,
}

/// What does not change while it runs.
#[derive(Clone, Debug)]
pub struct Boot {
    pub id: String,
    /// What CLOCK_REALTIME is more than CLOCK_BOOTTIME, in nanoseconds.
    pub wall_ns: i128,
}

impl Boot {
    /// The first line.
    #[must_use]
    pub fn start(&self, host: &Host, now_ns: u64) -> StartLine<'_> {
        let node = nix::unistd::gethostname().unwrap_or_default();
        StartLine {
            kind: "start",
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            boot_id: &self.id,
            node: node.to_string_lossy().into_owned(),
            ts_wall_ms: self.wall_ms(now_ns),
            host: host
                .slots()
                .map(|(name, (inum, id))| (name.to_owned(), Value::from(vec![u64::from(inum), id])))
                .collect(),
            continues: None,
        }
    }

    /// The time of day of a moment, in milliseconds since 1970.
    #[must_use]
    pub fn wall_ms(&self, boot_ns: u64) -> i64 {
        let wall = self.wall_ns + i128::from(boot_ns);
        i64::try_from(wall / 1_000_000).unwrap_or_default()
    }

    /// How a line of this kind begins.
    #[must_use]
    pub fn envelope(&self, kind: &'static str, header: &Header) -> Envelope {
        Envelope {
            kind,
            ts_boot_ns: header.boot_ns,
            ts_wall_ms: self.wall_ms(header.boot_ns),
            cpu: header.cpu,
            cpu_seq: header.sequence,
            lost_before: header.lost,
            backend: header.hook.name(),
        }
    }
}

/// The name of a process within its boot, never given again: `tgid.start_ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExecId(pub Process);

impl fmt::Display for ExecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.tgid, self.0.start_ns)
    }
}

/// A file: `major:minor:inode`.
#[derive(Clone, Copy, Debug)]
pub struct FileId(pub File);

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let File { device, inode } = self.0;
        write!(f, "{}:{}:{inode}", device >> 20, device & 0xf_ffff)
    }
}

/// A number in hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub struct Hex(pub u64);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// The name of an error, as errno(3) has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(nix::errno::Errno);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

macro_rules! as_text {
    ($($name:ident)+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
    )+};
}

as_text!(ExecId FileId Hex Errno);

/// A process by its kin.
#[must_use]
pub fn named(kin: &Kin) -> Named {
    Named {
        exec_id: ExecId(Process::of_kin(kin)),
        tgid: kin.tgid,
    }
}

/// What is known of the actor that its record does not say.
#[derive(Clone, Debug)]
pub struct Who<'a> {
    pub program: Option<&'a Program>,
    pub cgroup: Cgroup,
}

/// Who a task is, and what it executes.
#[must_use]
pub fn actor(task: &Task, program: Option<&Program>, cgroup: Cgroup) -> Actor {
    let comm = task.comm.split(|byte| *byte == 0).next();
    let set = |number: u32| (number != UNSET).then_some(number);
    let path = program.map(|program| lossy(&program.path));
    Actor {
        exec_id: ExecId(Process::of(task)),
        tgid: task.tgid,
        tid: task.tid,
        ns_tgid: task.ns_tgid,
        comm: lossy(comm.unwrap_or_default()),
        exe: path.filter(|path| !path.is_empty()),
        exe_file: FileId(File {
            device: task.exe_device,
            inode: task.exe_inode,
        }),
        uid: task.uid,
        gid: task.gid,
        euid: task.euid,
        loginuid: set(task.login_uid),
        sessionid: set(task.session),
        caps_eff: Hex(task.capabilities),
        no_new_privs: task.no_new_privs.get(),
        seccomp_mode: task.seccomp,
        cgroup_id: task.cgroup_id,
        cgroup,
        nsexec: program.filter(|program| program.is_nsexec).map(claimed),
    }
}

fn claimed(program: &Program) -> Claimed {
    let argv = arguments(&program.arguments);
    let mut words = argv.iter().take_while(|word| *word != "--");
    let mut policy = "default".to_owned();
    while let Some(word) = words.next() {
        if let Some(value) = word.strip_prefix("--policy=") {
            value.clone_into(&mut policy);
        } else if word == "--policy"
            && let Some(value) = words.next()
        {
            value.clone_into(&mut policy);
        }
    }
    Claimed { policy, argv }
}

/// What was asked.
#[must_use]
pub fn op(record: &Namespace) -> Op {
    let call = &record.call;
    let target = &call.target;
    Op {
        syscall: call.syscall.name(),
        abi: call.abi.name(),
        flags_raw: call.flags,
        flags: Flags(call.flags),
        fd: (call.fd >= 0).then_some(call.fd),
        target: (target.source != Source::None).then(|| TargetOf {
            source: target.source.name(),
            ns_type: judge::target_type(target.flag),
            ns: (target.inum != 0).then_some((target.inum, target.id)),
            pid: (target.pid != 0).then_some(target.pid),
            racy: true,
        }),
        ret: call.ret,
        errno: (call.ret < 0).then(|| errno(call.ret)),
        notes: Noted(call.notes),
    }
}

fn errno(ret: i64) -> Errno {
    let number = i32::try_from(-ret).unwrap_or(i32::MAX);
    Errno(nix::errno::Errno::from_raw(number))
}

/// Where a task is.
#[must_use]
pub fn namespaces(before: Option<&Vector>, after: &Vector, host: &Host) -> Namespaces {
    let changed = before.map_or_else(SlotSet::default, |before| SlotSet::differing(before, after));
    let hosts = judge::host_slots(after, host);
    Namespaces {
        after: Chosen {
            of: *after,
            which: hosts.others(),
        },
        before: Chosen {
            of: before.copied().unwrap_or(Vector::NONE),
            which: changed,
        },
        host: hosts,
        effective_at: None,
        user: None,
        changed,
    }
}

/// Where a call has left whoever made it, or the task that it made.
#[must_use]
pub fn namespaces_of(record: &Namespace, host: &Host) -> Namespaces {
    let unseen = record.call.notes.has(Notes::BEGINNING_UNSEEN);
    let mut ns = namespaces((!unseen).then_some(&record.before), &record.after, host);
    if !ns.changed.is_empty() {
        ns.effective_at = judge::effective_later(record).then_some("next_fork");
    }
    if ns.changed.contains("user") {
        ns.user = Some(UserOf {
            level: record.user.level,
            owner_uid: record.user.owner,
            parent: (record.user.parent_inum, record.user.parent_id),
        });
    }
    ns
}

/// A change of namespaces as a line.
#[must_use]
pub fn namespace(
    boot: &Boot,
    record: &Namespace,
    class: Class,
    passage: Passage,
    parts: Parts,
) -> NamespaceLine {
    let Parts { actor, op, ns } = parts;
    NamespaceLine {
        envelope: boot.envelope(class.kind(), &record.header),
        class: class.name(),
        actor,
        parent: named(&record.parent),
        op,
        child: (record.child != Kin::NONE).then(|| named(&record.child)),
        ns,
        passage,
    }
}

/// A gap as a line.
#[must_use]
pub fn gap(
    boot: &Boot,
    header: &Header,
    (process, tid): (Process, u32),
    cgroup: Cgroup,
    gap: &Gap,
    host: &Host,
) -> GapLine {
    GapLine {
        envelope: boot.envelope("ns_gap", header),
        exec_id: ExecId(process),
        tgid: process.tgid,
        tid,
        cgroup,
        found_at: header.kind.name(),
        ns: namespaces(Some(&gap.known), &gap.found, host),
    }
}

/// A fork as a line.
#[must_use]
pub fn fork(boot: &Boot, record: &Fork, who: Who<'_>) -> LineageLine {
    LineageLine {
        child: Some(named(&record.child)),
        ..lineage(boot, &record.header, &record.actor, who)
    }
}

/// An exec as a line.
#[must_use]
pub fn exec(boot: &Boot, record: &Exec, who: Who<'_>) -> LineageLine {
    LineageLine {
        parent: Some(named(&record.parent)),
        path: Some(lossy(record.path.get())),
        argv: Some(arguments(record.arguments.get())),
        ..lineage(boot, &record.header, &record.actor, who)
    }
}

/// An exit as a line.
#[must_use]
pub fn exit(boot: &Boot, record: &Exit, who: Who<'_>) -> LineageLine {
    LineageLine {
        status: Some(record.status),
        ..lineage(boot, &record.header, &record.actor, who)
    }
}

fn lineage(boot: &Boot, header: &Header, task: &Task, who: Who<'_>) -> LineageLine {
    LineageLine {
        envelope: boot.envelope(header.kind.name(), header),
        actor: actor(task, who.program, who.cgroup),
        parent: None,
        child: None,
        path: None,
        argv: None,
        status: None,
    }
}

/// Words that each end with a zero.
#[must_use]
pub fn arguments(bytes: &[u8]) -> Vec<String> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let whole = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    whole.split(|byte| *byte == 0).map(lossy).collect()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
