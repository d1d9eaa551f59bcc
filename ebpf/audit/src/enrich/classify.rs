//! The class of a call that changes namespaces.

use nsexec_audit_abi::code::{EventFlags, Slot, Syscall};
use nsexec_audit_abi::record::Namespace;

use crate::model::event::Class;
use crate::model::namespaces::{HostNamespaces, SlotSet};

/// The result of a call.
#[must_use]
pub fn classify(record: &Namespace, host: &HostNamespaces) -> Class {
    if record.call.ret < 0 {
        return Class::Denied;
    }
    let joined = record.call.syscall == Syscall::Setns;
    if record.call.notes.has(EventFlags::BEGINNING_UNSEEN) {
        // The namespaces before the call are unknown; those after it are not.
        return if joined {
            Class::JoinOther
        } else {
            Class::Create
        };
    }
    let (before, after) = (&record.before, &record.after);
    let changed = SlotSet::differing(before, after);
    if changed.is_empty() {
        return Class::Noop;
    }
    if joined {
        let is_back = |slot: Slot| {
            let (before, after) = (before.get(slot), after.get(slot));
            host.has(slot, after) && !host.has(slot, before)
        };
        let mut all = Slot::ALL.iter().copied();
        return if all.any(is_back) {
            Class::JoinHost
        } else {
            Class::JoinOther
        };
    }
    if changed.contains(Slot::User) && record.user.level > 1 {
        Class::Nested
    } else {
        Class::Create
    }
}

#[cfg(test)]
mod tests;
