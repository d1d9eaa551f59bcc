//! `import`: another program's policy, as a seccomp profile.

use std::fmt::Write as _;
use std::path::Path;

use nsexec_policy_engine::policy::resolve::Place;

use crate::Done;
use crate::arguments::Words;
use crate::check::excerpt;
use crate::commands::FORMATS;
use crate::import::{self, firecracker, kafel, minijail, systemd};
use crate::input;

pub(crate) fn run(words: &Words) -> Result<Done, String> {
    let [file] = words.operands.as_slice() else {
        return Err(format!(
            "import accepts one file, not {}",
            words.operands.len()
        ));
    };
    let format = words
        .value("from")?
        .ok_or_else(|| format!("import: --from is needed: one of {}", FORMATS.join(", ")))?;
    let thread = words.value("thread")?;
    if thread.is_some() && format != "firecracker" {
        return Err(format!("--thread is for firecracker, not for {format}"));
    }
    let path = Path::new(file);
    let name = path.display();
    let text = input::read(path)?;
    let imported = match format {
        "minijail" => minijail::read(&text),
        "kafel" => kafel::read(&text),
        "systemd" => systemd::read(&text),
        "firecracker" => firecracker::read(&text, thread),
        other => {
            return Err(format!(
                "--from {other}: one of {} is read",
                FORMATS.join(", ")
            ));
        }
    };
    let mut done = Done::default();
    let imported = match imported {
        Ok(imported) => imported,
        Err(import::Fault { span, reason }) => {
            let place = Place::new(&text, span.start);
            done.status = 1;
            done.stderr = format!("{name}:{}:{}: {reason}\n", place.line, place.column);
            done.stderr.push_str(&excerpt(&text, place));
            return Ok(done);
        }
    };
    for note in &imported.notes {
        // Writing to a String cannot fail.
        let _ = writeln!(done.stderr, "{name}:{}: note: {}", note.line, note.text);
    }
    if imported.entries.is_empty() {
        done.status = 1;
        let _ = writeln!(
            done.stderr,
            "{name}: no rule remains after the import; see the notes"
        );
        return Ok(done);
    }
    let profile = serde_json::to_string_pretty(&imported.to_json())
        .map_err(|error| format!("the profile: {error}"))?
        + "\n";
    match words.value_os("output") {
        None => done.stdout = profile,
        Some(output) => std::fs::write(output, profile)
            .map_err(|error| format!("{}: {error}", Path::new(output).display()))?,
    }
    Ok(done)
}
