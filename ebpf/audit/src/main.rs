//! The program `nsexec-audit`; `--help` describes it.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use nsexec_audit::cli::{self, Request};
use nsexec_audit::commands::{self, exit_status};
use nsexec_audit::log::log_stderr;

fn main() -> ExitCode {
    let result = match cli::parse(std::env::args_os().skip(1)) {
        Ok(request) => run(&request),
        Err(error) => show(&error),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            log_stderr(&error.to_string());
            ExitCode::from(exit_status::FAILED)
        }
    }
}

fn run(request: &Request) -> Result<u8, Box<dyn Error>> {
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let status = match request {
        Request::Audit(options) => commands::audit::run(options, &mut out)?,
        Request::Command(command) => commands::run(command, &mut out)?,
    };
    out.flush()?;
    Ok(status)
}

/// Help and version are no errors.
fn show(error: &clap::Error) -> Result<u8, Box<dyn Error>> {
    let text = error.render().to_string();
    if error.use_stderr() {
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        return Err(text.trim_end().into());
    }
    io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}
