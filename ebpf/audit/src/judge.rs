//! What an event means: the schema's classes.

use nsexec_audit_abi::code::{Notes, Syscall};
use nsexec_audit_abi::parts::{SLOT_NAMES, Vector};
use nsexec_audit_abi::record::Namespace;

use crate::slots::{Id, SlotSet, slots};

/// What came of a call that changes namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A process that was not in the host's namespaces is in one of them.
    JoinHost,
    /// It is in namespaces that were there before, and are not the host's.
    JoinOther,
    /// It is in namespaces that it made.
    Create,
    /// It made a user namespace inside one that is not the host's.
    Nested,
    /// The kernel refused.
    Denied,
    /// Nothing changed.
    Noop,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::JoinHost,
        Self::JoinOther,
        Self::Create,
        Self::Nested,
        Self::Denied,
        Self::Noop,
    ];

    /// Its name in JSON and in filters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::JoinHost => "join_host",
            Self::JoinOther => "join_other",
            Self::Create => "create",
            Self::Nested => "nested",
            Self::Denied => "denied",
            Self::Noop => "noop",
        }
    }

    /// The kind of its record.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::JoinHost | Self::JoinOther => "ns_join",
            Self::Create | Self::Nested => "ns_create",
            Self::Denied => "ns_denied",
            Self::Noop => "ns_noop",
        }
    }
}

/// The namespaces that the host's own processes are in.
#[derive(Clone, Debug, Default)]
pub struct Host(Option<Vector>);

impl Host {
    /// Those of a task that is the host's: a kernel thread, which never joins any.
    /// Where none of them could be read, none is known.
    #[must_use]
    pub fn of(vector: &Vector) -> Self {
        Self(vector.inum.iter().any(|inum| *inum != 0).then_some(*vector))
    }

    /// Whether the slot's namespace is the host's.
    #[must_use]
    pub fn has(&self, slot: usize, id: Id) -> bool {
        let own = self.0.as_ref().and_then(|own| {
            let pair = own.inum.get(slot).zip(own.id.get(slot));
            pair.map(|(inum, id)| (*inum, *id))
        });
        id.0 != 0 && own == Some(id)
    }

    /// Its slots, by their names.
    pub fn slots(&self) -> impl Iterator<Item = (&'static str, Id)> {
        let own = self.0.iter().flat_map(slots);
        let known = own.filter(|(_, id)| id.0 != 0);
        known.filter_map(|(slot, id)| Some((*SLOT_NAMES.get(slot)?, id)))
    }

    /// Whether it is known at all.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }
}

/// What a call that changes namespaces came to.
#[must_use]
pub fn class(record: &Namespace, host: &Host) -> Class {
    if record.call.ret < 0 {
        return Class::Denied;
    }
    let joined = record.call.syscall == Syscall::Setns;
    if record.call.notes.has(Notes::BEGINNING_UNSEEN) {
        // What it was before is unknown; what it is is not.
        return if joined {
            Class::JoinOther
        } else {
            Class::Create
        };
    }
    let changed = SlotSet::differing(&record.before, &record.after);
    if changed.is_empty() {
        return Class::Noop;
    }
    if joined {
        let entered = slots(&record.before).zip(slots(&record.after));
        let host_again = entered
            .filter(|((_, before), (_, after))| before != after)
            .any(|((slot, before), (_, after))| host.has(slot, after) && !host.has(slot, before));
        return if host_again {
            Class::JoinHost
        } else {
            Class::JoinOther
        };
    }
    if changed.contains("user") && record.user.level > 1 {
        Class::Nested
    } else {
        Class::Create
    }
}

/// Whether a change takes effect at the next fork: the pid and time namespaces of a
/// task that joins or makes some are those of its children.
#[must_use]
pub fn effective_later(record: &Namespace) -> bool {
    let changed = SlotSet::differing(&record.before, &record.after);
    changed.names().all(|slot| slot.ends_with("_for_children"))
}

/// Where the target of a join lies, in words, when the descriptor said.
#[must_use]
pub fn target_type(flag: u32) -> Option<&'static str> {
    flags(u64::from(flag)).next()
}

