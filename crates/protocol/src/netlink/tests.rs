use super::*;

use std::collections::BTreeSet;
use std::ffi::CString;
use std::ops::Range;

use crate::netlink::Attribute as A;
use crate::netlink::bootstrap::Form;
use crate::path::MAX_PATH;
use crate::{id_map_lines, ns_paths, oom_score_adj, time_offsets};
use nsexec_request::Namespace;

const SAMPLE: &[u8] = include_bytes!("../../../../tests/data/proto_b_bootstrap_exec.bin");

/// Decodes a whole message: the header, then the rest.
fn decode(whole: &[u8]) -> Result<Bootstrap, Fault<BootstrapErrorKind>> {
    let (head, payload) = whole
        .split_at_checked(HEADER)
        .unwrap_or((whole, Default::default()));
    message(header(head)?, payload)
}

fn refused(whole: &[u8]) -> (BootstrapErrorKind, Range<usize>) {
    let fault = decode(whole).expect_err("it should be refused");
    (fault.reason, fault.span)
}

/// A header for a payload of this length.
fn head(payload: usize) -> Vec<u8> {
    let length = u32::try_from(HEADER + payload).expect("small");
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(INIT_MSG.to_ne_bytes());
    bytes.extend(1_u16.to_ne_bytes());
    bytes.extend([7, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

fn framed(attributes: &[Vec<u8>]) -> Vec<u8> {
    let payload = attributes.concat();
    [head(payload.len()), payload].concat()
}

/// An attribute of any length, type and value, without padding.
fn bare(length: u16, kind: u16, value: &[u8]) -> Vec<u8> {
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat()
}

fn raw(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).expect("small");
    let mut bytes = bare(length, kind, value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn number(attribute: A, value: u32) -> Vec<u8> {
    raw(attribute.number(), &value.to_ne_bytes())
}

/// With the NUL that belongs to it.
fn text(attribute: A, value: &str) -> Vec<u8> {
    raw(attribute.number(), &[value.as_bytes(), b"\0"].concat())
}

fn flags(value: u32) -> Vec<u8> {
    number(A::CloneFlags, value)
}

const NEW_USER: u32 = 0x1000_0000;
const NEW_TIME: u32 = 0x80;
const NEW_NET: u32 = 0x4000_0000;

/// The message with CLONE_FLAGS in front, which ends at byte 24.
fn after_flags(value: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
    framed(&[&[flags(value)], attributes].concat())
}

#[test]
fn the_captured_message_requests_five_namespaces() {
    let bootstrap = decode(SAMPLE).expect("a message of runc's");
    let join: Vec<(Namespace, &str)> = bootstrap
        .join
        .iter()
        .map(|entry| (entry.namespace, entry.path.to_str().expect("ASCII")))
        .collect();
    assert_eq!(
        join,
        [
            (Namespace::Ipc, "/proc/16349/ns/ipc"),
            (Namespace::Uts, "/proc/16349/ns/uts"),
            (Namespace::Net, "/proc/16349/ns/net"),
            (Namespace::Pid, "/proc/16349/ns/pid"),
            (Namespace::Mnt, "/proc/16349/ns/mnt"),
        ]
    );
    let nothing_else = Bootstrap {
        join: bootstrap.join.clone(),
        ..Bootstrap::default()
    };
    assert_eq!(bootstrap, nothing_else);
    assert_eq!(encode(&bootstrap, 1).as_deref(), Ok(SAMPLE));
}

/// A rootless `runc run`, by the table of the protocol, in the order in which
/// libcontainer writes it.
#[test]
fn a_message_can_create_all_namespaces() {
    let whole = framed(&[
        flags(0x7e02_0080 & !NEW_NET),
        text(A::NsPaths, "net:/run/netns/blue"),
        text(A::UidMapPath, "/usr/bin/newuidmap"),
        text(A::UidMap, "0 1000 1\n1 100000 65536\n"),
        text(A::GidMap, "0 1001 1\n"),
        text(A::GidMapPath, "/usr/bin/newgidmap"),
        number(A::Setgroup, 1),
        text(A::OomScoreAdj, "-500"),
        number(A::RootlessEuid, 1),
        text(A::TimeOffsets, "boottime -7 0\nmonotonic 1 2\n"),
    ]);
    let bootstrap = decode(&whole).expect("a message");
    let mut create = BTreeSet::from(Namespace::ALL);
    create.remove(&Namespace::Net);
    assert_eq!(bootstrap.create, create);
    assert_eq!(bootstrap.join.len(), 1);
    let uids = bootstrap.uid_map.as_ref().expect("a map");
    assert_eq!(uids.map.to_outside(1), Some(100_000));
    assert_eq!(uids.tool.as_deref(), Some(c"/usr/bin/newuidmap"));
    let gids = bootstrap.gid_map.as_ref().expect("a map");
    assert_eq!(gids.map.to_outside(0), Some(1001));
    assert_eq!(gids.tool.as_deref(), Some(c"/usr/bin/newgidmap"));
    assert!(bootstrap.setgroups && bootstrap.rootless_euid);
    assert_eq!(bootstrap.oom_score_adj, Some(-500));
    let offsets = bootstrap.time_offsets.expect("offsets");
    assert_eq!(offsets.to_string(), "monotonic 1 2\nboottime -7 0\n");

    let again = encode(&bootstrap, 7).expect("a message");
    assert_eq!(again.len(), whole.len());
    assert_eq!(decode(&again), Ok(bootstrap));
}

/// libcontainer's own tests of nsexec.c send no more than these two.
#[test]
fn a_message_needs_only_flags() {
    let read = decode(&after_flags(NEW_NET, &[])).expect("a message");
    assert_eq!(read.create, BTreeSet::from([Namespace::Net]));
    assert!(!read.rootless_euid && !read.setgroups);
    let paths = text(A::NsPaths, "pid:/proc/1/ns/pid");
    assert!(decode(&after_flags(NEW_NET, &[paths])).is_ok());
}

#[test]
fn a_header_is_sixteen_bytes_of_this_protocol() {
    let right = head(152 - HEADER);
    assert_eq!(header(&right).map(Header::payload_length), Ok(136));
    let with = |at: usize, bytes: &[u8]| {
        let mut wrong = right.clone();
        wrong[at..at + bytes.len()].copy_from_slice(bytes);
        let fault = header(&wrong).expect_err("it should be refused");
        (fault.reason, fault.span)
    };
    for length in 0..HEADER {
        let fault = Fault::new(0..length, BootstrapErrorKind::HeaderSize(length));
        assert_eq!(header(&right[..length]), Err(fault));
    }
    let longer = [&right[..], b"\0"].concat();
    let fault = Fault::new(0..17, BootstrapErrorKind::HeaderSize(17));
    assert_eq!(header(&longer), Err(fault));
    for length in [0, 1, 15] {
        let wanted = (BootstrapErrorKind::Length(length), 0..4);
        assert_eq!(with(0, &length.to_ne_bytes()), wanted);
    }
    for length in [MAX_MESSAGE + 1, 0x7fff_ffff, 0xffff_fff0, 0xffff_ffff] {
        let length = u32::try_from(length).expect("32 bits");
        let wanted = (BootstrapErrorKind::TooLong(length), 0..4);
        assert_eq!(with(0, &length.to_ne_bytes()), wanted);
    }
    // NLMSG_ERROR, and neighbours.
    for kind in [0, 2, INIT_MSG - 1, INIT_MSG + 1, INIT_MSG.swap_bytes()] {
        assert_eq!(
            with(4, &kind.to_ne_bytes()),
            (BootstrapErrorKind::Type(kind), 4..6)
        );
    }
    for other in [0, 2, 5, 0x100] {
        assert_eq!(
            with(6, &u16::to_ne_bytes(other)),
            (BootstrapErrorKind::Flags(other), 6..8)
        );
    }
    assert_eq!(
        with(12, &1_u32.to_ne_bytes()),
        (BootstrapErrorKind::Port(1), 12..16)
    );
    let mut numbered = right.clone();
    numbered[8..12].copy_from_slice(&u32::MAX.to_ne_bytes());
    assert!(header(&numbered).is_ok());
}

#[test]
fn a_message_has_the_length_in_its_header() {
    for cut in HEADER..SAMPLE.len() {
        let truncated = BootstrapErrorKind::Truncated {
            announced: 152,
            end: cut,
        };
        assert_eq!(refused(&SAMPLE[..cut]), (truncated, cut..cut));
    }
    for more in 1..5 {
        let longer = [SAMPLE, &b"{\"ar"[..more]].concat();
        assert_eq!(
            refused(&longer),
            (BootstrapErrorKind::Trailing, 152..152 + more)
        );
    }
}

#[test]
fn the_flags_have_to_be_there() {
    let missing = BootstrapErrorKind::Missing(A::CloneFlags);
    assert_eq!(refused(&head(0)), (missing, 0..16));
    let other = framed(&[number(A::RootlessEuid, 0)]);
    assert_eq!(refused(&other), (missing, 0..24));
}

#[test]
fn lengths_of_attributes_stay_in_the_message() {
    let tail = |bytes: Vec<u8>| refused(&after_flags(0, &[bytes]));
    // nsexec.c loops forever on the first, and reads beyond the message on the
    // others.
    for length in 0..4 {
        let short = bare(length, A::OomScoreAdj.number(), &[0; 4]);
        assert_eq!(
            tail(short),
            (BootstrapErrorKind::AttributeLength(length), 24..26)
        );
    }
    for length in [9, 12, 4096, u16::MAX] {
        let long = bare(length, A::OomScoreAdj.number(), b"100\0");
        assert_eq!(tail(long), (BootstrapErrorKind::Overrun(length), 24..26));
    }
    for rest in 1..4 {
        let stray = BootstrapErrorKind::AttributeHeader;
        assert_eq!(tail(vec![0; rest]), (stray, 24..24 + rest));
    }
    // An attribute without a value, at the very end.
    let none = raw(A::CloneFlags.number(), b"");
    let size = BootstrapErrorKind::NumberSize(A::CloneFlags, 0);
    assert_eq!(refused(&framed(&[none])), (size, 20..20));
}

#[test]
fn padding_is_there_and_zero() {
    let score = A::OomScoreAdj.number();
    let tail = |bytes: Vec<u8>| refused(&after_flags(0, &[bytes]));
    assert!(decode(&after_flags(0, &[bare(7, score, b"10\0\0")])).is_ok());
    assert!(decode(&after_flags(0, &[bare(8, score, b"100\0")])).is_ok());
    assert_eq!(
        tail(bare(7, score, b"10\0")),
        (BootstrapErrorKind::Padding, 31..31)
    );
    assert_eq!(
        tail(bare(6, score, b"1\0\0")),
        (BootstrapErrorKind::Padding, 30..31)
    );
    assert_eq!(
        tail(bare(7, score, b"10\0\x01")),
        (BootstrapErrorKind::Padding, 31..32)
    );
    assert_eq!(
        tail(bare(5, score, b"\0\0\0\x01")),
        (BootstrapErrorKind::Padding, 29..32)
    );
    // Between two, as well as behind the last.
    let between = [bare(6, score, b"1\0\0x"), number(A::RootlessEuid, 0)];
    assert_eq!(
        refused(&after_flags(0, &between)),
        (BootstrapErrorKind::Padding, 30..32)
    );
}

#[test]
fn unknown_and_duplicate_attributes_are_errors() {
    let [first, .., last] = A::ALL.map(A::number);
    for kind in [0, 1, first - 1, last + 1, u16::MAX] {
        let unknown = raw(kind, b"\0");
        let wanted = (BootstrapErrorKind::Unknown(kind), 26..28);
        assert_eq!(refused(&after_flags(0, &[unknown])), wanted);
    }
    for attribute in A::ALL {
        let value = raw(attribute.number(), b"1234");
        let twice = [value.clone(), value];
        let wanted = (BootstrapErrorKind::Repeated(attribute), 24..32);
        assert_eq!(refused(&framed(&twice)), wanted);
    }
    // With the same value, too: CVE-2021-43784 brought a second CLONE_FLAGS.
    let again = after_flags(NEW_USER, &[flags(NEW_USER)]);
    assert_eq!(
        refused(&again).0,
        BootstrapErrorKind::Repeated(A::CloneFlags)
    );
    assert!(A::ALL.map(A::number).into_iter().eq(27_281..=last));
}

#[test]
fn numbers_have_four_bytes_and_flags_are_one_or_zero() {
    let numbers = A::ALL.into_iter();
    for attribute in numbers.filter(|attribute| attribute.form() == Form::Number) {
        for size in [0, 1, 3, 5, 8] {
            let value = raw(attribute.number(), &vec![0; size]);
            let wanted = BootstrapErrorKind::NumberSize(attribute, size);
            let whole = match attribute {
                A::CloneFlags => framed(&[number(A::RootlessEuid, 0), value]),
                _ => after_flags(0, &[value]),
            };
            assert_eq!(refused(&whole), (wanted, 28..28 + size));
        }
    }
    for attribute in [A::Setgroup, A::RootlessEuid] {
        // The second has a zero where a big-endian nsexec.c looks.
        for value in [2, 0x0100_0000, u32::MAX] {
            let whole = after_flags(0, &[number(attribute, value)]);
            assert_eq!(
                refused(&whole),
                (BootstrapErrorKind::Flag(attribute, value), 28..32)
            );
        }
        assert!(decode(&after_flags(0, &[number(attribute, 0)])).is_ok());
    }
    for bits in [1, 0x100, 0x8000, 0x8000_0000] {
        let whole = after_flags(NEW_NET | bits, &[]);
        assert_eq!(
            refused(&whole),
            (BootstrapErrorKind::CloneFlags(bits), 20..24)
        );
    }
}

#[test]
fn a_text_ends_with_its_only_nul() {
    let texts = A::ALL.into_iter();
    for attribute in texts.filter(|attribute| attribute.form() != Form::Number) {
        let tail = |value: &[u8]| refused(&after_flags(0, &[raw(attribute.number(), value)]));
        assert_eq!(tail(b""), (BootstrapErrorKind::NoNul(attribute), 28..28));
        assert_eq!(
            tail(b"abcd"),
            (BootstrapErrorKind::NoNul(attribute), 28..32)
        );
        // The NUL behind it is padding, which is not the text's.
        assert_eq!(tail(b"abc"), (BootstrapErrorKind::NoNul(attribute), 28..31));
        assert_eq!(
            tail(b"\0\0"),
            (BootstrapErrorKind::InnerNul(attribute), 28..29)
        );
        assert_eq!(
            tail(b"ab\0c\0"),
            (BootstrapErrorKind::InnerNul(attribute), 30..31)
        );
        assert_eq!(
            tail(b"abc\0\0"),
            (BootstrapErrorKind::InnerNul(attribute), 31..32)
        );
    }
}

/// Unit tests of each value cover its own errors; this test covers that they are
/// returned with their spans.
#[test]
fn a_wrong_value_is_placed_in_the_message() {
    for (attribute, value, reason, span) in [
        (
            A::NsPaths,
            "",
            BootstrapErrorKind::NsPaths(ns_paths::NsPathsErrorKind::Empty),
            28..28,
        ),
        (
            A::NsPaths,
            "net:/a,pid:b",
            BootstrapErrorKind::NsPaths(ns_paths::NsPathsErrorKind::Path),
            39..40,
        ),
        (
            A::UidMap,
            "",
            BootstrapErrorKind::IdMap(A::UidMap, id_map_lines::IdMapLinesErrorKind::Empty),
            28..28,
        ),
        (
            A::GidMap,
            "",
            BootstrapErrorKind::IdMap(A::GidMap, id_map_lines::IdMapLinesErrorKind::Empty),
            28..28,
        ),
        (
            A::OomScoreAdj,
            "1001",
            BootstrapErrorKind::OomScoreAdj(oom_score_adj::OomScoreAdjErrorKind::Number),
            28..32,
        ),
        (
            A::UidMapPath,
            "",
            BootstrapErrorKind::Tool(A::UidMapPath),
            28..28,
        ),
        (
            A::UidMapPath,
            "newuidmap",
            BootstrapErrorKind::Tool(A::UidMapPath),
            28..37,
        ),
        (
            A::GidMapPath,
            "bin/newgidmap",
            BootstrapErrorKind::Tool(A::GidMapPath),
            28..41,
        ),
        (
            A::TimeOffsets,
            "boottime 1 x\n",
            BootstrapErrorKind::TimeOffsets(time_offsets::TimeOffsetsErrorKind::Nanoseconds),
            39..40,
        ),
    ] {
        let whole = after_flags(NEW_USER | NEW_TIME, &[text(attribute, value)]);
        assert_eq!(refused(&whole), (reason, span), "{attribute:?} {value:?}");
    }
}

#[test]
fn a_request_that_cannot_be_carried_out_is_an_error() {
    let map = |attribute| text(attribute, "0 0 1\n");
    for (created, attributes, reason, span) in [
        (
            NEW_NET,
            vec![text(A::NsPaths, "pid:/p,net:/n")],
            BootstrapErrorKind::JoinedAndCreated(Namespace::Net),
            24..42,
        ),
        (
            NEW_NET,
            vec![map(A::UidMap)],
            BootstrapErrorKind::NotCreated(A::UidMap, Namespace::User),
            24..35,
        ),
        (
            0,
            vec![text(A::NsPaths, "user:/u"), map(A::GidMap)],
            BootstrapErrorKind::NotCreated(A::GidMap, Namespace::User),
            36..47,
        ),
        (
            NEW_USER,
            vec![text(A::TimeOffsets, "boottime 1 0\n")],
            BootstrapErrorKind::NotCreated(A::TimeOffsets, Namespace::Time),
            24..42,
        ),
        (
            NEW_USER,
            vec![text(A::UidMapPath, "/u"), map(A::GidMap)],
            BootstrapErrorKind::NoMap(A::UidMapPath, A::UidMap),
            24..31,
        ),
        (
            NEW_USER,
            vec![map(A::UidMap), text(A::GidMapPath, "/g")],
            BootstrapErrorKind::NoMap(A::GidMapPath, A::GidMap),
            36..43,
        ),
        (
            NEW_USER,
            vec![map(A::UidMap), number(A::Setgroup, 1)],
            BootstrapErrorKind::NoMap(A::Setgroup, A::GidMap),
            36..44,
        ),
    ] {
        let whole = after_flags(created, &attributes);
        assert_eq!(refused(&whole), (reason, span));
    }
}

/// CVE-2021-43784: the length of a text of 65,536 bytes or more wrapped around,
/// and the bytes behind it were read as attributes.
#[test]
fn a_text_never_becomes_an_attribute() {
    let smuggled = number(A::CloneFlags, 0);
    let mut value = vec![b'a'; 4];
    value.extend(&smuggled);
    value.resize(0x1_0008 - 4, b'a');
    let mut paths = bare(8, A::NsPaths.number(), &value);
    paths.resize(paths.len().next_multiple_of(4), 0);
    let whole = after_flags(NEW_USER, &[paths]);
    assert_eq!(
        refused(&whole).0,
        BootstrapErrorKind::TooLong(0x1_0008 + 24)
    );
    // The same message cut to the maximum length.
    let mut cut = whole[..4096].to_vec();
    cut[..4].copy_from_slice(&4096_u32.to_ne_bytes());
    assert_eq!(
        refused(&cut),
        (BootstrapErrorKind::Repeated(A::CloneFlags), 32..40)
    );
}

fn longest() -> Bootstrap {
    let path = format!("/{}", "p".repeat(MAX_PATH - 1));
    let entry = |namespace: Namespace| format!("{}:{path}", namespace.name());
    let joined: Vec<Namespace> = Namespace::ALL.to_vec();
    let list = joined.into_iter().map(entry).collect::<Vec<_>>().join(",");
    Bootstrap {
        join: ns_paths::parse(list.as_bytes()).expect("a list"),
        oom_score_adj: Some(-1000),
        rootless_euid: true,
        ..Bootstrap::default()
    }
}

#[test]
fn the_longest_message_fits_to_the_byte() {
    let whole = encode(&longest(), 1).expect("a message");
    assert!(whole.len() <= MAX_MESSAGE);

    // Joining everything leaves nothing to map: the bound is that of the framing.
    let lines: String = (0..340)
        .map(|id| format!("{id:>10} {id:>10} {:>10}\n", 1))
        .collect();
    assert_eq!(lines.len(), id_map_lines::MAX_BYTES);
    let path = format!("/{}", "p".repeat(MAX_PATH - 1));
    let offsets = "monotonic -4611686018 999999999\nboottime -4611686018 999999999\n";
    let list = ns_paths::print(&longest().join);
    let all = framed(&A::ALL.map(|attribute| match attribute {
        A::CloneFlags => flags(0x7e02_0080),
        A::NsPaths => text(attribute, std::str::from_utf8(&list).expect("ASCII")),
        A::UidMap | A::GidMap => text(attribute, &lines),
        A::OomScoreAdj => text(attribute, "-1000"),
        A::UidMapPath | A::GidMapPath => text(attribute, &path),
        A::TimeOffsets => text(attribute, offsets),
        other => number(other, 1),
    }));
    assert_eq!(all.len(), MAX_MESSAGE);
    assert_eq!(
        refused(&all).0,
        BootstrapErrorKind::JoinedAndCreated(Namespace::Cgroup)
    );
}

#[test]
fn the_runtime_s_end_sends_only_valid_messages() {
    let base = decode(SAMPLE).expect("a message");
    let path = |length: usize| CString::new(format!("/{}", "p".repeat(length - 1)));
    let mapping = |length| Mapping {
        map: id_map_lines::parse(b"0 0 1\n").expect("a map"),
        tool: Some(path(length).expect("no NUL")),
    };
    let user = BTreeSet::from([Namespace::User]);
    let reason = |change: &dyn Fn(&mut Bootstrap)| {
        let mut changed = base.clone();
        change(&mut changed);
        encode(&changed, 1)
            .expect_err("it should be refused")
            .reason
    };
    assert_eq!(
        reason(&|b| b.create = BTreeSet::from([Namespace::Pid])),
        BootstrapErrorKind::JoinedAndCreated(Namespace::Pid)
    );
    assert_eq!(
        reason(&|b| b.uid_map = Some(mapping(9))),
        BootstrapErrorKind::NotCreated(A::UidMap, Namespace::User)
    );
    assert_eq!(
        reason(&|b| b.setgroups = true),
        BootstrapErrorKind::NoMap(A::Setgroup, A::GidMap)
    );
    assert_eq!(
        reason(&|b| b.oom_score_adj = Some(1001)),
        BootstrapErrorKind::OomScoreAdj(oom_score_adj::OomScoreAdjErrorKind::Number)
    );
    assert_eq!(
        reason(&|b| b.join.extend(base.join.clone())),
        BootstrapErrorKind::NsPaths(ns_paths::NsPathsErrorKind::Repeated(Namespace::Ipc))
    );
    let with_tool = |b: &mut Bootstrap, length| {
        b.create.clone_from(&user);
        b.gid_map = Some(mapping(length));
    };
    assert_eq!(
        reason(&|b| with_tool(b, MAX_PATH + 1)),
        BootstrapErrorKind::Tool(A::GidMapPath)
    );
    // Lengths that 16 bits do not hold: 65,536 wraps around to none.
    for length in [65_531, 65_536 - 5, 65_536, 65_536 + 3] {
        assert_eq!(
            reason(&|b| with_tool(b, length)),
            BootstrapErrorKind::Unwritable(A::GidMapPath),
            "{length}"
        );
    }
    assert_eq!(
        reason(&|b| with_tool(b, 65_530)),
        BootstrapErrorKind::TooLong(65_700)
    );
}

#[test]
fn errors_have_a_hint() {
    for (whole, words) in [
        (
            SAMPLE[..100].to_vec(),
            "a message that ends after 100 bytes; its header announces 152 (at byte 100)"
                .to_owned(),
        ),
        (
            after_flags(0, &[raw(1, b"")]),
            format!(
                "an attribute of type 1; 27281 to {} are known (at byte 26)",
                A::ALL.map(A::number).into_iter().max().unwrap_or(0)
            ),
        ),
        (
            after_flags(0, &[text(A::UidMap, "0 0 1\n")]),
            "UIDMAP without a new user namespace in CLONE_FLAGS (at byte 24)".to_owned(),
        ),
        (
            after_flags(0, &[text(A::NsPaths, "net:a")]),
            "NS_PATHS: the path is not absolute, or is longer than 4095 bytes (at byte 32)"
                .to_owned(),
        ),
    ] {
        let fault = decode(&whole).expect_err("it should be refused");
        assert_eq!(fault.to_string(), words);
    }
}
