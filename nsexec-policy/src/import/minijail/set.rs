//! Which values of an argument satisfy a condition.
//!
//! Readers of OCI profiles take an argument that is named twice as
//! alternatives. Conditions on one argument are therefore merged here, and
//! what one comparison cannot say becomes several entries. All of it is exact.

use std::collections::BTreeMap;

use nsexec::seccomp::profile::{Comparison, Condition};

/// How many alternatives a condition may have: past that, a filter of 4096
/// instructions does not hold it, and the product of several takes long.
pub(in crate::import) const MOST: usize = 64;

/// The lower half: what a comparison of 32 bits looks at.
const LOW: u64 = 0xffff_ffff;

/// More than [`MOST`] alternatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) struct TooMany;

/// What a source asks of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) enum Test {
    /// What one comparison says.
    Is(Comparison),
    /// `argument & mask != value`
    Differs {
        /// The bits that are looked at.
        mask: u64,
        /// What they must not be.
        value: u64,
    },
}

impl Test {
    /// What holds exactly when this does not.
    pub(in crate::import) fn negated(self) -> Self {
        let comparison = match self {
            Self::Differs { mask, value } => Comparison::Masked { mask, value },
            Self::Is(Comparison::Masked { mask, value }) => return Self::Differs { mask, value },
            Self::Is(Comparison::Equal(value)) => Comparison::NotEqual(value),
            Self::Is(Comparison::NotEqual(value)) => Comparison::Equal(value),
            Self::Is(Comparison::Less(value)) => Comparison::GreaterOrEqual(value),
            Self::Is(Comparison::LessOrEqual(value)) => Comparison::Greater(value),
            Self::Is(Comparison::Greater(value)) => Comparison::LessOrEqual(value),
            Self::Is(Comparison::GreaterOrEqual(value)) => Comparison::Less(value),
        };
        Self::Is(comparison)
    }

    /// The values, as alternatives; empty when there are none.
    pub(in crate::import) fn sets(self) -> Vec<Set> {
        match self {
            Self::Is(Comparison::Masked { mask, value }) => {
                Set::masked(mask, value).into_iter().collect()
            }
            Self::Is(comparison) => {
                let ranges = ranges(comparison, u64::MAX);
                Set::of_ranges(ranges).into_iter().collect()
            }
            Self::Differs { mask, value } => differs(mask, value),
        }
    }

    /// The values whose lower 32 bits satisfy this.
    pub(in crate::import) fn low_sets(self) -> Vec<Set> {
        match self {
            Self::Is(Comparison::Masked { mask, value }) => {
                Set::masked(mask & LOW, value & LOW).into_iter().collect()
            }
            Self::Differs { mask, value } => differs(mask & LOW, value & LOW),
            Self::Is(Comparison::Equal(value)) => Set::masked(LOW, value).into_iter().collect(),
            Self::Is(Comparison::NotEqual(value)) => differs(LOW, value),
            Self::Is(comparison) => {
                let blocks = ranges(comparison, LOW)
                    .into_iter()
                    .flat_map(|(low, high)| blocks(low, high));
                blocks
                    .filter_map(|(mask, value)| Set::masked(mask & LOW, value))
                    .collect()
            }
        }
    }
}

/// The values up to `most` that satisfy a comparison that is no mask.
fn ranges(comparison: Comparison, most: u64) -> Vec<(u64, u64)> {
    let below = |value: u64| value.checked_sub(1).map(|high| (0, high.min(most)));
    let above = |value: u64| value.checked_add(1).map(|low| (low, most));
    let both = match comparison {
        Comparison::Equal(value) => [Some((value, value)), None],
        Comparison::NotEqual(value) => [below(value), above(value)],
        Comparison::Less(value) => [below(value), None],
        Comparison::LessOrEqual(value) => [Some((0, value.min(most))), None],
        Comparison::Greater(value) => [above(value), None],
        Comparison::GreaterOrEqual(value) => [Some((value, most)), None],
        Comparison::Masked { .. } => [Some((0, most)), None],
    };
    let found = both.into_iter().flatten();
    found.filter(|(low, high)| low <= high).collect()
}

