//! The system call that an event is of.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use nsexec_audit_abi::code::{Abi, EventFlags, Source, Syscall};
use nsexec_audit_abi::parts;
use nsexec_audit_abi::record::Namespace;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::names::{self, as_text, by_name};
use super::namespaces::{NamespaceId, NamespaceType};

/// A call, its arguments and its result.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    #[serde(with = "by_name")]
    #[schemars(schema_with = "names::schema::<Syscall>")]
    pub syscall: Syscall,
    #[serde(with = "by_name")]
    #[schemars(schema_with = "names::schema::<Abi>")]
    pub abi: Abi,
    pub flags_raw: u64,
    /// The flags that name a type of namespaces, without `CLONE_`.
    pub flags: NamespaceFlags,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fd: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    pub ret: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<Errno>,
    /// Remarks that the event has to be read with.
    #[serde(default, skip_serializing_if = "EventNotes::is_empty")]
    pub notes: EventNotes,
}

impl Operation {
    /// The call of a record.
    #[must_use]
    pub fn of(record: &Namespace) -> Self {
        let call = &record.call;
        Self {
            syscall: call.syscall,
            abi: call.abi,
            flags_raw: call.flags,
            flags: NamespaceFlags(call.flags),
            fd: (call.fd >= 0).then_some(call.fd),
            target: Target::of(&call.target),
            ret: call.ret,
            errno: (call.ret < 0).then(|| Errno::of(call.ret)),
            notes: EventNotes(call.notes),
        }
    }
}

/// The descriptor that setns(2) was given, as it was when the call began.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    #[serde(with = "by_name")]
    #[schemars(schema_with = "names::schema::<Source>")]
    pub source: Source,
    /// The flag of the namespace's type, without `CLONE_`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_type: Option<FlagName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns: Option<NamespaceId>,
    /// The process of a pidfd.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Always: another thread could have changed the descriptor meanwhile.
    pub racy: bool,
}

impl Target {
    fn of(target: &parts::Target) -> Option<Self> {
        (target.source != Source::None).then(|| Self {
            source: target.source,
            ns_type: NamespaceType::of_flags(target.flag.into())
                .next()
                .map(FlagName),
            ns: (target.inum != 0).then_some((target.inum, target.id)),
            pid: (target.pid != 0).then_some(target.pid),
            racy: true,
        })
    }
}

/// A type of namespaces, by its flag's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlagName(pub NamespaceType);

impl fmt::Display for FlagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.flag_name())
    }
}

impl FromStr for FlagName {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        NamespaceType::of_flag_name(name).map(Self).ok_or(())
    }
}

/// CLONE_* flags; in JSON an array of the names of those that name a type of namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceFlags(pub u64);

impl NamespaceFlags {
    /// The types that they name.
    pub fn types(self) -> impl Iterator<Item = NamespaceType> {
        NamespaceType::of_flags(self.0)
    }

    /// Their names, with `|` between them.
    #[must_use]
    pub fn joined(self) -> String {
        let names: Vec<&str> = self.types().map(NamespaceType::flag_name).collect();
        names.join("|")
    }
}

impl Serialize for NamespaceFlags {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.types().map(NamespaceType::flag_name))
    }
}

impl<'de> Deserialize<'de> for NamespaceFlags {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let names = Vec::<FlagName>::deserialize(from)?;
        Ok(Self(names.iter().fold(0, |all, one| all | one.0.flag())))
    }
}

impl JsonSchema for NamespaceFlags {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NamespaceFlags".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut all = NamespaceType::ALL.to_vec();
        all.sort_unstable_by_key(|one| one.flag());
        let all: Vec<&str> = all.into_iter().map(NamespaceType::flag_name).collect();
        json_schema!({ "type": "array", "items": { "enum": all } })
    }
}

/// Flags of the event itself; an array of their names in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventNotes(pub EventFlags);

impl Default for EventNotes {
    fn default() -> Self {
        Self(EventFlags::NONE)
    }
}

impl EventNotes {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == EventFlags::NONE
    }

    /// The names of those that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let set = EventFlags::ALL.into_iter();
        set.filter(move |(flag, _)| self.0.has(*flag))
            .map(|(_, name)| name)
    }
}

impl Serialize for EventNotes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for EventNotes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut flags = EventFlags::NONE;
        for name in Vec::<String>::deserialize(from)? {
            let known = EventFlags::ALL
                .into_iter()
                .find(|(_, known)| *known == name);
            let (flag, _) =
                known.ok_or_else(|| de::Error::custom(format!("unknown note {name:?}")))?;
            flags = flags.and(flag);
        }
        Ok(Self(flags))
    }
}

impl JsonSchema for EventNotes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EventNotes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let all = EventFlags::ALL.map(|(_, name)| name);
        json_schema!({ "type": "array", "items": { "enum": all } })
    }
}

/// An error, by its name in errno(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(nix::errno::Errno);

/// Greater than every number of an error that Linux returns to processes.
const ERRNO_BOUND: i32 = 256;

/// The errors by their names.
static ERRNO_NAMES: LazyLock<HashMap<String, nix::errno::Errno>> = LazyLock::new(|| {
    let all = (1..ERRNO_BOUND).map(nix::errno::Errno::from_raw);
    all.map(|one| (format!("{one:?}"), one)).collect()
});

impl Errno {
    fn of(ret: i64) -> Self {
        let number = i32::try_from(-ret).unwrap_or(i32::MAX);
        Self(nix::errno::Errno::from_raw(number))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl FromStr for Errno {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        ERRNO_NAMES.get(name).copied().map(Self).ok_or(())
    }
}

as_text! {
    Errno "the name of an error, as errno(3) has it"
    FlagName "a flag of clone(2) that names a type of namespaces, without CLONE_"
}

#[cfg(test)]
mod tests;
