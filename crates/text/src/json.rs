//! What serde does not say about a JSON text: where a value stands, how deep it
//! goes, whether a struct was an object.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// A step from a value to one inside it.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// The member of an object.
    Key(&'a str),
    /// The element of an array, from 0.
    Index(usize),
}

/// The bytes of the value that `path` leads to from the top.
///
/// `text` is well-formed. Where the path leads to nothing, the place is that of
/// the last value on it that is there.
pub fn place(text: &str, path: &[Step<'_>]) -> Range<usize> {
    let mut value = Placed::top(text);
    for step in path {
        match value.child(*step) {
            Some(child) => value = child,
            None => break,
        }
    }
    value.place
}

/// A value of a well-formed text.
#[derive(Clone, Debug)]
pub struct Placed<'a> {
    text: &'a str,
    /// The value's bytes.
    pub place: Range<usize>,
}

impl<'a> Placed<'a> {
    /// The whole text's.
    pub fn top(text: &'a str) -> Self {
        let place = Cursor { text, at: 0 }.value().unwrap_or(0..text.len());
        Self { text, place }
    }

    /// The member of this name; where there is none, the object itself.
    pub fn member(&self, name: &str) -> Self {
        self.child(Step::Key(name)).unwrap_or_else(|| self.clone())
    }

    /// The elements, in their order; none of what is no array.
    pub fn elements(&self) -> impl Iterator<Item = Self> + use<'a> {
        let text = self.text;
        let elements = children(text, &self.place).filter(|child| child.key.is_none());
        elements.map(move |child| Self {
            text,
            place: child.value,
        })
    }

    fn child(&self, step: Step<'_>) -> Option<Self> {
        let text = self.text;
        let mut children = children(text, &self.place).enumerate();
        let child = children.find(|(index, child)| match (step, &child.key) {
            (Step::Key(wanted), Some(key)) => key_name(text, key).is_some_and(|k| k == wanted),
            (Step::Index(wanted), None) => wanted == *index,
            _ => false,
        });
        child.map(|(_, child)| Self {
            text,
            place: child.value,
        })
    }
}

/// The keys of the object that `path` leads to, with their places.
pub fn keys<'a>(
    text: &'a str,
    path: &[Step<'_>],
) -> impl Iterator<Item = (Cow<'a, str>, Range<usize>)> {
    children(text, &place(text, path)).filter_map(move |child| {
        let key = child.key?;
        Some((key_name(text, &key)?, key))
    })
}

