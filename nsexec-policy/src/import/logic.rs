//! Conditions as alternatives of conjunctions, exactly.
//!
//! An entry of the native form names each argument once. What says more about
//! an argument (`5 <= a`, `a <= 9`, `a & 1 == 1`) is taken apart into masks that
//! each look at the leading bits of a range: alternatives, never a guess.

use std::collections::HashSet;

use nsexec::seccomp::profile::{Comparison, Condition};

use super::MAX_ENTRIES;

/// Conditions that all hold, each on another argument, in their order; empty:
/// always.
pub(super) type Conjunction = Vec<Condition>;

/// One of these holds; empty: never.
pub(super) type Alternatives = Vec<Conjunction>;

/// More alternatives than a policy may have entries, or more work than one
/// that a person wrote takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// `(argument & and) | or`; the two have no bit in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operand {
    pub(super) argument: u8,
    pub(super) and: u64,
    pub(super) or: u64,
}

/// How a value stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    /// What holds when this does not.
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
        }
    }

    /// The same with the sides exchanged.
    pub(super) fn flipped(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }
}

/// When `operand relation value` holds; the alternatives exclude each other.
pub(super) fn compare(operand: Operand, relation: Relation, value: u64) -> Alternatives {
    use Relation::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    if operand.and == u64::MAX {
        let comparison = match (relation, value) {
            (Less, 0) | (Greater, u64::MAX) => return Vec::new(),
            (GreaterOrEqual, 0) | (LessOrEqual, u64::MAX) => return vec![Vec::new()],
            (Equal, _) => Comparison::Equal(value),
            (NotEqual, _) => Comparison::NotEqual(value),
            (Less, _) => Comparison::Less(value),
            (LessOrEqual, _) => Comparison::LessOrEqual(value),
            (Greater, _) => Comparison::Greater(value),
            (GreaterOrEqual, _) => Comparison::GreaterOrEqual(value),
        };
        return vec![vec![condition(operand.argument, comparison)]];
    }
    let (less, equal, greater) = split(operand, value);
    let cubes = match relation {
        Equal => equal,
        NotEqual => [less, greater].concat(),
        Less => less,
        LessOrEqual => [less, equal].concat(),
        Greater => greater,
        GreaterOrEqual => [equal, greater].concat(),
    };
    let alternative = |(mask, value)| {
        let cube = masked(operand.argument, mask, value);
        cube.into_iter().collect()
    };
    cubes.into_iter().map(alternative).collect()
}

/// The mask and what is left of it: `argument & mask == value`.
type Cube = (u64, u64);

/// Where the operand is below, at and above the value: its highest bit that
/// differs decides.
fn split(operand: Operand, value: u64) -> (Vec<Cube>, Vec<Cube>, Vec<Cube>) {
    let (mut less, mut greater) = (Vec::new(), Vec::new());
    let (mut mask, mut prefix) = (0, 0);
    for bit in (0..u64::BITS).rev().map(|shift| 1 << shift) {
        let is_set = value & bit != 0;
        if operand.and & bit != 0 {
            if is_set {
                less.push((mask | bit, prefix));
                prefix |= bit;
            } else {
                greater.push((mask | bit, prefix | bit));
            }
            mask |= bit;
        } else if is_set && operand.or & bit == 0 {
            less.push((mask, prefix));
            return (less, Vec::new(), greater);
        } else if !is_set && operand.or & bit != 0 {
            greater.push((mask, prefix));
            return (less, Vec::new(), greater);
        }
    }
    (less, vec![(mask, prefix)], greater)
}

fn condition(argument: u8, comparison: Comparison) -> Condition {
    Condition {
        argument,
        comparison,
    }
}

/// `None`: it holds always.
fn masked(argument: u8, mask: u64, value: u64) -> Option<Condition> {
    match mask {
        0 => None,
        u64::MAX => Some(condition(argument, Comparison::Equal(value))),
        mask => Some(condition(argument, Comparison::Masked { mask, value })),
    }
}

/// Combines alternatives, and knows when it has become too much.
#[derive(Debug)]
pub(super) struct Logic {
    /// How many conjunctions may still be made.
    left: usize,
}

