//! Some of the ten namespaces of a task.

use std::fmt;

use nsexec_audit_abi::parts::{SLOT_NAMES, SLOTS, Vector};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// A namespace, by what its kernel names it by.
pub type Id = (u32, u64);

const _: () = assert!(SLOTS <= 16);

/// Every slot by its place, with inode number and ns_id.
pub fn slots(vector: &Vector) -> impl Iterator<Item = (usize, Id)> {
    vector.inum.into_iter().zip(vector.id).enumerate()
}

/// Slots, a bit each.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct SlotSet(u16);

impl SlotSet {
    /// The slots in which two vectors differ; what a vector does not have differs
    /// from nothing.
    #[must_use]
    pub fn differing(one: &Vector, other: &Vector) -> Self {
        // As most are, which is quickly seen of the whole.
        if one == other {
            return Self::default();
        }
        let differs = |((_, one), (_, other)): &((usize, Id), (usize, Id))| {
            one.0 != 0 && other.0 != 0 && one != other
        };
        let both = slots(one).zip(slots(other));
        both.filter(differs).map(|((slot, _), _)| slot).collect()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Whether this one is there, by its name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.names().any(|one| one == name)
    }

    /// Their names, in their order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let places = SLOT_NAMES.into_iter().enumerate();
        places.filter_map(move |(slot, name)| self.has(slot).then_some(name))
    }

    /// All others.
    #[must_use]
    pub fn others(self) -> Self {
        (0..SLOTS).filter(|slot| !self.has(*slot)).collect()
    }

    fn has(self, slot: usize) -> bool {
        self.0 >> slot & 1 == 1
    }
}

impl FromIterator<usize> for SlotSet {
    fn from_iter<T: IntoIterator<Item = usize>>(places: T) -> Self {
        let bits = places.into_iter().map(|slot| 1_u16 << slot);
        Self(bits.fold(0, |all, bit| all | bit))
    }
}

impl fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// As an array of names.
impl Serialize for SlotSet {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.names())
    }
}

/// Some of a task's namespaces, as an object: each `[inum, ns_id]`.
#[derive(Clone, Debug)]
pub struct Chosen {
    pub of: Vector,
    pub which: SlotSet,
}

impl Chosen {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.which.is_empty()
    }
}

impl Serialize for Chosen {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut members = to.serialize_map(None)?;
        for (name, (slot, id)) in SLOT_NAMES.into_iter().zip(slots(&self.of)) {
            if self.which.has(slot) {
                members.serialize_entry(name, &id)?;
            }
        }
        members.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::tests::{vector, with};

    #[test]
    fn a_set_has_its_names_in_their_order() {
        let one = vector(1);
        let other = with(with(one, "uts", 70), "mnt", 71);
        let set = SlotSet::differing(&one, &other);
        assert_eq!(set.names().collect::<Vec<_>>(), ["mnt", "uts"]);
        assert!(set.contains("uts") && !set.contains("net"));
        assert_eq!(set.others().names().count(), SLOTS - 2);
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["mnt","uts"]"#);
        let gone = with(other, "uts", 0);
        assert!(!SlotSet::differing(&one, &gone).contains("uts"));
    }

    #[test]
    fn some_namespaces_are_pairs_of_numbers() {
        let one = vector(1);
        let some = |which| Chosen { of: one, which };
        let which = SlotSet::differing(&one, &with(one, "net", 70));
        let (inum, id) = (one.inum[3], one.id[3]);
        assert_eq!(
            serde_json::to_string(&some(which)).unwrap(),
            format!(r#"{{"net":[{inum},{id}]}}"#)
        );
        assert!(some(SlotSet::default()).is_empty());
    }
}
