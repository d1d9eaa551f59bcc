//! An emulated machine with Debian's kernel and our own first process.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::progress;
use crate::setup::{self, Tool};

/// A kind of machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    emulator: Tool,
    arguments: &'static [&'static str],
    console: &'static str,
    /// The time limit in seconds; then it is killed.
    patience: u32,
}

pub(crate) const AARCH64: Machine = Machine {
    emulator: setup::QEMU_AARCH64,
    arguments: &["-machine", "virt", "-cpu", "cortex-a72", "-m", "512"],
    console: "ttyAMA0",
    patience: 120,
};

/// Emulated even where there is /dev/kvm: nested virtualisation may not start.
/// The processors share one thread; otherwise QEMU 7.2 and 8.0 can execute code
/// while the kernel patches it, as it does for each attached probe, and the
/// guest dies (`int3: 0000`).
pub(crate) const X86_64: Machine = Machine {
    emulator: setup::QEMU_X86_64,
    arguments: &[
        "-accel",
        "tcg,thread=single",
        "-cpu",
        "max",
        "-smp",
        "2",
        "-m",
        "1024",
    ],
    console: "ttyS0",
    patience: 600,
};

/// The same with a root of Debian's, and a compiler, in its memory.
pub(crate) const X86_64_WITH_ROOT: Machine = Machine {
    arguments: &[
        "-accel",
        "tcg,thread=single",
        "-cpu",
        "max",
        "-smp",
        "2",
        "-m",
        "3072",
    ],
    patience: 3 * 60 * 60,
    ..X86_64
};

/// A machine, and the kernel that it boots.
#[derive(Debug)]
pub(crate) struct Ready {
    machine: Machine,
    kernel: PathBuf,
    /// The base file system below the files of a run, as a cpio archive.
    base: Option<PathBuf>,
    /// More of the kernel's command line.
    command_line: String,
}

impl Machine {
    /// With this kernel.
    pub(crate) fn with(self, kernel: PathBuf) -> Ready {
        Ready {
            machine: self,
            kernel,
            base: None,
            command_line: String::new(),
        }
    }

    /// Fetches the programs that emulate it.
    ///
    /// # Errors
    /// They are not available here.
    pub(crate) fn emulator(self) -> io::Result<()> {
        match setup::tools(&[self.emulator, setup::CPIO])?.first() {
            Some(tool) => Err(io::Error::other(format!("there is no {}", tool.program))),
            None => Ok(()),
        }
    }

    /// Downloads the emulator's requirements, and the newest kernel that
    /// `package` depends on.
    ///
    /// # Errors
    /// The requirement that is missing here.
    pub(crate) fn fetch(self, package: &str) -> io::Result<Ready> {
        self.emulator()?;
        Ok(self.with(kernel(package)?))
    }
}

/// The kernel's file, kept in cargo's own home.
fn kernel(meta: &str) -> io::Result<PathBuf> {
    let package = first_line(Command::new("apt-cache").args(["depends", "--important", meta]))?;
    let package = package
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .ok_or_else(|| io::Error::other(format!("apt knows no {meta}")))?;
    let directory = setup::home()?
        .join("nsexec-guests")
        .join(package.replace(':', "-"));
    let boot = directory.join("boot");
    if !boot.is_dir() {
        fs::create_dir_all(&directory)?;
        progress::quietly(
            &format!("apt-get download {package}"),
            Command::new("sh")
                .args([
                    "-c",
                    "apt-get -q download \"$0\" && dpkg-deb -x ./*.deb . && rm ./*.deb",
                ])
                .arg(package)
                .current_dir(&directory),
        )?;
    }
    let mut kernels = fs::read_dir(&boot)?
        .filter_map(Result::ok)
        .map(|entry| entry.path());
    kernels
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"vmlinuz-"))
        })
        .ok_or_else(|| io::Error::other(format!("{} holds no kernel", boot.display())))
}

impl Ready {
    /// On top of the files of a cpio archive.
    pub(crate) fn on(self, base: PathBuf) -> Self {
        Self {
            base: Some(base),
            ..self
        }
    }

    /// With more on the kernel's command line.
    pub(crate) fn command_line(self, more: &str) -> Self {
        let command_line = more.to_owned();
        Self {
            command_line,
            ..self
        }
    }

    /// Boots the machine with the content of `root`, in which `/init` is the
    /// first process, and passes each console line to the caller until
    /// power-off.
    ///
    /// # Errors
    /// The machine does not start, or does not power off in time.
    pub(crate) fn run(
        &self,
        root: &Path,
        scratch: &Path,
        mut tell: impl FnMut(&str),
    ) -> io::Result<()> {
        let image = scratch.join("guest.cpio");
        pack(self.base.as_deref(), root, &image)?;
        let Machine {
            emulator,
            arguments,
            console,
            patience,
            ..
        } = self.machine;
        // In the foreground, so that ^C reaches it.
        let mut command = Command::new("timeout");
        let mut emulator = command
            .args(["--foreground", "--signal=KILL"])
            .arg(patience.to_string())
            .arg(emulator.program)
            .args(arguments)
            .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
            .args(["-nic", "none", "-no-reboot", "-kernel"])
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(&image)
            .arg("-append")
            .arg(format!(
                "console={console} quiet panic=-1 mitigations=off {}",
                self.command_line
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        if let Some(shown) = emulator.stdout.take() {
            for line in BufReader::new(shown).split(b'\n') {
                tell(&String::from_utf8_lossy(&line?).replace('\r', ""));
            }
        }
        let status = emulator.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!(
                "the machine was not switched off in {patience} s, or failed: {status}"
            )))
        }
    }
}

/// An empty directory for the machine's root.
pub(crate) fn empty(scratch: &Path) -> io::Result<PathBuf> {
    let root = scratch.join("guest");
    match fs::remove_dir_all(&root) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(&root)?;
    Ok(root)
}

/// Packs a directory as an initramfs, after the archive `base`.
fn pack(base: Option<&Path>, root: &Path, image: &Path) -> io::Result<()> {
    let mut file = fs::File::create(image)?;
    if let Some(base) = base {
        io::copy(&mut fs::File::open(base)?, &mut file)?;
    }
    let status = Command::new("sh")
        .args(["-c", "find . | cpio --quiet -o -H newc -R 0:0"])
        .current_dir(root)
        .stdout(file)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("cpio: {status}")))
    }
}

fn first_line(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
