use proptest::prelude::*;

use super::*;

fn written(objects: &[String]) -> Vec<u8> {
    let mut chained = ChainWriter::after(BEGINNING);
    let mut file = Vec::new();
    for object in objects {
        file.extend(ended(&mut chained, object));
    }
    file
}

fn ended(chained: &mut ChainWriter, object: &str) -> Vec<u8> {
    let mut line = object.as_bytes().to_vec();
    chained.end(&mut line).unwrap();
    line
}

fn broken(file: &[u8]) -> Option<Break> {
    verify(&mut &*file, BEGINNING).unwrap().err()
}

fn objects(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{{\"n\":{n}}}")).collect()
}

/// The result of sha256sum(1) for 32 zeros and {"a":1}.
#[test]
fn the_first_value_is_that_of_zeros_and_the_line() {
    let file = written(&["{\"a\":1}".to_owned()]);
    let value = hex(next(BEGINNING, b"{\"a\":1}"));
    let expected = format!("{{\"a\":1,\"chain\":\"{value}\"}}\n");
    assert_eq!(String::from_utf8(file).unwrap(), expected);
    assert_eq!(value, FIRST);
}

const FIRST: &str = "b06a229070741292512e8760f470dd7a4c46ccfdf253df781d88dabe58c1ccb1";

#[test]
fn a_file_continues_another() {
    let first = written(&objects(3));
    let (count, last) = verify(&mut first.as_slice(), BEGINNING).unwrap().unwrap();
    assert_eq!(count, 3);
    let second = ended(&mut ChainWriter::after(last), "{\"more\":1}");
    assert!(verify(&mut second.as_slice(), last).unwrap().is_ok());
    assert_eq!(broken(&second).unwrap().wrong, Wrong::Value);
    assert_eq!(broken(&[first, second].concat()), None);
}

#[test]
fn a_file_is_verified_only_after_the_value_that_it_continues() {
    let mut chained = ChainWriter::after(next(BEGINNING, b"{}"));
    let before = chained.last();
    let start = format!("{{\"kind\":\"start\",\"continues\":\"{}\"}}", hex(before));
    let file = ended(&mut chained, &start);
    let wrong = |last| verify(&mut file.as_slice(), last).unwrap().err();
    assert_eq!(wrong(before), None);
    let after = Wrong::After(before);
    assert_eq!(wrong(BEGINNING).map(|one| one.wrong), Some(after));
    assert!(
        after
            .to_string()
            .contains(&format!("--after {}", hex(before)))
    );
    let first = written(&["{\"kind\":\"start\"}".to_owned()]);
    let found = verify(&mut first.as_slice(), before).unwrap().unwrap_err();
    assert_eq!(found.wrong, Wrong::After(BEGINNING));
}

#[test]
fn a_value_is_read_as_it_is_written_only() {
    let value = next(BEGINNING, b"{}");
    let text = hex(value);
    assert_eq!(parse(&text), Some(value));
    for wrong in ["", &text[1..], &format!("{text}0"), &text.to_uppercase()] {
        assert_eq!(parse(wrong), None, "{wrong}");
    }
}

#[test]
fn anything_but_an_object_is_not_written() {
    for wrong in ["", "{", "}", "[1]", "{\"a\":\n1}", "1"] {
        let mut line = wrong.as_bytes().to_vec();
        let refused = ChainWriter::after(BEGINNING).end(&mut line);
        assert!(refused.is_err() && line == wrong.as_bytes(), "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn any_change_of_a_byte_is_found_at_its_line(
        count in 1_usize..6, at in any::<prop::sample::Index>(), bit in 0_u8..8,
    ) {
        let file = written(&objects(count));
        let mut changed = file.clone();
        let at = at.index(changed.len());
        changed[at] ^= 1 << bit;
        let line = file[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        // A newline in its middle breaks the line that it ends.
        prop_assert_eq!(broken(&changed).map(|one| one.line), u64::try_from(line).ok());
    }

    #[test]
    fn a_missing_repeated_or_moved_line_is_detected(
        count in 3_usize..8, from in any::<prop::sample::Index>(), kind in 0..3,
    ) {
        let file = written(&objects(count));
        let mut lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
        // Not the last one: cutting the end of a file leaves no trace in it.
        let from = from.index(count - 1);
        let first_wrong = match kind {
            0 => {
                lines.remove(from);
                from
            }
            1 => {
                lines.insert(from, lines[from]);
                from + 1
            }
            _ => {
                lines.swap(from, from + 1);
                from
            }
        };
        let found = broken(&lines.concat()).map(|one| (one.line, one.wrong));
        prop_assert_eq!(found, Some((u64::try_from(first_wrong).unwrap() + 1, Wrong::Value)));
    }

    #[test]
    fn a_truncated_last_line_is_reported(
        count in 1_usize..5, cut in any::<prop::sample::Index>(),
    ) {
        let file = written(&objects(count));
        let cut = cut.index(file.len());
        let at_a_line = cut == 0 || file[cut - 1] == b'\n';
        let expected = (!at_a_line).then_some(Wrong::Unfinished);
        prop_assert_eq!(broken(&file[..cut]).map(|one| one.wrong), expected);
    }
}
