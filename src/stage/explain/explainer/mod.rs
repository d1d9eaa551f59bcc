//! The explainer itself: a process with the minimum of rights.

mod listener;
mod print;
mod run;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;

use super::ControlMessage;
use super::audit_socket::{AuditSocket, Opened};
use super::notes::Notes;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::capability::{Capability, CapabilitySet};
use crate::policy::resolved::{LogFlag, ResolvedPolicy};
use crate::prepare::filters;
use crate::prepare::policy_origin::Origin;
use crate::request::Explain;
use crate::sys::credentials::{self, CapabilityState};
use crate::sys::{descriptor, landlock, process, seccomp};
use listener::take_listener;
use print::print;
use run::Run;

/// Kinds of refusals that only audit records report.
const LANDLOCK: &str = "refusals by Landlock";
const KILLED: &str = "calls for which a filter killed the process";

/// Explains until the helper reports that the child has ended, or the helper itself has ended.
pub(super) fn explain(
    explain: Explain,
    control: OwnedFd,
    done: OwnedFd,
    policy: &ResolvedPolicy,
    origin: &Origin,
) -> ! {
    let report = serve(explain, control, &done, policy, origin);
    let text = match report {
        Ok(text) => text,
        Err(error) => format!("nsexec: --explain: {error}\n"),
    };
    print(text.as_bytes(), &done);
    process::exit_now(0)
}

fn serve(
    explain: Explain,
    mut control: OwnedFd,
    done: &OwnedFd,
    policy: &ResolvedPolicy,
    origin: &Origin,
) -> Result<String> {
    refuse_without_tracing()?;
    let mut notes = Notes::new();
    let mut audit = listen(explain, has_domain(policy), &mut notes)?;
    let watched = give_up_power(&control, done, audit.as_ref())
        .and_then(|()| take_listener(&mut control, done));
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
    let mut run = Run::new(policy, origin.explainer(policy)?, &watched, notes);
    let ended = run.until_end(&control, &watched.listener, audit.as_ref());
    restore(audit.as_mut(), &mut run.notes);
    ended?;
    Ok(run.notes.table(&policy.name))
}

/// If yama forbids all tracing, no process can take the listener.
fn refuse_without_tracing() -> Result<()> {
    let scope = std::fs::read("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    if lets_nobody_trace(&scope) {
        let wrong = "the explainer cannot take the listener of the program's filter: kernel.yama.ptrace_scope is 3";
        return Err(Error::new(ErrorKind::Unsupported, wrong).with_hint(
            "restart the machine with a lower value: the kernel does not lower it at run time",
        ));
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
    let takes = "this requires CAP_AUDIT_CONTROL and CAP_AUDIT_READ on the host";
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
            let wrong = "cannot switch kernel auditing on";
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
            notes.unknown("some refusals by Landlock", why);
            notes.unknown("some calls for which a filter killed the process", why);
        }
        Some(Err(errno)) => notes.remark(&format!(
            "auditing was off and could not be switched off again: {}; auditctl -e 0 does that",
            errno.desc()
        )),
    }
}

/// Gives up every capability except those to take the listener and to switch auditing off, every
/// descriptor except its own, and most system calls.
fn give_up_power(control: &OwnedFd, done: &OwnedFd, audit: Option<&AuditSocket>) -> Result<()> {
    let failed = |errno: Errno| {
        Error::new(ErrorKind::LockDown, "the explainer cannot restrict itself").with_source(errno)
    };
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
}
