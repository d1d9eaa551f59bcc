//! `check`: reports whether files are valid, and the position of the first
//! error.

use std::fmt::Write as _;

use nsexec_policy_engine::policy::landlock_file;
use nsexec_policy_engine::policy::manifest::FileName;
use nsexec_policy_engine::policy::needs;
use nsexec_policy_engine::policy::resolve::{
    FileFault, Files, MANIFEST, Place, PolicyFault, compile_with_parts,
};
use nsexec_policy_engine::policy::resolved::Layer;
use nsexec_policy_engine::seccomp::compile::compile;
use nsexec_policy_engine::seccomp::oci::{self, Conditional, Context};
use nsexec_policy_engine::seccomp::profile::{Profile, When};
use nsexec_policy_engine::seccomp::program::Program;
use nsexec_policy_engine::seccomp::table::Arch;

use crate::Done;
use crate::arguments::Words;
use crate::input::{self, Input, Kind, SiblingFiles};

/// An error, and the line it is in.
pub(crate) struct Diagnostic {
    /// `FILE:LINE:COLUMN: message`
    pub(crate) message: String,
    /// The line, with a mark.
    pub(crate) excerpt: String,
}

impl Diagnostic {
    /// For standard error.
    pub(crate) fn render(&self) -> String {
        format!("{}\n{}", self.message, self.excerpt)
    }
}

pub(crate) fn run(words: &Words) -> Result<Done, String> {
    if words.operands.is_empty() {
        return Err("check requires a file".to_owned());
    }
    let mut done = Done::default();
    for operand in &words.operands {
        let input = Input::file(operand, words)?;
        match check_input(&input, words)? {
            Ok(summary) => done.stdout.push_str(&summary),
            Err(wrong) => {
                done.status = 1;
                done.stderr.push_str(&wrong.render());
            }
        }
    }
    Ok(done)
}

/// A summary, or the error.
fn check_input(input: &Input, words: &Words) -> Result<Result<String, Diagnostic>, String> {
    Ok(match input.kind {
        Kind::Policy => policy(input, input::context(words, input)?),
        Kind::Profile => profile(input, input::context(words, input)?),
        Kind::Rules(form) => landlock_file::parse(&input.text, form)
            .map(|rules| {
                format!(
                    "{}: valid: Landlock rules: {} handled, {} and {}\n",
                    input.name,
                    count(rules.handled.len(), "right"),
                    count(rules.beneath.len(), "path"),
                    count(rules.ports.len(), "port")
                )
            })
            .map_err(|fault| at(input, fault.span.start, &fault.reason.to_string())),
    })
}

fn policy(input: &Input, context: Context) -> Result<String, Diagnostic> {
    let (policy, _) = compiled(input, context)?;
    let layers = [&policy.ceiling, &policy.workload];
    let filters = layers
        .iter()
        .filter_map(|layers| layers.seccomp.enforced())
        .map(|program| program.instructions().len().to_string())
        .collect::<Vec<_>>();
    let left_out: Vec<&String> = layers
        .iter()
        .flat_map(|layers| [reason(&layers.seccomp), reason(&layers.landlock)])
        .flatten()
        .collect();
    let mut text = format!(
        "{}: valid: a policy: filters of {} instructions, {}\n",
        input.name,
        filters.join(" and "),
        count(
            layers
                .iter()
                .filter(|l| l.landlock.enforced().is_some())
                .count(),
            "Landlock domain"
        )
    );
    for reason in left_out {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  note: a layer is left out: {reason}");
    }
    Ok(text)
}

fn reason<T>(layer: &Layer<T>) -> Option<&String> {
    match layer {
        Layer::Enforce(_) => None,
        Layer::None { reason } => Some(reason),
    }
}

/// The policy that a manifest is, and its parts.
pub(crate) fn compiled(
    input: &Input,
    context: Context,
) -> Result<
    (
        nsexec_policy_engine::policy::resolved::ResolvedPolicy,
        nsexec_policy_engine::policy::resolve::Parts,
    ),
    Diagnostic,
> {
    let mut files = FilesWithLast {
        beside: &input.beside,
        last: Vec::new(),
    };
    compile_with_parts(&input.name, &input.text, &mut files, context)
        .map_err(|fault| in_policy(input, &files.last, fault))
}

/// The files of a manifest, with the last one kept: a fault is in it or in the
/// manifest.
struct FilesWithLast<'a> {
    beside: &'a SiblingFiles,
    last: Vec<u8>,
}

impl Files for FilesWithLast<'_> {
    fn read(&mut self, name: &FileName) -> Result<Vec<u8>, FileFault> {
        let text = self.beside.read(name)?;
        self.last.clone_from(&text);
        Ok(text)
    }
}

fn in_policy(input: &Input, last: &[u8], mut fault: PolicyFault) -> Diagnostic {
    let text = if fault.file == MANIFEST {
        fault.file.clone_from(&input.name);
        input.text.as_slice()
    } else {
        if let SiblingFiles::Directory(directory) = &input.beside {
            fault.file = directory.join(&fault.file).display().to_string();
        }
        last
    };
    Diagnostic {
        excerpt: fault
            .place
            .map(|place| excerpt(text, place))
            .unwrap_or_default(),
        message: fault.to_string(),
    }
}

