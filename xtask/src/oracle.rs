//! `cargo xtask oracle`: checks compiled profiles against the meaning of their
//! text.

use std::ffi::OsString;
use std::io;

use crate::{cargo, setup};

pub(crate) fn run(arguments: &[OsString]) -> io::Result<()> {
    // The oracle itself reports missing tools.
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
