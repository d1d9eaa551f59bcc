//! Compiles the filters of the helper's own processes, from src/prepare/own_calls.toml.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use nsexec_policy_engine::seccomp::compile::compile;
use nsexec_policy_engine::seccomp::profile::{Action, Profile, Rule, When};
use nsexec_policy_engine::seccomp::table::{Arch, is_known_somewhere};

const CALLS: &str = "src/prepare/own_calls.toml";

fn main() -> Result<ExitCode, io::Error> {
    match build() {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            writeln!(io::stderr(), "{CALLS}: {error}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    writeln!(io::stdout(), "cargo::rerun-if-changed={CALLS}")?;
    let target = env::var("CARGO_CFG_TARGET_ARCH")?;
    let arch = Arch::from_rust_name(&target)
        .ok_or_else(|| format!("nsexec runs on x86_64 and aarch64, not on {target}"))?;
    let lists: BTreeMap<String, Vec<String>> = toml::from_str(&fs::read_to_string(CALLS)?)?;
    let mut constants = String::new();
    for (name, calls) in lists {
        if let Some(unknown) = calls.iter().find(|call| !is_known_somewhere(call)) {
            return Err(format!("{name}: no system call is named {unknown}").into());
        }
        let rules = calls.iter().filter_map(|call| arch.number(call));
        let profile = Profile {
            // EPERM
            default: Action::Errno(1),
            newest: u32::MAX,
            rules: rules
                .map(|syscall| Rule {
                    syscall,
                    when: When::Always,
                    action: Action::Allow,
                })
                .collect(),
        };
        let program = compile(&profile, arch)?;
        let instructions = program.instructions();
        let count = instructions.len();
        writeln!(
            constants,
            "const {name}: [Instruction; {count}] = {instructions:?};\n\
             #[cfg(test)]\n\
             const {name}_CALLS: &[&str] = &{calls:?};"
        )?;
    }
    let out = PathBuf::from(env::var("OUT_DIR")?).join("filters.rs");
    fs::write(out, constants)?;
    Ok(())
}
