//! Another machine than this one, emulated: Debian's kernel for it, and a first
//! process of ours.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::progress;
use crate::setup::{self, Tool};

/// A kind of machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// The package that depends on the newest kernel, with its architecture.
    kernel: &'static str,
    emulator: Tool,
    arguments: &'static [&'static str],
    console: &'static str,
}

pub(crate) const AARCH64: Machine = Machine {
    kernel: "linux-image-cloud-arm64:arm64",
    emulator: setup::QEMU_AARCH64,
    arguments: &["-machine", "virt", "-cpu", "cortex-a72"],
    console: "ttyAMA0",
};

/// It boots in a second or two, and has little to do.
const PATIENCE: Duration = Duration::from_secs(120);

impl Machine {
    /// Boots it with these files, of which `/init` is the first process, and
    /// returns what its console showed until it was switched off.
    ///
    /// # Errors
    /// What is needed cannot be had, or it was not switched off in time.
    pub(crate) fn run(self, files: &[(&str, &Path)], scratch: &Path) -> io::Result<String> {
        if let Some(tool) = setup::tools(&[self.emulator, setup::CPIO])?.first() {
            return Err(io::Error::other(format!("there is no {}", tool.program)));
        }
        let kernel = self.kernel()?;
        let image = scratch.join("guest.cpio");
        pack(files, scratch, &image)?;
        let mut emulator = Command::new(self.emulator.program)
            .args(self.arguments)
            .args(["-m", "512", "-nographic", "-no-reboot", "-kernel"])
            .arg(kernel)
            .arg("-initrd")
            .arg(&image)
            .arg("-append")
            .arg(format!("console={} quiet panic=-1", self.console))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let console = emulator.stdout.take();
        let started = Instant::now();
        let timely = loop {
            if emulator.try_wait()?.is_some() {
                break true;
            }
            if started.elapsed() > PATIENCE {
                emulator.kill()?;
                emulator.wait()?;
                break false;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        // What it shows is short: it fits into the pipe until then.
        let mut shown = Vec::new();
        if let Some(mut console) = console {
            console.read_to_end(&mut shown)?;
        }
        let shown = String::from_utf8_lossy(&shown).replace('\r', "");
        if timely {
            Ok(shown)
        } else {
            Err(io::Error::other(format!(
                "the machine was not switched off in {} s:\n{shown}",
                PATIENCE.as_secs()
            )))
        }
    }

    /// The kernel's file, kept in cargo's own home.
    fn kernel(self) -> io::Result<PathBuf> {
        let package =
            said(Command::new("apt-cache").args(["depends", "--important", self.kernel]))?;
        let package = package
            .lines()
            .find_map(|line| line.trim().strip_prefix("Depends: "))
            .ok_or_else(|| io::Error::other(format!("apt knows no {}", self.kernel)))?;
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
}

/// Packs the files as an initramfs.
fn pack(files: &[(&str, &Path)], scratch: &Path, image: &Path) -> io::Result<()> {
    let directory = scratch.join("guest");
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(&directory)?;
    let mut names = OsString::new();
    for (name, file) in files {
        fs::copy(file, directory.join(name))?;
        names.push(name);
        names.push("\n");
    }
    let mut cpio = Command::new("cpio")
        .args(["--quiet", "-o", "-H", "newc"])
        .current_dir(&directory)
        .stdin(Stdio::piped())
        .stdout(fs::File::create(image)?)
        .spawn()?;
    if let Some(mut input) = cpio.stdin.take() {
        input.write_all(names.as_encoded_bytes())?;
    }
    let status = cpio.wait()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("cpio: {status}")))
    }
}

fn said(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
