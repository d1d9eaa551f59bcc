//! Resolves the attributes, each alone and then together.

use std::collections::BTreeSet;
use std::ffi::CString;

use super::raw::{RawMessage, Value};
use super::{Attribute, Bootstrap, BootstrapErrorKind, Mapping};
use crate::ns_paths::NamespacePath;
use crate::path::absolute;
use crate::{clone_flags, id_map_lines, ns_paths, oom_score_adj, time_offsets};
use nsexec_kernel_text::procfs::id_map::IdMap;
use nsexec_request::Namespace;
use nsexec_text::Fault;

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
