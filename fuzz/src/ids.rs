//! The command line: numbers, and whole lines.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use nsexec_command_line::{arguments, number, read};
use nsexec_request::IdChoice;

/// `PID:INODE`, and an id.
pub fn ids(input: &[u8]) {
    if let Ok(target) = number::target(input) {
        let printed = match target.inode {
            Some(inode) => format!("{}:{inode}", target.pid),
            None => target.pid.to_string(),
        };
        assert_eq!(
            printed.as_bytes(),
            input,
            "there is one way to write a target"
        );
        assert_eq!(number::target(printed.as_bytes()), Ok(target));
    }
    match number::id(input) {
        Ok(IdChoice::Number(id)) => {
            assert!(id <= number::MAX_ID);
            assert_eq!(
                id.to_string().as_bytes(),
                input,
                "there is one way to write an id"
            );
        }
        Ok(IdChoice::Follow) => assert_eq!(input, b"follow"),
        Err(fault) => assert!(fault.span.end <= input.len()),
    }
}

/// Words with NULs between them as a command line.
pub fn command_line(input: &[u8]) {
    let words: Vec<OsString> = input
        .split(|byte| *byte == 0)
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect();
    let Ok(written) = arguments::split(words.clone()) else {
        return;
    };
    let printed = written.to_words();
    assert_eq!(arguments::split(printed.clone()), Ok(written));
    assert_eq!(read(printed), read(words));
}
