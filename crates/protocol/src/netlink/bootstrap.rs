//! The attributes of the message: their numbers and names, their values, and the rules
//! for their combination. Nothing else names single attributes.

use std::collections::BTreeSet;
use std::ffi::CString;

use super::encode::Payload;
use super::raw::{RawMessage, Value};
use super::{ATTRIBUTE_HEADER, BootstrapErrorKind, HEADER};
use crate::ns_paths::NamespacePath;
use crate::path::{MAX_PATH, absolute};
use crate::time_offsets::TimeOffsets;
use crate::{clone_flags, id_map_lines, ns_paths, oom_score_adj, time_offsets};
use nsexec_kernel_text::procfs::id_map::IdMap;
use nsexec_request::Namespace;
use nsexec_text::Fault;

/// An attribute; the names are libcontainer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// CLONE_NEW* as a number.
    CloneFlags,
    /// [`ns_paths`].
    NsPaths,
    /// [`id_map_lines`].
    UidMap,
    /// [`id_map_lines`].
    GidMap,
    /// 0 or 1.
    Setgroup,
    /// [`oom_score_adj`](crate::oom_score_adj).
    OomScoreAdj,
    /// 0 or 1.
    RootlessEuid,
    /// The path of newuidmap(1).
    UidMapPath,
    /// The path of newgidmap(1).
    GidMapPath,
    /// [`time_offsets`].
    TimeOffsets,
}

/// The form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// 32 bits.
    Number,
    /// A text of at most this length, without its NUL.
    Text(usize),
}

impl Attribute {
    /// Every attribute, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::CloneFlags,
        Self::NsPaths,
        Self::UidMap,
        Self::GidMap,
        Self::Setgroup,
        Self::OomScoreAdj,
        Self::RootlessEuid,
        Self::UidMapPath,
        Self::GidMapPath,
        Self::TimeOffsets,
    ];

    /// Its type in a message, its name in runc's nsexec.c less `_ATTR`, and the form
    /// of its value.
    const fn facts(self) -> (u16, &'static str, Form) {
        use Form::{Number, Text};
        match self {
            Self::CloneFlags => (27_281, "CLONE_FLAGS", Number),
            Self::NsPaths => (27_282, "NS_PATHS", Text(ns_paths::MAX_BYTES)),
            Self::UidMap => (27_283, "UIDMAP", Text(id_map_lines::MAX_BYTES)),
            Self::GidMap => (27_284, "GIDMAP", Text(id_map_lines::MAX_BYTES)),
            Self::Setgroup => (27_285, "SETGROUP", Number),
            Self::OomScoreAdj => (27_286, "OOM_SCORE_ADJ", Text("-1000".len())),
            Self::RootlessEuid => (27_287, "ROOTLESS_EUID", Number),
            Self::UidMapPath => (27_288, "UIDMAPPATH", Text(MAX_PATH)),
            Self::GidMapPath => (27_289, "GIDMAPPATH", Text(MAX_PATH)),
            Self::TimeOffsets => (27_290, "TIMENSOFFSET", Text(time_offsets::MAX_BYTES)),
        }
    }

    /// Its type in a message.
    #[must_use]
    pub fn number(self) -> u16 {
        let (number, _, _) = self.facts();
        number
    }

    /// Its name in runc's nsexec.c, less `_ATTR`.
    #[must_use]
    pub fn name(self) -> &'static str {
        let (_, name, _) = self.facts();
        name
    }

    /// The form of its value.
    pub(super) const fn form(self) -> Form {
        let (_, _, form) = self.facts();
        form
    }

    /// Its length in a message at most, with its header and its padding.
    const fn longest(self) -> usize {
        match self.form() {
            Form::Number => ATTRIBUTE_HEADER + size_of::<u32>(),
            Form::Text(length) => (ATTRIBUTE_HEADER + length + 1).next_multiple_of(4),
        }
    }
}

