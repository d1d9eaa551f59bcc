//! The program's environment, and the directories of PATH.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;

use crate::error::{Error, ErrorKind, Result};

use crate::policy::resolved::Environment;
use crate::request::EnvironmentEntry;

/// The passwd(5) entry of the program's user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: Option<CString>,
    pub(crate) home: CString,
    pub(crate) shell: CString,
}

impl Account {
    /// A user without an entry in the passwd file.
    pub(crate) fn unknown() -> Self {
        Self {
            name: None,
            home: c"/".to_owned(),
            shell: c"/bin/sh".to_owned(),
        }
    }
}

/// PATH if no source sets one: the initial value in Docker and runc containers.
const DEFAULT_PATH: &std::ffi::CStr =
    c"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Maximum number of directories of PATH in which a program is looked up: each directory of the
/// target's list costs the caller a system call and a name.
pub(crate) const MOST_DIRECTORIES: usize = 4096;

/// Variables in order, each key once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Variables {
    list: Vec<(Vec<u8>, Vec<u8>)>,
    /// The position of each key in the list: a target can have 700,000 variables.
    places: BTreeMap<Vec<u8>, usize>,
}

impl Variables {
    /// The caller's own.
    pub(crate) fn of_caller() -> Self {
        let bytes = |(key, value): (OsString, OsString)| (key.into_vec(), value.into_vec());
        Self::from_pairs(std::env::vars_os().map(bytes))
    }

    /// A later value replaces an earlier one, in the position of the earlier one.
    pub(crate) fn from_pairs(pairs: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Self {
        let mut variables = Self::default();
        for (key, value) in pairs {
            variables.set(&key, value);
        }
        variables
    }

    pub(crate) fn set(&mut self, key: &[u8], value: Vec<u8>) {
        let place = self.places.get(key).copied();
        match place.and_then(|place| self.list.get_mut(place)) {
            Some((_, old)) => *old = value,
            None => {
                self.places.insert(key.to_vec(), self.list.len());
                self.list.push((key.to_vec(), value));
            }
        }
    }

    pub(crate) fn value(&self, key: &[u8]) -> Option<&[u8]> {
        let place = self.places.get(key)?;
        self.list.get(*place).map(|(_, value)| value.as_slice())
    }

    /// `K=V` strings for execve. Leaves out a variable with a NUL, which no source of variables
    /// permits.
    pub(crate) fn into_strings(self) -> Vec<CString> {
        let string = |(mut key, value): (Vec<u8>, Vec<u8>)| {
            key.push(b'=');
            key.extend(value);
            CString::new(key).ok()
        };
        self.list.into_iter().filter_map(string).collect()
    }
}

/// The environment that policy and request compose.
///
/// `target` is the target's environment, if the request takes it.
pub(crate) fn compose(
    policy: &Environment,
    caller: &Variables,
    target: Option<Variables>,
    account: &Account,
    entries: &[EnvironmentEntry],
) -> Variables {
    let mut variables = match (target, policy) {
        (Some(target), _) => target,
        (None, Environment::Inherit) => caller.clone(),
        (None, Environment::Login { pass }) => login(pass, caller, account),
        // Protocol A composes its own.
        (None, Environment::InitConfig) => Variables::default(),
    };
    for entry in entries {
        let key = entry.key.as_bytes();
        match &entry.value {
            Some(value) => variables.set(key, value.as_bytes().to_vec()),
            None => {
                if let Some(value) = caller.value(key) {
                    variables.set(key, value.to_vec());
                }
            }
        }
    }
    variables
}

fn login(pass: &[String], caller: &Variables, account: &Account) -> Variables {
    let passes = |key: &[u8]| {
        pass.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => key.starts_with(prefix.as_bytes()),
            None => key == pattern.as_bytes(),
        })
    };
    let passed = caller.list.iter().filter(|(key, _)| passes(key)).cloned();
    let mut variables = Variables::from_pairs(passed);
    variables.set(b"PATH", DEFAULT_PATH.to_bytes().to_vec());
    variables.set(b"HOME", account.home.as_bytes().to_vec());
    variables.set(b"SHELL", account.shell.as_bytes().to_vec());
    if let Some(name) = &account.name {
        variables.set(b"USER", name.as_bytes().to_vec());
    }
    variables
}

/// The possible paths of `program`: itself if it has a slash, else one in each directory of PATH;
/// an empty one is the working directory (execvp(3)). A directory that PATH names twice counts
/// once.
///
/// # Errors
/// `NotExecutable`: PATH names more than [`MOST_DIRECTORIES`].
pub(crate) fn candidates(program: &CString, variables: &Variables) -> Result<Vec<CString>> {
    let name = program.as_bytes();
    if name.contains(&b'/') {
        return Ok(vec![program.clone()]);
    }
    if name.is_empty() {
        return Ok(Vec::new());
    }
    let path = variables.value(b"PATH").unwrap_or(DEFAULT_PATH.to_bytes());
    let mut known = BTreeSet::new();
    let mut found = Vec::new();
    for directory in path.split(|byte| *byte == b':') {
        let directory = if directory.is_empty() {
            b"."
        } else {
            directory
        };
        if !known.insert(directory) {
            continue;
        }
        if found.len() == MOST_DIRECTORIES {
            let wrong = format!("PATH names more than {MOST_DIRECTORIES} directories");
            return Err(Error::new(ErrorKind::NotExecutable, wrong)
                .with_hint("give the program by its path, or a shorter PATH"));
        }
        found.extend(CString::new([directory, b"/", name].concat()));
    }
    Ok(found)
}

