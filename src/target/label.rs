//! The label that a security module has given the target.
//!
//! A container's AppArmor profile or SELinux context is one of its layers. A process that enters
//! the container keeps the caller's label (most hosts give callers none), unless it takes the
//! target's at its execve.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::{Procfs, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::resolved::Follow;

/// The decision about the program's label.
#[derive(Debug)]
pub(crate) enum Decision {
    /// The program keeps the caller's label.
    NotRequested,
    /// There is no label to take: no module has labels here, the target is unconfined, or the
    /// caller has the same label.
    NothingToFollow,
    /// The program takes this one at execve.
    Follow(Label),
}

/// A label, without the newline or NUL that the kernel appends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    /// The name of an AppArmor profile, or of several stacked ones.
    AppArmor(Vec<u8>),
    /// An SELinux context.
    Selinux(Vec<u8>),
}

impl Label {
    /// The label as text, for the plan.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::AppArmor(text) | Self::Selinux(text) => {
                String::from_utf8_lossy(text).into_owned()
            }
        }
    }

    pub(crate) fn module(&self) -> &'static str {
        match self {
            Self::AppArmor(_) => "apparmor",
            Self::Selinux(_) => "selinux",
        }
    }
}

/// The policy's decision about the label.
///
/// # Errors
/// `Target`: the target's label cannot be read, although a module has labels here.
pub(crate) fn decide(
    wanted: &Follow,
    target: Option<&Target>,
    procfs: &Procfs,
) -> Result<Decision> {
    let (Follow::Target(_), Some(target)) = (wanted, target) else {
        return Ok(Decision::NotRequested);
    };
    for Module {
        target: theirs,
        own,
        parse,
    } in MODULES
    {
        let text = text_of(target.open(theirs, OFlag::O_RDONLY)).map_err(|errno| {
            let what = format!("the security label of process {}", target.pid().get());
            Error::new(ErrorKind::Target, what)
                .with_source(errno)
                .with_hint("use a policy with label = \"caller\", such as admin")
        })?;
        let Some(label) = text.as_deref().and_then(parse) else {
            continue;
        };
        let own = text_of(procfs.open_file(own)).unwrap_or(None);
        return Ok(match own.as_deref().and_then(parse) {
            Some(own) if own == label => Decision::NothingToFollow,
            _ => Decision::Follow(label),
        });
    }
    Ok(Decision::NothingToFollow)
}

/// A security module that has labels.
struct Module {
    /// Below /proc/TARGET.
    target: &'static CStr,
    /// Below /proc.
    own: &'static CStr,
    parse: fn(&[u8]) -> Option<Label>,
}

/// Longer than any label: the kernel writes a page.
const MAX_LABEL: usize = 4096;

/// `attr/current` belongs to SELinux only if SELinux is the first module with labels: AppArmor's
/// own text there is no context.
const MODULES: [Module; 2] = [
    Module {
        target: c"attr/apparmor/current",
        own: c"self/attr/apparmor/current",
        parse: apparmor,
    },
    Module {
        target: c"attr/current",
        own: c"self/attr/current",
        parse: selinux,
    },
];

/// The text of a label; `None`: the module is not built in (ENOENT) or off (EINVAL).
fn text_of(
    file: std::result::Result<OwnedFd, Errno>,
) -> std::result::Result<Option<Vec<u8>>, Errno> {
    let file = match file {
        Ok(file) => file,
        Err(Errno::ENOENT) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let mut text = vec![0; MAX_LABEL];
    match nix::unistd::read(&file, &mut text) {
        Ok(length) => {
            text.truncate(length);
            Ok(Some(text))
        }
        Err(Errno::EINVAL | Errno::EOPNOTSUPP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// `NAME (MODE)`; a name can have spaces and parentheses. `None`: not confined.
fn apparmor(text: &[u8]) -> Option<Label> {
    let text = text.trim_ascii_end();
    let name = match text.strip_suffix(b")") {
        Some(rest) => {
            let at = rest.windows(2).rposition(|pair| pair == b" (")?;
            rest.get(..at)?
        }
        None => text,
    };
    (!name.is_empty() && name != b"unconfined").then(|| Label::AppArmor(name.to_vec()))
}

/// `user:role:type`, and a level if there is one. `None`: no policy is loaded.
fn selinux(text: &[u8]) -> Option<Label> {
    let text = text.strip_suffix(&[0]).unwrap_or(text).trim_ascii_end();
    let colons = text.iter().filter(|byte| **byte == b':').count();
    (colons >= 2 && !text.contains(&b' ')).then(|| Label::Selinux(text.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_apparmor_label_is_the_name_without_the_mode() {
        let name = |text: &[u8]| match apparmor(text) {
            Some(Label::AppArmor(name)) => Some(String::from_utf8(name).expect("text")),
            _ => None,
        };
        for (text, expected) in [
            (&b"docker-default (enforce)\n"[..], Some("docker-default")),
            (b"/usr/bin/man (complain)\n", Some("/usr/bin/man")),
            (b"a b (c) (enforce)", Some("a b (c)")),
            (
                b"one//&:ns:unconfined (mixed)\n",
                Some("one//&:ns:unconfined"),
            ),
            (b"profile\n", Some("profile")),
            (b"unconfined\n", None),
            (b"unconfined (unconfined)\n", None),
            (b"", None),
            (b"\n", None),
            (b"(enforce)", None),
        ] {
            assert_eq!(name(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn an_selinux_label_is_a_context() {
        for (text, taken) in [
            (&b"system_u:system_r:container_t:s0:c1,c2\0"[..], true),
            (b"unconfined_u:unconfined_r:unconfined_t\n", true),
            (b"kernel\0", false),
            (b"docker-default (enforce)\n", false),
            (b":ns://a:b (enforce)\n", false),
            (b"", false),
        ] {
            assert_eq!(selinux(text).is_some(), taken, "{text:?}");
        }
    }
}
