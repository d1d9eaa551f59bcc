//! Telling what happens until a signal, a time or a program's end.

use std::error::Error;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nsexec_audit_abi::counters::{LINEAGE_RING, NAMESPACE_RING};

use crate::arguments::Format;
use crate::chain::Chained;
use crate::filter::Filtering;
use crate::json;
use crate::probes::Probes;
use crate::rules::Rules;
use crate::story::{Story, Told};
use crate::text::{HEAD, Text};

/// How long events may wait, in milliseconds.
const PATIENCE: u8 = 20;

/// SIGINT and SIGTERM, as something to wait for. From here on they end nothing
/// by themselves.
///
/// # Errors
/// The kernel refuses.
pub fn signals() -> nix::Result<SignalFd> {
    let mut ending = SigSet::empty();
    ending.add(Signal::SIGINT);
    ending.add(Signal::SIGTERM);
    ending.thread_block()?;
    SignalFd::with_flags(&ending, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// What is told, and how much of it there was.
#[expect(missing_debug_implementations, reason = "an output has none")]
pub struct Teller<'a> {
    pub story: Story,
    pub filtering: Filtering,
    pub rules: Rules,
    pub format: Format,
    pub colour: bool,
    pub out: &'a mut dyn Write,
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
    /// The names of the columns; of JSON, the first line.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn begin(&mut self) -> io::Result<()> {
        match self.format {
            Format::Text => writeln!(self.out, "{HEAD}"),
            Format::Json => {
                let line = serde_json::to_vec(&self.story.start())?;
                self.chained.write(&line, self.out)
            }
        }
    }

    fn tell(&mut self, ended: bool) -> io::Result<()> {
        let Self {
            story,
            filtering,
            rules,
            format,
            colour,
            out,
            chained,
            counts,
        } = self;
        let mut line = Vec::new();
        let text = Text { colour: *colour };
        let mut one = |told: Told| -> io::Result<()> {
            match &told {
                Told::Lost(line) => counts.lost += line.count,
                Told::Gap(_) => counts.gaps += 1,
                _ => {}
            }
            let alerts = rules.judge(&told);
            if !filtering.passes(&told) {
                return Ok(());
            }
            counts.told += 1;
            match format {
                Format::Json => {
                    line.clear();
                    told.write_json(&mut line)?;
                    chained.write(&line, out)?;
                }
                Format::Text => {
                    if let Some(line) = text.line(&told) {
                        writeln!(out, "{line}")?;
                    }
                }
            }
            for alert in alerts {
                counts.alerts += 1;
                match format {
                    Format::Json => {
                        chained.write(&serde_json::to_vec(&alert)?, out)?;
                    }
                    Format::Text => writeln!(out, "{}", text.alert(&alert))?,
                }
            }
            Ok(())
        };
        while story.tell(ended, &mut one)? {}
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
        let signalled = signals.read_signal()?.is_some() && program.is_none();
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
        let line = health.to_string();
        teller.chained.write(line.as_bytes(), teller.out)?;
    }
    teller.out.flush()?;
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
