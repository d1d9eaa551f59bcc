//! The variables of protocol B that the helper reads before the runtime takes
//! over. The runtime reads the others itself.
//!
//! Spans ([`Fault::span`]) count as in [`super::env`].

use std::fmt;
use std::ops::Range;
use std::os::fd::RawFd;

use crate::log_line::Level;
use nsexec_kernel_text::procfs::decimal::decimal;
use nsexec_text::Fault;

/// The log level if the runtime sets none: the default of runc's nsexec.c.
const DEFAULT_LEVEL: Level = Level::Debug;

/// A variable that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `_LIBCONTAINER_INITPIPE`
    Pipe,
    /// `_LIBCONTAINER_LOGPIPE`
    LogPipe,
    /// `_LIBCONTAINER_LOGLEVEL`
    LogLevel,
    /// `_LIBCONTAINER_SYNCPIPE`: the runtime's own; only whether it is set counts.
    SyncPipe,
    /// `_LIBCONTAINER_INITTYPE`: the runtime's own, `standard` or `setns`.
    Type,
}

impl Variable {
    const ALL: [Self; 5] = [
        Self::Pipe,
        Self::LogPipe,
        Self::LogLevel,
        Self::SyncPipe,
        Self::Type,
    ];

    /// Its name in the environment.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pipe => "_LIBCONTAINER_INITPIPE",
            Self::LogPipe => "_LIBCONTAINER_LOGPIPE",
            Self::LogLevel => "_LIBCONTAINER_LOGLEVEL",
            Self::SyncPipe => "_LIBCONTAINER_SYNCPIPE",
            Self::Type => "_LIBCONTAINER_INITTYPE",
        }
    }
}

/// Why a variable is invalid, and the correct form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvironmentBErrorKind {
    /// It is set twice.
    Repeated(Variable),
    /// Not a decimal descriptor number from 3 to 2^31 - 1.
    Descriptor(Variable, String),
    /// Not a level: 0 to 6.
    Level(String),
}

/// The variables, unparsed.
#[derive(Clone, Debug, Default)]
pub struct Environment<'a> {
    /// By [`Variable`].
    values: [Option<(&'a [u8], Range<usize>)>; Variable::ALL.len()],
    repeated: Option<Fault<EnvironmentBErrorKind>>,
}

/// The destination of log lines, and their level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogTarget {
    /// The log pipe; `None` if there is none: then only errors are printed, on
    /// standard error.
    pub pipe: Option<RawFd>,
    /// Lines of this level and of more severe ones.
    pub level: Level,
}

impl<'a> Environment<'a> {
    /// Collects them, from the pairs in the order of the environment. One that is
    /// empty counts as not set: runc's getenv_int.
    pub fn collect(environ: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut collected = Self::default();
        let mut length = 0_usize;
        for (key, value) in environ {
            let value_at = length.saturating_add(key.len()).saturating_add(1);
            let end = value_at.saturating_add(value.len());
            let key_at = length;
            length = end.saturating_add(1);
            let known = Variable::ALL
                .into_iter()
                .zip(&mut collected.values)
                .find(|(variable, _)| variable.name().as_bytes() == key);
            match known {
                Some((_, slot @ None)) => *slot = Some((value, value_at..end)),
                Some((variable, Some(_))) => {
                    let repeated =
                        Fault::new(key_at..end, EnvironmentBErrorKind::Repeated(variable));
                    collected.repeated.get_or_insert(repeated);
                }
                None => {}
            }
        }
        collected
    }

    /// Whether the runtime uses protocol B.
    ///
    /// In 2015 the first process of a libcontainer container also had a pipe,
    /// without a message on it: its nsexec.c returned at once. That process has
    /// the type `standard`, and none of the pipes that protocol B adds.
    #[must_use]
    pub fn requests_protocol_b(&self) -> bool {
        let is_set = |variable| self.value(variable).is_some();
        let standard = self.value(Variable::Type).map(|(text, _)| text) == Some(b"standard");
        let of_2015 = standard
            && !is_set(Variable::LogPipe)
            && !is_set(Variable::SyncPipe)
            && self.repeated.is_none();
        is_set(Variable::Pipe) && !of_2015
    }

    /// The destination of the log.
    ///
    /// # Errors
    /// A variable is set twice, or is not a descriptor or a level.
    pub fn log(&self) -> Result<LogTarget, Fault<EnvironmentBErrorKind>> {
        if let Some(repeated) = &self.repeated {
            return Err(repeated.clone());
        }
        let level = match self.value(Variable::LogLevel) {
            None => DEFAULT_LEVEL,
            Some((text, span)) => decimal(text)
                .and_then(|number: usize| Level::ALL.get(number).copied())
                .ok_or_else(|| Fault::new(span, EnvironmentBErrorKind::Level(lossy(text))))?,
        };
        Ok(LogTarget {
            pipe: self.descriptor(Variable::LogPipe)?,
            level,
        })
    }

    /// The pipe to the runtime; `None` if protocol B is not used.
    ///
    /// # Errors
    /// It is set twice, or is not a descriptor.
    pub fn pipe(&self) -> Result<Option<RawFd>, Fault<EnvironmentBErrorKind>> {
        match &self.repeated {
            Some(repeated) => Err(repeated.clone()),
            None => self.descriptor(Variable::Pipe),
        }
    }

    fn descriptor(
        &self,
        variable: Variable,
    ) -> Result<Option<RawFd>, Fault<EnvironmentBErrorKind>> {
        let Some((text, span)) = self.value(variable) else {
            return Ok(None);
        };
        let number = decimal(text).filter(|fd: &RawFd| *fd > 2);
        let wrong = || {
            Fault::new(
                span,
                EnvironmentBErrorKind::Descriptor(variable, lossy(text)),
            )
        };
        number.ok_or_else(wrong).map(Some)
    }

