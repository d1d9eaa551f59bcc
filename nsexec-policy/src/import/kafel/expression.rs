//! The condition of a kafel rule.

use super::super::logic::{Alternatives, Logic, Operand, Relation, TooMany, compare};

/// The lower half of an argument: kafel loads only this half of a shorter one.
const LOW: u64 = 0xffff_ffff;

/// A parsed condition; its depth is bounded by the parser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    Compare(Operand, Relation, u64),
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

impl Expression {
    /// The condition under which it holds, or with `negated`, does not hold.
    pub(super) fn alternatives(
        &self,
        negated: bool,
        logic: &mut Logic,
    ) -> Result<Alternatives, TooMany> {
        logic.spend(1)?;
        match (self, negated) {
            (Self::Compare(operand, relation, value), false) => {
                Ok(compare(*operand, *relation, *value))
            }
            (Self::Compare(operand, relation, value), true) => {
                Ok(compare(*operand, relation.negated(), *value))
            }
            (Self::Not(inner), _) => inner.alternatives(!negated, logic),
            (Self::All(parts), false) | (Self::Any(parts), true) => {
                logic.every(parts, |part, logic| part.alternatives(negated, logic))
            }
            (Self::Any(parts), false) | (Self::All(parts), true) => {
                logic.either(parts, |part, logic| part.alternatives(negated, logic))
            }
        }
    }
}

/// `(argument & and) | or`, or without an argument the number `or`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bits {
    /// The index of the argument, and whether it has eight bytes.
    argument: Option<(u8, bool)>,
    and: u64,
    or: u64,
    /// For a number that needs eight bytes, kafel compares eight bytes.
    is_wide: bool,
}

impl Bits {
    pub(super) fn number(value: u64) -> Self {
        Self {
            argument: None,
            and: 0,
            or: value,
            is_wide: value > LOW,
        }
    }

    pub(super) fn argument(argument: u8, is_wide: bool) -> Self {
        Self {
            argument: Some((argument, is_wide)),
            and: u64::MAX,
            or: 0,
            is_wide,
        }
    }

    /// `a & b`, or `a | b`; `None` where both are arguments.
    pub(super) fn joined(self, other: Self, is_and: bool) -> Option<Self> {
        let (bits, number) = match (self.argument, other.argument) {
            (Some(_), Some(_)) => return None,
            (None, Some(_)) => (other, self.or),
            (_, None) => (self, other.or),
        };
        let (and, or) = if is_and {
            (bits.and & number, bits.or & number)
        } else {
            (bits.and & !number, bits.or | number)
        };
        Some(Self {
            argument: bits.argument,
            and,
            or,
            is_wide: match bits.argument {
                Some(_) => self.is_wide || other.is_wide,
                None => or > LOW,
            },
        })
    }

    /// `None` where both are arguments.
    pub(super) fn compared(self, relation: Relation, other: Self) -> Option<Expression> {
        let (bits, relation, value) = match (self.argument, other.argument) {
            (Some(_), Some(_)) => return None,
            (None, Some(_)) => (other, relation.flipped(), self.or),
            (_, None) => (self, relation, other.or),
        };
        let is_wide = self.is_wide || other.is_wide;
        let operand = Operand {
            argument: bits.argument.map_or(0, |(argument, _)| argument),
            and: if is_wide { bits.and } else { bits.and & LOW },
            or: bits.or,
        };
        Some(Expression::Compare(operand, relation, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operand(expression: Option<Expression>) -> (u64, u64, u64) {
        match expression {
            Some(Expression::Compare(operand, _, value)) => (operand.and, operand.or, value),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn masks_and_numbers_are_folded() {
        let (arg, number) = (Bits::argument(2, true), Bits::number);
        let masked = arg.joined(number(6), true).expect("one argument");
        let masked = number(1).joined(masked, false).expect("one argument");
        let same = Relation::Equal;
        assert_eq!(operand(masked.compared(same, number(3))), (6, 1, 3));
        let both = number(1).joined(number(4), false).expect("no argument");
        assert_eq!(operand(arg.compared(same, both)), (u64::MAX, 0, 5));
        assert_eq!(arg.joined(arg, true), None);
        assert_eq!(arg.compared(same, masked), None);
    }

    #[test]
    fn a_short_argument_is_compared_by_its_lower_half() {
        let (short, number) = (Bits::argument(0, false), Bits::number);
        let same = Relation::Equal;
        assert_eq!(operand(short.compared(same, number(1))), (LOW, 0, 1));
        let minus = number(u64::MAX);
        let wide = (u64::MAX, 0, u64::MAX);
        assert_eq!(operand(short.compared(same, minus)), wide);
        assert_eq!(operand(minus.compared(same, short)), wide);
    }
}