/// `argument & mask != value`, as alternatives: one for each bit, and one for
/// all of the mask's bits at the top.
fn differs(mask: u64, value: u64) -> Vec<Set> {
    if value & !mask != 0 {
        return vec![Set::all()];
    }
    let top = if value == 0 { mask.leading_ones() } else { 0 };
    let mut sets = Vec::new();
    let mut rest = mask;
    if top > 1 {
        let lowest = 1 << (64 - top);
        rest &= lowest - 1;
        sets.extend(Set::of_ranges(vec![(lowest, u64::MAX)]));
    }
    let bits = (0..64).map(|at| 1_u64 << at);
    for bit in bits.filter(|bit| rest & bit != 0) {
        sets.extend(Set::masked(bit, !value & bit));
    }
    sets
}

/// The aligned blocks that make up a range, each as a mask and its value.
fn blocks(low: u64, high: u64) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let mut from = low;
    while from <= high {
        let longest = match (high - from).checked_add(1) {
            Some(length) => length.ilog2(),
            None => 64,
        };
        let bits = from.trailing_zeros().min(longest);
        let inside = 1_u64.checked_shl(bits).map_or(u64::MAX, |size| size - 1);
        found.push((!inside, from));
        match (from | inside).checked_add(1) {
            Some(next) => from = next,
            None => break,
        }
    }
    found
}

/// Values of one argument; not empty by itself, unless its ranges hold no
/// value with these bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::import) struct Set {
    /// Ascending, apart, both ends included.
    ranges: Vec<(u64, u64)>,
    mask: u64,
    value: u64,
}

impl Set {
    fn all() -> Self {
        Self {
            ranges: vec![(0, u64::MAX)],
            mask: 0,
            value: 0,
        }
    }

    fn of_ranges(ranges: Vec<(u64, u64)>) -> Option<Self> {
        (!ranges.is_empty()).then(|| Self {
            ranges,
            ..Self::all()
        })
    }

    fn masked(mask: u64, value: u64) -> Option<Self> {
        (value & !mask == 0).then(|| Self {
            mask,
            value,
            ..Self::all()
        })
    }

    /// The values in both; `None`: there are none.
    fn and(&self, other: &Self) -> Result<Option<Self>, TooMany> {
        if (self.value ^ other.value) & self.mask & other.mask != 0 {
            return Ok(None);
        }
        let (mut mine, mut others) = (self.ranges.iter(), other.ranges.iter());
        let (mut left, mut right) = (mine.next(), others.next());
        let mut ranges = Vec::new();
        while let (Some(a), Some(b)) = (left, right) {
            let (low, high) = (a.0.max(b.0), a.1.min(b.1));
            if low <= high {
                ranges.push((low, high));
            }
            if a.1 < b.1 {
                left = mine.next();
            } else {
                right = others.next();
            }
        }
        if ranges.len() > MOST {
            return Err(TooMany);
        }
        Ok((!ranges.is_empty()).then_some(Self {
            ranges,
            mask: self.mask | other.mask,
            value: self.value | other.value,
        }))
    }

    /// Comparisons one of which holds for exactly these values. A mask of no
    /// bits stands for any value.
    fn comparisons(&self) -> Result<Vec<Comparison>, TooMany> {
        let (mask, value) = (self.mask, self.value);
        let found: Vec<Comparison> = match *self.ranges.as_slice() {
            [(0, u64::MAX)] => vec![Comparison::Masked { mask, value }],
            _ if mask != 0 => {
                let blocks = self
                    .ranges
                    .iter()
                    .flat_map(|range| blocks(range.0, range.1));
                blocks
                    .filter(|block| (block.1 ^ value) & block.0 & mask == 0)
                    .map(|block| match block.0 | mask {
                        u64::MAX => Comparison::Equal(block.1 | value),
                        mask => Comparison::Masked {
                            mask,
                            value: block.1 | value,
                        },
                    })
                    .collect()
            }
            [(1, u64::MAX)] => vec![Comparison::NotEqual(0)],
            [(0, high)] if high == u64::MAX - 1 => vec![Comparison::NotEqual(u64::MAX)],
            [(0, below), (above, u64::MAX)] if above - below == 2 => {
                vec![Comparison::NotEqual(below + 1)]
            }
            _ => self.ranges.iter().flat_map(of_range).collect(),
        };
        if found.len() > MOST {
            return Err(TooMany);
        }
        Ok(found)
    }
}

