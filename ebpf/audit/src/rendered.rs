//! A value whose JSON is made once, however many lines it stands in.

use std::ops::Deref;
use std::sync::OnceLock;

use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// The value, and its JSON once that was asked for.
#[derive(Debug)]
pub struct Rendered<T> {
    value: T,
    json: OnceLock<Option<Box<RawValue>>>,
}

impl<T> Rendered<T> {
    /// Its JSON is made when it is first written.
    pub fn new(value: T) -> Self {
        let json = OnceLock::new();
        Self { value, json }
    }
}

impl<T> Deref for Rendered<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Serialize> Serialize for Rendered<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.json.get_or_init(|| to_raw_value(&self.value).ok()) {
            Some(json) => json.serialize(to),
            // It says what is wrong.
            None => self.value.serialize(to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_time_and_every_other_it_is_the_json_of_the_value() {
        let value = ("a \"name\"\n", [1, 2], None::<u8>);
        let rendered = Rendered::new(value);
        for _ in 0..2 {
            let json = serde_json::to_string(&rendered).unwrap();
            assert_eq!(json, serde_json::to_string(&value).unwrap());
        }
        assert_eq!(*rendered, value);
    }
}
