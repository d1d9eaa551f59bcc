//! Variables: lists of texts, and the paths built from them.

use std::ops::Range;

use toml::Spanned;

use super::{LandlockFileErrorKind, MAX_PATH, MAX_PLACES};
use nsexec_text::Fault;

/// The variables of a file, and whether each was used.
#[derive(Debug)]
pub(super) struct Variables(Vec<Variable>);

#[derive(Debug)]
struct Variable {
    name: String,
    place: Range<usize>,
    /// None of them empty: a path grows with each variable in it.
    values: Vec<String>,
    used: bool,
}

/// A part of a path with variables.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    Variable(&'a str),
}

impl Variables {
    pub(super) const NONE: Self = Self(Vec::new());

    /// Adds a variable.
    pub(super) fn define(
        &mut self,
        name: &Spanned<String>,
        values: &[Spanned<String>],
    ) -> Result<(), Fault<LandlockFileErrorKind>> {
        let text = name.get_ref();
        let at = |reason| Fault::new(name.span(), reason);
        if !is_name(text) {
            return Err(at(LandlockFileErrorKind::VariableName(text.clone())));
        }
        if self.0.iter().any(|other| other.name == *text) {
            return Err(at(LandlockFileErrorKind::RepeatedVariable(text.clone())));
        }
        let mut read: Vec<String> = Vec::new();
        for value in values {
            let at = |reason| Fault::new(value.span(), reason);
            let text = value.get_ref();
            if text.is_empty() {
                return Err(at(LandlockFileErrorKind::EmptyValue));
            }
            if text.contains('$') {
                return Err(at(LandlockFileErrorKind::Recursion(text.clone())));
            }
            if read.contains(text) {
                return Err(at(LandlockFileErrorKind::RepeatedValue(text.clone())));
            }
            // Each makes a path at least.
            if read.len() == MAX_PLACES {
                return Err(at(LandlockFileErrorKind::TooMany("literal")));
            }
            read.push(text.clone());
        }
        self.0.push(Variable {
            name: text.clone(),
            place: name.span(),
            values: read,
            used: false,
        });
        Ok(())
    }

    /// Expands `written`: one path for each combination of values.
    pub(super) fn paths(&mut self, written: &str) -> Result<Vec<String>, LandlockFileErrorKind> {
        let mut paths = vec![String::new()];
        for part in parts(written)? {
            let text;
            let values = match part {
                Part::Text(plain) => {
                    text = [plain.to_owned()];
                    text.as_slice()
                }
                Part::Variable(name) => self.values(name)?,
            };
            // Checked before the allocation: a few variables can expand to more
            // paths than fit in memory.
            if paths.len() * values.len() > MAX_PLACES {
                return Err(LandlockFileErrorKind::TooMany("parent"));
            }
            if let [one] = values {
                paths.iter_mut().for_each(|path| path.push_str(one));
            } else {
                let each = |path: &String| {
                    let path = path.clone();
                    values.iter().map(move |value| format!("{path}{value}"))
                };
                paths = paths.iter().flat_map(each).collect();
            }
            if paths.iter().any(|path| path.len() > MAX_PATH) {
                return Err(LandlockFileErrorKind::LongPath);
            }
        }
        Ok(paths)
    }

    /// Returns an error for a variable that no path used.
    pub(super) fn all_used(&self) -> Result<(), Fault<LandlockFileErrorKind>> {
        match self.0.iter().find(|variable| !variable.used) {
            None => Ok(()),
            Some(Variable { name, place, .. }) => Err(Fault::new(
                place.clone(),
                LandlockFileErrorKind::Unused(name.clone()),
            )),
        }
    }

    fn values(&mut self, name: &str) -> Result<&[String], LandlockFileErrorKind> {
        if !is_name(name) {
            return Err(LandlockFileErrorKind::VariableName(name.to_owned()));
        }
        match self.0.iter_mut().find(|variable| variable.name == name) {
            None => Err(LandlockFileErrorKind::Undefined(name.to_owned())),
            Some(variable) => {
                variable.used = true;
                Ok(&variable.values)
            }
        }
    }
}

/// A letter of ASCII, then letters, digits and `_`: landlockconfig's.
fn is_name(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.bytes().all(word)
}

