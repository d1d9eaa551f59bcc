//! Lookups of a path inside a directory, with openat2(2).

use std::os::fd::{AsFd, OwnedFd};

use nix::NixPath;
use nix::errno::Errno;
use nix::fcntl::OpenHow;

/// The number of tries of a lookup. The kernel returns EAGAIN if anything on the machine was
/// renamed or mounted while it followed a `..`, because it cannot exclude then that the `..` led
/// out. A target that renames all the time makes some 40 of 100 lookups fail, so this many failures
/// in a row mean an attack.
pub(crate) const MOST_TRIES: usize = 128;

/// openat2(2), repeated while the kernel cannot determine the target of a `..`. Allocates nothing.
///
/// # Errors
/// EAGAIN: [`MOST_TRIES`] lookups were disturbed; and those of openat2(2).
pub(crate) fn open_inside<P: ?Sized + NixPath>(
    directory: impl AsFd,
    path: &P,
    how: OpenHow,
) -> Result<OwnedFd, Errno> {
    let directory = directory.as_fd();
    let mut tries = 1..MOST_TRIES;
    loop {
        #[expect(clippy::disallowed_methods, reason = "the one place that repeats it")]
        let opened = nix::fcntl::openat2(directory, path, how);
        match opened {
            Err(Errno::EAGAIN) if tries.next().is_some() => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs;
    use std::sync::atomic::{AtomicBool, Ordering};

    use nix::fcntl::{OFlag, ResolveFlag};

    /// Another thread renames all the time. The control: the bare call fails now and then. A
    /// machine that is too quiet for that proves nothing, so the test fails.
    #[test]
    fn renames_elsewhere_do_not_disturb_a_lookup() {
        let name = format!("nsexec-test-{}-lookup", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(directory.join("a/b/c")).expect("a directory");
        let elsewhere = directory.join("elsewhere");
        fs::create_dir_all(elsewhere.join("1")).expect("a directory");
        let ended = AtomicBool::new(false);
        let renames = || {
            while !ended.load(Ordering::Relaxed) {
                let _ = fs::rename(elsewhere.join("1"), elsewhere.join("2"));
                let _ = fs::rename(elsewhere.join("2"), elsewhere.join("1"));
            }
        };
        let root = fs::File::open(&directory).expect("the directory");
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let path = "a/b/c/../../b/c/../../b/c/../../b/c/../../b/c";
        let (mut bare, mut repeated) = (0, 0);
        #[expect(clippy::disallowed_methods, reason = "this test joins nothing")]
        std::thread::scope(|scope| {
            scope.spawn(renames);
            let mut rounds = 0;
            while bare == 0 && rounds < 100 {
                for _ in 0..1000 {
                    #[expect(clippy::disallowed_methods, reason = "the control")]
                    let opened = nix::fcntl::openat2(&root, path, how);
                    bare += usize::from(opened.is_err());
                    repeated += usize::from(open_inside(&root, path, how).is_err());
                }
                rounds += 1;
            }
            ended.store(true, Ordering::Relaxed);
        });
        fs::remove_dir_all(&directory).expect("the directory");
        assert!(bare > 0, "nothing was disturbed: no proof");
        assert_eq!(repeated, 0, "of {bare} disturbed lookups");
    }
}
