//! Compares docs/event-abi.md with the code: every offset, size, number and name.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fmt::Write as _;

use nsexec_audit_abi::VERSION;
use nsexec_audit_abi::code::{Abi, EventFlags, Hook, Kind, Source, Syscall};
use nsexec_audit_abi::counters::{Counters, Position};
use nsexec_audit_abi::parts::{
    Call, Header, NamespaceSet, SLOT_NAMES, Target, Task, TaskId, Text, UserNamespace,
};
use nsexec_audit_abi::record::{ARGUMENT_BYTES, Exec, Exit, Fork, Namespace, PATH_BYTES, Snapshot};

const DOCUMENT: &str = include_str!("../../../docs/event-abi.md");

/// The first `columns` cells of each row of the first table below a heading, one line per
/// row, without the table's header.
fn table(heading: &str, columns: usize) -> String {
    let start = format!("\n### {heading}\n");
    let (_, rest) = DOCUMENT
        .split_once(&start)
        .unwrap_or_else(|| panic!("no {start:?}"));
    let section = rest.split("\n#").next().unwrap();
    let is_row = |line: &&str| line.starts_with('|');
    let lines = section.lines().skip_while(|line| !is_row(line));
    let rows = lines.take_while(is_row).skip(2);
    let cells = |row: &str| -> Vec<String> {
        let cells = row.split('|').skip(1).take(columns);
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    rows.map(|row| cells(row).join(" ") + "\n").collect()
}

/// Compares the table of a structure with its fields. The structure asserts that the sizes
/// of its fields add up to its own.
macro_rules! laid_out {
    ($($name:ident)+) => {$({
        let mut layout = String::new();
        for (field, offset, size) in $name::FIELDS {
            writeln!(layout, "{offset} {size} {field}").unwrap();
        }
        let whole = size_of::<$name>();
        let heading = format!("`{}`, {whole} bytes", stringify!($name));
        assert_eq!(table(&heading, 3), layout, "{heading}");
    })+};
}

#[test]
fn every_structure_matches_the_document() {
    laid_out!(Header Namespace Fork Exec Exit Snapshot Task TaskId NamespaceSet UserNamespace
        Call Target Position Counters);
    type Path = Text<PATH_BYTES>;
    let text = [
        (core::mem::offset_of!(Path, length), "2 length"),
        (core::mem::offset_of!(Path, cut), "1 cut"),
        (core::mem::offset_of!(Path, reserved), "1 reserved"),
        (core::mem::offset_of!(Path, bytes), "N bytes"),
    ];
    let text: String = text.map(|(at, rest)| format!("{at} {rest}\n")).concat();
    assert_eq!(table("`Text`", 3), text);
    assert!(DOCUMENT.contains(&format!(
        "{PATH_BYTES} of a path, {ARGUMENT_BYTES} of arguments"
    )));
}

#[test]
fn every_documented_structure_is_compared_with_the_code() {
    let structures = DOCUMENT.matches("\n| offset | size | field |").count();
    // Fourteen structures with fields, and the text.
    assert_eq!(structures, 15);
}

#[test]
fn every_code_has_the_documented_name() {
    fn rows<T: Copy>(all: &[T], of: impl Fn(T) -> (u8, &'static str)) -> String {
        let rows = all.iter().map(|one| of(*one));
        rows.map(|(number, name)| format!("{number} {name}\n"))
            .collect()
    }
    let codes = [
        ("Kinds", rows(Kind::ALL, |one| (one.code(), one.name()))),
        ("Hooks", rows(Hook::ALL, |one| (one.code(), one.name()))),
        ("Calls", rows(Syscall::ALL, |one| (one.code(), one.name()))),
        (
            "Tables of system calls",
            rows(Abi::ALL, |one| (one.code(), one.name())),
        ),
        (
            "Descriptors",
            rows(Source::ALL, |one| (one.code(), one.name())),
        ),
    ];
    for (heading, expected) in codes {
        assert_eq!(table(heading, 2), expected, "{heading}");
    }
    let bits = [1, 2, 4].into_iter().zip(EventFlags::ALL);
    let notes: String = bits
        .map(|(bit, (_, name))| format!("{bit} {name}\n"))
        .collect();
    assert_eq!(table("Event flags", 2), notes);
    let writes = |hook: &Hook| hook.writes().map_or("nothing", Kind::name);
    for (row, hook) in table("Hooks", 3).lines().zip(Hook::ALL) {
        assert!(row.contains(writes(hook)), "{row}");
    }
}

#[test]
fn the_document_is_of_this_version() {
    assert!(DOCUMENT.contains(&format!("This page is of version {VERSION}.")));
    assert!(
        table(&format!("`Header`, {} bytes", size_of::<Header>()), 4)
            .starts_with(&format!("0 2 version {VERSION}\n"))
    );
    assert!(DOCUMENT.contains(&format!("in this order: {}.", SLOT_NAMES.join(", "))));
}