    fn value(&self, wanted: Variable) -> Option<(&'a [u8], Range<usize>)> {
        let mut all = Variable::ALL.into_iter().zip(&self.values);
        let (_, value) = all.find(|(variable, _)| *variable == wanted)?;
        value.clone().filter(|(text, _)| !text.is_empty())
    }
}

/// Up to the length of a number, and a few more.
fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text.get(..32).unwrap_or(text)).into_owned()
}

impl fmt::Display for EnvironmentBErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repeated(variable) => {
                write!(f, "{} is set twice; set it once", variable.name())
            }
            Self::Descriptor(variable, value) => write!(
                f,
                "unable to parse {}={value}; a decimal number from 3 to 2147483647 is a descriptor",
                variable.name()
            ),
            Self::Level(value) => write!(
                f,
                "bad value for {}={value}; 0 (panic) to 6 (trace) are levels",
                Variable::LogLevel.name()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIPE: &str = "_LIBCONTAINER_INITPIPE";
    const LOG: &str = "_LIBCONTAINER_LOGPIPE";
    const LEVEL: &str = "_LIBCONTAINER_LOGLEVEL";
    const SYNC: &str = "_LIBCONTAINER_SYNCPIPE";
    const TYPE: &str = "_LIBCONTAINER_INITTYPE";

    fn of<'a>(pairs: &'a [(&'a str, &'a str)]) -> Environment<'a> {
        Environment::collect(pairs.iter().map(|(k, v)| (k.as_bytes(), v.as_bytes())))
    }

    #[test]
    fn without_a_pipe_it_is_not_protocol_b() {
        for pairs in [&[][..], &[(LOG, "4")], &[(PIPE, "")], &[("INITPIPE", "3")]] {
            assert!(!of(pairs).requests_protocol_b());
            assert_eq!(of(pairs).pipe(), Ok(None));
        }
    }

    #[test]
    fn the_first_process_of_2015_is_not_protocol_b() {
        assert!(!of(&[(PIPE, "3"), (TYPE, "standard")]).requests_protocol_b());
        assert!(
            !of(&[(PIPE, "3"), (TYPE, "standard"), (LOG, ""), (SYNC, "")]).requests_protocol_b()
        );
        for pairs in [
            &[(PIPE, "3")][..],
            &[(PIPE, "3"), (TYPE, "setns")],
            &[(PIPE, "3"), (TYPE, "standard"), (LOG, "4")],
            &[(PIPE, "3"), (TYPE, "standard"), (SYNC, "4")],
            &[(PIPE, "3"), (TYPE, "standard"), (TYPE, "setns")],
        ] {
            assert!(of(pairs).requests_protocol_b(), "{pairs:?}");
        }
    }

    #[test]
    fn runc_s_environment_is_valid() {
        let env = [
            ("GOMAXPROCS", "2"),
            (PIPE, "3"),
            ("_LIBCONTAINER_SYNCPIPE", "4"),
            (LOG, "5"),
            (LEVEL, "4"),
            ("_LIBCONTAINER_INITTYPE", "setns"),
        ];
        let env = of(&env);
        assert!(env.requests_protocol_b());
        assert_eq!(env.pipe(), Ok(Some(3)));
        let target = LogTarget {
            pipe: Some(5),
            level: Level::Info,
        };
        assert_eq!(env.log(), Ok(target));
        let quiet = LogTarget {
            pipe: None,
            level: Level::Debug,
        };
        assert_eq!(of(&[(PIPE, "3"), (LOG, ""), (LEVEL, "")]).log(), Ok(quiet));
    }

    #[test]
    fn numbers_are_plain_decimal_and_in_range() {
        for wrong in ["2", "-1", "+3", "012", " 3", "3 ", "4294967299", "a", "0x3"] {
            let pairs = [(PIPE, wrong), (LOG, wrong)];
            let env = of(&pairs);
            let named = |variable| EnvironmentBErrorKind::Descriptor(variable, wrong.to_owned());
            assert!(env.requests_protocol_b());
            assert_eq!(env.pipe().unwrap_err().reason, named(Variable::Pipe));
            assert_eq!(env.log().unwrap_err().reason, named(Variable::LogPipe));
        }
        for wrong in ["7", "-1", "debug", "04", "4294967296"] {
            let pairs = [(PIPE, "3"), (LEVEL, wrong)];
            let fault = of(&pairs).log().unwrap_err();
            assert_eq!(fault.reason, EnvironmentBErrorKind::Level(wrong.to_owned()));
            let environ: String = pairs.iter().map(|(k, v)| format!("{k}={v}\0")).collect();
            assert_eq!(environ.get(fault.span), Some(wrong));
        }
        for (number, level) in Level::ALL.into_iter().enumerate() {
            let number = number.to_string();
            let pairs = [(PIPE, "3"), (LEVEL, number.as_str())];
            assert_eq!(of(&pairs).log().map(|log| log.level), Ok(level));
        }
    }

    #[test]
    fn a_variable_set_twice_is_refused() {
        for (variable, name) in [
            (Variable::Pipe, PIPE),
            (Variable::LogPipe, LOG),
            (Variable::LogLevel, LEVEL),
            (Variable::SyncPipe, SYNC),
            (Variable::Type, TYPE),
        ] {
            let pairs = [(PIPE, "3"), (name, "4"), (name, "4")];
            let fault = of(&pairs).log().unwrap_err();
            assert_eq!(fault.reason, EnvironmentBErrorKind::Repeated(variable));
            assert!(of(&pairs).pipe().is_err());
        }
    }
}