/// The program and its arguments; if there are none, the user's shell, as a login shell
/// (nsenter(1)).
pub(crate) fn arguments(program: &[CString], variables: &Variables) -> (CString, Vec<CString>) {
    if let Some(first) = program.first() {
        return (first.clone(), program.to_vec());
    }
    let shell = variables
        .value(b"SHELL")
        .filter(|shell| !shell.is_empty())
        .unwrap_or(b"/bin/sh");
    let base = shell.rsplit(|byte| *byte == b'/').next().unwrap_or(shell);
    let own = |bytes: &[u8]| CString::new(bytes).unwrap_or_else(|_| c"/bin/sh".to_owned());
    (own(shell), vec![own(&[b"-", base].concat())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let bytes =
            |(key, value): &(&str, &str)| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
        Variables::from_pairs(pairs.iter().map(bytes))
    }

    fn strings(variables: Variables) -> Vec<String> {
        variables
            .into_strings()
            .into_iter()
            .map(|s| s.into_string().unwrap())
            .collect()
    }

    #[test]
    fn login_passes_only_the_variables_of_the_policy() {
        let policy = Environment::Login {
            pass: vec!["TERM".into(), "LC_*".into()],
        };
        let caller = variables(&[
            ("TERM", "xterm"),
            ("TERMCAP", "x"),
            ("LC_ALL", "C"),
            ("PATH", "/evil"),
            ("LD_PRELOAD", "/evil.so"),
        ]);
        let account = Account {
            name: Some(c"ann".to_owned()),
            home: c"/home/ann".to_owned(),
            shell: c"/bin/bash".to_owned(),
        };
        let composed = compose(&policy, &caller, None, &account, &[]);
        assert_eq!(
            strings(composed),
            [
                "TERM=xterm",
                "LC_ALL=C",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME=/home/ann",
                "SHELL=/bin/bash",
                "USER=ann",
            ]
        );
    }

    #[test]
    fn entries_come_last_and_a_bare_key_is_the_callers() {
        let caller = variables(&[("A", "1"), ("B", "2")]);
        let entry = |key: &std::ffi::CStr, value: Option<&std::ffi::CStr>| EnvironmentEntry {
            key: key.to_owned(),
            value: value.map(std::ffi::CStr::to_owned),
        };
        let entries = [
            entry(c"A", Some(c"x=y")),
            entry(c"B", None),
            entry(c"NONE", None),
        ];
        let target = variables(&[("A", "target"), ("C", "3")]);
        let policy = Environment::Login { pass: vec![] };
        let composed = compose(
            &policy,
            &caller,
            Some(target),
            &Account::unknown(),
            &entries,
        );
        assert_eq!(strings(composed), ["A=x=y", "C=3", "B=2"]);
    }

    #[test]
    fn path_is_searched_as_execvp_does() {
        let path = variables(&[("PATH", "/bin::/sbin:.:/bin")]);
        let found = |program: &std::ffi::CStr| {
            let found = candidates(&program.to_owned(), &path).expect("a short PATH");
            found
                .into_iter()
                .map(|s| s.into_string().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(found(c"ls"), ["/bin/ls", "./ls", "/sbin/ls"]);
        assert_eq!(found(c"./ls"), ["./ls"]);
        assert_eq!(found(c""), Vec::<String>::new());
    }

    #[test]
    fn directories_of_path_are_bounded() {
        let path = |count: usize| {
            let directories: Vec<String> = (0..count).map(|n| format!("/{n}")).collect();
            let path = variables(&[("PATH", &directories.join(":"))]);
            candidates(&c"ls".to_owned(), &path)
        };
        let most = path(MOST_DIRECTORIES).map(|found| found.len());
        assert_eq!(most.ok(), Some(MOST_DIRECTORIES));
        let fault = path(MOST_DIRECTORIES + 1).expect_err("refused");
        assert_eq!(fault.kind(), ErrorKind::NotExecutable);
        // One directory, named a million times, counts once.
        let colons = ":".repeat(1_000_000);
        let found = candidates(&c"ls".to_owned(), &variables(&[("PATH", &colons)]));
        assert_eq!(found.ok(), Some(vec![c"./ls".to_owned()]));
    }

    /// The bound detects a hang: a search of the list for each variable took hours.
    #[test]
    fn as_many_variables_as_there_can_be_take_no_time() {
        let begun = std::time::Instant::now();
        let count = crate::procfs::environ::MAX_VARIABLES;
        let pair = |number: usize| (format!("{number:x}").into_bytes(), b"1".to_vec());
        let mut all = Variables::from_pairs((0..count).map(pair));
        all.set(b"0", b"2".to_vec());
        all.set(b"last", Vec::new());
        assert_eq!(all.value(b"0"), Some(&b"2"[..]));
        let all = all.into_strings();
        assert_eq!(all.len(), count + 1);
        assert_eq!(all.first().map(|s| s.as_bytes()), Some(&b"0=2"[..]));
        assert_eq!(all.last().map(|s| s.as_bytes()), Some(&b"last="[..]));
        assert!(begun.elapsed() < std::time::Duration::from_secs(60));
    }

    #[test]
    fn no_program_is_the_login_shell() {
        let (file, argv) = arguments(&[], &variables(&[("SHELL", "/usr/bin/fish")]));
        assert_eq!(
            (file, argv),
            (c"/usr/bin/fish".to_owned(), vec![c"-fish".to_owned()])
        );
        let (file, argv) = arguments(&[], &variables(&[]));
        assert_eq!(
            (file, argv),
            (c"/bin/sh".to_owned(), vec![c"-sh".to_owned()])
        );
    }
}
