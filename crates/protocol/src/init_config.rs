//! initConfig: what libcontainer's parent tells the child of protocol A.
//!
//! One JSON value with white space around it at the most. The top level is held
//! to its nine keys. `config` is the whole configuration of the container, most
//! of which speaks of its creation: there the keys that a joining process needs
//! are read, and the others are passed over.
//!
//! Go decodes more than is written here: keys in any case, repeated keys (the
//! last wins), bytes that are not UTF-8 (replaced), anything behind the value.
//! libcontainer writes none of these, so all of them are errors.

mod reason;
mod written;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::CString;
use std::ops::Range;

use nsexec_kernel_text::capability::{Capability, CapabilitySet};
use nsexec_kernel_text::userdb::{Account, UserSpec};
use nsexec_policy_engine::policy::resolved::Rlimit;
use nsexec_policy_engine::seccomp::libcontainer;
use nsexec_text::Fault;
use nsexec_text::json::{Object, Step, complaint, keys, place, printable, too_deep};

pub use reason::Reason;
use written::{Config, InitConfig as Written};

/// Longest message, in bytes. execve(2) takes 6 MiB of arguments and
/// environment at the most (three quarters of _STK_LIM, fs/exec.c); a
/// configuration has some kB. What is written with more escapes than the rest
/// has room for is refused.
pub const MAX_INIT_CONFIG: usize = 8 << 20;

/// Deepest nesting: a configuration goes seven deep (an argument of a seccomp
/// rule), the rest is room for the keys that are passed over.
pub const MAX_DEPTH: usize = 32;

/// Most arguments, and most variables: each takes a pointer and a NUL of the
/// 6 MiB that execve(2) takes.
pub const MAX_STRINGS: usize = (6 << 20) / 9;

/// Longest working directory: PATH_MAX without its NUL, limits.h.
pub const MAX_PATH: usize = 4095;

/// Longest label: a write to /proc/self/attr/exec is cut at a page of 4096
/// bytes, and AppArmor's has `exec ` in front.
pub const MAX_LABEL: usize = 4096 - "exec ".len();

/// Most additional groups: NGROUPS_MAX, limits.h.
pub const MAX_GROUPS: usize = 65_536;

/// Most passed files: no process has more descriptors than fs.nr_open, 2^20
/// where nobody raised it.
pub const MAX_PASSED_FILES: u32 = 1 << 20;

/// What the child of protocol A is to do. Made by [`parse`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InitConfig {
    /// The program and its arguments; never empty.
    pub args: Vec<CString>,
    /// The environment: keys are not empty and have no `=`, none stands twice.
    pub env: Vec<(CString, CString)>,
    /// The working directory, absolute; `None`: it stays.
    pub cwd: Option<CString>,
    /// What the program may hold at the most.
    pub capabilities: CapabilitySet,
    /// Who the program runs as.
    pub user: UserSpec,
    /// Groups that it has besides.
    pub additional_groups: Vec<Account>,
    /// setrlimit(2), in this order; no resource stands twice.
    pub rlimits: Vec<Rlimit>,
    /// -1000 to 1000.
    pub oom_score_adj: i16,
    /// The configuration's system call filter.
    pub seccomp: Option<libcontainer::Config>,
    /// The AppArmor profile that execve(2) enters.
    pub apparmor_profile: Option<CString>,
    /// The SELinux context that execve(2) enters.
    pub process_label: Option<CString>,
    /// Descriptors 3 to 3 + N - 1 are the program's; at most [`MAX_PASSED_FILES`].
    pub passed_files: u32,
}

/// The meaning of the message `text`, read to the end of the pipe.
///
/// # Errors
/// The first thing in it that is wrong, with its bytes.
pub fn parse(text: &[u8]) -> Result<InitConfig, Fault<Reason>> {
    if text.is_empty() {
        return Err(Fault::new(0..0, Reason::Nothing));
    }
    if text.len() > MAX_INIT_CONFIG {
        return Err(Fault::new(
            MAX_INIT_CONFIG..text.len(),
            Reason::TooLong(text.len()),
        ));
    }
    let text = std::str::from_utf8(text).map_err(|error| {
        let start = error.valid_up_to();
        Fault::new(start..start + error.error_len().unwrap_or(1), Reason::Utf8)
    })?;
    if let Some(at) = too_deep(text, MAX_DEPTH) {
        return Err(Fault::new(at..at + 1, Reason::TooDeep));
    }
    let written = read(text)?;
    Meaning { text }.config(written)
}

