//! The result of a self-test for people.

use std::fmt;

use super::{Report, Row};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} backend, ring of {} bytes\n", self.backend, self.ring)?;
        writeln!(f, "{:<24}{:>9}{:>9}{:>9}", "CALL", "MADE", "READ", "LOST")?;
        let sum = |of: fn(&Row) -> u64| self.calls.iter().map(of).sum::<u64>();
        for row in &self.calls {
            writeln!(
                f,
                "{:<24}{:>9}{:>9}{:>9}",
                row.call, row.made, row.read, row.lost
            )?;
        }
        let (made, read, lost) = (
            sum(|row| row.made),
            sum(|row| row.read),
            sum(|row| row.lost),
        );
        writeln!(f, "{:<24}{made:>9}{read:>9}{lost:>9}\n", "all")?;
        for held in &self.held {
            let holds = if held.holds { "ok" } else { "WRONG" };
            writeln!(f, "{:<24}{holds:>9}  {}", held.what, held.why)?;
        }
        writeln!(
            f,
            "\n{:<24}{:>9}{:>9}{:>9}",
            "NANOSECONDS", "WITHOUT", "WITH", "RATIO"
        )?;
        for cost in &self.cost {
            writeln!(
                f,
                "{:<24}{:>9.0}{:>9.0}{:>9.2}",
                cost.call, cost.without_ns, cost.with_ns, cost.ratio
            )?;
        }
        let verdict = if self.ok {
            "each call was reported as it happened, or counted as lost"
        } else {
            "the reported events differ from the calls"
        };
        writeln!(f, "\n{verdict}")
    }
}
