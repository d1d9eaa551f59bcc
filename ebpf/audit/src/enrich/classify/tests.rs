use std::collections::HashSet;

use nsexec_audit_abi::parts::NamespaceSet;

use super::*;
use crate::fixtures::{call, namespace, namespace_set, task, with};

fn of(syscall: Syscall, ret: i64, before: NamespaceSet, after: NamespaceSet, level: u32) -> Class {
    let mut record = namespace(task(5, 1), call(syscall, ret), before, after);
    record.user.level = level;
    classify(&record, &HostNamespaces::of(&namespace_set(1)))
}

#[test]
fn each_class_is_distinguished() {
    let host = namespace_set(1);
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

/// Inode numbers are reused by other types; a slot is part of the identity.
#[test]
fn a_number_of_another_slot_is_not_the_hosts() {
    let host = namespace_set(1);
    let before = with(host, "uts", 90);
    // 4 is the host's network namespace.
    let after = with(host, "uts", 4);
    assert_eq!(of(Syscall::Setns, 0, before, after, 0), Class::JoinOther);
}

#[test]
fn a_host_without_namespaces_is_unknown() {
    assert!(!HostNamespaces::of(&NamespaceSet::NONE).is_known());
    assert!(HostNamespaces::of(&with(NamespaceSet::NONE, "net", 4)).is_known());
}
