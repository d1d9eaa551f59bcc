//! `cargo xtask codegen`: compares the tables of system calls with kernel
//! headers.
//!
//! A table may contain calls of kernels newer than the installed headers, and
//! keeps them. Calls that a table lacks are added; a contradiction is an error
//! for a person to resolve.

use std::ffi::OsString;
use std::io;
use std::path::Path;

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
    for arch in ARCHES {
        let header = Path::new(arch.header.program);
        if !header.exists() {
            println!("left out: {}: {} is missing", arch.name, header.display());
            continue;
        }
        read = true;
        let file = cargo::root().join(format!("crates/policy/src/seccomp/table/{}.rs", arch.name));
        let text = std::fs::read_to_string(&file)?;
        let mut table = Table::parse(&text)
            .map_err(|fault| io::Error::other(format!("{}: {fault}", file.display())))?;
        let compared = table.compare(&header::calls(header, arch.wants)?);
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
        } else if adds && !compared.missing.is_empty() {
            table.add(compared.missing);
            std::fs::write(&file, table.text())?;
        }
    }
    print!("{}", text::aligned(&rows));
    if !read {
        return Err(io::Error::other("no header is there: nothing was compared"));
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(io::Error::other(wrong.join("\n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_the_tree_are_read_and_written_as_they_are() {
        for arch in ARCHES {
            let file =
                cargo::root().join(format!("crates/policy/src/seccomp/table/{}.rs", arch.name));
            let text = std::fs::read_to_string(&file).expect("a file");
            let table = Table::parse(&text).expect("a table");
            assert_eq!(table.text(), text, "{}", arch.name);
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
