//! Texts that a process or the writer of a file chose, in a page.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// Reads a page as a browser does, as far as our pages require: tags with attributes
/// between double quotes, in order. Panics at any other tag.
fn tags(page: &str) -> Vec<String> {
    const KNOWN: [&str; 49] = [
        "html", "head", "meta", "title", "style", "body", "svg", "defs", "path", "circle", "g",
        "header", "h1", "h2", "h3", "p", "b", "span", "small", "ul", "li", "main", "section",
        "div", "table", "thead", "tbody", "tr", "th", "td", "a", "use", "rect", "line", "text",
        "details", "summary", "dl", "dt", "dd", "form", "button", "label", "input", "select",
        "option", "footer", "code", "script",
    ];
    let mut found = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some((text, after)) = rest.split_once('<') {
        assert!(!text.contains('>'), "{text}");
        let (mut name, mut open) = (String::new(), false);
        let mut end = None;
        for (at, c) in after.char_indices() {
            match c {
                '"' => open = !open,
                '>' if !open => {
                    end = Some(at);
                    break;
                }
                ' ' if !open => name.push(' '),
                '<' => panic!("a tag in a tag: {after}"),
                c if !open => name.push(c),
                _ => {}
            }
        }
        let end = end.unwrap();
        let (tag, _) = name.split_once(' ').unwrap_or((&name, ""));
        let tag = tag.trim_matches('/').to_owned();
        assert!(
            !tag.is_empty() && KNOWN.contains(&tag.as_str()),
            "{tag}: {after}"
        );
        // Only known attribute names occur; values were between quotes.
        for attribute in name.split(' ').skip(1).filter(|one| *one != "/") {
            let attribute = attribute.trim_end_matches('/').trim_end_matches('=');
            let plain = attribute
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            assert!(plain && !attribute.starts_with("on"), "{attribute}");
        }
        rest = &after[end + 1..];
        if tag == "style" || tag == "script" {
            let own = if tag == "style" {
                page::STYLE
            } else {
                page::SCRIPT
            };
            if let Some(after) = rest.strip_prefix(own) {
                rest = after;
            }
        }
        found.push(tag);
    }
    assert_eq!(rest, "\n");
    found
}

const HOSTILE: [&str; 9] = [
    "</script><img src=x onerror=alert(1)>",
    "\"><script>alert(1)</script>",
    "' onload='alert(1)",
    "<!--",
    "]]>",
    "&lt;&#60;\\u003c",
    "\u{202e}\u{2028}\u{2029}\u{200b}\u{feff}",
    "\u{1b}[31m\r\n\0\u{7f}\u{85}",
    "</style></title><svg onload=alert(1)>",
];

/// A page in which every text that a process or the writer of the file can choose is this
/// one.
fn page_with(text: &str) -> String {
    let mut joined = join(5_000_000, 7, text, true);
    joined["actor"]["container"] = format!("docker/{text}").into();
    joined["actor"]["nsexec"] = json!({ "policy": text, "argv": [text] });
    joined["entered"] = format!("docker/{text}").into();
    let alert = with(
        alert(),
        json!({ "rule": text, "mitre": text, "about": text }),
    );
    let mut health = health();
    health["hooks"] = json!({ text: health["hooks"]["sys_exit_setns"] });
    health["broken"] = json!([text]);
    health["missed"] = json!({ text: 1 });
    health["backend"] = text.into();
    let objects = [
        with(
            start(),
            json!({ "node": text, "boot_id": text, "version": text }),
        ),
        joined,
        alert,
        exec(9_000_000, 8, &[text, text]),
        lost(10_000_000, 3),
        with(missed(10_500_000, 1), json!({ "backend": text })),
        denied(11_000_000, 9, text),
        health,
    ];
    drawn(&read([(text.to_owned(), written(&objects).as_slice())]).unwrap())
}

/// A text in the place of a name or a number makes the line invalid, and the error contains
/// no control characters.
#[test]
fn hostile_text_elsewhere_is_refused_and_shown_escaped() {
    for text in HOSTILE {
        for path in [
            "/actor/exec_id",
            "/actor/exe_file",
            "/actor/caps_eff",
            "/op/syscall",
            "/op/errno",
            "/op/flags/0",
            "/ns/changed/0",
            "/class",
            "/kind",
        ] {
            let mut line = denied(5, 7, "sh");
            line["ns"]["changed"] = json!(["net"]);
            *line.pointer_mut(path).unwrap() = text.into();
            let refused = read_one(&written(&[start(), line]))
                .unwrap_err()
                .to_string();
            assert!(refused.starts_with("events:2: "), "{path}: {refused:?}");
            let obeyed = |c: char| c.is_control() || "\u{202e}\u{2028}\u{2029}".contains(c);
            assert!(!refused.contains(obeyed), "{path}: {refused:?}");
        }
    }
}

#[track_caller]
fn is_harmless(text: &str) {
    let (page, plain) = (page_with(text), page_with("plain"));
    assert_eq!(tags(&page), tags(&plain), "{text:?}");
    let invisible = |c: &char| {
        c.is_control() && *c != '\n' || "\u{202e}\u{2028}\u{2029}\u{200b}\u{feff}".contains(*c)
    };
    assert_eq!(page.chars().find(invisible), None, "{text:?}");
    // Scripts and styles are those that the content security policy lists.
    assert!(page.contains(&html::hash(page::SCRIPT)) && page.contains(&html::hash(page::STYLE)));
}

#[test]
fn hostile_text_stays_in_its_place() {
    HOSTILE.iter().for_each(|text| is_harmless(text));
    let mut all = String::new();
    HOSTILE
        .iter()
        .for_each(|text| write!(all, "{text}").unwrap());
    is_harmless(&all);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_leaves_its_place(
        text in prop_oneof![
            "[<>&\"'/=!a-z \\\\-]{1,24}",
            "\\PC{1,24}",
            any::<String>().prop_filter("empty", |text| !text.is_empty()),
        ]
    ) {
        is_harmless(&text);
    }
}
