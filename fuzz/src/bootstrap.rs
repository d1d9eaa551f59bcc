//! Protocol B: the bootstrap message, its values, and the log lines.

use std::collections::BTreeSet;
use std::ffi::CStr;

use nsexec_protocol::log_line::{BootstrapStage, Level, Line, MAX_LINE};
use nsexec_protocol::netlink::{self, Attribute, Bootstrap, BootstrapErrorKind, HEADER};
use nsexec_protocol::{id_map_lines as maps, ns_paths as paths, time_offsets as offsets};
use nsexec_request::Pid;

/// A bootstrap message: the input as it is, and as a script of attributes that
/// are framed for it.
pub fn netlink(input: &[u8]) {
    whole_message(input);
    let payload = script(input);
    let length = u32::try_from(HEADER + payload.len()).unwrap_or(u32::MAX);
    let mut whole = length.to_ne_bytes().to_vec();
    whole.extend(netlink::INIT_MSG.to_ne_bytes());
    whole.extend([1_u16.to_ne_bytes(), [0; 2], [0; 2], [0; 2], [0; 2]].concat());
    whole.extend(payload);
    whole_message(&whole);
}

fn decode(whole: &[u8]) -> Result<Bootstrap, nsexec_text::Fault<BootstrapErrorKind>> {
    let (head, payload) = whole.split_at(HEADER.min(whole.len()));
    netlink::message(netlink::header(head)?, payload)
}

fn whole_message(whole: &[u8]) {
    let read = match decode(whole) {
        Ok(read) => read,
        Err(fault) => {
            assert!(fault.span.end <= whole.len(), "{fault}");
            return;
        }
    };
    assert!(whole.len() <= netlink::MAX_MESSAGE);
    let reason = |other: &[u8]| decode(other).err().map(|fault| fault.reason);
    let less = whole.split_last().map_or(whole, |(_, less)| less);
    let less = reason(less);
    assert!(
        matches!(less, Some(BootstrapErrorKind::Truncated { .. })),
        "{less:?}"
    );
    let more = [whole, b"\0"].concat();
    assert_eq!(reason(&more), Some(BootstrapErrorKind::Trailing));
    assert!(read.join.iter().all(|entry| absolute(&entry.path)));
    for entry in &read.join {
        assert!(!read.create.contains(&entry.namespace));
    }
    for mapping in read.uid_map.iter().chain(&read.gid_map) {
        assert!(!mapping.map.ranges().is_empty());
        assert!(mapping.tool.iter().all(|tool| absolute(tool)));
    }
    let printed = netlink::encode(&read, 1).expect("what was read can be written");
    assert_eq!(decode(&printed), Ok(read));
}

fn absolute(path: &CStr) -> bool {
    path.to_bytes().starts_with(b"/") && path.count_bytes() <= 4095
}

/// Entries with `;` between them: the digit of an attribute, how it is written,
/// and its value.
///
/// `"` ends the value with a NUL, `#` does not; `!` pads it with something else
/// than zeros, `=` not at all; `0`, `<` and `>` give it no length, one that is
/// too short and one that is too long.
fn script(input: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    for entry in input.split(|byte| *byte == b';') {
        let [digit, how, value @ ..] = entry else {
            continue;
        };
        let nul: &[u8] = if *how == b'"' { b"\0" } else { b"" };
        let value = [value, nul].concat();
        let known = usize::from(digit.wrapping_sub(b'0'));
        let kind = Attribute::ALL.get(known).map_or(1, |known| known.number());
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        let length = match how {
            b'0' => 0,
            b'<' => 3,
            b'>' => length.saturating_add(8),
            _ => length,
        };
        payload.extend(length.to_ne_bytes());
        payload.extend(kind.to_ne_bytes());
        payload.extend(value);
        let aligned = payload.len().next_multiple_of(4);
        match how {
            b'=' => {}
            b'!' => payload.resize(aligned, 0xff),
            _ => payload.resize(aligned, 0),
        }
    }
    payload
}

/// A level, a writer, and a message in two pieces.
pub fn log_escape(input: &[u8]) {
    let [level, stage, message @ ..] = input else {
        return;
    };
    let level = Level::ALL[usize::from(level % 7)];
    let stage = match stage % 4 {
        0 => BootstrapStage::Setup,
        1 => BootstrapStage::Parent,
        2 => BootstrapStage::Child,
        _ => BootstrapStage::Init,
    };
    let pid = Pid::new(4711).expect("positive");
    let mut buffer = [0; MAX_LINE];
    let mut line = Line::begin(&mut buffer, level, stage, pid);
    line.push(message);
    let written = line.finish();
    assert!(written.len() <= MAX_LINE);

    let (first, second) = message.split_at(message.len() / 2);
    let mut other = [0xff; MAX_LINE];
    let mut pieces = Line::begin(&mut other, level, stage, pid);
    pieces.push(first);
    pieces.push(second);
    assert_eq!(pieces.finish(), written);

    let text = written.strip_suffix(b"\n").expect("a line");
    assert!(!text.iter().any(|byte| *byte < b' ' || *byte == 0x7f));
    let text = String::from_utf8_lossy(text);
    let read: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&text).expect("JSON");
    assert_eq!(read.len(), 2);
    assert_eq!(read.get("level"), Some(&level.name().into()));
    let who = format!("{}[{pid}]: ", stage.tag());
    let read = read.get("msg").and_then(serde_json::Value::as_str);
    let read = read.and_then(|message| message.strip_prefix(&who));
    let read = read.expect("a message by its writer");

    let message = message.split(|byte| *byte == 0).next().unwrap_or_default();
    match std::str::from_utf8(message) {
        // Six bytes is the longest escape.
        Ok(message) if message.len() * 6 < MAX_LINE - 100 => assert_eq!(read, message),
        Ok(message) => assert!(message.starts_with(read)),
        Err(_) => {}
    }
}

/// A list of namespaces.
pub fn ns_paths(input: &[u8]) {
    match paths::parse(input) {
        Ok(list) => {
            let types: BTreeSet<_> = list.iter().map(|entry| entry.namespace).collect();
            assert!(!list.is_empty() && types.len() == list.len());
            assert!(input.len() <= paths::MAX_BYTES);
            assert!(list.iter().all(|entry| absolute(&entry.path)));
            assert_eq!(
                paths::print(&list),
                input,
                "there is one way to write a list"
            );
        }
        Err(fault) => assert!(fault.span.end <= input.len()),
    }
}

/// The lines of an id map.
pub fn id_map_lines(input: &[u8]) {
    match maps::parse(input) {
        Ok(map) => {
            let printed = maps::print(&map);
            assert!(printed.len() <= input.len() && input.len() <= maps::MAX_BYTES);
            assert!(!map.ranges().is_empty());
            assert_eq!(maps::parse(printed.as_bytes()), Ok(map));
        }
        Err(fault) => assert!(fault.span.end <= input.len()),
    }
}

/// The lines of time offsets.
pub fn time_offsets(input: &[u8]) {
    match offsets::parse(input) {
        Ok(read) => {
            let printed = read.to_string();
            assert_eq!(printed.len(), input.len(), "only the order may differ");
            assert!(input.len() <= offsets::MAX_BYTES);
            assert!(read.monotonic.is_some() || read.boottime.is_some());
            assert_eq!(offsets::parse(printed.as_bytes()), Ok(read));
        }
        Err(fault) => assert!(fault.span.end <= input.len()),
    }
}
