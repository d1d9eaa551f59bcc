//! The input of a command: a shipped policy, or a file.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nsexec_kernel_text::capability::{Capability, CapabilitySet};
use nsexec_policy_engine::policy::landlock_file::Form;
use nsexec_policy_engine::policy::manifest::FileName;
use nsexec_policy_engine::policy::resolve::{FileFault, Files};
use nsexec_policy_engine::seccomp::oci::Context;
use nsexec_policy_engine::seccomp::table::Arch;
use nsexec_request::PolicyChoice;
use nsexec_shipped_policies::{BUILTIN_NAMES, builtin_context, builtin_text};

use crate::arguments::Words;

/// The longest file that is read, longer than the limit of any kind.
const MAX_BYTES: u64 = 1 << 20;

/// A policy or a part of one, as text.
#[derive(Debug)]
pub(crate) struct Input {
    /// The name that the user gave.
    pub(crate) name: String,
    /// Its type.
    pub(crate) kind: Kind,
    /// The text.
    pub(crate) text: Vec<u8>,
    /// The location of the files that a manifest names.
    pub(crate) beside: SiblingFiles,
}

/// The type of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A manifest.
    Policy,
    /// A seccomp profile.
    Profile,
    /// Landlock rules.
    Rules(Form),
}

/// The files next to a manifest.
#[derive(Debug)]
pub(crate) enum SiblingFiles {
    /// In this directory.
    Directory(PathBuf),
    /// In this binary.
    Built(Vec<(String, Vec<u8>)>),
}

impl Files for &SiblingFiles {
    fn read(&mut self, name: &FileName) -> Result<Vec<u8>, FileFault> {
        match self {
            SiblingFiles::Directory(directory) => {
                fs::read(directory.join(name.as_str())).map_err(|error| match error.kind() {
                    std::io::ErrorKind::NotFound => FileFault::Missing,
                    _ => FileFault::Unreadable(error.to_string()),
                })
            }
            SiblingFiles::Built(files) => files
                .iter()
                .find(|(known, _)| known == name.as_str())
                .map(|(_, text)| text.clone())
                .ok_or(FileFault::Missing),
        }
    }
}

impl Input {
    /// The shipped policy if nsexec's `--policy` takes `word` for a name; otherwise the
    /// file: a part of a policy has no name.
    ///
    /// # Errors
    /// It cannot be read, or no policy of this name ships.
    pub(crate) fn open(word: &OsStr, words: &Words) -> Result<Self, String> {
        let part = matches!(kind_option(words)?, Some("seccomp" | "landlock"));
        let name = match PolicyChoice::read(word.as_bytes()) {
            Some(PolicyChoice::Named(name)) if !part => name,
            _ => return Self::file(word, words),
        };
        let text = builtin_text(&name).ok_or_else(|| {
            format!(
                "there is no policy {name:?}; give one of {}, or a file: ./{name}",
                BUILTIN_NAMES.join(", ")
            )
        })?;
        Ok(Self {
            name,
            kind: Kind::Policy,
            text: text.manifest,
            beside: SiblingFiles::Built(text.files),
        })
    }

    /// A file; `-` is standard input.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn file(word: &OsStr, words: &Words) -> Result<Self, String> {
        let path = Path::new(word);
        let name = path.display().to_string();
        let text = read(path)?;
        let json = match path.extension().and_then(OsStr::to_str) {
            Some("json") => true,
            Some("toml") => false,
            _ => text.trim_ascii_start().starts_with(b"{"),
        };
        let kind = match kind_option(words)? {
            Some("policy") => Kind::Policy,
            Some("seccomp") => Kind::Profile,
            Some(_) if json => Kind::Rules(Form::Json),
            Some(_) => Kind::Rules(Form::Toml),
            None => looks_like(&text, json),
        };
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Self {
            name,
            kind,
            text,
            beside: SiblingFiles::Directory(directory),
        })
    }

    /// Whether it is a shipped policy.
    #[must_use]
    pub(crate) fn ships(&self) -> bool {
        matches!(self.beside, SiblingFiles::Built(_))
    }
}

