//! An index of a table by name and by number, computed at compile time. A
//! profile names hundreds of calls, and a binary search would compare nine
//! names for each.

/// More than twice the number of names of a table, so that few names collide.
const SLOTS: usize = 1024;

/// Above every number but those that are private to an architecture (Arm's from
/// 0xf0001 on), which are looked for one by one.
const NUMBERS: usize = 512;

/// Nothing is here.
const NONE: u16 = u16::MAX;

/// The places of a table's calls.
pub(super) struct Index {
    /// A name is in the slot of its hash, or in the next free one.
    by_name: [u16; SLOTS],
    by_number: [u16; NUMBERS],
}

impl Index {
    #[expect(clippy::as_conversions, reason = "a const fn has no From")]
    pub(super) const fn of(table: &[(&str, u32)]) -> Self {
        let mut index = Self {
            by_name: [NONE; SLOTS],
            by_number: [NONE; NUMBERS],
        };
        let (mut at, mut place) = (0, 0);
        while at < table.len() {
            let (name, number) = table[at];
            let mut slot = slot(name);
            while index.by_name[slot] != NONE {
                slot = (slot + 1) % SLOTS;
            }
            index.by_name[slot] = place;
            if (number as usize) < NUMBERS {
                index.by_number[number as usize] = place;
            }
            at += 1;
            place += 1;
        }
        index
    }

    /// The call of this name in the table that this is the index of.
    pub(super) fn by_name<'a>(
        &self,
        table: &'a [(&'a str, u32)],
        name: &str,
    ) -> Option<&'a (&'a str, u32)> {
        let mut slot = slot(name);
        // There are free slots, so that this ends.
        loop {
            let call = table.get(usize::from(*self.by_name.get(slot)?))?;
            if call.0 == name {
                return Some(call);
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    /// The call of this number.
    pub(super) fn by_number<'a>(
        &self,
        table: &'a [(&'a str, u32)],
        number: u32,
    ) -> Option<&'a (&'a str, u32)> {
        match self.by_number.get(usize::try_from(number).ok()?) {
            Some(place) => table.get(usize::from(*place)),
            None => table.iter().find(|call| call.1 == number),
        }
    }
}

/// FNV-1a of the name, cut.
#[expect(clippy::as_conversions, reason = "a const fn has no From")]
const fn slot(name: &str) -> usize {
    let name = name.as_bytes();
    let (mut hash, mut at) = (0x811c_9dc5_u32, 0);
    while at < name.len() {
        hash = (hash ^ name[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    (hash ^ hash >> 16) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_contains_exactly_its_calls() {
        let names: Vec<String> = (0..400_u32).map(|number| format!("call{number}")).collect();
        let table: Vec<(&str, u32)> = names
            .iter()
            .map(String::as_str)
            .zip((0..400).rev())
            .collect();
        let index = Index::of(&table);
        for call in &table {
            assert_eq!(index.by_name(&table, call.0), Some(call));
            assert_eq!(index.by_number(&table, call.1), Some(call));
        }
        for other in ["", "call", "call400", "Call1", "call1 ", "cal"] {
            assert_eq!(index.by_name(&table, other), None, "{other:?}");
        }
        for other in [400, 511, 512, 65535, 65536, u32::MAX] {
            assert_eq!(index.by_number(&table, other), None, "{other}");
        }
    }

    #[test]
    fn a_name_beyond_the_last_slot_is_in_one_of_the_first() {
        let names: Vec<String> = (0..100_000).map(|number| format!("call{number}")).collect();
        let last = names.iter().filter(|name| slot(name) == SLOTS - 1);
        let table: Vec<(&str, u32)> = last.map(String::as_str).zip(0..3).collect();
        assert_eq!(table.len(), 3);
        let index = Index::of(&table);
        for call in &table {
            assert_eq!(index.by_name(&table, call.0), Some(call));
        }
    }
}
