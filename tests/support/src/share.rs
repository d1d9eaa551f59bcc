//! Fewer repetitions on a slow machine.

/// NSEXEC_TEST_SHARE=N: tests with repetitions run each Nth repetition. An emulated machine
/// takes twenty times as long for each.
pub fn share() -> usize {
    let share = std::env::var("NSEXEC_TEST_SHARE").ok();
    let share = share.map(|share| share.parse().expect("NSEXEC_TEST_SHARE: a number"));
    share.unwrap_or(1).max(1)
}

/// The first and then each Nth of `all`; more of them if these are fewer than `least`.
pub fn at_least<T>(least: usize, all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    let all: Vec<T> = all.collect();
    let step = share().min(all.len() / least).max(1);
    all.into_iter().step_by(step)
}

/// Each Nth of `all`, and the first.
pub fn of<T>(all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    all.step_by(share())
}

/// NSEXEC_TEST_JOINS=N: the number of joins of a changing target, instead of the test's
/// default.
pub fn joins(usual: usize) -> usize {
    let joins = std::env::var("NSEXEC_TEST_JOINS").ok();
    let joins = joins.map(|joins| joins.parse().expect("NSEXEC_TEST_JOINS: a number"));
    joins.unwrap_or(usual)
}
