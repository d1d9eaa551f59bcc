//! The properties of the running kernel that the probes need.

use std::fs;

use aya::{Btf as AyaBtf, Endianness};

use super::btf::{self, Btf, Kind};
use super::error::ProbeError;
use super::offsets::Offsets;
use super::programs;
use crate::cgroup_hierarchy::ContainerHierarchy;

/// The offsets of the members that the probes read, and their attachment points.
#[derive(Clone, Debug)]
pub struct KernelInfo {
    pub(crate) offsets: Offsets,
    /// The types through which programs are attached, at their type numbers and without the
    /// others: aya uses only those, and would keep all of them, which takes 20 MiB.
    attachable: Vec<u8>,
    /// The file of types, kept as long as this value: otherwise the C library would reuse
    /// its freed memory for later blocks and never return it.
    #[expect(dead_code, reason = "it is only kept")]
    types: Vec<u8>,
}

impl KernelInfo {
    /// Reads the kernel's types.
    ///
    /// # Errors
    /// They cannot be read, or lack fields that the probes need.
    pub fn running() -> Result<Self, ProbeError> {
        let bytes = fs::read(btf::KERNEL).map_err(ProbeError::Types)?;
        let types = Btf::parse(&bytes, Offsets::types()).map_err(ProbeError::Btf)?;
        let offsets =
            Offsets::find(&types, ContainerHierarchy::here()).map_err(ProbeError::Missing)?;
        let wanted: Vec<(String, Kind)> = programs::attachable().collect();
        let attachable = types.only(&wanted);
        Ok(Self {
            offsets,
            attachable,
            types: bytes,
        })
    }

    /// The value of a global.
    #[must_use]
    pub fn get(&self, global: &str) -> Option<u32> {
        self.offsets.get(global)
    }

    /// Replaces a global: see [`Offsets::with`].
    #[must_use]
    pub fn with(self, global: &str, value: u32) -> Self {
        Self {
            offsets: self.offsets.with(global, value),
            ..self
        }
    }

    pub(crate) fn attachable(&self) -> Result<AyaBtf, ProbeError> {
        AyaBtf::parse(&self.attachable, Endianness::default())
            .map_err(|error| ProbeError::Object(error.into()))
    }
}
