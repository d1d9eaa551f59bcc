//! Files that decide the rights of programs: a policy, the files that it names, and
//! /etc/nsexec.toml.
//!
//! A user who can rename one component of such a path chooses the policy, even if the file itself
//! cannot be written. So each component counts, and not the file alone. The walk opens one
//! component at a time with O_PATH, checks the opened object, and continues from there: no name is
//! looked up twice.
//!
//! | component | rule |
//! |---|---|
//! | all of them | owned by root or by the caller |
//! | a file, a directory | not writable by its group or by others |
//! | a sticky directory, such as /tmp | may be writable; the next component is a directory then, not a file or a link |
//! | a link | followed, with the same rules for each component of its text |
//! | a relative path | the caller's directory and all directories above it count too |

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use crate::error::{Error, ErrorKind, Result};

/// As many links as the kernel follows in one path, path_resolution(7).
const MAX_LINKS: usize = 40;
/// As many directories as fit into a path of PATH_MAX bytes.
const MAX_ABOVE: usize = 2048;

/// A directory with a path of which root or the caller owns every component.
#[derive(Debug)]
pub(crate) struct TrustedDirectory {
    directory: OwnedFd,
    /// Others may add entries: only a directory in it can be trusted.
    shared: bool,
    /// The name in the request, for messages.
    name: PathBuf,
}

/// The permitted destinations of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Any path.
    Anywhere,
    /// Paths below the directory in which the walk begins.
    Beneath,
}

impl TrustedDirectory {
    /// The directory of the file `path`, and the file's name in it.
    ///
    /// # Errors
    /// `Safety`: users other than root and the caller can change the path. `Policy`: it cannot be
    /// opened, or `path` names no file.
    pub(crate) fn of(path: &Path) -> Result<(Self, OsString)> {
        let name = path.file_name().ok_or_else(|| {
            let wrong = format!("{} names no file", path.display());
            Error::new(ErrorKind::Policy, wrong).with_hint("give the path of a file")
        })?;
        let parent = path.parent().unwrap_or_else(|| Path::new(""));
        let (start, shared) = start_of(path)?;
        let directory = Self {
            directory: start,
            shared,
            name: PathBuf::from(if path.is_absolute() { "/" } else { "" }),
        };
        let mut walk = Walk::new(&directory, Reach::Anywhere)?;
        walk.push(parent);
        match walk.run()? {
            Found::Directory(found, shared) => Ok((
                Self {
                    directory: found,
                    shared,
                    name: parent.to_owned(),
                },
                name.to_owned(),
            )),
            Found::File(_) => Err(failed(parent, Errno::ENOTDIR)),
            Found::Nothing(missing) => Err(failed(&missing, Errno::ENOENT)),
        }
    }

    /// The path by which it was opened.
    pub(crate) fn name(&self) -> &Path {
        if self.name.as_os_str().is_empty() {
            return Path::new(".");
        }
        &self.name
    }

    /// Opens a file in it; a link may lead out of it.
    ///
    /// # Errors
    /// `Safety`: users other than root and the caller can change the content. `Policy`: it does not
    /// exist, cannot be opened, or is no regular file.
    pub(crate) fn file(&self, name: &OsStr) -> Result<OwnedFd> {
        match self.find(Path::new(name), Reach::Anywhere)? {
            Ok(file) => Ok(file),
            Err(missing) => Err(failed(&missing, Errno::ENOENT)),
        }
    }

    /// Opens a file below it, and no other; `None` if there is no such entry.
    ///
    /// # Errors
    /// Those of [`Self::file`]; `Policy` also for a link that leads out of it.
    pub(crate) fn file_beneath(&self, name: &Path) -> Result<Option<OwnedFd>> {
        Ok(self.find(name, Reach::Beneath)?.ok())
    }

    fn find(&self, name: &Path, reach: Reach) -> Result<std::result::Result<OwnedFd, PathBuf>> {
        let mut walk = Walk::new(self, reach)?;
        walk.push(name);
        match walk.run()? {
            Found::File(file) => Ok(Ok(file)),
            Found::Nothing(missing) => Ok(Err(missing)),
            Found::Directory(..) => {
                let wrong = format!("{} is a directory", self.name.join(name).display());
                Err(Error::new(ErrorKind::Policy, wrong).with_hint("give the path of a file"))
            }
        }
    }
}

