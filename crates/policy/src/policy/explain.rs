//! Explains a refusal: the layer, the rule and its position, and the change that
//! would allow the access. This module decides nothing; only --explain uses it.

use std::fmt::Write as _;
use std::path::Path;

use crate::policy::manifest::LayerSet;
use crate::policy::resolve::{LandlockPart, Parts, Place, ProfilePart};
use crate::policy::resolved::Right;
use crate::seccomp::errno;
use crate::seccomp::evaluate::Decider;
use crate::seccomp::interpret::Call;
use crate::seccomp::oci::{Grant, UnmetCondition};
use crate::seccomp::profile::{Action, When};

/// A refusal in words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Refusal {
    /// The layer, in the manifest's notation: `seccomp`, `ceiling.landlock`.
    pub layer: String,
    /// The rule that decides: `FILE:LINE`, and its text.
    pub rule: String,
    /// The call with the relevant arguments, or the path; and the outcome.
    pub what: String,
    /// The change that would allow it.
    pub remedy: String,
}

/// The known arguments of a call: the kernel reports a kill without them.
pub type Arguments = [Option<u64>; 6];

/// Explains the refusals of one policy.
#[derive(Debug)]
pub struct RefusalExplainer {
    parts: Parts,
    /// The manifest's directory, the prefix of each file name.
    directory: String,
}

impl RefusalExplainer {
    /// For the policy that is made of `parts`; its files lie in `directory`,
    /// which is empty for a policy that ships.
    #[must_use]
    pub fn new(parts: Parts, directory: &str) -> Self {
        let directory = match directory {
            "" | "." => String::new(),
            other => format!("{}/", other.trim_end_matches('/')),
        };
        Self { parts, directory }
    }

    /// Why the filters refuse this call; `None`: they do not.
    #[must_use]
    pub fn call(&self, call: &Call, arguments: &Arguments) -> Option<Refusal> {
        let verdicts = || {
            let profiles = self.parts.profiles.iter();
            profiles.map(|part| (part, self.verdict(part, call, arguments)))
        };
        // The strictest answer wins; among equals, the newer filter's. The
        // ceiling's part comes before the program's.
        let strictness = |action: Action| action.strictness();
        let (part, (action, decider)) = verdicts()
            .filter(|(_, (action, _))| !action.executes())
            .max_by_key(|(_, (action, _))| strictness(*action))?;
        let other = verdicts()
            .find(|(other, (action, _))| other.layer_set != part.layer_set && !action.executes());
        let mut remedy = self.remedy(part, call, decider);
        if let Some((other, (_, decider))) = other {
            let place = self.place(other, call, decider);
            let _ = write!(
                remedy,
                "; {} denies it as well, {place}",
                layer(other.layer_set, "seccomp")
            );
        }
        Some(Refusal {
            layer: layer(part.layer_set, "seccomp"),
            rule: self.place(part, call, decider),
            what: self.what(part, call, arguments, action),
            remedy,
        })
    }

    fn verdict(&self, part: &ProfilePart, call: &Call, arguments: &Arguments) -> (Action, Decider) {
        let arch = self.parts.context.arch;
        let arch_32_bit = arch
            .of_32_bit()
            .filter(|arch_32_bit| call.arch == arch_32_bit.audit());
        match (arch_32_bit, &part.profile_32_bit) {
            _ if call.arch == arch.audit() => part.profile.decide(arch, call.number, arguments),
            (Some(arch_32_bit), Some(profile)) => {
                profile.decide(arch_32_bit, call.number, arguments)
            }
            _ => (crate::seccomp::evaluate::FOREIGN_ARCH, Decider::UnknownCall),
        }
    }

