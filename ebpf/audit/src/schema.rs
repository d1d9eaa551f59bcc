//! Lines that are held to docs/audit-event.schema.json.
//!
//! The schema itself is what is checked, so a member that is added to it is taken
//! here too. Two members of one name, which JSON leaves open, are an error.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::text::escaped;

/// What the lines of `--format json` are.
pub const TEXT: &str = include_str!("../../../docs/audit-event.schema.json");

/// As much of JSON Schema as ours uses.
#[derive(Debug)]
pub struct Schema(Value);

/// Why a line is none of the schema's.
#[derive(Debug)]
pub enum Unfit {
    /// It is no JSON, or has a member twice.
    Json(serde_json::Error),
    /// There is no member `kind` that is a text.
    NoKind,
    /// No line is of this kind.
    UnknownKind(String),
    /// A member, as a path from the line, is not there.
    Missing(String),
    /// There is no such member.
    Unknown(String),
    /// A member is not what it has to be.
    Value(String),
}

impl Schema {
    /// Ours.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn ours() -> Result<Self, serde_json::Error> {
        serde_json::from_str(TEXT).map(Self)
    }

    /// Reads a line.
    ///
    /// # Errors
    /// It is none of the schema's, and why.
    pub fn line(&self, text: &[u8]) -> Result<Value, Unfit> {
        let Unique(line) = serde_json::from_slice(text).map_err(Unfit::Json)?;
        let kind = line.get("kind").and_then(Value::as_str);
        let kind = kind.ok_or(Unfit::NoKind)?;
        let schema = self.lines().find(|schema| {
            schema
                .pointer("/properties/kind")
                .is_some_and(|of| allows(of, kind))
        });
        let schema = schema.ok_or_else(|| Unfit::UnknownKind(kind.to_owned()))?;
        self.check(schema, &line, "line")?;
        Ok(line)
    }

    /// Every kind of line.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.lines().flat_map(|schema| {
            let kind = schema.pointer("/properties/kind");
            let one = kind.and_then(|kind| kind.get("const"));
            let some = kind
                .and_then(|kind| kind.get("enum"))
                .and_then(Value::as_array);
            one.into_iter()
                .chain(some.into_iter().flatten())
                .filter_map(Value::as_str)
        })
    }

    fn lines(&self) -> impl Iterator<Item = &Value> {
        let lines = self.0.get("oneOf").and_then(Value::as_array);
        lines.into_iter().flatten().map(|one| self.followed(one))
    }

    /// What a reference stands for.
    fn followed<'a>(&'a self, schema: &'a Value) -> &'a Value {
        schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|name| self.0.pointer(name.strip_prefix('#')?))
            .unwrap_or(schema)
    }

    fn check(&self, schema: &Value, value: &Value, at: &str) -> Result<(), Unfit> {
        let schema = self.followed(schema);
        let types = match schema.get("type") {
            None => None,
            Some(Value::Array(several)) => Some(several.iter().collect()),
            Some(one) => Some(vec![one]),
        };
        let fits = types.is_none_or(|types: Vec<&Value>| {
            types
                .iter()
                .any(|name| is_a(value, name.as_str().unwrap_or_default()))
        });
        let constant = schema.get("const").is_none_or(|only| only == value);
        let listed = schema
            .get("enum")
            .and_then(Value::as_array)
            .is_none_or(|list| list.contains(value));
        if !(fits && constant && listed) {
            return Err(Unfit::Value(at.to_owned()));
        }
        match value {
            Value::Object(members) => self.members(schema, members, at),
            Value::Array(items) => self.items(schema, items, at),
            _ => Ok(()),
        }
    }

    fn members(&self, schema: &Value, members: &Map<String, Value>, at: &str) -> Result<(), Unfit> {
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                return Err(Unfit::Missing(format!("{at}.{name}")));
            }
        }
        for (name, member) in members {
            let at = format!("{at}.{}", escaped(name));
            let known = schema.get("properties").and_then(|all| all.get(name));
            match (known, schema.get("additionalProperties")) {
                (Some(schema), _) => self.check(schema, member, &at)?,
                (None, Some(Value::Bool(false))) => return Err(Unfit::Unknown(at)),
                (None, Some(schema @ Value::Object(_))) => self.check(schema, member, &at)?,
                (None, _) => {}
            }
        }
        Ok(())
    }

    fn items(&self, schema: &Value, items: &[Value], at: &str) -> Result<(), Unfit> {
        if let Some(prefix) = schema.get("prefixItems").and_then(Value::as_array) {
            if prefix.len() != items.len() {
                return Err(Unfit::Value(at.to_owned()));
            }
            for (schema, item) in prefix.iter().zip(items) {
                self.check(schema, item, at)?;
            }
        } else if let Some(schema) = schema.get("items") {
            for item in items {
                self.check(schema, item, at)?;
            }
        }
        Ok(())
    }
}

