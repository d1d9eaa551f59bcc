//! Debian's packages, through a separate apt: its state, its sources and its cache are in
//! cargo's home, and nothing of this machine changes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{install, progress, setup};

/// The archives that have the kernels, and the programs of the emulated machine.
const SOURCES: &[&str] = &[
    "debian bookworm",
    "debian-security bookworm-security",
    "debian-security bullseye-security",
    "debian trixie",
    "debian-security trixie-security",
    "debian trixie-backports",
];
/// The Debian release of the emulated machine's programs.
const RELEASE: &str = "bookworm";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The emulated machine needs none of these, and its root is in its memory.
const UNREAD: &[&str] = &[
    "*/lto1",
    "*lto-dump*",
    "*/libasan*",
    "*/libhwasan*",
    "*/liblsan*",
    "*/libtsan*",
    "*/libubsan*",
    "*/libgprofng*",
    "./usr/share/doc",
    "./usr/share/info",
    "./usr/share/locale",
    "./usr/share/man",
    "./usr/lib/x86_64-linux-gnu/gconv",
    "./usr/lib/x86_64-linux-gnu/perl",
    "./usr/share/perl",
];

/// The directories that Debian has merged into /usr.
const MERGED: &[&str] = &["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// An apt with a state of its own.
#[derive(Debug)]
pub(crate) struct Apt {
    home: PathBuf,
}

impl Apt {
    /// Reads the archives' lists of packages; without a network, the lists of an earlier
    /// run are used.
    ///
    /// # Errors
    /// There are no lists.
    pub(crate) fn open() -> io::Result<Self> {
        if setup::find("apt-get").is_none() || !Path::new(KEYRING).exists() {
            return Err(io::Error::other(
                "apt and Debian's keyring are needed; run this on Debian",
            ));
        }
        let home = setup::home()?.join("nsexec-guests");
        let own = Self { home };
        let state = own.home.join("apt");
        for directory in [
            "lists/partial",
            "archives/partial",
            "unfilled/partial",
            "none",
        ] {
            fs::create_dir_all(state.join(directory))?;
        }
        let sources: String = SOURCES
            .iter()
            .map(|source| {
                format!("deb [signed-by={KEYRING}] http://deb.debian.org/{source} main\n")
            })
            .collect();
        let is_new = fs::read_to_string(state.join("sources.list")).ok() != Some(sources.clone());
        fs::write(state.join("sources.list"), sources)?;
        fs::write(state.join("apt.conf"), configuration(&state))?;
        let updated = progress::quietly(
            "the lists of Debian's archives",
            own.apt("apt-get").arg("update"),
        );
        match updated {
            Err(error) if is_new => Err(error),
            _ => Ok(own),
        }
    }

    /// The newest kernel package named `PREFIX...-cloud-amd64`, with a number
    /// after the prefix.
    ///
    /// # Errors
    /// There is none, or the download fails.
    pub(crate) fn kernel(&self, prefix: &str) -> io::Result<PathBuf> {
        let names = output(self.apt("apt-cache").args(["pkgnames", prefix]))?;
        let package = newest(&names, prefix)
            .ok_or_else(|| io::Error::other(format!("Debian has no kernel {prefix}*")))?;
        // From Linux 7.3 on, the modules are a package of their own.
        let modules = package
            .strip_prefix("linux-binary-")
            .map(|version| format!("linux-modules-{version}"));
        let directory = self.home.join(modules.as_deref().unwrap_or(package));
        let kernel = directory.join("vmlinuz");
        if !kernel.exists() {
            fs::create_dir_all(&directory)?;
            // From Linux 7.3 on, the kernel is among the modules.
            let script = "apt-get -q download \"$@\" && \
                          for one in ./*.deb; do dpkg-deb -x \"$one\" . || exit; done && \
                          rm ./*.deb && \
                          ln -s \"$(ls boot/vmlinuz-* usr/lib/modules/*/vmlinuz 2>/dev/null | head -n 1)\" vmlinuz";
            progress::quietly(
                &format!("apt-get download {package}"),
                self.apt("sh")
                    .args(["-c", script, "sh", package])
                    .args(&modules)
                    .current_dir(&directory),
            )?;
        }
        Ok(kernel)
    }

    /// A root with these packages and their dependencies, as a cpio archive.
    ///
    /// # Errors
    /// They cannot be downloaded or unpacked.
    pub(crate) fn root(&self, packages: &[&str]) -> io::Result<PathBuf> {
        let install = |apart: &str| {
            let mut apt = self.apt("apt-get");
            apt.args(["-q", "-y", "--no-install-recommends", "-t", RELEASE])
                .args(["install", apart])
                .args(packages);
            apt
        };
        // Packages that are there already have no URI to print.
        let unfilled = self.home.join("apt/unfilled");
        let apart = format!("Dir::Cache::archives={}", unfilled.display());
        let uris = output(install("--print-uris").args(["-o", &apart]))?;
        let files: Vec<&str> = uris.lines().filter_map(file_of).collect();
        let image = self.home.join("root.cpio");
        let list = self.home.join("root.list");
        let wanted = format!("{}\n{}\n", files.join("\n"), UNREAD.join("\n"));
        if image.exists() && fs::read_to_string(&list).ok().as_ref() == Some(&wanted) {
            return Ok(image);
        }
        progress::quietly(
            &format!("apt-get download: {} packages", files.len()),
            &mut install("--download-only"),
        )?;
        let root = self.home.join("root");
        match fs::remove_dir_all(&root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for name in MERGED {
            fs::create_dir_all(root.join("usr").join(name))?;
            std::os::unix::fs::symlink(format!("usr/{name}"), root.join(name))?;
        }
        let archives = self.home.join("apt/archives");
        for file in files {
            let unpack = "dpkg-deb --fsys-tarfile \"$0\" | \
                          tar -x --keep-directory-symlink --no-same-owner -C \"$1\"";
            let mut sh = Command::new("sh");
            sh.args(["-c", unpack]).arg(archives.join(file)).arg(&root);
            install::done(&mut sh)?;
        }
        let mut prune = Command::new("find");
        prune.args([".", "-depth", "("]).current_dir(&root);
        for (at, path) in UNREAD.iter().enumerate() {
            prune.args(if at > 0 { &["-o"][..] } else { &[] });
            prune.arg("-path").arg(path);
            prune.arg("-o").arg("-path").arg(format!("{path}/*"));
        }
        install::done(prune.args([")", "-delete"]))?;
        install::done(
            Command::new("sh")
                .args(["-c", "find . | cpio --quiet -o -H newc -R 0:0 >\"$0\""])
                .arg(&image)
                .current_dir(&root),
        )?;
        fs::remove_dir_all(&root)?;
        fs::write(list, wanted)?;
        Ok(image)
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("APT_CONFIG", self.home.join("apt/apt.conf"))
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }
}

fn configuration(state: &Path) -> String {
    let at = |name: &str| state.join(name).display().to_string();
    format!(
        "Dir::State \"{0}\";\nDir::State::lists \"{1}\";\nDir::State::status \"/dev/null\";\n\
         Dir::Cache \"{0}\";\nDir::Cache::archives \"{2}\";\nDir::Etc::sourcelist \"{3}\";\n\
         Dir::Etc::sourceparts \"{4}\";\nDir::Etc::parts \"{4}\";\nDir::Etc::preferencesparts \"{4}\";\n\
         APT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; }};\nAPT::Sandbox::User \"root\";\n",
        at(""),
        at("lists"),
        at("archives"),
        at("sources.list"),
        at("none"),
    )
}

/// `'http://...' NAME SIZE HASH`
fn file_of(line: &str) -> Option<&str> {
    let name = line.strip_prefix('\'')?.split(' ').nth(1)?;
    name.ends_with(".deb").then_some(name)
}

/// The name with the highest numbers.
fn newest<'a>(names: &'a str, prefix: &str) -> Option<&'a str> {
    let is_kernel = |name: &&str| {
        let rest = name.strip_prefix(prefix).unwrap_or_default();
        rest.starts_with(|c: char| c.is_ascii_digit()) && rest.ends_with("-cloud-amd64")
    };
    names
        .lines()
        .filter(is_kernel)
        .max_by_key(|name| numbers(name))
}