/// Longest message, in bytes, about 63 kB: every attribute once, with the longest
/// value that has a meaning. So nothing is refused for its length alone, and a
/// length from outside makes nobody allocate more than that.
pub const MAX_MESSAGE: usize = {
    let mut length = HEADER;
    let mut rest: &[Attribute] = &Attribute::ALL;
    while let [first, others @ ..] = rest {
        length += first.longest();
        rest = others;
    }
    length
};

/// The request in the message. [`message`](super::message) parses one, and [`encode`](super::encode) writes one
/// that keeps the rules documented here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bootstrap {
    /// The namespaces to create.
    pub create: BTreeSet<Namespace>,
    /// The namespaces to join, in the message's order: no type twice, and none
    /// that is created.
    pub join: Vec<NamespacePath>,
    /// The user ids of the new user namespace.
    pub uid_map: Option<Mapping>,
    /// Its group ids.
    pub gid_map: Option<Mapping>,
    /// The group ids are more than the runtime's own one, so that setgroups(2)
    /// stays allowed; without a map for them this is false.
    pub setgroups: bool,
    /// The value for oom_score_adj: -1000 to 1000.
    pub oom_score_adj: Option<i16>,
    /// The runtime is not root: it leaves supplementary groups alone, and denies
    /// setgroups(2) unless `setgroups`.
    pub rootless_euid: bool,
    /// The offsets of the time namespace that is created.
    pub time_offsets: Option<TimeOffsets>,
}

/// The ids of a new user namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The map for `/proc/PID/{uid,gid}_map`.
    pub map: IdMap,
    /// newuidmap(1) or newgidmap(1), for a writer that lacks the capability:
    /// absolute, at most [`MAX_PATH`] bytes.
    pub tool: Option<CString>,
}

impl Bootstrap {
    /// Writes the attributes in the order of their numbers.
    pub(super) fn write(&self, payload: &mut Payload) -> Result<(), Fault<BootstrapErrorKind>> {
        let flags = clone_flags::print(&self.create);
        payload.number(Attribute::CloneFlags, flags);
        if !self.join.is_empty() {
            payload.text(Attribute::NsPaths, &ns_paths::print(&self.join))?;
        }
        for (attribute, mapping) in [
            (Attribute::UidMap, &self.uid_map),
            (Attribute::GidMap, &self.gid_map),
        ] {
            if let Some(mapping) = mapping {
                payload.text(attribute, id_map_lines::print(&mapping.map).as_bytes())?;
            }
        }
        if self.setgroups {
            payload.number(Attribute::Setgroup, 1);
        }
        if let Some(score) = self.oom_score_adj {
            payload.text(Attribute::OomScoreAdj, score.to_string().as_bytes())?;
        }
        payload.number(Attribute::RootlessEuid, u32::from(self.rootless_euid));
        for (attribute, mapping) in [
            (Attribute::UidMapPath, &self.uid_map),
            (Attribute::GidMapPath, &self.gid_map),
        ] {
            if let Some(tool) = mapping.as_ref().and_then(|mapping| mapping.tool.as_ref()) {
                payload.text(attribute, tool.as_bytes())?;
            }
        }
        if let Some(offsets) = &self.time_offsets {
            payload.text(Attribute::TimeOffsets, offsets.to_string().as_bytes())?;
        }
        Ok(())
    }
}

