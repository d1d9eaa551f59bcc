//! initConfig: the request that libcontainer's parent sends to the child of
//! protocol A.
//!
//! It is one JSON value, with only white space around it. The top level may have
//! only its nine keys. `config` is the container's whole configuration, most of
//! which concerns its creation: the keys that a joining process needs are read,
//! and the others are skipped.
//!
//! Go's decoder accepts more than this parser: keys in any case, duplicate keys
//! (the last wins), invalid UTF-8 (replaced), and text after the value.
//! libcontainer writes none of these, so all of them are errors.

mod raw;
mod reason;

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

use raw::{Config, RawInitConfig};
pub use reason::InitConfigErrorKind;

/// Longest message, in bytes. execve(2) accepts at most 6 MiB of arguments and
/// environment (three quarters of _STK_LIM, fs/exec.c), and a configuration has
/// a few kB. A message that exceeds this because of its escapes is an error.
pub const MAX_INIT_CONFIG: usize = 8 << 20;

/// Deepest nesting. A configuration has seven levels (an argument of a seccomp
/// rule); the rest is for skipped keys.
pub const MAX_DEPTH: usize = 32;

/// Most arguments, and most variables: each uses a pointer and a NUL of the 6
/// MiB limit of execve(2).
pub const MAX_STRINGS: usize = (6 << 20) / 9;

/// Longest working directory: PATH_MAX without its NUL, limits.h.
pub const MAX_PATH: usize = 4095;

/// Longest label: a write to /proc/self/attr/exec is cut at a page of 4096
/// bytes, and AppArmor's has `exec ` in front.
pub const MAX_LABEL: usize = 4096 - "exec ".len();

/// Most additional groups: NGROUPS_MAX, limits.h.
pub const MAX_GROUPS: usize = 65_536;

/// Most passed files: no process has more descriptors than fs.nr_open, 2^20
/// by default.
pub const MAX_PASSED_FILES: u32 = 1 << 20;

/// The request to the child of protocol A. Only [`parse`] constructs it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InitConfig {
    /// The program and its arguments; never empty.
    pub args: Vec<CString>,
    /// The environment: keys are unique, not empty and have no `=`.
    pub env: Vec<(CString, CString)>,
    /// The working directory, absolute; `None`: it stays.
    pub cwd: Option<CString>,
    /// The upper limit of the program's capabilities.
    pub capabilities: CapabilitySet,
    /// The user to run as.
    pub user: UserSpec,
    /// Additional groups.
    pub additional_groups: Vec<Account>,
    /// setrlimit(2), in this order; each resource at most once.
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

/// Parses the message `text`, read to the end of the pipe.
///
/// # Errors
/// The first error, with its span.
pub fn parse(text: &[u8]) -> Result<InitConfig, Fault<InitConfigErrorKind>> {
    if text.is_empty() {
        return Err(Fault::new(0..0, InitConfigErrorKind::Nothing));
    }
    if text.len() > MAX_INIT_CONFIG {
        return Err(Fault::new(
            MAX_INIT_CONFIG..text.len(),
            InitConfigErrorKind::TooLong(text.len()),
        ));
    }
    let text = std::str::from_utf8(text).map_err(|error| {
        let start = error.valid_up_to();
        Fault::new(
            start..start + error.error_len().unwrap_or(1),
            InitConfigErrorKind::Utf8,
        )
    })?;
    if let Some(at) = too_deep(text, MAX_DEPTH) {
        return Err(Fault::new(at..at + 1, InitConfigErrorKind::TooDeep));
    }
    let written = read(text)?;
    Resolver { text }.config(written)
}

fn read(text: &str) -> Result<RawInitConfig, Fault<InitConfigErrorKind>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let fault = |error: serde_json::Error| {
        let (span, words) = complaint(text.as_bytes(), &error);
        let reason = match error.classify() {
            serde_json::error::Category::Eof => InitConfigErrorKind::Truncated,
            serde_json::error::Category::Data => InitConfigErrorKind::Shape(words),
            _ => InitConfigErrorKind::Syntax(words),
        };
        Fault::new(span, reason)
    };
    let Object(written) = serde::Deserialize::deserialize(&mut deserializer).map_err(fault)?;
    deserializer.end().map_err(|error| {
        let (span, _) = complaint(text.as_bytes(), &error);
        Fault::new(span.start..text.len(), InitConfigErrorKind::Trailing)
    })?;
    Ok(written)
}

