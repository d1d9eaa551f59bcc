//! The program `nsexec-audit`; `--help` describes it.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use nsexec_audit::cli::{self, request::Request};
use nsexec_audit::commands::{self, exit_status};
use nsexec_audit::log::log_stderr;

fn main() -> ExitCode {
    match run() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            log_stderr(&error.to_string());
            ExitCode::from(exit_status::FAILED)
        }
    }
}

fn run() -> Result<u8, Box<dyn Error>> {
    let request = cli::options::read(std::env::args_os().skip(1))?;
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let status = match &request {
        Request::Help => {
            out.write_all(cli::help::help().as_bytes())?;
            0
        }
        Request::Version => {
            writeln!(out, "nsexec-audit {}", env!("CARGO_PKG_VERSION"))?;
            0
        }
        Request::Verify(options) => commands::verify::run(options, &mut out)?,
        Request::Report(options) => commands::report::run(options, &mut out)?,
        Request::Tree(options) => commands::tree::run(options, &mut out)?,
        Request::Selftest(options) => commands::selftest::run(options, &mut out)?,
        Request::Audit(options) => commands::audit::run(options, &mut out)?,
    };
    out.flush()?;
    Ok(status)
}
