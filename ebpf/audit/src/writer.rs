//! Lines on their way out, in a thread of their own: neither JSON and its hashes nor a
//! slow disk keep the rings from being read.

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::JoinHandle;

use serde::Serialize;
use serde_json::Value;

use crate::arguments::Format;
use crate::chain::{self, Chained};
use crate::lines;
use crate::output::Output;
use crate::priority;
use crate::record::MissedLine;
use crate::rules::Alert;
use crate::story::{Beginning, Told};
use crate::text::{HEAD, Text};

/// Most messages that wait to be written, of up to some hundred lines each: 5 MiB.
/// Beyond it events wait in their order, and then in the rings, where what does not
/// fit is counted.
const MOST: usize = 16;

/// Room for what is told beside events once there are so many: a loss, an alert, the
/// sums.
const BESIDE: usize = 4;

/// What becomes a line.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Line {
    Told(Told),
    Alert(Alert),
    Missed(MissedLine),
    /// Of JSON alone.
    Health(Value),
}

#[derive(Debug)]
enum Message {
    Lines(Vec<Line>),
    Rotate,
}

/// How lines look, and where they go.
#[derive(Debug)]
pub struct Lines {
    pub format: Format,
    pub text: Text,
    pub beginning: Beginning,
    pub out: Output,
}

