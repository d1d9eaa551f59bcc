//! Conditions as exact alternatives of conjunctions.
//!
//! OCI's readers interpret two conditions on the same argument of an entry as
//! alternatives. So the conditions on one argument form one set of values here.
//! A set that no single comparison expresses (`5 <= a`, `a <= 9`, `a & 1 == 1`)
//! becomes several entries: masks that each compare the leading bits of a range.

mod set;

use std::collections::HashSet;

use nsexec_policy_engine::seccomp::profile::Condition;

use super::MAX_ENTRIES;
use set::Set;
pub(super) use set::{Operand, Relation};

/// The maximum number of alternatives of a condition that an importer may drop:
/// with more, a filter of 4096 instructions is too small.
pub(super) const MOST: usize = 64;

/// Arguments that are all among their values, in their order, without those
/// that may have any; empty: always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Conjunction(Vec<(u8, Set)>);

/// One of these holds; empty: never.
pub(super) type Alternatives = Vec<Conjunction>;

/// More alternatives, or more work, than a policy written by hand needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// The condition that always holds.
pub(super) fn always() -> Alternatives {
    vec![Conjunction::default()]
}

/// When `operand relation value` holds; the alternatives exclude each other.
pub(super) fn compare(operand: Operand, relation: Relation, value: u64) -> Alternatives {
    let sets = Set::compare(operand, relation, value).into_iter();
    let limits = sets.map(|set| (!set.is_all()).then_some((operand.argument, set)));
    limits
        .map(|one| Conjunction(one.into_iter().collect()))
        .collect()
}

/// Combines alternatives within limits.
#[derive(Debug)]
pub(super) struct Logic {
    /// The maximum number of alternatives of a condition.
    most: usize,
    /// The remaining number of conjunctions.
    left: usize,
}

impl Logic {
    /// For one policy, with this many alternatives per condition.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            left: 256 * MAX_ENTRIES,
        }
    }

    /// The condition that one of these holds.
    pub(super) fn either<T>(
        &mut self,
        parts: impl IntoIterator<Item = T>,
        mut when: impl FnMut(T, &mut Self) -> Result<Alternatives, TooMany>,
    ) -> Result<Alternatives, TooMany> {
        let mut all = Vec::new();
        for part in parts {
            let part = when(part, self)?;
            self.spend(part.len())?;
            all.extend(part);
            // There is still room, because many of them may be equal.
            if all.len() > 16 * self.most {
                return Err(TooMany);
            }
        }
        if all.iter().any(|conjunction| conjunction.0.is_empty()) {
            return Ok(always());
        }
        let mut seen = HashSet::new();
        all.retain(|conjunction| seen.insert(conjunction.clone()));
        self.few(all.len())?;
        Ok(all)
    }

    /// The condition that all of these hold.
    pub(super) fn every<T>(
        &mut self,
        parts: impl IntoIterator<Item = T>,
        mut when: impl FnMut(T, &mut Self) -> Result<Alternatives, TooMany>,
    ) -> Result<Alternatives, TooMany> {
        let mut all = always();
        for part in parts {
            if all.is_empty() {
                break;
            }
            let part = when(part, self)?;
            all = self.both(&all, &part)?;
        }
        Ok(all)
    }

    /// The condition that both hold.
    pub(super) fn both(
        &mut self,
        a: &[Conjunction],
        b: &[Conjunction],
    ) -> Result<Alternatives, TooMany> {
        let mut seen = HashSet::new();
        let mut all = Vec::new();
        for a in a {
            for b in b {
                if let Some(both) = self.joined(a, b)?
                    && seen.insert(both.clone())
                {
                    all.push(both);
                    self.few(all.len())?;
                }
            }
        }
        Ok(all)
    }

    /// The condition that both hold; `None`: never.
    fn joined(&mut self, a: &Conjunction, b: &Conjunction) -> Result<Option<Conjunction>, TooMany> {
        self.spend(1)?;
        let mut all = a.clone();
        for (argument, set) in &b.0 {
            match all.0.binary_search_by_key(argument, |(known, _)| *known) {
                Err(place) => all.0.insert(place, (*argument, set.clone())),
                Ok(place) => {
                    let Some((_, old)) = all.0.get_mut(place) else {
                        continue;
                    };
                    let Some(met) = old.and(set) else {
                        return Ok(None);
                    };
                    self.spend(met.size())?;
                    self.few(met.size())?;
                    *old = met;
                }
            }
        }
        Ok(Some(all))
    }

    /// The native form: one of these holds, and each contains all of its conditions, at
    /// most one per argument.
    pub(super) fn conditions(
        &mut self,
        alternatives: &[Conjunction],
    ) -> Result<Vec<Vec<Condition>>, TooMany> {
        let mut all = Vec::new();
        for Conjunction(limits) in alternatives {
            let mut made: Vec<Vec<Condition>> = vec![Vec::new()];
            for (argument, set) in limits {
                let comparisons = set.comparisons();
                self.few(made.len() * comparisons.len())?;
                self.spend(made.len() * comparisons.len())?;
                let mut longer = Vec::new();
                for conditions in &made {
                    for comparison in &comparisons {
                        let mut conditions = conditions.clone();
                        conditions.push(Condition {
                            argument: *argument,
                            comparison: *comparison,
                        });
                        longer.push(conditions);
                    }
                }
                made = longer;
            }
            all.extend(made);
            if all.len() > MAX_ENTRIES {
                return Err(TooMany);
            }
        }
        Ok(all)
    }

    /// Counts work that was done.
    pub(super) fn spend(&mut self, count: usize) -> Result<(), TooMany> {
        self.left = self.left.checked_sub(count).ok_or(TooMany)?;
        Ok(())
    }

    fn few(&self, count: usize) -> Result<(), TooMany> {
        if count > self.most {
            return Err(TooMany);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
