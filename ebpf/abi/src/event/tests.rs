extern crate std;

use std::vec::Vec;

use super::Event;
use crate::code::{Abi, EventFlags, Hook, Kind, NAMESPACE_FLAGS, Source, Syscall};
use crate::field::{Bool, Reason, Reserved};
use crate::offsets::ALL;
use crate::parts::{
    Call, Header, NamespaceSet, SLOT_NAMES, SLOTS, Target, Task, TaskId, Text, UserNamespace,
    Version,
};
use crate::record::{Exec, Exit, Fork, LONGEST, Namespace, Snapshot};

fn header(kind: Kind, hook: Hook, length: u32) -> Header {
    Header {
        version: Version::THIS,
        kind,
        hook,
        length,
        cpu: 3,
        reserved: Reserved::ZERO,
        sequence: 1 << 40,
        lost: 7,
        boot_ns: u64::MAX,
    }
}

fn task() -> Task {
    Task {
        start_ns: 11,
        leader_start_ns: 12,
        cgroup_id: 13,
        exe_inode: 14,
        capabilities: 0x1ff_ffff_ffff,
        tgid: 15,
        tid: 16,
        ns_tgid: 17,
        ns_tid: 18,
        uid: 19,
        gid: 20,
        euid: 21,
        egid: 22,
        login_uid: 23,
        session: 24,
        exe_device: 25,
        seccomp: 2,
        no_new_privs: Bool::new(true),
        comm: *b"0123456789abcde\0",
        ..Task::ZERO
    }
}

fn kin(first: u32) -> TaskId {
    TaskId {
        start_ns: u64::from(first) << 32,
        leader_start_ns: u64::from(first) << 33,
        tgid: first,
        tid: first + 1,
    }
}

fn namespace_set(first: u32) -> NamespaceSet {
    let mut namespace_set = NamespaceSet::NONE;
    for (number, (id, inum)) in
        (first..).zip(namespace_set.id.iter_mut().zip(&mut namespace_set.inum))
    {
        *id = u64::from(number) << 8;
        *inum = number;
    }
    namespace_set
}

fn text<const N: usize>(of: &[u8]) -> Text<N> {
    let mut bytes = [0; N];
    bytes[..of.len()].copy_from_slice(of);
    Text {
        length: u16::try_from(of.len()).unwrap(),
        cut: Bool::new(false),
        reserved: Reserved::ZERO,
        bytes,
    }
}

fn events() -> [Event; 5] {
    [
        Event::Namespace(Namespace {
            header: header(Kind::Namespace, Hook::SetnsExit, 512),
            actor: task(),
            parent: kin(100),
            child: kin(200),
            call: Call {
                flags: NAMESPACE_FLAGS,
                ret: -1,
                target: Target {
                    id: 31,
                    inum: 32,
                    pid: 33,
                    flag: 34,
                    source: Source::Nsfs,
                    reserved: Reserved::ZERO,
                },
                fd: -9,
                notes: EventFlags::FLAGS_RACY,
                syscall: Syscall::Setns,
                abi: Abi::Compat,
                reserved: Reserved::ZERO,
            },
            before: namespace_set(1000),
            after: namespace_set(2000),
            user: UserNamespace {
                parent_id: 41,
                parent_inum: 42,
                owner: 43,
                level: 44,
                reserved: Reserved::ZERO,
            },
        }),
        Event::Fork(Fork {
            header: header(Kind::Fork, Hook::Fork, 288),
            actor: task(),
            child: kin(300),
            namespaces: namespace_set(3000),
        }),
        Event::Exec(Exec {
            header: header(Kind::Exec, Hook::SchedProcessExec, 1072),
            actor: task(),
            parent: kin(400),
            namespaces: namespace_set(4000),
            old_tid: 51,
            path: text(b"/bin/true"),
            arguments: text(b"true\0-x\0"),
            reserved: Reserved::ZERO,
        }),
        Event::Exit(Exit {
            header: header(Kind::Exit, Hook::SchedProcessExit, 272),
            actor: task(),
            namespaces: namespace_set(5000),
            status: 0x100,
            live: 61,
        }),
        Event::Snapshot(Snapshot {
            header: header(Kind::Snapshot, Hook::IterTask, 288),
            task: task(),
            parent: kin(500),
            namespaces: namespace_set(6000),
        }),
    ]
}

fn encoded(event: &Event) -> Vec<u8> {
    let mut bytes = [0xaa; LONGEST];
    let length = event.encode(&mut bytes).unwrap();
    bytes[..length].to_vec()
}

/// The error of decoding this event with these bytes at this offset, and the span of the
/// error.
#[track_caller]
fn wrong(event: &Event, at: usize, bytes: &[u8]) -> (core::ops::Range<usize>, Reason) {
    let mut record = encoded(event);
    record[at..at + bytes.len()].copy_from_slice(bytes);
    let fault = Event::decode(&record).unwrap_err();
    (fault.span, fault.reason)
}

#[test]
fn written_records_are_read() {
    for event in events() {
        let bytes = encoded(&event);
        assert_eq!(Event::decode(&bytes), Ok(event));
        assert_eq!(
            event.encode(&mut std::vec![0; bytes.len() - 1]),
            None,
            "there was no room"
        );
    }
}