/// Where the text first goes deeper than `limit` arrays and objects.
pub fn too_deep(text: &str, limit: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > limit {
                    return Some(at);
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// What serde does not take: where it begins, a whole character, and serde's
/// words: without the place, control characters escaped.
#[must_use]
pub fn complaint(text: &[u8], error: &serde_json::Error) -> (Range<usize>, String) {
    let line_at: usize = text
        .split_inclusive(|byte| *byte == b'\n')
        .take(error.line().saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    // The column counts the bytes that were read, so the last of them is meant.
    let inside = |at: &usize| matches!(text.get(*at), Some(0x80..0xc0));
    let mut at = (line_at + error.column().saturating_sub(1)).min(text.len());
    if error.is_data() && error.column() > 0 {
        at = beginning(text, at);
    }
    while at > 0 && inside(&at) {
        at -= 1;
    }
    let mut end = (at + 1).min(text.len());
    while inside(&end) {
        end += 1;
    }
    let words = error.to_string();
    let words = words
        .rsplit_once(" at line ")
        .map_or(words.as_str(), |(words, _)| words);
    (at..end, printable(&plain_words(words)))
}

/// Where the key or value begins of which serde has read `last` last: all of it,
/// or, of an array or object, what comes before.
fn beginning(text: &[u8], last: usize) -> usize {
    let before = text.get(..last).unwrap_or_default();
    let Some(byte) = text.get(last) else {
        return last;
    };
    match byte {
        b' ' | b'\t' | b'\n' | b'\r' | b':' | b',' | b'[' | b'{' => last + 1,
        b'"' => {
            let opens = |at: &usize| {
                let behind = before.get(..*at).unwrap_or_default();
                let escapes = behind.iter().rev().take_while(|b| **b == b'\\').count();
                before.get(*at) == Some(&b'"') && escapes % 2 == 0
            };
            (0..last).rev().find(opens).unwrap_or(last)
        }
        b'}' | b']' => last,
        _ => {
            let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.');
            before
                .iter()
                .rposition(|b| !plain(b))
                .map_or(0, |at| at + 1)
        }
    }
}

/// serde's words, with what it expects in English: it names Rust's types.
pub fn plain_words(words: &str) -> String {
    let types = [
        ("u32", format!("a whole number from 0 to {}", u32::MAX)),
        ("u64", format!("a whole number from 0 to {}", u64::MAX)),
        ("i64", "a whole number".to_owned()),
        ("a sequence", "a list".to_owned()),
    ];
    for (name, english) in types {
        let wrong = words.strip_suffix(name);
        if let Some(wrong) = wrong.filter(|wrong| wrong.ends_with(", expected ")) {
            return format!("{wrong}{english}");
        }
    }
    words.to_owned()
}

/// Longest quotation of an input in an error.
const MAX_QUOTED: usize = 200;

/// `text` for an error: control characters escaped, cut at [`MAX_QUOTED`] characters.
pub fn printable(text: &str) -> String {
    let mut printable = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == MAX_QUOTED {
            printable.push_str("...");
            break;
        }
        if c.is_control() {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
    }
    printable
}

/// A `T` that is written as an object. The derived code of a struct also takes
/// an array, field by field.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("named keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// An object, for `deserialize_with`.
pub fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Object::deserialize(deserializer).map(|Object(value)| value)
}

/// `null` or an object, for `deserialize_with`.
pub fn optional_object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let object = Option::<Object<T>>::deserialize(deserializer)?;
    Ok(object.map(|Object(value)| value))
}

/// `null` or an array of objects, for `deserialize_with`.
pub fn objects<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let objects = Option::<Vec<Object<T>>>::deserialize(deserializer)?;
    Ok(objects.map(|objects| objects.into_iter().map(|Object(value)| value).collect()))
}

/// A member of an object, or an element of an array.
struct Child {
    /// With its quotes; `None` in an array.
    key: Option<Range<usize>>,
    value: Range<usize>,
}

/// What is directly inside the container at `place`; nothing in other values.
fn children<'a>(text: &'a str, place: &Range<usize>) -> impl Iterator<Item = Child> + use<'a> {
    let mut cursor = Cursor {
        text,
        at: place.start,
    };
    let opening = cursor.peek();
    let in_object = opening == Some(b'{');
    let container = in_object || opening == Some(b'[');
    cursor.at += 1;
    std::iter::from_fn(move || {
        if !container {
            return None;
        }
        cursor.pass(b',');
        let key = if in_object {
            let key = cursor.string()?;
            cursor.pass(b':');
            Some(key)
        } else {
            None
        };
        let value = cursor.value()?;
        Some(Child { key, value })
    })
}

/// The name that the string at `place` spells.
fn key_name<'a>(text: &'a str, place: &Range<usize>) -> Option<Cow<'a, str>> {
    let quoted = text.get(place.clone())?;
    let plain = quoted.get(1..quoted.len().checked_sub(1)?)?;
    if plain.contains('\\') {
        return serde_json::from_str(quoted).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(plain))
}

