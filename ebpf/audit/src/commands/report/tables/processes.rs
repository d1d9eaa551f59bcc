//! Processes and namespaces.

use super::{MAX_ROWS, Table};
use crate::commands::report::describe;
use crate::commands::report::events::{Process, Seen};
use crate::commands::report::history::History;
use crate::commands::report::html;
use crate::model::event::Class;
use crate::model::namespaces::NamespaceType;

/// The maximum number of processes that are listed to have joined a namespace.
const MAX_JOINED: usize = 12;

/// The calls of each process, by type of namespace.
pub(in crate::commands::report) struct Matrix<'a> {
    /// The types that were used, each of which is a column.
    pub types: Vec<&'static str>,
    pub table: Table<MatrixRow<'a>>,
}

pub(in crate::commands::report) struct MatrixRow<'a> {
    pub process: &'a Process,
    /// By type, and by class within.
    pub cells: Vec<Vec<Calls>>,
    pub calls: String,
}

/// Calls of one class and type of namespace.
pub(in crate::commands::report) struct Calls {
    pub class: &'static str,
    pub count: u64,
    pub printed: String,
}

pub(in crate::commands::report) fn matrix(history: &History) -> Matrix<'_> {
    let mut rows: Vec<&Process> = history
        .processes
        .iter()
        .filter(|one| one.calls > 0)
        .collect();
    if rows.len() > MAX_ROWS {
        rows.sort_by_key(|one| std::cmp::Reverse((one.alert, one.calls)));
    }
    let used: Vec<NamespaceType> = NamespaceType::ALL
        .iter()
        .copied()
        .filter(|one| {
            rows.iter()
                .any(|row| row.did.keys().any(|(_, of)| of == one))
        })
        .collect();
    let rows = rows.into_iter().map(|process| MatrixRow {
        process,
        cells: used.iter().map(|one| calls(process, *one)).collect(),
        calls: html::number(process.calls),
    });
    Matrix {
        table: Table::of(rows),
        types: used.iter().map(|one| one.name()).collect(),
    }
}

fn calls(process: &Process, kind: NamespaceType) -> Vec<Calls> {
    let classes = Class::ALL.iter().filter_map(|class| {
        let count = *process.did.get(&(*class, kind))?;
        Some(Calls {
            class: class.name(),
            count,
            printed: html::number(count),
        })
    });
    classes.collect()
}

/// A namespace that was made, joined or left.
pub(in crate::commands::report) struct NamespaceRow {
    pub kind: &'static str,
    pub id: String,
    pub is_host: bool,
    pub made_by: Option<String>,
    /// The first of the processes that joined it.
    pub joined: Vec<Joined>,
    /// The number of the others.
    pub more: usize,
    pub left: String,
}

pub(in crate::commands::report) struct Joined {
    pub process: String,
    /// How often, if more than once.
    pub times: Option<String>,
}

pub(in crate::commands::report) fn namespaces(history: &History) -> Table<NamespaceRow> {
    let rows = history.namespaces.iter().map(|((kind, id), seen)| {
        let made_by = seen.made_by.map(|process| named(history, process));
        NamespaceRow {
            kind: kind.name(),
            id: describe::namespace(*id),
            is_host: seen.is_host,
            made_by,
            joined: joined(history, seen),
            more: seen.joined.len().saturating_sub(MAX_JOINED),
            left: html::number(seen.left),
        }
    });
    Table::of(rows)
}

fn joined(history: &History, seen: &Seen) -> Vec<Joined> {
    let joined = seen.joined.iter().take(MAX_JOINED);
    let joined = joined.map(|(process, count)| Joined {
        process: named(history, *process),
        times: (*count > 1).then(|| html::number(*count)),
    });
    joined.collect()
}

fn named(history: &History, process: usize) -> String {
    let process = history.processes.get(process);
    process.map(describe::process).unwrap_or_default()
}
