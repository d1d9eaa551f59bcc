//! The auditor's domain: tasks, namespaces, containers, and what happened to them.
//!
//! The types have one representation in JSON, declared beside them, for writing and for
//! reading; docs/audit-event.schema.json is generated from it.

pub mod container;
pub mod event;
pub mod names;
pub mod namespaces;
pub mod operation;
pub mod process;
pub mod shared;
pub mod stream_info;
