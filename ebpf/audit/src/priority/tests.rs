use super::*;

/// Each thread has its own nice value, and any user may increase it.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the priority of the other tests is not to change"
)]
fn raise_lowers_the_nice_value_or_changes_nothing() {
    let thread = std::thread::spawn(|| {
        nice(7).unwrap();
        let before = own();
        raise();
        (before, own(), nice(-1).is_ok())
    });
    let (before, after, may) = thread.join().unwrap();
    assert_eq!(after, if may { before - BOOST } else { before });
}
