//! `cargo xtask bench`: sets up the peers and runs `benches/exec.rs`.

use std::ffi::OsString;
use std::io;

use crate::{cargo, setup};

pub(crate) fn run(arguments: &[OsString]) -> io::Result<()> {
    // What is missing is a row that says so in the bench's own table.
    setup::tools(&[
        setup::BUSYBOX,
        setup::CRUN,
        setup::GCC,
        setup::NSENTER,
        setup::RUNC,
        setup::UNSHARE,
    ])?;
    let status = cargo::cargo(&["bench", "--package", "nsexec", "--bench", "exec", "--"])
        .args(arguments)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(status.to_string()))
    }
}
