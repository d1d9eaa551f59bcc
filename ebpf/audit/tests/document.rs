//! Compares docs/audit.md with the code: rules, classes and options.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_audit::cli;
use nsexec_audit::model::event::Class;
use nsexec_audit::rules::RULES;

const DOCUMENT: &str = include_str!("../../../docs/audit.md");

/// The first `columns` cells of each row of the table with this header.
fn table(head: &str, columns: usize) -> Vec<Vec<String>> {
    let (_, rest) = DOCUMENT
        .split_once(&format!("\n{head}\n"))
        .unwrap_or_else(|| panic!("no {head:?}"));
    let rows = rest
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    let cells = |row: &str| {
        let cells = row.split('|').skip(1).take(columns);
        cells
            .map(|cell| cell.trim().trim_matches('`').to_owned())
            .collect()
    };
    rows.map(cells).collect()
}

#[test]
fn the_rules_are_those_of_the_document() {
    let rules = RULES.map(|rule| {
        let severity = rule.severity.name().to_owned();
        [rule.name.to_owned(), severity, rule.mitre.to_owned()]
    });
    assert_eq!(table("| rule | severity | MITRE | fires when |", 3), rules);
}

#[test]
fn the_classes_are_those_of_the_document() {
    let classes = Class::ALL.iter().map(|class| [class.name(), class.kind()]);
    let classes: Vec<_> = classes.collect();
    assert_eq!(table("| class | kind | when |", 2), classes);
}

#[test]
fn every_option_is_documented() {
    let mut command = cli::command();
    command.build();
    for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
        let long = arg.get_long().unwrap();
        let option = format!("--{long}");
        let is_there = DOCUMENT.match_indices(&option).any(|(at, _)| {
            let after = DOCUMENT.get(at + option.len()..).unwrap().chars().next();
            after.is_some_and(|c| !c.is_alphanumeric() && c != '-')
        });
        let is_general = ["help", "version"].contains(&long);
        assert!(is_there || is_general, "{option}");
    }
}