    /// The position and name of a rule.
    fn place(&self, part: &ProfilePart, call: &Call, decider: Decider) -> String {
        let line = |at: usize| {
            let line = Place::new(&part.text, at).line;
            format!("{}{}:{line}", self.directory, part.file)
        };
        let default = part.conditional.default_at().start;
        match decider {
            Decider::Rule(_) if call.arch != self.parts.context.arch.audit() => {
                format!("{}{} (for 32-bit programs)", self.directory, part.file)
            }
            Decider::Rule(at) => match part.conditional.origins(&self.parts.context).get(at) {
                Some(span) => line(span.start),
                None => format!(
                    "{}{}: clone3, whose flags no filter can read",
                    self.directory, part.file
                ),
            },
            Decider::Default => format!("{} (default)", line(default)),
            Decider::NewerCall => format!(
                "{} (default; the call is newer than the profile)",
                line(default)
            ),
            Decider::UnknownCall => {
                format!("{}{}: not in nsexec's table", self.directory, part.file)
            }
        }
    }

    /// `socket(0x28, _, _) = EPERM`: only arguments that a rule looks at.
    fn what(
        &self,
        part: &ProfilePart,
        call: &Call,
        arguments: &Arguments,
        action: Action,
    ) -> String {
        let arch = self.parts.context.arch;
        let arch_32_bit = arch
            .of_32_bit()
            .filter(|arch_32_bit| call.arch == arch_32_bit.audit());
        let mut text = match arch.name(call.number) {
            _ if call.arch != arch.audit() && arch_32_bit.is_some() => {
                let name = arch_32_bit.and_then(|arch_32_bit| arch_32_bit.name(call.number));
                format!("32-bit {}", name.unwrap_or("call"))
            }
            _ if call.arch != arch.audit() => {
                format!(
                    "call {} of another architecture ({:#x})",
                    call.number, call.arch
                )
            }
            Some(name) => name.to_owned(),
            None => format!("call {}", call.number),
        };
        let looked_at = |argument: u8| {
            let rules = part.profile.rules.iter();
            rules.filter(|rule| rule.syscall == call.number).any(|rule| {
                matches!(&rule.when, When::All(all) if all.iter().any(|c| c.argument == argument))
            })
        };
        let last = (0..6).rev().find(|argument| looked_at(*argument));
        text.push('(');
        for argument in last.map_or(0..0, |last| 0..last + 1) {
            if argument > 0 {
                text.push_str(", ");
            }
            match arguments.get(usize::from(argument)).copied().flatten() {
                Some(value) if looked_at(argument) => {
                    let _ = write!(text, "{value:#x}");
                }
                _ => text.push('_'),
            }
        }
        text.push(')');
        text.push_str(&outcome(action));
        text
    }

    fn remedy(&self, part: &ProfilePart, call: &Call, decider: Decider) -> String {
        let context = &self.parts.context;
        let file = format!("{}{}", self.directory, part.file);
        if call.arch != context.arch.audit() {
            let arch_32_bit = context.arch.of_32_bit();
            let arch_32_bit = arch_32_bit.filter(|arch_32_bit| call.arch == arch_32_bit.audit());
            return match (arch_32_bit, &part.profile_32_bit) {
                (Some(_), Some(_)) => format!("an entry in {file} that allows it"),
                (Some(arch_32_bit), None) => {
                    format!(
                        "{} among the architectures of {file}",
                        arch_32_bit.oci_name()
                    )
                }
                (None, _) => format!(
                    "nothing: only calls of {} are allowed",
                    context.arch.rust_name()
                ),
            };
        }
        let Some(name) = context.arch.name(call.number) else {
            return "nothing: nsexec does not know the call".to_owned();
        };
        if let Decider::Rule(at) = decider {
            let conditional = part.profile.rules.get(at);
            let conditional = conditional.is_some_and(|rule| rule.when != When::Always);
            let others = if conditional {
                "other arguments, or "
            } else {
                ""
            };
            return match part.conditional.origins(context).get(at) {
                Some(_) => format!(
                    "{others}leaving {name} out of {}",
                    self.place(part, call, decider)
                ),
                None => "clone(2), which callers fall back on".to_owned(),
            };
        }
        let line =
            |grant: &Grant<'_>| format!("{file}:{}", Place::new(&part.text, grant.at.start).line);
        let grants: Vec<Grant<'_>> = part.conditional.grants(context, call.number).collect();
        let wanting = grants
            .iter()
            .find(|grant| !grant.excluded && !grant.unmet.is_empty());
        let conditional = grants
            .iter()
            .find(|grant| !grant.excluded && grant.unmet.is_empty());
        match (wanting, conditional) {
            (Some(grant), _) => {
                let unmet: Vec<String> = grant.unmet.iter().map(unmet).collect();
                format!("{} ({})", unmet.join(" and "), line(grant))
            }
            (None, Some(grant)) => format!("the arguments that {} allows", line(grant)),
            (None, None) => format!("an entry in {file} that allows {name}"),
        }
    }

