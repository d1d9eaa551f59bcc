//! The values of an argument that satisfy a comparison.

use std::cmp::Ordering;

use nsexec_policy_engine::seccomp::profile::Comparison;

/// `(argument & and) | or`; the two have no bit in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) struct Operand {
    pub(in crate::import) argument: u8,
    pub(in crate::import) and: u64,
    pub(in crate::import) or: u64,
}

/// The relation of one value to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    /// The complement.
    pub(in crate::import) fn negated(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
        }
    }

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }

    /// The same with the sides exchanged.
    pub(in crate::import) fn flipped(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }
}

/// A mask and the value of the masked bits: `argument & mask == value`.
type Cube = (u64, u64);

/// The first and last value.
type Range = (u64, u64);

const ALL: Range = (0, u64::MAX);

/// Values of one argument: those in one of the ranges that have these bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Set {
    /// Ascending and apart. Each holds a value with these bits.
    ranges: Vec<Range>,
    mask: u64,
    value: u64,
}

impl Set {
    /// The values for which `operand relation value` holds, as disjoint sets.
    pub(super) fn compare(operand: Operand, relation: Relation, value: u64) -> Vec<Self> {
        let cubes = split(operand, relation, value);
        // A mask of leading bits alone is a range, and such ranges join.
        let is_range = |cube: &Cube| {
            relation != Relation::Equal && cube.0.leading_ones() == cube.0.count_ones()
        };
        let (leading, others): (Vec<Cube>, Vec<Cube>) = cubes.into_iter().partition(is_range);
        let mut parts: Vec<Range> = leading.into_iter().map(|(m, v)| (v, v | !m)).collect();
        parts.sort_unstable();
        let mut ranges: Vec<Range> = Vec::new();
        for (low, high) in parts {
            match ranges.last_mut() {
                Some(last) if last.1.checked_add(1) == Some(low) => last.1 = high,
                _ => ranges.push((low, high)),
            }
        }
        let ranged = Self {
            ranges,
            mask: 0,
            value: 0,
        };
        let ranged = (!ranged.ranges.is_empty()).then_some(ranged);
        let others = others.into_iter().map(Self::masked);
        ranged.into_iter().chain(others).collect()
    }

    fn masked((mask, value): Cube) -> Self {
        Self {
            ranges: vec![ALL],
            mask,
            value,
        }
    }

    /// Whether every value is in it.
    pub(super) fn is_all(&self) -> bool {
        self.mask == 0 && self.ranges == [ALL]
    }

    /// The number of its ranges: it needs as many comparisons, or more, or one
    /// less.
    pub(super) fn size(&self) -> usize {
        self.ranges.len()
    }

    /// The intersection; `None` if it is empty.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        if (self.value ^ other.value) & self.mask & other.mask != 0 {
            return None;
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
        let (mask, value) = (self.mask | other.mask, self.value | other.value);
        let covers = |range: &Range| range.0 <= value && value | !mask <= range.1;
        if ranges.iter().any(covers) {
            ranges = vec![ALL];
        } else if mask != 0 {
            ranges.retain(|range| with_bits(*range, (mask, value)).next().is_some());
        }
        (!ranges.is_empty()).then_some(Self {
            ranges,
            mask,
            value,
        })
    }

    /// Comparisons of which exactly one holds for these values, which are not all values.
    pub(super) fn comparisons(&self) -> Vec<Comparison> {
        let bits = (self.mask, self.value);
        match *self.ranges.as_slice() {
            [ALL] => vec![comparison(bits)],
            _ if self.mask != 0 => {
                let ranges = self.ranges.iter();
                let cubes = ranges.flat_map(|range| with_bits(*range, bits));
                cubes.map(comparison).collect()
            }
            [(1, u64::MAX)] => vec![Comparison::NotEqual(0)],
            [(0, high)] if high == u64::MAX - 1 => vec![Comparison::NotEqual(u64::MAX)],
            [(0, below), (above, u64::MAX)] if above - below == 2 => {
                vec![Comparison::NotEqual(below + 1)]
            }
            _ => self
                .ranges
                .iter()
                .flat_map(|range| within(*range))
                .collect(),
        }
    }
}

/// The set in which `operand relation value` holds: the highest bit that differs decides.
fn split(operand: Operand, relation: Relation, value: u64) -> Vec<Cube> {
    let mut cubes = Vec::new();
    // The leading bits that equal the value's own, and the relation to the
    // value.
    let (mut mask, mut prefix) = (0, 0);
    let mut rest = Ordering::Equal;
    for bit in (0..u64::BITS).rev().map(|shift| 1 << shift) {
        let of_value = value & bit;
        if operand.and & bit != 0 {
            mask |= bit;
            if relation.holds((bit ^ of_value).cmp(&of_value)) {
                cubes.push((mask, prefix | (bit ^ of_value)));
            }
            prefix |= of_value;
        } else if operand.or & bit != of_value {
            rest = (operand.or & bit).cmp(&of_value);
            break;
        }
    }
    if relation.holds(rest) {
        // Two blocks that differ only in their lowest bit merge.
        while let Some(lowest) = 1_u64.checked_shl(mask.trailing_zeros())
            && cubes.last() == Some(&(mask, prefix ^ lowest))
        {
            cubes.pop();
            mask ^= lowest;
            prefix &= !lowest;
        }
        cubes.push((mask, prefix));
    }
    cubes
}

fn comparison((mask, value): Cube) -> Comparison {
    match mask {
        u64::MAX => Comparison::Equal(value),
        mask => Comparison::Masked { mask, value },
    }
}

/// The comparisons for one range, which is not all.
fn within(range: Range) -> Vec<Comparison> {
    match range {
        (low, high) if low == high => vec![Comparison::Equal(low)],
        (0, high) => vec![Comparison::LessOrEqual(high)],
        (low, u64::MAX) => vec![Comparison::GreaterOrEqual(low)],
        range => prefixes(range).map(comparison).collect(),
    }
}

/// The values of a range that have some bits.
fn with_bits(range: Range, (mask, value): Cube) -> impl Iterator<Item = Cube> {
    prefixes(range)
        .filter(move |cube| (cube.1 ^ value) & cube.0 & mask == 0)
        .map(move |cube| (cube.0 | mask, cube.1 | value))
}

/// The numbers of a range, by their leading bits.
fn prefixes((low, high): Range) -> impl Iterator<Item = Cube> {
    let mut next = Some(low);
    std::iter::from_fn(move || {
        let low = next.filter(|low| *low <= high)?;
        // The largest block that begins here and does not end beyond `high`.
        let span = (high - low).checked_add(1).map_or(64, u64::ilog2);
        let bits = low.trailing_zeros().min(span);
        let rest = 1_u64.checked_shl(bits).map_or(u64::MAX, |size| size - 1);
        next = (low | rest).checked_add(1);
        Some((!rest, low))
    })
}
