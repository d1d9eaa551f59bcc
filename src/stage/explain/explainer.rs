//! The explainer itself: a process with the minimum of rights.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg};

use super::ControlMessage;
use super::audit_socket::{AuditSocket, Opened};
use super::notes::Notes;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::capability::{Capability, CapabilitySet};
use crate::policy::manifest::LayerSet;
use crate::policy::resolved::{Layer, LogFlag, ResolvedPolicy};
use crate::policy::why::{Arguments, Why};
use crate::prepare::filters;
use crate::prepare::policy_origin::Origin;
use crate::request::{Explain, Pid};
use crate::seccomp::interpret::{Call, run_stacked};
use crate::seccomp::notify;
use crate::seccomp::program::Program;
use crate::sys::credentials::{self, CapabilityState};
use crate::sys::descriptor;
use crate::sys::notify::{Answer, Notification, answer, receive};
use crate::sys::{landlock, pidfd, process, seccomp};
use nsexec_kernel_text::audit::{self, Fact};

/// How long records may still arrive after the program's end, in milliseconds: a kernel thread
/// delivers them.
const LATE: u16 = 50;
/// How many requests of processes that outlive the program the explainer answers before it prints
/// the table. After that, the kernel returns ENOSYS to them.
const MAX_ROUNDS: u32 = 10_000;

/// Kinds of refusals that only audit records report.
const LANDLOCK: &str = "what Landlock refused";
const KILLED: &str = "what a filter killed";

/// Explains until the helper reports that the child has ended, or the helper itself has ended.
pub(super) fn explain(
    explain: Explain,
    control: OwnedFd,
    done: OwnedFd,
    policy: &ResolvedPolicy,
    origin: &Origin,
) -> ! {
    let told = serve(explain, &control, &done, policy, origin);
    let text = match told {
        Ok(text) => text,
        Err(error) => format!("nsexec: --explain: {error}\n"),
    };
    print(text.as_bytes(), &done);
    process::exit_now(0)
}

/// PIPE_BUF, pipe(7): the number of bytes that a pipe accepts without blocking once poll(2) reports
/// that there is room.
const AT_ONCE: usize = 4096;

/// Writes to standard error while the helper waits for the end of `done`: a reader that does not
/// read must not block this process after the helper has ended.
fn print(mut text: &[u8], done: &OwnedFd) {
    let stderr = descriptor::standard(2);
    while !text.is_empty() {
        let mut fds = [
            PollFd::new(stderr, PollFlags::POLLOUT),
            // POLLERR: no process has the other end any more.
            PollFd::new(done.as_fd(), PollFlags::empty()),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(_) => return,
        }
        let [room, helper] = fds.map(|fd| fd.any() == Some(true));
        if !room && helper {
            return;
        }
        let some = text.get(..AT_ONCE).unwrap_or(text);
        match nix::unistd::write(stderr, some) {
            Ok(written) => text = text.get(written..).unwrap_or_default(),
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            // Standard error is closed: the caller does not want the report.
            Err(_) => return,
        }
    }
}

fn serve(
    explain: Explain,
    control: &OwnedFd,
    done: &OwnedFd,
    policy: &ResolvedPolicy,
    origin: &Origin,
) -> Result<String> {
    refuse_without_tracing()?;
    let mut notes = Notes::new();
    let mut audit = listen(explain, has_domain(policy), &mut notes)?;
    let watched =
        give_up_power(control, done, audit.as_ref()).and_then(|()| take_listener(control, done));
    let watched = match watched {
        Ok(Some(watched)) => watched,
        // The program did not start; the helper reports the reason.
        Ok(None) => {
            restore(audit.as_mut(), &mut notes);
            return Ok(String::new());
        }
        Err(error) => {
            restore(audit.as_mut(), &mut notes);
            return Err(error);
        }
    };
    // This process has no rights left to misuse: it parses the policy's text now.
    let mut run = Run {
        why: origin.explains(policy)?,
        filters: programs(policy),
        own: watched.helper,
        known: BTreeSet::from([watched.child]),
        child: watched.child,
        domains: BTreeMap::new(),
        events: BTreeMap::new(),
        notes,
    };
    let ended = run.until_end(control, &watched.listener, audit.as_ref());
    restore(audit.as_mut(), &mut run.notes);
    ended?;
    Ok(run.notes.table(&policy.name))
}