    /// Why Landlock refuses: `blocker` and `object` as in the kernel's audit
    /// record, `call` the system call, if known.
    #[must_use]
    pub fn access(
        &self,
        layer_set: LayerSet,
        blocker: &str,
        object: &str,
        call: Option<u32>,
    ) -> Refusal {
        let part = self
            .parts
            .landlock
            .iter()
            .find(|part| part.layer_set == layer_set);
        let call = call.and_then(|number| self.parts.context.arch.name(number));
        let what = match call {
            Some(call) => format!("{blocker} {object} ({call})"),
            None => format!("{blocker} {object}"),
        };
        let right = blocker
            .split_once('.')
            .and_then(|(_, name)| Right::from_name(name));
        let (rule, remedy) = match (part, right) {
            (Some(part), Some(right)) => self.landlock_rule(part, right, object),
            (Some(part), None) => (
                format!("{}{}", self.directory, part.file),
                "nothing: a process in any Landlock domain is refused this".to_owned(),
            ),
            (None, _) => (
                "a domain that the policy does not have".to_owned(),
                String::new(),
            ),
        };
        Refusal {
            layer: layer(layer_set, "landlock"),
            rule,
            what: what.trim_end().to_owned(),
            remedy,
        }
    }

    fn landlock_rule(&self, part: &LandlockPart, right: Right, object: &str) -> (String, String) {
        let file = format!("{}{}", self.directory, part.file);
        let line = |at: usize| format!("{file}:{}", Place::new(&part.text, at).line);
        let LandlockPart { rules, places, .. } = part;
        let handled = rules.handled.iter().zip(&places.handled);
        let handled = handled.into_iter().find(|(handled, _)| **handled == right);
        let handled = handled.map_or_else(|| file.clone(), |(_, at)| line(at.start));
        let rule = format!("{handled} (handles {})", right.name());
        let remedy = if right.is_fs() {
            // The deepest rule above the path.
            let above = rules.beneath.iter().zip(&places.beneath);
            let above = above.filter(|(rule, _)| Path::new(object).starts_with(&rule.path));
            match above.max_by_key(|(rule, _)| rule.path.as_os_str().len()) {
                Some((rule, at)) => {
                    let (path, place) = (rule.path.display(), line(at.start));
                    format!("{:?} for {path} at {place}", right.name())
                }
                None => format!("a [[path_beneath]] that grants {:?} above it", right.name()),
            }
        } else if right.is_net() {
            format!("a [[net_port]] that grants {:?}", right.name())
        } else {
            format!("leaving {:?} out of \"scoped\"", right.name())
        };
        (rule, remedy)
    }
}

fn layer(layer_set: LayerSet, kind: &str) -> String {
    match layer_set {
        LayerSet::Ceiling => format!("ceiling.{kind}"),
        LayerSet::Workload => kind.to_owned(),
    }
}

fn unmet(unmet: &UnmetCondition) -> String {
    match unmet {
        UnmetCondition::Capability(capability) => capability.to_string(),
        UnmetCondition::Architecture => "another architecture".to_owned(),
        UnmetCondition::Kernel((major, minor)) => format!("Linux {major}.{minor} or later"),
    }
}

fn outcome(action: Action) -> String {
    match action {
        Action::Errno(number) => match errno::name(number.into()) {
            Some(name) => format!(" = {name}"),
            None => format!(" = errno {number}"),
        },
        Action::Trap => " = SIGSYS".to_owned(),
        Action::KillThread => ": the thread is killed".to_owned(),
        Action::KillProcess => ": the process is killed".to_owned(),
        Action::Allow | Action::Log => String::new(),
    }
}
