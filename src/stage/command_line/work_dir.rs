//! The working directory of the program.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use crate::error::{Error, ErrorKind, Result};
use crate::request::{self, Directory, Request};
use crate::stage::exec::WorkDir;
use crate::target::directory::{self, ProgramRoot};

/// The options that choose the working directory, for messages.
pub(super) fn named_directory(request: &Request) -> Option<String> {
    let directory = match &request.work_dir {
        request::WorkDir::Default => return None,
        request::WorkDir::Before(Directory::Target) => "--wd".to_owned(),
        request::WorkDir::Before(Directory::Path(path)) => format!("--wd={}", path.display()),
        request::WorkDir::After(path) => format!("--wdns={}", path.display()),
    };
    Some(match &request.root {
        None => directory,
        Some(Directory::Target) => format!("{directory} with --root"),
        Some(Directory::Path(root)) => format!("{directory} with --root={}", root.display()),
    })
}

pub(super) fn work_dir(
    wanted: request::WorkDir,
    opened: Option<OwnedFd>,
    root: &ProgramRoot,
    enters_mounts: bool,
) -> Result<WorkDir> {
    use std::os::unix::ffi::OsStrExt;
    match (wanted, opened) {
        (request::WorkDir::After(path), _) => {
            let path = CString::new(path.as_os_str().as_bytes());
            let path = path.map_err(|error| {
                Error::new(ErrorKind::Usage, "cannot open the working directory").with_source(error)
            })?;
            Ok(WorkDir::Path(path))
        }
        (_, Some(directory)) => Ok(WorkDir::Opened(directory)),
        (_, None) => match root {
            ProgramRoot::Other(_) if !enters_mounts => {
                Ok(WorkDir::CallersIfInside(directory::own_directory().ok()))
            }
            ProgramRoot::Other(root) => {
                let root = root.try_clone().map_err(|error| {
                    Error::new(ErrorKind::System, "cannot duplicate a descriptor")
                        .with_source(error)
                })?;
                Ok(WorkDir::Opened(root))
            }
            ProgramRoot::Own(_) if !enters_mounts => Ok(WorkDir::Callers),
            // After setns(2), the root of the mount namespace.
            ProgramRoot::Own(_) | ProgramRoot::AfterJoin => Ok(WorkDir::Keep),
        },
    }
}
