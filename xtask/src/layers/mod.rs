//! `cargo xtask layers`: checks that dependencies between crates and between
//! modules have one direction.
//!
//! A crate may depend only on crates listed before it in [`CRATES`]. Modules
//! with the same parent must not use each other in a cycle. A module may use the
//! items of its parent module, and tests may use anything.

mod cycle;
mod manifest;
mod uses;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::Path;

use crate::{cargo, no_arguments};

/// Every crate of the repository, by its directory. Each depends only on those above
/// it; crates of one row do not depend on each other.
const CRATES: &[&[&str]] = &[
    &["crates/text", "ebpf/abi"],
    &["crates/kernel-text", "ebpf/probes"],
    &["crates/policy", "crates/request"],
    &[
        "crates/shipped-policies",
        "crates/command-line",
        "crates/protocol",
    ],
    &["tests/support"],
    &[".", "nsexec-policy", "ebpf/audit"],
    &["capi", "oracle", "manual", "fuzz"],
    &["xtask"],
];

pub(crate) fn run(arguments: &[OsString]) -> io::Result<()> {
    no_arguments(arguments)?;
    check()
}

/// # Errors
/// One line for each dependency on a row that is not earlier, and one for each cycle of modules.
pub(crate) fn check() -> io::Result<()> {
    let root = cargo::root();
    let mut wrong = manifest::wrong_dependencies(&root, CRATES)?;
    let crates = CRATES.iter().map(|row| row.len()).sum::<usize>();
    wrong.extend(paths(&root)?);
    let mut modules = 0;
    for directory in CRATES.iter().copied().flatten() {
        let graphs = uses::graphs(&root.join(directory).join("src"))?;
        for (parent, graph) in graphs {
            modules += graph.len();
            wrong.extend(cycle::find(&graph).map(|circle| {
                let arrows: Vec<String> = circle.iter().map(|arrow| shown(&graph, arrow)).collect();
                format!("{directory}, in {parent}: {}", arrows.join("; "))
            }));
        }
    }
    if wrong.is_empty() {
        println!(
            "{crates} crates and {modules} modules: each crate depends only on earlier rows, and no \
             modules form a cycle"
        );
        return Ok(());
    }
    Err(io::Error::other(wrong.join("\n")))
}

/// The file that is compiled into the program and not into the library.
const ENTRY: &str = "src/main.rs";

/// One line for each file that names a module's file by `#[path]`: it is compiled twice.
fn paths(root: &Path) -> io::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for file in cargo::files(root, "rs")? {
        let shown = file.strip_prefix(root).unwrap_or(&file).display();
        let text = std::fs::read_to_string(&file)?;
        let names_a_file = text.lines().any(|line| line.trim().starts_with("#[path"));
        if names_a_file && file != root.join(ENTRY) {
            wrong.push(format!(
                "{shown} has #[path]: put what two programs share into a crate"
            ));
        }
    }
    Ok(wrong)
}

/// The modules below one parent: for each, the siblings that it uses, and where.
type Graph = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// `a uses b (file:line)`, with the first place.
fn shown(graph: &Graph, (from, to): &(String, String)) -> String {
    let place = graph
        .get(from)
        .and_then(|uses| uses.get(to))
        .and_then(|places| places.first());
    format!("{from} uses {to} ({})", place.map_or("", String::as_str))
}
