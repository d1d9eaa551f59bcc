//! The owners of namespaces, and the boundaries that joins cross.
//!
//! A namespace is attributed to the container of the first process that was observed in
//! it; the host's are the host's.

use std::sync::Arc;

use nsexec_audit_abi::code::Slot;
use nsexec_audit_abi::parts::NamespaceSet;
use nsexec_audit_abi::record::Namespace;

use super::bounded_cache::BoundedCache;
use crate::model::container::{Container, Place};
use crate::model::event::{Boundary, Class, Crossing, Evidence};
use crate::model::namespaces::{HostNamespaces, NamespaceId, NamespaceType, slots};

/// The smallest size of the cache of namespaces: a container has eight of its own.
const CAPACITY: usize = 1 << 15;

/// The owner of each namespace that is not one of the host's own; `None`: the first
/// process observed in it was one of the host.
#[derive(Debug)]
pub struct Owners {
    known: BoundedCache<(NamespaceType, NamespaceId), Option<Arc<Container>>>,
}

impl Default for Owners {
    fn default() -> Self {
        Self {
            known: BoundedCache::new(CAPACITY),
        }
    }
}

impl Owners {
    /// Learns from a task of this place that lives in these namespaces. Without the
    /// host's, nothing can be learnt: every namespace could be one of those.
    pub fn observe(&mut self, namespaces: &NamespaceSet, place: &Place, host: &HostNamespaces) {
        let owner = match place {
            Place::Container(container) => Some(container),
            Place::Host => None,
            Place::Unknown => return,
        };
        if !host.is_known() {
            return;
        }
        for (slot, id) in slots(namespaces) {
            let key = key(slot, id);
            if id.0 != 0 && !host.has(slot, id) && self.known.get(&key).is_none() {
                self.known.put(key, owner.cloned());
            }
        }
    }

    /// Learns from a task of this place that made namespaces, which before Linux 6.18 can
    /// have the number of a deleted one. Namespaces that a process of the host makes may
    /// become a container's: the first process in them decides.
    pub fn created(
        &mut self,
        before: &NamespaceSet,
        after: &NamespaceSet,
        place: &Place,
        host: &HostNamespaces,
    ) {
        for ((slot, before), (_, after)) in slots(before).zip(slots(after)) {
            if before != after {
                self.known.remove(&key(slot, after));
            }
        }
        if *place != Place::Host {
            self.observe(after, place, host);
        }
    }

    /// The crossing of a call by a process in a cgroup of this place.
    pub fn crossing(
        &mut self,
        record: &Namespace,
        class: Class,
        place: &Place,
        host: &HostNamespaces,
    ) -> Crossing {
        if !class.is_join() {
            return Crossing::default();
        }
        let both = slots(&record.before).zip(slots(&record.after));
        let mut changed = both.filter(|((_, before), (_, after))| before.0 != 0 && before != after);
        let entered = changed.find_map(|(_, (slot, id))| self.owner(slot, id)?);
        // The mount namespace is the better evidence: a runtime is in the container's
        // cgroup before it is in its namespaces.
        let mnt = record.before.get(Slot::Mnt);
        let by_mnt = if host.has(Slot::Mnt, mnt) {
            Some(Place::Host)
        } else {
            self.owner(Slot::Mnt, mnt)
                .map(|owner| owner.map_or(Place::Host, Place::Container))
        };
        let evidence = if by_mnt.is_some() {
            Evidence::Mnt
        } else {
            Evidence::Cgroup
        };
        let from = by_mnt.unwrap_or_else(|| place.clone());
        let boundary = match (&from, &entered) {
            (Place::Container(_), _) if class == Class::JoinHost => Some(Boundary::Escape),
            (Place::Host, Some(_)) => Some(Boundary::Enter),
            // A container inside the one that is left is no other one.
            (Place::Container(from), Some(to)) => {
                (!to.path.starts_with(&from.path)).then_some(Boundary::Lateral)
            }
            _ => None,
        };
        Crossing {
            boundary,
            evidence: boundary.map(|_| evidence),
            entered,
            from,
        }
    }

    #[expect(
        clippy::option_option,
        reason = "an unknown owner is not the same as the host"
    )]
    fn owner(&mut self, slot: Slot, id: NamespaceId) -> Option<Option<Arc<Container>>> {
        self.known.get(&key(slot, id)).cloned()
    }
}

/// A namespace by its type: the children of a task will be in that of a slot for
/// children.
fn key(slot: Slot, id: NamespaceId) -> (NamespaceType, NamespaceId) {
    (NamespaceType::of_slot(slot), id)
}

#[cfg(test)]
mod tests;