/// The names of the flags, without CLONE_; those that have none are passed over.
pub fn flags(flags: u64) -> impl Iterator<Item = &'static str> {
    FLAGS
        .into_iter()
        .filter(move |(bit, _)| flags & bit != 0)
        .map(|(_, name)| name)
}

/// linux/sched.h
const FLAGS: [(u64, &str); 8] = [
    (0x0000_0080, "NEWTIME"),
    (0x0002_0000, "NEWNS"),
    (0x0200_0000, "NEWCGROUP"),
    (0x0400_0000, "NEWUTS"),
    (0x0800_0000, "NEWIPC"),
    (0x1000_0000, "NEWUSER"),
    (0x2000_0000, "NEWPID"),
    (0x4000_0000, "NEWNET"),
];

/// The slots that are of the host's.
#[must_use]
pub fn host_slots(vector: &Vector, host: &Host) -> SlotSet {
    let own = slots(vector).filter(|(slot, id)| host.has(*slot, *id));
    own.map(|(slot, _)| slot).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::lineage::tests::{call, namespace, task, vector, with};

    fn of(syscall: Syscall, ret: i64, before: Vector, after: Vector, level: u32) -> Class {
        let mut record = namespace(task(5, 1), call(syscall, ret), before, after);
        record.user.level = level;
        class(&record, &Host::of(&vector(1)))
    }

    #[test]
    fn each_class_is_told_from_the_others() {
        let host = vector(1);
        let inside = with(with(host, "mnt", 70), "net", 71);
        let user = with(inside, "user", 72);
        for (syscall, ret, before, after, level, expected) in [
            (Syscall::Setns, -1, host, host, 0, Class::Denied),
            (Syscall::Setns, 0, host, host, 0, Class::Noop),
            (Syscall::Setns, 0, host, inside, 0, Class::JoinOther),
            (
                Syscall::Setns,
                0,
                inside,
                with(inside, "mnt", 80),
                0,
                Class::JoinOther,
            ),
            (
                Syscall::Setns,
                0,
                inside,
                with(inside, "net", 4),
                0,
                Class::JoinHost,
            ),
            (Syscall::Unshare, 0, host, inside, 0, Class::Create),
            (Syscall::Clone3, 9, host, user, 1, Class::Create),
            (Syscall::Clone, 9, inside, user, 2, Class::Nested),
            (Syscall::Unshare, -22, host, host, 0, Class::Denied),
        ] {
            assert_eq!(
                of(syscall, ret, before, after, level),
                expected,
                "{syscall:?} {ret}"
            );
        }
        let names: HashSet<&str> = Class::ALL.iter().map(|class| class.name()).collect();
        assert_eq!(names.len(), Class::ALL.len());
    }

    /// Inode numbers are used again by other types; a slot is part of the name.
    #[test]
    fn a_number_of_another_slot_is_not_the_hosts() {
        let host = vector(1);
        let before = with(host, "uts", 90);
        // 4 is the host's network namespace.
        let after = with(host, "uts", 4);
        assert_eq!(of(Syscall::Setns, 0, before, after, 0), Class::JoinOther);
    }

    #[test]
    fn a_host_of_which_nothing_was_read_is_not_known() {
        assert!(!Host::of(&Vector::NONE).is_known());
        assert!(Host::of(&with(Vector::NONE, "net", 4)).is_known());
    }

    #[test]
    fn flags_have_their_names() {
        let all: Vec<&str> = flags(nsexec_audit_abi::code::NAMESPACE_FLAGS).collect();
        assert_eq!(all.len(), 8);
        assert_eq!(flags(0x4000_0011).collect::<Vec<_>>(), ["NEWNET"]);
        assert_eq!(target_type(0x1000_0000), Some("NEWUSER"));
    }

    #[test]
    fn a_pid_namespace_takes_effect_at_the_next_fork() {
        let host = vector(1);
        let record = |after| namespace(task(5, 1), call(Syscall::Setns, 0), host, after);
        assert!(effective_later(&record(with(host, "pid_for_children", 9))));
        assert!(!effective_later(&record(with(host, "net", 9))));
    }
}
