//! passwd(5), group(5) and user specifications.
#![forbid(unsafe_code)]
