//! The records that the probes write and the loader reads.
//!
//! A record is a `repr(C)` structure of integers and byte arrays without
//! padding, in the machine's own byte order: the probes fill it in place, and
//! [`Event::decode`] reads it without trusting a byte. Every size and every
//! offset is asserted when this crate is compiled, for the probes and for the
//! loader alike.
//!
//! [`record`] contains the records, [`parts`] their parts, [`code`] the codes, [`counters`]
//! the counters beside the rings, and [`offsets`] the parameters that the loader sets.
#![no_std]
#![forbid(unsafe_code)]

pub mod code;
pub mod counters;
mod event;
pub mod field;
pub mod offsets;
pub mod parts;
pub mod record;

pub use event::Event;
pub use field::{Fault, Reason};
pub use parts::VERSION;