/// If yama forbids all tracing, no process can take the listener.
fn refuse_without_tracing() -> Result<()> {
    let scope = std::fs::read("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    if lets_nobody_trace(&scope) {
        let wrong = "the program's filter cannot be listened to: kernel.yama.ptrace_scope is 3";
        return Err(Error::new(ErrorKind::Unsupported, wrong)
            .with_hint("restart the machine with a lower one; it is not lowered while it runs"));
    }
    Ok(())
}

fn lets_nobody_trace(scope: &[u8]) -> bool {
    scope.trim_ascii() == b"3"
}

/// Whether the program runs in a Landlock domain of the policy's.
fn has_domain(policy: &ResolvedPolicy) -> bool {
    let layers = [&policy.ceiling.landlock, &policy.workload.landlock];
    let enforced = layers.into_iter().any(|layer| layer.enforced().is_some());
    enforced && landlock::support().is_ok_and(|landlock| landlock.abi() > 0)
}

/// Listens to audit records, and notes the kinds of refusals that cannot be reported without them.
///
/// # Errors
/// `Unsupported`: switching auditing on was requested and refused.
fn listen(explain: Explain, has_domain: bool, notes: &mut Notes) -> Result<Option<AuditSocket>> {
    let takes = "this takes CAP_AUDIT_CONTROL and CAP_AUDIT_READ on the host";
    let switch_on = explain == Explain::SwitchAuditingOn;
    let why = match AuditSocket::open(switch_on) {
        Ok(Opened::Listening(audit)) => {
            if has_domain
                && landlock::support()
                    .is_ok_and(|landlock| landlock.abi() < u32::from(LogFlag::ABI))
            {
                notes.unknown(LANDLOCK, "Linux before 6.15 does not report it");
            }
            return Ok(Some(audit));
        }
        Ok(Opened::Off) => "kernel auditing is off; --explain=audit switches it on, \
                            for the whole machine, while the program runs"
            .to_owned(),
        Err(errno) if switch_on => {
            let wrong = "auditing cannot be switched on";
            return Err(Error::new(ErrorKind::Unsupported, wrong)
                .with_source(errno)
                .with_hint(takes));
        }
        Err(errno) => format!("audit records: {}; {takes}", errno.desc()),
    };
    if has_domain {
        notes.unknown(LANDLOCK, &why);
    }
    notes.unknown(KILLED, &why);
    Ok(None)
}

fn restore(audit: Option<&mut AuditSocket>, notes: &mut Notes) {
    match audit.map(AuditSocket::restore) {
        None | Some(Ok(true)) => {}
        Some(Ok(false)) => {
            let why = "auditing was switched off while the program ran";
            notes.unknown("some of what Landlock refused", why);
            notes.unknown("some of what a filter killed", why);
        }
        Some(Err(errno)) => notes.remark(&format!(
            "auditing was off and could not be switched off again: {}; auditctl -e 0 does that",
            errno.desc()
        )),
    }
}

fn programs(policy: &ResolvedPolicy) -> Vec<Program> {
    [&policy.ceiling.seccomp, &policy.workload.seccomp]
        .into_iter()
        .filter_map(Layer::enforced)
        .cloned()
        .collect()
}

/// Gives up every capability except those to take the listener and to switch auditing off, every
/// descriptor except its own, and most system calls.
fn give_up_power(control: &OwnedFd, done: &OwnedFd, audit: Option<&AuditSocket>) -> Result<()> {
    let failed =
        |errno: Errno| Error::new(ErrorKind::LockDown, "its own lock-down").with_source(errno);
    let filter = filters::explainer()?;
    let mut kept = vec![control.as_raw_fd(), done.as_raw_fd(), 2];
    kept.extend(audit.map(|audit| audit.as_fd().as_raw_fd()));
    descriptor::close_all_but(&kept).map_err(failed)?;
    process::set_undumpable().map_err(failed)?;
    process::set_no_new_privs().map_err(failed)?;
    credentials::clear_ambient_set().map_err(failed)?;
    let switch = CapabilitySet::EMPTY.with(Capability::AUDIT_CONTROL);
    keep(switch.with(Capability::SYS_PTRACE)).map_err(failed)?;
    seccomp::load(&filter).map_err(failed)
}

