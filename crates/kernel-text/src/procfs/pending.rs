//! Finds out from `/proc/PID/status` whether a process has received a signal,
//! proc_pid_status(5).

use crate::procfs::decimal::decimal;

/// The state of a signal sent to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalState {
    /// Delivered.
    Delivered,
    /// The main thread blocks it.
    Blocked,
    /// Not delivered yet; the process is running and will receive it.
    Deliverable,
    /// Not delivered, although a signal ends each interruptible wait: the
    /// process is in an uninterruptible wait, frozen, stopped or held by a
    /// tracer.
    Stuck,
}

/// The signals of a process, bit N - 1 for signal N.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// `SigPnd` and `ShdPnd`: sent, and not delivered yet.
    pending: u64,
    /// `SigBlk`: those that the main thread blocks.
    blocked: u64,
    /// `State`.
    state: u8,
    /// `voluntary_ctxt_switches` and `nonvoluntary_ctxt_switches`: they grow while it runs.
    switches: u64,
}

impl Pending {
    /// The state of `signal`.
    #[must_use]
    pub fn state_of(self, signal: i32) -> SignalState {
        let bit = bit(signal);
        if self.pending & bit == 0 {
            SignalState::Delivered
        } else if self.blocked & bit != 0 {
            SignalState::Blocked
        } else if !b"RX".contains(&self.state) {
            // A main thread that has ended, while another thread takes no signal, is no different.
            SignalState::Stuck
        } else {
            SignalState::Deliverable
        }
    }

    /// Whether the main thread blocks `signal`, as a thread does in the handler of the signal.
    #[must_use]
    pub fn blocks(self, signal: i32) -> bool {
        self.blocked & bit(signal) != 0
    }

    /// How often the main thread had run when a tracer stopped it; `None`: no tracer holds it. A
    /// tracer can hold it in the middle of the delivery of a signal, which is no longer pending then.
    #[must_use]
    pub fn held_by_tracer(self) -> Option<u64> {
        (self.state == b't').then_some(self.switches)
    }
}

/// Bit N - 1 for signal N; 0: no signal has the number.
fn bit(signal: i32) -> u64 {
    let shift = u32::try_from(signal - 1).ok();
    shift
        .and_then(|shift| 1_u64.checked_shl(shift))
        .unwrap_or(0)
}

/// The signals of the process that `text` describes; `None` if one of the lines
/// is missing, duplicate or invalid.
#[must_use]
pub fn parse(text: &[u8]) -> Option<Pending> {
    let [mut own, mut shared, mut blocked] = [None; 3];
    let mut state = None;
    let mut switches: [Option<u64>; 2] = [None; 2];
    for line in text.split(|byte| *byte == b'\n') {
        for (name, value) in [
            (b"SigPnd:\t", &mut own),
            (b"ShdPnd:\t", &mut shared),
            (b"SigBlk:\t", &mut blocked),
        ] {
            if let Some(digits) = line.strip_prefix(name)
                && value.replace(set(digits)?).is_some()
            {
                return None;
            }
        }
        if let Some([letter, ..]) = line.strip_prefix(b"State:\t")
            && state.replace(*letter).is_some()
        {
            return None;
        }
        let [voluntary, nonvoluntary] = &mut switches;
        for (name, value) in [
            (&b"voluntary_ctxt_switches:\t"[..], voluntary),
            (b"nonvoluntary_ctxt_switches:\t", nonvoluntary),
        ] {
            if let Some(digits) = line.strip_prefix(name)
                && value.replace(decimal(digits)?).is_some()
            {
                return None;
            }
        }
    }
    Some(Pending {
        pending: own? | shared?,
        blocked: blocked?,
        state: state?,
        switches: switches[0]?.wrapping_add(switches[1]?),
    })
}

/// Sixteen hexadecimal digits.
fn set(digits: &[u8]) -> Option<u64> {
    if digits.len() != 16 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOPPED: &str = "Name:\tsleep\nState:\tT (stopped)\nSigQ:\t2/1\n\
        SigPnd:\t0000000000000002\nShdPnd:\t0000000000004000\nSigBlk:\t0000000000000002\n\
        SigIgn:\t0000000000000000\nSigCgt:\t8000000000000000\n\
        voluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t5\n";

    #[test]
    fn a_process_is_stuck_with_a_signal_that_it_does_not_block() {
        let stopped = parse(STOPPED.as_bytes()).expect("a state and three sets");
        assert_eq!(stopped.state_of(libc::SIGTERM), SignalState::Stuck);
        assert_eq!(stopped.state_of(libc::SIGINT), SignalState::Blocked);
        assert_eq!(
            stopped.state_of(libc::SIGHUP),
            SignalState::Delivered,
            "it was not sent"
        );
        for no_signal in [0, -1, 65] {
            assert_eq!(stopped.state_of(no_signal), SignalState::Delivered);
        }
    }

    #[test]
    fn a_process_that_runs_is_not_stuck() {
        for state in ["R (running)", "X (dead)"] {
            let text = STOPPED.replace("T (stopped)", state);
            let process = parse(text.as_bytes()).expect("a state and three sets");
            assert_eq!(
                process.state_of(libc::SIGTERM),
                SignalState::Deliverable,
                "{state}"
            );
        }
        // Its main thread has ended, and another thread is stopped.
        let text = STOPPED.replace("T (stopped)", "Z (zombie)");
        let process = parse(text.as_bytes()).expect("a state and three sets");
        assert_eq!(process.state_of(libc::SIGTERM), SignalState::Stuck);
    }

    #[test]
    fn a_traced_process_is_held_until_it_runs() {
        let stopped = parse(STOPPED.as_bytes()).expect("a state and three sets");
        assert_eq!(stopped.held_by_tracer(), None);
        let text = STOPPED.replace("T (stopped)", "t (tracing stop)");
        let held = parse(text.as_bytes()).expect("a state and three sets");
        assert_eq!(held.held_by_tracer(), Some(12));
        assert!(held.blocks(libc::SIGINT) && !held.blocks(libc::SIGTERM));
    }

    #[test]
    fn a_missing_or_duplicate_line_is_none() {
        for wrong in [
            "",
            &STOPPED.replace("SigPnd", "Sigpnd"),
            &STOPPED.replace("State:\tT (stopped)", "State:\t"),
            &STOPPED.replace("0000000000004000", "000000000000400"),
            &STOPPED.replace("0000000000004000", "+000000000004000"),
            &format!("{STOPPED}SigBlk:\t0000000000000000\n"),
            &format!("{STOPPED}State:\tR (running)\n"),
            &STOPPED.replace("\t7", "\t+7"),
            &STOPPED.replace("nonvoluntary", "other"),
        ] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