/// Opens the file at an absolute path, if the path's last component exists.
///
/// Only an entry that does not exist is `None`: a link that leads nowhere, a FIFO and a file that
/// cannot be opened are errors.
///
/// # Errors
/// Those of [`TrustedDirectory::of`] and [`TrustedDirectory::file`].
pub(crate) fn open_if_there(path: &Path) -> Result<Option<OwnedFd>> {
    match fstatat(AT_FDCWD, path, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(_) => {
            let (directory, name) = TrustedDirectory::of(path)?;
            directory.file(&name).map(Some)
        }
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(failed(path, errno)),
    }
}

/// The directory that a path begins in, and whether others may add entries.
fn start_of(path: &Path) -> Result<(OwnedFd, bool)> {
    let root = || open_directory(Path::new("/"));
    if path.is_absolute() {
        let root = root()?;
        let shared = check(&look_at(&root, Path::new("/"))?, Path::new("/"))?;
        return Ok((root, shared));
    }
    let start = open_directory(Path::new("."))?;
    let name = Path::new("the working directory");
    let mut here = look_at(&start, name)?;
    let shared = check(&here, name)?;
    let mut at = start.try_clone().map_err(|error| {
        Error::new(ErrorKind::System, "cannot duplicate a descriptor").with_source(error)
    })?;
    for _ in 0..MAX_ABOVE {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let above = openat(&at, "..", flags, Mode::empty()).map_err(|errno| failed(name, errno))?;
        let stat = look_at(&above, name)?;
        if (stat.st_dev, stat.st_ino) == (here.st_dev, here.st_ino) {
            return Ok((start, shared));
        }
        check(&stat, Path::new("a directory above the working directory"))?;
        (at, here) = (above, stat);
    }
    Err(failed(name, Errno::ENAMETOOLONG))
}

/// The end of a walk.
enum Found {
    /// A directory, and whether others may add entries.
    Directory(OwnedFd, bool),
    /// A regular file, open for reading.
    File(OwnedFd),
    /// No entry of this name; its path.
    Nothing(PathBuf),
}

/// A path, looked up component by component.
struct Walk {
    /// The directories from the start of the walk to its position, and for each whether others may
    /// add entries. Never empty.
    directories: Vec<(OwnedFd, bool)>,
    at: (OwnedFd, bool),
    /// The path so far, for messages.
    path: PathBuf,
    left: VecDeque<OsString>,
    links: usize,
    reach: Reach,
}

impl Walk {
    fn new(from: &TrustedDirectory, reach: Reach) -> Result<Self> {
        let copy = from.directory.try_clone().map_err(|error| {
            Error::new(ErrorKind::System, "cannot duplicate a descriptor").with_source(error)
        })?;
        Ok(Self {
            directories: Vec::new(),
            at: (copy, from.shared),
            path: from.name.clone(),
            left: VecDeque::new(),
            links: 0,
            reach,
        })
    }

    /// Puts `path` before the remaining components.
    fn push(&mut self, path: &Path) {
        for component in path.components().rev() {
            if let Component::Normal(_) | Component::ParentDir = component {
                self.left.push_front(component.as_os_str().to_owned());
            }
        }
    }

    fn run(mut self) -> Result<Found> {
        while let Some(name) = self.left.pop_front() {
            if name == ".." {
                self.go_up()?;
                continue;
            }
            self.path.push(&name);
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let entry = match openat(&self.at.0, name.as_os_str(), flags, Mode::empty()) {
                Ok(entry) => entry,
                Err(Errno::ENOENT) => return Ok(Found::Nothing(self.path)),
                Err(errno) => return Err(failed(&self.path, errno)),
            };
            let stat = look_at(&entry, &self.path)?;
            match kind(&stat) {
                SFlag::S_IFDIR => {
                    let shared = check(&stat, &self.path)?;
                    let above = std::mem::replace(&mut self.at, (entry, shared));
                    self.directories.push(above);
                }
                _ if self.at.1 => return Err(self.in_shared_directory()),
                SFlag::S_IFLNK => self.follow(&entry, &stat)?,
                SFlag::S_IFREG => return self.open(&name, &stat),
                _ => {
                    let wrong = format!("{} is not a regular file", self.path.display());
                    return Err(Error::new(ErrorKind::Policy, wrong)
                        .with_hint("give the path of a regular file"));
                }
            }
        }
        Ok(Found::Directory(self.at.0, self.at.1))
    }

