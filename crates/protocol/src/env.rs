//! The environment of protocol A.
//!
//! Places ([`Fault::span`]) count the bytes of the environment as
//! `/proc/PID/environ` has it: `KEY=VALUE` and a NUL, one after the other.

use std::ffi::CString;
use std::fmt;
use std::ops::Range;
use std::os::fd::RawFd;

use crate::path::{MAX_PATH, absolute};
use nsexec_kernel_text::Pid;
use nsexec_kernel_text::procfs::decimal::decimal;
use nsexec_text::Fault;

/// Longest path of a console, in bytes.
pub const MAX_CONSOLE_PATH: usize = MAX_PATH;

const PREFIX: &[u8] = b"_LIBCONTAINER_";

/// Variables of protocol B, which runc has set since 1.0.0; protocol A has none of
/// them.
const PROTOCOL_B: [&str; 9] = [
    "_LIBCONTAINER_CLONED_BINARY",
    "_LIBCONTAINER_CONSOLE",
    "_LIBCONTAINER_FIFOFD",
    "_LIBCONTAINER_LOGLEVEL",
    "_LIBCONTAINER_LOGPIPE",
    "_LIBCONTAINER_MOUNT_FDS",
    "_LIBCONTAINER_PIDFD_SOCK",
    "_LIBCONTAINER_STATEDIR",
    "_LIBCONTAINER_SYNCPIPE",
];

/// The request in the environment of protocol A. Only [`recognise`] constructs
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProtocolA {
    /// The process whose namespaces the child joins.
    pub pid: Pid,
    /// The pipe to the runtime: 3 to 2^31 - 1. It is not checked whether it is open.
    pub pipe: RawFd,
    /// The caller's path of the terminal that the program gets: absolute, at
    /// most [`MAX_CONSOLE_PATH`] bytes.
    pub console: Option<CString>,
}

/// A variable of protocol A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `_LIBCONTAINER_INITPID`
    Pid,
    /// `_LIBCONTAINER_INITPIPE`
    Pipe,
    /// `_LIBCONTAINER_INITTYPE`
    Type,
    /// `_LIBCONTAINER_CONSOLE_PATH`
    Console,
}

impl Variable {
    const ALL: [Self; 4] = [Self::Pid, Self::Pipe, Self::Type, Self::Console];

    /// Its name in the environment.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pid => "_LIBCONTAINER_INITPID",
            Self::Pipe => "_LIBCONTAINER_INITPIPE",
            Self::Type => "_LIBCONTAINER_INITTYPE",
            Self::Console => "_LIBCONTAINER_CONSOLE_PATH",
        }
    }
}

/// Why an environment is not protocol A's, and the correct form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvironmentErrorKind {
    /// It is not set, while its partner (pid and pipe) is.
    Missing(Variable),
    /// It is set twice.
    Repeated(Variable),
    /// Not a pid: 1 to 2^31 - 1, in plain decimal.
    Pid,
    /// Not a decimal descriptor number from 3 to 2^31 - 1.
    Pipe,
    /// Set, and not to `setns`.
    Type,
    /// `standard`, with a pipe and without a pid: the first process of a container.
    Create,
    /// Not an absolute path of at most [`MAX_CONSOLE_PATH`] bytes.
    Console,
    /// A variable of protocol B.
    ProtocolB(&'static str),
    /// A variable of neither protocol.
    Unknown,
}

/// Reads the request of protocol A from the environment, given as pairs in
/// order; `None` if neither protocol A nor B is in use: then nsexec reads its
/// command line.
///
/// Numbers follow runc's rule: printing a number again must give the same text.
/// The console's path must be absolute, because the helper starts in the
/// container's root directory.
///
/// # Errors
/// Pid or pipe is set, so this is protocol A, and the environment violates it.
/// The error names the first wrong variable; a variable of protocol B comes
/// before all others.
pub fn recognise<'a>(
    environ: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<Option<ProtocolA>, Fault<EnvironmentErrorKind>> {
    let mut written = RawEnvironment::default();
    for (key, value) in environ {
        written.add(key, value);
    }
    written.resolve()
}

/// The variables, unparsed.
#[derive(Default)]
struct RawEnvironment<'a> {
    /// By [`Variable`].
    values: [Option<Value<'a>>; 4],
    protocol_b: Option<Fault<EnvironmentErrorKind>>,
    wrong: Option<Fault<EnvironmentErrorKind>>,
    length: usize,
}

struct Value<'a> {
    text: &'a [u8],
    span: Range<usize>,
}

impl Value<'_> {
    fn fault(&self, reason: EnvironmentErrorKind) -> Fault<EnvironmentErrorKind> {
        Fault::new(self.span.clone(), reason)
    }
}

