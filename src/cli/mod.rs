//! argv -> [`crate::Request`].
#![forbid(unsafe_code)]
