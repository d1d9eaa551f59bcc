//! The program's user and groups.

use std::ffi::CStr;

use nix::errno::Errno;

use crate::error::{Error, ErrorKind, Result};
use crate::policy::resolved::Process;
use crate::procfs::id_map;
use crate::request::{IdChoice, Namespace, Request};
use crate::target::procfs_root::read_all;
use crate::target::{Memberships, Procfs, Target};

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
        procfs: &Procfs,
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
        let follows = [request.uid, request.gid].contains(&Some(IdChoice::Follow));
        let followed = follows
            .then(|| Followed::read(memberships, target, procfs))
            .transpose()?;
        let number = |choice, of: fn(&Followed) -> u32| match (choice, &followed) {
            (Some(IdChoice::Number(id)), _) => Some(id),
            (Some(IdChoice::Follow), followed) => followed.as_ref().map(of),
            (None, _) => inside,
        };
        let uid = number(request.uid, |followed| followed.uid);
        let gid = number(request.gid, |followed| followed.gid);
        let drop_groups = joins_user || request.gid.is_some() || !policy.keep_groups;
        Ok(Self {
            uid,
            gid,
            drop_groups,
        })
    }
}

/// The target's user and group, numbered in the user namespace of the program.
struct Followed {
    uid: u32,
    gid: u32,
}

impl Followed {
    /// The target can enter a nested user namespace, with another map, at any moment, and cannot
    /// return. So its namespace is compared after the maps have been read.
    fn read(memberships: &Memberships, target: Option<&Target>, procfs: &Procfs) -> Result<Self> {
        let target = target.ok_or_else(|| {
            Error::new(ErrorKind::Usage, "-S follow and -G follow require a target")
                .with_hint("add -t PID")
        })?;
        let (uid, gid) = target.ids()?;
        for (kind, id) in [("uid", uid), ("gid", gid)] {
            refuse_overflow_id(kind, id, procfs)?;
        }
        if !memberships.joins(Namespace::User) {
            return Ok(Self { uid, gid });
        }
        let inside = |kind: &str, outside: u32| {
            let name = format!("{kind}_map");
            let map = id_map::parse(&target.read(&name)?)
                .map_err(|fault| target.unreadable(&name, &fault))?;
            map.to_inside(outside).ok_or_else(|| {
                let wrong =
                    format!("the target's {kind} {outside} is not mapped in its user namespace");
                Error::new(ErrorKind::Target, wrong).with_hint("give a number")
            })
        };
        let ids = (inside("uid", uid), inside("gid", gid));
        if !memberships.has_user_namespace_of(target)? {
            let wrong = "-S follow, -G follow: the joined user namespace is not the target's, and \
                         the target's ids have other numbers in it";
            return Err(Error::new(ErrorKind::Usage, wrong).with_hint("give a number"));
        }
        Ok(Self {
            uid: ids.0?,
            gid: ids.1?,
        })
    }
}

/// The kernel shows an id that has no number in the caller's user namespace as the overflow id,
/// user_namespaces(7). Only a caller whose namespace has all ids can tell it from a user.
fn refuse_overflow_id(kind: &str, id: u32, procfs: &Procfs) -> Result<()> {
    let read = |name: &CStr| {
        let file = procfs.open_file(name)?;
        read_all(
            file,
            id_map::MAX_BYTES,
            &format!("/proc/{}", name.to_string_lossy()),
        )
        .map_err(|_| Errno::EIO)
    };
    let (overflow, map) = match kind {
        "uid" => (c"sys/kernel/overflowuid", c"self/uid_map"),
        _ => (c"sys/kernel/overflowgid", c"self/gid_map"),
    };
    let overflow = read(overflow)
        .ok()
        .and_then(|text| str::from_utf8(&text).ok()?.trim().parse().ok())
        // DEFAULT_OVERFLOWUID, linux/highuid.h.
        .unwrap_or(65534);
    if id != overflow {
        return Ok(());
    }
    let own = read(map).ok().and_then(|text| id_map::parse(&text).ok());
    if own.is_some_and(|map| map.has_all_ids()) {
        return Ok(());
    }
    let wrong = format!(
        "the target's {kind} is shown as {id}, which also stands for each {kind} without a number \
         in the caller's user namespace"
    );
    Err(Error::new(ErrorKind::Target, wrong).with_hint("give a number"))
}
