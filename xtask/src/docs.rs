//! What the documents promise, held against the tree.

use std::io;
use std::path::Path;

use crate::cargo;

const ADVISORIES: &str = "docs/advisories.md";

/// Every advisory has an answer, and every test that a document names exists.
pub(crate) fn check() -> io::Result<()> {
    let root = cargo::root();
    let mut wrong = Vec::new();

    let advisories = std::fs::read_to_string(root.join(ADVISORIES))
        .map_err(|error| io::Error::other(format!("{ADVISORIES}: {error}")))?;
    let open = unanswered(&advisories);
    wrong.extend(
        open.iter().map(|row| {
            format!("{ADVISORIES}: neither a test nor a reason in the last column: {row}")
        }),
    );

    let mut sources = Vec::new();
    for file in cargo::files(&root, "rs")? {
        sources.push(std::fs::read_to_string(file)?);
    }
    let mut named = 0;
    for document in cargo::files(&root, "md")? {
        let shown = document.strip_prefix(&root).unwrap_or(&document).display();
        for test in tests_named(&std::fs::read_to_string(&document)?) {
            named += 1;
            if !test.exists(&root, &sources) {
                wrong.push(format!("{shown}: there is no `{}`", test.0));
            }
        }
    }

    if wrong.is_empty() {
        println!("every advisory has an answer; {named} tests are named, and all of them exist");
        return Ok(());
    }
    Err(io::Error::other(wrong.join("\n")))
}

/// The rows of tables whose last column is empty.
fn unanswered(document: &str) -> Vec<&str> {
    document
        .lines()
        .map(str::trim)
        .filter(|line| {
            line.strip_prefix('|')
                .and_then(|row| row.strip_suffix('|'))
                .and_then(|row| row.rsplit('|').next())
                .is_some_and(|last| matches!(last.trim(), "" | "-" | "?"))
        })
        .collect()
}

/// A test as a document names it: `tests/FILE.rs::NAME` or `fn NAME`.
struct Named<'a>(&'a str);

impl Named<'_> {
    fn exists(&self, root: &Path, sources: &[String]) -> bool {
        if let Some(name) = self.0.strip_prefix("fn ") {
            return sources.iter().any(|source| defines(source, name));
        }
        let (file, path) = self.0.split_once("::").unwrap_or((self.0, ""));
        let name = path.rsplit("::").next().unwrap_or_default();
        std::fs::read_to_string(root.join(file)).is_ok_and(|source| defines(&source, name))
    }
}

fn tests_named(document: &str) -> impl Iterator<Item = Named<'_>> {
    document
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| {
            code.strip_prefix("fn ").is_some_and(is_name)
                || (code.contains(".rs::") && !code.contains(char::is_whitespace))
        })
        .map(Named)
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn defines(source: &str, name: &str) -> bool {
    is_name(name)
        && source
            .match_indices(&format!("fn {name}"))
            .any(|(at, found)| {
                source
                    .get(at + found.len()..)
                    .is_some_and(|rest| rest.starts_with(['(', '<']))
            })
}

#[cfg(test)]
mod tests {
    use super::{Named, defines, tests_named, unanswered};

    #[test]
    fn a_row_without_an_answer_is_found() {
        let document = "text | with a bar\n\
            | advisory | what | covered by |\n|---|---|---|\n\
            | CVE-1 | x | `fn y` |\n| CVE-2 | x |  |\n| CVE-3 | x ||\n| CVE-4 | x | - |\n";
        assert_eq!(
            unanswered(document),
            ["| CVE-2 | x |  |", "| CVE-3 | x ||", "| CVE-4 | x | - |"]
        );
    }

    #[test]
    fn tests_are_known_by_their_form() {
        let document = "`fn one` and `tests/a.rs::two`, `src/b.rs::tests::three`;\n\
            `fn(x)`, `a b.rs::c`, `tests/a.rs`, fn four and `fn five(x)`";
        let names: Vec<&str> = tests_named(document).map(|named| named.0).collect();
        assert_eq!(
            names,
            ["fn one", "tests/a.rs::two", "src/b.rs::tests::three"]
        );
    }

    #[test]
    fn a_name_is_looked_up_whole() {
        let source = "#[test]\nfn joins_all() {}\nfn given<T>() {}";
        assert!(defines(source, "joins_all") && defines(source, "given"));
        assert!(!defines(source, "joins") && !defines(source, "all") && !defines(source, ""));
    }

    #[test]
    fn a_file_of_that_name_is_asked_for_its_test() {
        let root = crate::cargo::root();
        let here = |text| Named(text).exists(&root, &["fn elsewhere() {}".to_owned()]);
        assert!(here("xtask/src/docs.rs::tests::a_name_is_looked_up_whole"));
        assert!(here("fn elsewhere"));
        assert!(!here("xtask/src/docs.rs::tests::a_name_that_nobody_has"));
        assert!(!here("xtask/src/no_such_file.rs::check"));
        assert!(!here("fn a_name_that_nobody_has"));
    }
}
