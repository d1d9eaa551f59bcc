//! Runs the stages until a signal, the end of a time or of a program.

use std::error::Error;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::config::OnLoss;
use crate::dispatcher::{Dispatcher, Progress};
use crate::ingest::accounting::{Identity, Mismatch, Sample};
use crate::ingest::reader::Reader;
use crate::loader::probes::Probes;
use crate::log::log_stderr;
use crate::priority;

/// How long events may wait, in milliseconds.
const MAX_WAIT_MS: u8 = 20;

/// How long a ring fills before it is read: reading many events at once is cheap. They
/// are held back longer than that anyway
/// ([`LATENESS_NS`](crate::ingest::reorder::LATENESS_NS)).
const REST: Duration = Duration::from_millis(2);

/// A ring that brought so many events at once is read again without a rest: it only has
/// room for a few times as many.
const BUSY: usize = 512;

/// The signals that end the monitor, SIGINT and SIGTERM; with a file also SIGHUP, which
/// requests another one.
#[must_use]
pub fn awaited_signals(file: bool) -> SigSet {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    if file {
        signals.add(Signal::SIGHUP);
    }
    signals
}

/// Blocks the signals, and returns a descriptor to wait for them.
///
/// # Errors
/// The kernel refuses.
pub fn block_signals(signals: &SigSet) -> nix::Result<SignalFd> {
    signals.thread_block()?;
    SignalFd::with_flags(signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// When the monitor ends, and what it reports beside events.
#[derive(Clone, Copy, Debug)]
pub struct MonitorOptions {
    pub until: Option<Instant>,
    /// The interval between `health` lines.
    pub health: Duration,
    pub on_loss: OnLoss,
}

/// How the monitor ended.
#[derive(Debug)]
pub struct Ended {
    /// The status of the program, if that has ended.
    pub status: Option<ExitStatus>,
    /// The program, if it is still running.
    pub running: Option<Child>,
}

/// Reports what the probes observe until a signal arrives, the time is over or the program
/// has ended; then detaches the probes, and reports the rest and the counters.
///
/// # Errors
/// The output cannot be written, or a ring holds something that is not an event.
pub fn run(
    probes: &mut Probes,
    signals: &SignalFd,
    dispatcher: &mut Dispatcher,
    options: MonitorOptions,
    program: Option<Child>,
) -> Result<Ended, Box<dyn Error>> {
    // After the program was started, which keeps its own priority.
    priority::raise();
    let mut monitor = Monitor {
        probes,
        dispatcher,
        options,
        reader: Reader::default(),
        health_at: Instant::now() + options.health,
        reported: Vec::new(),
        losses: 0,
    };
    monitor.run(signals, program)
}

struct Monitor<'a> {
    probes: &'a mut Probes,
    dispatcher: &'a mut Dispatcher,
    options: MonitorOptions,
    reader: Reader,
    health_at: Instant,
    /// The sums whose mismatch was reported: each is reported once.
    reported: Vec<Identity>,
    /// The losses for which an alert was raised.
    losses: u64,
}

impl Monitor<'_> {
    fn run(
        &mut self,
        signals: &SignalFd,
        mut program: Option<Child>,
    ) -> Result<Ended, Box<dyn Error>> {
        let (mut failed, mut rotate) = (false, false);
        let mut progress = Progress::Idle;
        // The number of events that the last read returned.
        let mut last = 0;
        loop {
            self.wait(signals, progress, last)?;
            let status = match &mut program {
                Some(program) => program.try_wait()?,
                None => None,
            };
            let received = receive(signals)?;
            rotate |= received.rotate;
            // The program receives ^C as well, and its end is the monitor's.
            let interrupted = received.interrupted && program.is_none();
            let over = self.options.until.is_some_and(|end| Instant::now() >= end);
            if interrupted || over || failed || status.is_some() {
                self.finish(rotate)?;
                let running = program.filter(|_| status.is_none());
                return Ok(Ended { status, running });
            }
            last = self
                .reader
                .read(self.probes, &mut self.dispatcher.enricher)?;
            // Before the next lines take the room.
            if rotate && self.dispatcher.writer.has_room() {
                self.dispatcher.writer.rotate()?;
                rotate = false;
            }
            progress = self.dispatcher.dispatch(false)?;
            if progress == Progress::Idle {
                self.check()?;
            }
            if progress != Progress::More {
                self.dispatcher.writer.check()?;
            }
            failed = self.alert_of_loss()? && self.options.on_loss == OnLoss::Fail;
        }
    }

    /// Waits until a ring or a signal is readable, and lets a ring fill.
    fn wait(&self, signals: &SignalFd, progress: Progress, last: usize) -> nix::Result<()> {
        let wait_ms = match progress {
            Progress::Idle => MAX_WAIT_MS,
            Progress::More | Progress::Backpressure => 0,
        };
        let readable = wait(self.probes, signals, wait_ms)?;
        let rests = match progress {
            Progress::Idle => readable,
            Progress::More => false,
            // The writer needs the processor.
            Progress::Backpressure => true,
        };
        if rests && last < BUSY {
            std::thread::sleep(REST);
        }
        Ok(())
    }

    /// Checks the sums, once everything that was read is dispatched.
    fn check(&mut self) -> Result<(), Box<dyn Error>> {
        if !self.reader.check_is_due() {
            return Ok(());
        }
        let sample = Sample::take(self.probes)?;
        if let Some(before) = self.reader.last_sample() {
            // Every event before that sample is dispatched by now.
            self.dispatcher.losses_until(before)?;
        }
        let mismatches = self.reader.check(sample.clone());
        let found_new = self.report_mismatches(&mismatches);
        let now = Instant::now();
        if found_new || now >= self.health_at {
            self.health_at = now + self.options.health;
            self.dispatcher.health(&sample, &mismatches, false)?;
        }
        Ok(())
    }

    /// Detaches the probes, and reports everything that is left. No more events come, so
    /// the sums have to agree.
    fn finish(&mut self, rotate: bool) -> Result<(), Box<dyn Error>> {
        self.probes.stop();
        // The rings can hold more than the sink has room for.
        while self
            .reader
            .drain(self.probes, &mut self.dispatcher.enricher)?
        {
            if self.dispatcher.dispatch(false)? == Progress::Backpressure {
                self.dispatcher.writer.check()?;
                std::thread::sleep(REST);
            }
        }
        if rotate {
            self.dispatcher.writer.rotate()?;
        }
        let enricher = &mut self.dispatcher.enricher;
        let (sample, mismatches) = self.reader.finish(self.probes, enricher)?;
        while self.dispatcher.dispatch(true)? == Progress::More {}
        self.dispatcher.losses_until(&sample)?;
        self.report_mismatches(&mismatches);
        self.alert_of_loss()?;
        self.dispatcher.health(&sample, &mismatches, true)?;
        self.dispatcher.writer.finish()?;
        Ok(())
    }

    /// Whether there was a new one.
    fn report_mismatches(&mut self, mismatches: &[Mismatch]) -> bool {
        let mut found_new = false;
        for one in mismatches {
            if !self.reported.contains(&one.identity) {
                self.reported.push(one.identity);
                self.dispatcher.counts.mismatches += 1;
                log_stderr(&format!("events are missing, or counted wrong: {one}"));
                found_new = true;
            }
        }
        found_new
    }

    /// Whether there were new losses, which raise an alert if `--on-loss` requests that.
    fn alert_of_loss(&mut self) -> io::Result<bool> {
        let losses = self.dispatcher.counts.losses();
        let lossy = losses > self.losses;
        self.losses = losses;
        if lossy && self.options.on_loss != OnLoss::Mark {
            self.dispatcher.alert_of_loss()?;
        }
        Ok(lossy)
    }
}

#[derive(Default)]
struct Received {
    interrupted: bool,
    rotate: bool,
}

fn receive(signals: &SignalFd) -> nix::Result<Received> {
    let mut received = Received::default();
    while let Some(signal) = signals.read_signal()? {
        let number = i32::try_from(signal.ssi_signo).unwrap_or_default();
        if Signal::try_from(number) == Ok(Signal::SIGHUP) {
            received.rotate = true;
        } else {
            received.interrupted = true;
        }
    }
    Ok(received)
}

/// Waits until a ring or a signal is readable, at most so many milliseconds; whether a
/// ring is.
fn wait(probes: &Probes, signals: &SignalFd, wait_ms: u8) -> nix::Result<bool> {
    let [namespaces, lineage] = probes.descriptors();
    let mut waited = [namespaces, lineage, signals.as_fd()]
        .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
    match poll(&mut waited, PollTimeout::from(wait_ms)) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
        Err(error) => return Err(error),
    }
    let [namespaces, lineage, _] = waited;
    let mut rings = [namespaces, lineage].into_iter();
    Ok(rings.any(|ring| ring.any().unwrap_or(false)))
}

/// The exit status that a shell would have for the program.
#[must_use]
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(125)
}
