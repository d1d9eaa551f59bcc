//! Turns records into events of the model: program, container, class, boundary, gaps.

mod bounded_cache;
pub mod cgroups;
pub mod classify;
pub mod container;
pub mod crossing;
pub mod enricher;
pub mod lineage;
mod part_cache;
