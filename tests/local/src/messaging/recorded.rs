//! A map that records which of its entries have changed, so that only those are stored.

use std::collections::{BTreeMap, BTreeSet};

/// A map that records its changes since the last [`take_changes`](Self::take_changes).
#[derive(Clone, Debug)]
pub struct RecordedMap<K, V> {
    entries: BTreeMap<K, V>,
    changed: BTreeSet<K>,
}

impl<K: Ord + Clone, V> RecordedMap<K, V> {
    /// A map with stored entries. None of them counts as changed.
    pub fn of(entries: BTreeMap<K, V>) -> Self {
        Self { entries, changed: BTreeSet::new() }
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    /// Returns an entry to change.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let entry = self.entries.get_mut(key)?;
        self.changed.insert(key.clone());
        Some(entry)
    }

    pub fn insert(&mut self, key: K, value: V) {
        self.changed.insert(key.clone());
        self.entries.insert(key, value);
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let removed = self.entries.remove(key)?;
        self.changed.insert(key.clone());
        Some(removed)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter()
    }

    /// Returns the keys whose entries satisfy `predicate`, in order.
    pub fn keys_where(&self, predicate: impl Fn(&V) -> bool) -> Vec<K> {
        self.entries.iter().filter(|(_, value)| predicate(value)).map(|(key, _)| key.clone()).collect()
    }

    /// Returns the changed keys, each with its entry, or `None` if the entry was removed.
    pub fn take_changes(&mut self) -> Vec<(K, Option<&V>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|key| (key.clone(), self.entries.get(&key))).collect()
    }
}

impl<K, V> Default for RecordedMap<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), changed: BTreeSet::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changed_and_removed_entries_are_changes() {
        let mut map = RecordedMap::of(BTreeMap::from([(1, "one"), (2, "two"), (3, "three")]));
        assert_eq!(map.take_changes(), []);
        map.insert(4, "four");
        map.remove(&1);
        map.remove(&7);
        *map.get_mut(&2).unwrap() = "zwei";
        assert_eq!(map.take_changes(), [(1, None), (2, Some(&"zwei")), (4, Some(&"four"))]);
        assert_eq!(map.take_changes(), []);
    }
}
