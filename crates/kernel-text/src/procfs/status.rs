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

/// The four ids of a process, credentials(7). 2^32 - 1 never stands there: an id
/// that the reader's user namespace does not have is shown as the overflow id.
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

/// Why a text is no such file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// More than [`MAX_BYTES`].
    TooLong(usize),
    /// No newline at the end: it was not read whole.
    Unfinished,
    /// The line is not there.
    Missing(Key),
    /// The line stands twice.
    Repeated(Key),
    /// The line's value is not what it has to be.
    Value(Key),
}

/// The process that `text` describes. Lines that are not read are passed over;
/// the name, the one thing that is the process's to choose, has its newlines
/// escaped by the kernel.
///
/// # Errors
/// A line that is read is missing, stands twice, or is not what it has to be.
pub fn parse(text: &[u8]) -> Result<Status, Fault<Reason>> {
    if text.len() > MAX_BYTES {
        return Err(Fault::new(
            MAX_BYTES..text.len(),
            Reason::TooLong(text.len()),
        ));
    }
    if !text.ends_with(b"\n") {
        return Err(Fault::new(text.len()..text.len(), Reason::Unfinished));
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
    fn collect(&mut self) -> Result<(), Fault<Reason>> {
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
                    return Err(Fault::new(start..end - 1, Reason::Repeated(key)));
                }
                *value = Some(end - rest.len() + 1..end - 1);
            }
            start = end;
        }
        Ok(())
    }

    fn read<T>(&self, key: Key, read: impl FnOnce(&[u8]) -> Option<T>) -> Result<T, Fault<Reason>> {
        let mut keys = Key::ALL.into_iter().zip(&self.values);
        let Some((_, Some(span))) = keys.find(|(known, _)| *known == key) else {
            return Err(Fault::new(0..self.text.len(), Reason::Missing(key)));
        };
        let value = self.text.get(span.clone()).unwrap_or_default();
        let value = value.strip_prefix(b"\t").and_then(read);
        value.ok_or_else(|| Fault::new(span.clone(), Reason::Value(key)))
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

/// Numbers, each with a space behind it; the kernel prints a space for none.
fn groups(value: &[u8]) -> Option<Vec<u32>> {
    let value = value.strip_suffix(b" ").unwrap_or(value);
    if value.is_empty() {
        return Some(Vec::new());
    }
    value.split(|byte| *byte == b' ').map(decimal).collect()
}

/// Sixteen hexadecimal digits, the letters small.
fn capabilities(value: &[u8]) -> Option<CapabilitySet> {
    let digits = value.len() == 16
        && value
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let text = std::str::from_utf8(value).ok().filter(|_| digits)?;
    let bits = u64::from_str_radix(text, 16).ok()?;
    Some(CapabilitySet::from_bits(bits))
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(
                    f,
                    "a status file of {length} bytes; {MAX_BYTES} are the most"
                )
            }
            Self::Unfinished => {
                f.write_str("no newline at the end; it is read whole or not at all")
            }
            Self::Missing(key) => write!(
                f,
                "{} is missing in status; Linux 5.10 with seccomp has it",
                key.name()
            ),
            Self::Repeated(key) => write!(f, "{} stands twice in status", key.name()),
            Self::Value(key) => write!(f, "{} in status is not what it has to be", key.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    const SHELL: &str = "Name:\tsh\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t7\nPid:\t7\n\
        PPid:\t1\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t4294967294\nFDSize:\t256\n\
        Groups:\t4 20 \nVmPeak:\t    2556 kB\nThreads:\t3\nSigQ:\t0/15427\n\
        CapInh:\t0000000000000000\nCapPrm:\t0000000000000021\nCapEff:\t0000000000000001\n\
        CapBnd:\t000001fffeffffff\nCapAmb:\t8000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n\
        Seccomp_filters:\t12\nSpeculation_Store_Bypass:\tvulnerable\n";

    fn refused(text: &str) -> (Reason, String) {
        let fault = parse(text.as_bytes()).expect_err("it should be refused");
        let place = text.get(fault.span).expect("inside the text");
        (fault.reason, place.to_owned())
    }

    fn print(status: &Status) -> String {
        let ids = |ids: &Ids| {
            let Ids {
                real,
                effective,
                saved,
                file_system,
            } = ids;
            format!("{real}\t{effective}\t{saved}\t{file_system}")
        };
        let set = |set: CapabilitySet| format!("{:016x}", set.bits());
        let groups: Vec<String> = status.groups.iter().map(u32::to_string).collect();
        let seccomp = match status.seccomp {
            Seccomp::Disabled => 0,
            Seccomp::Strict => 1,
            Seccomp::Filter => 2,
        };
        format!(
            "Uid:\t{}\nGid:\t{}\nGroups:\t{}\nThreads:\t{}\nCapInh:\t{}\nCapPrm:\t{}\nCapEff:\t{}\n\
             CapBnd:\t{}\nCapAmb:\t{}\nNoNewPrivs:\t{}\nSeccomp:\t{seccomp}\n\
             Seccomp_filters:\t{}\n",
            ids(&status.uids),
            ids(&status.gids),
            groups.join(" "),
            status.threads,
            set(status.inheritable),
            set(status.permitted),
            set(status.effective),
            set(status.bounding),
            set(status.ambient),
            u8::from(status.no_new_privs),
            status.seccomp_filters,
        )
    }

    #[test]
    fn a_file_of_the_kernel_is_understood() {
        let ids = |[real, effective, saved, file_system]: [u32; 4]| Ids {
            real,
            effective,
            saved,
            file_system,
        };
        assert_eq!(
            parse(SHELL.as_bytes()),
            Ok(Status {
                uids: ids([1, 2, 3, 4]),
                gids: ids([5, 6, 7, 4_294_967_294]),
                groups: vec![4, 20],
                threads: 3,
                inheritable: CapabilitySet::EMPTY,
                permitted: CapabilitySet::from_bits(0x21),
                effective: CapabilitySet::from_bits(1),
                bounding: CapabilitySet::from_bits(0x1ff_feff_ffff),
                ambient: CapabilitySet::from_bits(1 << 63),
                no_new_privs: true,
                seccomp: Seccomp::Filter,
                seccomp_filters: 12,
            })
        );
        let own = std::fs::read("/proc/self/status").expect("procfs");
        let own = parse(&own).expect("a file of the kernel");
        assert!(own.threads >= 1);
    }

    #[test]
    fn every_line_that_is_read_is_there_once() {
        for key in Key::ALL {
            let line = |line: &&str| line.starts_with(&format!("{}:", key.name()));
            let lines = || SHELL.split_inclusive('\n');
            let mine: String = lines().filter(line).collect();
            assert!(!mine.is_empty());
            let others: String = lines().filter(|text| !line(text)).collect();
            assert_eq!(refused(&others), (Reason::Missing(key), others.clone()));
            let twice = format!("{SHELL}{mine}");
            assert_eq!(
                refused(&twice),
                (
                    Reason::Repeated(key),
                    mine.trim_end_matches('\n').to_owned()
                )
            );
        }
    }

    #[test]
    fn every_value_is_what_it_has_to_be() {
        for (right, wrong, key) in [
            ("Uid:\t1\t2\t3\t4", "Uid:\t1\t2\t3", Key::Uid),
            ("Uid:\t1\t2\t3\t4", "Uid:\t1\t2\t3\t4\t5", Key::Uid),
            ("Uid:\t1\t2\t3\t4", "Uid:\t1\t2\t3\t-1", Key::Uid),
            ("Uid:\t1\t2\t3\t4", "Uid:\t01\t2\t3\t4", Key::Uid),
            ("Uid:\t1\t2\t3\t4", "Uid:1\t2\t3\t4", Key::Uid),
            ("4294967294", "4294967296", Key::Gid),
            ("Groups:\t4 20 ", "Groups:\t4  20 ", Key::Groups),
            ("Groups:\t4 20 ", "Groups:\t4 20\t", Key::Groups),
            ("Threads:\t3", "Threads:\t", Key::Threads),
            ("0000000000000000", "000000000000000", Key::CapInh),
            ("0000000000000000", "00000000000000000", Key::CapInh),
            ("0000000000000021", "000000000000002A", Key::CapPrm),
            (
                "CapEff:\t0000000000000001",
                "CapEff:\t+000000000000001",
                Key::CapEff,
            ),
            ("CapBnd:\t0", "CapBnd:\tx", Key::CapBnd),
            ("CapAmb:\t8", "CapAmb:\t 8", Key::CapAmb),
            ("NoNewPrivs:\t1", "NoNewPrivs:\t2", Key::NoNewPrivs),
            ("Seccomp:\t2", "Seccomp:\t3", Key::Seccomp),
            ("filters:\t12", "filters:\t12 ", Key::SeccompFilters),
        ] {
            let text = SHELL.replacen(right, wrong, 1);
            assert_ne!(text, SHELL);
            assert_eq!(refused(&text).0, Reason::Value(key), "{wrong:?}");
        }
        let (_, place) = refused(&SHELL.replace("Threads:\t3", "Threads:\t-3"));
        assert_eq!(place, "\t-3");
    }

    #[test]
    fn the_file_is_whole_and_bounded() {
        assert_eq!(refused(""), (Reason::Unfinished, String::new()));
        assert_eq!(refused(SHELL.trim_end()).0, Reason::Unfinished);
        let groups = "4 ".repeat((MAX_BYTES - SHELL.len()) / 2);
        let text = SHELL.replace("Groups:\t", &format!("Groups:\t{groups}"));
        let most = format!("{}{text}", "x".repeat(MAX_BYTES - text.len()));
        assert_eq!(most.len(), MAX_BYTES);
        assert!(parse(most.as_bytes()).is_ok());
        assert_eq!(
            refused(&format!("x{most}")).0,
            Reason::TooLong(MAX_BYTES + 1)
        );
    }

    proptest! {
        #[test]
        fn what_is_understood_prints_and_reads_the_same(
            line in 0_usize..22, value in "\t[0-9a-f]{16}|\t[0-9]{1,4}|\t[0-9]\t[0-9]\t[0-9]\t[0-9]|[ -~\t]{0,6}"
        ) {
            let changed = SHELL.split_inclusive('\n').enumerate().map(|(at, text)| {
                match text.split_once(':') {
                    Some((key, _)) if at == line => format!("{key}:{value}\n"),
                    _ => text.to_owned(),
                }
            });
            let text: String = changed.collect();
            match parse(text.as_bytes()) {
                Ok(status) => prop_assert_eq!(parse(print(&status).as_bytes()), Ok(status)),
                Err(fault) => prop_assert!(text.get(fault.span).is_some()),
            }
        }
    }
}
