//! The `[process]` table.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::super::{BestEffort, MAX_PASS, ManifestErrorKind, Part, is_pass_pattern};
use crate::policy::resolved::{
    Capabilities, Environment, Follow, Keyring, Process, Require, Rlimit,
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

/// The variables that `mode = "login"` sets itself; all but PATH come
/// from the passwd file.
const LOGIN_VARIABLES: [&str; 4] = ["PATH", "HOME", "USER", "SHELL"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawProcess {
    capabilities: Spanned<RawCapabilities>,
    no_new_privs: bool,
    keep_groups: bool,
    keyring: Option<RawKeyring>,
    cgroup: Option<RawFollow>,
    label: Option<RawFollow>,
    rlimits: Option<Spanned<Vec<Object<RawRlimit>>>>,
    umask: Option<Spanned<i64>>,
    oom_score_adj: Option<Spanned<i64>>,
    #[serde(deserialize_with = "object")]
    environment: RawEnvironment,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase", expecting = "\"target\" or \"caller\"")]
enum RawFollow {
    Target,
    Caller,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase", expecting = "\"new\" or \"caller\"")]
enum RawKeyring {
    New,
    Caller,
}

/// A word, or a list of names.
enum RawCapabilities {
    Word(String),
    Names(Vec<Spanned<String>>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RawRlimit {
    resource: Spanned<String>,
    soft: Spanned<RawLimit>,
    hard: Spanned<RawLimit>,
}

/// A number, or `"unlimited"`.
enum RawLimit {
    Number(i64),
    Unlimited,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RawEnvironment {
    mode: RawMode,
    pass: Option<Spanned<Vec<Spanned<String>>>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(
    rename_all = "lowercase",
    expecting = "\"login\", \"inherit\" or \"initconfig\""
)]
enum RawMode {
    Login,
    Inherit,
    Initconfig,
}

impl RawProcess {
    pub(super) fn resolve(
        &self,
        best_effort: &[BestEffort],
    ) -> Result<Process, Fault<ManifestErrorKind>> {
        Ok(Process {
            capabilities: capabilities(&self.capabilities)?,
            no_new_privs: self.no_new_privs,
            keep_groups: self.keep_groups,
            // The default hands no keyring over.
            keyring: match self.keyring {
                None | Some(RawKeyring::New) => Keyring::New,
                Some(RawKeyring::Caller) => Keyring::Caller,
            },
            cgroup: self.cgroup(best_effort)?,
            label: match self.label {
                None | Some(RawFollow::Caller) => Follow::Caller,
                Some(RawFollow::Target) => Follow::Target(Require::Full),
            },
            rlimits: self.rlimits()?,
            umask: match &self.umask {
                None => None,
                Some(umask) => match u32::try_from(*umask.get_ref()) {
                    Ok(bits @ 0..=0o777) => Some(bits),
                    _ => {
                        let wrong = ManifestErrorKind::Umask(*umask.get_ref());
                        return Err(Fault::new(umask.span(), wrong));
                    }
                },
            },
            oom_score_adj: match &self.oom_score_adj {
                None => None,
                Some(score) => match i16::try_from(*score.get_ref()) {
                    Ok(score @ -1000..=1000) => Some(score),
                    _ => {
                        let wrong = ManifestErrorKind::OomScoreAdj(*score.get_ref());
                        return Err(Fault::new(score.span(), wrong));
                    }
                },
            },
            environment: self.environment.resolve()?,
        })
    }

    /// The cgroups to join, and whether joining the target's is required.
    fn cgroup(&self, best_effort: &[BestEffort]) -> Result<Follow, Fault<ManifestErrorKind>> {
        let let_go = best_effort.iter().find(|entry| entry.part == Part::Cgroup);
        match (self.cgroup, let_go) {
            (Some(RawFollow::Target), None) => Ok(Follow::Target(Require::Full)),
            (Some(RawFollow::Target), Some(entry)) => {
                let reason = entry.reason.clone();
                Ok(Follow::Target(Require::BestEffort { reason }))
            }
            (None | Some(RawFollow::Caller), None) => Ok(Follow::Caller),
            (None | Some(RawFollow::Caller), Some(entry)) => {
                let wrong = ManifestErrorKind::NotFollowed("cgroup");
                Err(Fault::new(entry.span.clone(), wrong))
            }
        }
    }

    fn rlimits(&self) -> Result<Vec<Rlimit>, Fault<ManifestErrorKind>> {
        let Some(list) = &self.rlimits else {
            return Ok(Vec::new());
        };
        if list.get_ref().is_empty() {
            return Err(Fault::new(list.span(), ManifestErrorKind::Empty("rlimits")));
        }
        let mut rlimits: Vec<Rlimit> = Vec::new();
        for written in list.get_ref() {
            let Object(RawRlimit {
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
                return Err(at(ManifestErrorKind::UnknownResource(name.clone())));
            };
            if rlimits.iter().any(|other| other.resource == number) {
                return Err(at(ManifestErrorKind::RepeatedResource(name.clone())));
            }
            let (soft_limit, hard_limit) = (limit(soft)?, limit(hard)?);
            if soft_limit > hard_limit {
                return Err(Fault::new(soft.span(), ManifestErrorKind::SoftAboveHard));
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

fn capabilities(
    written: &Spanned<RawCapabilities>,
) -> Result<Capabilities, Fault<ManifestErrorKind>> {
    let at = |reason| Fault::new(written.span(), reason);
    let names = match written.get_ref() {
        RawCapabilities::Word(word) => {
            return match word.as_str() {
                "none" => Ok(Capabilities::Keep(CapabilitySet::EMPTY)),
                "inherit" => Ok(Capabilities::Inherit),
                "initconfig" => Ok(Capabilities::InitConfig),
                _ => Err(at(ManifestErrorKind::CapabilityWord(word.clone()))),
            };
        }
        RawCapabilities::Names(names) => names,
    };
    if names.is_empty() {
        return Err(at(ManifestErrorKind::Empty("capabilities")));
    }
    let mut set = CapabilitySet::EMPTY;
    for written in names {
        let name = written.get_ref();
        let at = |reason| Fault::new(written.span(), reason);
        let Some(capability) = Capability::from_name(name) else {
            return Err(at(ManifestErrorKind::UnknownCapability(name.clone())));
        };
        if set.contains(capability) {
            return Err(at(ManifestErrorKind::RepeatedCapability(name.clone())));
        }
        set = set.with(capability);
    }
    Ok(Capabilities::Keep(set))
}

impl RawEnvironment {
    fn resolve(&self) -> Result<Environment, Fault<ManifestErrorKind>> {
        match (self.mode, &self.pass) {
            (RawMode::Inherit, None) => Ok(Environment::Inherit),
            (RawMode::Initconfig, None) => Ok(Environment::InitConfig),
            (RawMode::Login, None) => Ok(Environment::Login { pass: Vec::new() }),
            (RawMode::Login, Some(pass)) => Ok(Environment::Login {
                pass: passed(pass)?,
            }),
            (RawMode::Inherit | RawMode::Initconfig, Some(pass)) => {
                Err(Fault::new(pass.span(), ManifestErrorKind::PassUnused))
            }
        }
    }
}

fn passed(list: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<String>, Fault<ManifestErrorKind>> {
    if list.get_ref().is_empty() {
        return Err(Fault::new(list.span(), ManifestErrorKind::Empty("pass")));
    }
    let mut pass: Vec<String> = Vec::new();
    for written in list.get_ref() {
        let pattern = written.get_ref();
        let at = |reason| Fault::new(written.span(), reason);
        if !is_pass_pattern(pattern) {
            return Err(at(ManifestErrorKind::PassName(pattern.clone())));
        }
        if LOGIN_VARIABLES.iter().any(|name| covers(pattern, name)) {
            return Err(at(ManifestErrorKind::PassIsSet(pattern.clone())));
        }
        if pass.contains(pattern) {
            return Err(at(ManifestErrorKind::RepeatedPass(pattern.clone())));
        }
        if pass.len() == MAX_PASS {
            return Err(at(ManifestErrorKind::TooManyPassed));
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

fn limit(written: &Spanned<RawLimit>) -> Result<u64, Fault<ManifestErrorKind>> {
    match written.get_ref() {
        RawLimit::Unlimited => Ok(u64::MAX),
        RawLimit::Number(number) => {
            let below = |_| Fault::new(written.span(), ManifestErrorKind::Limit(*number));
            u64::try_from(*number).map_err(below)
        }
    }
}

impl<'de> Deserialize<'de> for RawCapabilities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrNames;

        impl<'de> Visitor<'de> for WordOrNames {
            type Value = RawCapabilities;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"none\", \"inherit\", \"initconfig\" or a list of capabilities")
            }

            fn visit_str<E>(self, word: &str) -> Result<Self::Value, E> {
                Ok(RawCapabilities::Word(word.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element()? {
                    names.push(name);
                }
                Ok(RawCapabilities::Names(names))
            }
        }

        deserializer.deserialize_any(WordOrNames)
    }
}

impl<'de> Deserialize<'de> for RawLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrWord;

        impl Visitor<'_> for NumberOrWord {
            type Value = RawLimit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or \"unlimited\"")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(RawLimit::Number(number))
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Self::Value, E> {
                match word {
                    "unlimited" => Ok(RawLimit::Unlimited),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
                }
            }
        }

        deserializer.deserialize_any(NumberOrWord)
    }
}
