//! `/proc/PID/status`, proc_pid_status(5).

use std::fmt;
use std::ops::Range;

use crate::capability::CapabilitySet;
use crate::procfs::decimal::decimal;
use nsexec_text::Fault;

/// Longest text, in bytes: the kernel prints some 1,500, and up to 65,536
/// supplementary groups of eleven characters.
pub const MAX_BYTES: usize = 1 << 20;

/// The credentials and the lock-down of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// `Uid`
    pub uids: Ids,
    /// `Gid`
    pub gids: Ids,
    /// `Groups`: the supplementary groups, sorted by the kernel.
    pub groups: Vec<u32>,
    /// `Threads`
    pub threads: u32,
    /// `CapInh`
    pub inheritable: CapabilitySet,
    /// `CapPrm`
    pub permitted: CapabilitySet,
    /// `CapEff`
    pub effective: CapabilitySet,
    /// `CapBnd`
    pub bounding: CapabilitySet,
    /// `CapAmb`
    pub ambient: CapabilitySet,
    /// `NoNewPrivs`
    pub no_new_privs: bool,
    /// `Seccomp`
    pub seccomp: Seccomp,
    /// `Seccomp_filters`: how many filters are attached.
    pub seccomp_filters: u32,
}

/// The four ids of a process, credentials(7). Never 2^32 - 1: the kernel shows
/// an id that the reader's user namespace does not map as the overflow id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// Real.
    pub real: u32,
    /// Effective.
    pub effective: u32,
    /// Saved set.
    pub saved: u32,
    /// File system.
    pub file_system: u32,
}

/// The seccomp mode, linux/seccomp.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seccomp {
    /// 0
    Disabled,
    /// 1
    Strict,
    /// 2
    Filter,
}

/// A line that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `Uid`
    Uid,
    /// `Gid`
    Gid,
    /// `Groups`
    Groups,
    /// `Threads`
    Threads,
    /// `CapInh`
    CapInh,
    /// `CapPrm`
    CapPrm,
    /// `CapEff`
    CapEff,
    /// `CapBnd`
    CapBnd,
    /// `CapAmb`, Linux 4.3.
    CapAmb,
    /// `NoNewPrivs`, Linux 4.10.
    NoNewPrivs,
    /// `Seccomp`, Linux 3.8.
    Seccomp,
    /// `Seccomp_filters`, Linux 5.9.
    SeccompFilters,
}

impl Key {
    const ALL: [Self; 12] = [
        Self::Uid,
        Self::Gid,
        Self::Groups,
        Self::Threads,
        Self::CapInh,
        Self::CapPrm,
        Self::CapEff,
        Self::CapBnd,
        Self::CapAmb,
        Self::NoNewPrivs,
        Self::Seccomp,
        Self::SeccompFilters,
    ];

    /// Its name in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uid => "Uid",
            Self::Gid => "Gid",
            Self::Groups => "Groups",
            Self::Threads => "Threads",
            Self::CapInh => "CapInh",
            Self::CapPrm => "CapPrm",
            Self::CapEff => "CapEff",
            Self::CapBnd => "CapBnd",
            Self::CapAmb => "CapAmb",
            Self::NoNewPrivs => "NoNewPrivs",
            Self::Seccomp => "Seccomp",
            Self::SeccompFilters => "Seccomp_filters",
        }
    }
}

/// Why a text is not a valid status file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusErrorKind {
    /// More than [`MAX_BYTES`].
    TooLong(usize),
    /// No newline at the end: the text is incomplete.
    Unfinished,
    /// The line is not there.
    Missing(Key),
    /// The line is duplicate.
    Repeated(Key),
    /// The line's value is invalid.
    Value(Key),
}

