use nsexec_audit_abi::code::{NAMESPACE_FLAGS, Syscall};

use super::*;
use crate::fixtures::{call, namespace, namespace_set, task, with};

#[test]
fn a_set_lists_its_slots_in_order() {
    let one = namespace_set(1);
    let other = with(with(one, "uts", 70), "mnt", 71);
    let set = SlotSet::differing(&one, &other);
    assert_eq!(set.iter().collect::<Vec<_>>(), [Slot::Mnt, Slot::Uts]);
    assert!(set.contains(Slot::Uts) && !set.contains(Slot::Net));
    assert_eq!(set.others().names().count(), SLOTS - 2);
    let json = serde_json::to_string(&set).unwrap();
    assert_eq!(json, r#"["mnt","uts"]"#);
    assert_eq!(serde_json::from_str::<SlotSet>(&json).unwrap(), set);
    assert!(serde_json::from_str::<SlotSet>(r#"["mnts"]"#).is_err());
    let gone = with(other, "uts", 0);
    assert!(!SlotSet::differing(&one, &gone).contains(Slot::Uts));
}

#[test]
fn a_map_is_an_object_of_pairs_of_numbers() {
    let one = namespace_set(1);
    let some = |slots| NamespaceMap { set: one, slots };
    let slots = SlotSet::differing(&one, &with(one, "net", 70));
    let (inum, id) = one.get(Slot::Net);
    let json = serde_json::to_string(&some(slots)).unwrap();
    assert_eq!(json, format!(r#"{{"net":[{inum},{id}]}}"#));
    let read: NamespaceMap = serde_json::from_str(&json).unwrap();
    assert_eq!(read.get(Slot::Net), Some((inum, id)));
    assert_eq!(read.get(Slot::Uts), None);
    assert!(some(SlotSet::default()).is_empty());
    for wrong in [
        r#"{"nets":[1,2]}"#,
        r#"{"net":[1]}"#,
        r#"{"net":[1,2,3]}"#,
        r#"{"net":[1,2],"net":[1,2]}"#,
    ] {
        assert!(
            serde_json::from_str::<NamespaceMap>(wrong).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn types_are_those_of_slots_without_repetition() {
    let one = namespace_set(1);
    let changed = with(with(one, "pid", 70), "pid_for_children", 70);
    let changed = with(changed, "time_for_children", 71);
    let types = SlotSet::differing(&one, &changed).types();
    assert_eq!(types, [NamespaceType::Pid, NamespaceType::Time]);
}

#[test]
fn flags_have_their_names() {
    let names = |flags| -> Vec<&str> {
        NamespaceType::of_flags(flags)
            .map(NamespaceType::flag_name)
            .collect()
    };
    assert_eq!(names(NAMESPACE_FLAGS).len(), NamespaceType::ALL.len());
    assert_eq!(names(0x4000_0011), ["NEWNET"]);
    assert_eq!(names(0x1000_0000), ["NEWUSER"]);
    for one in NamespaceType::ALL {
        assert_eq!(NamespaceType::of_flag_name(one.flag_name()), Some(*one));
    }
}

#[test]
fn a_pid_namespace_takes_effect_at_the_next_fork() {
    let host = namespace_set(1);
    let effective = |after| {
        let record = namespace(task(5, 1), call(Syscall::Setns, 0), host, after);
        NamespaceChange::of(&record, &HostNamespaces::of(&host)).effective_at
    };
    let later = Some(EffectiveAt::NextFork);
    assert_eq!(effective(with(host, "pid_for_children", 9)), later);
    assert_eq!(effective(with(host, "net", 9)), None);
    assert_eq!(effective(host), None);
}
