//! The ten namespaces of a task.

use std::fmt;

use nsexec_audit_abi::code::{EventFlags, Slot};
use nsexec_audit_abi::parts::{NamespaceSet, SLOTS, UserNamespace};
use nsexec_audit_abi::record::Namespace;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::names::{self, Name as _, names};

/// A namespace: its inode number, and its ns_id (0 before Linux 6.18).
pub type NamespaceId = (u32, u64);

const _: () = assert!(SLOTS <= 16);

names! {
    /// A type of namespaces.
    pub enum NamespaceType {
        /// cgroup_namespaces(7)
        Cgroup => "cgroup",
        /// ipc_namespaces(7)
        Ipc => "ipc",
        /// mount_namespaces(7)
        Mnt => "mnt",
        /// network_namespaces(7)
        Net => "net",
        /// pid_namespaces(7)
        Pid => "pid",
        /// time_namespaces(7)
        Time => "time",
        /// user_namespaces(7)
        User => "user",
        /// uts_namespaces(7)
        Uts => "uts",
    }
}

impl NamespaceType {
    /// All of them, by the bit of their flag.
    const BY_FLAG: [Self; 8] = [
        Self::Time,
        Self::Mnt,
        Self::Cgroup,
        Self::Uts,
        Self::Ipc,
        Self::User,
        Self::Pid,
        Self::Net,
    ];

    /// The CLONE_NEW* flag of linux/sched.h.
    #[must_use]
    pub const fn flag(self) -> u64 {
        match self {
            Self::Time => 0x0000_0080,
            Self::Mnt => 0x0002_0000,
            Self::Cgroup => 0x0200_0000,
            Self::Uts => 0x0400_0000,
            Self::Ipc => 0x0800_0000,
            Self::User => 0x1000_0000,
            Self::Pid => 0x2000_0000,
            Self::Net => 0x4000_0000,
        }
    }

    /// The name of the flag without `CLONE_`.
    #[must_use]
    pub const fn flag_name(self) -> &'static str {
        match self {
            Self::Time => "NEWTIME",
            Self::Mnt => "NEWNS",
            Self::Cgroup => "NEWCGROUP",
            Self::Uts => "NEWUTS",
            Self::Ipc => "NEWIPC",
            Self::User => "NEWUSER",
            Self::Pid => "NEWPID",
            Self::Net => "NEWNET",
        }
    }

    /// The types whose flags are set, by the bit of the flag.
    pub fn of_flags(flags: u64) -> impl Iterator<Item = Self> {
        let all = Self::BY_FLAG.into_iter();
        all.filter(move |one| flags & one.flag() != 0)
    }

    /// The type whose flag has this name.
    #[must_use]
    pub fn of_flag_name(name: &str) -> Option<Self> {
        let mut all = Self::BY_FLAG.into_iter();
        all.find(|one| one.flag_name() == name)
    }

    /// The type of the namespaces in a slot.
    #[must_use]
    pub const fn of_slot(slot: Slot) -> Self {
        match slot {
            Slot::Cgroup => Self::Cgroup,
            Slot::Ipc => Self::Ipc,
            Slot::Mnt => Self::Mnt,
            Slot::Net => Self::Net,
            Slot::Pid | Slot::PidForChildren => Self::Pid,
            Slot::Time | Slot::TimeForChildren => Self::Time,
            Slot::User => Self::User,
            Slot::Uts => Self::Uts,
        }
    }
}

/// Whether a slot is of the task's children, not of the task.
#[must_use]
pub const fn is_for_children(slot: Slot) -> bool {
    matches!(slot, Slot::PidForChildren | Slot::TimeForChildren)
}

/// Every slot with its namespace.
pub fn slots(set: &NamespaceSet) -> impl Iterator<Item = (Slot, NamespaceId)> {
    let ids = set.inum.into_iter().zip(set.id);
    Slot::ALL.iter().copied().zip(ids)
}

/// Slots, a bit each; an array of their names in JSON.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct SlotSet(u16);

