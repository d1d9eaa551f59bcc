//! The words, the environment and the candidates for the path of the program.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use crate::error::{Error, ErrorKind, Result};
use crate::plan::environment::{self, Account, Variables};
use crate::plan::opened::Opened;
use crate::procfs::environ;
use crate::stage::joined::UnjoinedParts;
use crate::standard_error::warn;
use crate::sys::exec::StringArray;
use crate::target::RootFile;
use crate::target::procfs_root::{MAX_FILE, read_all};
use crate::userdb::{self, passwd};

/// The arguments of execve(2).
#[derive(Debug)]
pub(super) struct Words {
    /// The name of the program, for messages.
    pub(super) program: String,
    /// The possible paths of the program, in the order of PATH.
    pub(super) candidates: Vec<CString>,
    pub(super) argv: StringArray,
    pub(super) envp: StringArray,
}

impl Words {
    /// Of the program that runs as `uid`. Takes the files that it reads out of `unjoined` and
    /// `opened`.
    pub(super) fn compose(
        unjoined: &mut UnjoinedParts,
        opened: &mut Opened,
        uid: u32,
    ) -> Result<Self> {
        for warning in opened.accounts.warnings() {
            warn(warning);
        }
        if unjoined.request.follow_context && !unjoined.labelled {
            warn("-Z does nothing: this kernel runs without SELinux");
        }
        let passwd = std::mem::replace(&mut opened.accounts.passwd, RootFile::Unneeded);
        let account = account(passwd, uid);
        let target_environment = unjoined.target_environment.take();
        let target_environment = target_environment.map(read_environment).transpose()?;
        let variables = environment::compose(
            &unjoined.policy.process.environment,
            &Variables::of_caller(),
            target_environment,
            &account,
            &unjoined.request.environment,
        );
        let (program, arguments) = environment::arguments(&unjoined.request.program, &variables);
        let candidates = environment::candidates(&program, &variables)?;
        Ok(Self {
            program: program.to_string_lossy().into_owned(),
            candidates,
            argv: StringArray::new(arguments),
            envp: StringArray::new(variables.into_strings()),
        })
    }
}

/// The user's entry in passwd: HOME, SHELL and USER. None of them is a layer, so an unreadable file
/// is a warning.
fn account(passwd: RootFile, uid: u32) -> Account {
    let unknown = Account::unknown();
    let text = passwd.read(userdb::MAX_FILE).unwrap_or_else(|error| {
        warn(&error.to_string());
        Vec::new()
    });
    let Ok(Some(entry)) = passwd::by_uid(&text, uid) else {
        return unknown;
    };
    if let Some(warning) = entry.field_count_warning() {
        warn(&warning.to_string());
    }
    let string = |bytes: &[u8], otherwise: CString| match CString::new(bytes) {
        Ok(string) if !string.is_empty() => string,
        _ => otherwise,
    };
    Account {
        name: CString::new(entry.name).ok(),
        home: string(entry.home, unknown.home),
        shell: string(entry.shell, unknown.shell),
    }
}

fn read_environment(file: OwnedFd) -> Result<Variables> {
    let text = read_all(file, MAX_FILE, &"the target's environment")?;
    let parsed = environ::parse(&text).map_err(|fault| {
        Error::new(
            ErrorKind::Target,
            format!("the target's environment: {fault}"),
        )
    })?;
    let bytes = |(key, value): (CString, CString)| (key.into_bytes(), value.into_bytes());
    Ok(Variables::from_pairs(parsed.into_iter().map(bytes)))
}
