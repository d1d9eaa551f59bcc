use super::*;

use std::collections::BTreeSet;
use std::ffi::CString;

use crate::ns_paths::NamespacePath;
use crate::time_offsets::TimeOffsets;
use crate::{id_map_lines, ns_paths, time_offsets};
use nsexec_request::Namespace;
use proptest::prelude::*;

fn decode(whole: &[u8]) -> Result<Bootstrap, Fault<BootstrapErrorKind>> {
    let (head, payload) = whole
        .split_at_checked(HEADER)
        .unwrap_or((whole, Default::default()));
    message(header(head)?, payload)
}

fn join(types: Vec<Namespace>) -> impl Strategy<Value = Vec<NamespacePath>> {
    let path = "/[ -+./-~]{0,20}";
    proptest::collection::vec(path, types.len()).prop_map(move |paths| {
        let entry = |(namespace, path): (&Namespace, String)| {
            ns_paths::parse(format!("{}:{path}", namespace.name()).as_bytes())
        };
        let entries = types.iter().zip(paths).map(entry);
        entries.flat_map(|list| list.expect("a path")).collect()
    })
}

/// For each type: joined, created, or neither.
fn namespaces() -> impl Strategy<Value = (BTreeSet<Namespace>, Vec<NamespacePath>)> {
    let fates = proptest::collection::vec(0..3, Namespace::ALL.len());
    (fates, Just(Namespace::ALL.to_vec()).prop_shuffle()).prop_flat_map(|(fates, types)| {
        let of = |wanted: i32| {
            let all = types.iter().zip(&fates);
            all.filter(move |(_, fate)| **fate == wanted)
                .map(|(namespace, _)| *namespace)
        };
        (Just(of(0).collect()), join(of(1).collect()))
    })
}

fn mapping() -> impl Strategy<Value = Option<Mapping>> {
    let lines = (1_u32..30, 0_u32..1000, 1_u32..100).prop_map(|(count, first, length)| {
        let line = |n: u32| format!("{} {} {length}\n", n * length, first + n * length);
        let text: String = (0..count).map(line).collect();
        id_map_lines::parse(text.as_bytes()).expect("a map")
    });
    let tool = proptest::option::of("/[a-z/]{0,12}");
    let tool = tool.prop_map(|path| path.map(|path| CString::new(path).expect("no NUL")));
    proptest::option::of((lines, tool).prop_map(|(map, tool)| Mapping { map, tool }))
}

fn offsets() -> impl Strategy<Value = Option<TimeOffsets>> {
    let seconds = -time_offsets::MAX_SECONDS..=time_offsets::MAX_SECONDS;
    let lines = (seconds, 0..1_000_000_000, 0..3).prop_map(|(seconds, nanoseconds, which)| {
        let line = |clock| format!("{clock} {seconds} {nanoseconds}\n");
        let text = match which {
            0 => line("monotonic"),
            1 => line("boottime"),
            _ => line("monotonic") + &line("boottime"),
        };
        time_offsets::parse(text.as_bytes()).expect("offsets")
    });
    proptest::option::of(lines)
}

prop_compose! {
    fn bootstrap()(
        (create, join) in namespaces(),
        uid_map in mapping(), gid_map in mapping(), time_offsets in offsets(),
        setgroups: bool, rootless_euid: bool,
        oom_score_adj in proptest::option::of(-1000_i16..=1000),
    ) -> Bootstrap {
        let user = create.contains(&Namespace::User);
        let gid_map = gid_map.filter(|_| user);
        Bootstrap {
            setgroups: setgroups && gid_map.is_some(),
            uid_map: uid_map.filter(|_| user),
            gid_map,
            time_offsets: time_offsets.filter(|_| create.contains(&Namespace::Time)),
            create,
            join,
            oom_score_adj,
            rootless_euid,
        }
    }
}

proptest! {
    #[test]
    fn an_encoded_request_decodes_to_the_same(meant in bootstrap(), sequence: u32) {
        let whole = encode(&meant, sequence).expect("a message");
        prop_assert!(whole.len() <= MAX_MESSAGE && whole.len().is_multiple_of(4));
        prop_assert_eq!(decode(&whole), Ok(meant));
    }

    #[test]
    fn no_byte_is_without_meaning(
        meant in bootstrap(), sequence: u32, place: proptest::sample::Index, bit in 0_u8..8,
    ) {
        // A false flag is the same as an absent one.
        let meant = Bootstrap { rootless_euid: true, ..meant };
        let mut whole = encode(&meant, sequence).expect("a message");
        let at = place.index(whole.len());
        whole[at] ^= 1_u8 << bit;
        if let Ok(other) = decode(&whole) {
            // Only the sequence number is not part of the request.
            prop_assert_eq!(other == meant, (8..12).contains(&at));
        }
    }

    #[test]
    fn any_bytes_are_a_meaning_or_a_fault_within_them(
        meant in bootstrap(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
        cut: proptest::sample::Index,
    ) {
        let mut whole = encode(&meant, 1).expect("a message");
        for (place, byte) in changes {
            let at = place.index(whole.len());
            whole[at] = byte;
        }
        whole.truncate(cut.index(whole.len() + 1));
        match decode(&whole) {
            Ok(read) => prop_assert_eq!(decode(&encode(&read, 9).expect("a message")), Ok(read)),
            Err(fault) => prop_assert!(whole.get(fault.span).is_some()),
        }
    }

    #[test]
    fn any_payload_is_a_meaning_or_a_fault_within_it(payload: Vec<u8>) {
        let header = Header { payload: payload.len() };
        if let Err(fault) = message(header, &payload) {
            prop_assert!(fault.span.end <= HEADER + payload.len());
        }
    }
}
