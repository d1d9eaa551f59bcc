//! `cargo xtask NAME`: builds, checks, measures and demonstrates nsexec.
//!
//! Each name is a file of this crate. A command first installs missing tools
//! ([`setup`]), or prints the command that would.

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it talks to people: nothing here ends up in the helper"
)]

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

mod aarch64;
mod attack;
mod bench;
mod cargo;
mod ci;
mod codegen;
mod debian;
mod demo;
mod dist;
mod docs;
mod elf;
mod fuzz;
mod guest;
mod install;
mod layers;
mod leftovers;
mod oracle;
mod probes;
mod progress;
mod setup;
mod test;
mod text;
mod vm;

struct Command {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&[OsString]) -> io::Result<()>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "demo",
        arguments: "",
        about: "enter a throw-away target and a real container, both ways, and check it",
        run: demo::run,
    },
    Command {
        name: "test",
        arguments: "[ARGUMENT OF cargo test]...",
        about: "run every test; the last line counts passed, failed and skipped",
        run: test::run,
    },
    Command {
        name: "leftovers",
        arguments: "PROGRAM [ARGUMENT]...",
        about: "run one test program, and fail when it leaves a process, mount, cgroup or file",
        run: leftovers::run,
    },
    Command {
        name: "ci",
        arguments: "",
        about: "everything that a change has to pass, and a table of it",
        run: ci::run,
    },
    Command {
        name: "attack",
        arguments: "[NAME]... [--binary PATH]",
        about: "attack nsexec, and tools without its defences; a table of both",
        run: attack::run,
    },
    Command {
        name: "aarch64",
        arguments: "",
        about: "build for aarch64, and run it on an emulated machine",
        run: aarch64::run,
    },
    Command {
        name: "vm",
        arguments: "[(--all | --kernel NAME) [--save]] [TEST PROGRAM]...",
        about: "run the auditor's tests on Debian's kernel, in an emulated machine; --all: the helper's, on four",
        run: vm::run,
    },
    Command {
        name: "codegen",
        arguments: "[--check]",
        about: "add new system calls from the kernel headers to the tables, or check them",
        run: codegen::run,
    },
    Command {
        name: "docs",
        arguments: "",
        about: "check the documents against the tree: tests, paths, names, links, advisories, kernels",
        run: docs::run,
    },
    Command {
        name: "layers",
        arguments: "",
        about: "check that dependencies between crates and between modules have one direction",
        run: layers::run,
    },
    Command {
        name: "dist",
        arguments: "",
        about: "build dist/: the programs, static, their man pages and completions",
        run: dist::run,
    },
    Command {
        name: "install",
        arguments: "[PREFIX] [--library]",
        about: "install libnsexec, its header, and the programs below PREFIX (/usr/local)",
        run: install::run,
    },
    Command {
        name: "fuzz",
        arguments: "[TARGET] [--seconds N]",
        about: "fuzz one parser or all of them, 60 seconds each",
        run: fuzz::run,
    },
    Command {
        name: "probes",
        arguments: "",
        about: "build the eBPF programs of the auditor: target/probes/nsexec-probes.o",
        run: probes::run,
    },
    Command {
        name: "oracle",
        arguments: "[--tuples N] [--seed S]",
        about: "compare evaluator, interpreter, seccompiler and libseccomp on 100000000 calls",
        run: oracle::run,
    },
    Command {
        name: "bench",
        arguments: "[exec|join|compile|audit] [--rounds N] [--save]",
        about: "time an exec against nsenter(1), runc, crun and C; joins against nsexec.c; filters; the auditor",
        run: bench::run,
    },
];

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let name = arguments.next().unwrap_or_default();
    let rest: Vec<OsString> = arguments.collect();
    if name == "help" || name == "-h" || name == "--help" {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| name == command.name) else {
        eprint!("xtask: no command {name:?}; there are these:\n{}", help());
        return ExitCode::FAILURE;
    };
    match (command.run)(&rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {}: {error}", command.name);
            ExitCode::FAILURE
        }
    }
}

fn help() -> String {
    let rows: Vec<[String; 2]> = COMMANDS
        .iter()
        .map(|command| {
            [
                format!("{} {}", command.name, command.arguments),
                command.about.to_owned(),
            ]
        })
        .collect();
    format!("cargo xtask NAME\n{}", text::aligned(&rows))
}

/// For commands without arguments.
fn no_arguments(arguments: &[OsString]) -> io::Result<()> {
    match arguments.first() {
        None => Ok(()),
        Some(first) => Err(io::Error::other(format!(
            "unexpected argument {first:?}; this command accepts none"
        ))),
    }
}