#[test]
fn offsets_match_the_layout() {
    let [namespace, _, exec, exit, _] = events().map(|event| encoded(&event));
    let word = |bytes: &[u8], at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!(namespace[2..4], [1, 2], "kind and hook");
    assert_eq!(word(&namespace, 4), 512);
    assert_eq!(word(&namespace, 40 + 40), 15, "the actor's tgid");
    assert_eq!(word(&namespace, 144 + 16), 100, "the parent's tgid");
    assert_eq!(word(&namespace, 192 + 16 + 8), 32, "the target's inode");
    assert_eq!(
        word(&namespace, 248 + 80 + 36),
        1009,
        "the last inode before"
    );
    assert_eq!(word(&namespace, 368 + 80), 2000, "the first inode after");
    assert_eq!(exec[292..305], *b"\x09\0\0\0/bin/true", "the path");
    assert_eq!(word(&exit, 268), 61);
}

#[test]
fn a_record_has_one_length() {
    for event in events() {
        let bytes = encoded(&event);
        for length in 0..bytes.len() {
            let fault = Event::decode(&bytes[..length]).unwrap_err();
            assert_eq!((fault.span, fault.reason), (length..length, Reason::Short));
        }
        let end = bytes.len();
        let more = [bytes, std::vec![0; 8]].concat();
        let fault = Event::decode(&more).unwrap_err();
        assert_eq!((fault.span, fault.reason), (end..end + 8, Reason::Trailing));
        assert_eq!(
            wrong(&event, 4, &271_u32.to_ne_bytes()),
            (4..8, Reason::Length)
        );
    }
}

#[test]
fn unknown_numbers_are_errors() {
    for event in events() {
        assert_eq!(wrong(&event, 0, &[1]), (0..2, Reason::Version));
        assert_eq!(wrong(&event, 2, &[0]), (2..3, Reason::Code));
        assert_eq!(wrong(&event, 2, &[6]), (2..3, Reason::Code));
        assert_eq!(wrong(&event, 3, &[0]), (3..4, Reason::Code));
        assert_eq!(wrong(&event, 3, &[14]), (3..4, Reason::Code));
        assert_eq!(wrong(&event, 12, &[1]), (12..16, Reason::Reserved));
        assert_eq!(wrong(&event, 40 + 85, &[2]), (125..126, Reason::Bool));
        assert_eq!(wrong(&event, 40 + 87, &[1]), (126..128, Reason::Reserved));
    }
    let [namespace, _, exec, ..] = events();
    assert_eq!(wrong(&namespace, 228, &[5]), (228..229, Reason::Code));
    assert_eq!(wrong(&namespace, 236, &[8]), (236..240, Reason::Bit));
    assert_eq!(wrong(&namespace, 240, &[5]), (240..241, Reason::Code));
    assert_eq!(wrong(&namespace, 241, &[0]), (241..242, Reason::Code));
    assert_eq!(wrong(&namespace, 247, &[1]), (242..248, Reason::Reserved));
    let long = 257_u16.to_ne_bytes();
    assert_eq!(wrong(&exec, 292, &long), (292..294, Reason::Text));
}

#[test]
fn a_hook_writes_its_own_kind() {
    let [namespace, fork, ..] = events();
    // The beginning of a call is not written, and a fork is no exec.
    let enter = Hook::SetnsEnter.code();
    assert_eq!(wrong(&namespace, 3, &[enter]), (3..4, Reason::Hook));
    let exec = Hook::SchedProcessExec.code();
    assert_eq!(wrong(&fork, 3, &[exec]), (3..4, Reason::Hook));
    // A kind with the hook of another, of the same length.
    let snapshot = Kind::Snapshot.code();
    assert_eq!(wrong(&fork, 2, &[snapshot]), (3..4, Reason::Hook));
}

#[test]
fn bytes_after_a_text_are_not_read() {
    let [_, _, exec, ..] = events();
    let mut bytes = encoded(&exec);
    bytes[296 + 9..296 + 256].fill(0x55);
    assert_eq!(Event::decode(&bytes), Ok(exec));
    let Event::Exec(read) = exec else { panic!() };
    assert_eq!(read.path.get(), b"/bin/true");
    assert_eq!(read.arguments.get(), b"true\0-x\0");
}

#[test]
fn lists_are_complete() {
    assert_eq!(u32::try_from(Hook::ALL.len()), Ok(Hook::COUNT));
    for (number, hook) in (1..).zip(Hook::ALL) {
        assert_eq!(hook.code(), number);
    }
    assert_eq!(SLOT_NAMES.len(), SLOTS);
    assert!(SLOT_NAMES.is_sorted());
    let mut names: Vec<&str> = ALL.iter().map(|offset| offset.global).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "a global is there twice");
}

#[test]
fn a_fault_has_its_place_and_a_hint() {
    let [namespace, ..] = events();
    let mut bytes = encoded(&namespace);
    bytes[0] = 9;
    assert_eq!(
        std::format!("{}", Event::decode(&bytes).unwrap_err()),
        "bytes 0 to 2: another version of the layout; probes and loader come from one build"
    );
}