/// Gives up every capability but these.
fn keep(capabilities: CapabilitySet) -> std::result::Result<(), Errno> {
    let now = credentials::capabilities()?;
    let kept = now.permitted.intersection(capabilities);
    credentials::set_capabilities(CapabilityState {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::EMPTY,
    })
}

/// The source of the next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Listener,
    Control,
    Audit,
}

/// The child that is explained.
struct ExplainedChild {
    listener: OwnedFd,
    child: u32,
    helper: u32,
}

/// Reports that it is ready, and takes the listener out of the child; `None`: there is no child.
fn take_listener(control: &OwnedFd, done: &OwnedFd) -> Result<Option<ExplainedChild>> {
    let system = |what: &'static str| {
        move |errno: Errno| Error::new(ErrorKind::System, what).with_source(errno)
    };
    let now = credentials::capabilities().map_err(system("capget"))?;
    if !now.effective.contains(Capability::SYS_PTRACE) {
        let wrong = "the program's filter cannot be listened to";
        return Err(Error::new(ErrorKind::Unsupported, wrong)
            .with_hint("this takes CAP_SYS_PTRACE: run it as root"));
    }
    nix::unistd::write(done, &[1]).map_err(system("the helper"))?;
    let helper = nix::unistd::getppid().as_raw();
    let mut child: Option<(Pid, OwnedFd)> = None;
    loop {
        let Some((message, sender)) = receive_message(control).map_err(system("the helper"))?
        else {
            return Ok(None);
        };
        match (message, &child) {
            (ControlMessage::End, _) if sender == helper => return Ok(None),
            (ControlMessage::Child(pid), None) if sender == helper => {
                let pid =
                    Pid::new(pid).ok_or_else(|| system("the program's process")(Errno::ESRCH))?;
                child = Some((
                    pid,
                    pidfd::open(pid).map_err(system("the program's process"))?,
                ));
            }
            (ControlMessage::Listener(fd), Some((pid, pidfd))) if sender == pid.get() => {
                let listener = pidfd::duplicate(pidfd.as_fd(), fd)
                    .map_err(system("the listener of the program's filter"))?;
                keep(CapabilitySet::EMPTY.with(Capability::AUDIT_CONTROL))
                    .map_err(system("capset"))?;
                return Ok(Some(ExplainedChild {
                    listener,
                    child: pid.get().unsigned_abs(),
                    helper: helper.unsigned_abs(),
                }));
            }
            _ => {
                let wrong = "another process than the helper and the program's spoke to it";
                return Err(Error::new(ErrorKind::Safety, wrong));
            }
        }
    }
}

