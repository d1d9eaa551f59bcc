//! Resolves a user specification with a container's passwd and group files.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fmt;

use crate::userdb::spec::{Account, Name, UserSpec};
use crate::userdb::{FieldCountWarning, group, passwd};
use nsexec_text::Fault;

/// Most supplementary groups: NGROUPS_MAX, limits.h.
pub const MAX_GROUPS: usize = 65_536;

/// The ids the program runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// The supplementary groups: those that list the user, each once; none
    /// when the specification names a group. At most [`MAX_GROUPS`].
    pub groups: Vec<u32>,
    /// The home directory; `/` if the passwd file has none.
    pub home: CString,
    /// The user's name; `None` if the passwd file has no user with this id.
    pub name: Option<CString>,
    /// The login shell, if the passwd file has one.
    pub shell: Option<CString>,
    /// Lines that were used and that others may read differently: at most the
    /// user's, and the first of each list of groups.
    pub warnings: Vec<FieldCountWarning>,
}

/// Why a specification cannot be resolved. Spans count the bytes of the file
/// that the error kind names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityErrorKind {
    /// The passwd file, or the user's line in it.
    Passwd(passwd::PasswdErrorKind),
    /// The group file, or a line in it that is the group's or lists the user.
    Group(group::GroupErrorKind),
    /// The passwd file has no such user.
    NoUser(Name),
    /// The group file has no such group.
    NoGroup(Name),
    /// More than [`MAX_GROUPS`] groups: those that list the user, and those added.
    TooManyGroups,
}

/// The files that [`resolve`] and [`Identity::add_groups`] require: passwd, and
/// group. Without passwd only HOME is unknown.
#[must_use]
pub fn needs(spec: &UserSpec, additional: &[Account]) -> [bool; 2] {
    let is_name = |account: &Account| matches!(account, Account::Name(_));
    let (user, group) = match spec {
        UserSpec::Unset => (true, true),
        UserSpec::User { user, group } => (
            is_name(user) || group.is_none(),
            group.as_ref().is_none_or(is_name),
        ),
    };
    [user, group || additional.iter().any(is_name)]
}

/// Resolves `spec` with the contents of /etc/passwd and /etc/group; a missing
/// file is an empty one.
///
/// As in libcontainer, an empty specification means the default ids, and a
/// number without a line in passwd is a user with the default group. The first
/// match wins. A number is looked up only by id.
///
/// # Errors
/// A name without a line, or a needed line that is invalid.
pub fn resolve(
    spec: &UserSpec,
    passwd: &[u8],
    group: &[u8],
    default_uid: u32,
    default_gid: u32,
) -> Result<Identity, Fault<IdentityErrorKind>> {
    let (user, explicit_group) = match spec {
        UserSpec::Unset => (None, None),
        UserSpec::User { user, group } => (Some(user), group.as_ref()),
    };
    let (uid, entry) = match user {
        Some(Account::Name(name)) => {
            let entry = passwd::by_name(passwd, name.as_str().as_bytes()).map_err(in_passwd)?;
            let no_user = || Fault::new(0..passwd.len(), IdentityErrorKind::NoUser(name.clone()));
            let entry = entry.ok_or_else(no_user)?;
            (entry.uid, Some(entry))
        }
        by_id => {
            let uid = match by_id {
                Some(Account::Id(id)) => id.get(),
                _ => default_uid,
            };
            (uid, passwd::by_uid(passwd, uid).map_err(in_passwd)?)
        }
    };
    let name = entry.map(|entry| entry.name);
    let mut groups = Vec::new();
    let mut warnings: Vec<FieldCountWarning> = entry
        .and_then(|entry| entry.field_count_warning())
        .into_iter()
        .collect();
    let gid = match explicit_group {
        Some(explicit) => gid_of(explicit, group)?,
        None => {
            if let Some(name) = name {
                let mut warning = None;
                let listing = group::of_member(group, name).map_err(in_group)?;
                let gids = listing.map(|entry| {
                    let entry = entry.map_err(in_group)?;
                    warning = warning.take().or_else(|| entry.field_count_warning());
                    Ok(entry.gid)
                });
                add_each_once(&mut groups, gids, group)?;
                warnings.extend(warning);
            }
            entry.map_or(default_gid, |entry| entry.gid)
        }
    };
    let text = |field: fn(passwd::Entry<'_>) -> &[u8]| {
        let field = entry.map(field).filter(|field| !field.is_empty());
        field.and_then(|field| CString::new(field).ok())
    };
    Ok(Identity {
        uid,
        gid,
        groups,
        home: text(|entry| entry.home).unwrap_or_else(|| c"/".to_owned()),
        name: text(|entry| entry.name),
        shell: text(|entry| entry.shell),
        warnings,
    })
}

