//! Variables: lists of texts, and the paths that are put together from them.

use std::ops::Range;

use toml::Spanned;

use super::{MAX_PATH, MAX_PLACES, Reason};
use nsexec_text::Fault;

/// The variables of a file, and which of them were needed.
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

/// A part of a path as it is written.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    Variable(&'a str),
}

impl Variables {
    pub(super) const NONE: Self = Self(Vec::new());

    /// Takes in another variable.
    pub(super) fn define(
        &mut self,
        name: &Spanned<String>,
        values: &[Spanned<String>],
    ) -> Result<(), Fault<Reason>> {
        let text = name.get_ref();
        let at = |reason| Fault::new(name.span(), reason);
        if !is_name(text) {
            return Err(at(Reason::VariableName(text.clone())));
        }
        if self.0.iter().any(|other| other.name == *text) {
            return Err(at(Reason::RepeatedVariable(text.clone())));
        }
        let mut read: Vec<String> = Vec::new();
        for value in values {
            let at = |reason| Fault::new(value.span(), reason);
            let text = value.get_ref();
            if text.is_empty() {
                return Err(at(Reason::EmptyValue));
            }
            if text.contains('$') {
                return Err(at(Reason::Recursion(text.clone())));
            }
            if read.contains(text) {
                return Err(at(Reason::RepeatedValue(text.clone())));
            }
            // Each makes a path at least.
            if read.len() == MAX_PLACES {
                return Err(at(Reason::TooMany("literal")));
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

    /// The paths that `written` stands for: one for each choice of values.
    pub(super) fn paths(&mut self, written: &str) -> Result<Vec<String>, Reason> {
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
            // Before anything is made: a line of variables could stand for
            // more paths than memory holds.
            if paths.len() * values.len() > MAX_PLACES {
                return Err(Reason::TooMany("parent"));
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
                return Err(Reason::LongPath);
            }
        }
        Ok(paths)
    }

    /// Refuses what no path has needed.
    pub(super) fn all_used(&self) -> Result<(), Fault<Reason>> {
        match self.0.iter().find(|variable| !variable.used) {
            None => Ok(()),
            Some(Variable { name, place, .. }) => {
                Err(Fault::new(place.clone(), Reason::Unused(name.clone())))
            }
        }
    }

    fn values(&mut self, name: &str) -> Result<&[String], Reason> {
        if !is_name(name) {
            return Err(Reason::VariableName(name.to_owned()));
        }
        match self.0.iter_mut().find(|variable| variable.name == name) {
            None => Err(Reason::Undefined(name.to_owned())),
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

/// Takes a path apart: `${name}` is a variable, `$$` a `$`, and no other `$` is
/// there.
fn parts(written: &str) -> Result<Vec<Part<'_>>, Reason> {
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
                return Err(Reason::Unclosed(written.to_owned()));
            };
            parts.push(Part::Variable(name));
            rest = behind;
        } else {
            return Err(Reason::Dollar(written.to_owned()));
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
            variables.define(&spanned(name), &values).expect("right");
        }
        variables
    }

    fn paths(written: &str) -> Result<Vec<String>, Reason> {
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
    fn what_is_no_variable_is_refused() {
        let text = |text: &str| text.to_owned();
        for (written, reason) in [
            ("/a$", Reason::Dollar(text("/a$"))),
            ("/$one", Reason::Dollar(text("/$one"))),
            ("/$ {one}", Reason::Dollar(text("/$ {one}"))),
            ("/$$$", Reason::Dollar(text("/$$$"))),
            ("/${one", Reason::Unclosed(text("/${one"))),
            ("/${", Reason::Unclosed(text("/${"))),
            ("/${}", Reason::VariableName(text(""))),
            ("/${1}", Reason::VariableName(text("1"))),
            ("/${_one}", Reason::VariableName(text("_one"))),
            ("/${on e}", Reason::VariableName(text("on e"))),
            ("/${é}", Reason::VariableName(text("é"))),
            ("/${${one}}", Reason::VariableName(text("${one"))),
            ("/${One}", Reason::Undefined(text("One"))),
        ] {
            assert_eq!(paths(written), Err(reason), "{written}");
        }
    }

    #[test]
    fn what_is_not_needed_is_named() {
        let mut variables = variables(&[("one", &["x"]), ("two", &["a"])]);
        assert_eq!(variables.paths("${two}"), Ok(vec!["a".to_owned()]));
        let unused = Reason::Unused("one".to_owned());
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
        assert_eq!(count("${m}${n}"), Err(Reason::TooMany("parent")));
        assert_eq!(count("${s}${s}${b}${b}"), Err(Reason::TooMany("parent")));
        assert_eq!(
            count(&"${s}".repeat(10_000)),
            Err(Reason::TooMany("parent"))
        );
        let long = "x".repeat(MAX_PATH - 2);
        assert_eq!(count(&format!("${{s}}{long}")), Ok(16));
        assert_eq!(count(&format!("${{s}}{long}y")), Err(Reason::LongPath));
        assert_eq!(count(&"/".repeat(MAX_PATH + 1)), Err(Reason::LongPath));
    }
}
