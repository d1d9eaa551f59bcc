use nsexec_policy_engine::seccomp::profile::Comparison;

use super::super::all_hold;
use super::*;

const VALUES: [u64; 16] = [
    0,
    1,
    2,
    3,
    4,
    5,
    8,
    0x7f,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0003,
    0x1_0000_0005,
    0x8000_0000_0000_0000,
    u64::MAX - 1,
    u64::MAX,
];

const RELATIONS: [Relation; 6] = [
    Relation::Equal,
    Relation::NotEqual,
    Relation::Less,
    Relation::LessOrEqual,
    Relation::Greater,
    Relation::GreaterOrEqual,
];

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

fn masked(and: u64, or: u64) -> Operand {
    let (argument, or) = (3, or & !and);
    Operand { argument, and, or }
}

fn seen(operand: Operand, argument: u64) -> u64 {
    (argument & operand.and) | operand.or
}

/// `all` is about one argument.
#[track_caller]
fn holds_where(all: &[Conjunction], what: &str, expected: impl Fn(u64) -> bool) {
    let entries = Logic::new(MAX_ENTRIES).conditions(all).expect(what);
    assert!(entries.iter().all(|entry| entry.len() < 2), "{what}");
    for x in VALUES {
        let found = entries.iter().any(|entry| all_hold(entry, &[x; 6]));
        assert_eq!(found, expected(x), "{what} of {x:#x}");
    }
}

#[test]
fn every_comparison_and_its_negation_is_exact() {
    for and in [
        0,
        1,
        4,
        5,
        0xffff_ffff,
        !0xf,
        !0x1f_0005,
        u64::MAX,
        1 << 63 | 1,
    ] {
        for or in [0, 1, 2, 0x1_0000_0000] {
            let operand = masked(and, or);
            for relation in RELATIONS {
                for value in VALUES {
                    let what = format!("{operand:?} {relation:?} {value:#x}");
                    let is = |x| related(seen(operand, x), relation, value);
                    holds_where(&compare(operand, relation, value), &what, is);
                    let not = compare(operand, relation.negated(), value);
                    holds_where(&not, &format!("not {what}"), |x| !is(x));
                    for x in VALUES {
                        let flipped = related(value, relation.flipped(), seen(operand, x));
                        assert_eq!(flipped, is(x), "{what} of {x:#x}");
                    }
                }
            }
        }
    }
}

#[test]
fn two_comparisons_of_an_argument_both_apply() {
    let mut all = Vec::new();
    for and in [u64::MAX, 0xffff_ffff, 1, 6, !0xf] {
        for relation in RELATIONS {
            all.extend(VALUES.map(|value| (masked(and, 0), relation, value)));
        }
    }
    for (at, a) in all.iter().enumerate() {
        // Every 31st value, from a different start each time: testing all pairs
        // is slow.
        for b in all.iter().skip(at % 31).step_by(31) {
            let both =
                [a, b].map(|(operand, relation, value)| compare(*operand, *relation, *value));
            let both = Logic::new(MAX_ENTRIES).both(&both[0], &both[1]);
            holds_where(&both.expect("few"), &format!("{a:?} and {b:?}"), |x| {
                [a, b]
                    .into_iter()
                    .all(|(o, relation, value)| related(seen(*o, x), *relation, *value))
            });
        }
    }
}

