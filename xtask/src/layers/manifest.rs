//! The dependencies between the crates of the repository, from their manifests.

use std::io;
use std::path::Path;

/// One line for each path dependency that is not in an earlier row, and one for each
/// crate that is in no row.
pub(super) fn wrong_dependencies(root: &Path, rows: &[&[&str]]) -> io::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let row_of = |directory: &str| rows.iter().position(|row| row.contains(&directory));
    for manifest in crate::cargo::files(root, "toml")? {
        if manifest.file_name().is_none_or(|name| name != "Cargo.toml") {
            continue;
        }
        let directory = manifest.parent().unwrap_or(root);
        let shown = name(root, directory);
        let text = std::fs::read_to_string(&manifest)?;
        let Some(row) = row_of(&shown) else {
            wrong.push(format!(
                "{shown}: the crate is in no row of xtask/src/layers"
            ));
            continue;
        };
        for dependency in paths(&text) {
            let path = directory.join(&dependency).canonicalize()?;
            let target = name(&root.canonicalize()?, &path);
            if row_of(&target).is_none_or(|earlier| earlier >= row) {
                wrong.push(format!(
                    "{shown} depends on {target}, which is not in an earlier row"
                ));
            }
        }
    }
    Ok(wrong)
}

fn name(root: &Path, directory: &Path) -> String {
    let relative = directory.strip_prefix(root).unwrap_or(directory);
    let relative = relative.to_string_lossy();
    if relative.is_empty() {
        ".".to_owned()
    } else {
        relative.into_owned()
    }
}

/// The paths of a manifest's dependencies, `name = { path = "PATH" }`, but those that
/// only tests and benchmarks have.
fn paths(text: &str) -> Vec<String> {
    let mut is_for_tests = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            is_for_tests = line == "[dev-dependencies]";
        }
        let Some((_, rest)) = line.split_once("{ path = \"") else {
            continue;
        };
        if !is_for_tests && let Some((path, _)) = rest.split_once('"') {
            found.push(path.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_of_dependencies_are_found_but_those_of_tests() {
        let text = "[[bin]]\npath = \"src/main.rs\"\n[dependencies]\na = { path = \"../a\" }\n\
                    b = \"1\"\n[build-dependencies]\nc = { path = \"../c\", features = [] }\n\
                    [dev-dependencies]\nd = { path = \"../d\" }\n";
        assert_eq!(paths(text), ["../a", "../c"]);
    }
}
