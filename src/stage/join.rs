//! Step 4: joins all requested namespaces, or fails without an exec.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;

use crate::error::{Error, ErrorKind, Result};
use crate::request::Namespace;
use crate::sys::{credentials, namespace, process};
use crate::target::Join;

/// The identity of a process after it has joined a user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inside {
    /// The same as before.
    Same,
    /// User and group 0, without supplementary groups.
    Root,
    /// User 0; the runtime sets its groups (protocol B).
    User0,
}

/// Joins all namespaces of `joins`.
///
/// If all are the target's, one setns(2) on `target`, its pidfd, joins them as they are at one
/// moment. If the kernel refuses that, or if some were named otherwise, the helper joins them one
/// by one: first those that the caller's privileges permit; then the user namespace; then those
/// that the privileges in it permit. Either way the caller compares the joined namespaces with the
/// opened ones.
///
/// # Errors
/// `Join`: some namespace could not be joined. The process must then end.
pub(crate) fn join(joins: Vec<Join>, target: Option<BorrowedFd<'_>>, inside: Inside) -> Result<()> {
    let joins_user = joins.iter().any(|join| join.namespace == Namespace::User);
    if joins_user && inside == Inside::Root {
        // If the user namespace denies setgroups, this is the last chance.
        let _ = credentials::set_groups(&[]);
    }
    let Some(target) = target.filter(|_| joins.iter().all(|join| join.of_target)) else {
        return one_by_one(joins, inside);
    };
    if joins.is_empty() {
        return Ok(());
    }
    match namespace::set_all(target, joins.iter().map(|join| join.namespace)) {
        Ok(()) if joins_user => become_inside(inside),
        Ok(()) => Ok(()),
        // The kernel lacks this call, or refuses one of the namespaces. Joining one by one shows
        // which one, and whether another order works.
        Err(Errno::EINVAL | Errno::EPERM) => one_by_one(joins, inside),
        Err(errno) => {
            let wrong = "the target's namespaces cannot be joined";
            Err(Error::new(ErrorKind::Join, wrong).with_source(errno))
        }
    }
}

fn one_by_one(joins: Vec<Join>, inside: Inside) -> Result<()> {
    let (user, others): (Vec<_>, Vec<_>) = joins
        .into_iter()
        .partition(|join| join.namespace == Namespace::User);
    let user = user.into_iter().next();
    let mut rest = Vec::new();
    for join in others {
        match namespace::set(join.fd.as_fd(), join.namespace) {
            Ok(()) => {}
            Err(Errno::EPERM) if user.is_some() => rest.push(join),
            Err(errno) => return Err(failed(&join, errno)),
        }
    }
    if let Some(user) = user {
        namespace::set(user.fd.as_fd(), Namespace::User).map_err(|errno| failed(&user, errno))?;
        become_inside(inside)?;
    }
    for join in rest {
        namespace::set(join.fd.as_fd(), join.namespace).map_err(|errno| failed(&join, errno))?;
    }
    Ok(())
}

/// Right after the user namespace was joined.
fn become_inside(inside: Inside) -> Result<()> {
    match inside {
        Inside::Same => {}
        Inside::Root => become_root_inside()?,
        Inside::User0 => credentials::set_uid(0).map_err(|errno| {
            Error::new(
                ErrorKind::Join,
                "cannot become user 0 of the joined user namespace: setresuid",
            )
            .with_source(errno)
        })?,
    }
    process::set_undumpable().map_err(|errno| {
        Error::new(ErrorKind::LockDown, "the helper cannot be made undumpable").with_source(errno)
    })
}

fn become_root_inside() -> Result<()> {
    let system = |errno| {
        Error::new(
            ErrorKind::Join,
            "cannot set the ids in the joined user namespace",
        )
        .with_source(errno)
    };
    if credentials::group_count().map_err(system)? != 0 {
        credentials::set_groups(&[]).map_err(|errno| {
            Error::new(
                ErrorKind::LockDown,
                "the supplementary groups cannot be dropped",
            )
            .with_source(errno)
            .with_hint("where setgroups is denied, --preserve-credentials keeps the caller's")
        })?;
    }
    for set in [credentials::set_gid, credentials::set_uid] {
        match set(0) {
            // Root is not mapped there: the helper holds all capabilities as nobody. The kernel
            // reports whether the program's ids are mapped when they are set.
            Ok(()) | Err(Errno::EINVAL) => {}
            Err(errno) => return Err(system(errno)),
        }
    }
    Ok(())
}

fn failed(join: &Join, errno: Errno) -> Error {
    let wrong = format!("the {} namespace cannot be joined", join.namespace.name());
    let error = Error::new(ErrorKind::Join, wrong).with_source(errno);
    match (errno, join.namespace) {
        (Errno::EPERM, Namespace::User) => {
            error.with_hint("this requires CAP_SYS_ADMIN in it: run nsexec as its owner, or as root in the parent user namespace")
        }
        (Errno::EPERM, _) => error.with_hint(
            "this requires CAP_SYS_ADMIN in the user namespace that owns it: join that with -U",
        ),
        (Errno::EINVAL, Namespace::User) => {
            error.with_hint("the caller is in it already: leave -U and --user-parent out")
        }
        (Errno::EINVAL, Namespace::Pid) => {
            error.with_hint("nsexec joins only descendants of the caller's pid namespace")
        }
        _ => error,
    }
}