/// Whether a member of this schema, a constant or a list, can be `text`.
fn allows(schema: &Value, text: &str) -> bool {
    let list = schema.get("enum").and_then(Value::as_array);
    schema.get("const").is_some_and(|only| only == text)
        || list.is_some_and(|list| list.iter().any(|one| one == text))
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
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
                return Err(de::Error::custom(format!(
                    "{} stands twice",
                    escaped(&name)
                )));
            }
            all.insert(name, member);
        }
        Ok(all.into())
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = "docs/audit-event.schema.json has what it can be";
        match self {
            Self::Json(error) => write!(f, "it is no line of --format json: {error}"),
            Self::NoKind => write!(f, "it has no kind; {schema}"),
            Self::UnknownKind(kind) => write!(f, "no line is of kind {}; {schema}", escaped(kind)),
            Self::Missing(at) => write!(f, "{at} is missing; {schema}"),
            Self::Unknown(at) => write!(f, "there is no {at}; {schema}"),
            Self::Value(at) => write!(f, "{at} cannot be this; {schema}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST: &str = r#"{"kind":"lost","ts_boot_ns":1,"ts_wall_ms":1,"cpu":0,"cpu_seq":0,"lost_before":1,"backend":"x","ring":"lineage","count":1,"chain":"0"}"#;

    fn why(text: &str) -> String {
        match Schema::ours().unwrap().line(text.as_bytes()) {
            Ok(_) => String::new(),
            Err(unfit) => {
                let debug = format!("{unfit:?}");
                debug.split('(').next().unwrap().to_owned()
            }
        }
    }

    #[test]
    fn what_the_schema_does_not_have_is_refused() {
        assert_eq!(why(LOST), "");
        for (from, to, unfit) in [
            ("\"lost\"", "\"found\"", "UnknownKind"),
            ("\"lost\"", "7", "NoKind"),
            ("\"lineage\"", "\"other\"", "Value"),
            ("\"count\":1", "\"count\":\"1\"", "Value"),
            ("\"count\":1", "\"count\":1.0", "Value"),
            ("\"count\":1,", "", "Missing"),
            ("\"count\":1", "\"count\":1,\"more\":1", "Unknown"),
            ("\"count\":1", "\"count\":1,\"count\":1", "Json"),
            ("}", "} {}", "Json"),
            ("}", "", "Json"),
        ] {
            let changed = LOST.replacen(from, to, 1);
            assert_ne!(changed, LOST);
            assert_eq!(why(&changed), unfit, "{changed}");
        }
        assert_eq!(why(""), "Json");
        assert_eq!(why("[]"), "NoKind");
    }

    #[test]
    fn members_of_members_are_checked() {
        let start = r#"{"kind":"start","schema":1,"version":"v","boot_id":"b","node":"n","ts_wall_ms":1,"host":{"net":[1,2]},"chain":"0"}"#;
        assert_eq!(why(start), "");
        for (to, unfit) in [
            ("{\"net\":[1]}", "Value"),
            ("{\"net\":[1,2,3]}", "Value"),
            ("{\"net\":[1,\"2\"]}", "Value"),
            ("{\"nets\":[1,2]}", "Unknown"),
            ("{\"net\":[1,2],\"net\":[1,2]}", "Json"),
        ] {
            assert_eq!(
                why(&start.replacen("{\"net\":[1,2]}", to, 1)),
                unfit,
                "{to}"
            );
        }
    }

    /// A word that the check does not know would be taken for nothing.
    #[test]
    fn the_schema_uses_what_is_checked() {
        fn words(schema: &Value, names: bool, all: &mut Vec<String>) {
            match schema {
                Value::Object(members) => {
                    for (name, member) in members {
                        if !names {
                            all.push(name.clone());
                        }
                        let inner = !names && (name == "properties" || name == "$defs");
                        words(member, inner, all);
                    }
                }
                Value::Array(items) => items.iter().for_each(|item| words(item, false, all)),
                _ => {}
            }
        }
        let Schema(root) = Schema::ours().unwrap();
        let mut all = Vec::new();
        words(&root, false, &mut all);
        let known = [
            "$schema",
            "title",
            "description",
            "oneOf",
            "$defs",
            "$ref",
            "type",
            "const",
            "enum",
            "required",
            "properties",
            "additionalProperties",
            "items",
            "prefixItems",
        ];
        for word in all {
            assert!(known.contains(&word.as_str()), "{word}");
        }
    }
}
