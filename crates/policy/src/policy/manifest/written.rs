//! A manifest's text, key by key, and what it means.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::{
    BestEffort, FileName, MAX_PASS, Manifest, Origin, Part, Reason, Source, Sources, Stage,
    is_pass_pattern, is_reason,
};
use crate::policy::resolved::{
    Capabilities, Environment, Follow, Keyring, LogFlag, Process, Require, Right, Rlimit,
};
use nsexec_kernel_text::capability::{Capability, CapabilitySet};
use nsexec_text::Fault;
use nsexec_text::json::{Object, object};

/// The names of RLIMIT_*, by number, getrlimit(2).
const RESOURCES: [&str; 16] = [
    "cpu",
    "fsize",
    "data",
    "stack",
    "core",
    "rss",
    "nproc",
    "nofile",
    "memlock",
    "as",
    "locks",
    "sigpending",
    "msgqueue",
    "nice",
    "rtprio",
    "rttime",
];

/// What `mode = "login"` takes from the passwd file.
const LOGIN_VARIABLES: [&str; 4] = ["PATH", "HOME", "USER", "SHELL"];

/// The text, key by key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Written {
    seccomp: Spanned<String>,
    seccomp_reason: Option<Spanned<String>>,
    landlock: Spanned<String>,
    landlock_reason: Option<Spanned<String>>,
    #[serde(deserialize_with = "object")]
    ceiling: WrittenCeiling,
    #[serde(deserialize_with = "object")]
    process: WrittenProcess,
    #[serde(rename = "tty", deserialize_with = "object")]
    _tty: WrittenTty,
    #[serde(deserialize_with = "object")]
    fds: WrittenFds,
    best_effort: Option<Vec<Object<WrittenBestEffort>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct WrittenCeiling {
    seccomp: Spanned<String>,
    seccomp_reason: Option<Spanned<String>>,
    landlock: Spanned<String>,
    landlock_reason: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct WrittenProcess {
    capabilities: Spanned<WrittenCapabilities>,
    no_new_privs: bool,
    keep_groups: bool,
    keyring: Option<WrittenKeyring>,
    cgroup: Option<WrittenFollow>,
    label: Option<WrittenFollow>,
    rlimits: Option<Spanned<Vec<Object<WrittenRlimit>>>>,
    umask: Option<Spanned<i64>>,
    oom_score_adj: Option<Spanned<i64>>,
    #[serde(deserialize_with = "object")]
    environment: WrittenEnvironment,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase", expecting = "\"target\" or \"caller\"")]
enum WrittenFollow {
    Target,
    Caller,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase", expecting = "\"new\" or \"caller\"")]
enum WrittenKeyring {
    New,
    Caller,
}

