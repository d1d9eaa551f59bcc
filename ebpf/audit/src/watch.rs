//! Printing events until a signal ends it.

use std::error::Error;
use std::io::Write;
use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nsexec_audit_abi::counters::{LINEAGE_RING, NAMESPACE_RING};

use crate::json;
use crate::probes::Probes;

/// How long events of the lineage may wait, in milliseconds.
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

/// Prints what the probes see, a line an event, until a signal comes; then takes
/// the probes out, prints what is left, and the counters.
///
/// # Errors
/// The output cannot be written, or what is read is not a record.
pub fn run(
    probes: &mut Probes,
    signals: &SignalFd,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    loop {
        let [namespaces, lineage] = probes.descriptors();
        let mut waited = [namespaces, lineage, signals.as_fd()]
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
        match poll(&mut waited, PollTimeout::from(PATIENCE)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ended = signals.read_signal()?.is_some();
        if ended {
            // Nothing is written from here on, so the sums have to agree.
            probes.stop();
        }
        drain(probes, out)?;
        out.flush()?;
        if ended {
            break;
        }
    }
    let health = json::health(&probes.counters()?, &probes.positions()?, &probes.missed()?);
    writeln!(out, "{health}")?;
    out.flush()?;
    Ok(())
}

fn drain(probes: &mut Probes, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    for ring in [NAMESPACE_RING, LINEAGE_RING] {
        while let Some(event) = probes.next(ring)? {
            writeln!(out, "{}", json::event(&event))?;
        }
    }
    Ok(())
}
