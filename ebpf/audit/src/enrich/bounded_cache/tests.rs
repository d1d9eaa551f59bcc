use super::*;

#[test]
fn keys_that_are_used_again_stay() {
    let mut recent = BoundedCache::new(3);
    for key in 0..3 {
        recent.put(key, "first");
    }
    // The fourth key makes the first three the older ones; one of them is then used.
    recent.put(3, "second");
    assert_eq!(recent.get(&0), Some(&"first"));
    recent.put(0, "again");
    recent.put(4, "second");
    recent.put(5, "third");
    let mut left: Vec<_> = recent.iter().map(|(key, _)| *key).collect();
    left.sort_unstable();
    assert_eq!(left, [0, 3, 4, 5]);
    assert_eq!(
        [0, 1].map(|key| recent.get(&key).copied()),
        [Some("again"), None]
    );
    recent.remove(&0);
    recent.remove(&5);
    assert!([0, 5].iter().all(|key| recent.get(key).is_none()));
    assert_eq!(recent.get(&4), Some(&"second"));
}

#[test]
fn the_last_ones_are_there_and_never_more_than_twice_as_many() {
    let mut recent = BoundedCache::new(3);
    for key in 0..100 {
        recent.put(key, ());
        let left: Vec<i32> = recent.iter().map(|(key, ())| *key).collect();
        assert!(left.len() <= 6, "{left:?}");
        let last = key.saturating_sub(2).max(0)..=key;
        assert!(last.clone().all(|key| left.contains(&key)), "{left:?}");
    }
}