/// The text of a file; `-` is standard input.
///
/// # Errors
/// It cannot be read, or is longer than any policy.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let name = path.to_str().filter(|name| BUILTIN_NAMES.contains(name));
            let ships = name.map(|name| {
                format!("; the policy of this name ships: nsexec-policy show {name} prints it")
            });
            let ships = ships.unwrap_or_default();
            format!("{}: there is no such file{ships}", path.display())
        }
        _ => format!("{}: {error}", path.display()),
    };
    let mut text = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(MAX_BYTES + 1)
            .read_to_end(&mut text)
    } else {
        let file = fs::File::open(path).map_err(failed)?;
        file.take(MAX_BYTES + 1).read_to_end(&mut text)
    };
    let length = read.map_err(failed)?;
    if u64::try_from(length).is_ok_and(|length| length > MAX_BYTES) {
        return Err(format!(
            "{}: longer than {MAX_BYTES} bytes, which no policy is",
            path.display()
        ));
    }
    Ok(text)
}

fn kind_option(words: &Words) -> Result<Option<&str>, String> {
    match words.value("as")? {
        Some(other) if !["policy", "seccomp", "landlock"].contains(&other) => Err(format!(
            "--as {other}: a file is one of policy, seccomp, landlock"
        )),
        options => Ok(options),
    }
}

/// Guesses by keys that only one type has. A text without such a key gets the
/// most common type of its form, and that parser reports the error.
fn looks_like(text: &[u8], json: bool) -> Kind {
    let text = String::from_utf8_lossy(text);
    if json {
        if text.contains("\"ruleset\"") && !text.contains("\"defaultAction\"") {
            Kind::Rules(Form::Json)
        } else {
            Kind::Profile
        }
    } else {
        let rules = |line: &str| {
            let line = line.trim_start();
            line.starts_with("[[ruleset]]") || line.starts_with("abi")
        };
        if text.lines().any(rules) {
            Kind::Rules(Form::Toml)
        } else {
            Kind::Policy
        }
    }
}

/// Docker's capabilities: the default for conditions.
const DOCKER: &str = "CAP_AUDIT_WRITE,CAP_CHOWN,CAP_DAC_OVERRIDE,CAP_FOWNER,CAP_FSETID,CAP_KILL,\
                      CAP_MKNOD,CAP_NET_BIND_SERVICE,CAP_NET_RAW,CAP_SETFCAP,CAP_SETGID,\
                      CAP_SETPCAP,CAP_SETUID,CAP_SYS_CHROOT";

/// The context for the conditions of `input`: the options; else, for a shipped
/// policy, the context of its build; else this machine and Docker's
/// capabilities.
///
/// # Errors
/// An invalid value of an option.
pub(crate) fn context(words: &Words, input: &Input) -> Result<Context, String> {
    let arch = match words.value("arch")? {
        None => Arch::native().unwrap_or(Arch::X86_64),
        Some(name) => Arch::from_rust_name(name)
            .ok_or_else(|| format!("--arch {name}: x86_64 and aarch64 are known"))?,
    };
    let built = builtin_context(arch);
    let kernel = match words.value("kernel")? {
        Some(text) => version(text)
            .ok_or_else(|| format!("--kernel {text}: a version is written like 6.1"))?,
        None if input.ships() => built.kernel,
        None => running_kernel()?,
    };
    let bounding = match words.value("caps")? {
        Some(list) => capabilities(list)?,
        None if input.ships() => built.bounding,
        None => capabilities("docker")?,
    };
    Ok(Context {
        arch,
        bounding,
        kernel,
    })
}

fn capabilities(list: &str) -> Result<CapabilitySet, String> {
    let list = match list {
        "none" => return Ok(CapabilitySet::EMPTY),
        "all" => return Ok(CapabilitySet::from_bits(u64::MAX)),
        "docker" => DOCKER,
        list => list,
    };
    let mut set = CapabilitySet::EMPTY;
    for name in list.split(',') {
        let known = Capability::from_name(name).ok_or_else(|| {
            format!("--caps: no capability is named {name:?}; they are written CAP_CHOWN")
        })?;
        set = set.with(known);
    }
    Ok(set)
}

fn running_kernel() -> Result<(u32, u32), String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_err(|error| format!("/proc/sys/kernel/osrelease: {error}; use --kernel X.Y"))?;
    version(&release).ok_or_else(|| format!("the kernel's version {release:?}: use --kernel X.Y"))
}

/// The first two numbers of a version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().split(|c: char| !c.is_ascii_digit());
    let number = |digits: Option<&str>| digits?.parse().ok();
    Some((number(numbers.next())?, number(numbers.next())?))
}
