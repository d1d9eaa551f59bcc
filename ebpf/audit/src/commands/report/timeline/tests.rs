use super::ticks::{label, step};

#[test]
fn steps_are_round_and_few() {
    for (length, right) in [
        (1, 1),
        (8, 1),
        (9, 2),
        (1_000_000, 200_000),
        (2_000_000_000, 500_000_000),
        (30_000_000_000, 5_000_000_000),
        (3_600_000_000_000, 600_000_000_000),
    ] {
        assert_eq!(step(length), right);
        assert!(length / step(length) <= 8);
    }
    assert!(u64::MAX / step(u64::MAX) <= 8);
}

#[test]
fn labels_are_as_fine_as_their_step() {
    let at = 86_399_123_456_789;
    for (step, right) in [
        (60_000_000_000, "23:59"),
        (1_000_000_000, "23:59:59"),
        (500_000_000, "23:59:59.123"),
        (1_000, "59.123456"),
        (1, "59.123456789"),
    ] {
        assert_eq!(label(at, step), right);
    }
}
