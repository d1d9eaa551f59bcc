//! Readers of the text files of /proc. Their content is partly the target's to choose.
#![forbid(unsafe_code)]

pub(crate) mod decimal;
