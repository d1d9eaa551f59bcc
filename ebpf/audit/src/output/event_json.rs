//! The lines of `--format json`: every kind, for writing and for reading.
//!
//! docs/audit-event.schema.json is generated from these types, and a test holds it to
//! them. Reading is strict: an unknown kind, member, name or value is an error.

use std::fmt;

use schemars::{JsonSchema, Schema, generate::SchemaSettings, json_schema};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::escape::{escape_json, escape_text};
use super::hash_chain;
use super::health::Health;
use crate::model::event::{
    Alert, Class, GapEvent, LineageEvent, LineageKind, LostEvent, MissedEvent, NamespaceEvent,
    OutputEvent,
};
use crate::model::namespaces::NamespaceMap;

/// The version of the lines; members are only added within one.
pub const SCHEMA: u32 = 1;

/// A line, without its chain value.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    Start(Start),
    NsJoin(Box<NamespaceEvent>),
    NsCreate(Box<NamespaceEvent>),
    NsDenied(Box<NamespaceEvent>),
    NsNoop(Box<NamespaceEvent>),
    NsGap(Box<GapEvent>),
    Fork(Box<LineageEvent>),
    Exec(Box<LineageEvent>),
    Exit(Box<LineageEvent>),
    Lost(LostEvent),
    Missed(MissedEvent),
    Alert(Alert),
    Health(Box<Health>),
}

impl From<OutputEvent> for Line {
    fn from(event: OutputEvent) -> Self {
        match event {
            OutputEvent::Namespace(event) => match event.class {
                Class::JoinHost | Class::JoinOther => Self::NsJoin(event),
                Class::Create | Class::Nested => Self::NsCreate(event),
                Class::Denied => Self::NsDenied(event),
                Class::Noop => Self::NsNoop(event),
            },
            OutputEvent::Gap(gap) => Self::NsGap(gap),
            OutputEvent::Lineage(LineageKind::Fork, event) => Self::Fork(event),
            OutputEvent::Lineage(LineageKind::Exec, event) => Self::Exec(event),
            OutputEvent::Lineage(LineageKind::Exit, event) => Self::Exit(event),
            OutputEvent::Lost(lost) => Self::Lost(lost),
        }
    }
}

/// The first line of each file: the constants of the others.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Start {
    pub schema: SchemaVersion,
    pub version: String,
    /// /proc/sys/kernel/random/boot_id: `exec_id` and ns_id are unique within it.
    pub boot_id: String,
    pub node: String,
    /// The time of day, in milliseconds since 1970.
    pub ts_wall_ms: i64,
    /// The host's namespaces; empty: they are not known.
    pub host: NamespaceMap,
    /// The last chain value of the file before; left out: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continues: Option<String>,
}

/// The version of the lines that this program writes, and the only one that it reads.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SchemaVersion(u32);

impl SchemaVersion {
    /// The only one.
    pub const THIS: Self = Self(SCHEMA);
}

impl<'de> Deserialize<'de> for SchemaVersion {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match u32::deserialize(from)? {
            SCHEMA => Ok(Self::THIS),
            other => Err(de::Error::custom(format!(
                "schema {other}; this program reads schema {SCHEMA}"
            ))),
        }
    }
}

impl JsonSchema for SchemaVersion {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SchemaVersion".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> Schema {
        json_schema!({ "const": SCHEMA })
    }
}

/// Why a text is not a line.
#[derive(Debug)]
pub enum LineError {
    /// It is not JSON, or an object has two members of one name.
    Json(serde_json::Error),
    /// It has no member `kind` that is a text.
    NoKind,
    /// There is no such kind.
    UnknownKind(String),
    /// It has no chain value.
    NoChain,
    /// A member is missing, unknown or wrong.
    Member(serde_json::Error),
    /// The class is not one of this kind.
    Class(Class),
}

