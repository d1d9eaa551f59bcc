//! Takes the probes into the library, where they have been built.
//!
//! `cargo xtask probes` builds them, with a toolchain of their own. Without them
//! everything else is still compiled, and the auditor asks for `--probes FILE`.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

/// Where `cargo xtask probes` leaves them, from here.
const BUILT: &str = "../../target/probes/nsexec-probes.o";

fn main() -> ExitCode {
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is what cargo shows.
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
