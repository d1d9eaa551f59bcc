//! Containers of runc and crun, and the exec of each.

use std::io;

use nsexec_test_support::container::Container;

use crate::mounts::{Mounts, within};
use crate::{Contender, Files, in_path, quiet};

#[derive(Clone, Copy)]
pub(crate) enum Runtime {
    Crun,
    Runc,
}

impl Runtime {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crun => "crun exec",
            Self::Runc => "runc exec",
        }
    }

    pub(crate) fn start(self, files: &Files) -> io::Result<(Contender, Running)> {
        let bundle = files.directory.join(self.name().replace(' ', "-"));
        files.fill(&bundle.join("rootfs"))?;
        let (runtime, options, mounts) = match self {
            Self::Runc => ("runc", &[][..], None),
            // crun does not support a host with both cgroup versions.
            Self::Crun => (
                "crun",
                &["--cgroup-manager=disabled"][..],
                Some(Mounts::of_crun()?),
            ),
        };
        let container = within(mounts.as_ref(), || {
            Container::start(&in_path(runtime)?, options, &bundle)
        })?;
        let mut command = container.command(&["exec"]);
        command.arg("/true");
        let contender = Contender {
            name: self.name(),
            command: quiet(command),
            mounts: mounts.as_ref().map(Mounts::again).transpose()?,
            samples: Vec::new(),
        };
        Ok((
            contender,
            Running {
                container: Some(container),
                mounts,
            },
        ))
    }
}

/// A container, removed in the mount namespace in which it was started.
pub(crate) struct Running {
    container: Option<Container>,
    mounts: Option<Mounts>,
}

impl Running {
    /// nsexec in the place of the runtime's exec, if this process can enter the container.
    pub(crate) fn contender(&self, files: &Files) -> Option<Contender> {
        let container = self.container.as_ref().filter(|_| self.mounts.is_none())?;
        let pid = container.pid().to_string();
        let program = files.read_only.join("nsexec");
        let arguments = ["-t", &pid, "-a", "--", "/true"];
        Some(Contender::new(
            "nsexec, runc's container",
            &program,
            &arguments,
        ))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let container = self.container.take();
        let _ = within(self.mounts.as_ref(), || {
            drop(container);
            Ok(())
        });
    }
}
