//! The objects of the program's root.

use std::os::fd::OwnedFd;

use super::layers::Layers;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::resolved::{Environment, ResolvedPolicy};
use crate::request::{Request, Selection};
use crate::target::directory::{self, ProgramRoot};
use crate::target::{Finder, Memberships, PathResolver, RootFile, Target};

/// The objects of the program's root, all open.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) root: ProgramRoot,
    pub(crate) work_dir: Option<OwnedFd>,
    /// passwd(5) and group(5).
    pub(crate) accounts: Accounts,
}

impl Opened {
    /// Opens them, and builds the layers on the root; no layers: the root can be opened after the
    /// join only ([`ProgramRoot::AfterJoin`]).
    pub(super) fn before_join(
        request: &Request,
        policy: &ResolvedPolicy,
        target: Option<&Target>,
        memberships: &Memberships,
        finder: &Finder,
    ) -> Result<(Self, Option<Layers>)> {
        let root = ProgramRoot::open(request, target, memberships, finder)?;
        let work_dir = directory::open_work_dir(request, target, memberships, &root, finder)?;
        let (layers, accounts) = match root.directory() {
            None => (None, Accounts::UNNEEDED),
            Some(root) => (
                Some(Layers::build(policy, root, PathResolver::Finder(finder))?),
                Accounts::open(root, request, policy, finder)?,
            ),
        };
        let opened = Self {
            root,
            work_dir,
            accounts,
        };
        Ok((opened, layers))
    }

    /// Opens the root that the helper has joined.
    pub(crate) fn after_join(
        self,
        request: &Request,
        policy: &ResolvedPolicy,
        finder: &Finder,
    ) -> Result<(Self, Layers)> {
        let (root, work_dir) = directory::after_join(request, self.work_dir, finder)?;
        let directory = root
            .directory()
            .ok_or_else(|| Error::new(ErrorKind::System, "the program's root is not open"))?;
        let layers = Layers::build(policy, directory, PathResolver::Finder(finder))?;
        let accounts = Accounts::open(directory, request, policy, finder)?;
        let opened = Self {
            root,
            work_dir,
            accounts,
        };
        Ok((opened, layers))
    }
}

/// The files that describe users and groups, as far as they are needed.
#[derive(Debug)]
pub(crate) struct Accounts {
    pub(crate) passwd: RootFile,
    pub(crate) group: RootFile,
}

impl Accounts {
    /// No file is needed, or the root cannot be opened yet.
    const UNNEEDED: Self = Self {
        passwd: RootFile::Unneeded,
        group: RootFile::Unneeded,
    };

    /// Opens the files that `request` and `policy` need: for HOME, USER and SHELL, and in protocol
    /// A for the user that initConfig will name.
    pub(crate) fn open(
        root: &OwnedFd,
        request: &Request,
        policy: &ResolvedPolicy,
        finder: &Finder,
    ) -> Result<Self> {
        let open = |path| RootFile::open(finder, root, path);
        if matches!(request.namespaces, Selection::ProtocolA) {
            return Ok(Self {
                passwd: open(c"etc/passwd")?,
                group: open(c"etc/group")?,
            });
        }
        match &policy.process.environment {
            Environment::Login { .. } if !request.target_environment => Ok(Self {
                passwd: open(c"etc/passwd")?,
                group: RootFile::Unneeded,
            }),
            _ => Ok(Self::UNNEEDED),
        }
    }

    /// Warnings about them.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = &str> {
        [&self.passwd, &self.group]
            .into_iter()
            .filter_map(|file| file.warning())
    }
}
