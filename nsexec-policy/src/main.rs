//! nsexec-policy. See `--help`.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let done = nsexec_policy::run(std::env::args_os().skip(1));
    let mut status = done.status;
    // A closed standard output is no error.
    for (text, written) in [
        (
            &done.stdout,
            std::io::stdout().lock().write_all(done.stdout.as_bytes()),
        ),
        (
            &done.stderr,
            std::io::stderr().lock().write_all(done.stderr.as_bytes()),
        ),
    ] {
        let broken = |error: std::io::Error| error.kind() != std::io::ErrorKind::BrokenPipe;
        if !text.is_empty() && written.is_err_and(broken) {
            status = nsexec_policy::FAILED;
        }
    }
    ExitCode::from(status)
}