impl SlotSet {
    /// The slots in which two sets differ; a slot that is empty in one of them does not.
    #[must_use]
    pub fn differing(one: &NamespaceSet, other: &NamespaceSet) -> Self {
        // The common case, which the comparison of the whole finds quickly.
        if one == other {
            return Self::default();
        }
        let both = slots(one).zip(slots(other));
        both.filter(|((_, one), (_, other))| one.0 != 0 && other.0 != 0 && one != other)
            .map(|((slot, _), _)| slot)
            .collect()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Whether the slot is one of them.
    #[must_use]
    pub fn contains(self, slot: Slot) -> bool {
        self.0 >> slot.index() & 1 == 1
    }

    /// The slots, in their order.
    pub fn iter(self) -> impl Iterator<Item = Slot> {
        let all = Slot::ALL.iter().copied();
        all.filter(move |slot| self.contains(*slot))
    }

    /// Their names, in their order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.iter().map(Slot::name)
    }

    /// The types of these slots, each once, in the order of their names.
    #[must_use]
    pub fn types(self) -> Vec<NamespaceType> {
        let mut types: Vec<_> = self.iter().map(NamespaceType::of_slot).collect();
        types.dedup();
        types
    }

    /// All other slots.
    #[must_use]
    pub fn others(self) -> Self {
        let all = Slot::ALL.iter().copied();
        all.filter(|slot| !self.contains(*slot)).collect()
    }
}

impl FromIterator<Slot> for SlotSet {
    fn from_iter<T: IntoIterator<Item = Slot>>(slots: T) -> Self {
        let bits = slots.into_iter().map(|slot| 1_u16 << slot.index());
        Self(bits.fold(0, |all, bit| all | bit))
    }
}

impl fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Serialize for SlotSet {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for SlotSet {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        names::several(from).map(|slots| slots.into_iter().collect())
    }
}

impl JsonSchema for SlotSet {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SlotSet".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": names::schema::<Slot>(generator) })
    }
}

/// Some of a task's namespaces; an object in JSON.
#[derive(Clone, Debug)]
pub struct NamespaceMap {
    pub set: NamespaceSet,
    pub slots: SlotSet,
}

impl Default for NamespaceMap {
    fn default() -> Self {
        Self {
            set: NamespaceSet::NONE,
            slots: SlotSet::default(),
        }
    }
}

impl NamespaceMap {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The namespace of a slot, if it is one of these.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<NamespaceId> {
        self.slots.contains(slot).then(|| self.set.get(slot))
    }
}

impl Serialize for NamespaceMap {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut members = to.serialize_map(None)?;
        for (slot, id) in slots(&self.set) {
            if self.slots.contains(slot) {
                members.serialize_entry(slot.name(), &id)?;
            }
        }
        members.end()
    }
}

impl<'de> Deserialize<'de> for NamespaceMap {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = NamespaceMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of namespaces by their slots")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut members: A,
            ) -> Result<NamespaceMap, A::Error> {
                let mut map = NamespaceMap::default();
                while let Some((name, id)) = members.next_entry::<String, NamespaceId>()? {
                    let slot = Slot::from_name(&name);
                    let slot = slot.ok_or_else(|| names::unknown::<Slot, A::Error>(&name))?;
                    if map.slots.contains(slot) {
                        return Err(de::Error::duplicate_field(slot.name()));
                    }
                    map.set = map.set.with(slot, id);
                    map.slots = map.slots.iter().chain([slot]).collect();
                }
                Ok(map)
            }
        }

        from.deserialize_map(Members)
    }
}

