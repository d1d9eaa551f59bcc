//! nsexec-audit. `--help` says how it is used.

use std::error::Error;
use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use nsexec_audit::arguments::{self, Asked, HELP};
use nsexec_audit::probes::{self, Probes, Sizes};
use nsexec_audit::{json, watch};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nowhere else to say it.
            let _ = writeln!(io::stderr(), "nsexec-audit: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::new(io::stdout().lock());
    let (file, snapshot) = match arguments::read(std::env::args_os().skip(1))? {
        Asked::Help => {
            out.write_all(HELP.as_bytes())?;
            return Ok(out.flush()?);
        }
        Asked::Version => {
            writeln!(out, "nsexec-audit {}", env!("CARGO_PKG_VERSION"))?;
            return Ok(out.flush()?);
        }
        Asked::Run { probes, snapshot } => (probes, snapshot),
    };
    let read;
    let object = match &file {
        Some(path) => {
            read = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
            read.as_slice()
        }
        None => probes::embedded().ok_or(
            "it was built without its probes; run `cargo xtask probes` and build it again, or \
             give --probes FILE",
        )?,
    };
    let signals = watch::signals()?;
    let mut probes = Probes::start(object, &probes::running_kernel()?, Sizes::DEFAULT)?;
    if snapshot {
        for task in probes.snapshot()? {
            writeln!(out, "{}", json::snapshot(&task))?;
        }
        return Ok(out.flush()?);
    }
    writeln!(io::stderr(), "nsexec-audit: the probes are at work")?;
    watch::run(&mut probes, &signals, &mut out)
}