#[test]
fn a_set_with_a_short_form_gets_it() {
    use Comparison::{Equal, GreaterOrEqual, LessOrEqual, Masked, NotEqual};
    let found = |parts: &[(u64, Relation, u64)]| {
        let mut logic = Logic::new(MOST);
        let when = logic.every(parts, |(and, relation, value), _| {
            Ok(compare(masked(*and, 0), *relation, *value))
        });
        let entries = logic.conditions(&when.expect("few")).expect("few");
        let conditions = entries.into_iter().flatten();
        conditions.map(|one| one.comparison).collect::<Vec<_>>()
    };
    let is = |relation, value| (u64::MAX, relation, value);
    let bits = |mask, value| (mask, Relation::Equal, value);
    let bit = |mask, value| Masked { mask, value };
    let (at_least, at_most) = (Relation::GreaterOrEqual, Relation::LessOrEqual);
    let not = Relation::NotEqual;

    assert_eq!(found(&[is(at_least, 5), is(at_most, 5)]), [Equal(5)]);
    assert_eq!(found(&[is(at_least, 5), is(Relation::Less, 5)]), []);
    assert_eq!(
        found(&[is(at_least, 5), is(at_least, 5)]),
        [GreaterOrEqual(5)]
    );
    assert_eq!(found(&[is(Relation::Equal, 3), is(Relation::Equal, 4)]), []);
    assert_eq!(
        found(&[is(Relation::Equal, 8), is(at_least, 5)]),
        [Equal(8)]
    );
    assert_eq!(found(&[is(not, 3), is(not, 3)]), [NotEqual(3)]);
    assert_eq!(found(&[is(not, 0)]), [NotEqual(0)]);
    assert_eq!(found(&[is(not, u64::MAX)]), [NotEqual(u64::MAX)]);
    let holes = [Equal(0), Equal(2), GreaterOrEqual(4)];
    assert_eq!(found(&[is(not, 1), is(not, 3)]), holes);

    assert_eq!(found(&[bits(1, 1), bits(6, 2)]), [bit(7, 3)]);
    assert_eq!(found(&[bits(1, 1), bits(3, 0)]), []);
    assert_eq!(found(&[bits(8, 8), is(at_least, 5)]), [bit(8, 8)]);
    assert_eq!(found(&[bits(8, 8), is(at_most, 5)]), []);
    assert_eq!(found(&[(4, not, 0)]), [bit(4, 4)]);
    assert_eq!(found(&[(!3, not, 0)]), [GreaterOrEqual(4)]);
    assert_eq!(found(&[(!3, Relation::Less, 8)]), [LessOrEqual(7)]);
    assert_eq!(found(&[bits(!3, 0)]), [bit(!3, 0)]);
    // The lower half, and conditions that never or always hold for it.
    let low = 0xffff_ffff;
    assert_eq!(found(&[(low, at_most, 15)]), [bit(low - 15, 0)]);
    assert_eq!(found(&[(low, at_least, 1 << 31)]), [bit(1 << 31, 1 << 31)]);
    let below = [bit(low - 7, 0), bit(low - 1, 8)];
    assert_eq!(found(&[(low, at_most, 9)]), below);
    assert_eq!(found(&[(low, Relation::Greater, low)]), []);
    assert_eq!(compare(masked(low, 0), at_most, low), always());
    assert_eq!(compare(masked(low, 0), not, 1 << 32), always());
}

#[test]
fn an_unrestricted_argument_is_left_out() {
    for (relation, value) in [
        (Relation::GreaterOrEqual, 0),
        (Relation::LessOrEqual, u64::MAX),
    ] {
        assert_eq!(compare(masked(u64::MAX, 0), relation, value), always());
    }
    assert_eq!(compare(masked(0, 6), Relation::Equal, 6), always());
    assert_eq!(compare(masked(0, 6), Relation::Equal, 7), []);
    let mut logic = Logic::new(MOST);
    assert_eq!(logic.conditions(&always()), Ok(vec![Vec::new()]));
    assert_eq!(logic.conditions(&[]), Ok(Vec::new()));
    let five = compare(masked(u64::MAX, 0), Relation::Equal, 5);
    assert_eq!(logic.both(&five, &always()), Ok(five.clone()));
    assert_eq!(logic.both(&five, &[]), Ok(Vec::new()));
    let either = logic.either([five.clone(), five.clone()], |part, _| Ok(part));
    assert_eq!(either, Ok(five.clone()));
    let either = logic.either([five, always()], |part, _| Ok(part));
    assert_eq!(either, Ok(always()));
    assert_eq!(logic.either([], |part, _| Ok(part)), Ok(Vec::new()));
    assert_eq!(logic.every([], |part, _| Ok(part)), Ok(always()));
}

