use super::*;

#[test]
fn times_of_day_are_formatted() {
    assert_eq!(time_of_day(0), "00:00:00.000");
    assert_eq!(time_of_day(86_399_999), "23:59:59.999");
    assert_eq!(time_of_day(-1), "23:59:59.999");
}

/// As date(1) has them.
#[test]
fn days_are_those_of_the_calendar() {
    for (seconds, right) in [
        (0, "1970-01-01"),
        (951_782_400, "2000-02-29"),
        (951_868_800, "2000-03-01"),
        (1_795_581_303, "2026-11-25"),
        (4_107_542_399, "2100-02-28"),
        (4_107_542_400, "2100-03-01"),
        (-1, "1969-12-31"),
    ] {
        assert_eq!(day(seconds * 1000), right);
    }
}

#[test]
fn a_moment_outside_the_calendar_is_a_number() {
    for wall_ms in [i64::MIN, i64::MAX] {
        let right = format!("{wall_ms} ms");
        assert_eq!([day(wall_ms), time_of_day(wall_ms)], [&*right, &right]);
    }
    assert_eq!(formatted("%S", i128::MAX), format!("{} ms", i128::MAX / MS));
}
