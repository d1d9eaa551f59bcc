//! Checks the statements of the documents against the tree.

mod names;

use std::ffi::OsString;
use std::io;
use std::path::Path;

use self::names::Sources;
use crate::{cargo, no_arguments, vm};

const ADVISORIES: &str = "docs/advisories.md";
/// It names the files of earlier versions.
const HISTORY: &str = "CHANGELOG.md";

pub(crate) fn run(arguments: &[OsString]) -> io::Result<()> {
    no_arguments(arguments)?;
    check()
}

/// Checks that every advisory has an answer, that every test, path and name of the tree in a
/// document exists, and that every link between documents is valid.
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

    let mut files = Vec::new();
    for file in cargo::files(&root, "rs")? {
        let text = std::fs::read_to_string(&file)?;
        files.push((file, text));
    }
    let sources = Sources {
        root: &root,
        files: &files,
    };
    let (mut named, mut mentioned, mut linked) = (0, 0, 0);
    for document in cargo::files(&root, "md")? {
        let shown = document.strip_prefix(&root).unwrap_or(&document).display();
        let text = std::fs::read_to_string(&document)?;
        for test in tests_named(&text) {
            named += 1;
            if !test.exists(&sources) {
                wrong.push(format!("{shown}: there is no `{}`", test.0));
            }
        }
        let is_history = document.ends_with(HISTORY);
        for mention in names::mentions(&text).into_iter().filter(|_| !is_history) {
            mentioned += 1;
            if !mention.exists(&sources, &document) {
                wrong.push(format!("{shown}: there is no `{mention}`"));
            }
        }
        for link in links(&text) {
            linked += 1;
            if !link.leads_somewhere(&document, &text) {
                wrong.push(format!("{shown}: {} leads nowhere", link.0));
            }
        }
    }

    wrong.extend(vm::results::disagreements()?);

    if wrong.is_empty() {
        println!(
            "every advisory has an answer; {named} tests are named and {mentioned} paths and names, \
             and all of them exist; {linked} links lead somewhere"
        );
        return Ok(());
    }
    Err(io::Error::other(wrong.join("\n")))
}

/// The table rows with an empty last column.
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
    fn exists(&self, sources: &Sources<'_>) -> bool {
        if let Some(name) = self.0.strip_prefix("fn ") {
            return sources.files.iter().any(|(_, text)| defines(text, name));
        }
        let (file, path) = self.0.split_once("::").unwrap_or((self.0, ""));
        let name = path.rsplit("::").next().unwrap_or_default();
        std::fs::read_to_string(sources.root.join(file)).is_ok_and(|source| defines(&source, name))
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

/// A link within the tree: a file, a heading of it, or both.
struct Link<'a>(&'a str);

impl Link<'_> {
    fn leads_somewhere(&self, document: &Path, text: &str) -> bool {
        let (file, heading) = self.0.split_once('#').unwrap_or((self.0, ""));
        let target = document.parent().unwrap_or(document).join(file);
        if heading.is_empty() {
            return target.exists();
        }
        let has = |text: &str| prose(text).any(|line| anchor(line).as_deref() == Some(heading));
        if file.is_empty() {
            has(text)
        } else {
            std::fs::read_to_string(target).is_ok_and(|text| has(&text))
        }
    }
}

fn links(document: &str) -> impl Iterator<Item = Link<'_>> {
    prose(document)
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| Link(target))
        .filter(|link| !link.0.contains("://") && !link.0.contains(char::is_whitespace))
}

/// The lines outside code blocks.
fn prose(document: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    document.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The anchor of a heading on GitHub.
fn anchor(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#');
    let text = heading.strip_prefix(' ')?.trim();
    let kept = text
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
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
    use std::path::Path;

    use super::{Named, Sources, anchor, defines, links, tests_named, unanswered};

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
    fn test_names_are_recognised_by_their_form() {
        let document = "`fn one` and `tests/a.rs::two`, `src/b.rs::tests::three`;\n\
            `fn(x)`, `a b.rs::c`, `tests/a.rs`, fn four and `fn five(x)`";
        let names: Vec<&str> = tests_named(document).map(|named| named.0).collect();
        assert_eq!(
            names,
            ["fn one", "tests/a.rs::two", "src/b.rs::tests::three"]
        );
    }

    #[test]
    fn a_name_matches_as_a_whole() {
        let source = "#[test]\nfn joins_all() {}\nfn given<T>() {}";
        assert!(defines(source, "joins_all") && defines(source, "given"));
        assert!(!defines(source, "joins") && !defines(source, "all") && !defines(source, ""));
    }

    #[test]
    fn a_link_leads_to_a_file_and_a_heading() {
        let here = crate::cargo::root().join("docs/page.md");
        let text = "## One, `two` -> three\n[a](#one-two---three) [b](#two) [c](design.md)\n\
            [d](design.md#the-parts) [e](design.md#no) [f](none.md) [g](https://h) [i](..)\n\
            ```\n## Four\n[j](#none)\n```\n[k](#four)\n";
        let wrong: Vec<&str> = links(text)
            .filter(|link| !link.leads_somewhere(Path::new(&here), text))
            .map(|link| link.0)
            .collect();
        assert_eq!(wrong, ["#two", "design.md#no", "none.md", "#four"]);
        assert_eq!(links(text).count(), 8);
        assert_eq!(anchor("#no heading"), None);
    }

    #[test]
    fn a_test_is_looked_up_in_the_file_of_its_name() {
        let root = crate::cargo::root();
        let files = [(root.join("a.rs"), "fn elsewhere() {}".to_owned())];
        let sources = Sources {
            root: &root,
            files: &files,
        };
        let here = |text| Named(text).exists(&sources);
        assert!(here("xtask/src/docs.rs::tests::a_name_matches_as_a_whole"));
        assert!(here("fn elsewhere"));
        assert!(!here("xtask/src/docs.rs::tests::a_name_that_nobody_has"));
        assert!(!here("xtask/src/no_such_file.rs::check"));
        assert!(!here("fn a_name_that_nobody_has"));
    }
}
