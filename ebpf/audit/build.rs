//! Embeds the probes into the library, if they are built.
//!
//! `cargo xtask probes` builds them, with its own toolchain. Without them everything else
//! is still compiled, and the auditor requires `--probes FILE`.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

/// The output of `cargo xtask probes`, relative to this file.
const BUILT: &str = "../../target/probes/nsexec-probes.o";

fn main() -> ExitCode {
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // cargo prints standard error.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn embed() -> io::Result<()> {
    let here = env::var_os("CARGO_MANIFEST_DIR").ok_or_else(|| io::Error::other("no directory"))?;
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("no OUT_DIR"))?;
    let built = Path::new(&here).join(BUILT);
    let mut stdout = io::stdout();
    writeln!(stdout, "cargo::rerun-if-changed=build.rs")?;
    writeln!(stdout, "cargo::rerun-if-changed={}", built.display())?;
    let code = if built.exists() {
        format!(
            "Some(aya::include_bytes_aligned!({:?}))",
            built.canonicalize()?
        )
    } else {
        "None".to_owned()
    };
    fs::write(Path::new(&out).join("embedded.rs"), code)
}
