//! Checks the output of a program against its JSON Schema.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use serde_json::Value;

/// Implements the parts of JSON Schema that our schemas use. Returns the mismatch, if any.
pub fn wrong(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    let schema = match schema["$ref"].as_str() {
        Some(name) => root.pointer(name.strip_prefix('#').unwrap()).unwrap(),
        None => schema,
    };
    let is = |name: &Value| match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    };
    let fits = match &schema["type"] {
        Value::Null => true,
        Value::Array(names) => names.iter().any(is),
        name => is(name),
    };
    // A list: the value must have one of these types.
    if fits && value.is_null() {
        return None;
    }
    let constant = schema.get("const").is_none_or(|constant| constant == value);
    let listed = schema["enum"]
        .as_array()
        .is_none_or(|list| list.contains(value));
    if !(fits && constant && listed) {
        return Some(format!("{at}: {value}"));
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        if value.get(required.as_str().unwrap()).is_none() {
            return Some(format!("{at}: no {required}"));
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{name}");
        match schema["properties"].get(name) {
            Some(schema) => {
                if let Some(wrong) = wrong(root, schema, member, &at) {
                    return Some(wrong);
                }
            }
            None if schema["additionalProperties"] == false => return Some(at),
            None => {}
        }
    }
    let items = schema.get("items").into_iter().cycle();
    let prefix = schema["prefixItems"].as_array();
    let pairs: Vec<(&Value, &Value)> = match (prefix, value.as_array()) {
        (Some(prefix), Some(values)) if prefix.len() != values.len() => {
            return Some(format!("{at}: {value}"));
        }
        (Some(prefix), Some(values)) => prefix.iter().zip(values).collect(),
        (None, Some(values)) => items.zip(values).collect(),
        _ => Vec::new(),
    };
    pairs
        .into_iter()
        .find_map(|(schema, member)| wrong(root, schema, member, at))
}
