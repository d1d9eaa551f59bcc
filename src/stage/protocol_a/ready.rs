//! The report of the sibling: it is ready, or why it is not.

use nix::errno::Errno;

use crate::error::{Error, ErrorKind};
use crate::stage::failure::Failure;
use crate::stage::waits::{End, WaitResult, Waits};

/// A child that cannot have its console ends before the helper reports its pid.
pub(crate) fn wait_until_ready(ready: &End, waits: &dyn Waits) -> WaitResult<()> {
    let mut record = [0; Failure::LENGTH];
    waits.until(Some(ready.readable()), None)?;
    match ready.take(&mut record, &mut Vec::new()) {
        Ok(1) => Ok(()),
        Ok(Failure::LENGTH) => {
            let failure = Failure::from_bytes(record);
            let error = failure.map_or_else(ended_early, |failure| failure.into_error("init"));
            Err(error.into())
        }
        Ok(_) => Err(ended_early().into()),
        Err(Errno::EAGAIN) => {
            let wrong = "another process took the report of the child";
            Err(Error::new(ErrorKind::Safety, wrong).into())
        }
        Err(errno) => {
            let wrong = "cannot send to the program's process";
            Err(Error::new(ErrorKind::System, wrong)
                .with_source(errno)
                .into())
        }
    }
}

fn ended_early() -> Error {
    Error::new(
        ErrorKind::System,
        "the report of the child is missing: the child has ended, or another process took \
         its report",
    )
}