/// The next message and its sender; `None`: no sender is left.
///
/// # Errors
/// EPROTO: the message is invalid. The kernel reports the sender: a process can only name another
/// process in its stead if it sees that process in its own pid namespace and is root of the host.
fn receive_message(control: &OwnedFd) -> std::result::Result<Option<(ControlMessage, i32)>, Errno> {
    let mut message = [0; ControlMessage::LENGTH];
    let received = loop {
        // Room for the sender's credentials and no descriptors: the kernel passes none then.
        let mut space = nix::cmsg_space!(UnixCredentials);
        let mut parts = [IoSliceMut::new(&mut message)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(control.as_raw_fd(), &mut parts, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(received) => {
                let sender = received.cmsgs()?.find_map(|control| match control {
                    ControlMessageOwned::ScmCredentials(sender) => Some(sender.pid()),
                    _ => None,
                });
                break (received.bytes, sender);
            }
        }
    };
    match received {
        (0, _) => Ok(None),
        (ControlMessage::LENGTH, Some(sender)) => {
            let message = ControlMessage::from_bytes(message).ok_or(Errno::EPROTO)?;
            Ok(Some((message, sender)))
        }
        _ => Err(Errno::EPROTO),
    }
}

/// Whether the helper reports that the child has ended, or no sender is left to report it.
fn reports_end(control: &OwnedFd, helper: u32) -> std::result::Result<bool, Errno> {
    match receive_message(control) {
        Ok(None) => Ok(true),
        Ok(Some((message, sender))) => {
            Ok(message == ControlMessage::End && sender.unsigned_abs() == helper)
        }
        Err(Errno::EPROTO) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// A run of the program.
struct Run {
    why: Why,
    /// In the policy's order, oldest first.
    filters: Vec<Program>,
    /// The helper; the report leaves its own refusals out.
    own: u32,
    child: u32,
    /// Processes that were observed under the filters.
    known: BTreeSet<u32>,
    /// The layers that created each Landlock domain.
    domains: BTreeMap<u64, Option<LayerSet>>,
    /// Records of events that have not ended.
    events: BTreeMap<u64, Vec<Fact>>,
    notes: Notes,
}

impl Run {
    fn until_end(
        &mut self,
        control: &OwnedFd,
        listener: &OwnedFd,
        audit: Option<&AuditSocket>,
    ) -> Result<()> {
        let system = |errno: Errno| Error::new(ErrorKind::System, "listening").with_source(errno);
        let mut open = vec![Source::Listener, Source::Control];
        open.extend(audit.map(|_| Source::Audit));
        // Rounds after the program's end: its remaining descendants must not delay the report
        // forever.
        let mut left: Option<u32> = None;
        while left != Some(0) {
            let mut fds = Vec::with_capacity(open.len());
            for source in &open {
                let fd = match (source, audit) {
                    (Source::Audit, Some(audit)) => audit.as_fd(),
                    (Source::Control | Source::Audit, _) => control.as_fd(),
                    (Source::Listener, _) => listener.as_fd(),
                };
                fds.push(PollFd::new(fd, PollFlags::POLLIN));
            }
            let patience = match left {
                None => PollTimeout::NONE,
                Some(_) => PollTimeout::from(LATE),
            };
            match poll(&mut fds, patience) {
                Ok(0) => break,
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(system(errno)),
            }
            left = left.map(|left| left - 1);
            let events = fds
                .iter()
                .map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
            let ready: Vec<(Source, PollFlags)> = open.iter().copied().zip(events).collect();
            for (source, events) in ready {
                let readable = events.contains(PollFlags::POLLIN);
                match source {
                    Source::Listener if readable => {
                        if let Some(told) = receive(listener.as_fd()).map_err(system)? {
                            let decided = self.decide(&told);
                            answer(listener.as_fd(), told.id, decided).map_err(system)?;
                        }
                    }
                    Source::Audit if readable => {
                        if let Some(audit) = audit {
                            self.records(audit);
                        }
                    }
                    // Messages of other senders are ignored.
                    Source::Control
                        if readable && !reports_end(control, self.own).map_err(system)? => {}
                    // No process is left under the filter, or the helper waits.
                    _ if !events.is_empty() => {
                        open.retain(|other| *other != source);
                        if source == Source::Control {
                            left = Some(MAX_ROUNDS);
                        }
                    }
                    _ => {}
                }
            }
        }
        self.unfinished();
        Ok(())
    }

    /// Reports events without an end. If a rule of `never,task` excludes tasks from auditing, these
    /// are all: each record is an event by itself, and the record of a domain follows those of its
    /// refusals.
    fn unfinished(&mut self) {
        let events = std::mem::take(&mut self.events);
        events.values().for_each(|facts| self.record_domains(facts));
        events.values().for_each(|facts| self.event(facts));
    }

    /// The result of the policy's own filters alone.
    fn decide(&mut self, told: &Notification) -> Answer {
        self.known.insert(told.pid);
        let filters: Vec<&Program> = self.filters.iter().collect();
        let arguments = told.call.arguments.map(Some);
        match run_stacked(&filters, &told.call) {
            Some(value) if notify::is_errno(value) => {
                self.refused(&told.call, &arguments);
                let errno = u16::try_from(value & 0xffff).unwrap_or(1);
                Answer::Errno(errno)
            }
            // SECCOMP_RET_ALLOW and SECCOMP_RET_LOG
            Some(0x7fff_0000 | 0x7ffc_0000) => Answer::Continue,
            // Unreachable: the filter sends no notification of a call that it kills or traps.
            _ => Answer::Errno(1),
        }
    }

    fn refused(&mut self, call: &Call, arguments: &Arguments) {
        match self.why.call(call, arguments) {
            Some(refusal) => self.notes.refused(refusal),
            None => self.notes.remark(&format!(
                "call {} was refused, and no rule of the policy's text tells why",
                call.number
            )),
        }
    }

    fn records(&mut self, audit: &AuditSocket) {
        let datagram = match audit.next() {
            Ok(Some(datagram)) => datagram,
            Ok(None) => return,
            Err(errno) => {
                let why = format!("audit records were lost: {}", errno.desc());
                self.notes.unknown("some of what Landlock refused", &why);
                self.notes.unknown("some of what a filter killed", &why);
                return;
            }
        };
        let Ok(messages) = audit::messages(&datagram) else {
            self.notes
                .remark("a message of the kernel's audit was not understood");
            return;
        };
        for message in messages {
            match audit::record(message.kind, message.payload) {
                Ok(Some(record)) if record.fact == Fact::End => {
                    if let Some(facts) = self.events.remove(&record.serial) {
                        self.event(&facts);
                    }
                }
                // A kill is an event of one record, without an end.
                Ok(Some(record)) if matches!(record.fact, Fact::Seccomp { .. }) => {
                    self.event(&[record.fact]);
                }
                Ok(Some(record)) => {
                    self.events
                        .entry(record.serial)
                        .or_default()
                        .push(record.fact);
                }
                Ok(None) => {}
                Err(fault) => self
                    .notes
                    .remark(&format!("an audit record was not understood: {fault}")),
            }
        }
    }

    /// Records the layers that created each reported domain.
    fn record_domains(&mut self, facts: &[Fact]) {
        for fact in facts {
            if let Fact::Domain { domain, pid, .. } = fact {
                let layer_set = match *pid {
                    pid if pid == self.own => Some(LayerSet::Ceiling),
                    pid if pid == self.child => Some(LayerSet::Workload),
                    _ => None,
                };
                self.domains.entry(*domain).or_insert(layer_set);
            }
        }
    }

    fn event(&mut self, facts: &[Fact]) {
        self.record_domains(facts);
        let called = facts.iter().find_map(|fact| match fact {
            Fact::Syscall { pid, number, .. } => Some((*pid, *number)),
            _ => None,
        });
        if called.is_some_and(|(pid, _)| pid == self.own) {
            return;
        }
        for fact in facts {
            match fact {
                Fact::Denied {
                    domain,
                    blockers,
                    object,
                } => {
                    let Some(Some(layer_set)) = self.domains.get(domain).copied() else {
                        continue;
                    };
                    let object = String::from_utf8_lossy(object);
                    for blocker in blockers {
                        let number = called.map(|(_, number)| number);
                        let refusal = self.why.access(layer_set, blocker, &object, number);
                        self.notes.refused(refusal);
                    }
                }
                // SECCOMP_RET_KILL_PROCESS, KILL_THREAD, TRAP
                Fact::Seccomp {
                    pid,
                    arch,
                    number,
                    action: 0x8000_0000 | 0 | 0x0003_0000,
                } if self.known.contains(pid) => {
                    let call = Call {
                        number: *number,
                        arch: *arch,
                        instruction_pointer: 0,
                        arguments: [0; 6],
                    };
                    self.refused(&call, &[None; 6]);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_highest_ptrace_scope_lets_nobody_trace() {
        assert!(lets_nobody_trace(b"3\n"));
        for scope in [&b""[..], b"0\n", b"1\n", b"2\n"] {
            assert!(!lets_nobody_trace(scope), "{scope:?}");
        }
    }

    #[test]
    fn a_refusal_is_told_though_its_domain_is_named_after_it() {
        let policy = nsexec_shipped_policies::builtin("strict").unwrap().unwrap();
        let origin = Origin::Ships("strict".to_owned());
        let refused = Fact::Denied {
            domain: 7,
            blockers: vec!["fs.make_reg".to_owned()],
            object: b"/etc".to_vec(),
        };
        let made = Fact::Domain {
            domain: 7,
            pid: 22,
            exe: b"/usr/bin/nsexec".to_vec(),
        };
        let mut run = Run {
            why: origin.explains(&policy).unwrap(),
            filters: Vec::new(),
            own: 21,
            child: 22,
            known: BTreeSet::new(),
            domains: BTreeMap::new(),
            events: BTreeMap::from([(1, vec![refused]), (2, vec![made])]),
            notes: Notes::new(),
        };
        run.unfinished();
        let told = run.notes.table("strict");
        assert!(told.contains("fs.make_reg /etc"), "{told}");
    }
}
