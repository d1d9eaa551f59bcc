//! Telling what happens until a signal, a time or a program's end.

use std::error::Error;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nsexec_audit_abi::counters::{LINEAGE_RING, NAMESPACE_RING};

use crate::arguments::Format;
use crate::chain::{self, Chained};
use crate::filter::Filtering;
use crate::json;
use crate::output::Output;
use crate::probes::Probes;
use crate::rules::Rules;
use crate::story::{Story, Told};
use crate::text::{HEAD, Text};

/// How long events may wait, in milliseconds.
const PATIENCE: u8 = 20;

/// The signals that are waited for: SIGINT and SIGTERM, and with a file SIGHUP,
/// which asks for another one.
#[must_use]
pub fn waited_for(file: bool) -> SigSet {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    if file {
        signals.add(Signal::SIGHUP);
    }
    signals
}

/// Signals as something to wait for. From here on they end nothing by themselves.
///
/// # Errors
/// The kernel refuses.
pub fn signals(signals: &SigSet) -> nix::Result<SignalFd> {
    signals.thread_block()?;
    SignalFd::with_flags(signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// What is told, and how much of it there was.
#[derive(Debug)]
pub struct Teller<'a> {
    pub story: Story,
    pub filtering: Filtering,
    pub rules: Rules,
    pub format: Format,
    pub colour: bool,
    pub out: Output<'a>,
    /// Of the lines of JSON.
    pub chained: Chained,
    pub counts: Counts,
}

/// Of what was told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub told: u64,
    pub gaps: u64,
    pub lost: u64,
    pub alerts: u64,
}

impl Teller<'_> {
    /// The first line of a file: the names of the columns, or what the other lines are
    /// read with.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn begin(&mut self) -> io::Result<()> {
        match self.format {
            Format::Text => self.put(HEAD.as_bytes()),
            Format::Json => {
                let last = self.chained.last();
                let mut start = self.story.start();
                start.continues = (last != chain::BEGINNING).then(|| chain::hex(last));
                let line = serde_json::to_vec(&start)?;
                self.put(&line)
            }
        }
    }

    /// Begins another file; without one, nothing.
    fn rotate(&mut self) -> io::Result<()> {
        if self.out.rotate()? {
            self.begin()?;
        }
        Ok(())
    }

    /// One line without its end, in this file or, where it does not fit, the next.
    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.out.is_full(line.len() + chain::ADDED) {
            self.rotate()?;
        }
        self.put(line)
    }

    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        let mut whole = Vec::with_capacity(line.len() + chain::ADDED);
        match self.format {
            Format::Json => self.chained.write(line, &mut whole)?,
            Format::Text => {
                whole.extend_from_slice(line);
                whole.push(b'\n');
            }
        }
        self.out.line(&whole)
    }

    fn tell(&mut self, ended: bool) -> io::Result<()> {
        let mut all = Vec::new();
        let mut keep = |told| {
            all.push(told);
            Ok::<(), io::Error>(())
        };
        while self.story.tell(ended, &mut keep)? {}
        all.into_iter().try_for_each(|told| self.one(&told))
    }

    fn one(&mut self, told: &Told) -> io::Result<()> {
        match told {
            Told::Lost(line) => self.counts.lost += line.count,
            Told::Gap(_) => self.counts.gaps += 1,
            _ => {}
        }
        let alerts = self.rules.judge(told);
        if !self.filtering.passes(told) {
            return Ok(());
        }
        self.counts.told += 1;
        let text = Text {
            colour: self.colour,
        };
        match self.format {
            Format::Json => {
                let mut line = Vec::new();
                told.write_json(&mut line)?;
                self.line(&line)?;
            }
            Format::Text => {
                if let Some(line) = text.line(told) {
                    self.line(line.as_bytes())?;
                }
            }
        }
        for alert in alerts {
            self.counts.alerts += 1;
            match self.format {
                Format::Json => self.line(&serde_json::to_vec(&alert)?)?,
                Format::Text => self.line(text.alert(&alert).as_bytes())?,
            }
        }
        Ok(())
    }
}

/// Tells what the probes see until a signal comes, the time is over or the program
/// has ended; then takes the probes out, tells what is left, and the counters. The
/// program's status, if there is one.
///
/// # Errors
/// The output cannot be written, or what is read is not a record.
pub fn run(
    probes: &mut Probes,
    signals: &SignalFd,
    teller: &mut Teller<'_>,
    until: Option<Instant>,
    mut program: Option<Child>,
) -> Result<Option<ExitStatus>, Box<dyn Error>> {
    let mut status = None;
    loop {
        let [namespaces, lineage] = probes.descriptors();
        let mut waited = [namespaces, lineage, signals.as_fd()]
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
        match poll(&mut waited, PollTimeout::from(PATIENCE)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(program) = &mut program {
            status = program.try_wait()?;
        }
        // ^C reaches the program as well, and its end is this one's.
        let mut signalled = false;
        while let Some(signal) = signals.read_signal()? {
            let number = i32::try_from(signal.ssi_signo).unwrap_or_default();
            if Signal::try_from(number) == Ok(Signal::SIGHUP) {
                teller.rotate()?;
            } else {
                signalled = program.is_none();
            }
        }
        let over = until.is_some_and(|until| Instant::now() >= until);
        let ended = signalled || over || status.is_some();
        if ended {
            // Nothing is written from here on, so the sums have to agree.
            probes.stop();
        }
        for ring in [NAMESPACE_RING, LINEAGE_RING] {
            while let Some(event) = probes.next(ring)? {
                teller.story.push(event);
            }
        }
        teller.tell(ended)?;
        teller.out.flush()?;
        if ended {
            break;
        }
    }
    let counters = (probes.counters()?, probes.positions()?, probes.missed()?);
    if teller.format == Format::Json {
        let health = json::health(&counters.0, &counters.1, &counters.2, probes.backend());
        teller.line(health.to_string().as_bytes())?;
    }
    teller.out.finish()?;
    Ok(status)
}

/// The exit status that a shell would have of it.
#[must_use]
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(125)
}
