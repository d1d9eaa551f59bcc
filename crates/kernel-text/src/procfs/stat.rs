//! `/proc/PID/stat`, proc_pid_stat(5).

use std::fmt;
use std::ops::Range;

use crate::Pid;
use crate::procfs::decimal::decimal;
use nsexec_text::Fault;

/// Longest line, in bytes. 52 fields of at most 21 characters and a name of at
/// most 64 (fs/proc/array.c) need about 1,200; the kernel returns at most a page
/// per read.
pub const MAX_BYTES: usize = 4096;

const PF_FORKNOEXEC: u32 = 0x0000_0040;
const PF_KTHREAD: u32 = 0x0020_0000;

/// Facts about a process. The process itself can choose only the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Field 1, in the pid namespace of the procfs.
    pub pid: Pid,
    /// Field 3.
    pub state: State,
    /// Field 4: the parent's pid; 0 where it is outside the pid namespace.
    pub parent: u32,
    /// Field 9: PF_*, linux/sched.h.
    pub flags: u32,
    /// Field 20.
    pub threads: u32,
    /// Field 22: clock ticks (1/100 s) from boot to the start.
    pub start_time: u64,
}

impl Stat {
    /// Whether it is a kernel thread (PF_KTHREAD).
    #[must_use]
    pub fn is_kernel_thread(&self) -> bool {
        self.flags & PF_KTHREAD != 0
    }

    /// Whether its main thread has ended and was not reaped. Other threads of the
    /// process may still run.
    #[must_use]
    pub fn is_zombie(&self) -> bool {
        self.state == State::Zombie
    }

    /// Whether it has forked and not executed anything since (PF_FORKNOEXEC). A
    /// zombie keeps its last value.
    #[must_use]
    pub fn is_forked_without_exec(&self) -> bool {
        self.flags & PF_FORKNOEXEC != 0
    }
}

/// The state of a process, task_state_array in fs/proc/array.c.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// `R`
    Running,
    /// `S`
    Sleeping,
    /// `D`
    DiskSleep,
    /// `T`
    Stopped,
    /// `t`
    TracingStop,
    /// `X`
    Dead,
    /// `Z`
    Zombie,
    /// `P`
    Parked,
    /// `I`
    Idle,
}

impl State {
    fn from_letter(letter: &[u8]) -> Option<Self> {
        match letter {
            b"R" => Some(Self::Running),
            b"S" => Some(Self::Sleeping),
            b"D" => Some(Self::DiskSleep),
            b"T" => Some(Self::Stopped),
            b"t" => Some(Self::TracingStop),
            b"X" => Some(Self::Dead),
            b"Z" => Some(Self::Zombie),
            b"P" => Some(Self::Parked),
            b"I" => Some(Self::Idle),
            _ => None,
        }
    }
}

/// Why a text is not a valid stat line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatErrorKind {
    /// More than [`MAX_BYTES`].
    TooLong(usize),
    /// No name in parentheses after the pid.
    Name,
    /// No newline at the end: the text is incomplete.
    Unfinished,
    /// The field of this number is not there.
    Missing(usize),
    /// The field with this number is invalid.
    Field(usize),
}

/// The process that `text` describes.
///
/// The name may contain any byte, including `)` and newlines. Only numbers
/// follow it, so the last `)` ends it.
///
/// # Errors
/// The line is incomplete, or a needed field is invalid.
pub fn parse(text: &[u8]) -> Result<Stat, Fault<StatErrorKind>> {
    if text.len() > MAX_BYTES {
        return Err(Fault::new(
            MAX_BYTES..text.len(),
            StatErrorKind::TooLong(text.len()),
        ));
    }
    let whole = |reason| Fault::new(0..text.len(), reason);
    let open = text.iter().position(|byte| *byte == b'(');
    let close = text.iter().rposition(|byte| *byte == b')');
    let (Some(open), Some(close)) = (open, close) else {
        return Err(whole(StatErrorKind::Name));
    };
    let pid_end = text.get(..open).and_then(|pid| pid.strip_suffix(b" "));
    let rest = text.get(close + 1..).and_then(|r| r.strip_prefix(b" "));
    let (Some(pid), Some(rest), true) = (pid_end, rest, open < close) else {
        return Err(whole(StatErrorKind::Name));
    };
    let Some(rest) = rest.strip_suffix(b"\n") else {
        return Err(Fault::new(
            text.len()..text.len(),
            StatErrorKind::Unfinished,
        ));
    };
    let fields = Fields {
        rest,
        start: close + 2,
    };
    let number = |field| fields.read(field, decimal::<u32>);
    Ok(Stat {
        pid: decimal(pid)
            .and_then(Pid::new)
            .ok_or_else(|| Fault::new(0..pid.len(), StatErrorKind::Field(1)))?,
        state: fields.read(3, State::from_letter)?,
        parent: number(4)?,
        flags: number(9)?,
        threads: number(20)?,
        start_time: fields.read(22, decimal)?,
    })
}

