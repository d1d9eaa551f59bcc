//! Loads the probes that a command line names.

use std::error::Error;
use std::fs;
use std::path::Path;

use crate::config::Backend;
use crate::loader::probes::{self, Probes, Sizes};

/// Loads and attaches the probes of this file, or the embedded ones.
pub(super) fn load(
    file: Option<&Path>,
    sizes: Sizes,
    backend: Option<Backend>,
) -> Result<Probes, Box<dyn Error>> {
    let read;
    let object = match file {
        Some(path) => {
            read = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
            read.as_slice()
        }
        None => probes::embedded().ok_or(
            "this program was built without probes; run `cargo xtask probes` and build it again, or \
             give --probes FILE",
        )?,
    };
    let kernel = probes::running_kernel()?;
    Ok(Probes::start_with(object, &kernel, sizes, backend)?)
}