impl JsonSchema for NamespaceMap {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NamespaceMap".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let id = generator.subschema_for::<NamespaceId>();
        let properties: serde_json::Map<_, _> = Slot::ALL
            .iter()
            .map(|slot| (slot.name().to_owned(), id.clone().to_value()))
            .collect();
        json_schema!({
            "type": "object",
            "description": "namespaces by slot, each [inode number, ns_id]; ns_id is 0 before Linux 6.18",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

/// The namespaces of the host's own processes.
#[derive(Clone, Debug, Default)]
pub struct HostNamespaces(Option<NamespaceSet>);

impl HostNamespaces {
    /// Those of a kernel thread, which never joins any. Where none of them could be read,
    /// none is known.
    #[must_use]
    pub fn of(set: &NamespaceSet) -> Self {
        Self(set.inum.iter().any(|inum| *inum != 0).then_some(*set))
    }

    /// Whether this namespace of the slot is the host's.
    #[must_use]
    pub fn has(&self, slot: Slot, id: NamespaceId) -> bool {
        id.0 != 0 && self.0.as_ref().is_some_and(|own| own.get(slot) == id)
    }

    /// The slots in which a set has the host's namespace.
    #[must_use]
    pub fn slots_of(&self, set: &NamespaceSet) -> SlotSet {
        let own = slots(set).filter(|(slot, id)| self.has(*slot, *id));
        own.map(|(slot, _)| slot).collect()
    }

    /// Those that are known.
    #[must_use]
    pub fn map(&self) -> NamespaceMap {
        let Some(set) = self.0 else {
            return NamespaceMap::default();
        };
        let known = slots(&set).filter(|(_, id)| id.0 != 0);
        NamespaceMap {
            set,
            slots: known.map(|(slot, _)| slot).collect(),
        }
    }

    /// Whether they are known at all.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }
}

names! {
    /// When a change takes effect, where that is not at once.
    pub enum EffectiveAt {
        /// The pid and time namespaces of a task that joins or makes some are its
        /// children's.
        NextFork => "next_fork",
    }
}

/// The user namespace that a task is in.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserNamespaceInfo {
    /// How many user namespaces are above it.
    pub level: u32,
    pub owner_uid: u32,
    pub parent: NamespaceId,
}

impl UserNamespaceInfo {
    fn of(user: &UserNamespace) -> Self {
        Self {
            level: user.level,
            owner_uid: user.owner,
            parent: (user.parent_inum, user.parent_id),
        }
    }
}

/// The namespaces of a task, and how they changed.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamespaceChange {
    /// Those that the task, or its child, is in now and that are not the host's.
    pub after: NamespaceMap,
    /// Those of the slots that changed, as they were.
    #[serde(default, skip_serializing_if = "NamespaceMap::is_empty")]
    pub before: NamespaceMap,
    /// The slots that changed.
    pub changed: SlotSet,
    /// The slots that are the host's now; the `start` line has their namespaces.
    pub host: SlotSet,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_at: Option<EffectiveAt>,
    /// Of a change that made or joined a user namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserNamespaceInfo>,
}

impl NamespaceChange {
    /// From one set to another; without the first, nothing is known to have changed.
    #[must_use]
    pub fn between(
        before: Option<&NamespaceSet>,
        after: &NamespaceSet,
        host: &HostNamespaces,
    ) -> Self {
        let changed =
            before.map_or_else(SlotSet::default, |before| SlotSet::differing(before, after));
        let hosts = host.slots_of(after);
        Self {
            after: NamespaceMap {
                set: *after,
                slots: hosts.others(),
            },
            before: NamespaceMap {
                set: before.copied().unwrap_or(NamespaceSet::NONE),
                slots: changed,
            },
            host: hosts,
            effective_at: None,
            user: None,
            changed,
        }
    }

    /// Of a call: of its caller, or of the task that it made.
    #[must_use]
    pub fn of(record: &Namespace, host: &HostNamespaces) -> Self {
        let unseen = record.call.notes.has(EventFlags::BEGINNING_UNSEEN);
        let mut change = Self::between((!unseen).then_some(&record.before), &record.after, host);
        let later = change.changed.iter().all(is_for_children);
        if later && !change.changed.is_empty() {
            change.effective_at = Some(EffectiveAt::NextFork);
        }
        if change.changed.contains(Slot::User) {
            change.user = Some(UserNamespaceInfo::of(&record.user));
        }
        change
    }
}

#[cfg(test)]
mod tests;
