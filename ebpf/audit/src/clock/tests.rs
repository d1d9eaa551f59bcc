use super::*;

#[test]
fn times_of_day_are_formatted() {
    assert_eq!(time_of_day(0), "00:00:00.000");
    assert_eq!(time_of_day(86_399_999), "23:59:59.999");
    assert_eq!(time_of_day(-1), "23:59:59.999");
}
