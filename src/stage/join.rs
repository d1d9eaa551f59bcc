//! Step 4: all namespaces asked for, or an error and no exec.

use std::os::fd::AsFd;

use nix::errno::Errno;

use crate::error::{Error, ErrorKind, Result};
use crate::request::Namespace;
use crate::sys::{credentials, namespace, process};
use crate::target::Membership;

/// Who a process is once it has joined a user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inside {
    /// Whoever it was.
    Same,
    /// User and group 0, and in no other group.
    Root,
    /// User 0; its groups are for the runtime to set (protocol B).
    User0,
}

/// Joins, in three passes: all but user as far as the caller's privileges
/// reach; user, and user and group 0 inside it; then the rest, which its
/// privileges reach.
///
/// # Errors
/// `Join`: some namespace could not be joined; the process is then good for
/// nothing but to end.
pub(crate) fn join(memberships: Vec<Membership>, inside: Inside) -> Result<()> {
    let (user, others): (Vec<_>, Vec<_>) = memberships
        .into_iter()
        .partition(|member| member.namespace == Namespace::User);
    let user = user.into_iter().next();
    let mut rest = Vec::new();
    for member in others {
        match namespace::set(member.fd.as_fd(), member.namespace) {
            Ok(()) => {}
            Err(Errno::EPERM) if user.is_some() => rest.push(member),
            Err(errno) => return Err(failed(&member, errno)),
        }
    }
    if let Some(user) = user {
        join_user(&user, inside)?;
    }
    for member in rest {
        namespace::set(member.fd.as_fd(), member.namespace)
            .map_err(|errno| failed(&member, errno))?;
    }
    Ok(())
}

fn join_user(user: &Membership, inside: Inside) -> Result<()> {
    if inside == Inside::Root {
        // Where the user namespace denies setgroups, this is the last chance.
        let _ = credentials::set_groups(&[]);
    }
    namespace::set(user.fd.as_fd(), Namespace::User).map_err(|errno| failed(user, errno))?;
    match inside {
        Inside::Same => {}
        Inside::Root => become_root_inside()?,
        Inside::User0 => credentials::set_uid(0).map_err(|errno| {
            Error::new(ErrorKind::Join, "user 0 of the user namespace").because(errno)
        })?,
    }
    process::set_undumpable().map_err(|errno| {
        Error::new(ErrorKind::LockDown, "the helper cannot be made undumpable").because(errno)
    })
}

fn become_root_inside() -> Result<()> {
    let system = |errno| Error::new(ErrorKind::Join, "ids in the user namespace").because(errno);
    if credentials::group_count().map_err(system)? != 0 {
        credentials::set_groups(&[]).map_err(|errno| {
            Error::new(
                ErrorKind::LockDown,
                "the supplementary groups cannot be dropped",
            )
            .because(errno)
            .right("where setgroups is denied, --preserve-credentials keeps the caller's")
        })?;
    }
    for set in [credentials::set_gid, credentials::set_uid] {
        match set(0) {
            // Not mapped there: the helper holds all capabilities as nobody,
            // and whether the program's ids are mapped shows when they are set.
            Ok(()) | Err(Errno::EINVAL) => {}
            Err(errno) => return Err(system(errno)),
        }
    }
    Ok(())
}

fn failed(member: &Membership, errno: Errno) -> Error {
    let wrong = format!("the {} namespace cannot be joined", member.namespace.name());
    let error = Error::new(ErrorKind::Join, wrong).because(errno);
    match (errno, member.namespace) {
        (Errno::EPERM, Namespace::User) => {
            error.right("this takes CAP_SYS_ADMIN in it: be its owner, or the owner's root")
        }
        (Errno::EPERM, _) => error.right(
            "this takes CAP_SYS_ADMIN in the user namespace that owns it: join that with -U",
        ),
        (Errno::EINVAL, Namespace::User) => {
            error.right("the caller is in it already: leave -U out")
        }
        (Errno::EINVAL, Namespace::Pid) => {
            error.right("only descendants of the caller's pid namespace can be joined")
        }
        _ => error,
    }
}
