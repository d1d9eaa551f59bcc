//! The values of options.

use std::path::{Component, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::config::{Backend, MAX_SELFTEST_EVENTS, SELFTEST_CALLS};
use crate::enrich::cgroups::Name as CgroupName;
use crate::enrich::container;
use crate::model::names::Name;
use crate::output::{files, hash_chain};
use crate::rules::{RULES, Rule};

/// Values with commas between them, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Parses one name or a list of names, which completions offer.
#[derive(Clone)]
struct Names<T> {
    all: Vec<(&'static str, T)>,
}

impl<T: Clone + PartialEq> Names<T> {
    fn one(&self, name: &str) -> Option<T> {
        let mut all = self.all.iter();
        all.find(|(known, _)| *known == name)
            .map(|(_, value)| value.clone())
    }

    fn several(&self, text: &str) -> Option<List<T>> {
        let mut list = Vec::new();
        for name in text.split(',') {
            let one = self.one(name)?;
            if list.contains(&one) {
                return None;
            }
            list.push(one);
        }
        Some(List(list))
    }

    fn possible(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(
            self.all.iter().map(|(name, _)| PossibleValue::new(*name)),
        ))
    }

    fn refuse(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> clap::Error {
        let mut error = clap::Error::new(ErrorKind::InvalidValue).with_cmd(command);
        let arg = arg.map(ToString::to_string).unwrap_or_default();
        let value = value.to_string_lossy().into_owned();
        let names = self.all.iter().map(|(name, _)| (*name).to_owned());
        error.insert(ContextKind::InvalidArg, ContextValue::String(arg));
        error.insert(ContextKind::InvalidValue, ContextValue::String(value));
        error.insert(
            ContextKind::ValidValue,
            ContextValue::Strings(names.collect()),
        );
        error
    }
}

#[derive(Clone)]
struct One<T>(Names<T>);

impl<T: Clone + PartialEq + Send + Sync + 'static> TypedValueParser for One<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<T, clap::Error> {
        let one = value.to_str().and_then(|name| self.0.one(name));
        one.ok_or_else(|| self.0.refuse(command, arg, value))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible()
    }
}

#[derive(Clone)]
struct Several<T>(Names<T>);

impl<T: Clone + PartialEq + Send + Sync + 'static> TypedValueParser for Several<T> {
    type Value = List<T>;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<List<T>, clap::Error> {
        let list = value.to_str().and_then(|text| self.0.several(text));
        list.ok_or_else(|| self.0.refuse(command, arg, value))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible()
    }
}

fn names<T: Name>() -> Names<T> {
    let all = T::ALL.iter().map(|one| (one.name(), *one));
    Names { all: all.collect() }
}

/// One of the names of a type.
pub(super) fn named<T: Name + Send + Sync>() -> impl TypedValueParser<Value = T> {
    One(names::<T>())
}

/// A list of the names of a type.
pub(super) fn list<T: Name + Send + Sync>() -> impl TypedValueParser<Value = List<T>> {
    Several(names::<T>())
}

/// The name of a backend.
pub(super) fn backend() -> impl TypedValueParser<Value = Backend> {
    named::<Backend>()
}

/// A list of the names of rules.
pub(super) fn rules() -> impl TypedValueParser<Value = List<&'static Rule>> {
    let all = RULES.into_iter().map(|rule| (rule.name, rule)).collect();
    Several(Names { all })
}

/// A time in seconds, which can have a fraction.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse()
        .ok()
        .filter(|_| plain)
        .and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "give a number of seconds above 0".to_owned())
}

/// A number of bytes, or of K, M or G, which are 1024, 1024 K and 1024 M.
fn size(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K') => (text.strip_suffix('K'), 1_u64 << 10),
        Some(b'M') => (text.strip_suffix('M'), 1 << 20),
        Some(b'G') => (text.strip_suffix('G'), 1 << 30),
        _ => (Some(text), 1),
    };
    number(digits.unwrap_or_default()).and_then(|count: u64| count.checked_mul(unit))
}

/// The size of a file.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    size(text)
        .filter(|size| *size >= files::LEAST_SIZE)
        .ok_or_else(|| "give a number of bytes, or with K, M or G; at least 4K".to_owned())
}

/// The size of a ring, as the kernel requires it.
pub(super) fn ring(text: &str) -> Result<u32, String> {
    size(text)
        .filter(|size| size.is_power_of_two() && (4 << 10..=1 << 30).contains(size))
        .and_then(|size| u32::try_from(size).ok())
        .ok_or_else(|| "give a power of two from 4K to 1G".to_owned())
}

/// The number of full files to keep.
pub(super) fn keep(text: &str) -> Result<u16, String> {
    number(text)
        .filter(|count| (1..=files::MOST_KEPT).contains(count))
        .ok_or_else(|| format!("give a number from 1 to {}", files::MOST_KEPT))
}

/// A pid.
pub(super) fn pid(text: &str) -> Result<u32, String> {
    number(text)
        .filter(|pid| *pid > 0)
        .ok_or_else(|| "give a pid".to_owned())
}

/// The number of calls of a self-test.
pub(super) fn events(text: &str) -> Result<u32, String> {
    number(text)
        .filter(|count: &u32| {
            (1..=MAX_SELFTEST_EVENTS).contains(count) && count.is_multiple_of(SELFTEST_CALLS)
        })
        .ok_or_else(|| format!("give a multiple of {SELFTEST_CALLS}, up to {MAX_SELFTEST_EVENTS}"))
}

/// The id of a cgroup, or a path with nothing to be resolved in it.
pub(super) fn cgroup(text: &str) -> Result<CgroupName, String> {
    let path = PathBuf::from(text);
    let plain = path
        .components()
        .skip(1)
        .all(|part| matches!(part, Component::Normal(_)));
    if path.is_absolute() && plain {
        return Ok(CgroupName::Path(path));
    }
    number(text)
        .filter(|id| *id > 0)
        .map(CgroupName::Id)
        .ok_or_else(|| "give an absolute path without .., or a number".to_owned())
}

/// The name or id of a container, or the beginning of an id.
pub(super) fn container(text: &str) -> Result<String, String> {
    if container::is_name(text) {
        Ok(text.to_owned())
    } else {
        Err(
            "give a name or an id, or at least its first 4 characters: letters, digits and +-._"
                .to_owned(),
        )
    }
}

/// A value of the hash chain.
pub(super) fn chain_value(text: &str) -> Result<hash_chain::Value, String> {
    hash_chain::parse(text).ok_or_else(|| "give a chain value: 64 digits of 0-9 and a-f".to_owned())
}

/// Digits and nothing else.
fn number<T: FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}
