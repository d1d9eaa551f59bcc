//! The results per kernel: a file, the document generated from it, and a check
//! that both agree with the README.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;

use serde_json::{Value, json};

use super::kernels::KERNELS;
use super::record::{Feature, KernelResults, Program};
use crate::cargo;

const RESULTS: &str = "docs/kernels.json";
const DOCUMENT: &str = "docs/kernels.md";

/// Replaces the earlier results of the same kernels, but only of the test
/// programs that ran.
///
/// # Errors
/// The results cannot be read, or a file cannot be written.
pub(super) fn save(seen: &[KernelResults]) -> io::Result<()> {
    let mut known = load()?;
    for one in seen {
        match known.iter_mut().find(|known| known.name == one.name) {
            Some(known) => {
                let mut programs = std::mem::take(&mut known.programs);
                programs.extend(one.programs.clone());
                *known = KernelResults {
                    programs,
                    ..one.clone()
                };
            }
            None => known.push(one.clone()),
        }
    }
    let place = |seen: &KernelResults| KERNELS.iter().position(|kernel| kernel.name == seen.name);
    known.sort_by_key(place);
    let tests = cargo::root().join("tests");
    for one in &mut known {
        one.programs
            .retain(|name, _| tests.join(format!("{name}.rs")).exists());
    }
    let results: Vec<Value> = known.iter().map(to_json).collect();
    let mut text = serde_json::to_string_pretty(&results)?;
    text.push('\n');
    fs::write(cargo::root().join(RESULTS), text)?;
    fs::write(cargo::root().join(DOCUMENT), document(&known))?;
    println!("saved: {RESULTS}, {DOCUMENT}");
    Ok(())
}

/// The disagreements.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn disagreements() -> io::Result<Vec<String>> {
    let known = load()?;
    let mut wrong = Vec::new();
    if fs::read_to_string(cargo::root().join(DOCUMENT))? != document(&known) {
        wrong.push(format!(
            "{DOCUMENT}: differs from {RESULTS}; cargo xtask vm --all --save writes both"
        ));
    }
    for kernel in KERNELS {
        match known.iter().find(|seen| seen.name == kernel.name) {
            Some(seen) => wrong.extend(contradictions(seen, kernel.lacks)),
            None => wrong.push(format!("{RESULTS}: nothing was seen of {}", kernel.name)),
        }
    }
    let readme = fs::read_to_string(cargo::root().join("README.md"))?;
    let rows: BTreeSet<(String, String)> = rows_of(&readme).collect();
    for seen in &known {
        let features = seen.features.iter();
        let probed: BTreeSet<(String, String)> = features
            .map(|feature| (feature.name.clone(), feature.since.clone()))
            .collect();
        for (name, since) in rows.symmetric_difference(&probed) {
            wrong.push(format!(
                "README.md, {RESULTS}: {name} since {since} is in only one of them"
            ));
        }
    }
    Ok(wrong)
}

/// Checks that each feature is present from the kernel in the table on, and that
/// the declaration matches the results.
fn contradictions(seen: &KernelResults, lacks: &[&str]) -> Vec<String> {
    let release = version(&seen.release);
    let mut wrong = Vec::new();
    for feature in &seen.features {
        if feature.is_there != (release >= version(&feature.since)) {
            wrong.push(format!(
                "{RESULTS}: {} since {}: Linux {} disagrees",
                feature.name, feature.since, seen.release
            ));
        }
        if feature.is_there == lacks.contains(&feature.name.as_str()) {
            wrong.push(format!(
                "{RESULTS}: {} is declared otherwise for {}",
                feature.name, seen.name
            ));
        }
    }
    wrong
}

/// Major and minor number.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Name and first kernel of each row of the README's table of kernels.
fn rows_of(readme: &str) -> impl Iterator<Item = (String, String)> {
    let (_, section) = readme.split_once("\n## Kernels\n").unwrap_or_default();
    section
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| {
            let mut cells = line.trim_matches('|').split('|');
            let mut cell = || Some(cells.next()?.trim().replace('`', ""));
            Some((cell()?, cell()?))
        })
}

fn document(known: &[KernelResults]) -> String {
    let mut text = "# Kernels\n\n\
        Results of the helper's tests on Debian's kernels, in an emulated machine. `cargo xtask vm --all --save`\n\
        writes this page, and `cargo xtask docs` compares it with docs/kernels.json. `xtask/src/vm/kernels.rs`\n\
        declares the missing features of each kernel. The run fails if a test is left out without a declaration,\n\
        or runs despite one. The table counts the test programs that passed in saved runs.\n"
        .to_owned();
    let most = known.iter().map(|seen| seen.programs.len()).max();
    let partly: Vec<&str> = known
        .iter()
        .filter(|seen| Some(seen.programs.len()) != most)
        .map(|seen| seen.name.as_str())
        .collect();
    // Writing to a String cannot fail.
    if !partly.is_empty() {
        let _ = writeln!(
            text,
            "Only some programs have a saved result on: {}.",
            partly.join(", ")
        );
    }
    text.push_str(
        "\n| | Linux | security modules | test programs | tests passed | left out |\n\
        |---|---|---|---|---|---|\n",
    );
    for seen in known {
        let passed: u32 = seen.programs.values().map(|program| program.passed).sum();
        let left_out: usize = seen
            .programs
            .values()
            .map(|program| program.left_out.len())
            .sum();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {passed} | {left_out} |",
            seen.name,
            seen.release,
            seen.modules.replace(',', ", "),
            seen.programs.len(),
        );
    }
    let _ = write!(text, "\n## Features\n\n| | since |");
    for seen in known {
        let _ = write!(text, " {} |", seen.name);
    }
    let _ = writeln!(text, "\n|---|---|{}", "---|".repeat(known.len()));
    let features = known.first().map_or(&[][..], |first| &first.features);
    for feature in features {
        let _ = write!(text, "| {} | {} |", feature.name, feature.since);
        for seen in known {
            let same = seen.features.iter().find(|same| same.name == feature.name);
            let is_there = same.is_some_and(|same| same.is_there);
            let _ = write!(text, " {} |", if is_there { "yes" } else { "no" });
        }
        text.push('\n');
    }
    text.push_str("\n## Left out\n\n");
    let mut kernels: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
    for seen in known {
        for (program, result) in &seen.programs {
            for (test, absence) in &result.left_out {
                let key = (absence.clone(), format!("{program}::{test}"));
                kernels.entry(key).or_default().push(&seen.name);
            }
        }
    }
    text.push_str("| absent | test | on |\n|---|---|---|\n");
    for ((absence, test), names) in kernels {
        let names = if names.len() == known.len() {
            "all".to_owned()
        } else {
            names.join(", ")
        };
        let _ = writeln!(text, "| {absence} | {test} | {names} |");
    }
    text
}