/// The comparisons for one range.
fn of_range(range: &(u64, u64)) -> Vec<Comparison> {
    match *range {
        (low, high) if low == high => vec![Comparison::Equal(low)],
        (0, high) => vec![Comparison::LessOrEqual(high)],
        (low, u64::MAX) => vec![Comparison::GreaterOrEqual(low)],
        (low, high) => {
            let blocks = blocks(low, high).into_iter();
            let comparison = |(mask, value)| match mask {
                u64::MAX => Comparison::Equal(value),
                _ => Comparison::Masked { mask, value },
            };
            blocks.map(comparison).collect()
        }
    }
}

/// Values of several arguments, all of which have to be among theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::import) struct Cube(BTreeMap<u8, Set>);

impl Cube {
    /// The conjunctions one of which holds for exactly these values. One
    /// without conditions always holds.
    pub(in crate::import) fn conjunctions(&self) -> Result<Vec<Vec<Condition>>, TooMany> {
        let mut all: Vec<Vec<Condition>> = vec![Vec::new()];
        for (argument, set) in &self.0 {
            let comparisons = set.comparisons()?;
            if all.len() * comparisons.len() > MOST {
                return Err(TooMany);
            }
            let mut longer = Vec::with_capacity(all.len() * comparisons.len());
            for conditions in &all {
                for comparison in &comparisons {
                    let mut conditions = conditions.clone();
                    if !matches!(comparison, Comparison::Masked { mask: 0, .. }) {
                        conditions.push(Condition {
                            argument: *argument,
                            comparison: *comparison,
                        });
                    }
                    longer.push(conditions);
                }
            }
            all = longer;
        }
        Ok(all)
    }
}

