//! The auditor: loads the probes, reads their events and reports them.
//!
//! Data flows one way, and a module uses only those before it:
//! [`loader`] -> [`ingest`] -> [`enrich`] (whose results are types of [`model`]) ->
//! [`rules`], [`filter`] -> [`output`]. [`dispatcher`] connects the last four, and
//! [`monitor`] runs all of them until the auditor ends. [`commands`] has one module for
//! each command of [`cli`].
#![forbid(unsafe_code)]

pub mod cgroup_hierarchy;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod dispatcher;
pub mod enrich;
pub mod filter;
#[cfg(test)]
mod fixtures;
pub mod ingest;
pub mod loader;
pub mod log;
pub mod model;
pub mod monitor;
pub mod output;
pub mod priority;
pub mod rules;