impl Logic {
    /// For one policy.
    pub(super) fn new() -> Self {
        Self {
            left: 256 * MAX_ENTRIES,
        }
    }

    /// When one of all these holds.
    pub(super) fn either(
        &mut self,
        parts: impl IntoIterator<Item = Alternatives>,
    ) -> Result<Alternatives, TooMany> {
        let mut all = Vec::new();
        for part in parts {
            self.spend(part.len())?;
            all.extend(part);
            few(&all)?;
        }
        simplified(all)
    }

    /// When both hold.
    pub(super) fn both(
        &mut self,
        a: &[Conjunction],
        b: &[Conjunction],
    ) -> Result<Alternatives, TooMany> {
        let mut all = Vec::new();
        for a in a {
            for b in b {
                all.extend(self.joined(a, b)?);
                few(&all)?;
            }
        }
        simplified(all)
    }

    fn joined(&mut self, a: &[Condition], b: &[Condition]) -> Result<Alternatives, TooMany> {
        self.spend(1)?;
        let mut all = vec![a.to_vec()];
        for new in b {
            let mut next = Vec::new();
            for mut conjunction in all {
                let place = conjunction.binary_search_by_key(&new.argument, |c| c.argument);
                match place {
                    Err(place) => {
                        conjunction.insert(place, *new);
                        next.push(conjunction);
                    }
                    Ok(place) => {
                        let Some(old) = conjunction.get(place).copied() else {
                            continue;
                        };
                        for met in meet(old, *new) {
                            self.spend(1)?;
                            let mut changed = conjunction.clone();
                            if let Some(old) = changed.get_mut(place) {
                                *old = met;
                            }
                            next.push(changed);
                        }
                    }
                }
            }
            all = next;
        }
        Ok(all)
    }

    /// Counts work that was done.
    pub(super) fn spend(&mut self, count: usize) -> Result<(), TooMany> {
        self.left = self.left.checked_sub(count).ok_or(TooMany)?;
        Ok(())
    }
}

/// Whether there is still room, as many of them may be the same.
fn few(all: &[Conjunction]) -> Result<(), TooMany> {
    if all.len() > 16 * MAX_ENTRIES {
        return Err(TooMany);
    }
    Ok(())
}

/// Each alternative once, and no other where one holds always.
fn simplified(mut all: Alternatives) -> Result<Alternatives, TooMany> {
    if all.iter().any(Vec::is_empty) {
        return Ok(vec![Vec::new()]);
    }
    let mut seen = HashSet::new();
    all.retain(|conjunction| seen.insert(conjunction.clone()));
    if all.len() > MAX_ENTRIES {
        return Err(TooMany);
    }
    Ok(all)
}

/// When two conditions on the same argument both hold.
fn meet(a: Condition, b: Condition) -> Vec<Condition> {
    if a == b {
        return vec![a];
    }
    match (cube(a.comparison), cube(b.comparison)) {
        (Some(a_cube), Some(b_cube)) => {
            meet_cubes(a.argument, a_cube, b_cube).into_iter().collect()
        }
        (Some(cube), None) => meet_ranges(a, cube, &ranges(b.comparison)),
        (None, Some(cube)) => meet_ranges(b, cube, &ranges(a.comparison)),
        (None, None) => {
            let mut all = Vec::new();
            for (a_low, a_high) in ranges(a.comparison) {
                for (b_low, b_high) in ranges(b.comparison) {
                    all.extend(within(a.argument, a_low.max(b_low), a_high.min(b_high)));
                }
            }
            all
        }
    }
}

fn meet_cubes(argument: u8, a: Cube, b: Cube) -> Option<Condition> {
    let common = a.0 & b.0;
    if a.1 & common == b.1 & common {
        masked(argument, a.0 | b.0, a.1 | b.1)
    } else {
        None
    }
}

/// A condition that is a cube, within one of the ranges.
fn meet_ranges(whole: Condition, cube: Cube, ranges: &[(u64, u64)]) -> Vec<Condition> {
    let (lowest, highest) = (cube.1, cube.1 | !cube.0);
    let mut all = Vec::new();
    for (low, high) in ranges.iter().copied() {
        if low <= lowest && highest <= high {
            return vec![whole];
        }
        let parts = prefixes(low.max(lowest), high.min(highest));
        let met = |part| meet_cubes(whole.argument, cube, part);
        all.extend(parts.into_iter().filter_map(met));
    }
    all
}

