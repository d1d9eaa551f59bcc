//! Descriptors that the caller declares: those that cross execve, and those that the helper reads
//! or writes.
//!
//! A number that the caller has not opened would name one of the helper's own descriptors a moment
//! later (runc handed one over that way, CVE-2024-21626). So the helper checks all declared numbers
//! together, before it opens anything, and a number has one use.

use std::collections::BTreeSet;
use std::os::fd::RawFd;

use super::fitness::{self, Use};
use super::seccomp_fd::{self, FilterDescriptors};
use super::{clean, status};
use crate::error::{Error, ErrorKind, Result};
use crate::request::Request;
use crate::sys::descriptor::{self, Range};

/// The declared descriptors of a request, known to be open before the helper opened anything.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) preserved: Preserved,
    /// Copies of the descriptors from which the helper reads filters.
    pub(crate) programs: FilterDescriptors,
}

impl Declared {
    /// Checks every declared number. Called before the helper opens anything.
    ///
    /// # Errors
    /// `Usage`: a number is not open, or not open for its use, is declared twice, or is not above 2
    /// if it must be.
    pub(crate) fn take(request: &Request) -> Result<Self> {
        let of = |usage: Use| move |fd: &RawFd| (usage, *fd);
        let status = request.status_fd.iter().map(of(Use::Write));
        let preserved = request.preserve_fds.iter().map(of(Use::Inherited));
        let programs = request.seccomp_fds.iter().map(of(Use::Read));
        let mut seen = BTreeSet::new();
        for (usage, fd) in status.chain(preserved).chain(programs) {
            let option = match usage {
                Use::Inherited => "--preserve-fd ",
                Use::Read => seccomp_fd::OPTION,
                Use::Write | Use::ReadAndWrite => status::OPTION,
            };
            let wrong = format!("{option}{fd}");
            // The copy ends here: it would be an open descriptor for the check of the next number.
            drop(fitness::take(ErrorKind::Usage, option, fd, usage)?);
            if fd <= 2 && usage != Use::Write {
                return Err(Error::new(ErrorKind::Usage, wrong)
                    .with_hint("0, 1 and 2 are the program's: give a number from 3 on"));
            }
            if !seen.insert(fd) {
                let wrong = format!("{wrong}: another option uses the descriptor already");
                return Err(Error::new(ErrorKind::Usage, wrong)
                    .with_hint("give each use a separate descriptor"));
            }
        }
        Ok(Self {
            preserved: Preserved(request.preserve_fds.iter().copied().collect()),
            programs: FilterDescriptors::take(&request.seccomp_fds)?,
        })
    }
}

/// Closes the declared descriptors that are the helper's alone. It has copies of them by now. The
/// child would inherit the caller's, and a process of the target could open their files again
/// through /proc/CHILD/fd, for writing as well.
///
/// # Errors
/// `System`: close_range(2) fails.
pub(crate) fn close_helpers_own(request: &Request) -> Result<()> {
    let own = request.seccomp_fds.iter().chain(&request.status_fd);
    for number in own.filter(|fd| **fd >= clean::FIRST) {
        let number = number.unsigned_abs();
        descriptor::close_range(number, number, Range::Close).map_err(|errno| {
            Error::new(
                ErrorKind::System,
                "cannot mark the descriptors close-on-exec: close_range",
            )
            .with_source(errno)
        })?;
    }
    Ok(())
}

/// Descriptors that cross execve under their numbers, in ascending order, each from 3 on and none
/// of the helper's own.
#[derive(Debug)]
pub(crate) struct Preserved(Vec<RawFd>);

impl Preserved {
    /// No descriptor except 0, 1 and 2.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// Descriptors 3 and following, `count` in number, of the `handed_over` that
    /// [`clean::count_handed_over`] found.
    ///
    /// `None`: there are fewer.
    pub(crate) fn counted(count: u32, handed_over: u32) -> Option<Self> {
        let count = usize::try_from(count).ok().filter(|_| count <= handed_over);
        count.map(|count| Self((clean::FIRST..).take(count).collect()))
    }

    pub(crate) fn numbers(&self) -> &[RawFd] {
        &self.0
    }

    pub(crate) fn contains(&self, fd: RawFd) -> bool {
        self.0.binary_search(&fd).is_ok()
    }

    /// The lowest of them from `first` on.
    pub(crate) fn next(&self, first: RawFd) -> Option<RawFd> {
        self.0
            .get(self.0.partition_point(|fd| *fd < first))
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_as_many_are_counted_as_were_handed_over() {
        let counted = Preserved::counted(2, 3).expect("there are as many");
        assert_eq!(counted.numbers(), [3, 4]);
        assert!(Preserved::counted(3, 3).is_some());
        assert!(Preserved::counted(4, 3).is_none());
        assert!(Preserved::counted(1, 0).is_none());
    }

    #[test]
    fn next_finds_the_next_descriptor() {
        let preserved = Preserved(vec![3, 10, 11, 63]);
        for (first, next) in [(3, Some(3)), (4, Some(10)), (11, Some(11)), (64, None)] {
            assert_eq!(preserved.next(first), next);
        }
        assert!(preserved.contains(63) && !preserved.contains(62));
        assert_eq!(Preserved::none().next(3), None);
    }
}