/// Splits a path: `${name}` is a variable, `$$` is a `$`, and any other `$` is
/// an error.
fn parts(written: &str) -> Result<Vec<Part<'_>>, LandlockFileErrorKind> {
    let mut parts = Vec::new();
    let mut rest = written;
    while let Some((text, special)) = rest.split_once('$') {
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        if let Some(behind) = special.strip_prefix('$') {
            parts.push(Part::Text("$"));
            rest = behind;
        } else if let Some(name) = special.strip_prefix('{') {
            let Some((name, behind)) = name.split_once('}') else {
                return Err(LandlockFileErrorKind::Unclosed(written.to_owned()));
            };
            parts.push(Part::Variable(name));
            rest = behind;
        } else {
            return Err(LandlockFileErrorKind::Dollar(written.to_owned()));
        }
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(all: &[(&str, &[&str])]) -> Variables {
        let spanned = |text: &str| Spanned::new(0..0, text.to_owned());
        let mut variables = Variables::NONE;
        for (name, values) in all {
            let values: Vec<_> = values.iter().map(|value| spanned(value)).collect();
            variables.define(&spanned(name), &values).expect("valid");
        }
        variables
    }

    fn paths(written: &str) -> Result<Vec<String>, LandlockFileErrorKind> {
        variables(&[("one", &["x"]), ("two", &["a", "b"]), ("L2_", &["1", "2"])]).paths(written)
    }

    #[test]
    fn each_choice_of_values_is_a_path() {
        for (written, expected) in [
            ("/plain", ["/plain"].as_slice()),
            ("/${one}", &["/x"]),
            ("${two}", &["a", "b"]),
            (
                "/${two}/${L2_}/z",
                &["/a/1/z", "/a/2/z", "/b/1/z", "/b/2/z"],
            ),
            ("${two}${two}", &["aa", "ab", "ba", "bb"]),
            ("/${one}.${one}", &["/x.x"]),
            ("/$$", &["/$"]),
            ("/$${one}", &["/${one}"]),
            ("/$$${one}", &["/$x"]),
            ("/{${one}}", &["/{x}"]),
            ("", &[""]),
        ] {
            let expected: Vec<String> = expected.iter().map(|path| (*path).to_owned()).collect();
            assert_eq!(paths(written), Ok(expected), "{written}");
        }
    }

    #[test]
    fn an_invalid_variable_is_an_error() {
        let text = |text: &str| text.to_owned();
        for (written, reason) in [
            ("/a$", LandlockFileErrorKind::Dollar(text("/a$"))),
            ("/$one", LandlockFileErrorKind::Dollar(text("/$one"))),
            ("/$ {one}", LandlockFileErrorKind::Dollar(text("/$ {one}"))),
            ("/$$$", LandlockFileErrorKind::Dollar(text("/$$$"))),
            ("/${one", LandlockFileErrorKind::Unclosed(text("/${one"))),
            ("/${", LandlockFileErrorKind::Unclosed(text("/${"))),
            ("/${}", LandlockFileErrorKind::VariableName(text(""))),
            ("/${1}", LandlockFileErrorKind::VariableName(text("1"))),
            (
                "/${_one}",
                LandlockFileErrorKind::VariableName(text("_one")),
            ),
            (
                "/${on e}",
                LandlockFileErrorKind::VariableName(text("on e")),
            ),
            ("/${é}", LandlockFileErrorKind::VariableName(text("é"))),
            (
                "/${${one}}",
                LandlockFileErrorKind::VariableName(text("${one")),
            ),
            ("/${One}", LandlockFileErrorKind::Undefined(text("One"))),
        ] {
            assert_eq!(paths(written), Err(reason), "{written}");
        }
    }

    #[test]
    fn an_unused_variable_is_an_error() {
        let mut variables = variables(&[("one", &["x"]), ("two", &["a"])]);
        assert_eq!(variables.paths("${two}"), Ok(vec!["a".to_owned()]));
        let unused = LandlockFileErrorKind::Unused("one".to_owned());
        assert_eq!(variables.all_used(), Err(Fault::new(0..0, unused)));
        assert!(variables.paths("${one}").is_ok());
        assert_eq!(variables.all_used(), Ok(()));
    }

    #[test]
    fn paths_multiply_up_to_their_limits() {
        let numbers: Vec<String> = (10..37).map(|n| n.to_string()).collect();
        let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let mut variables = variables(&[
            ("s", &numbers[..16]),
            ("b", &["0", "1"]),
            ("m", &numbers[..19]),
            ("n", &numbers),
        ]);
        let mut count = |written: &str| variables.paths(written).map(|paths| paths.len());
        assert_eq!(16 * 16 * 2, MAX_PLACES);
        assert_eq!(count("${s}${b}${s}"), Ok(MAX_PLACES));
        assert_eq!(19 * 27, MAX_PLACES + 1);
        assert_eq!(
            count("${m}${n}"),
            Err(LandlockFileErrorKind::TooMany("parent"))
        );
        assert_eq!(
            count("${s}${s}${b}${b}"),
            Err(LandlockFileErrorKind::TooMany("parent"))
        );
        assert_eq!(
            count(&"${s}".repeat(10_000)),
            Err(LandlockFileErrorKind::TooMany("parent"))
        );
        let long = "x".repeat(MAX_PATH - 2);
        assert_eq!(count(&format!("${{s}}{long}")), Ok(16));
        assert_eq!(
            count(&format!("${{s}}{long}y")),
            Err(LandlockFileErrorKind::LongPath)
        );
        assert_eq!(
            count(&"/".repeat(MAX_PATH + 1)),
            Err(LandlockFileErrorKind::LongPath)
        );
    }
}
