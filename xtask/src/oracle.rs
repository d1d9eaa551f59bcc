//! `cargo xtask oracle`: holds compiled profiles to what their text means.

use std::ffi::OsString;
use std::io;

use crate::{cargo, setup};

pub(crate) fn run(arguments: &[OsString]) -> io::Result<()> {
    // What is missing is a line of the oracle's own.
    setup::tools(&[setup::CONTAINERS, setup::GCC, setup::LIBSECCOMP])?;
    let status = cargo::cargo(&["run", "--release", "--package", "oracle", "--"])
        .args(arguments)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(status.to_string()))
    }
}
