//! `nsexec-audit report`: one page of HTML from lines of JSON.
//!
//! The processes that the page is about chose the texts on it, and an investigator opens
//! it. So the script contains no data, a content security policy allows only this script
//! and this style, nothing is loaded from elsewhere, and text enters the page only through
//! templates (`templates/report/`), which all have one escaper, `html::Escape`. The tables
//! and the time line are complete without the script, which filters and enlarges.

mod banners;
mod describe;
mod error;
mod events;
mod header;
mod health;
mod history;
mod html;
mod page;
mod read;
mod tables;
mod timeline;

pub use error::{MAX_LINE, ReadError, ReadErrorKind};
pub use history::{History, MAX_DRAWN};
pub use page::page;
pub use read::read;

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::cli::options::ReportOptions;

/// Makes the page. All input is read before anything is written; a new file can be read by
/// its owner only, as the lines themselves.
///
/// # Errors
/// A line cannot be read, or the page cannot be written.
pub fn run(options: &ReportOptions, out: &mut dyn io::Write) -> Result<u8, Box<dyn Error>> {
    let named = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let mut files = Vec::new();
    let mut inputs = Vec::new();
    for path in &options.files {
        let file = File::open(path).map_err(|error| named(path, error))?;
        let found = file.metadata().map_err(|error| named(path, error))?;
        inputs.push((found.dev(), found.ino()));
        files.push((path.display().to_string(), BufReader::new(file)));
    }
    if let Some(output) = &options.output
        && let Ok(found) = fs::metadata(output)
        && inputs.contains(&(found.dev(), found.ino()))
    {
        let output = output.display();
        return Err(format!("{output} would be overwritten; give another --output").into());
    }
    let page = page(&read(files)?)?;
    match &options.output {
        Some(output) => {
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let written = options
                .open(output)
                .and_then(|mut file| file.write_all(page.as_bytes()));
            written.map_err(|error| named(output, error))?;
        }
        None => out.write_all(page.as_bytes())?,
    }
    Ok(0)
}

#[cfg(test)]
mod tests;