/// What is in one of the cubes and satisfies one of the alternatives.
pub(in crate::import) fn product(
    cubes: &[Cube],
    alternatives: &[(u8, Set)],
) -> Result<Vec<Cube>, TooMany> {
    if alternatives.len() > MOST {
        return Err(TooMany);
    }
    let mut found: Vec<Cube> = Vec::new();
    for cube in cubes {
        for (argument, set) in alternatives {
            let merged = match cube.0.get(argument) {
                Some(before) => before.and(set)?,
                None => Some(set.clone()),
            };
            let Some(merged) = merged else { continue };
            let mut cube = cube.clone();
            cube.0.insert(*argument, merged);
            if !found.contains(&cube) {
                found.push(cube);
            }
            if found.len() > MOST {
                return Err(TooMany);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(comparison: Comparison, x: u64) -> bool {
        match comparison {
            Comparison::Equal(v) => x == v,
            Comparison::NotEqual(v) => x != v,
            Comparison::Less(v) => x < v,
            Comparison::LessOrEqual(v) => x <= v,
            Comparison::Greater(v) => x > v,
            Comparison::GreaterOrEqual(v) => x >= v,
            Comparison::Masked { mask, value } => x & mask == value,
        }
    }

    fn satisfied(test: Test, x: u64) -> bool {
        match test {
            Test::Is(comparison) => holds(comparison, x),
            Test::Differs { mask, value } => x & mask != value,
        }
    }

    const POINTS: [u64; 12] = [
        0,
        1,
        2,
        5,
        7,
        8,
        0x7fff_ffff,
        0xffff_ffff,
        0x1_0000_0000,
        0x1_0000_0005,
        u64::MAX - 1,
        u64::MAX,
    ];

    fn tests() -> Vec<Test> {
        let mut tests = Vec::new();
        for value in POINTS {
            for comparison in [
                Comparison::Equal(value),
                Comparison::NotEqual(value),
                Comparison::Less(value),
                Comparison::LessOrEqual(value),
                Comparison::Greater(value),
                Comparison::GreaterOrEqual(value),
            ] {
                tests.push(Test::Is(comparison));
            }
            for mask in POINTS {
                let value = value & mask;
                tests.push(Test::Is(Comparison::Masked { mask, value }));
                tests.push(Test::Differs { mask, value });
            }
        }
        tests
    }

    fn says(cubes: &[Cube], x: u64) -> Result<bool, TooMany> {
        let mut said = false;
        for cube in cubes {
            for conditions in cube.conjunctions()? {
                assert!(conditions.len() < 2, "an argument is named twice");
                said |= conditions.iter().all(|c| holds(c.comparison, x));
            }
        }
        Ok(said)
    }

    fn of(sets: Vec<Set>) -> Vec<(u8, Set)> {
        sets.into_iter().map(|set| (0, set)).collect()
    }

    #[test]
    fn each_test_and_its_negation_keep_their_values() {
        for test in tests() {
            for x in POINTS {
                let cubes = product(&[Cube::default()], &of(test.sets())).expect("few");
                assert_eq!(
                    says(&cubes, x),
                    Ok(satisfied(test, x)),
                    "{test:?} of {x:#x}"
                );
                assert_ne!(satisfied(test, x), satisfied(test.negated(), x), "{test:?}");
            }
        }
    }

    #[test]
    fn the_lower_half_is_compared_as_such() {
        for test in tests() {
            let (Test::Is(comparison), low) = (test, |x: u64| x & LOW) else {
                continue;
            };
            let small = match comparison {
                Comparison::Equal(v)
                | Comparison::NotEqual(v)
                | Comparison::Less(v)
                | Comparison::LessOrEqual(v)
                | Comparison::Greater(v)
                | Comparison::GreaterOrEqual(v) => v <= LOW,
                Comparison::Masked { mask, .. } => mask <= LOW,
            };
            if !small {
                continue;
            }
            let cubes = product(&[Cube::default()], &of(test.low_sets())).expect("few");
            for x in POINTS {
                assert_eq!(
                    says(&cubes, x),
                    Ok(satisfied(test, low(x))),
                    "{test:?} of {x:#x}"
                );
            }
        }
    }

    #[test]
    fn two_tests_of_an_argument_are_both_asked() {
        let all = tests();
        for (at, first) in all.iter().enumerate() {
            // Every 31st, from another one on each time: the whole square takes seconds.
            for second in all.iter().skip(at % 31).step_by(31) {
                let cubes = product(&[Cube::default()], &of(first.sets()));
                let cubes = cubes.and_then(|cubes| product(&cubes, &of(second.sets())));
                let Ok(cubes) = cubes else { continue };
                for x in POINTS {
                    let both = satisfied(*first, x) && satisfied(*second, x);
                    if let Ok(said) = says(&cubes, x) {
                        assert_eq!(said, both, "{first:?} and {second:?} of {x:#x}");
                    }
                }
            }
        }
    }

    #[test]
    fn merged_tests_are_as_short_as_they_can_be() {
        let merged = |tests: &[Comparison]| {
            let mut cubes = vec![Cube::default()];
            for comparison in tests {
                cubes = product(&cubes, &of(Test::Is(*comparison).sets())).expect("few");
            }
            let conjunctions = cubes.iter().map(|cube| cube.conjunctions().expect("few"));
            let conditions = conjunctions.flatten().flatten();
            conditions.map(|c| c.comparison).collect::<Vec<_>>()
        };
        use Comparison::{Equal, GreaterOrEqual, LessOrEqual, Masked, NotEqual};
        assert_eq!(merged(&[GreaterOrEqual(3), LessOrEqual(3)]), [Equal(3)]);
        assert_eq!(merged(&[NotEqual(3), NotEqual(3)]), [NotEqual(3)]);
        assert_eq!(merged(&[Equal(3), Equal(4)]), []);
        let (a, b) = (Masked { mask: 1, value: 1 }, Masked { mask: 6, value: 2 });
        assert_eq!(merged(&[a, b]), [Masked { mask: 7, value: 3 }]);
        assert_eq!(merged(&[a, Masked { mask: 3, value: 0 }]), []);
        assert_eq!(
            merged(&[NotEqual(1), NotEqual(3)]),
            [Equal(0), Equal(2), GreaterOrEqual(4)]
        );
    }

    #[test]
    fn too_many_alternatives_are_refused() {
        let every_other: Vec<u64> = (1..200).step_by(2).collect();
        let mut cubes = Ok(vec![Cube::default()]);
        for value in every_other {
            let sets = of(Test::Is(Comparison::NotEqual(value)).sets());
            cubes = cubes.and_then(|cubes| product(&cubes, &sets));
        }
        assert_eq!(cubes, Err(TooMany));
    }
}