/// The fields from the third on.
struct Fields<'a> {
    rest: &'a [u8],
    start: usize,
}

impl Fields<'_> {
    fn read<T>(
        &self,
        field: usize,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, Fault<StatErrorKind>> {
        let mut start = self.start;
        for (text, number) in self.rest.split(|byte| *byte == b' ').zip(3..) {
            if number == field {
                let span: Range<usize> = start..start + text.len();
                return read(text).ok_or_else(|| Fault::new(span, StatErrorKind::Field(field)));
            }
            start += text.len() + 1;
        }
        let end = self.start + self.rest.len();
        Err(Fault::new(end..end, StatErrorKind::Missing(field)))
    }
}

impl fmt::Display for StatErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(f, "a stat line of {length} bytes; the limit is {MAX_BYTES}")
            }
            Self::Name => f.write_str("no name in parentheses after the pid"),
            Self::Unfinished => f.write_str("no newline at the end: the text is incomplete"),
            Self::Missing(field) => write!(f, "field {field} of stat is missing"),
            Self::Field(field) => write!(f, "field {field} of stat is invalid"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    const SHELL: &str = "4711 (sh) S 1 4711 4711 34816 4712 4194560 1055 0 0 0 5 2 0 0 20 0 1 0 \
        987654321 2617344 241 18446744073709551615 1 1 0 0 0 0 0 4096 65538 1 0 0 17 1 0 0 0 0 0 \
        0 0 0 0 0 0 0 0\n";

    const KTHREADD: &str = "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 26 0 0 \
        18446744073709551615 0 0 0 0 0 0 0 2147483647 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

    fn line(pid: &str, name: &str, state: &str, parent: &str, flags: &str) -> Vec<u8> {
        format!("{pid} ({name}) {state} {parent} 1 1 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 3 0 42\n")
            .into_bytes()
    }

    fn refused(text: &[u8]) -> StatErrorKind {
        parse(text).expect_err("it should be refused").reason
    }

    #[test]
    fn a_line_of_the_kernel_is_understood() {
        let stat = Stat {
            pid: Pid::new(4711).expect("positive"),
            state: State::Sleeping,
            parent: 1,
            flags: 4_194_560,
            threads: 1,
            start_time: 987_654_321,
        };
        assert_eq!(parse(SHELL.as_bytes()), Ok(stat));
        let kthreadd = parse(KTHREADD.as_bytes()).expect("a line of the kernel");
        assert_eq!((kthreadd.parent, kthreadd.start_time), (0, 26));
        assert!(kthreadd.is_kernel_thread());
        let own = std::fs::read("/proc/self/stat").expect("procfs");
        let own = parse(&own).expect("a line of the kernel");
        assert_eq!(u32::try_from(own.pid.get()), Ok(std::process::id()));
        assert!(!own.is_kernel_thread());
        assert!(!own.is_forked_without_exec());
    }

    #[test]
    fn a_name_forges_nothing() {
        for name in [
            "",
            ")",
            ") R 1 1",
            "a) (b",
            "((",
            "x\n1 (y) Z 1",
            ") Z 0 0 0 0 0 2097216 0 0 0 0 0 0 0 0 0 0 9 0 9\n",
            "\u{fffd}",
        ] {
            let stat = parse(&line("7", name, "T", "6", "64")).expect("a line");
            assert_eq!((stat.state, stat.parent), (State::Stopped, 6), "{name:?}");
            assert_eq!((stat.threads, stat.start_time), (3, 42), "{name:?}");
        }
    }

    #[test]
    fn kernel_threads_and_forks_are_recognised_by_their_flags() {
        let flags = |flags: &str| {
            let stat = parse(&line("7", "x", "S", "2", flags)).expect("a line");
            (stat.is_kernel_thread(), stat.is_forked_without_exec())
        };
        assert_eq!(flags("4194304"), (false, false));
        assert_eq!(flags("2097152"), (true, false));
        assert_eq!(flags("2129984"), (true, true));
        assert_eq!(flags("4194368"), (false, true));
    }

    #[test]
    fn an_invalid_needed_field_is_an_error() {
        for (text, reason) in [
            (line("0", "x", "S", "1", "0"), StatErrorKind::Field(1)),
            (line("-1", "x", "S", "1", "0"), StatErrorKind::Field(1)),
            (
                line("2147483648", "x", "S", "1", "0"),
                StatErrorKind::Field(1),
            ),
            (line("", "x", "S", "1", "0"), StatErrorKind::Field(1)),
            (line("1", "x", "Q", "1", "0"), StatErrorKind::Field(3)),
            (line("1", "x", "SS", "1", "0"), StatErrorKind::Field(3)),
            (line("1", "x", "", "1", "0"), StatErrorKind::Field(3)),
            (line("1", "x", "S", "-1", "0"), StatErrorKind::Field(4)),
            (
                line("1", "x", "S", "1", "4294967296"),
                StatErrorKind::Field(9),
            ),
            (line("1", "x", "S", "1", "0x40"), StatErrorKind::Field(9)),
        ] {
            assert_eq!(
                refused(&text),
                reason,
                "{:?}",
                String::from_utf8_lossy(&text)
            );
        }
        let text = line("1", "x", "S", "1", "-64");
        let fault = parse(&text).expect_err("it should be refused");
        assert_eq!(text.get(fault.span), Some(&b"-64"[..]));
    }

    #[test]
    fn a_line_is_whole() {
        for end in 0..SHELL.len() {
            let cut = SHELL.get(..end).expect("ASCII").as_bytes();
            assert!(
                matches!(
                    refused(cut),
                    StatErrorKind::Name | StatErrorKind::Unfinished
                ),
                "{end}"
            );
        }
        assert_eq!(
            refused(SHELL.trim_end().as_bytes()),
            StatErrorKind::Unfinished
        );
        assert_eq!(refused(b"1 (x) S 1 1\n"), StatErrorKind::Missing(9));
        assert_eq!(
            refused(b"1 (x) S 1 1 1 0 -1 0 1\n"),
            StatErrorKind::Missing(20)
        );
        for text in [
            &b"1 x S 1\n"[..],
            b"1(x) S\n",
            b"1 (x)S\n",
            b")1 (\n",
            b"1 )x( S\n",
            b"1 (x)",
        ] {
            assert_eq!(refused(text), StatErrorKind::Name);
        }
    }

    #[test]
    fn the_line_is_bounded() {
        let padding = MAX_BYTES - line("1", "", "S", "1", "0").len();
        let name = "n".repeat(padding);
        assert!(parse(&line("1", &name, "S", "1", "0")).is_ok());
        let text = line("1", &format!("{name}n"), "S", "1", "0");
        assert_eq!(refused(&text), StatErrorKind::TooLong(MAX_BYTES + 1));
    }

    fn print(stat: &Stat) -> Vec<u8> {
        let state = match stat.state {
            State::Running => "R",
            State::Sleeping => "S",
            State::DiskSleep => "D",
            State::Stopped => "T",
            State::TracingStop => "t",
            State::Dead => "X",
            State::Zombie => "Z",
            State::Parked => "P",
            State::Idle => "I",
        };
        format!(
            "{} (x) {state} {} 0 0 0 0 {} 0 0 0 0 0 0 0 0 0 0 {} 0 {}\n",
            stat.pid, stat.parent, stat.flags, stat.threads, stat.start_time
        )
        .into_bytes()
    }

    proptest! {
        #[test]
        fn a_parsed_stat_prints_and_parses_to_the_same(
            name in any::<String>(), state in "[RSDTtXZPI]", rest in "[0-9]{1,3}( [0-9-]{1,3}){15,20}"
        ) {
            let text = format!("12 ({name}) {state} {rest} 4\n");
            if let Ok(stat) = parse(text.as_bytes()) {
                prop_assert_eq!(parse(&print(&stat)), Ok(stat));
            }
        }

        #[test]
        fn arbitrary_text_does_not_panic(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Err(fault) = parse(&text) {
                prop_assert!(fault.span.end <= text.len());
            }
        }
    }
}
