//! What has to be known of the running kernel to load the probes.

use std::fs;

use aya::{Btf as AyaBtf, Endianness};

use crate::Offsets;
use crate::btf::{self, Btf, Kind};
use crate::hierarchy::Deciding;
use crate::probes::ProbesError;
use crate::programs;

/// Where the probes find what they read, and what they can be attached to.
#[derive(Clone, Debug)]
pub struct Kernel {
    pub(crate) offsets: Offsets,
    /// The types that programs are attached by, at their places, and nothing of the
    /// others: aya looks for those alone, and would hold all for 20 MiB.
    attachable: Vec<u8>,
    /// What all was read from, for as long as this is needed: once the C library has
    /// given back so much, it takes what is as large from its heap, where it stays.
    #[expect(dead_code, reason = "it is only kept")]
    types: Vec<u8>,
}

impl Kernel {
    /// Reads its types.
    ///
    /// # Errors
    /// They cannot be read, or lack what the probes need.
    pub fn running() -> Result<Self, ProbesError> {
        let bytes = fs::read(btf::KERNEL).map_err(ProbesError::Types)?;
        let types = Btf::parse(&bytes, Offsets::types()).map_err(ProbesError::Btf)?;
        let offsets = Offsets::find(&types, Deciding::here()).map_err(ProbesError::Missing)?;
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

    pub(crate) fn attachable(&self) -> Result<AyaBtf, ProbesError> {
        AyaBtf::parse(&self.attachable, Endianness::default())
            .map_err(|error| ProbesError::Object(error.into()))
    }
}
