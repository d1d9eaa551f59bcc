//! The program's user and groups.

use crate::error::{Error, ErrorKind, Result};
use crate::policy::resolved::Process;
use crate::procfs::id_map;
use crate::request::{IdChoice, Namespace, Request};
use crate::target::{Memberships, Target};

/// User, group and supplementary groups; `None`: unchanged after the joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    /// Drop the supplementary groups.
    pub(crate) drop_groups: bool,
}

impl Choice {
    /// The credentials that request and policy choose: in a joined user namespace user and group 0
    /// by default, like nsenter(1).
    pub(crate) fn make(
        request: &Request,
        policy: &Process,
        memberships: &Memberships,
        target: Option<&Target>,
    ) -> Result<Self> {
        let joins_user = memberships.joins(Namespace::User);
        if request.preserve_credentials {
            return Ok(Self {
                uid: None,
                gid: None,
                drop_groups: false,
            });
        }
        let inside = joins_user.then_some(0);
        let uid = match request.uid {
            Some(choice) => Some(resolve(choice, "uid", memberships, target)?),
            None => inside,
        };
        let gid = match request.gid {
            Some(choice) => Some(resolve(choice, "gid", memberships, target)?),
            None => inside,
        };
        let drop_groups = joins_user || request.gid.is_some() || !policy.keep_groups;
        Ok(Self {
            uid,
            gid,
            drop_groups,
        })
    }
}

/// The id, numbered in the user namespace of the program.
fn resolve(
    choice: IdChoice,
    kind: &str,
    memberships: &Memberships,
    target: Option<&Target>,
) -> Result<u32> {
    if let IdChoice::Number(id) = choice {
        return Ok(id);
    }
    let target = target.ok_or_else(|| {
        Error::new(ErrorKind::Usage, "-S follow and -G follow require a target")
            .with_hint("add -t PID")
    })?;
    let (uid, gid) = target.ids()?;
    let outside = if kind == "uid" { uid } else { gid };
    if !memberships.joins(Namespace::User) {
        return Ok(outside);
    }
    if !memberships.has_user_namespace_of(target)? {
        let wrong = format!(
            "--set{kind}=follow: the target's {kind} has another number in the user namespace that \
             is joined, which is not the target's"
        );
        return Err(Error::new(ErrorKind::Usage, wrong).with_hint("give a number"));
    }
    let name = format!("{kind}_map");
    let map =
        id_map::parse(&target.read(&name)?).map_err(|fault| target.unreadable(&name, &fault))?;
    map.to_inside(outside).ok_or_else(|| {
        let wrong = format!("the target's {kind} {outside} is not mapped in its user namespace");
        Error::new(ErrorKind::Target, wrong).with_hint("give a number")
    })
}