impl RawMessage<'_> {
    /// Resolves them to a request; `end` is the length of the message.
    pub(super) fn resolve(&self, end: usize) -> Result<Bootstrap, Fault<BootstrapErrorKind>> {
        let [
            clone_flags,
            ns_paths,
            uid_map,
            gid_map,
            setgroup,
            oom_score_adj,
            rootless_euid,
            uid_map_path,
            gid_map_path,
            time_offsets,
        ] = &self.values;

        let missing = Fault::new(0..end, BootstrapErrorKind::Missing(Attribute::CloneFlags));
        let create = created(clone_flags.as_ref().ok_or(missing)?)?;
        let join = read(ns_paths, |value| {
            value.parsed(ns_paths::parse, BootstrapErrorKind::NsPaths)
        })?;
        let uids = read(uid_map, id_map)?;
        let gids = read(gid_map, id_map)?;
        let setgroups = read(setgroup, Value::flag)?.unwrap_or(false);
        let oom_score_adj = read(oom_score_adj, |value| {
            value.parsed(oom_score_adj::parse, BootstrapErrorKind::OomScoreAdj)
        })?;
        let rootless_euid = read(rootless_euid, Value::flag)?.unwrap_or(false);
        let uid_tool = read(uid_map_path, tool)?;
        let gid_tool = read(gid_map_path, tool)?;
        let offsets = read(time_offsets, |value| {
            value.parsed(time_offsets::parse, BootstrapErrorKind::TimeOffsets)
        })?;

        let join = join.unwrap_or_default();
        joined_or_created(ns_paths, &join, &create)?;
        for (value, namespace) in [
            (uid_map, Namespace::User),
            (gid_map, Namespace::User),
            (time_offsets, Namespace::Time),
        ] {
            let why = |attribute| BootstrapErrorKind::NotCreated(attribute, namespace);
            absent_unless(create.contains(&namespace), value, why)?;
        }
        let no_map = |map| move |attribute| BootstrapErrorKind::NoMap(attribute, map);
        absent_unless(uids.is_some(), uid_map_path, no_map(Attribute::UidMap))?;
        absent_unless(gids.is_some(), gid_map_path, no_map(Attribute::GidMap))?;
        if setgroups {
            absent_unless(gids.is_some(), setgroup, no_map(Attribute::GidMap))?;
        }
        Ok(Bootstrap {
            create,
            join,
            uid_map: uids.map(|map| Mapping {
                map,
                tool: uid_tool,
            }),
            gid_map: gids.map(|map| Mapping {
                map,
                tool: gid_tool,
            }),
            setgroups,
            oom_score_adj,
            rootless_euid,
            time_offsets: offsets,
        })
    }
}

fn read<'a, T>(
    value: &Option<Value<'a>>,
    meaning: impl FnOnce(&Value<'a>) -> Result<T, Fault<BootstrapErrorKind>>,
) -> Result<Option<T>, Fault<BootstrapErrorKind>> {
    value.as_ref().map(meaning).transpose()
}

fn created(value: &Value<'_>) -> Result<BTreeSet<Namespace>, Fault<BootstrapErrorKind>> {
    let flags = value.number()?;
    clone_flags::parse(flags).map_err(|others| value.fault(BootstrapErrorKind::CloneFlags(others)))
}

fn id_map(value: &Value<'_>) -> Result<IdMap, Fault<BootstrapErrorKind>> {
    value.parsed(id_map_lines::parse, |reason| {
        BootstrapErrorKind::IdMap(value.attribute, reason)
    })
}

fn tool(value: &Value<'_>) -> Result<CString, Fault<BootstrapErrorKind>> {
    let path = |text: &[u8]| absolute(text).ok_or_else(|| Fault::new(0..text.len(), ()));
    value.parsed(path, |()| BootstrapErrorKind::Tool(value.attribute))
}

/// No namespace is both.
fn joined_or_created(
    value: &Option<Value<'_>>,
    join: &[NamespacePath],
    create: &BTreeSet<Namespace>,
) -> Result<(), Fault<BootstrapErrorKind>> {
    let both = join.iter().find(|entry| create.contains(&entry.namespace));
    match (value, both) {
        (Some(value), Some(both)) => {
            Err(value.whole(BootstrapErrorKind::JoinedAndCreated(both.namespace)))
        }
        _ => Ok(()),
    }
}

/// Requires that an attribute is absent, or that the attribute it depends on is
/// present.
fn absent_unless(
    applies: bool,
    value: &Option<Value<'_>>,
    why: impl FnOnce(Attribute) -> BootstrapErrorKind,
) -> Result<(), Fault<BootstrapErrorKind>> {
    match value {
        Some(value) if !applies => Err(value.whole(why(value.attribute))),
        _ => Ok(()),
    }
}
