//! The paths, names and tests of the tree that a document names.

use std::path::{Path, PathBuf};

/// The directories of the tree whose paths are checked. Others, such as `target/` and `dist/`,
/// exist only after a build.
const DIRECTORIES: [&str; 14] = [
    "benches",
    "capi",
    "crates",
    "docs",
    "ebpf",
    "examples",
    "fuzz",
    "manual",
    "nsexec-policy",
    "oracle",
    "policies",
    "src",
    "tests",
    "xtask",
];

/// A shorter word of snake case can be a member of JSON, a mount option or a system call.
const MIN_UNDERSCORES: usize = 3;

/// The keywords before the name of an item or a variable.
const KEYWORDS: [&str; 9] = [
    "fn ",
    "const ",
    "static ",
    "struct ",
    "mod ",
    "type ",
    "let ",
    "mut ",
    "macro_rules! ",
];

/// The Rust files of the tree: path and text.
pub(super) struct Sources<'a> {
    pub(super) root: &'a Path,
    pub(super) files: &'a [(PathBuf, String)],
}

/// Something of the tree that a document names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mention<'a> {
    /// `src/main.rs`, or the end of such a path: `stage/join.rs`.
    Path(&'a str),
    /// `a_name_in_snake_case`
    Name(&'a str),
    /// PROGRAM::TEST, in the table of kernels.
    Test(&'a str, &'a str),
}

/// The paths and names in backticks, and the tests in table cells.
pub(super) fn mentions(document: &str) -> Vec<Mention<'_>> {
    let mut all = Vec::new();
    for line in super::prose(document) {
        for (number, part) in line.split('`').enumerate() {
            for word in part.split([' ', ',', '|']) {
                all.extend(if number % 2 == 0 {
                    test(word)
                } else {
                    path(word).or_else(|| name(word))
                });
            }
        }
    }
    all
}

fn path(word: &str) -> Option<Mention<'_>> {
    let (path, _) = word.split_once("::").unwrap_or((word, ""));
    let (path, _) = path.split_once('#').unwrap_or((path, ""));
    let path = path.trim_end_matches(['/', '.', ';', ':', ')']);
    let (first, _) = path.split_once('/').unwrap_or((path, ""));
    let is_ours = DIRECTORIES.contains(&first) && word.contains('/');
    let is_rust = path.ends_with(".rs") && !path.starts_with(['/', '.']);
    ((is_ours || is_rust) && !is_placeholder(path)).then_some(Mention::Path(path))
}

/// `tests/*.rs`, `tests/FILE.rs` and `NAME/tests.rs` stand for several files.
fn is_placeholder(path: &str) -> bool {
    let is_upper = |name: &str| {
        name.chars()
            .all(|letter| letter.is_ascii_uppercase() || letter == '_')
    };
    path.contains(['*', '<', '{'])
        || path.split('/').any(|component| {
            let stem = component.strip_suffix(".rs").unwrap_or(component);
            is_upper(stem)
        })
}

fn name(word: &str) -> Option<Mention<'_>> {
    let is_snake = word
        .chars()
        .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    let is_long = word.matches('_').count() >= MIN_UNDERSCORES;
    (is_snake && is_long).then_some(Mention::Name(word))
}

fn test(word: &str) -> Option<Mention<'_>> {
    let (program, test) = word.split_once("::")?;
    (super::is_name(program) && super::is_name(test)).then_some(Mention::Test(program, test))
}

impl Mention<'_> {
    /// Whether the tree has it. A path is relative to the root, to the directory of `document`, or
    /// the end of the path of a Rust file.
    pub(super) fn exists(self, sources: &Sources<'_>, document: &Path) -> bool {
        match self {
            Self::Path(path) => {
                let beside = document.parent().unwrap_or(document);
                sources.root.join(path).exists()
                    || beside.join(path).exists()
                    || sources.files.iter().any(|(file, _)| file.ends_with(path))
            }
            Self::Name(name) => sources.files.iter().any(|(_, text)| declares(text, name)),
            Self::Test(program, test) => {
                let file = sources.root.join("tests").join(format!("{program}.rs"));
                let source = sources.files.iter().find(|(path, _)| *path == file);
                source.is_none_or(|(_, text)| super::defines(text, test))
            }
        }
    }
}

impl std::fmt::Display for Mention<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(text) | Self::Name(text) => f.write_str(text),
            Self::Test(program, test) => write!(f, "{program}::{test}"),
        }
    }
}

/// Whether an item, a variable or a field has the name. A string with the name declares nothing.
fn declares(source: &str, name: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    source.match_indices(name).any(|(at, _)| {
        let (before, rest) = source.split_at(at);
        let after = rest.get(name.len()..).unwrap_or_default();
        if before.ends_with(is_part) || after.starts_with(is_part) {
            return false;
        }
        KEYWORDS.iter().any(|keyword| before.ends_with(keyword))
            || (before.ends_with([' ', '{', '(']) && after.starts_with(": "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(root: &Path) -> Vec<(PathBuf, String)> {
        let text = "fn a_test_of_the_tree() {}\nstruct S { a_field_of_the_tree: u8 }\n\
            const LEFT_OUT: &str = \"place::a_test_that_is_gone\";";
        vec![
            (root.join("src/stage/join.rs"), String::new()),
            (root.join("tests/place.rs"), text.to_owned()),
        ]
    }

    #[test]
    fn paths_names_and_tests_are_recognised_by_their_form() {
        let document = "`src/main.rs`, `tests/`, `stage/join.rs::f` and `cargo xtask docs`;\n\
            `tests/*.rs`, `tests/FILE.rs`, `NAME/tests.rs`, `target/x`, `/src/x.rs`, `docs`;\n\
            `docs/design.md#limits` `a_b_c_d` `a_b_c` `A_B_C_D` a_b_c_d src/main.rs\n\
            | x | place::a_test, strict | `x::y` |\n```\n`src/none.rs`\n```\n";
        assert_eq!(
            mentions(document),
            [
                Mention::Path("src/main.rs"),
                Mention::Path("tests"),
                Mention::Path("stage/join.rs"),
                Mention::Path("docs/design.md"),
                Mention::Name("a_b_c_d"),
                Mention::Test("place", "a_test"),
            ]
        );
    }

    #[test]
    fn stale_paths_names_and_tests_are_found() {
        let root = crate::cargo::root();
        let files = sources(&root);
        let sources = Sources {
            root: &root,
            files: &files,
        };
        let document = "`src/target/finder.rs` `src/main.rs` `stage/join.rs` `join.rs` `oin.rs`\n\
            `policies/README.md` `design.md` `docs/none.md` `xtask/src/docs/names.rs` `tests/no/`\n\
            `a_test_of_the_tree` `a_field_of_the_tree` `a_test_that_is_gone` `test_of_the_tree`\n\
            | place::a_test_of_the_tree | place::a_test_that_is_gone | other::a_test |\n";
        let here = root.join("docs/page.md");
        let stale: Vec<String> = mentions(document)
            .into_iter()
            .filter(|mention| !mention.exists(&sources, &here))
            .map(|mention| mention.to_string())
            .collect();
        assert_eq!(
            stale,
            [
                "src/target/finder.rs",
                "oin.rs",
                "docs/none.md",
                "tests/no",
                "a_test_that_is_gone",
                "test_of_the_tree",
                "place::a_test_that_is_gone",
            ]
        );
    }

    #[test]
    fn the_checked_directories_exist() {
        let root = crate::cargo::root();
        for directory in DIRECTORIES {
            assert!(root.join(directory).is_dir(), "{directory}");
        }
    }
}