#[test]
fn too_many_alternatives_are_an_error() {
    let differs = |argument, and, value| {
        let operand = Operand {
            argument,
            and,
            or: 0,
        };
        compare(operand, Relation::NotEqual, value)
    };
    let product = |most, arguments| {
        Logic::new(most).every(0..arguments, |argument, _| Ok(differs(argument, 0x7f, 2)))
    };
    assert_eq!(product(49, 2).map(|all| all.len()), Ok(49));
    assert_eq!(product(48, 2), Err(TooMany));
    assert_eq!(product(MAX_ENTRIES, 5), Err(TooMany));

    // One set, of one range more with each value.
    let holes = |most, values: u64| {
        Logic::new(most).every(0..values, |value, _| {
            Ok(differs(0, u64::MAX, 2 * value + 1))
        })
    };
    assert!(holes(MOST, 63).is_ok());
    assert_eq!(holes(MOST, 64), Err(TooMany));

    // Each alternative needs 62 comparisons; together they are too many.
    let range = (masked(u64::MAX, 0), Relation::GreaterOrEqual, 1 << 2);
    let range = Logic::new(MOST)
        .both(
            &compare(range.0, range.1, range.2),
            &compare(range.0, Relation::Less, 1 << 63 | 1 << 62),
        )
        .expect("one range");
    let mut logic = Logic::new(MOST);
    assert_eq!(logic.conditions(&range).map(|all| all.len()), Ok(62));
    assert_eq!(logic.conditions(&vec![range[0].clone(); 67]), Err(TooMany));
    assert_eq!(Logic::new(61).conditions(&range), Err(TooMany));

    // Of many that are the same, only so many are looked at.
    let five = compare(masked(u64::MAX, 0), Relation::Equal, 5);
    let same = |count| Logic::new(MOST).either(vec![five.clone(); count], |part, _| Ok(part));
    assert_eq!(same(16 * MOST), Ok(five.clone()));
    assert_eq!(same(16 * MOST + 1), Err(TooMany));
}

#[test]
fn work_ends() {
    // A remaining budget in the middle of a policy.
    const LEFT: usize = 1000;
    let rounds = |work: &dyn Fn(&mut Logic) -> Result<(), TooMany>| {
        let (most, left) = (MOST, LEFT);
        let mut logic = Logic { most, left };
        (0..2 * LEFT).position(|_| work(&mut logic) == Err(TooMany))
    };
    let five = |argument| {
        let (and, or) = (u64::MAX, 0);
        compare(Operand { argument, and, or }, Relation::Equal, 5)
    };
    let (zero, one) = (five(0), five(1));
    let joined = rounds(&|logic| logic.both(&zero, &one).map(drop));
    assert_eq!(joined, Some(LEFT));
    let either = rounds(&|logic| logic.either([&zero], |part, _| Ok(part.clone())).map(drop));
    assert_eq!(either, Some(LEFT));
    let holes = Logic::new(MOST).every(0..32, |value, _| {
        let operand = masked(u64::MAX, 0);
        Ok(compare(operand, Relation::NotEqual, 2 * value + 1))
    });
    let holes = holes.expect("few");
    let merged = rounds(&|logic| logic.both(&holes, &holes).map(drop));
    assert_eq!(merged, Some(LEFT / 34));
    let found = rounds(&|logic| logic.conditions(&holes).map(drop));
    assert_eq!(found, Some(LEFT / 33));
}

#[test]
fn impossible_and_duplicate_alternatives_are_left_out() {
    let mut logic = Logic::new(MOST);
    let eight = compare(masked(8, 0), Relation::Equal, 8);
    let below = compare(masked(u64::MAX, 0), Relation::Less, 8);
    assert_eq!(logic.both(&eight, &below), Ok(Vec::new()));
    let mut asked = 0;
    let never = logic.every([eight, below.clone(), below.clone()], |part, _| {
        asked += 1;
        Ok(part)
    });
    assert_eq!((never, asked), (Ok(Vec::new()), 2));

    let other = Operand {
        argument: 4,
        and: u64::MAX,
        or: 0,
    };
    let other = compare(other, Relation::Equal, 8);
    let one = logic
        .either([below, other], |part, _| Ok(part))
        .expect("two");
    // The first, the second, and both.
    assert_eq!(logic.both(&one, &one).map(|all| all.len()), Ok(3));
}
