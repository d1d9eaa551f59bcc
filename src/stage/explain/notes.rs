//! The refusals, each once with its count, and the table of them.

use std::fmt::Write as _;

use crate::policy::explain::Refusal;

/// How many different refusals are kept; further ones are counted only.
const MAX_NOTES: usize = 1000;

/// The refusals so far.
#[derive(Debug)]
pub(super) struct Notes {
    noted: Vec<(Refusal, u64)>,
    /// Refusals that differ from all kept ones.
    beyond: u64,
    /// Kinds of refusals that the table may lack, and the reason: `(why, kinds)`.
    unknown: Vec<(String, Vec<&'static str>)>,
    /// Facts that the reader needs in order to trust the table.
    remarks: Vec<String>,
}

impl Notes {
    pub(super) fn new() -> Self {
        Self {
            noted: Vec::new(),
            beyond: 0,
            unknown: Vec::new(),
            remarks: Vec::new(),
        }
    }

    pub(super) fn refused(&mut self, refusal: Refusal) {
        if let Some((_, count)) = self.noted.iter_mut().find(|(known, _)| *known == refusal) {
            *count += 1;
        } else if self.noted.len() < MAX_NOTES {
            self.noted.push((refusal, 1));
        } else {
            self.beyond += 1;
        }
    }

    /// The report may lack refusals of this kind.
    pub(super) fn unknown(&mut self, kind: &'static str, why: &str) {
        match self.unknown.iter_mut().find(|(known, _)| known == why) {
            Some((_, kinds)) if kinds.contains(&kind) => {}
            Some((_, kinds)) => kinds.push(kind),
            None => self.unknown.push((why.to_owned(), vec![kind])),
        }
    }

    /// Adds a remark once.
    pub(super) fn remark(&mut self, text: &str) {
        if !self.remarks.iter().any(|known| known == text) {
            self.remarks.push(text.to_owned());
        }
    }

    /// For people: one line per refusal, in the order of their arrival.
    pub(super) fn table(&self, policy: &str) -> String {
        let mut text = String::new();
        if self.noted.is_empty() {
            // The table makes no claim about a kind that is not reported.
            let claim = if self.unknown.is_empty() {
                format!("neither a filter nor Landlock of the policy {policy} refused anything")
            } else {
                format!("no filter of the policy {policy} returned an error for a call")
            };
            let _ = writeln!(
                text,
                "nsexec: {claim}; \
                 a call that failed may need a capability (to configure a network: --policy net), or \
                 permission by owner and mode"
            );
        } else {
            let _ = writeln!(text, "nsexec: refused under the policy {policy}:");
            let mut rows = vec![["layer", "rule", "refused", "to allow it"].map(str::to_owned)];
            for (refusal, count) in &self.noted {
                let times = if *count > 1 {
                    format!(" ({count} times)")
                } else {
                    String::new()
                };
                rows.push([
                    refusal.layer.clone(),
                    printable(&refusal.rule),
                    printable(&refusal.what) + &times,
                    printable(&refusal.remedy),
                ]);
            }
            let width = |column: usize| {
                let cells = rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            };
            let widths = [width(0), width(1), width(2)];
            for [layer, rule, what, remedy] in &rows {
                let [first, second, third] = widths;
                let _ = writeln!(
                    text,
                    "  {layer:first$}  {rule:second$}  {what:third$}  {remedy}"
                );
            }
        }
        if self.beyond > 0 {
            let _ = writeln!(text, "nsexec: {} more refusals are left out", self.beyond);
        }
        for (why, kinds) in &self.unknown {
            let kinds = kinds.join(", and ");
            let _ = writeln!(text, "nsexec: the report lacks {kinds}: {}", printable(why));
        }
        for remark in &self.remarks {
            let _ = writeln!(text, "nsexec: {}", printable(remark));
        }
        text
    }
}

/// The program chooses its paths: none of their bytes may control a terminal.
fn printable(text: &str) -> String {
    let safe = |c: char| if c.is_control() { '?' } else { c };
    text.chars().map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(what: &str) -> Refusal {
        Refusal {
            layer: "seccomp".to_owned(),
            rule: "a.json:2 (default)".to_owned(),
            what: what.to_owned(),
            remedy: "CAP_SYS_ADMIN (a.json:9)".to_owned(),
        }
    }

    #[test]
    fn each_refusal_has_one_aligned_line_with_its_count() {
        let mut notes = Notes::new();
        for what in ["mount() = EPERM", "a\u{1b}[2Jb", "mount() = EPERM"] {
            notes.refused(refusal(what));
        }
        notes.remark("once");
        notes.remark("once");
        assert_eq!(
            notes.table("default"),
            "nsexec: refused under the policy default:\n  \
               layer    rule                refused                    to allow it\n  \
               seccomp  a.json:2 (default)  mount() = EPERM (2 times)  CAP_SYS_ADMIN (a.json:9)\n  \
               seccomp  a.json:2 (default)  a?[2Jb                     CAP_SYS_ADMIN (a.json:9)\n\
             nsexec: once\n"
        );
    }

    #[test]
    fn the_table_makes_no_claim_about_kinds_that_it_lacks() {
        let mut notes = Notes::new();
        assert!(notes.table("p").contains("neither a filter nor Landlock"));
        notes.unknown("refusals by Landlock", "auditing is off");
        notes.unknown(
            "calls for which a filter killed the process",
            "auditing is off",
        );
        notes.unknown("refusals by Landlock", "auditing is off");
        assert_eq!(
            notes.table("p"),
            "nsexec: no filter of the policy p returned an error for a call; a call that \
             failed may need a capability (to configure a network: --policy net), or permission by \
             owner and mode\n\
             nsexec: the report lacks refusals by Landlock, and calls for which a filter killed the \
             process: auditing is off\n"
        );
        notes.refused(refusal("mount() = EPERM"));
        let table = notes.table("p");
        assert!(
            table.contains("mount()") && table.contains("the report lacks"),
            "{table}"
        );
    }

    #[test]
    fn the_number_of_rows_is_bounded() {
        let mut notes = Notes::new();
        for at in 0..MAX_NOTES + 7 {
            notes.refused(refusal(&at.to_string()));
        }
        let table = notes.table("p");
        assert_eq!(table.lines().count(), MAX_NOTES + 3);
        assert!(table.ends_with("nsexec: 7 more refusals are left out\n"));
        assert!(Notes::new().table("p").contains("refused anything"));
    }
}
