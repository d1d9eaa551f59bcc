//! Renders and writes lines in a thread of its own: neither JSON and its hashes nor a
//! slow disk delay the reading of the rings.

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::JoinHandle;

use super::escape;
use super::event_json::{Line, SchemaVersion, Start};
use super::files::Output;
use super::hash_chain::{self, ChainWriter};
use super::text::{HEAD, Text};
use crate::config::Format;
use crate::model::stream_info::StreamInfo;
use crate::priority;

/// Most messages that wait to be written, of up to some hundred lines each: 5 MiB.
/// Further events wait in the reorder buffer, and then in the rings, where those that do
/// not fit are counted.
const MOST: usize = 16;

/// Additional room for lines that are not events: a loss, an alert, the counters.
const BESIDE: usize = 4;

#[derive(Debug)]
enum Message {
    Lines(Vec<Line>),
    Rotate,
}

/// The format and the destination of lines.
#[derive(Debug)]
pub struct Lines {
    pub format: Format,
    pub text: Text,
    pub stream_info: StreamInfo,
    pub out: Output,
}

/// The thread that writes.
#[derive(Debug)]
pub struct Writer {
    /// None once it has to end.
    queue: Option<SyncSender<Message>>,
    /// The lines of each message after they were written. The thread that made them frees
    /// them: if one thread allocates memory and another frees it, both wait for each other.
    written: Receiver<Vec<Line>>,
    /// The number of messages that are not written yet.
    under_way: usize,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Writer {
    /// Writes the first line, and starts the thread, which has the caller's signal mask.
    ///
    /// # Errors
    /// The output cannot be written, or the thread cannot be started.
    #[expect(
        clippy::disallowed_methods,
        reason = "it is the helper that must not have threads"
    )]
    pub fn start(lines: Lines) -> io::Result<Self> {
        let mut writing = Writing {
            lines,
            chained: ChainWriter::after(hash_chain::BEGINNING),
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

    /// Whether a message is accepted without waiting.
    pub fn has_room(&mut self) -> bool {
        self.under_way -= self.written.try_iter().count();
        self.under_way < MOST
    }

    /// Accepts lines, in their order. Blocks if too many are waiting.
    ///
    /// # Errors
    /// Earlier lines could not be written.
    pub fn lines(&mut self, lines: Vec<Line>) -> io::Result<()> {
        self.send(Message::Lines(lines))
    }

    /// Starts another file with the next line, if there is a file. Blocks as
    /// [`lines`](Self::lines).
    ///
    /// # Errors
    /// Earlier lines could not be written.
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

    /// Checks that the thread is running.
    ///
    /// # Errors
    /// Lines could not be written.
    pub fn check(&mut self) -> io::Result<()> {
        match &self.thread {
            Some(thread) if !thread.is_finished() => Ok(()),
            _ => self.failed(),
        }
    }

    /// The thread only ends by itself after an error.
    fn failed(&mut self) -> io::Result<()> {
        self.finish()?;
        Err(io::Error::from(io::ErrorKind::BrokenPipe))
    }

    /// Writes everything to the disk, and ends the thread.
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

/// Lines are written even after an error elsewhere; an error here cannot be returned.
impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

/// The state of the thread.
#[derive(Debug)]
struct Writing {
    lines: Lines,
    /// The chain of the lines of JSON.
    chained: ChainWriter,
    /// A buffer for one line.
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
            // The receiver may have ended.
            let _ = back.send(lines);
        }
        self.lines.out.finish()
    }

    /// Writes the first line of a file: the names of the columns, or the `start` line.
    fn begin(&mut self) -> io::Result<()> {
        match self.lines.format {
            Format::Text => self.put(&mut HEAD.as_bytes().to_vec()),
            Format::Json => {
                let start = Line::Start(self.start());
                let mut line = Vec::new();
                escape::write(&start, &mut line)?;
                self.put(&mut line)
            }
        }
    }

    fn start(&self) -> Start {
        let info = &self.lines.stream_info;
        let node = nix::unistd::gethostname().unwrap_or_default();
        let last = self.chained.last();
        Start {
            schema: SchemaVersion::THIS,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            boot_id: info.boot_id.clone(),
            node: node.to_string_lossy().into_owned(),
            ts_wall_ms: info.now().ts_wall_ms,
            host: info.host.map(),
            continues: (last != hash_chain::BEGINNING).then(|| hash_chain::hex(last)),
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
                escape::write(line, &mut json)?;
                self.line(&mut json)?;
                self.line = json;
                Ok(())
            }
            Format::Text => match self.lines.text.line(line) {
                Some(line) => self.line(&mut line.into_bytes()),
                None => Ok(()),
            },
        }
    }

    /// Writes a line without its end to this file or, if it does not fit, the next.
    fn line(&mut self, line: &mut Vec<u8>) -> io::Result<()> {
        if self.lines.out.is_full(line.len() + hash_chain::ADDED) {
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
pub(crate) mod tests;
