//! The command line's exec: from a [`Plan`] to the end of the program.

mod capabilities;
mod environment;
mod image;
mod parent;
mod without_fork;
mod work_dir;

use std::io::IsTerminal;

use image::Prepared;
use parent::Parent;

use super::joined::Joined;
use super::signals::Session;
use crate::ended::Ended;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Plan, report};
use crate::policy::capability::Capability;
use crate::prepare::clean;
use crate::prepare::status::StatusLines;
use crate::stage::exec::CapabilityPlan;
use crate::standard_error::warn;
use crate::sys::signal::CallersSignals;

impl Plan {
    /// Joins, locks this process down, starts the program, waits for it.
    ///
    /// This process itself joins the namespaces and enforces the ceiling on itself, permanently. It
    /// closes every descriptor that it does not need, the declared ones included, and blocks its
    /// signals. Call it in a process that exists for this purpose. Until the program runs, each
    /// signal has its default effect.
    ///
    /// # Errors
    /// The reason why the program could not be started; the program did not start then.
    pub fn execute(mut self) -> Result<Ended> {
        let mut lines = self.lines.take();
        let signals = self.signals.take();
        let signals = signals.map_or_else(CallersSignals::take, Ok);
        let signals = signals.map_err(|errno| {
            Error::new(ErrorKind::System, "cannot block the signals of the helper")
                .with_source(errno)
        })?;
        let ended = self.run(&mut lines, signals);
        if let Err(error) = &ended {
            // A reader of standard error or of the status lines may stop reading; the helper must
            // be able to end then.
            let _ = signals.obey();
            lines.iter_mut().for_each(|lines| lines.failed(error));
        }
        ended
    }

    fn run(self, lines: &mut Option<StatusLines>, signals: CallersSignals) -> Result<Ended> {
        if let Some(lines) = lines {
            lines.write(&self.to_value())?;
        }
        let joined = self.join(false)?;
        let capabilities =
            capabilities::decide(&joined.unjoined.policy, joined.unjoined.request.keep_caps)?;
        // A policy that passes on all capabilities trusts the program with the caller's rights.
        if let CapabilityPlan::Set { permitted, .. } = &capabilities
            && joined.unjoined.has_power_over_callers_network
            && permitted.contains(Capability::NET_ADMIN)
        {
            clean::refuse_callers_network(ErrorKind::Usage)?;
        }
        warn_of_dropped(&joined);
        let confined = joined.confine()?;
        // From here on the helper reads data of the target, under the ceiling.
        let status = lines.is_some().then(|| {
            report::layers(
                Some(&confined.ceiling),
                Some(&confined.workload.status),
                &confined.unjoined.added_filters,
            )
        });
        let no_fork = confined.unjoined.request.no_fork;
        let prepared = Prepared::new(confined, capabilities, signals)?;
        if no_fork {
            return Err(prepared.become_without_fork());
        }
        let Prepared {
            image,
            program,
            directory,
            expected,
            verifier,
            supervisor,
            explainer,
        } = prepared;
        let parent = Parent {
            verifier,
            expected,
            supervisor,
            status,
            signals,
            session: Session::choose(),
            explainer,
            directory,
        };
        parent.start(image, &program, lines)
    }
}

/// A person reads this line. A script reads --status-fd instead, and its standard error contains
/// only the program's errors.
fn warn_of_dropped(joined: &Joined) {
    if let (Some(dropped), true) = (
        joined.layers.dropped_parts(),
        std::io::stderr().is_terminal(),
    ) {
        let policy = &joined.unjoined.policy.name;
        warn(&format!(
            "on this kernel {dropped} (policy {policy}; --dry-run says why)"
        ));
    }
}
