//! `cargo xtask bench`: installs the compared tools and runs `benches/*.rs` and the
//! auditor's benchmark.

use std::ffi::OsString;
use std::io;

use crate::setup::{self, Tool};
use crate::{cargo, probes, text};

struct Bench {
    name: &'static str,
    package: &'static str,
    /// The benchmark's own table reports missing tools.
    tools: &'static [Tool],
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "exec",
        package: "nsexec",
        tools: &[
            setup::BUSYBOX,
            setup::CRUN,
            setup::GCC,
            setup::NSENTER,
            setup::RUNC,
            setup::UNSHARE,
        ],
    },
    Bench {
        name: "join",
        package: "nsexec",
        tools: &[
            setup::BUSYBOX,
            setup::GCC,
            setup::OBJCOPY,
            setup::RUNC,
            setup::UNSHARE,
        ],
    },
    Bench {
        name: "compile",
        package: "nsexec",
        tools: &[setup::GCC, setup::LIBSECCOMP],
    },
    Bench {
        name: "audit",
        package: "nsexec-audit",
        tools: &[setup::GCC, setup::PERF, setup::STRACE],
    },
];

/// The name of a benchmark or none for all; the rest are its own arguments.
pub(crate) fn run(arguments: &[OsString]) -> io::Result<()> {
    let (chosen, options) = chosen(arguments)?;
    for bench in chosen {
        setup::tools(bench.tools)?;
        if bench.package == "nsexec-audit" {
            probes::build()?;
        }
        println!("{}", text::bold(&format!("== {}", bench.name)));
        let status = cargo::cargo(&["bench", "--package", bench.package])
            .args(["--bench", bench.name, "--"])
            .args(options)
            .status()?;
        if !status.success() {
            return Err(io::Error::other(format!("{}: {status}", bench.name)));
        }
    }
    Ok(())
}

fn chosen(arguments: &[OsString]) -> io::Result<(Vec<&'static Bench>, &[OsString])> {
    match arguments.split_first() {
        Some((name, options)) if !name.as_encoded_bytes().starts_with(b"-") => {
            let found = BENCHES.iter().find(|bench| name == bench.name);
            let names: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
            let found = found.ok_or_else(|| {
                io::Error::other(format!("no bench {name:?}; there are {}", names.join(", ")))
            })?;
            Ok((vec![found], options))
        }
        _ => Ok((BENCHES.iter().collect(), arguments)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arguments: &[&str]) -> Option<(Vec<&'static str>, usize)> {
        let arguments: Vec<OsString> = arguments.iter().map(Into::into).collect();
        let (chosen, options) = chosen(&arguments).ok()?;
        Some((
            chosen.iter().map(|bench| bench.name).collect(),
            options.len(),
        ))
    }

    #[test]
    fn a_name_chooses_one_and_none_all() {
        let all: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
        assert_eq!(names(&[]), Some((all.clone(), 0)));
        assert_eq!(names(&["--rounds", "5"]), Some((all, 2)));
        assert_eq!(names(&["compile"]), Some((vec!["compile"], 0)));
        assert_eq!(names(&["exec", "--save"]), Some((vec!["exec"], 1)));
        assert_eq!(names(&["load"]), None);
        assert_eq!(names(&[""]), None);
    }

    #[test]
    fn each_is_a_bench_of_the_tree() {
        for bench in BENCHES {
            let directory = match bench.package {
                "nsexec-audit" => cargo::root().join("ebpf/audit/benches"),
                _ => cargo::root().join("benches"),
            };
            let [file, main] =
                [".rs", "/main.rs"].map(|end| directory.join(format!("{}{end}", bench.name)));
            assert!(file.exists() || main.exists(), "{}", file.display());
        }
    }
}
