//! A map of bounded size.

use std::collections::HashMap;
use std::hash::Hash;

/// A map that forgets the keys that were not used for the longest time.
#[derive(Debug)]
pub(crate) struct BoundedCache<K, V> {
    most: usize,
    /// The keys that were used recently, and those before: once there are `most` of the
    /// first, they become the second.
    recent: HashMap<K, V>,
    older: HashMap<K, V>,
}

impl<K: Eq + Hash, V> BoundedCache<K, V> {
    /// It remembers at least the last `most` keys, and at most twice as many.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            recent: HashMap::new(),
            older: HashMap::new(),
        }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        if !self.older.is_empty()
            && let Some((key, value)) = self.older.remove_entry(key)
        {
            self.put(key, value);
        }
        self.recent.get(key)
    }

    pub(crate) fn put(&mut self, key: K, value: V) {
        if self.recent.len() >= self.most && !self.recent.contains_key(&key) {
            self.older = std::mem::take(&mut self.recent);
        }
        self.older.remove(&key);
        self.recent.insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: &K) {
        self.recent.remove(key);
        self.older.remove(key);
    }

    /// All entries, in no order.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.recent.iter().chain(&self.older)
    }
}

#[cfg(test)]
mod tests;