/// A condition on some bits of the argument alone.
fn cube(comparison: Comparison) -> Option<Cube> {
    match comparison {
        Comparison::Equal(value) => Some((u64::MAX, value)),
        Comparison::Masked { mask, value } => Some((mask, value)),
        _ => None,
    }
}

/// From and to; none for what looks at some bits alone.
fn ranges(comparison: Comparison) -> Vec<(u64, u64)> {
    let below = |value: u64| value.checked_sub(1).map(|high| (0, high));
    let above = |value: u64| value.checked_add(1).map(|low| (low, u64::MAX));
    match comparison {
        Comparison::Equal(value) => vec![(value, value)],
        Comparison::NotEqual(value) => below(value).into_iter().chain(above(value)).collect(),
        Comparison::Less(value) => below(value).into_iter().collect(),
        Comparison::LessOrEqual(value) => vec![(0, value)],
        Comparison::Greater(value) => above(value).into_iter().collect(),
        Comparison::GreaterOrEqual(value) => vec![(value, u64::MAX)],
        Comparison::Masked { .. } => Vec::new(),
    }
}

/// `low <= argument <= high`; not both are the ends of all numbers.
fn within(argument: u8, low: u64, high: u64) -> Vec<Condition> {
    let one = |comparison| vec![condition(argument, comparison)];
    match (low, high) {
        _ if low > high => Vec::new(),
        _ if low == high => one(Comparison::Equal(low)),
        (0, _) => one(Comparison::LessOrEqual(high)),
        (_, u64::MAX) => one(Comparison::GreaterOrEqual(low)),
        _ => {
            let parts = prefixes(low, high).into_iter();
            parts
                .filter_map(|(mask, value)| masked(argument, mask, value))
                .collect()
        }
    }
}

