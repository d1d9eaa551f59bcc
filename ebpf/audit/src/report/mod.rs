//! `report`: one page of HTML from lines of JSON.
//!
//! Whatever the page tells was chosen by those who are told of, and the page is
//! opened by whoever looks into an incident. So: no data in the script, a policy
//! that allows this script and this style alone, nothing from anywhere else, and
//! one way for text to come into the page, `html::Text`. The tables and the time
//! line are whole without the script, which filters and enlarges.

mod describe;
mod health;
mod html;
mod line;
mod page;
mod read;
mod run;
mod tables;
mod timeline;

pub use page::page;
pub use read::{MAX_LINE, Refused, Why, read};
pub use run::{MAX_DRAWN, Run};

use serde_json::Value;

/// A container in a few words, from whatever tells of it: a text, or an object with
/// its runtime and id.
fn named(value: &Value) -> Option<String> {
    let member = |name: &str| value.get(name).and_then(Value::as_str);
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Object(_) => {
            let id = member("id").or(member("name"))?;
            let short: String = id.chars().take(12).collect();
            Some(member("runtime").map_or(short.clone(), |runtime| format!("{runtime} {short}")))
        }
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
