use std::fs;
use std::path::Path;

use askama::Template;
use askama::filters::escape;

use super::*;

#[test]
fn text_cannot_leave_its_place_and_hides_nothing() {
    let shown = |text: &str| escape(text, Escape).unwrap().to_string();
    assert_eq!(shown("a b-größe"), "a b-größe");
    assert_eq!(
        shown("</script><img src=\"x\" onerror='y'>&amp;"),
        "&lt;/script&gt;&lt;img src=&quot;x&quot; onerror=&#39;y&#39;&gt;&amp;amp;"
    );
    assert_eq!(
        shown("\u{1b}[31m\r\n\0\u{7f}"),
        "\\u{1b}[31m\\r\\n\\u{0}\\u{7f}"
    );
    assert_eq!(
        shown("\u{202e}\u{2028}\u{2029}\u{200b}\u{feff}"),
        "\\u{202e}\\u{2028}\\u{2029}\\u{200b}\\u{feff}"
    );
    assert_eq!(shown("\\u{1b}"), "\\\\u{1b}");
    let long = shown(&"x".repeat(MAX_TEXT));
    assert!(!long.ends_with('…'));
    assert!(shown(&"x".repeat(MAX_TEXT + 1)).ends_with("x…"));
}

/// A template that would not be escaped by default, and that asks for no escaping.
#[derive(Template)]
#[template(source = "{{ text }}{{ one }}", ext = "txt", escape = "none")]
struct Careless<'a> {
    text: &'a str,
    one: char,
}

#[test]
fn every_template_is_escaped() {
    let careless = Careless {
        text: "<b>\u{202e}\\",
        one: '<',
    };
    let right = "&lt;b&gt;\\u{202e}\\\\&lt;";
    assert_eq!(careless.render().unwrap(), right);
}

/// Only what is compiled in is not escaped.
#[test]
fn templates_call_nothing_else_safe() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/report");
    let mut allowed = vec!["script|safe", "style|safe", "symbols|safe"];
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let mut text = fs::read_to_string(&path).unwrap();
        if path.ends_with("page.html") {
            allowed.retain(|one| {
                let rest = text.replacen(&format!("{{{{ {one} "), "", 1);
                let found = rest != text;
                text = rest;
                !found
            });
        }
        assert!(!text.contains("safe"), "{}", path.display());
    }
    assert_eq!(allowed, [""; 0]);
}

#[test]
fn words_that_need_it_are_quoted() {
    let words = |argv: &[&str]| words(&argv.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(words(&["sh", "-c", "exit 3", ""]), "sh -c 'exit 3' ''");
    assert_eq!(words(&["it's", "$x"]), "'it'\\''s' '$x'");
}

/// As `openssl dgst -sha256 -binary | base64` has it.
#[test]
fn a_script_is_named_by_its_hash() {
    assert_eq!(
        hash(""),
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    );
}

#[test]
fn lengths_and_numbers_are_short() {
    for (ns, right) in [
        (7, "7 ns"),
        (1_500, "1.5 µs"),
        (2_015_000, "2.0 ms"),
        (2_015_000_000, "2.01 s"),
        (61_000_000_000, "1 min 01 s"),
        (3_660_000_000_000, "1 h 01 min"),
    ] {
        assert_eq!(length(ns), right);
    }
    assert_eq!(
        [number(0), number(999), number(1_000), number(1_234_567)],
        ["0", "999", "1,000", "1,234,567"]
    );
}
