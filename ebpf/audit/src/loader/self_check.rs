//! Checks that the probes read the right members.
//!
//! The verifier refuses an offset that is not a member's, and a pointer to something else;
//! it cannot distinguish two numbers of one size. So the probes' record of this process is
//! compared with /proc.

use std::fs;
use std::io;

use nix::unistd::{getegid, geteuid, getgid, getppid, gettid, getuid};
use nsexec_audit_abi::parts::SLOT_NAMES;
use nsexec_audit_abi::record::Snapshot;

use crate::cgroup_hierarchy::Hierarchy;
use crate::clock::TICK_NS;

/// The inode numbers of the first pid and time namespace, PROC_*_INIT_INO of the
/// kernel's proc_ns.h: only in those are pids and times the same for everyone.
const FIRST_PID: u32 = 0xefff_fffc;
const FIRST_TIME: u32 = 0xefff_fffa;

/// Compares this thread with its record among those of all tasks.
///
/// # Errors
/// /proc cannot be read; or the probes read another value, which the error names.
pub(crate) fn run(tasks: &[Snapshot]) -> io::Result<()> {
    let namespaces = own_namespaces()?;
    let tid = u32::try_from(gettid().as_raw()).map_err(io::Error::other)?;
    let in_own = |snapshot: &&Snapshot| {
        snapshot.task.ns_tid == tid && snapshot.namespaces.inum.get(4) == namespaces.get(4)
    };
    let own = tasks
        .iter()
        .find(in_own)
        .ok_or_else(|| io::Error::other("the list of tasks lacks this thread"))?;
    let mut wrong = Vec::new();
    let mut compare = |name: &'static str, read: u64, right: u64| {
        if read != right {
            wrong.push(format!(
                "{name} is {right} in /proc, and {read} in the record"
            ));
        }
    };
    for ((name, right), read) in SLOT_NAMES.iter().zip(namespaces).zip(own.namespaces.inum) {
        compare(name, read.into(), right.into());
    }
    let task = &own.task;
    let pid = std::process::id();
    compare("pid", task.ns_tgid.into(), pid.into());
    compare("uid", task.uid.into(), getuid().as_raw().into());
    compare("euid", task.euid.into(), geteuid().as_raw().into());
    compare("gid", task.gid.into(), getgid().as_raw().into());
    compare("egid", task.egid.into(), getegid().as_raw().into());
    let status = fs::read_to_string("/proc/thread-self/status")?;
    let field = |name: &str, radix| -> io::Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let line = line.ok_or_else(|| io::Error::other(format!("/proc has no {name}")))?;
        u64::from_str_radix(line.trim(), radix).map_err(io::Error::other)
    };
    compare("CapEff", task.capabilities, field("CapEff:", 16)?);
    compare("Seccomp", task.seccomp.into(), field("Seccomp:", 10)?);
    let no_new_privs = field("NoNewPrivs:", 10)?;
    compare("NoNewPrivs", task.no_new_privs.get().into(), no_new_privs);
    // A kernel without CONFIG_AUDIT has neither.
    for (name, read) in [("loginuid", task.login_uid), ("sessionid", task.session)] {
        if let Ok(text) = fs::read_to_string(format!("/proc/thread-self/{name}")) {
            let right: u32 = text.trim().parse().map_err(io::Error::other)?;
            compare(name, read.into(), right.into());
        }
    }
    // Unknown if that part of the hierarchy is not mounted.
    let cgroup = fs::read("/proc/thread-self/cgroup").unwrap_or_default();
    if let Some(right) = Hierarchy::here().id(&cgroup) {
        compare("cgroup_id", task.cgroup_id, right);
    }
    let comm = fs::read("/proc/thread-self/comm")?;
    let comm = comm.strip_suffix(b"\n").unwrap_or(&comm);
    compare("comm", u64::from(task.comm.starts_with(comm)), 1);
    if own.namespaces.inum.get(4) == Some(&FIRST_PID) {
        compare("tgid", task.tgid.into(), pid.into());
        compare("tid", task.tid.into(), tid.into());
        let parent = u32::try_from(getppid().as_raw()).map_err(io::Error::other)?;
        compare("parent", own.parent.tgid.into(), parent.into());
    }
    if own.namespaces.inum.get(6) == Some(&FIRST_TIME) {
        let start = started("/proc/thread-self/stat")?;
        compare("start", task.start_ns / TICK_NS, start);
        let start = started("/proc/self/stat")?;
        compare(
            "start of the process",
            task.leader_start_ns / TICK_NS,
            start,
        );
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(io::Error::other(wrong.join("; ")))
    }
}

/// The inode numbers of the links in /proc, in the order of [`SLOT_NAMES`].
pub(crate) fn own_namespaces() -> io::Result<Vec<u32>> {
    let number = |name: &&str| {
        let link = fs::read_link(format!("/proc/thread-self/ns/{name}"))?;
        let text = link.to_string_lossy();
        let (_, number) = text.split_once(":[").unwrap_or_default();
        let number = number.strip_suffix(']').unwrap_or_default();
        number.parse().map_err(io::Error::other)
    };
    SLOT_NAMES.iter().map(number).collect()
}

/// The start time of a task, in ticks: field 22; the last bracket ends field 2.
fn started(stat: &str) -> io::Result<u64> {
    let text = fs::read_to_string(stat)?;
    let (_, fields) = text.rsplit_once(") ").unwrap_or_default();
    let field = fields.split(' ').nth(22 - 3).unwrap_or_default();
    field.parse().map_err(io::Error::other)
}
