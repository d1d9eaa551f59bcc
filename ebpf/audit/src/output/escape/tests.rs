use super::*;

fn line(value: &str) -> String {
    let mut out = Vec::new();
    write(&value, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn control_characters_are_escaped_and_read_back() {
    for (value, written) in [
        ("plain", r#""plain""#),
        ("a\"b\\c\n\u{1b}[2J", r#""a\"b\\c\n\u001b[2J""#),
        ("\u{9b}31m\u{7f}", r#""\u009b31m\u007f""#),
        ("über \u{202e}txt\u{2066}x", r#""über \u202etxt\u2066x""#),
        ("\u{7f}", r#""\u007f""#),
        ("", r#""""#),
    ] {
        assert_eq!(line(value), written);
        assert_eq!(serde_json::from_str::<String>(written).unwrap(), value);
    }
}

#[test]
fn hostile_text_is_escaped_and_cut() {
    assert_eq!(escape_text("sh"), "sh");
    assert_eq!(escape_text("a b"), "a\\ b");
    assert_eq!(escape_text("\u{1b}[31m"), "\\u{1b}[31m");
    assert_eq!(escape_text("\n\u{202e}x"), "\\n\\u{202e}x");
    assert_eq!(escape_text("größe"), "größe");
    assert_eq!(escape_text(&"x".repeat(100)).chars().count(), MAX_SHOWN + 1);
}