fn read(text: &str) -> Result<Written, Fault<Reason>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let fault = |error: serde_json::Error| {
        let (span, words) = complaint(text.as_bytes(), &error);
        let reason = match error.classify() {
            serde_json::error::Category::Eof => Reason::Truncated,
            serde_json::error::Category::Data => Reason::Shape(words),
            _ => Reason::Syntax(words),
        };
        Fault::new(span, reason)
    };
    let Object(written) = serde::Deserialize::deserialize(&mut deserializer).map_err(fault)?;
    deserializer.end().map_err(|error| {
        let (span, _) = complaint(text.as_bytes(), &error);
        Fault::new(span.start..text.len(), Reason::Trailing)
    })?;
    Ok(written)
}

/// Takes what is written to what is meant; `text` is for the places of faults.
struct Meaning<'a> {
    text: &'a str,
}

impl Meaning<'_> {
    fn config(&self, written: Written) -> Result<InitConfig, Fault<Reason>> {
        self.exact_keys()?;
        let config = written.config;
        Ok(InitConfig {
            args: self.args(written.args)?,
            env: self.env(&written.env.unwrap_or_default())?,
            cwd: self.cwd(written.cwd)?,
            capabilities: self.capabilities(written.capabilities, config.capabilities)?,
            user: self.user(&written.user)?,
            additional_groups: self.groups(&config.additional_groups.unwrap_or_default())?,
            rlimits: self.rlimits(&config.rlimits.unwrap_or_default())?,
            oom_score_adj: i16::try_from(config.oom_score_adj)
                .ok()
                .filter(|score| (-1000..=1000).contains(score))
                .ok_or_else(|| self.in_config("oom_score_adj", Reason::OomScoreAdj))?,
            seccomp: config.seccomp.map(|Object(seccomp)| seccomp.into()),
            apparmor_profile: self.label("apparmor_profile", config.apparmor_profile)?,
            process_label: self.label("process_label", config.process_label)?,
            passed_files: u32::try_from(written.passed_files_count)
                .ok()
                .filter(|count| *count <= MAX_PASSED_FILES)
                .ok_or_else(|| {
                    self.fault(&[Step::Key("passed_files_count")], Reason::PassedFiles)
                })?,
        })
    }

    /// Go would read a key of `config` in any case: what it would heed is not
    /// passed over here.
    fn exact_keys(&self) -> Result<(), Fault<Reason>> {
        for (key, span) in keys(self.text, &[Step::Key("config")]) {
            let folded: String = key.chars().map(fold).collect();
            if let Some(known) = Config::KEYS.iter().find(|known| **known == folded)
                && *known != key
            {
                return Err(Fault::new(span, Reason::KeyCase(known)));
            }
        }
        Ok(())
    }

    fn args(&self, written: Vec<String>) -> Result<Vec<CString>, Fault<Reason>> {
        let args = [Step::Key("args")];
        if written.is_empty() {
            return Err(self.fault(&args, Reason::NoProgram));
        }
        self.at_most(&args, written.len(), MAX_STRINGS)?;
        let mut meant = Vec::with_capacity(written.len());
        for (index, argument) in written.into_iter().enumerate() {
            let argument = CString::new(argument);
            let fault = |_| self.fault(&[Step::Key("args"), Step::Index(index)], Reason::Nul);
            meant.push(argument.map_err(fault)?);
        }
        Ok(meant)
    }

    /// As Go's os.Setenv, entry by entry: of a key that stands twice, the place
    /// of the first and the value of the last.
    fn env(&self, written: &[String]) -> Result<Vec<(CString, CString)>, Fault<Reason>> {
        self.at_most(&[Step::Key("env")], written.len(), MAX_STRINGS)?;
        let mut meant = Vec::with_capacity(written.len());
        let mut places = BTreeMap::new();
        for (index, entry) in written.iter().enumerate() {
            let fault = |reason| self.fault(&[Step::Key("env"), Step::Index(index)], reason);
            let Some((key, value)) = entry.split_once('=') else {
                return Err(fault(Reason::Environment(printable(entry))));
            };
            if key.is_empty() {
                return Err(fault(Reason::EmptyKey));
            }
            let value_meant = CString::new(value).map_err(|_| fault(Reason::Nul))?;
            match places
                .get(key)
                .and_then(|&place: &usize| meant.get_mut(place))
            {
                Some((_, value)) => *value = value_meant,
                None => {
                    let key_meant = CString::new(key).map_err(|_| fault(Reason::Nul))?;
                    places.insert(key, meant.len());
                    meant.push((key_meant, value_meant));
                }
            }
        }
        Ok(meant)
    }

    /// The OCI's runtimes require an absolute path; what a relative one is
    /// relative to is not in the message.
    fn cwd(&self, written: String) -> Result<Option<CString>, Fault<Reason>> {
        let fault = |reason| self.fault(&[Step::Key("cwd")], reason);
        if written.is_empty() {
            return Ok(None);
        }
        if !written.starts_with('/') || written.len() > MAX_PATH {
            return Err(fault(Reason::Directory));
        }
        CString::new(written)
            .map(Some)
            .map_err(|_| fault(Reason::Nul))
    }

    /// The process's own list, if it has one, even an empty one; else the
    /// container's. Lists in the field name capabilities twice: a set is meant.
    fn capabilities(
        &self,
        own: Option<Vec<String>>,
        container: Option<Vec<String>>,
    ) -> Result<CapabilitySet, Fault<Reason>> {
        let own = (&[Step::Key("capabilities")][..], own);
        let container = (
            &[Step::Key("config"), Step::Key("capabilities")][..],
            container,
        );
        let mut effective = None;
        for (path, list) in [container, own] {
            let Some(list) = list else { continue };
            let mut set = CapabilitySet::EMPTY;
            for (index, name) in list.iter().enumerate() {
                let Some(capability) = Capability::from_name(name) else {
                    let path = [path, &[Step::Index(index)]].concat();
                    return Err(self.fault(&path, Reason::UnknownCapability(printable(name))));
                };
                set = set.with(capability);
            }
            effective = Some(set);
        }
        Ok(effective.unwrap_or(CapabilitySet::EMPTY))
    }

    fn user(&self, written: &str) -> Result<UserSpec, Fault<Reason>> {
        UserSpec::parse(written)
            .map_err(|fault| self.fault(&[Step::Key("user")], Reason::User(fault.reason)))
    }

    fn groups(&self, written: &[String]) -> Result<Vec<Account>, Fault<Reason>> {
        let path = [Step::Key("config"), Step::Key("additional_groups")];
        self.at_most(&path, written.len(), MAX_GROUPS)?;
        let mut meant = Vec::with_capacity(written.len());
        for (index, group) in written.iter().enumerate() {
            meant.push(Account::parse(group).map_err(|reason| {
                let path = [&path[..], &[Step::Index(index)]].concat();
                self.fault(&path, Reason::Group(reason))
            })?);
        }
        Ok(meant)
    }

    fn rlimits(&self, written: &[Object<written::Rlimit>]) -> Result<Vec<Rlimit>, Fault<Reason>> {
        let mut meant: Vec<Rlimit> = Vec::new();
        for (index, Object(limit)) in written.iter().enumerate() {
            let fault = |reason| {
                let path = [
                    Step::Key("config"),
                    Step::Key("rlimits"),
                    Step::Index(index),
                ];
                self.fault(&path, reason)
            };
            let resource = u8::try_from(limit.resource)
                .ok()
                .filter(|resource| *resource <= 15)
                .ok_or_else(|| fault(Reason::RlimitType))?;
            if limit.soft > limit.hard {
                return Err(fault(Reason::RlimitOrder));
            }
            if meant.iter().any(|known| known.resource == resource) {
                return Err(fault(Reason::RlimitRepeated(resource)));
            }
            meant.push(Rlimit {
                resource,
                soft: limit.soft,
                hard: limit.hard,
            });
        }
        Ok(meant)
    }

    fn label(&self, key: &str, written: String) -> Result<Option<CString>, Fault<Reason>> {
        if written.is_empty() {
            return Ok(None);
        }
        let fits = written.len() <= MAX_LABEL && !written.contains('\n');
        let label = CString::new(written).ok().filter(|_| fits);
        label
            .map(Some)
            .ok_or_else(|| self.in_config(key, Reason::Label))
    }

    fn at_most(&self, path: &[Step<'_>], count: usize, limit: usize) -> Result<(), Fault<Reason>> {
        if count > limit {
            return Err(self.fault(path, Reason::TooMany { count, limit }));
        }
        Ok(())
    }

    fn in_config(&self, key: &str, reason: Reason) -> Fault<Reason> {
        self.fault(&[Step::Key("config"), Step::Key(key)], reason)
    }

    fn fault(&self, path: &[Step<'_>], reason: Reason) -> Fault<Reason> {
        let span: Range<usize> = place(self.text, path);
        Fault::new(span, reason)
    }
}

/// The letter that Go's case folding takes `c` for: two letters beyond ASCII
/// fold into it, the long s and the Kelvin sign.
fn fold(c: char) -> char {
    match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => c.to_ascii_lowercase(),
    }
}