fn load() -> io::Result<Vec<KernelResults>> {
    let text = match fs::read_to_string(cargo::root().join(RESULTS)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let value: Value = serde_json::from_str(&text)?;
    let kernels = value.as_array().map(Vec::as_slice).unwrap_or_default();
    kernels
        .iter()
        .map(|one| from_json(one).ok_or_else(|| io::Error::other(format!("{RESULTS}: {one}"))))
        .collect()
}

fn to_json(seen: &KernelResults) -> Value {
    let features = seen
        .features
        .iter()
        .map(|feature| json!([feature.name, feature.since, feature.is_there]));
    let programs = seen.programs.iter().map(|(name, program)| {
        let result = json!({ "passed": program.passed, "left_out": program.left_out });
        (name.clone(), result)
    });
    json!({
        "name": seen.name,
        "release": seen.release,
        "modules": seen.modules,
        "features": features.collect::<Vec<_>>(),
        "programs": programs.collect::<serde_json::Map<_, _>>(),
    })
}

fn from_json(value: &Value) -> Option<KernelResults> {
    let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
    let feature = |row: &Value| {
        Some(Feature {
            name: row.get(0)?.as_str()?.to_owned(),
            since: row.get(1)?.as_str()?.to_owned(),
            is_there: row.get(2)?.as_bool()?,
        })
    };
    let program = |(name, result): (&String, &Value)| {
        let left_out = result.get("left_out")?.as_object()?;
        let absence =
            |(test, absence): (&String, &Value)| Some((test.clone(), absence.as_str()?.to_owned()));
        let result = Program {
            passed: result.get("passed")?.as_u64()?.try_into().ok()?,
            left_out: left_out.iter().map(absence).collect::<Option<_>>()?,
        };
        Some((name.clone(), result))
    };
    let features = value.get("features")?.as_array()?.iter();
    let programs = value.get("programs")?.as_object()?.iter();
    Some(KernelResults {
        name: text("name")?,
        release: text("release")?,
        modules: text("modules")?,
        features: features.map(feature).collect::<Option<_>>()?,
        programs: programs.map(program).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> KernelResults {
        let feature = |name: &str, since: &str, is_there| Feature {
            name: name.to_owned(),
            since: since.to_owned(),
            is_there,
        };
        let program = Program {
            passed: 7,
            left_out: BTreeMap::from([("a_test".to_owned(), "b".to_owned())]),
        };
        KernelResults {
            name: "6.1".to_owned(),
            release: "6.1.0-57-cloud-amd64".to_owned(),
            modules: "capability,landlock".to_owned(),
            features: vec![feature("a", "5.3", true), feature("b", "6.15", false)],
            programs: BTreeMap::from([("place".to_owned(), program)]),
        }
    }

    #[test]
    fn results_are_read_back() {
        let seen = seen();
        assert_eq!(from_json(&to_json(&seen)).as_ref(), Some(&seen));
        let page = document(std::slice::from_ref(&seen));
        assert!(page.contains("| 6.1 | 6.1.0-57-cloud-amd64 | capability, landlock | 1 | 7 | 1 |"));
        assert!(page.contains("| b | 6.15 | no |"), "{page}");
        assert!(page.contains("| b | place::a_test | all |"), "{page}");
    }

    #[test]
    fn a_feature_that_differs_from_the_table_is_a_contradiction() {
        assert!(contradictions(&seen(), &["b"]).is_empty());
        assert_eq!(contradictions(&seen(), &[]).len(), 1, "not declared");
        assert_eq!(contradictions(&seen(), &["a", "b"]).len(), 1, "declared");
        let mut early = seen();
        early.features[1].since = "6.1".to_owned();
        assert_eq!(contradictions(&early, &["b"]).len(), 1, "since 6.1, absent");
    }

    #[test]
    fn the_rows_come_from_the_readmes_section() {
        let readme = "# x\n| a | 1 |\n\n## Kernels\n\n| f | since | w |\n|---|---|---|\n\
            | `b` c | 6.1 | d |\n\n| e | 2 |\n";
        let rows: Vec<_> = rows_of(readme).collect();
        assert_eq!(rows, [("b c".to_owned(), "6.1".to_owned())]);
    }
}
