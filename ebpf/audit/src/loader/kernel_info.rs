//! What has to be known of the running kernel to load the probes.

use std::fs;

use aya::{Btf as AyaBtf, Endianness};

use super::btf::{self, Btf, Kind};
use super::error::ProbeError;
use super::offsets::Offsets;
use super::programs;
use crate::cgroup_hierarchy::Deciding;

/// Where the probes find what they read, and what they can be attached to.
#[derive(Clone, Debug)]
pub struct KernelInfo {
    pub(crate) offsets: Offsets,
    /// The types that programs are attached by, at their places, and nothing of the
    /// others: aya looks for those alone, and would hold all for 20 MiB.
    attachable: Vec<u8>,
    /// What all was read from, for as long as this is needed: once the C library has
    /// given back so much, it takes what is as large from its heap, where it stays.
    #[expect(dead_code, reason = "it is only kept")]
    types: Vec<u8>,
}

impl KernelInfo {
    /// Reads its types.
    ///
    /// # Errors
    /// They cannot be read, or lack what the probes need.
    pub fn running() -> Result<Self, ProbeError> {
        let bytes = fs::read(btf::KERNEL).map_err(ProbeError::Types)?;
        let types = Btf::parse(&bytes, Offsets::types()).map_err(ProbeError::Btf)?;
        let offsets = Offsets::find(&types, Deciding::here()).map_err(ProbeError::Missing)?;
        let wanted: Vec<(String, Kind)> = programs::attachable().collect();
        let attachable = types.only(&wanted);
        Ok(Self {
            offsets,
            attachable,
            types: bytes,
        })
    }

    /// What a global is set to.
    #[must_use]
    pub fn get(&self, global: &str) -> Option<u32> {
        self.offsets.get(global)
    }

    /// Sets one to something else: see [`Offsets::with`].
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