/// Walks over a well-formed text; on another one it gives wrong places, no more.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = self.byte()?;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes over `byte`, if it comes next.
    fn pass(&mut self, byte: u8) {
        if self.peek() == Some(byte) {
            self.at += 1;
        }
    }

    /// Passes over a string.
    fn string(&mut self) -> Option<Range<usize>> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let start = self.at;
        self.at += 1;
        loop {
            match self.byte()? {
                b'\\' => self.at += 2,
                b'"' => break,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(start..self.at)
    }

    /// Passes over a value of any depth, without recursion.
    fn value(&mut self) -> Option<Range<usize>> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => return self.string(),
            b'[' | b'{' => {
                let mut depth = 0_usize;
                loop {
                    match self.peek()? {
                        b'"' => {
                            self.string()?;
                            continue;
                        }
                        b'[' | b'{' => depth += 1,
                        b']' | b'}' => depth -= 1,
                        _ => {}
                    }
                    self.at += 1;
                    if depth == 0 {
                        break;
                    }
                }
            }
            b']' | b'}' => return None,
            _ => {
                while let Some(byte) = self.byte()
                    && !matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r')
                {
                    self.at += 1;
                }
            }
        }
        Some(start..self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::Value;

    const TEXT: &str =
        "\n { \"a\" : [ 1, \"]\\\"\", {\"b\":null} ] ,\"\\u0063\":{},\"d\":-1.5e3}\n";

    fn at(path: &[Step<'_>]) -> &'static str {
        TEXT.get(place(TEXT, path)).expect("inside the text")
    }

    #[test]
    fn values_are_found_by_their_path() {
        use Step::{Index, Key};
        assert_eq!(at(&[]), TEXT.trim());
        assert_eq!(at(&[Key("a")]), "[ 1, \"]\\\"\", {\"b\":null} ]");
        assert_eq!(at(&[Key("a"), Index(0)]), "1");
        assert_eq!(at(&[Key("a"), Index(1)]), "\"]\\\"\"");
        assert_eq!(at(&[Key("a"), Index(2), Key("b")]), "null");
        assert_eq!(at(&[Key("c")]), "{}");
        assert_eq!(at(&[Key("d")]), "-1.5e3");
        assert_eq!(at(&[Key("c"), Key("x")]), "{}");
        assert_eq!(at(&[Key("a"), Index(3)]), at(&[Key("a")]));
    }

    #[test]
    fn values_are_found_step_by_step() {
        let list = Placed::top(TEXT).member("a");
        let elements: Vec<_> = list.elements().map(|e| TEXT.get(e.place)).collect();
        let expected = ["1", "\"]\\\"\"", "{\"b\":null}"].map(Some);
        assert_eq!(elements, expected);
        assert_eq!(Placed::top(TEXT).elements().count(), 0, "of an object");
        assert_eq!(list.member("a").place, list.place, "of an array");
    }

    #[test]
    fn keys_are_spelled_out() {
        let keys: Vec<_> = keys(TEXT, &[])
            .map(|(name, place)| (name.into_owned(), TEXT.get(place)))
            .collect();
        assert_eq!(
            keys,
            [
                ("a".to_owned(), Some("\"a\"")),
                ("c".to_owned(), Some("\"\\u0063\"")),
                ("d".to_owned(), Some("\"d\"")),
            ]
        );
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        assert_eq!(too_deep("[[[]]]", 3), None);
        assert_eq!(too_deep("[[[]]]", 2), Some(2));
        assert_eq!(too_deep("[\"[[\\\"[[\",[]]", 2), None);
        assert_eq!(too_deep("[{},{},[]]", 2), None);
        assert_eq!(too_deep("]]]][[", 1), Some(5));
    }

    #[test]
    fn quotations_are_cut_and_printable() {
        assert_eq!(printable("a\x1b\n\"ä"), "a\\u{1b}\\n\"ä");
        assert_eq!(printable(&"x".repeat(MAX_QUOTED)).len(), MAX_QUOTED);
        let cut = printable(&"x".repeat(MAX_QUOTED + 1));
        assert_eq!(cut, format!("{}...", "x".repeat(MAX_QUOTED)));
    }

    #[test]
    fn a_complaint_is_placed_where_the_wrong_thing_begins() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Numbers {
            #[serde(rename = "n")]
            _n: Vec<u32>,
        }
        let complaint = |text: &str| {
            let error = serde_json::from_str::<Object<Numbers>>(text).map(|_| ());
            let (place, words) = complaint(text.as_bytes(), &error.expect_err(text));
            (text.get(place.start..).expect("inside").to_owned(), words)
        };
        let number = ", expected a whole number from 0 to 4294967295";
        for (text, at, words) in [
            (r#"{"n":["a\\\"b"]}"#, r#""a\\\"b"]}"#, number),
            (r#"{"n":[1,"\\"]}"#, r#""\\"]}"#, number),
            (r#"{"n":[ -12 ]}"#, "-12 ]}", number),
            (r#"{"n":[1.5e+3]}"#, "1.5e+3]}", number),
            (r#"{"n":[1, null]}"#, "null]}", number),
            (r#"{"n":[1, [2]]}"#, "[2]]}", number),
            (r#"{"n":[{}]}"#, "{}]}", number),
            (r#"{"n": {}}"#, "{}}", "map, expected a list"),
            ("{\"n\":\n[1,\n{}]}", "{}]}", number),
            (r#"{"m":1}"#, "\"m\":1}", "unknown field `m`, expected `n`"),
            (r#"{"n":[], "n":[]}"#, "\"n\":[]}", "duplicate field `n`"),
            (
                r#"{"n":[], "\u006e":[]}"#,
                "\"\\u006e\":[]}",
                "duplicate field `n`",
            ),
            ("{ }", "}", "missing field `n`"),
            ("[[]]", "[[]]", "expected named keys"),
            ("7", "7", "expected named keys"),
            // What is no JSON is wrong at the byte itself.
            (r#"{"n":[1,]}"#, "]}", "trailing comma"),
            (r#"{"n":[1}"#, "}", "expected `,` or `]`"),
            (r#"{"n":[1]"#, "]", "EOF while parsing an object"),
        ] {
            let (place, said) = complaint(text);
            assert_eq!(place, at, "{text}: {said}");
            assert!(said.ends_with(words), "{text}: {said}");
        }
    }

    #[test]
    fn an_object_is_no_array() {
        #[derive(Debug, Deserialize, PartialEq)]
        #[serde(deny_unknown_fields)]
        struct Pair {
            a: u8,
            b: u8,
        }
        let read = |text: &str| serde_json::from_str::<Object<Pair>>(text).map(|o| o.0);
        assert_eq!(read("{\"b\":2,\"a\":1}").ok(), Some(Pair { a: 1, b: 2 }));
        assert!(serde_json::from_str::<Pair>("[1,2]").is_ok());
        for wrong in ["[1,2]", "{\"a\":1}", "{\"a\":1,\"b\":2,\"a\":1}", "null"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 30, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn every_place_holds(text: &str, value: &Value, path: &mut Vec<Step<'_>>) {
        let there = text.get(place(text, path)).expect("inside the text");
        let read: Value = serde_json::from_str(there).expect("a value");
        assert_eq!(&read, value);
        match value {
            Value::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    path.push(Step::Index(index));
                    every_place_holds(text, element, path);
                    path.pop();
                }
            }
            Value::Object(members) => {
                for (key, member) in members {
                    let mut path = path.clone();
                    path.push(Step::Key(key));
                    every_place_holds(text, member, &mut path);
                }
            }
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn every_value_is_where_its_path_says(value in json()) {
            for text in [value.to_string(), format!("{value:#}")] {
                every_place_holds(&text, &value, &mut Vec::new());
            }
        }

        #[test]
        fn no_text_is_too_strange(text in any::<String>(), json in "[\\[\\]{}\",:\\\\ a1]{0,40}") {
            for text in [text, json] {
                let at = place(&text, &[Step::Key("a"), Step::Index(1)]);
                prop_assert!(at.end <= text.len() + 1);
                prop_assert!(keys(&text, &[]).count() <= text.len());
                prop_assert!(too_deep(&text, 3).is_none_or(|at| at < text.len()));
            }
        }
    }
}
