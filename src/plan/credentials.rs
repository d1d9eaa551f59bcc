//! Whose the program is.

use crate::error::{Error, ErrorKind, Result};
use crate::policy::resolved::Process;
use crate::procfs::id_map;
use crate::request::{IdChoice, Request};
use crate::target::Target;

/// User, group and supplementary groups; `None`: as they are after the joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    /// Supplementary groups are dropped.
    pub(crate) drop_groups: bool,
}

impl Choice {
    /// What request and policy ask for: in a joined user namespace user and
    /// group 0 unless told otherwise, as nsenter(1) has it.
    pub(crate) fn make(
        request: &Request,
        policy: &Process,
        joins_user: bool,
        target: Option<&Target>,
    ) -> Result<Self> {
        if request.preserve_credentials {
            return Ok(Self {
                uid: None,
                gid: None,
                drop_groups: false,
            });
        }
        let inside = joins_user.then_some(0);
        let uid = match request.uid {
            Some(choice) => Some(resolve(choice, "uid", joins_user, target)?),
            None => inside,
        };
        let gid = match request.gid {
            Some(choice) => Some(resolve(choice, "gid", joins_user, target)?),
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

/// The id, as it is named in the user namespace that the program will be in.
fn resolve(choice: IdChoice, kind: &str, joins_user: bool, target: Option<&Target>) -> Result<u32> {
    if let IdChoice::Number(id) = choice {
        return Ok(id);
    }
    let target = target.ok_or_else(|| {
        Error::new(ErrorKind::Usage, "whose ids are to be followed is not said")
            .right("give -t PID")
    })?;
    let (uid, gid) = target.ids()?;
    let outside = if kind == "uid" { uid } else { gid };
    if !joins_user {
        return Ok(outside);
    }
    let name = format!("{kind}_map");
    let map =
        id_map::parse(&target.read(&name)?).map_err(|fault| target.unreadable(&name, &fault))?;
    map.to_inside(outside).ok_or_else(|| {
        let wrong = format!("the target's {kind} {outside} is not mapped in its user namespace");
        Error::new(ErrorKind::Target, wrong).right("give a number")
    })
}
