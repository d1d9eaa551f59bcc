//! Protocol B's log lines: `{"level":"debug", "msg": "nsexec-1[PID]: text"}`,
//! byte for byte the format of runc's nsexec.c.
//!
//! A line is formatted between clone and exec, so it lives in the caller's
//! buffer: this module never allocates, locks or panics. Each line fits one
//! write(2), because three processes share the pipe.

use std::fmt::{self, Write};

use crate::log_escape::Escaped;
use nsexec_kernel_text::Pid;

/// Longest line, in bytes: PIPE_BUF, limits.h. Lines of up to that length never
/// mix in a pipe, pipe(7); runc's reader gives up at one of 64 KiB.
pub const MAX_LINE: usize = 4096;

/// The end of every line.
const END: &[u8] = b"\"}\n";

/// The severity of a line, the most severe first. A runtime requests a level by
/// its number, 0 to 6, and receives the lines of that level and of the levels
/// before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// 0: nothing that nsexec.c writes.
    Panic,
    /// 1: the reason of a failure; runc builds its error message from these lines.
    Fatal,
    /// 2
    Error,
    /// 3
    Warning,
    /// 4
    Info,
    /// 5
    Debug,
    /// 6
    Trace,
}

impl Level {
    /// Every level, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Panic,
        Self::Fatal,
        Self::Error,
        Self::Warning,
        Self::Info,
        Self::Debug,
        Self::Trace,
    ];

    /// Its name in a line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Fatal => "fatal",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Which process writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BootstrapStage {
    /// The only one, before the first clone.
    Setup,
    /// Stage 0, the runtime's child: `runc:[0:PARENT]`.
    Parent,
    /// Stage 1, which joins: `runc:[1:CHILD]`.
    Child,
    /// Stage 2, which becomes the program: `runc:[2:INIT]`.
    Init,
}

impl BootstrapStage {
    /// Its name in a line.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Setup => "nsexec",
            Self::Parent => "nsexec-0",
            Self::Child => "nsexec-1",
            Self::Init => "nsexec-2",
        }
    }
}

/// A log line under construction, in the caller's buffer.
///
/// The line stays valid JSON for any text: a message that is too long is cut
/// between two characters, and a NUL ends it, as it ends a C string.
#[derive(Debug)]
pub struct Line<'a> {
    buffer: &'a mut [u8; MAX_LINE],
    /// Leaves room for [`END`].
    length: usize,
    message: Message,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    Open,
    /// By a NUL.
    Ended,
    /// The following text had no room.
    Cut,
}

impl<'a> Line<'a> {
    /// A line whose message contains only the writer. `pid` is the writer's own,
    /// from getpid(2).
    #[must_use]
    pub fn begin(
        buffer: &'a mut [u8; MAX_LINE],
        level: Level,
        stage: BootstrapStage,
        pid: Pid,
    ) -> Self {
        let mut line = Self {
            buffer,
            length: 0,
            message: Message::Open,
        };
        line.append(b"{\"level\":\"");
        line.append(level.name().as_bytes());
        line.append(b"\", \"msg\": \"");
        // The longest of these has 60 bytes, and none needs escaping.
        let _ = write!(line, "{}[{pid}]: ", stage.tag());
        line
    }

    /// Adds to the message, escaped.
    pub fn push(&mut self, text: &[u8]) {
        for byte in text {
            if self.message != Message::Open {
                return;
            }
            if *byte == 0 {
                self.message = Message::Ended;
            } else {
                self.append(Escaped::of(*byte).as_bytes());
            }
        }
    }

    /// The whole line, with its newline, for a single write.
    #[must_use]
    pub fn finish(mut self) -> &'a [u8] {
        if self.message == Message::Cut {
            let written = self.buffer.get(..self.length).unwrap_or_default();
            self.length -= unfinished_character(written);
        }
        let end = self.length.saturating_add(END.len());
        if let Some(room) = self.buffer.get_mut(self.length..end) {
            room.copy_from_slice(END);
        }
        self.buffer.get(..end).unwrap_or_default()
    }

    /// Adds all of `bytes`, or nothing any more.
    fn append(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        match self.buffer.get_mut(self.length..end) {
            Some(room) if end <= MAX_LINE - END.len() => {
                room.copy_from_slice(bytes);
                self.length = end;
            }
            _ => self.message = Message::Cut,
        }
    }
}

impl Write for Line<'_> {
    /// [`Line::push`], for format_args!; it never fails.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

