//! A raw rule file in JSON.

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::LandlockFileErrorKind;
use super::raw::{Beneath, Extension, List, Ports, RawRules, RawVariable, Ruleset};
use nsexec_text::Fault;
use nsexec_text::json::{Object, Placed, complaint};

/// The text, with the place of each value.
pub(super) fn read(text: &str) -> Result<RawRules, Fault<LandlockFileErrorKind>> {
    let Object(file): Object<File> = serde_json::from_str(text).map_err(|error| {
        let (span, words) = complaint(text.as_bytes(), &error);
        Fault::new(span, LandlockFileErrorKind::Json(words))
    })?;
    let top = Placed::top(text);
    Ok(RawRules {
        abi: Spanned::new(top.member("abi").place, file.abi),
        variable: file
            .variable
            .map(|all| list(all, &top.member("variable"), variable)),
        ruleset: list(file.ruleset, &top.member("ruleset"), ruleset),
        path_beneath: file
            .path_beneath
            .map(|rules| list(rules, &top.member("pathBeneath"), beneath)),
        net_port: file
            .net_port
            .map(|rules| list(rules, &top.member("netPort"), ports)),
        extension: file
            .extension
            .map(|read| extension(read, &top.member("x-nsexec"))),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    abi: i64,
    #[serde(default, deserialize_with = "no_null")]
    variable: Option<Vec<Object<JsonVariable>>>,
    ruleset: Vec<Object<JsonRuleset>>,
    #[serde(default, deserialize_with = "no_null")]
    path_beneath: Option<Vec<Object<JsonBeneath>>>,
    #[serde(default, deserialize_with = "no_null")]
    net_port: Option<Vec<Object<JsonPorts>>>,
    #[serde(default, deserialize_with = "no_null", rename = "x-nsexec")]
    extension: Option<Object<JsonExtension>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct JsonVariable {
    name: String,
    literal: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct JsonRuleset {
    #[serde(default, deserialize_with = "no_null")]
    handled_access_fs: Option<Vec<String>>,
    #[serde(default, deserialize_with = "no_null")]
    handled_access_net: Option<Vec<String>>,
    #[serde(default, deserialize_with = "no_null")]
    scoped: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct JsonBeneath {
    allowed_access: Vec<String>,
    parent: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct JsonPorts {
    allowed_access: Vec<String>,
    port: Vec<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct JsonExtension {
    log: Vec<String>,
}

/// A present key must have a value: `null` is an error.
fn no_null<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

fn variable(Object(read): Object<JsonVariable>, at: &Placed<'_>) -> Object<RawVariable> {
    Object(RawVariable {
        name: Spanned::new(at.member("name").place, read.name),
        literal: plain(read.literal, at, "literal"),
    })
}

fn ruleset(Object(read): Object<JsonRuleset>, at: &Placed<'_>) -> Object<Ruleset> {
    let rights = |rights: Option<Vec<String>>, key| rights.map(|rights| plain(rights, at, key));
    Object(Ruleset {
        handled_access_fs: rights(read.handled_access_fs, "handledAccessFs"),
        handled_access_net: rights(read.handled_access_net, "handledAccessNet"),
        scoped: rights(read.scoped, "scoped"),
    })
}

fn beneath(Object(read): Object<JsonBeneath>, at: &Placed<'_>) -> Object<Beneath> {
    Object(Beneath {
        allowed_access: plain(read.allowed_access, at, "allowedAccess"),
        parent: plain(read.parent, at, "parent"),
    })
}

fn ports(Object(read): Object<JsonPorts>, at: &Placed<'_>) -> Object<Ports> {
    Object(Ports {
        allowed_access: plain(read.allowed_access, at, "allowedAccess"),
        port: plain(read.port, at, "port"),
    })
}

fn extension(Object(read): Object<JsonExtension>, at: &Placed<'_>) -> Object<Extension> {
    Object(Extension {
        log: plain(read.log, at, "log"),
    })
}

/// A member that is a list of plain values.
fn plain<T>(values: Vec<T>, object: &Placed<'_>, key: &str) -> List<T> {
    list(values, &object.member(key), |value, _| value)
}

/// The values with the places of the list's elements.
fn list<T, U>(values: Vec<T>, at: &Placed<'_>, each: impl Fn(T, &Placed<'_>) -> U) -> List<U> {
    let mut elements = at.elements();
    let values = values.into_iter().map(|value| {
        let element = elements.next().unwrap_or_else(|| at.clone());
        Spanned::new(element.place.clone(), each(value, &element))
    });
    Spanned::new(at.place.clone(), values.collect())
}
