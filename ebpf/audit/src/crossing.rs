//! Whose namespaces a process enters, and which border it crosses by that.
//!
//! A namespace is whose the first process was that was seen to live in it; the
//! host's are the host's.

use std::sync::Arc;

use nsexec_audit_abi::parts::{SLOT_NAMES, Vector};
use nsexec_audit_abi::record::Namespace;
use serde::{Serialize, Serializer};

use crate::container::{Container, Place};
use crate::judge::{Class, Host};
use crate::recent::Recent;
use crate::slots::{Id, slots};

/// Most namespaces that are remembered for sure: a container has eight of its own.
const MOST: usize = 1 << 15;

/// The place of the mount namespace, which tells where a process really is: a
/// runtime is in the container's cgroup before it is in its namespaces.
const MNT: usize = 2;
const _: () = assert!(matches!(SLOT_NAMES[MNT].as_bytes(), b"mnt"));

/// A border that a join crosses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Crossed {
    /// From the host into a container.
    #[serde(rename = "host->container")]
    Into,
    /// From a container to the host.
    #[serde(rename = "container->host")]
    OutOf,
    /// From a container into another one, which is not inside it.
    #[serde(rename = "container->container")]
    Between,
}

/// What came of a join.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Passage {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crossed: Option<Crossed>,
    /// What told where it came from: its mount namespace or its cgroup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crossed_by: Option<&'static str>,
    /// Whose namespaces it is in now.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "name")]
    pub entered: Option<Arc<Container>>,
    /// Where it came from.
    #[serde(skip)]
    pub from: Place,
}

fn name<S: Serializer>(container: &Option<Arc<Container>>, to: S) -> Result<S::Ok, S::Error> {
    container.as_ref().map(|one| one.name()).serialize(to)
}

/// Whose each namespace is; none: the host's, though the host itself is not in it.
#[derive(Debug)]
pub struct Owners {
    known: Recent<(usize, Id), Option<Arc<Container>>>,
}

impl Default for Owners {
    fn default() -> Self {
        Self {
            known: Recent::new(MOST),
        }
    }
}

impl Owners {
    /// Learns of the namespaces that a task of this place lives in. Without the
    /// host's, nothing can be learnt: every namespace could be one of those.
    pub fn see(&mut self, vector: &Vector, place: &Place, host: &Host) {
        let owner = match place {
            Place::Container(container) => Some(container),
            Place::Host => None,
            Place::Unknown => return,
        };
        if !host.is_known() {
            return;
        }
        for (slot, id) in slots(vector) {
            let key = key(slot, id);
            if id.0 != 0 && !host.has(slot, id) && self.known.get(&key).is_none() {
                self.known.put(key, owner.cloned());
            }
        }
    }

    /// Learns of those that a task of this place has made, which before Linux 6.18
    /// can have the number of one that is gone. The host's may be for a container,
    /// whose cgroup comes after them: whose they are is seen once one lives there.
    pub fn made(&mut self, before: &Vector, after: &Vector, place: &Place, host: &Host) {
        for ((slot, before), (_, after)) in slots(before).zip(slots(after)) {
            if before != after {
                self.known.remove(&key(slot, after));
            }
        }
        if *place != Place::Host {
            self.see(after, place, host);
        }
    }

    /// What came of a call of a process in a cgroup of this place.
    pub fn passage(
        &mut self,
        record: &Namespace,
        class: Class,
        place: &Place,
        host: &Host,
    ) -> Passage {
        let out = match class {
            Class::JoinHost => true,
            Class::JoinOther => false,
            _ => return Passage::default(),
        };
        let pairs: Vec<_> = slots(&record.before).zip(slots(&record.after)).collect();
        let mut changed = pairs
            .iter()
            .filter(|((_, before), (_, after))| before.0 != 0 && before != after);
        let entered = changed.find_map(|(_, (slot, id))| self.of(*slot, *id)?);
        let by_mnt = pairs.get(MNT).and_then(|((slot, id), _)| {
            if host.has(*slot, *id) {
                return Some(Place::Host);
            }
            self.of(*slot, *id)
                .map(|owner| owner.map_or(Place::Host, Place::Container))
        });
        let by = if by_mnt.is_some() { "mnt" } else { "cgroup" };
        let from = by_mnt.unwrap_or_else(|| place.clone());
        let crossed = match (&from, &entered) {
            (Place::Container(_), _) if out => Some(Crossed::OutOf),
            (Place::Host, Some(_)) => Some(Crossed::Into),
            // What runs inside a container is no other one.
            (Place::Container(from), Some(to)) => {
                (!to.path.starts_with(&from.path)).then_some(Crossed::Between)
            }
            _ => None,
        };
        Passage {
            crossed,
            crossed_by: crossed.map(|_| by),
            entered,
            from,
        }
    }

    #[expect(
        clippy::option_option,
        reason = "not known is not the same as the host's"
    )]
    fn of(&mut self, slot: usize, id: Id) -> Option<Option<Arc<Container>>> {
        self.known.get(&key(slot, id)).cloned()
    }
}

/// A namespace by its type: that for children is what they will be in.
fn key(slot: usize, id: Id) -> (usize, Id) {
    let name = SLOT_NAMES.get(slot).copied().unwrap_or_default();
    let own = name.trim_end_matches("_for_children");
    let slot = SLOT_NAMES.iter().position(|known| *known == own);
    (slot.unwrap_or_default(), id)
}

#[cfg(test)]
#[path = "crossing_tests.rs"]
mod tests;
