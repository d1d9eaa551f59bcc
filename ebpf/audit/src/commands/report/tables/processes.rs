//! Processes and namespaces.

use std::fmt::{self, Write as _};

use super::{MAX_ROWS, foot, head, owner, symbol, write_process};
use crate::commands::report::describe;
use crate::commands::report::events::Process;
use crate::commands::report::history::History;
use crate::commands::report::html::{self, Text};
use crate::model::event::Class;
use crate::model::namespaces::NamespaceType;

/// The calls of each process, by type of namespace.
pub(in crate::commands::report) fn matrix(out: &mut String, history: &History) -> fmt::Result {
    let mut rows: Vec<&Process> = history
        .processes
        .iter()
        .filter(|one| one.calls > 0)
        .collect();
    if rows.is_empty() {
        return out.write_str("<p class=\"none\">No process changed namespaces or tried to.</p>\n");
    }
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
    let mut columns = vec!["Process"];
    columns.extend(used.iter().map(|one| one.name()));
    columns.push("#Calls");
    head(out, "matrix", &columns)?;
    for process in rows.iter().take(MAX_ROWS) {
        write!(out, "<tr{}>", owner(Some(process)))?;
        write_process(out, Some(process), None)?;
        for one in &used {
            out.write_str("<td class=\"x\">")?;
            for class in Class::ALL {
                if let Some(count) = process.did.get(&(*class, *one)) {
                    let class = class.name();
                    write!(
                        out,
                        "<span class=\"c c-{class}\" title=\"{class}: {count}\">{}{}</span> ",
                        symbol(class),
                        html::number(*count)
                    )?;
                }
            }
            out.write_str("</td>")?;
        }
        writeln!(
            out,
            "<td class=\"n\">{}</td></tr>",
            html::number(process.calls)
        )?;
    }
    foot(out, rows.len())
}

/// Every namespace that was made, joined or left.
pub(in crate::commands::report) fn namespaces(out: &mut String, history: &History) -> fmt::Result {
    if history.namespaces.is_empty() {
        return Ok(());
    }
    out.write_str("<h3>Namespaces</h3>\n")?;
    head(
        out,
        "namespaces",
        &["Type", "Namespace", "Made by", "Joined by", "#Left"],
    )?;
    let name = |number: &usize| {
        let process = history.processes.get(*number);
        process.map(describe::process).unwrap_or_default()
    };
    for ((kind, id), seen) in history.namespaces.iter().take(MAX_ROWS) {
        write!(
            out,
            "<tr><td class=\"k\">{}</td><td class=\"k\">{}",
            kind.name(),
            Text(&describe::namespace(*id))
        )?;
        if seen.is_host {
            out.write_str(" <span class=\"box host\">host</span>")?;
        }
        let made_by = seen.made_by.as_ref().map_or("–".to_owned(), name);
        let made_by = if seen.made_by.is_some() {
            Text(&made_by).to_string()
        } else {
            made_by
        };
        write!(out, "</td><td>{made_by}</td><td>")?;
        for (at, (process, count)) in seen.joined.iter().enumerate().take(12) {
            let comma = if at > 0 { ", " } else { "" };
            write!(out, "{comma}{}", Text(&name(process)))?;
            if *count > 1 {
                write!(out, " × {}", html::number(*count))?;
            }
        }
        match seen.joined.len() {
            0 => out.write_str("–")?,
            count @ 13.. => write!(out, " and {} more", count - 12)?,
            _ => {}
        }
        writeln!(
            out,
            "</td><td class=\"n\">{}</td></tr>",
            html::number(seen.left)
        )?;
    }
    foot(out, history.namespaces.len())
}
