//! The descriptors of the program.

use std::os::fd::RawFd;

use nix::errno::Errno;

use super::Image;
use crate::prepare::clean::FIRST;
use crate::stage::failure::{Failure, Step};
use crate::sys::descriptor::{self, Range};

impl Image {
    /// Only 0, 1, 2 and the declared descriptors cross execve. The report and the explainer's
    /// socket stay open until then because the later steps need them.
    pub(super) fn close_descriptors(
        &self,
        report: RawFd,
        control: Option<RawFd>,
    ) -> Result<(), Failure> {
        let failed = |errno| Failure::new(Step::Descriptors, errno);
        for fd in self.preserved.numbers() {
            descriptor::set_close_on_exec(*fd, false).map_err(failed)?;
        }
        let own = [report, control.unwrap_or(report)];
        if own.iter().any(|fd| self.preserved.contains(*fd)) {
            return Err(failed(Errno::EBUSY));
        }
        // Closes each range between two descriptors that stay open.
        let number = |fd: RawFd| u32::try_from(fd).map_err(|_| failed(Errno::EBADF));
        let mut first = FIRST;
        loop {
            let own = own.into_iter().filter(|fd| *fd >= first);
            let Some(kept) = own.chain(self.preserved.next(first)).min() else {
                break;
            };
            if kept > first {
                descriptor::close_range(number(first)?, number(kept)? - 1, Range::Close)
                    .map_err(failed)?;
            }
            // There are no descriptors above the greatest number.
            first = match kept.checked_add(1) {
                Some(next) => next,
                None => return Ok(()),
            };
        }
        descriptor::close_range(number(first)?, u32::MAX, Range::Close).map_err(failed)
    }
}
