//! An exec as in a container runtime in Rust: a request, a plan, an exec.
//!
//!     cargo run --example exec_into -- PID PROGRAM [ARGUMENT...]
//!
//! `execute` joins the namespaces and locks this process down, for good; a
//! runtime calls it in a process that it starts for that.

use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use nsexec::{Ended, Error, Plan, Request, protect_own_file};
use nsexec_request::{Pid, PolicyChoice, TargetId};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let pid = arguments
        .next()
        .and_then(|word| word.to_str()?.parse().ok())
        .and_then(Pid::new);
    let program: Result<Vec<CString>, _> = arguments
        .map(|word| CString::new(word.into_vec()))
        .collect();
    let (Some(pid), Ok(program)) = (pid, program) else {
        return ExitCode::from(125);
    };
    match exec_into(pid, program) {
        Ok(Ended::Exited(status)) => ExitCode::from(u8::try_from(status).unwrap_or(125)),
        Ok(Ended::Signaled(number) | Ended::Interrupted(number)) => {
            ExitCode::from(u8::try_from(128 + number).unwrap_or(125))
        }
        Ok(_) => ExitCode::from(125),
        Err(error) => ExitCode::from(error.exit_status()),
    }
}

fn exec_into(pid: Pid, program: Vec<CString>) -> Result<Ended, Error> {
    // First of all: this file must not be writable through /proc/PID/exe.
    protect_own_file()?;
    let mut request = Request::new(TargetId { pid, inode: None }, program);
    request.policy = PolicyChoice::Named("strict".to_owned());
    let plan = Plan::prepare(request)?;
    plan.execute()
}
