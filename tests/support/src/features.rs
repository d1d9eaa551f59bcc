//! The features of this kernel, as reported by `nsexec --features`.

use std::process::Command;

use super::{NSEXEC, leave_out, succeed};

/// A row of `nsexec --features`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    pub name: String,
    /// The first kernel.
    pub since: String,
    pub is_there: bool,
    /// The behaviour without the feature.
    pub without: String,
}

/// All rows.
pub fn features() -> Vec<Feature> {
    let mut command = Command::new(NSEXEC);
    command.arg("--features");
    let printed = succeed(command);
    let mut lines = printed.lines();
    let head = lines.next().expect("a head");
    let at = |column: &str| head.find(column).expect("a column");
    let (since, here, without) = (at("since"), at("here"), at("without it"));
    let row = |line: &str| Feature {
        name: line[..since].trim().to_owned(),
        since: line[since..here].trim().to_owned(),
        is_there: line[here..without].trim() == "yes",
        without: line[without..].trim().to_owned(),
    };
    lines.map(row).collect()
}

/// Whether this kernel has the feature of that name.
#[track_caller]
pub fn has(name: &str) -> bool {
    let row = features().into_iter().find(|feature| feature.name == name);
    row.unwrap_or_else(|| panic!("--features has no {name:?}"))
        .is_there
}

/// Whether a case of a test can use this policy here; otherwise the case is left out.
/// `strict` requires each right that it names.
#[track_caller]
pub fn can_use(policy: &str, test: &str) -> bool {
    let can = policy != "strict" || has("Landlock: scopes");
    if !can {
        let case = format!("{test}, {policy}");
        leave_out(&case, "this kernel lacks Landlock: scopes");
    }
    can
}
