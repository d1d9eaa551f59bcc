//! The values of options.

use std::path::{Component, PathBuf};
use std::time::Duration;

use crate::config::Backend;
use crate::enrich::cgroups::Name;
use crate::enrich::container;
use crate::output::files;

pub(super) fn duration(option: &str, text: &str) -> Result<Duration, String> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse()
        .ok()
        .filter(|_| plain)
        .and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| format!("{option} {text:?}: a number of seconds above 0"))
}

/// Bytes, or with K, M or G as many times 1024, and so on.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K') => (text.strip_suffix('K'), 1_u64 << 10),
        Some(b'M') => (text.strip_suffix('M'), 1 << 20),
        Some(b'G') => (text.strip_suffix('G'), 1 << 30),
        _ => (Some(text), 1),
    };
    number(digits.unwrap_or_default()).and_then(|count: u64| count.checked_mul(unit))
}

pub(super) fn size(text: &str) -> Result<u64, String> {
    bytes(text)
        .filter(|size| *size >= files::LEAST_SIZE)
        .ok_or_else(|| {
            format!("--rotate {text:?}: a number of bytes, or with K, M or G; at least 4K")
        })
}

pub(super) fn backend(text: &str) -> Result<Backend, String> {
    Backend::named(text).ok_or_else(|| {
        let names = Backend::ALL.map(Backend::name).join(" or ");
        format!("--backend {text:?}: {names}")
    })
}

/// As the kernel takes it.
pub(super) fn ring(text: &str) -> Result<u32, String> {
    bytes(text)
        .filter(|size| size.is_power_of_two() && (4 << 10..=1 << 30).contains(size))
        .and_then(|size| u32::try_from(size).ok())
        .ok_or_else(|| format!("--ring {text:?}: a power of two from 4K to 1G"))
}

pub(super) fn keep(text: &str) -> Result<u16, String> {
    number(text)
        .filter(|count| (1..=files::MOST_KEPT).contains(count))
        .ok_or_else(|| format!("--keep {text:?}: a number from 1 to {}", files::MOST_KEPT))
}

/// A number, or a path with nothing to be resolved in it.
pub(super) fn cgroup(text: &str) -> Result<Name, String> {
    let path = PathBuf::from(text);
    let plain = path
        .components()
        .skip(1)
        .all(|part| matches!(part, Component::Normal(_)));
    if path.is_absolute() && plain {
        return Ok(Name::Path(path));
    }
    let number = number(text).filter(|id| *id > 0);
    number
        .map(Name::Id)
        .ok_or_else(|| format!("--cgroup {text:?}: a path from / on without .., or a number"))
}

/// What can be the beginning of one.
pub(super) fn container(text: &str) -> Result<String, String> {
    if container::is_name(text) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "--container {text:?}: an id or a name, or at least 4 characters that it begins \
             with: letters, digits and +-._"
        ))
    }
}

/// Digits and nothing else.
pub(super) fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// Names with commas between them, each once.
pub(super) fn list<T: PartialEq>(
    text: &str,
    option: &str,
    of: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, String> {
    let mut all = Vec::new();
    for name in text.split(',') {
        let one = of(name).ok_or_else(|| {
            format!("{option} {name:?}: there is none; --help names what there is")
        })?;
        if all.contains(&one) {
            return Err(format!("{option}: {name:?} stands twice"));
        }
        all.push(one);
    }
    Ok(all)
}