impl Line {
    /// Reads a line, with its chain value but without its end.
    ///
    /// # Errors
    /// It is not a line of this version, and why.
    pub fn parse(text: &[u8]) -> Result<Self, LineError> {
        let Unique(value) = serde_json::from_slice(text).map_err(LineError::Json)?;
        let Value::Object(mut members) = value else {
            return Err(LineError::NoKind);
        };
        let kind = members.get("kind").and_then(Value::as_str);
        let kind = kind.ok_or(LineError::NoKind)?.to_owned();
        if !Self::kinds().contains(&kind.as_str()) {
            return Err(LineError::UnknownKind(kind));
        }
        match members.remove(hash_chain::MEMBER_NAME) {
            Some(Value::String(_)) => {}
            _ => return Err(LineError::NoChain),
        }
        let line = serde_json::from_value(Value::Object(members)).map_err(LineError::Member)?;
        match &line {
            Self::NsJoin(event)
            | Self::NsCreate(event)
            | Self::NsDenied(event)
            | Self::NsNoop(event)
                if event.class.kind() != kind =>
            {
                Err(LineError::Class(event.class))
            }
            _ => Ok(line),
        }
    }

    /// Every kind, as `kind` has it.
    #[must_use]
    pub fn kinds() -> &'static [&'static str] {
        &[
            "start",
            "ns_join",
            "ns_create",
            "ns_denied",
            "ns_noop",
            "ns_gap",
            "fork",
            "exec",
            "exit",
            "lost",
            "missed",
            "alert",
            "health",
        ]
    }
}

/// docs/audit-event.schema.json.
#[must_use]
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Line>().to_value();
    if let Some(members) = schema.as_object_mut() {
        members.insert(
            "title".to_owned(),
            "A line of nsexec-audit --format json".into(),
        );
        members.insert(
            "description".to_owned(),
            "The first line of each file is a start, the last one of all a health. Members are \
             only added within a schema version."
                .into(),
        );
    }
    let lines = schema.get_mut("oneOf").and_then(Value::as_array_mut);
    for line in lines.into_iter().flatten() {
        add_chain(line);
    }
    simplify(&mut schema);
    schema
}

/// Removes null, which is never written, and the line breaks of comments.
fn simplify(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    members.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(values)) = members.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
            if let Some(Value::Array(mut choices)) = members.remove("anyOf") {
                choices.retain(|one| one.get("type").is_none_or(|name| name != "null"));
                match choices.pop() {
                    Some(Value::Object(only)) if choices.is_empty() => members.extend(only),
                    other => {
                        choices.extend(other);
                        members.insert("anyOf".to_owned(), choices.into());
                    }
                }
            }
            if let Some(Value::String(text)) = members.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            members.values_mut().for_each(simplify);
        }
        Value::Array(items) => items.iter_mut().for_each(simplify),
        _ => {}
    }
}

/// The member that the writer adds to each line.
fn add_chain(line: &mut Value) {
    let description = "always last: SHA-256 of the chain value of the line before (32 zero bytes \
                       for the first) and of this line without this member";
    let chain = serde_json::json!({ "type": "string", "description": description });
    let name = hash_chain::MEMBER_NAME;
    if let Some(properties) = line.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert(name.to_owned(), chain);
    }
    if let Some(required) = line.get_mut("required").and_then(Value::as_array_mut) {
        required.push(name.into());
    }
}

/// A value of which no object has two members of one name.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading).map(Self)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            all.push(item);
        }
        Ok(all.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some((name, Unique(member))) = members.next_entry::<String, Unique>()? {
            if all.contains_key(&name) {
                return Err(de::Error::custom(format!("member {name:?} is given twice")));
            }
            all.insert(name, member);
        }
        Ok(all.into())
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = "docs/audit-event.schema.json lists what is allowed";
        match self {
            Self::Json(error) => {
                let error = escape_json(&error.to_string());
                write!(f, "not a line of --format json: {error}")
            }
            Self::NoKind => write!(f, "member kind is missing; {schema}"),
            Self::UnknownKind(kind) => {
                let kind = escape_text(kind);
                write!(f, "unknown kind {kind}; {schema}")
            }
            Self::NoChain => write!(f, "member chain is missing; {schema}"),
            Self::Member(error) => {
                let error = escape_json(&error.to_string());
                write!(f, "{error}; {schema}")
            }
            Self::Class(class) => write!(
                f,
                "class {} is of kind {}; {schema}",
                class.name(),
                class.kind()
            ),
        }
    }
}

#[cfg(test)]
mod tests;
