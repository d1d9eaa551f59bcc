use super::*;
use crate::output::escape;

/// Each line of these files is the same after it is read and written again.
#[test]
fn lines_are_read_as_they_are_written() {
    let files = [
        include_str!("../../../../../fuzz/corpus/audit_report/run"),
        include_str!("../../../../../fuzz/corpus/audit_report/every_kind"),
    ];
    for text in files.into_iter().flat_map(str::lines) {
        let line = Line::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        let (before, _) = text.rsplit_once(",\"chain\":").unwrap();
        let mut written = Vec::new();
        escape::write(&line, &mut written).unwrap();
        let written = String::from_utf8(written).unwrap();
        if matches!(line, Line::Health(_)) {
            // Once its kind was not the first member.
            let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(read(&written), read(&format!("{before}}}")));
        } else {
            assert_eq!(written, format!("{before}}}"));
        }
    }
}