impl Identity {
    /// Adds these groups, each that is not there yet once, with this content of
    /// /etc/group. The file is read through once, however many groups there are.
    ///
    /// # Errors
    /// A name without a line, or with an invalid line; more than
    /// [`MAX_GROUPS`] in all.
    pub fn add_groups(
        &mut self,
        wanted: &[Account],
        group: &[u8],
    ) -> Result<(), Fault<IdentityErrorKind>> {
        let (gids, warning) = gids_of(wanted, group)?;
        add_each_once(&mut self.groups, gids.into_iter().map(Ok), group)?;
        self.warnings.extend(warning);
        Ok(())
    }
}

/// The ids of these groups, and the first warning.
fn gids_of(
    wanted: &[Account],
    group: &[u8],
) -> Result<(Vec<u32>, Option<FieldCountWarning>), Fault<IdentityErrorKind>> {
    let mut warning = None;
    let names = wanted.iter().filter_map(|account| match account {
        Account::Id(_) => None,
        Account::Name(name) => Some((name.as_str().as_bytes(), None)),
    });
    let mut found: BTreeMap<&[u8], Option<u32>> = names.collect();
    for record in group::records(group).map_err(in_group)? {
        if let Some(gid @ None) = found.get_mut(record.name) {
            let entry = record.entry.map_err(in_group)?;
            warning = warning.take().or_else(|| entry.field_count_warning());
            *gid = Some(entry.gid);
        }
    }
    let gids = wanted.iter().map(|account| match account {
        Account::Id(id) => Ok(id.get()),
        Account::Name(name) => {
            let gid = found.get(name.as_str().as_bytes()).copied().flatten();
            gid.ok_or_else(|| Fault::new(0..group.len(), IdentityErrorKind::NoGroup(name.clone())))
        }
    });
    Ok((gids.collect::<Result<_, _>>()?, warning))
}

fn gid_of(account: &Account, group: &[u8]) -> Result<u32, Fault<IdentityErrorKind>> {
    match account {
        Account::Id(id) => Ok(id.get()),
        Account::Name(name) => {
            let entry = group::by_name(group, name.as_str().as_bytes()).map_err(in_group)?;
            let no_group = || Fault::new(0..group.len(), IdentityErrorKind::NoGroup(name.clone()));
            Ok(entry.ok_or_else(no_group)?.gid)
        }
    }
}

/// Adds the missing ids to the list, in order.
fn add_each_once(
    list: &mut Vec<u32>,
    gids: impl Iterator<Item = Result<u32, Fault<IdentityErrorKind>>>,
    group: &[u8],
) -> Result<(), Fault<IdentityErrorKind>> {
    let mut seen: BTreeSet<u32> = list.iter().copied().collect();
    for gid in gids {
        let gid = gid?;
        if seen.insert(gid) {
            if list.len() == MAX_GROUPS {
                return Err(Fault::new(0..group.len(), IdentityErrorKind::TooManyGroups));
            }
            list.push(gid);
        }
    }
    Ok(())
}

fn in_passwd(fault: Fault<passwd::PasswdErrorKind>) -> Fault<IdentityErrorKind> {
    Fault::new(fault.span, IdentityErrorKind::Passwd(fault.reason))
}

fn in_group(fault: Fault<group::GroupErrorKind>) -> Fault<IdentityErrorKind> {
    Fault::new(fault.span, IdentityErrorKind::Group(fault.reason))
}

impl fmt::Display for IdentityErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passwd(reason) => write!(f, "the container's passwd file: {reason}"),
            Self::Group(reason) => write!(f, "the container's group file: {reason}"),
            // libcontainer's words.
            Self::NoUser(name) => write!(f, "Unable to find user {}", name.as_str()),
            Self::NoGroup(name) => write!(f, "Unable to find group {}", name.as_str()),
            Self::TooManyGroups => {
                write!(
                    f,
                    "more than {MAX_GROUPS} groups; setgroups(2) accepts no more"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
