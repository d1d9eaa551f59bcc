//! `cargo xtask ci`: all checks that a change must pass.

use std::ffi::OsString;
use std::io;
use std::process::Command;
use std::time::Instant;

use crate::test::Tally;
use crate::vm::helper;
use crate::{
    aarch64, attack, cargo, codegen, dist, docs, layers, no_arguments, probes, setup, test, text,
    vm,
};

pub(crate) fn run(arguments: &[OsString]) -> io::Result<()> {
    no_arguments(arguments)?;
    let mut steps = Steps(Vec::new());
    let mut tally = None;
    // Quick ones first; each runs whether or not the ones before it passed.
    steps.run("fmt", || {
        passes(&mut cargo::cargo(&["fmt", "--all", "--check"]))?;
        let apart = "--manifest-path=ebpf/probes/Cargo.toml";
        passes(&mut cargo::cargo(&["fmt", apart, "--check"]))
    });
    steps.run("docs", docs::check);
    steps.run("layers", layers::check);
    steps.run("codegen", codegen::check);
    steps.run("clippy", clippy);
    steps.run("deny", deny);
    steps.run("rustdoc", rustdoc);
    steps.run("probes", || probes::build().map(drop));
    steps.run("build", || dist::build().map(drop));
    steps.run("test", || {
        let counted = test::all(&[])?;
        let verdict = counted.verdict();
        tally = Some(counted);
        verdict
    });
    steps.run("attack", attack::bounded);
    let mut elsewhere = true;
    steps.run("aarch64", || {
        elsewhere = aarch64::check()?.is_some();
        Ok(())
    });
    if let (Some(tally), false) = (&mut tally, elsewhere) {
        tally.leave_out("aarch64: its compiler cannot be had here");
    }
    let mut on_debian = None;
    steps.run("vm", || {
        on_debian = Some(vm::check(&[])?);
        Ok(())
    });
    if let (Some(tally), Some(on_debian)) = (&mut tally, &on_debian) {
        match on_debian {
            None => tally.leave_out("vm: an emulated machine cannot be had here"),
            Some(there) => {
                for line in there.left_out() {
                    tally.leave_out(&format!("vm, {line}"));
                }
            }
        }
    }
    let mut on_others = None;
    steps.run("vm, helper", || {
        let (kernels, tests) = helper::for_change()?;
        let ran = helper::check(&kernels, &tests)?;
        let verdict = ran.as_ref().map_or(Ok(()), helper::Ran::verdict);
        on_others = Some(ran);
        verdict
    });
    if let (Some(tally), Some(on_others)) = (&mut tally, &on_others) {
        match on_others {
            None => tally.leave_out("vm, helper: an emulated machine cannot be had here"),
            Some(ran) => {
                for (seen, there) in ran.seen.iter().zip(&ran.tallies) {
                    for line in there.left_out() {
                        tally.leave_out(&format!("vm, Linux {}, {line}", seen.name));
                    }
                }
            }
        }
    }
    steps.end(tally.as_ref())
}

fn clippy() -> io::Result<()> {
    passes(
        cargo::cargo(&["clippy", "--workspace", "--all-targets", "--locked"])
            .args(["--", "-D", "warnings"]),
    )
}

fn deny() -> io::Result<()> {
    setup::cargo_subcommand("deny")?;
    passes(&mut cargo::cargo(&[
        "deny", "check", "bans", "licenses", "sources",
    ]))
}

fn rustdoc() -> io::Result<()> {
    passes(
        cargo::cargo(&["doc", "--workspace", "--no-deps", "--locked"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

fn passes(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(status.to_string()))
    }
}

struct Step {
    name: &'static str,
    error: Option<String>,
    seconds: f64,
}

struct Steps(Vec<Step>);

impl Steps {
    fn run(&mut self, name: &'static str, step: impl FnOnce() -> io::Result<()>) {
        println!("{}", text::bold(&format!("== {name}")));
        let start = Instant::now();
        let error = step().err().map(|error| error.to_string());
        if let Some(error) = &error {
            println!("{} {name}: {error}", text::red("failed"));
        }
        self.0.push(Step {
            name,
            error,
            seconds: start.elapsed().as_secs_f64(),
        });
    }

    /// The table, and after it the count of tests as the last line.
    fn end(&self, tally: Option<&Tally>) -> io::Result<()> {
        let head = ["step", "result", "seconds"].map(str::to_owned);
        let rows: Vec<[String; 3]> = std::iter::once(head)
            .chain(self.0.iter().map(|step| {
                let result = if step.error.is_none() { "ok" } else { "FAILED" };
                [
                    step.name.to_owned(),
                    result.to_owned(),
                    format!("{:7.1}", step.seconds),
                ]
            }))
            .collect();
        println!("\n{}", text::aligned(&rows));
        if let Some(tally) = tally {
            println!("{tally}");
        }
        let failed: Vec<&str> = self
            .0
            .iter()
            .filter(|step| step.error.is_some())
            .map(|step| step.name)
            .collect();
        if failed.is_empty() {
            Ok(())
        } else {
            Err(io::Error::other(format!("failed: {}", failed.join(", "))))
        }
    }
}
