//! The decision about each type of namespace, and the namespaces to join, each an open descriptor
//! of a known type.

mod own;
mod source;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

use own::Own;
pub(crate) use source::{Identity, Join, identity, is_namespace};
use source::{check, of_target, open_source};

use super::{Procfs, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::request::{Namespace, NamespaceSource, Selection};
use crate::sys::namespace;

/// The decision about the program's namespace of one type. There is no fifth case.
#[derive(Debug)]
pub(crate) enum Decision {
    /// The program joins it.
    Join(Join),
    /// It is requested, and the program is in it already.
    Shared(Identity),
    /// It is not requested: the program stays in this one.
    NotRequested(Identity),
    /// The kernel has no namespaces of this type: the caller's own /proc/self/ns lacks it. This is
    /// the only reason.
    Unsupported,
}

impl Decision {
    /// The namespace that the program must be in; `None` only if the kernel has no namespaces of
    /// this type.
    pub(crate) fn expected(&self) -> Option<Identity> {
        match self {
            Self::Join(join) => Some(join.identity),
            Self::Shared(identity) | Self::NotRequested(identity) => Some(*identity),
            Self::Unsupported => None,
        }
    }
}

/// The decision about each type of namespace.
#[derive(Debug)]
pub(crate) struct Memberships {
    /// One for each of [`Namespace::ALL`], in that order.
    decisions: Vec<(Namespace, Decision)>,
}

/// How often the namespaces of a target that changes them meanwhile are opened again before the
/// exec is refused.
const ATTEMPTS: u32 = 10;

impl Memberships {
    /// Opens the namespaces of `selection` for a program that is a child of this process, or, with
    /// `no_fork`, this process itself.
    ///
    /// The target's namespaces are opened one after the other. If the target changes one meanwhile,
    /// half of the joined namespaces would be old and half new. So they are checked a second time,
    /// and opened again if one has changed.
    ///
    /// `network`: the namespace of the socket, if `selection` names one.
    ///
    /// # Errors
    /// `Target`: the target does not exist, or changes its namespaces faster than they can be
    /// opened. `Unsupported`: the kernel lacks a type that was named.
    pub(crate) fn open(
        selection: &Selection,
        user_parent: bool,
        no_fork: bool,
        target: Option<&Target>,
        network: Option<&OwnedFd>,
        procfs: &Procfs,
    ) -> Result<Self> {
        for _ in 0..ATTEMPTS {
            let mut opened = Self::open_once(selection, no_fork, target, network, procfs)?;
            if opened.are_still_the_targets(target)? {
                if user_parent {
                    opened.join_parent(target, procfs)?;
                }
                return Ok(opened);
            }
        }
        let pid = target.map_or(0, |target| target.pid().get());
        let wrong = format!("process {pid} changes its namespaces while they are opened");
        Err(Error::new(ErrorKind::Target, wrong)
            .with_hint("retry when the target no longer changes its namespaces"))
    }

    fn open_once(
        selection: &Selection,
        no_fork: bool,
        target: Option<&Target>,
        network: Option<&OwnedFd>,
        procfs: &Procfs,
    ) -> Result<Self> {
        let none = BTreeMap::new();
        let (whole, named): (&[Namespace], _) = match selection {
            Selection::All { except } => (&Namespace::ALL, except),
            Selection::ProtocolA => (&PROTOCOL_A, &none),
            Selection::Only(named) => (&[], named),
        };
        let mut decisions = Vec::with_capacity(Namespace::ALL.len());
        for namespace in Namespace::ALL {
            let own = Own::look_up(namespace, no_fork, procfs)?;
            let name = namespace.name();
            let decision = match (named.get(&namespace), own) {
                (Some(_), Own::Unsupported) => {
                    let wrong = format!("this kernel has no {name} namespaces");
                    return Err(Error::new(ErrorKind::Unsupported, wrong));
                }
                (Some(source), own) => {
                    let join = open_source(namespace, source, target, network)?;
                    match own {
                        // setns(2) refuses it.
                        Own::This(own) if own == join.identity && namespace == Namespace::User => {
                            return Err(in_it_already());
                        }
                        _ => Decision::Join(join),
                    }
                }
                (None, Own::Unsupported) => Decision::Unsupported,
                (None, own) if whole.contains(&namespace) => {
                    let join = open_source(namespace, &NamespaceSource::Target, target, network)?;
                    match own {
                        Own::This(own) if own == join.identity => Decision::Shared(own),
                        _ => Decision::Join(join),
                    }
                }
                (None, Own::This(own)) => Decision::NotRequested(own),
                (None, Own::NotYet) => {
                    let wrong = format!("the next child would be in a new {name} namespace");
                    return Err(Error::new(ErrorKind::Usage, wrong)
                        .with_hint("start nsexec from a child of the process that unshared it"));
                }
            };
            decisions.push((namespace, decision));
        }
        Ok(Self { decisions })
    }

    /// Whether the target is still in all of the namespaces that were opened.
    fn are_still_the_targets(&self, target: Option<&Target>) -> Result<bool> {
        let Some(target) = target else {
            return Ok(true);
        };
        for (namespace, decision) in &self.decisions {
            let seen = match decision {
                Decision::Join(join) if join.of_target => join.identity,
                Decision::Shared(identity) => *identity,
                _ => continue,
            };
            if identity(&of_target(*namespace, target)?)? != seen {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(crate) fn decisions(&self) -> impl Iterator<Item = (Namespace, &Decision)> {
        self.decisions
            .iter()
            .map(|(namespace, decision)| (*namespace, decision))
    }

    fn of(&self, namespace: Namespace) -> Option<&Decision> {
        let mut decisions = self.decisions();
        decisions
            .find(|(known, _)| *known == namespace)
            .map(|(_, decision)| decision)
    }

    /// The namespaces to join; joining consumes them.
    pub(crate) fn into_joins(self) -> Vec<Join> {
        let decisions = self.decisions.into_iter();
        decisions
            .filter_map(|(_, decision)| match decision {
                Decision::Join(join) => Some(join),
                _ => None,
            })
            .collect()
    }

    fn joins_of(&self) -> impl Iterator<Item = &Join> {
        self.decisions().filter_map(|(_, decision)| match decision {
            Decision::Join(join) => Some(join),
            _ => None,
        })
    }

    pub(crate) fn joins(&self, namespace: Namespace) -> bool {
        matches!(self.of(namespace), Some(Decision::Join(_)))
    }

    /// Whether the program ends up in the target's namespace of this type because the request names
    /// it: the program joins it, or shares it already.
    pub(crate) fn is_targets(&self, namespace: Namespace) -> bool {
        match self.of(namespace) {
            Some(Decision::Join(join)) => join.of_target,
            Some(Decision::Shared(_)) => true,
            _ => false,
        }
    }

    /// Whether the program's user namespace is the target's own, in whatever way it was named.
    pub(crate) fn has_user_namespace_of(&self, target: &Target) -> Result<bool> {
        let theirs = identity(&of_target(Namespace::User, target)?)?;
        Ok(self.of(Namespace::User).and_then(Decision::expected) == Some(theirs))
    }

    /// `--user-parent`: the parent of the selected user namespace, in its place; else the parent of
    /// the target's; without a target, the user namespace that owns the first named namespace
    /// (nsenter(1) does the same, but needs a target).
    fn join_parent(&mut self, target: Option<&Target>, procfs: &Procfs) -> Result<()> {
        let selected = self
            .joins_of()
            .find(|join| join.namespace == Namespace::User);
        let (owner, of) = match (selected, target) {
            (Some(user), _) => (namespace::owner(user.fd.as_fd()), "user"),
            (None, Some(target)) => {
                let user = of_target(Namespace::User, target)?;
                (namespace::owner(user.as_fd()), "target's user")
            }
            (None, None) => {
                let first = self.joins_of().next().ok_or_else(|| {
                    Error::new(ErrorKind::Usage, "--user-parent: no namespace is joined")
                        .with_hint("select a namespace as well, such as -n")
                })?;
                (namespace::owner(first.fd.as_fd()), first.namespace.name())
            }
        };
        let fd = owner.map_err(|errno| {
            let wrong = format!("--user-parent: the user namespace above the {of} namespace");
            Error::new(ErrorKind::Join, wrong)
                .with_source(errno)
                .with_hint("that user namespace has to be a descendant of the caller's")
        })?;
        let owner = check(Namespace::User, fd, false, &"--user-parent")?;
        if let Own::This(own) = Own::look_up(Namespace::User, false, procfs)?
            && own == owner.identity
        {
            return Err(in_it_already());
        }
        let user = self
            .decisions
            .iter_mut()
            .find(|(namespace, _)| *namespace == Namespace::User);
        if let Some((_, decision)) = user {
            *decision = Decision::Join(owner);
        }
        Ok(())
    }
}

/// A user namespace can only be joined from outside, setns(2).
fn in_it_already() -> Error {
    Error::new(ErrorKind::Join, "the user namespace cannot be joined")
        .with_hint("the caller is in it already: leave -U and --user-parent out")
}

/// The types that protocol A joins.
const PROTOCOL_A: [Namespace; 6] = [
    Namespace::Ipc,
    Namespace::Uts,
    Namespace::Net,
    Namespace::Pid,
    Namespace::Mnt,
    Namespace::User,
];