/// How many bytes at the end of `text` are the beginning of a UTF-8 character:
/// 0 to 3.
fn unfinished_character(text: &[u8]) -> usize {
    let begins = |count: &usize| {
        let start = text.len().checked_sub(*count);
        let tail = start.and_then(|start| text.get(start..));
        let error = tail.and_then(|tail| std::str::from_utf8(tail).err());
        error.is_some_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    (1..=3).find(begins).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn pid(number: i32) -> Pid {
        Pid::new(number).expect("positive")
    }

    fn line(level: Level, stage: BootstrapStage, number: i32, message: &[u8]) -> Vec<u8> {
        let mut buffer = [0xaa; MAX_LINE];
        let mut line = Line::begin(&mut buffer, level, stage, pid(number));
        line.push(message);
        line.finish().to_vec()
    }

    /// Its level and message, as seen by a reader that knows no other keys.
    fn read(line: &[u8]) -> (String, String) {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Read {
            level: String,
            msg: String,
        }
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let text = line.strip_suffix(b"\n").expect("a line");
        let text = String::from_utf8_lossy(text);
        let Read { level, msg } = serde_json::from_str(&text).expect("JSON of these keys");
        (level, msg)
    }

    #[test]
    fn lines_are_those_of_nsexec_c() {
        for (level, stage, number, message, wanted) in [
            (
                Level::Debug,
                BootstrapStage::Setup,
                4711,
                "=> nsexec container setup",
                "{\"level\":\"debug\", \"msg\": \"nsexec[4711]: => nsexec container setup\"}\n",
            ),
            (
                Level::Fatal,
                BootstrapStage::Parent,
                1,
                "a\"b",
                "{\"level\":\"fatal\", \"msg\": \"nsexec-0[1]: a\\\"b\"}\n",
            ),
            (
                Level::Warning,
                BootstrapStage::Child,
                i32::MAX,
                "\u{e4}\u{1}",
                "{\"level\":\"warning\", \"msg\": \"nsexec-1[2147483647]: \u{e4}\\u0001\"}\n",
            ),
            (
                Level::Info,
                BootstrapStage::Init,
                2,
                "",
                "{\"level\":\"info\", \"msg\": \"nsexec-2[2]: \"}\n",
            ),
        ] {
            let written = line(level, stage, number, message.as_bytes());
            assert_eq!(String::from_utf8(written).expect("UTF-8"), wanted);
        }
        let names = Level::ALL.map(Level::name);
        let ordered = [
            "panic", "fatal", "error", "warning", "info", "debug", "trace",
        ];
        assert_eq!(names, ordered);
        assert!(Level::ALL.is_sorted());
    }

    #[test]
    fn a_message_is_written_in_pieces_and_formatted() {
        let mut buffer = [0; MAX_LINE];
        let mut line = Line::begin(&mut buffer, Level::Debug, BootstrapStage::Setup, pid(9));
        line.push(b"open ");
        write!(line, "{:?}: 0x{:x}", "a\nb", 255).expect("it never fails");
        assert_eq!(read(line.finish()).1, "nsexec[9]: open \"a\\nb\": 0xff");
    }

    #[test]
    fn a_nul_ends_the_message_for_good() {
        let mut buffer = [0; MAX_LINE];
        let mut line = Line::begin(&mut buffer, Level::Error, BootstrapStage::Init, pid(9));
        line.push(b"before\0after");
        line.push(b"and more");
        assert_eq!(
            line.finish(),
            b"{\"level\":\"error\", \"msg\": \"nsexec-2[9]: before\"}\n"
        );
    }

    #[test]
    fn text_like_a_log_line_stays_a_message() {
        let message = "\"}\n{\"level\":\"info\", \"msg\": \"x\"}\n";
        let written = line(Level::Fatal, BootstrapStage::Child, 3, message.as_bytes());
        assert_eq!(
            read(&written),
            ("fatal".to_owned(), format!("nsexec-1[3]: {message}"))
        );
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let empty = line(Level::Fatal, BootstrapStage::Parent, 5, b"").len();
        let room = MAX_LINE - empty;
        for (unit, escaped) in [
            ("a", 1),
            ("\\", 2),
            ("\u{1}", 6),
            ("\u{e4}", 2),
            ("\u{20ac}", 3),
            ("\u{1f600}", 4),
        ] {
            // Each shift moves the place of the cut through the unit.
            for shift in 0..escaped {
                let message = format!("{}{}", "-".repeat(shift), unit.repeat(MAX_LINE));
                let written = line(Level::Fatal, BootstrapStage::Parent, 5, message.as_bytes());
                let units = (room - shift) / escaped;
                assert_eq!(
                    written.len(),
                    empty + shift + units * escaped,
                    "{unit:?} {shift}"
                );
                assert!(std::str::from_utf8(&written).is_ok(), "{unit:?} {shift}");
                let kept = message.chars().take(shift + units).collect::<String>();
                assert_eq!(read(&written).1, format!("nsexec-0[5]: {kept}"));
            }
        }
        let fits = line(Level::Fatal, BootstrapStage::Parent, 5, &b"a".repeat(room));
        assert_eq!(fits.len(), MAX_LINE);
    }

    #[test]
    fn nothing_follows_a_cut() {
        let mut buffer = [0; MAX_LINE];
        let mut line = Line::begin(&mut buffer, Level::Debug, BootstrapStage::Setup, pid(1));
        line.push(&b"\x01".repeat(MAX_LINE));
        line.push(b"z");
        assert!(!line.finish().contains(&b'z'));
    }

    #[test]
    fn bytes_that_are_no_characters_are_kept() {
        for tail in [&b"\x80\x80\x80\x80"[..], b"\xff", b"a\xc3", b"\xf0\x9f"] {
            let written = line(Level::Debug, BootstrapStage::Setup, 1, tail);
            assert!(written.ends_with(&[tail, END].concat()), "{tail:?}");
        }
    }

    proptest! {
        #[test]
        fn every_message_is_one_line_with_two_keys(
            message: Vec<u8>, times in 1_usize..60, number in 1..=i32::MAX,
            level in 0_usize..7,
        ) {
            let message = message.repeat(times);
            let level = Level::ALL[level];
            let written = line(level, BootstrapStage::Init, number, &message);
            prop_assert!(written.len() <= MAX_LINE);
            let (name, _) = read(&written);
            prop_assert_eq!(name, level.name());
        }
    }
}
