//! The program nsexec: the choice of its interface, and its exit status.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use crate::cli::{self, Command};
use crate::ended::Ended;
use crate::error::{Error, ErrorKind, Result};
use crate::exit_status;
use crate::features;
use crate::plan::Plan;
use crate::prepare::clean;
use crate::prepare::own_file::protect_own_file;
use crate::prepare::policy_choice::Frontend;
use crate::request::{Request, Selection, TargetId};
use crate::runtime_text::ForRuntime;
use crate::stage::protocol_a::{self, InitPipe};
use crate::standard_error::print_error;
use crate::sys::process;
use crate::sys::signal::{self, CallersSignals};
use crate::wire::{argv, env};

/// Runs nsexec as a program; the value is the exit status.
///
/// The interface is protocol A if libcontainer's variables are in the environment, else the command
/// line.
#[must_use]
pub fn main() -> u8 {
    if let Err(error) = clean::make_standard_descriptors_valid() {
        print_error(&error);
        return error.exit_status();
    }
    let variables: Vec<_> = std::env::vars_os().collect();
    let pairs = variables
        .iter()
        .map(|(key, value)| (key.as_bytes(), value.as_bytes()));
    match env::recognise(pairs) {
        Ok(None) => through_command_line(),
        Ok(Some(request)) => finish_for_runtime(through_protocol_a(&request)),
        Err(fault) => finish_for_runtime(Err(Error::new(ErrorKind::Protocol, fault.to_string()))),
    }
}

/// 0, or 1 and the error on standard error.
fn finish_for_runtime(result: Result<()>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            print_error(&ForRuntime(&error));
            exit_status::PROTOCOL_FAILED
        }
    }
}

/// 0, or the error's status and the error on standard error.
fn finish(result: Result<()>, status: impl Fn(&Error) -> u8) -> u8 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            print_error(&error);
            status(&error)
        }
    }
}

fn through_command_line() -> u8 {
    let command = match cli::read(std::env::args_os().skip(1)).map_err(Error::from) {
        Ok(command) => command,
        Err(error) => return finish(Err(error), Error::exit_status),
    };
    if matches!(
        command,
        Command::Help | Command::Version | Command::Features
    ) {
        // No program is executed, so nothing needs to restore the signals.
        let _ = CallersSignals::take();
    }
    let shown = match command {
        Command::Help => show(&cli::help()),
        Command::Version => show(&format!("nsexec {}\n", env!("CARGO_PKG_VERSION"))),
        Command::Features => features::table().and_then(|table| show(&table)),
        Command::DryRun(request) => {
            prepare(*request).and_then(|plan| show(&format!("{}\n", plan.to_json())))
        }
        Command::Run(request) => {
            match prepare(*request).and_then(Plan::execute) {
                Ok(Ended::Exited(status)) => {
                    return u8::try_from(status & 0xff).unwrap_or(exit_status::HELPER_FAILED);
                }
                Ok(Ended::Signaled(number) | Ended::Interrupted(number)) => {
                    signal::die_of(number);
                    // A signal that does not end a process: the status that a shell reports.
                    return exit_status::of_signal(number);
                }
                Err(error) => Err(error),
            }
        }
    };
    finish(shown, Error::exit_status)
}

/// Steps 0 to 3.
fn prepare(request: Request) -> Result<Plan> {
    let declared = request.preserve_fds.iter().chain(&request.seccomp_fds);
    clean::close_undeclared(declared.chain(&request.status_fd).copied())?;
    protect_own_file()?;
    Plan::prepare(request)
}

fn through_protocol_a(requested: &env::ProtocolA) -> Result<()> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let choice = argv::parse(words.iter().map(|word| word.as_bytes()))
        .map_err(|fault| Error::new(ErrorKind::Usage, fault.to_string()))?;
    let handed_over = clean::count_handed_over();
    // initConfig arrives later and gives the number of passed descriptors. They end before the pipe:
    // a runtime adds its pipe to them last.
    let passed = (clean::FIRST..requested.pipe).take(usize::try_from(handed_over).unwrap_or(0));
    clean::close_undeclared(passed.chain([requested.pipe]))?;
    protect_own_file()?;
    let handed_over = clean::count_handed_over();
    let target = TargetId {
        pid: requested.pid,
        inode: None,
    };
    let mut request = Request::new(target, Vec::new());
    request.namespaces = Selection::ProtocolA;
    request.policy = choice;
    let plan = Plan::prepare_for(request, Frontend::ProtocolA)?;
    let pipe = InitPipe::take(requested.pipe)?;
    let console = requested
        .console
        .as_ref()
        .map(protocol_a::open_console)
        .transpose()?;
    protocol_a::run(plan, pipe, console, handed_over)
}

/// Writes to standard output; a reader that has gone away is no error of nsexec.
fn show(text: &str) -> Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => process::exit_now(0),
        Err(error) => {
            Err(Error::new(ErrorKind::System, "cannot write to standard output").with_source(error))
        }
    }
}