    fn go_up(&mut self) -> Result<()> {
        self.path.push("..");
        if let Some(above) = self.directories.pop() {
            self.at = above;
            return Ok(());
        }
        if self.reach == Reach::Beneath {
            return Err(self.leads_out());
        }
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let above = openat(&self.at.0, "..", flags, Mode::empty());
        let above = above.map_err(|errno| failed(&self.path, errno))?;
        let shared = check(&look_at(&above, &self.path)?, &self.path)?;
        self.at = (above, shared);
        Ok(())
    }

    fn follow(&mut self, link: &OwnedFd, stat: &FileStat) -> Result<()> {
        refuse_other_owner(stat, &self.path)?;
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(failed(&self.path, Errno::ELOOP));
        }
        let text = readlinkat(link.as_fd(), c"").map_err(|errno| failed(&self.path, errno))?;
        let text = Path::new(&text);
        self.path.pop();
        if text.is_absolute() {
            if self.reach == Reach::Beneath {
                return Err(self.leads_out());
            }
            self.directories.clear();
            self.at = start_of(text)?;
            self.path = PathBuf::from("/");
        }
        self.push(text);
        Ok(())
    }

    /// Opens the last component for reading: the same file that was checked.
    fn open(&self, name: &OsStr, seen: &FileStat) -> Result<Found> {
        let path = &self.path;
        if !self.left.is_empty() {
            return Err(failed(path, Errno::ENOTDIR));
        }
        check(seen, path)?;
        let flags = OFlag::O_RDONLY
            | OFlag::O_CLOEXEC
            | OFlag::O_NOCTTY
            | OFlag::O_NONBLOCK
            | OFlag::O_NOFOLLOW;
        let file =
            openat(&self.at.0, name, flags, Mode::empty()).map_err(|errno| failed(path, errno))?;
        let stat = look_at(&file, path)?;
        if (stat.st_dev, stat.st_ino) != (seen.st_dev, seen.st_ino) {
            let wrong = format!("{} was replaced while it was opened", path.display());
            return Err(Error::new(ErrorKind::Safety, wrong).with_hint("try again"));
        }
        check(&stat, path)?;
        Ok(Found::File(file))
    }

    fn in_shared_directory(&self) -> Error {
        let wrong = format!(
            "{}: others may add files to its directory",
            self.path.display()
        );
        Error::new(ErrorKind::Safety, wrong)
            .with_hint("put it into a directory that only root or the caller can write")
    }

    fn leads_out(&self) -> Error {
        let wrong = format!(
            "{} leads out of the policy's directory",
            self.path.display()
        );
        Error::new(ErrorKind::Policy, wrong).with_hint("put the file beside the policy")
    }
}

fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty()).map_err(|errno| failed(path, errno))
}

fn look_at(file: &OwnedFd, path: &Path) -> Result<FileStat> {
    fstat(file).map_err(|errno| failed(path, errno))
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

/// Refuses an object that others can write; returns whether it is a directory to which others may
/// add entries, without being able to replace those of root and the caller.
fn check(stat: &FileStat, path: &Path) -> Result<bool> {
    refuse_other_owner(stat, path)?;
    let writable = stat.st_mode & 0o022 != 0;
    let sticky = kind(stat) == SFlag::S_IFDIR && stat.st_mode & libc::S_ISVTX != 0;
    if writable && !sticky {
        let mode = stat.st_mode & 0o7777;
        let wrong = format!(
            "{}: others than its owner can write it (mode {mode:04o})",
            path.display()
        );
        return Err(Error::new(ErrorKind::Safety, wrong)
            .with_hint("let only its owner write it: chmod go-w"));
    }
    Ok(writable)
}

fn refuse_other_owner(stat: &FileStat, path: &Path) -> Result<()> {
    if stat.st_uid == 0 || stat.st_uid == nix::unistd::geteuid().as_raw() {
        return Ok(());
    }
    let wrong = format!("{} belongs to user {}", path.display(), stat.st_uid);
    Err(Error::new(ErrorKind::Safety, wrong)
        .with_hint("chown each component of the path to root or to the caller"))
}

fn failed(path: &Path, errno: Errno) -> Error {
    Error::new(ErrorKind::Policy, path.display().to_string()).with_source(errno)
}
