//! Telling what happens until a signal, a time or a program's end.

use std::error::Error;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nsexec_audit_abi::counters::{LINEAGE_RING, NAMESPACE_RING};

use crate::account::{Account, Broken, Identity, Sample};
use crate::priority;
use crate::probes::{Probes, ProbesError};
use crate::story::Story;
use crate::teller::{Left, Teller};

/// How long events may wait, in milliseconds.
const PATIENCE: u8 = 20;
/// How often the sums are checked.
const CHECK: Duration = Duration::from_secs(1);
/// How often it is looked again for what a task on its way out of a probe has still
/// to write, once the probes are detached.
const SETTLE: u32 = 100;

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

/// How long a ring fills before it is read: what is read at once is read cheaply. It
/// is told later than that anyway ([`LATENESS_NS`](crate::order::LATENESS_NS)).
const REST: Duration = Duration::from_millis(2);

/// A ring that brought so many events at once is read again without a rest: a few times
/// as many are all that it has room for.
const BUSY: usize = 512;

/// Signals as something to wait for. From here on they end nothing by themselves.
///
/// # Errors
/// The kernel refuses.
pub fn signals(signals: &SigSet) -> nix::Result<SignalFd> {
    signals.thread_block()?;
    SignalFd::with_flags(signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// What is done once events were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// It is told where it happened.
    #[default]
    Mark,
    /// An alert is raised as well.
    Alert,
    /// And the auditor ends.
    Fail,
}

/// How long it is watched, and how often it is said that all is well.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub until: Option<Instant>,
    pub health: Duration,
    pub on_loss: OnLoss,
}

/// How the watch ended.
#[derive(Debug)]
pub struct Ended {
    /// Of the program, where that has ended.
    pub status: Option<ExitStatus>,
    /// The program that goes on.
    pub left: Option<Child>,
}

/// On standard error: there is nowhere else to say it.
pub fn say(what: &str) {
    let _ = writeln!(io::stderr(), "nsexec-audit: {what}");
}

/// The sums, checked again and again.
struct Checks {
    account: Account,
    check_at: Instant,
    health_at: Instant,
    health: Duration,
    /// Those that were told to be broken: each is told once.
    told: Vec<Identity>,
}

impl Checks {
    /// As much as can be held back, and how many that was; `ended`: all that there is,
    /// since no more comes.
    fn read(
        &mut self,
        probes: &mut Probes,
        story: &mut Story,
        ended: bool,
    ) -> Result<usize, ProbesError> {
        let mut count = 0;
        // A fork is in its ring before what the child does is in the other: read after
        // that, it is not missed.
        for ring in [NAMESPACE_RING, LINEAGE_RING] {
            while (ended || story.has_room(ring))
                && probes.next(ring, |event| {
                    self.account.read(event.header());
                    story.push(event);
                })?
            {
                count += 1;
            }
        }
        Ok(count)
    }

    /// While the probes are at work, and everything that was read is told.
    fn look(&mut self, probes: &Probes, teller: &mut Teller) -> Result<(), Box<dyn Error>> {
        let now = Instant::now();
        if now < self.check_at {
            return Ok(());
        }
        self.check_at = now + CHECK;
        let sample = Sample::take(probes)?;
        if let Some(before) = self.account.before() {
            // What came before that has been told by now.
            teller.lost_until(before)?;
        }
        let broken = self.account.check(sample.clone());
        let news = self.complain(&broken, teller);
        if news || now >= self.health_at {
            self.health_at = now + self.health;
            teller.health(&sample, &broken, false)?;
        }
        Ok(())
    }

    /// Once the probes are detached: the rings may have more than can be held back.
    fn empty(&mut self, probes: &mut Probes, teller: &mut Teller) -> Result<(), Box<dyn Error>> {
        loop {
            let rings = [NAMESPACE_RING, LINEAGE_RING];
            let has_room = rings.iter().all(|ring| teller.story.has_room(*ring));
            let count = self.read(probes, &mut teller.story, false)?;
            if has_room && count == 0 {
                return Ok(());
            }
            if teller.tell(false)? == Left::ForWriter {
                teller.writer.check()?;
                std::thread::sleep(REST);
            }
        }
    }

    /// And what is still on its way to them.
    fn end(
        &mut self,
        probes: &mut Probes,
        story: &mut Story,
    ) -> Result<(Sample, Vec<Broken>), ProbesError> {
        let mut tries = 0;
        loop {
            self.read(probes, story, true)?;
            let sample = Sample::take(probes)?;
            let broken = self.account.at_end(&sample);
            if broken.is_empty() || tries == SETTLE {
                return Ok((sample, broken));
            }
            tries += 1;
            std::thread::sleep(Duration::from_millis(PATIENCE.into()));
        }
    }