impl<'a> RawEnvironment<'a> {
    fn add(&mut self, key: &'a [u8], value: &'a [u8]) {
        let key_at = self.length;
        let value_at = key_at.saturating_add(key.len()).saturating_add(1);
        let end = value_at.saturating_add(value.len());
        self.length = end.saturating_add(1);

        if !key.starts_with(PREFIX) {
            return;
        }
        let known = Variable::ALL
            .into_iter()
            .zip(&mut self.values)
            .find(|(variable, _)| variable.name().as_bytes() == key);
        match known {
            Some((_, slot @ None)) => {
                *slot = Some(Value {
                    text: value,
                    span: value_at..end,
                });
            }
            Some((variable, Some(_))) => {
                let repeated = Fault::new(key_at..end, EnvironmentErrorKind::Repeated(variable));
                self.wrong.get_or_insert(repeated);
            }
            None => match PROTOCOL_B.iter().find(|name| name.as_bytes() == key) {
                Some(name) => {
                    let sign = Fault::new(key_at..end, EnvironmentErrorKind::ProtocolB(name));
                    self.protocol_b.get_or_insert(sign);
                }
                None => {
                    let unknown = Fault::new(key_at..end, EnvironmentErrorKind::Unknown);
                    self.wrong.get_or_insert(unknown);
                }
            },
        }
    }

    fn resolve(self) -> Result<Option<ProtocolA>, Fault<EnvironmentErrorKind>> {
        let [pid, pipe, kind, console] = self.values;
        if pid.is_none() && pipe.is_none() {
            return Ok(None);
        }
        if let Some(fault) = self.protocol_b.or(self.wrong) {
            return Err(fault);
        }
        if let (None, Some(kind)) = (&pid, &kind)
            && kind.text == b"standard"
        {
            return Err(kind.fault(EnvironmentErrorKind::Create));
        }
        let missing =
            |variable| Fault::new(0..self.length, EnvironmentErrorKind::Missing(variable));
        let pid = pid.ok_or_else(|| missing(Variable::Pid))?;
        let pipe = pipe.ok_or_else(|| missing(Variable::Pipe))?;
        if let Some(kind) = kind
            && kind.text != b"setns"
        {
            return Err(kind.fault(EnvironmentErrorKind::Type));
        }
        Ok(Some(ProtocolA {
            pid: decimal(pid.text)
                .and_then(Pid::new)
                .ok_or_else(|| pid.fault(EnvironmentErrorKind::Pid))?,
            pipe: decimal(pipe.text)
                .filter(|&fd: &RawFd| fd > 2)
                .ok_or_else(|| pipe.fault(EnvironmentErrorKind::Pipe))?,
            console: console
                .map(|console| {
                    absolute(console.text)
                        .ok_or_else(|| console.fault(EnvironmentErrorKind::Console))
                })
                .transpose()?,
        }))
    }
}

impl fmt::Display for EnvironmentErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pid = Variable::Pid.name();
        let pipe = Variable::Pipe.name();
        match self {
            Self::Missing(variable) => write!(
                f,
                "{} is not set; protocol A needs both {pid} and {pipe}, the command line neither",
                variable.name()
            ),
            Self::Repeated(variable) => {
                write!(f, "{} is set twice; set it once", variable.name())
            }
            Self::Pid => write!(
                f,
                "{pid} is not a pid; give a decimal number from 1 to 2147483647"
            ),
            Self::Pipe => write!(
                f,
                "{pipe} is not a descriptor for the pipe; give a decimal number from 3 to 2147483647"
            ),
            Self::Type => write!(
                f,
                "{} is not \"setns\"; nsexec joins containers, it does not create them",
                Variable::Type.name()
            ),
            Self::Create => write!(
                f,
                "{}=standard without {pid} is the first process of a container, and nsexec only joins; \
                 give nsexec as InitPath to a factory that loads containers, and create them through another",
                Variable::Type.name()
            ),
            Self::Console => write!(
                f,
                "{} is not an absolute path of at most {MAX_CONSOLE_PATH} bytes; leave it unset for no terminal",
                Variable::Console.name()
            ),
            Self::ProtocolB(name) => write!(
                f,
                "{name} is a variable of protocol B, which only libnsexec implements; link it into \
                 the runtime (runc 1.1 or later)"
            ),
            Self::Unknown => write!(
                f,
                "a variable that begins with _LIBCONTAINER_ and that protocol A does not have; \
                 {pid}, {pipe}, {} and {} are its variables",
                Variable::Type.name(),
                Variable::Console.name()
            ),
        }
    }
}

#[cfg(test)]
mod tests;
