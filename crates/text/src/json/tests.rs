use super::*;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

const TEXT: &str = "\n { \"a\" : [ 1, \"]\\\"\", {\"b\":null} ] ,\"\\u0063\":{},\"d\":-1.5e3}\n";

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
        // A syntax error is reported at the byte itself.
        (r#"{"n":[1,]}"#, "]}", "trailing comma"),
        (r#"{"n":[1}"#, "}", "expected `,` or `]`"),
        (r#"{"n":[1]"#, "]", "EOF while parsing an object"),
    ] {
        let (place, printed) = complaint(text);
        assert_eq!(place, at, "{text}: {printed}");
        assert!(printed.ends_with(words), "{text}: {printed}");
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
    fn every_value_is_at_its_path(value in json()) {
        for text in [value.to_string(), format!("{value:#}")] {
            every_place_holds(&text, &value, &mut Vec::new());
        }
    }

    #[test]
    fn arbitrary_text_does_not_panic(text in any::<String>(), json in "[\\[\\]{}\",:\\\\ a1]{0,40}") {
        for text in [text, json] {
            let at = place(&text, &[Step::Key("a"), Step::Index(1)]);
            prop_assert!(at.end <= text.len() + 1);
            prop_assert!(keys(&text, &[]).count() <= text.len());
            prop_assert!(too_deep(&text, 3).is_none_or(|at| at < text.len()));
        }
    }
}