    /// Loudly; whether there was anything new.
    fn complain(&mut self, broken: &[Broken], teller: &mut Teller) -> bool {
        let mut news = false;
        for one in broken {
            if !self.told.contains(&one.identity) {
                self.told.push(one.identity);
                teller.counts.broken += 1;
                say(&format!("events are missing, or counted wrong: {one}"));
                news = true;
            }
        }
        news
    }
}

/// Tells what the probes see until a signal comes, the time is over or the program
/// has ended; then takes the probes out, tells what is left, and the counters.
///
/// # Errors
/// The output cannot be written, or what is read is not a record.
pub fn run(
    probes: &mut Probes,
    signals: &SignalFd,
    teller: &mut Teller,
    terms: Terms,
    mut program: Option<Child>,
) -> Result<Ended, Box<dyn Error>> {
    // The program is there already, and keeps its own.
    priority::raise();
    let mut status = None;
    let now = Instant::now();
    let mut checks = Checks {
        account: Account::default(),
        check_at: now,
        health_at: now + terms.health,
        health: terms.health,
        told: Vec::new(),
    };
    let mut losses = 0;
    let (mut failed, mut left, mut rotate) = (false, Left::Nothing, false);
    // How many events the last reading brought.
    let mut last = 0;
    loop {
        let patience = if left == Left::Nothing { PATIENCE } else { 0 };
        let comes = wait(probes, signals, patience)?;
        let rests = match left {
            Left::Nothing => comes,
            Left::More => false,
            // It is for the writer to have the processor.
            Left::ForWriter => true,
        };
        if rests && last < BUSY {
            std::thread::sleep(REST);
        }
        if let Some(program) = &mut program {
            status = program.try_wait()?;
        }
        // ^C reaches the program as well, and its end is this one's.
        let mut signalled = false;
        while let Some(signal) = signals.read_signal()? {
            let number = i32::try_from(signal.ssi_signo).unwrap_or_default();
            if Signal::try_from(number) == Ok(Signal::SIGHUP) {
                rotate = true;
            } else {
                signalled |= program.is_none();
            }
        }
        let over = terms.until.is_some_and(|until| Instant::now() >= until);
        let ended = signalled || over || failed || status.is_some();
        if ended {
            // Nothing is written from here on, so the sums have to agree.
            probes.stop();
            checks.empty(probes, teller)?;
            if rotate {
                teller.writer.rotate()?;
            }
            let (sample, broken) = checks.end(probes, &mut teller.story)?;
            while teller.tell(true)? == Left::More {}
            teller.lost_until(&sample)?;
            checks.complain(&broken, teller);
            alert(teller, terms.on_loss, &mut losses)?;
            teller.health(&sample, &broken, true)?;
            teller.writer.finish()?;
            let left = program.filter(|_| status.is_none());
            return Ok(Ended { status, left });
        }
        last = checks.read(probes, &mut teller.story, false)?;
        // Before what is told takes the room.
        if rotate && teller.writer.has_room() {
            teller.writer.rotate()?;
            rotate = false;
        }
        left = teller.tell(false)?;
        if left == Left::Nothing {
            checks.look(probes, teller)?;
        }
        if left != Left::More {
            teller.writer.check()?;
        }
        let lossy = alert(teller, terms.on_loss, &mut losses)?;
        failed = lossy && terms.on_loss == OnLoss::Fail;
    }
}

/// Until a ring or a signal is to be read, at most so many milliseconds; whether a
/// ring is.
fn wait(probes: &Probes, signals: &SignalFd, patience: u8) -> nix::Result<bool> {
    let [namespaces, lineage] = probes.descriptors();
    let mut waited = [namespaces, lineage, signals.as_fd()]
        .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
    match poll(&mut waited, PollTimeout::from(patience)) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
        Err(error) => return Err(error),
    }
    let [namespaces, lineage, _] = waited;
    let mut rings = [namespaces, lineage].into_iter();
    Ok(rings.any(|ring| ring.any().unwrap_or(false)))
}

/// Whether more was lost than `known`, which is an alert where that is asked for.
fn alert(teller: &mut Teller, on_loss: OnLoss, known: &mut u64) -> io::Result<bool> {
    let losses = teller.counts.losses();
    let lossy = losses > *known;
    *known = losses;
    if lossy && on_loss != OnLoss::Mark {
        teller.alert_of_loss()?;
    }
    Ok(lossy)
}

/// The exit status that a shell would have of it.
#[must_use]
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(125)
}