/// The thread that writes.
#[derive(Debug)]
pub struct Writer {
    /// None once it was told to end.
    queue: Option<SyncSender<Message>>,
    /// What was written, once for each message. Whoever made it takes it apart again:
    /// memory that one thread takes and another gives back has both wait for each other.
    written: Receiver<Vec<Line>>,
    /// How many messages are not done yet.
    under_way: usize,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Writer {
    /// Writes the first line, and then what it is given. The thread has the signal mask
    /// of the one that calls.
    ///
    /// # Errors
    /// The output cannot be written, or there can be no thread.
    #[expect(
        clippy::disallowed_methods,
        reason = "it is the helper that must not have threads"
    )]
    pub fn start(lines: Lines) -> io::Result<Self> {
        let mut writing = Writing {
            lines,
            chained: Chained::after(chain::BEGINNING),
            line: Vec::new(),
        };
        writing.begin()?;
        let (queue, messages) = sync_channel(MOST + BESIDE);
        let (back, written) = channel();
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || writing.run(&messages, &back))?;
        Ok(Self {
            queue: Some(queue),
            written,
            under_way: 0,
            thread: Some(thread),
        })
    }

    /// Whether a message is taken without waiting.
    pub fn has_room(&mut self) -> bool {
        self.under_way -= self.written.try_iter().count();
        self.under_way < MOST
    }

    /// Takes lines, in their order. Waits where too many wait already.
    ///
    /// # Errors
    /// What was taken before could not be written.
    pub fn lines(&mut self, lines: Vec<Line>) -> io::Result<()> {
        self.send(Message::Lines(lines))
    }

    /// Begins another file with the next line; without a file, nothing. Waits as
    /// [`lines`](Self::lines).
    ///
    /// # Errors
    /// What was taken before could not be written.
    pub fn rotate(&mut self) -> io::Result<()> {
        self.send(Message::Rotate)
    }

    fn send(&mut self, message: Message) -> io::Result<()> {
        match &self.queue {
            Some(queue) if queue.send(message).is_ok() => {
                self.under_way += 1;
                self.has_room();
                Ok(())
            }
            _ => self.failed(),
        }
    }

    /// Whether all is well: it is not when something could not be written.
    ///
    /// # Errors
    /// Why it could not.
    pub fn check(&mut self) -> io::Result<()> {
        match &self.thread {
            Some(thread) if !thread.is_finished() => Ok(()),
            _ => self.failed(),
        }
    }

    /// It ends by itself after an error alone.
    fn failed(&mut self) -> io::Result<()> {
        self.finish()?;
        Err(io::Error::from(io::ErrorKind::BrokenPipe))
    }

    /// Writes all that was taken, to the disk, and ends.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(&mut self) -> io::Result<()> {
        self.queue = None;
        self.thread.take().map_or(Ok(()), |thread| {
            let ended = thread.join();
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// What was told is written, whatever became of the rest; of an error nobody is left
/// to hear.
impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

/// In the thread.
#[derive(Debug)]
struct Writing {
    lines: Lines,
    /// Of the lines of JSON.
    chained: Chained,
    /// Room for one.
    line: Vec<u8>,
}

impl Writing {
    fn run(mut self, messages: &Receiver<Message>, back: &Sender<Vec<Line>>) -> io::Result<()> {
        priority::raise();
        loop {
            let message = match messages.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Empty) => {
                    self.lines.out.flush()?;
                    match messages.recv() {
                        Ok(message) => message,
                        Err(_) => break,
                    }
                }
                Err(TryRecvError::Disconnected) => break,
            };
            let lines = match message {
                Message::Lines(lines) => lines,
                Message::Rotate => {
                    self.rotate()?;
                    Vec::new()
                }
            };
            lines.iter().try_for_each(|line| self.write(line))?;
            // Nobody takes the last ones.
            let _ = back.send(lines);
        }
        self.lines.out.finish()
    }

    /// The first line of a file: the names of the columns, or what the other lines are
    /// read with.
    fn begin(&mut self) -> io::Result<()> {
        match self.lines.format {
            Format::Text => self.put(&mut HEAD.as_bytes().to_vec()),
            Format::Json => {
                let last = self.chained.last();
                let mut start = self.lines.beginning.line();
                start.continues = (last != chain::BEGINNING).then(|| chain::hex(last));
                let mut line = Vec::new();
                lines::write(&start, &mut line)?;
                self.put(&mut line)
            }
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        if self.lines.out.rotate()? {
            self.begin()?;
        }
        Ok(())
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        match self.lines.format {
            Format::Json => {
                let mut json = std::mem::take(&mut self.line);
                json.clear();
                lines::write(line, &mut json)?;
                self.line(&mut json)?;
                self.line = json;
                Ok(())
            }
            Format::Text => {
                let text = self.lines.text;
                let line = match line {
                    Line::Told(told) => text.line(told),
                    Line::Alert(alert) => Some(text.alert(alert)),
                    Line::Missed(line) => Some(text.missed(line)),
                    Line::Health(_) => None,
                };
                line.map_or(Ok(()), |line| self.line(&mut line.into_bytes()))
            }
        }
    }

    /// One line without its end, in this file or, where it does not fit, the next.
    fn line(&mut self, line: &mut Vec<u8>) -> io::Result<()> {
        if self.lines.out.is_full(line.len() + chain::ADDED) {
            self.rotate()?;
        }
        self.put(line)
    }

    fn put(&mut self, line: &mut Vec<u8>) -> io::Result<()> {
        match self.lines.format {
            Format::Json => self.chained.end(line)?,
            Format::Text => line.push(b'\n'),
        }
        self.lines.out.line(line)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::*;
    use crate::story::Story;

    /// Takes so many bytes, and then says that there is no more room.
    struct Disk {
        room: usize,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = self.room.min(bytes.len());
            if taken == 0 && !bytes.is_empty() {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            self.room -= taken;
            self.taken.lock().unwrap().extend(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start(room: usize) -> (io::Result<Writer>, Arc<Mutex<Vec<u8>>>) {
        let taken = Arc::default();
        let disk = Disk {
            room,
            taken: Arc::clone(&taken),
        };
        let writer = Writer::start(Lines {
            format: Format::Json,
            text: Text { colour: false },
            beginning: Story::begin(Vec::new()).unwrap().beginning(),
            out: Output::Stream(Box::new(disk)),
        });
        (writer, taken)
    }

    fn line(number: usize) -> Line {
        Line::Health(json!({ "number": number }))
    }

    #[test]
    fn lines_are_written_in_their_order_and_whole_chain() {
        let (writer, taken) = start(usize::MAX);
        let mut writer = writer.unwrap();
        for first in (0..100).step_by(2) {
            writer.lines(vec![line(first), line(first + 1)]).unwrap();
            writer.check().unwrap();
        }
        drop(writer);
        let taken = taken.lock().unwrap();
        let verified = chain::verify(&mut taken.as_slice(), chain::BEGINNING).unwrap();
        assert_eq!(verified.unwrap().0, 101);
        let numbers = taken.split(|byte| *byte == b'\n').filter_map(|line| {
            let line: Value = serde_json::from_slice(line).ok()?;
            line["number"].as_u64()
        });
        assert_eq!(numbers.collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    }

    /// Takes nothing before it is let go.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // An error: for good.
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// With no room left, until what is returned is dropped. Its end is waited for: that
    /// has to be dropped before anything fails.
    pub(crate) fn full() -> (Writer, Sender<()>) {
        let (go, stuck) = channel();
        // For the first line, which is written before the thread is there.
        go.send(()).unwrap();
        let mut writer = Writer::start(Lines {
            format: Format::Json,
            text: Text { colour: false },
            beginning: Story::begin(Vec::new()).unwrap().beginning(),
            out: Output::Stream(Box::new(Stuck(stuck))),
        })
        .unwrap();
        for number in 0..=MOST {
            if writer.has_room() {
                writer.lines(vec![line(number)]).unwrap();
            }
        }
        (writer, go)
    }

    #[test]
    fn it_says_when_whoever_gives_more_would_wait() {
        let (mut writer, go) = full();
        let (taken, has_room) = (writer.under_way, writer.has_room());
        // The sums are told all the same, and a file is asked for; where there is no place
        // for them, that would wait for good.
        let places = match &writer.queue {
            Some(queue) => (0..BESIDE)
                .filter(|_| queue.try_send(Message::Rotate).is_ok())
                .count(),
            None => 0,
        };
        writer.under_way += places;
        // Before anything fails: its end is waited for.
        drop(go);
        assert_eq!((taken, has_room, places), (MOST, false, BESIDE));
        while !writer.has_room() {
            writer.check().unwrap();
        }
        writer.finish().unwrap();
        writer.has_room();
        assert_eq!(writer.under_way, 0);
    }

    #[test]
    fn what_cannot_be_written_is_said_to_whoever_gives_more_or_asks() {
        let (writer, _) = start(0);
        assert_eq!(writer.unwrap_err().kind(), io::ErrorKind::StorageFull);

        let room = 2000;
        let (writer, taken) = start(room);
        let mut writer = writer.unwrap();
        let mut numbers = 0..;
        let refused = loop {
            if let Err(error) = writer.lines(numbers.by_ref().take(1).map(line).collect()) {
                break error;
            }
        };
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
        assert_eq!(taken.lock().unwrap().len(), room);
        // Once it is said, it stays so.
        assert!(writer.check().is_err() && writer.lines(vec![line(0)]).is_err());

        let (writer, _) = start(room);
        let mut writer = writer.unwrap();
        writer.lines((0..room).map(line).collect()).unwrap();
        let refused = loop {
            if let Err(error) = writer.check() {
                break error;
            }
            std::thread::yield_now();
        };
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
    }
}