/// The process that `text` describes. Unknown lines are skipped. The process can
/// choose only its name, in which the kernel escapes newlines.
///
/// # Errors
/// A needed line is missing, duplicate or invalid.
pub fn parse(text: &[u8]) -> Result<Status, Fault<StatusErrorKind>> {
    if text.len() > MAX_BYTES {
        return Err(Fault::new(
            MAX_BYTES..text.len(),
            StatusErrorKind::TooLong(text.len()),
        ));
    }
    if !text.ends_with(b"\n") {
        return Err(Fault::new(
            text.len()..text.len(),
            StatusErrorKind::Unfinished,
        ));
    }
    let mut lines = Lines {
        text,
        values: [const { None }; Key::ALL.len()],
    };
    lines.collect()?;
    Ok(Status {
        uids: lines.read(Key::Uid, ids)?,
        gids: lines.read(Key::Gid, ids)?,
        groups: lines.read(Key::Groups, groups)?,
        threads: lines.read(Key::Threads, decimal)?,
        inheritable: lines.read(Key::CapInh, capabilities)?,
        permitted: lines.read(Key::CapPrm, capabilities)?,
        effective: lines.read(Key::CapEff, capabilities)?,
        bounding: lines.read(Key::CapBnd, capabilities)?,
        ambient: lines.read(Key::CapAmb, capabilities)?,
        no_new_privs: lines.read(Key::NoNewPrivs, |value| match value {
            b"0" => Some(false),
            b"1" => Some(true),
            _ => None,
        })?,
        seccomp: lines.read(Key::Seccomp, |value| match value {
            b"0" => Some(Seccomp::Disabled),
            b"1" => Some(Seccomp::Strict),
            b"2" => Some(Seccomp::Filter),
            _ => None,
        })?,
        seccomp_filters: lines.read(Key::SeccompFilters, decimal)?,
    })
}

/// The values of the lines that are read.
struct Lines<'a> {
    text: &'a [u8],
    /// By [`Key`].
    values: [Option<Range<usize>>; Key::ALL.len()],
}

impl Lines<'_> {
    fn collect(&mut self) -> Result<(), Fault<StatusErrorKind>> {
        let mut start = 0;
        for line in self.text.split_inclusive(|byte| *byte == b'\n') {
            let end = start + line.len();
            let keys = Key::ALL.into_iter().zip(&mut self.values);
            for (key, value) in keys {
                let Some(rest) = line.strip_prefix(key.name().as_bytes()) else {
                    continue;
                };
                if !rest.starts_with(b":") {
                    continue;
                }
                if value.is_some() {
                    return Err(Fault::new(start..end - 1, StatusErrorKind::Repeated(key)));
                }
                *value = Some(end - rest.len() + 1..end - 1);
            }
            start = end;
        }
        Ok(())
    }

    fn read<T>(
        &self,
        key: Key,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, Fault<StatusErrorKind>> {
        let mut keys = Key::ALL.into_iter().zip(&self.values);
        let Some((_, Some(span))) = keys.find(|(known, _)| *known == key) else {
            return Err(Fault::new(
                0..self.text.len(),
                StatusErrorKind::Missing(key),
            ));
        };
        let value = self.text.get(span.clone()).unwrap_or_default();
        let value = value.strip_prefix(b"\t").and_then(read);
        value.ok_or_else(|| Fault::new(span.clone(), StatusErrorKind::Value(key)))
    }
}

fn ids(value: &[u8]) -> Option<Ids> {
    let mut ids = value.split(|byte| *byte == b'\t').map(decimal);
    let four = Ids {
        real: ids.next()??,
        effective: ids.next()??,
        saved: ids.next()??,
        file_system: ids.next()??,
    };
    ids.next().is_none().then_some(four)
}

/// Numbers, each with a space after it; the kernel prints a space for none.
fn groups(value: &[u8]) -> Option<Vec<u32>> {
    let value = value.strip_suffix(b" ").unwrap_or(value);
    if value.is_empty() {
        return Some(Vec::new());
    }
    value.split(|byte| *byte == b' ').map(decimal).collect()
}

/// Sixteen hexadecimal digits, the letters in lower case.
fn capabilities(value: &[u8]) -> Option<CapabilitySet> {
    let digits = value.len() == 16
        && value
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let text = std::str::from_utf8(value).ok().filter(|_| digits)?;
    let bits = u64::from_str_radix(text, 16).ok()?;
    Some(CapabilitySet::from_bits(bits))
}

impl fmt::Display for StatusErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(
                    f,
                    "a status file of {length} bytes; the limit is {MAX_BYTES}"
                )
            }
            Self::Unfinished => f.write_str("no newline at the end: the text is incomplete"),
            Self::Missing(key) => write!(
                f,
                "{} is missing in status; Linux 5.10 with seccomp has it",
                key.name()
            ),
            Self::Repeated(key) => write!(f, "duplicate line {} in status", key.name()),
            Self::Value(key) => write!(f, "invalid value of {} in status", key.name()),
        }
    }
}

#[cfg(test)]
mod tests;