fn numbers(name: &str) -> Vec<u32> {
    let name = name.strip_suffix("-cloud-amd64").unwrap_or(name);
    name.split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

fn output(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(format!(
            "{command:?}: {}: {why}",
            output.status
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_kernel_has_the_highest_numbers() {
        let names = "linux-image-6.12.99+deb13-cloud-amd64\n\
            linux-image-6.12.118+deb13-cloud-amd64\nlinux-image-6.12.117+deb12-cloud-amd64\n\
            linux-image-6.12.119+deb13-cloud-amd64-dbg\nlinux-image-6.12.120+deb13-amd64\n\
            linux-binary-unsigned-7.3.5+deb13-cloud-amd64\nlinux-binary-7.3.4+deb13-cloud-amd64\n";
        assert_eq!(
            newest(names, "linux-image-6.12."),
            Some("linux-image-6.12.118+deb13-cloud-amd64")
        );
        assert_eq!(
            newest(names, "linux-binary-"),
            Some("linux-binary-7.3.4+deb13-cloud-amd64")
        );
        assert_eq!(newest(names, "linux-image-5.10."), None);
    }

    #[test]
    fn the_files_are_those_that_apt_names() {
        let line = "'http://deb.debian.org/debian/pool/main/d/dash/dash_1_amd64.deb' \
                    dash_1_amd64.deb 96972 SHA256:00";
        assert_eq!(file_of(line), Some("dash_1_amd64.deb"));
        assert_eq!(file_of("Reading package lists..."), None);
    }
}
