//! `cargo xtask codegen`: compares the tables of system calls with kernel
//! headers.
//!
//! A table may contain calls of kernels newer than the installed headers, and
//! keeps them. Calls that a table lacks are added; a contradiction is an error
//! for a person to resolve.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::setup::{self, Tool};
use crate::{cargo, text};

mod header;
mod table;

use table::Table;

struct Arch {
    name: &'static str,
    header: Tool,
    wants: &'static [&'static str],
}

const ARCHES: [Arch; 4] = [
    Arch {
        name: "x86_64",
        header: setup::UNISTD_X86_64,
        wants: &[],
    },
    Arch {
        name: "aarch64",
        header: setup::UNISTD_GENERIC,
        wants: header::ARM64_WANTS,
    },
    Arch {
        name: "i386",
        header: setup::UNISTD_I386,
        wants: &[],
    },
    // The calls private to Arm have no __NR_*: oracle/tests/agreement.rs compares them with
    // libseccomp.
    Arch {
        name: "arm",
        header: setup::UNISTD_ARM,
        wants: header::ARM_WANTS,
    },
];

pub(crate) fn run(arguments: &[OsString]) -> io::Result<()> {
    match arguments {
        [] => all(Missing::Added),
        [one] if one == "--check" => check(),
        _ => Err(io::Error::other(format!(
            "unexpected arguments {arguments:?}; usage: [--check]"
        ))),
    }
}

/// Checks that the tables contain all calls of the headers.
pub(crate) fn check() -> io::Result<()> {
    all(Missing::Wrong)
}

/// A call that a table lacks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Added,
    Wrong,
}

fn all(missing: Missing) -> io::Result<()> {
    setup::tools(&[
        setup::GCC,
        setup::UNISTD_ARM,
        setup::UNISTD_GENERIC,
        setup::UNISTD_X86_64,
    ])?;
    let (mut rows, mut wrong, mut read) = (Vec::new(), Vec::new(), false);
    let mut unified = load(UNIFIED)?;
    let mut own = Vec::new();
    for arch in ARCHES {
        let mut table = load(arch.name)?;
        let header = Path::new(arch.header.program);
        if header.exists() {
            read = true;
            let compared = table
                .with(&unified)
                .compare(&header::calls(header, arch.wants)?);
            let adds = missing == Missing::Added && compared.wrong.is_empty();
            let word = if adds { "added" } else { "lacking" };
            rows.push([
                arch.name.to_owned(),
                format!("{} calls as in {}", compared.same, header.display()),
                format!("{} {word}", compared.missing.len()),
                format!("{} that it is too old for", compared.newer),
            ]);
            let faults = compared.wrong.iter();
            wrong.extend(faults.map(|fault| format!("{}: {fault}", arch.name)));
            if missing == Missing::Wrong {
                wrong.extend(compared.missing.iter().map(|(name, number)| {
                    format!(
                        "{}: the table lacks {name}, {number}; cargo xtask codegen adds it",
                        arch.name
                    )
                }));
            } else if adds {
                table.add(compared.missing);
            }
        } else {
            println!("left out: {}: {} is missing", arch.name, header.display());
        }
        own.push(table);
    }
    print!("{}", text::aligned(&rows));
    if !read {
        return Err(io::Error::other("no header is there: nothing was compared"));
    }
    let shared = Table::shared(&own);
    if missing == Missing::Wrong {
        wrong.extend(shared.keys().map(|name| {
            format!("{name} is in each table; cargo xtask codegen moves it to {UNIFIED}.rs")
        }));
    } else if wrong.is_empty() {
        for (arch, table) in ARCHES.iter().zip(&mut own) {
            table.remove(&shared);
            std::fs::write(path(arch.name), table.text())?;
        }
        unified.add(shared);
        std::fs::write(path(UNIFIED), unified.text())?;
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(io::Error::other(wrong.join("\n")))
    }
}

/// The table of the calls that all architectures share.
const UNIFIED: &str = "unified";

fn path(table: &str) -> PathBuf {
    cargo::root().join(format!("crates/policy/src/seccomp/table/{table}.rs"))
}

fn load(table: &str) -> io::Result<Table> {
    let file = path(table);
    let text = std::fs::read_to_string(&file)?;
    Table::parse(&text).map_err(|fault| io::Error::other(format!("{}: {fault}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_the_tree_are_read_and_written_as_they_are() {
        for name in ARCHES.iter().map(|arch| arch.name).chain([UNIFIED]) {
            let text = std::fs::read_to_string(path(name)).expect("a file");
            assert_eq!(load(name).expect("a table").text(), text, "{name}");
        }
    }

    #[test]
    fn other_arguments_are_errors() {
        for wrong in [&["--chek"][..], &["--check", "--check"], &["x"]] {
            let wrong: Vec<OsString> = wrong.iter().map(Into::into).collect();
            assert!(run(&wrong).is_err(), "{wrong:?}");
        }
    }
}