/// A word, or a list of names.
enum WrittenCapabilities {
    Word(String),
    Names(Vec<Spanned<String>>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct WrittenRlimit {
    resource: Spanned<String>,
    soft: Spanned<WrittenLimit>,
    hard: Spanned<WrittenLimit>,
}

/// A number, or `"unlimited"`.
enum WrittenLimit {
    Number(i64),
    Unlimited,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct WrittenEnvironment {
    mode: WrittenMode,
    pass: Option<Spanned<Vec<Spanned<String>>>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(
    rename_all = "lowercase",
    expecting = "\"login\", \"inherit\" or \"initconfig\""
)]
enum WrittenMode {
    Login,
    Inherit,
    Initconfig,
}

/// The only session there is yet; spelled out, so that files keep their meaning
/// when there is another.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct WrittenTty {
    #[serde(rename = "session")]
    _session: WrittenSession,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase", expecting = "\"caller\"")]
enum WrittenSession {
    Caller,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct WrittenFds {
    preserve: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct WrittenBestEffort {
    layer: Spanned<String>,
    right: Option<Spanned<String>>,
    log: Option<Spanned<String>>,
    reason: Spanned<String>,
}

impl Written {
    pub(super) fn meaning(&self) -> Result<Manifest, Fault<Reason>> {
        let ceiling = &self.ceiling;
        let best_effort = best_effort(self.best_effort.as_deref().unwrap_or_default())?;
        Ok(Manifest {
            workload: Sources {
                seccomp: source(
                    &self.seccomp,
                    self.seccomp_reason.as_ref(),
                    "seccomp_reason",
                )?,
                landlock: source(
                    &self.landlock,
                    self.landlock_reason.as_ref(),
                    "landlock_reason",
                )?,
            },
            ceiling: Sources {
                seccomp: source(
                    &ceiling.seccomp,
                    ceiling.seccomp_reason.as_ref(),
                    "seccomp_reason",
                )?,
                landlock: source(
                    &ceiling.landlock,
                    ceiling.landlock_reason.as_ref(),
                    "landlock_reason",
                )?,
            },
            process: self.process.meaning(&best_effort)?,
            preserve_fds: self.fds.preserve,
            best_effort,
        })
    }
}

fn source(
    written: &Spanned<String>,
    reason: Option<&Spanned<String>>,
    key: &'static str,
) -> Result<Source, Fault<Reason>> {
    let at = |why| Fault::new(written.span(), why);
    let origin = match (written.get_ref().as_str(), reason) {
        ("none", None) => return Err(at(Reason::Unexplained(key))),
        ("none", Some(reason)) => Origin::None {
            reason: reason_text(reason, key)?,
        },
        (_, Some(reason)) => return Err(Fault::new(reason.span(), Reason::NothingToExplain(key))),
        (name, None) => {
            let wrong = || at(Reason::FileName(name.to_owned()));
            Origin::File(FileName::new(name).ok_or_else(wrong)?)
        }
    };
    Ok(Source {
        span: written.span(),
        origin,
    })
}

fn reason_text(reason: &Spanned<String>, key: &'static str) -> Result<String, Fault<Reason>> {
    if is_reason(reason.get_ref()) {
        Ok(reason.get_ref().clone())
    } else {
        Err(Fault::new(reason.span(), Reason::Explanation(key)))
    }
}

fn best_effort(all: &[Object<WrittenBestEffort>]) -> Result<Vec<BestEffort>, Fault<Reason>> {
    let mut meant: Vec<BestEffort> = Vec::with_capacity(all.len());
    for written in all {
        let Object(WrittenBestEffort {
            layer,
            right,
            log,
            reason,
        }) = written;
        // The name of what may be missing.
        let span = log.as_ref().or(right.as_ref()).unwrap_or(layer).span();
        let at = |why| Fault::new(span.clone(), why);
        let (stage, whole) = match layer.get_ref().as_str() {
            "landlock" => (Stage::Workload, Part::Layer),
            "ceiling.landlock" => (Stage::Ceiling, Part::Layer),
            "cgroup" => (Stage::Workload, Part::Cgroup),
            "seccomp" | "ceiling.seccomp" => {
                return Err(Fault::new(layer.span(), Reason::SeccompBestEffort));
            }
            other => {
                let unknown = Reason::UnknownLayer(other.to_owned());
                return Err(Fault::new(layer.span(), unknown));
            }
        };
        let part = match (right, log) {
            (None, None) => whole,
            _ if whole == Part::Cgroup => return Err(at(Reason::NoParts("cgroup"))),
            (Some(name), None) => Part::Right(newer_right(name)?),
            (None, Some(name)) => match LogFlag::from_name(name.get_ref()) {
                Some(flag) => Part::Log(flag),
                None => return Err(at(Reason::UnknownFlag(name.get_ref().clone()))),
            },
            (Some(_), Some(_)) => return Err(at(Reason::TwoParts)),
        };
        if meant.iter().any(|b| b.stage == stage && b.part == part) {
            return Err(at(Reason::RepeatedBestEffort));
        }
        meant.push(BestEffort {
            span,
            stage,
            part,
            reason: reason_text(reason, "reason")?,
        });
    }
    Ok(meant)
}

/// A right that some kernel lacks on which the layer is put in force.
fn newer_right(name: &Spanned<String>) -> Result<Right, Fault<Reason>> {
    let at = |reason| Err(Fault::new(name.span(), reason));
    match Right::from_name(name.get_ref()) {
        // Below ABI 2 the layer as a whole is in question.
        Some(right) if right.abi() <= 2 => at(Reason::OldRight(right)),
        Some(right) => Ok(right),
        None => at(Reason::UnknownRight(name.get_ref().clone())),
    }
}

impl WrittenProcess {
    fn meaning(&self, best_effort: &[BestEffort]) -> Result<Process, Fault<Reason>> {
        Ok(Process {
            capabilities: capabilities(&self.capabilities)?,
            no_new_privs: self.no_new_privs,
            keep_groups: self.keep_groups,
            // Left out, it is the one that hands nothing over.
            keyring: match self.keyring {
                None | Some(WrittenKeyring::New) => Keyring::New,
                Some(WrittenKeyring::Caller) => Keyring::Caller,
            },
            cgroup: self.cgroup(best_effort)?,
            label: match self.label {
                None | Some(WrittenFollow::Caller) => Follow::Caller,
                Some(WrittenFollow::Target) => Follow::Target(Require::Full),
            },
            rlimits: self.rlimits()?,
            umask: match &self.umask {
                None => None,
                Some(umask) => match u32::try_from(*umask.get_ref()) {
                    Ok(bits @ 0..=0o777) => Some(bits),
                    _ => {
                        let wrong = Reason::Umask(*umask.get_ref());
                        return Err(Fault::new(umask.span(), wrong));
                    }
                },
            },
            oom_score_adj: match &self.oom_score_adj {
                None => None,
                Some(score) => match i16::try_from(*score.get_ref()) {
                    Ok(score @ -1000..=1000) => Some(score),
                    _ => {
                        let wrong = Reason::OomScoreAdj(*score.get_ref());
                        return Err(Fault::new(score.span(), wrong));
                    }
                },
            },
            environment: self.environment.meaning()?,
        })
    }

    /// Whose cgroups, and whether the target's must be joined.
    fn cgroup(&self, best_effort: &[BestEffort]) -> Result<Follow, Fault<Reason>> {
        let let_go = best_effort.iter().find(|entry| entry.part == Part::Cgroup);
        match (self.cgroup, let_go) {
            (Some(WrittenFollow::Target), None) => Ok(Follow::Target(Require::Full)),
            (Some(WrittenFollow::Target), Some(entry)) => {
                let reason = entry.reason.clone();
                Ok(Follow::Target(Require::BestEffort { reason }))
            }
            (None | Some(WrittenFollow::Caller), None) => Ok(Follow::Caller),
            (None | Some(WrittenFollow::Caller), Some(entry)) => {
                let wrong = Reason::NotFollowed("cgroup");
                Err(Fault::new(entry.span.clone(), wrong))
            }
        }
    }

    fn rlimits(&self) -> Result<Vec<Rlimit>, Fault<Reason>> {
        let Some(list) = &self.rlimits else {
            return Ok(Vec::new());
        };
        if list.get_ref().is_empty() {
            return Err(Fault::new(list.span(), Reason::Empty("rlimits")));
        }
        let mut rlimits: Vec<Rlimit> = Vec::new();
        for written in list.get_ref() {
            let Object(WrittenRlimit {
                resource,
                soft,
                hard,
            }) = written;
            let name = resource.get_ref();
            let at = |reason| Fault::new(resource.span(), reason);
            let known = RESOURCES
                .iter()
                .zip(0_u8..)
                .find(|(known, _)| *known == name);
            let Some((_, number)) = known else {
                return Err(at(Reason::UnknownResource(name.clone())));
            };
            if rlimits.iter().any(|other| other.resource == number) {
                return Err(at(Reason::RepeatedResource(name.clone())));
            }
            let (soft_limit, hard_limit) = (limit(soft)?, limit(hard)?);
            if soft_limit > hard_limit {
                return Err(Fault::new(soft.span(), Reason::SoftAboveHard));
            }
            rlimits.push(Rlimit {
                resource: number,
                soft: soft_limit,
                hard: hard_limit,
            });
        }
        Ok(rlimits)
    }
}

fn capabilities(written: &Spanned<WrittenCapabilities>) -> Result<Capabilities, Fault<Reason>> {
    let at = |reason| Fault::new(written.span(), reason);
    let names = match written.get_ref() {
        WrittenCapabilities::Word(word) => {
            return match word.as_str() {
                "none" => Ok(Capabilities::Keep(CapabilitySet::EMPTY)),
                "inherit" => Ok(Capabilities::Inherit),
                "initconfig" => Ok(Capabilities::InitConfig),
                _ => Err(at(Reason::CapabilityWord(word.clone()))),
            };
        }
        WrittenCapabilities::Names(names) => names,
    };
    if names.is_empty() {
        return Err(at(Reason::Empty("capabilities")));
    }
    let mut set = CapabilitySet::EMPTY;
    for written in names {
        let name = written.get_ref();
        let at = |reason| Fault::new(written.span(), reason);
        let Some(capability) = Capability::from_name(name) else {
            return Err(at(Reason::UnknownCapability(name.clone())));
        };
        if set.contains(capability) {
            return Err(at(Reason::RepeatedCapability(name.clone())));
        }
        set = set.with(capability);
    }
    Ok(Capabilities::Keep(set))
}

impl WrittenEnvironment {
    fn meaning(&self) -> Result<Environment, Fault<Reason>> {
        match (self.mode, &self.pass) {
            (WrittenMode::Inherit, None) => Ok(Environment::Inherit),
            (WrittenMode::Initconfig, None) => Ok(Environment::InitConfig),
            (WrittenMode::Login, None) => Ok(Environment::Login { pass: Vec::new() }),
            (WrittenMode::Login, Some(pass)) => Ok(Environment::Login {
                pass: passed(pass)?,
            }),
            (WrittenMode::Inherit | WrittenMode::Initconfig, Some(pass)) => {
                Err(Fault::new(pass.span(), Reason::PassUnused))
            }
        }
    }
}

fn passed(list: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<String>, Fault<Reason>> {
    if list.get_ref().is_empty() {
        return Err(Fault::new(list.span(), Reason::Empty("pass")));
    }
    let mut pass: Vec<String> = Vec::new();
    for written in list.get_ref() {
        let pattern = written.get_ref();
        let at = |reason| Fault::new(written.span(), reason);
        if !is_pass_pattern(pattern) {
            return Err(at(Reason::PassName(pattern.clone())));
        }
        if LOGIN_VARIABLES.iter().any(|name| covers(pattern, name)) {
            return Err(at(Reason::PassIsSet(pattern.clone())));
        }
        if pass.contains(pattern) {
            return Err(at(Reason::RepeatedPass(pattern.clone())));
        }
        if pass.len() == MAX_PASS {
            return Err(at(Reason::TooManyPassed));
        }
        pass.push(pattern.clone());
    }
    Ok(pass)
}

fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => pattern == name,
    }
}

fn limit(written: &Spanned<WrittenLimit>) -> Result<u64, Fault<Reason>> {
    match written.get_ref() {
        WrittenLimit::Unlimited => Ok(u64::MAX),
        WrittenLimit::Number(number) => {
            let below = |_| Fault::new(written.span(), Reason::Limit(*number));
            u64::try_from(*number).map_err(below)
        }
    }
}

impl<'de> Deserialize<'de> for WrittenCapabilities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrNames;

        impl<'de> Visitor<'de> for WordOrNames {
            type Value = WrittenCapabilities;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"none\", \"inherit\", \"initconfig\" or a list of capabilities")
            }

            fn visit_str<E>(self, word: &str) -> Result<Self::Value, E> {
                Ok(WrittenCapabilities::Word(word.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element()? {
                    names.push(name);
                }
                Ok(WrittenCapabilities::Names(names))
            }
        }

        deserializer.deserialize_any(WordOrNames)
    }
}

impl<'de> Deserialize<'de> for WrittenLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrWord;

        impl Visitor<'_> for NumberOrWord {
            type Value = WrittenLimit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or \"unlimited\"")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(WrittenLimit::Number(number))
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Self::Value, E> {
                match word {
                    "unlimited" => Ok(WrittenLimit::Unlimited),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
                }
            }
        }

        deserializer.deserialize_any(NumberOrWord)
    }
}
