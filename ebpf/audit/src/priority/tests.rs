use super::*;

/// Each thread has its own nice value, and any user may increase it.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the priority of the other tests is not to change"
)]
fn it_is_raised_from_its_start_or_stays() {
    let thread = std::thread::spawn(|| {
        nice(7).unwrap();
        let before = own();
        raise();
        (before, own(), nice(-1).is_ok())
    });
    let (before, after, may) = thread.join().unwrap();
    assert_eq!(after, if may { before - BOOST } else { before });
}
