//! A table of `crates/policy/src/seccomp/table/`, as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

const START: &str = "pub(super) const TABLE: &[(&str, u32)] = &[\n";
const END: &str = "];\n";

/// A table, and the rest of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    before: String,
    calls: BTreeMap<String, u32>,
    after: String,
}

/// The differences between a header and a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    /// How many calls both have, with the same number.
    pub(super) same: usize,
    /// How many calls the header is too old for.
    pub(super) newer: usize,
    /// Calls that the table lacks.
    pub(super) missing: BTreeMap<String, u32>,
    /// The disagreements of the two, in words.
    pub(super) wrong: Vec<String>,
}

impl Table {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let shape = || {
            format!(
                "there has to be one {:?} ... {:?}",
                START.trim(),
                END.trim()
            )
        };
        let (before, rest) = text.split_once(START).ok_or_else(shape)?;
        let (rows, after) = rest.split_once(END).ok_or_else(shape)?;
        let mut calls = BTreeMap::new();
        for line in rows.lines() {
            let wrong = || format!("{line:?} has to be of the form (\"NAME\", NUMBER),");
            let (name, number) = line
                .trim_start()
                .strip_prefix("(\"")
                .and_then(|row| row.strip_suffix("),"))
                .and_then(|row| row.split_once("\", "))
                .ok_or_else(wrong)?;
            let number = number.parse().map_err(|_| wrong())?;
            if calls.insert(name.to_owned(), number).is_some() {
                return Err(format!("{name} is listed twice"));
            }
        }
        Ok(Self {
            before: before.to_owned(),
            calls,
            after: after.to_owned(),
        })
    }

    pub(super) fn compare(&self, header: &BTreeMap<String, u32>) -> Compared {
        let names: BTreeMap<u32, &str> = self
            .calls
            .iter()
            .map(|(name, number)| (*number, name.as_str()))
            .collect();
        let mut compared = Compared::default();
        for (name, number) in header {
            match (self.calls.get(name), names.get(number)) {
                (Some(known), _) if known == number => compared.same += 1,
                (Some(known), _) => compared.wrong.push(format!(
                    "{name} has number {number} in the header, {known} in the table"
                )),
                (None, Some(known)) => compared.wrong.push(format!(
                    "number {number} is {name} in the header, {known} in the table"
                )),
                (None, None) => {
                    compared.missing.insert(name.clone(), *number);
                }
            }
        }
        let newer = self.calls.keys().filter(|name| !header.contains_key(*name));
        compared.newer = newer.count();
        compared
    }

    pub(super) fn add(&mut self, calls: BTreeMap<String, u32>) {
        self.calls.extend(calls);
    }

    /// With the calls of another table.
    pub(super) fn with(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.add(other.calls.clone());
        all
    }

    pub(super) fn remove(&mut self, calls: &BTreeMap<String, u32>) {
        self.calls.retain(|name, _| !calls.contains_key(name));
    }

    /// The calls that each table has, with the same number.
    pub(super) fn shared(tables: &[Self]) -> BTreeMap<String, u32> {
        let Some((first, others)) = tables.split_first() else {
            return BTreeMap::new();
        };
        let mut shared = first.calls.clone();
        shared.retain(|name, number| {
            let mut others = others.iter();
            others.all(|other| other.calls.get(name) == Some(number))
        });
        shared
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("{}{START}", self.before);
        for (name, number) in &self.calls {
            let _ = writeln!(text, "    (\"{name}\", {number}),");
        }
        text.push_str(END);
        text.push_str(&self.after);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &str) -> Result<Table, String> {
        Table::parse(&format!(
            "//! Words.\n\n/// Sorted.\n{START}{rows}{END}\n// After.\n"
        ))
    }

    fn calls<const N: usize>(calls: [(&str, u32); N]) -> BTreeMap<String, u32> {
        BTreeMap::from(calls.map(|(name, number)| (name.to_owned(), number)))
    }

    #[test]
    fn a_header_adds_missing_calls() {
        let mut table = table("    (\"read\", 0),\n    (\"write\", 1),\n").expect("a table");
        let header = calls([("open", 2), ("read", 0)]);
        let compared = table.compare(&header);
        let expected = Compared {
            same: 1,
            newer: 1,
            missing: calls([("open", 2)]),
            wrong: Vec::new(),
        };
        assert_eq!(compared, expected);
        table.add(compared.missing);
        let text = table.text();
        let rows = "    (\"open\", 2),\n    (\"read\", 0),\n    (\"write\", 1),\n";
        assert_eq!(
            text,
            format!("//! Words.\n\n/// Sorted.\n{START}{rows}{END}\n// After.\n")
        );
        let again = Table::parse(&text).expect("a table").compare(&header);
        assert_eq!((again.same, again.missing.len()), (2, 0));
    }

    #[test]
    fn a_call_of_each_table_is_shared() {
        let mut one = table("    (\"open\", 2),\n    (\"read\", 0),\n").expect("a table");
        let other = table("    (\"open\", 3),\n    (\"read\", 0),\n").expect("a table");
        let shared = Table::shared(&[one.clone(), other.clone()]);
        assert_eq!(shared, calls([("read", 0)]));
        one.remove(&shared);
        assert_eq!(one.calls, calls([("open", 2)]));
        assert_eq!(
            one.with(&table("    (\"read\", 0),\n").expect("a table"))
                .calls
                .len(),
            2
        );
        assert_eq!(Table::shared(&[one, other]), calls([]));
    }

    #[test]
    fn a_different_number_or_name_is_an_error() {
        let table = table("    (\"read\", 0),\n    (\"write\", 1),\n").expect("a table");
        let compared = table.compare(&calls([("read", 3), ("schreib", 1)]));
        assert_eq!(
            compared.wrong,
            [
                "read has number 3 in the header, 0 in the table",
                "number 1 is schreib in the header, write in the table"
            ]
        );
        assert!(compared.missing.is_empty());
    }

    #[test]
    fn other_texts_are_no_tables() {
        for rows in [
            "    (\"read\", 0)\n",
            "    (\"read\", x),\n",
            "    (read, 0),\n",
            "    // read\n",
            "\n",
            "    (\"read\", 0),\n    (\"read\", 1),\n",
        ] {
            assert!(table(rows).is_err(), "{rows:?}");
        }
        assert!(Table::parse("").is_err());
        assert!(Table::parse(START).is_err());
    }
}