fn profile(input: &Input, context: Context) -> Result<String, Diagnostic> {
    let conditional = oci::parse(&input.text)
        .map_err(|fault| at(input, fault.span.start, &fault.reason.to_string()))?;
    let listed = conditional.architectures();
    let mut sizes = Vec::new();
    let mut notes = Vec::new();
    for arch in Arch::ALL {
        let here = Context { arch, ..context };
        let profile = match conditional.resolve(&here) {
            Ok(profile) => profile,
            Err(_)
                if listed
                    .iter()
                    .any(|name| Arch::ALL.iter().any(|a| a.oci_name() == name)) =>
            {
                continue;
            }
            Err(fault) => return Err(at(input, fault.span.start, &fault.reason.to_string())),
        };
        let program = program_of(input, &conditional, &profile, here)?;
        let size = program.instructions().len();
        sizes.push(format!("{} {size} instructions", arch.rust_name()));
        if Some(arch) == Some(context.arch) {
            let clone3 = arch.number("clone3");
            let own = profile.rules.len() > conditional.origins(&here).len();
            if own && clone3.is_some() {
                notes.push("clone3 returns ENOSYS: the profile checks clone's flags, and clone3 has its flags in memory".to_owned());
            }
            if let Some(call) = needs::denied_to_workload(&profile, arch) {
                notes.push(format!(
                    "nsexec refuses it as a program's filter: it may deny {call}, which is needed to execute a program"
                ));
            }
            let conditions = profile
                .rules
                .iter()
                .filter(|rule| rule.when != When::Always);
            sizes.push(format!(
                "{} with conditions",
                count(conditions.count(), "rule")
            ));
        }
    }
    let elsewhere = conditional
        .names()
        .filter(|name| {
            let mut all = Arch::ALL.iter().chain(&Arch::ALL_32_BIT);
            all.all(|arch| arch.number(name).is_none())
        })
        .collect::<std::collections::BTreeSet<_>>();
    if !elsewhere.is_empty() {
        notes.push(format!(
            "{} of other architectures only: skipped",
            count(elsewhere.len(), "name")
        ));
    }
    let foreign: Vec<&str> = listed
        .iter()
        .map(String::as_str)
        .filter(|name| {
            let mut all = Arch::ALL.iter().chain(&Arch::ALL_32_BIT);
            all.all(|arch| arch.oci_name() != *name)
        })
        .collect();
    if !foreign.is_empty() {
        notes.push(format!(
            "calls of these architectures are denied: {}",
            foreign.join(", ")
        ));
    }
    let mut text = format!(
        "{}: valid: a seccomp profile: {}\n",
        input.name,
        sizes.join(", ")
    );
    for note in notes {
        let _ = writeln!(text, "  note: {note}");
    }
    Ok(text)
}

/// `1 rule`, `2 rules`
pub(crate) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// The program of a profile of the input's.
pub(crate) fn program_of(
    input: &Input,
    conditional: &Conditional,
    profile: &Profile,
    context: Context,
) -> Result<Program, Diagnostic> {
    compile(profile, context.arch).map_err(|fault| match conditional.place(&fault, &context) {
        Some(span) => at(input, span.start, &fault.to_string()),
        None => Diagnostic {
            message: format!("{}: {fault}", input.name),
            excerpt: String::new(),
        },
    })
}

/// An error at a byte of the input.
pub(crate) fn at(input: &Input, byte: usize, what: &str) -> Diagnostic {
    let place = Place::new(&input.text, byte);
    let Place { line, column } = place;
    Diagnostic {
        message: format!("{}:{line}:{column}: {what}", input.name),
        excerpt: excerpt(&input.text, place),
    }
}

/// The longest part of a line that is shown.
const MAX_EXCERPT: usize = 100;

/// The line of a position, and a mark below it, with control characters escaped.
pub(crate) fn excerpt(text: &[u8], place: Place) -> String {
    let Some(line) = text.split(|byte| *byte == b'\n').nth(place.line - 1) else {
        return String::new();
    };
    let column = place.column - 1;
    // A long line is shown from a little before the place.
    let from = column.saturating_sub(MAX_EXCERPT / 2).min(line.len());
    let from = if line.len() <= MAX_EXCERPT { 0 } else { from };
    let part = line.get(from..).unwrap_or_default();
    let part = part.get(..MAX_EXCERPT).unwrap_or(part);
    let shown: String = String::from_utf8_lossy(part)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let before = line.get(from..column).unwrap_or_default();
    let indent = String::from_utf8_lossy(before).chars().count();
    let number = place.line.to_string();
    let gutter = " ".repeat(number.len());
    format!(
        "{number} | {}\n{gutter} | {}^\n",
        shown.trim_end(),
        " ".repeat(indent)
    )
}
