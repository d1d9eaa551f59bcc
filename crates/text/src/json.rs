//! Position, nesting depth and form of a JSON value, which serde does not
//! report.
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

    /// The member of this name, or the object itself if there is none.
    pub fn member(&self, name: &str) -> Self {
        self.child(Step::Key(name)).unwrap_or_else(|| self.clone())
    }

    /// The elements, in order; empty if the value is not an array.
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

/// The offset at which the text first nests deeper than `limit` arrays and
/// objects.
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

/// The span of serde's error (whole characters) and serde's message without its
/// position, with control characters escaped.
#[must_use]
pub fn complaint(text: &[u8], error: &serde_json::Error) -> (Range<usize>, String) {
    let line_at: usize = text
        .split_inclusive(|byte| *byte == b'\n')
        .take(error.line().saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    // serde's column counts the bytes read so far: it points at the last of
    // them.
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

/// The start of the key or value whose last byte serde read at `last`. For an
/// array or object, the start of the part already read.
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

/// serde's message in plain English: serde uses the names of Rust types.
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

/// `text` for an error: control characters escaped, cut at `MAX_QUOTED` characters.
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

/// A `T` written as an object. The derived code of a struct also accepts an
/// array, field by field.
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

/// The direct children of the container at `place`; none for other values.
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

/// A cursor over well-formed JSON. For malformed text it returns wrong positions
/// and never panics.
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

    /// Skips `byte` if it is next.
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

    /// Skips a value of any depth, without recursion.
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
mod tests;