/// The numbers from `low` to `high`, by their leading bits.
fn prefixes(low: u64, high: u64) -> Vec<Cube> {
    let mut all = Vec::new();
    let mut next = Some(low);
    while let Some(low) = next.filter(|low| *low <= high) {
        // The largest block that begins here and does not end beyond `high`.
        let span = (high - low).checked_add(1).map_or(64, u64::ilog2);
        let bits = low.trailing_zeros().min(span);
        let rest = 1_u64.checked_shl(bits).map_or(u64::MAX, |size| size - 1);
        all.push((!rest, low));
        next = (low | rest).checked_add(1);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [u64; 14] = [
        0,
        1,
        2,
        3,
        4,
        5,
        8,
        0x7f,
        0xffff_ffff,
        0x1_0000_0000,
        0x1_0000_0003,
        0x8000_0000_0000_0000,
        u64::MAX - 1,
        u64::MAX,
    ];

    fn holds(comparison: Comparison, argument: u64) -> bool {
        match comparison {
            Comparison::Equal(value) => argument == value,
            Comparison::NotEqual(value) => argument != value,
            Comparison::Less(value) => argument < value,
            Comparison::LessOrEqual(value) => argument <= value,
            Comparison::Greater(value) => argument > value,
            Comparison::GreaterOrEqual(value) => argument >= value,
            Comparison::Masked { mask, value } => argument & mask == value,
        }
    }

    /// One argument, so a conjunction has one condition at the most.
    fn any(all: &[Conjunction], argument: u64) -> bool {
        let all_hold = |c: &Conjunction| c.iter().all(|c| holds(c.comparison, argument));
        all.iter().any(all_hold)
    }

    fn relations() -> [Relation; 6] {
        use Relation::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        [Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual]
    }

    fn related(a: u64, relation: Relation, b: u64) -> bool {
        match relation {
            Relation::Equal => a == b,
            Relation::NotEqual => a != b,
            Relation::Less => a < b,
            Relation::LessOrEqual => a <= b,
            Relation::Greater => a > b,
            Relation::GreaterOrEqual => a >= b,
        }
    }

    fn operands() -> Vec<Operand> {
        let mut all = Vec::new();
        for and in [0, 1, 4, 5, 0xffff_ffff, u64::MAX, 0x8000_0000_0000_0001] {
            for or in [0, 1, 2, 0x1_0000_0000] {
                all.push(Operand {
                    argument: 3,
                    and,
                    or: or & !and,
                });
            }
        }
        all
    }

    #[test]
    fn every_comparison_and_its_negation_is_exact() {
        for operand in operands() {
            for relation in relations() {
                for value in VALUES {
                    let when = compare(operand, relation, value);
                    let not = compare(operand, relation.negated(), value);
                    for argument in VALUES {
                        let seen = (argument & operand.and) | operand.or;
                        let expected = related(seen, relation, value);
                        let what = format!("{operand:?} {relation:?} {value}, {argument}");
                        assert_eq!(any(&when, argument), expected, "{what}");
                        assert_eq!(any(&not, argument), !expected, "not {what}");
                        assert_eq!(related(value, relation.flipped(), seen), expected, "{what}");
                    }
                }
            }
        }
    }

    #[test]
    fn two_conditions_on_an_argument_are_one_or_alternatives() {
        let masked = [(1, 1), (6, 2), (0xffff_ffff, 3), (u64::MAX - 1, 4)];
        let masked = masked.map(|(mask, value)| Comparison::Masked { mask, value });
        let mut all = masked.to_vec();
        for value in VALUES {
            all.extend([
                Comparison::Equal(value),
                Comparison::NotEqual(value),
                Comparison::Less(value),
                Comparison::LessOrEqual(value),
                Comparison::Greater(value),
                Comparison::GreaterOrEqual(value),
            ]);
        }
        // What holds always or never is no condition that `compare` makes.
        all.retain(|c| {
            let ranges = ranges(*c);
            cube(*c).is_some() || (!ranges.is_empty() && ranges != [(0, u64::MAX)])
        });
        for a in &all {
            for b in &all {
                let met = meet(condition(0, *a), condition(0, *b));
                let met: Vec<Conjunction> = met.into_iter().map(|c| vec![c]).collect();
                for argument in VALUES {
                    let expected = holds(*a, argument) && holds(*b, argument);
                    assert_eq!(any(&met, argument), expected, "{a:?} {b:?} {argument}");
                }
            }
        }
    }

    #[test]
    fn what_can_be_said_in_one_is() {
        let one = |comparison| condition(1, comparison);
        let (at_least, at_most) = (
            one(Comparison::GreaterOrEqual(5)),
            one(Comparison::LessOrEqual(5)),
        );
        assert_eq!(meet(at_least, at_most), [one(Comparison::Equal(5))]);
        assert_eq!(meet(at_least, one(Comparison::Less(5))), []);
        assert_eq!(meet(at_least, at_least), [at_least]);
        let bit = |mask, value| one(Comparison::Masked { mask, value });
        assert_eq!(meet(bit(1, 1), bit(2, 0)), [bit(3, 1)]);
        assert_eq!(meet(bit(1, 1), bit(1, 0)), []);
        assert_eq!(meet(bit(8, 8), at_least), [bit(8, 8)]);
        let flag = Operand {
            argument: 1,
            and: 4,
            or: 0,
        };
        assert_eq!(compare(flag, Relation::NotEqual, 0), [[bit(4, 4)]]);
        assert_eq!(compare(flag, Relation::Equal, 0), [[bit(4, 0)]]);
        assert_eq!(prefixes(0, u64::MAX), [(0, 0)]);
        assert_eq!(prefixes(5, 4), []);
    }

    #[test]
    fn what_grows_too_large_is_refused() {
        let mut logic = Logic::new();
        let wide = |argument| Operand {
            argument,
            and: u64::MAX - 1,
            or: 0,
        };
        let mut product = vec![Vec::new()];
        let mut result = Ok(());
        for argument in 0..6 {
            let part = compare(wide(argument), Relation::NotEqual, 2);
            match logic.both(&product, &part) {
                Ok(next) => product = next,
                Err(error) => result = Err(error),
            }
        }
        assert_eq!(result, Err(TooMany));
        let always = vec![Vec::new()];
        assert_eq!(Logic::new().either([product, always.clone()]), Ok(always));
        assert_eq!(Logic::new().either([]), Ok(Vec::new()));
    }
}
