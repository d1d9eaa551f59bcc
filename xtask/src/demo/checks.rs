//! Prints and counts the results of checks.

use std::fmt;
use std::io;

use crate::text;

#[derive(Debug, Default)]
pub(crate) struct Checks {
    held: u32,
    failed: u32,
    left_out: u32,
}

impl Checks {
    /// The head of a step.
    pub(crate) fn step(&self, what: &str) {
        println!("\n  {}", text::bold(what));
    }

    pub(crate) fn equal<T: PartialEq + fmt::Debug>(&mut self, what: &str, found: &T, wanted: &T) {
        if found == wanted {
            self.hold(what);
        } else {
            self.fail(what, &format!("found {found:?}, wanted {wanted:?}"));
        }
    }

    pub(crate) fn holds(&mut self, what: &str, held: bool, otherwise: &str) {
        if held {
            self.hold(what);
        } else {
            self.fail(what, otherwise);
        }
    }

    /// Returns the value of a successful step, else counts a failure.
    pub(crate) fn take<T>(&mut self, what: &str, result: io::Result<T>) -> Option<T> {
        result
            .map_err(|error| self.fail(what, &error.to_string()))
            .ok()
    }

    pub(crate) fn leave_out(&mut self, what: &str, reason: &str) {
        self.left_out += 1;
        println!("    left out  {what}: {reason}");
    }

    fn hold(&mut self, what: &str) {
        self.held += 1;
        println!("    {}        {what}", text::green("ok"));
    }

    fn fail(&mut self, what: &str, why: &str) {
        self.failed += 1;
        println!("    {}    {what}: {why}", text::red("FAILED"));
    }

    pub(crate) fn verdict(&self) -> io::Result<()> {
        let Self {
            held,
            failed,
            left_out,
        } = self;
        println!();
        if *failed > 0 || *held == 0 {
            return Err(io::Error::other(format!(
                "verdict: {failed} checks failed, {held} held, {left_out} left out"
            )));
        }
        println!("verdict: all {held} checks held, {left_out} left out");
        Ok(())
    }
}