/// Resolves the raw message; `text` is needed for the spans of errors.
struct Resolver<'a> {
    text: &'a str,
}

impl Resolver<'_> {
    fn config(&self, written: RawInitConfig) -> Result<InitConfig, Fault<InitConfigErrorKind>> {
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
                .ok_or_else(|| self.in_config("oom_score_adj", InitConfigErrorKind::OomScoreAdj))?,
            seccomp: config.seccomp.map(|Object(seccomp)| seccomp),
            apparmor_profile: self.label("apparmor_profile", config.apparmor_profile)?,
            process_label: self.label("process_label", config.process_label)?,
            passed_files: u32::try_from(written.passed_files_count)
                .ok()
                .filter(|count| *count <= MAX_PASSED_FILES)
                .ok_or_else(|| {
                    self.fault(
                        &[Step::Key("passed_files_count")],
                        InitConfigErrorKind::PassedFiles,
                    )
                })?,
        })
    }

    /// Rejects keys in another case: Go reads a key of `config` in any case, so
    /// skipping one here would ignore a key that Go obeys.
    fn exact_keys(&self) -> Result<(), Fault<InitConfigErrorKind>> {
        for (key, span) in keys(self.text, &[Step::Key("config")]) {
            let folded: String = key.chars().map(fold).collect();
            if let Some(known) = Config::KEYS.iter().find(|known| **known == folded)
                && *known != key
            {
                return Err(Fault::new(span, InitConfigErrorKind::KeyCase(known)));
            }
        }
        Ok(())
    }

    fn args(&self, written: Vec<String>) -> Result<Vec<CString>, Fault<InitConfigErrorKind>> {
        let args = [Step::Key("args")];
        if written.is_empty() {
            return Err(self.fault(&args, InitConfigErrorKind::NoProgram));
        }
        self.at_most(&args, written.len(), MAX_STRINGS)?;
        let mut meant = Vec::with_capacity(written.len());
        for (index, argument) in written.into_iter().enumerate() {
            let argument = CString::new(argument);
            let fault = |_| {
                self.fault(
                    &[Step::Key("args"), Step::Index(index)],
                    InitConfigErrorKind::Nul,
                )
            };
            meant.push(argument.map_err(fault)?);
        }
        Ok(meant)
    }

    /// Sets the entries one by one, as Go's os.Setenv does: a duplicate key
    /// keeps the position of the first and the value of the last.
    fn env(
        &self,
        written: &[String],
    ) -> Result<Vec<(CString, CString)>, Fault<InitConfigErrorKind>> {
        self.at_most(&[Step::Key("env")], written.len(), MAX_STRINGS)?;
        let mut meant = Vec::with_capacity(written.len());
        let mut places = BTreeMap::new();
        for (index, entry) in written.iter().enumerate() {
            let fault = |reason| self.fault(&[Step::Key("env"), Step::Index(index)], reason);
            let Some((key, value)) = entry.split_once('=') else {
                return Err(fault(InitConfigErrorKind::Environment(printable(entry))));
            };
            if key.is_empty() {
                return Err(fault(InitConfigErrorKind::EmptyKey));
            }
            let value_meant = CString::new(value).map_err(|_| fault(InitConfigErrorKind::Nul))?;
            match places
                .get(key)
                .and_then(|&place: &usize| meant.get_mut(place))
            {
                Some((_, value)) => *value = value_meant,
                None => {
                    let key_meant =
                        CString::new(key).map_err(|_| fault(InitConfigErrorKind::Nul))?;
                    places.insert(key, meant.len());
                    meant.push((key_meant, value_meant));
                }
            }
        }
        Ok(meant)
    }

    /// OCI runtimes require an absolute path; the message does not contain the
    /// directory that a relative path starts from.
    fn cwd(&self, written: String) -> Result<Option<CString>, Fault<InitConfigErrorKind>> {
        let fault = |reason| self.fault(&[Step::Key("cwd")], reason);
        if written.is_empty() {
            return Ok(None);
        }
        if !written.starts_with('/') || written.len() > MAX_PATH {
            return Err(fault(InitConfigErrorKind::Directory));
        }
        CString::new(written)
            .map(Some)
            .map_err(|_| fault(InitConfigErrorKind::Nul))
    }

    /// The process's own list, if present, even if empty; else the container's.
    /// Real-world lists contain duplicates, so the list is read as a set.
    fn capabilities(
        &self,
        own: Option<Vec<String>>,
        container: Option<Vec<String>>,
    ) -> Result<CapabilitySet, Fault<InitConfigErrorKind>> {
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
                    return Err(self.fault(
                        &path,
                        InitConfigErrorKind::UnknownCapability(printable(name)),
                    ));
                };
                set = set.with(capability);
            }
            effective = Some(set);
        }
        Ok(effective.unwrap_or(CapabilitySet::EMPTY))
    }

    fn user(&self, written: &str) -> Result<UserSpec, Fault<InitConfigErrorKind>> {
        UserSpec::parse(written).map_err(|fault| {
            self.fault(
                &[Step::Key("user")],
                InitConfigErrorKind::User(fault.reason),
            )
        })
    }

    fn groups(&self, written: &[String]) -> Result<Vec<Account>, Fault<InitConfigErrorKind>> {
        let path = [Step::Key("config"), Step::Key("additional_groups")];
        self.at_most(&path, written.len(), MAX_GROUPS)?;
        let mut meant = Vec::with_capacity(written.len());
        for (index, group) in written.iter().enumerate() {
            meant.push(Account::parse(group).map_err(|reason| {
                let path = [&path[..], &[Step::Index(index)]].concat();
                self.fault(&path, InitConfigErrorKind::Group(reason))
            })?);
        }
        Ok(meant)
    }

    fn rlimits(
        &self,
        written: &[Object<raw::Rlimit>],
    ) -> Result<Vec<Rlimit>, Fault<InitConfigErrorKind>> {
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
                .ok_or_else(|| fault(InitConfigErrorKind::RlimitType))?;
            if limit.soft > limit.hard {
                return Err(fault(InitConfigErrorKind::RlimitOrder));
            }
            if meant.iter().any(|known| known.resource == resource) {
                return Err(fault(InitConfigErrorKind::RlimitRepeated(resource)));
            }
            meant.push(Rlimit {
                resource,
                soft: limit.soft,
                hard: limit.hard,
            });
        }
        Ok(meant)
    }

    fn label(
        &self,
        key: &str,
        written: String,
    ) -> Result<Option<CString>, Fault<InitConfigErrorKind>> {
        if written.is_empty() {
            return Ok(None);
        }
        let fits = written.len() <= MAX_LABEL && !written.contains('\n');
        let label = CString::new(written).ok().filter(|_| fits);
        label
            .map(Some)
            .ok_or_else(|| self.in_config(key, InitConfigErrorKind::Label))
    }

    fn at_most(
        &self,
        path: &[Step<'_>],
        count: usize,
        limit: usize,
    ) -> Result<(), Fault<InitConfigErrorKind>> {
        if count > limit {
            return Err(self.fault(path, InitConfigErrorKind::TooMany { count, limit }));
        }
        Ok(())
    }

    fn in_config(&self, key: &str, reason: InitConfigErrorKind) -> Fault<InitConfigErrorKind> {
        self.fault(&[Step::Key("config"), Step::Key(key)], reason)
    }

    fn fault(&self, path: &[Step<'_>], reason: InitConfigErrorKind) -> Fault<InitConfigErrorKind> {
        let span: Range<usize> = place(self.text, path);
        Fault::new(span, reason)
    }
}

/// The letter that Go's case folding maps `c` to. Two letters outside ASCII fold
/// into ASCII: the long s and the Kelvin sign.
fn fold(c: char) -> char {
    match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => c.to_ascii_lowercase(),
    }
}
