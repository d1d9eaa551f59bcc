//! The offsets that the probes use, found in the kernel's types.

use nsexec_audit_abi::offsets::{ABSENT, ALL, COMPAT_MASK, COMPAT_MASK_VALUE, CSS_SET_STATE};

use super::btf::Btf;
use crate::cgroup_hierarchy::ContainerHierarchy;

/// The size of a pointer, on every architecture of the probes.
const POINTER_BYTES: u32 = 8;

/// The enumeration of controllers.
const SUBSYSTEMS: &str = "cgroup_subsys_id";

/// A value for each global of the probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offsets(Vec<(&'static str, u32)>);

impl Offsets {
    /// Looks up each global, for cgroups of the selected hierarchy.
    ///
    /// # Errors
    /// The required members, as `structure.path`, that the kernel lacks.
    pub fn find(btf: &Btf<'_>, hierarchy: ContainerHierarchy) -> Result<Self, Vec<String>> {
        let mut found = vec![(COMPAT_MASK, COMPAT_MASK_VALUE)];
        let mut missing = Vec::new();
        match hierarchy {
            ContainerHierarchy::Unified => found.push((CSS_SET_STATE, ABSENT)),
            // Without it, every task would have the id of the root of version 2.
            ContainerHierarchy::Controller(name) => match state(btf, name) {
                Some(value) => found.push((CSS_SET_STATE, value)),
                None => missing.push(format!("css_set.subsys of {name}")),
            },
        }
        for offset in ALL {
            match btf.offset(offset.structure, offset.path) {
                Some(value) => found.push((offset.global, value)),
                None if offset.optional => found.push((offset.global, ABSENT)),
                None => missing.push(format!("{}.{}", offset.structure, offset.path)),
            }
        }
        if missing.is_empty() {
            Ok(Self(found))
        } else {
            Err(missing)
        }
    }

    /// The types that contain them.
    pub fn types() -> impl Iterator<Item = &'static str> {
        let all = ALL.iter().map(|offset| offset.structure);
        all.chain([SUBSYSTEMS, "css_set", "cgroup_subsys_state"])
    }

    /// The value of a global.
    #[must_use]
    pub fn get(&self, global: &str) -> Option<u32> {
        self.all()
            .find_map(|(name, value)| (name == global).then_some(*value))
    }

    /// Replaces an offset. The kernel then refuses the probes, or they read wrong values:
    /// for tests.
    #[must_use]
    pub fn with(mut self, global: &str, value: u32) -> Self {
        for (name, place) in &mut self.0 {
            if *name == global {
                *place = value;
            }
        }
        self
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &u32)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }
}

/// The offset of the pointer to the state of a controller in a css_set.
fn state(btf: &Btf<'_>, controller: &str) -> Option<u32> {
    let index = btf.enumerator(SUBSYSTEMS, &format!("{controller}_cgrp_id"))?;
    let array = btf.offset("css_set", "subsys")?;
    btf.offset("cgroup_subsys_state", "cgroup")?;
    array.checked_add(index.checked_mul(POINTER_BYTES)?)
}
