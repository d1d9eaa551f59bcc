//! The auditor's own records.

use nsexec_audit_abi::Event;
use nsexec_audit_abi::record::LONGEST;

/// A decoded record encodes to the same bytes, except for the bytes after the
/// end of a text.
pub fn audit_event(input: &[u8]) {
    let Ok(read) = Event::decode(input) else {
        return;
    };
    assert_eq!(read.header().hook.writes(), Some(read.header().kind));
    let mut written = [0xaa; LONGEST];
    let length = read.encode(&mut written);
    assert_eq!(length, Some(input.len()));
    let written = written.get(..input.len()).unwrap_or_default();
    assert_eq!(Event::decode(written), Ok(read));
    match &read {
        Event::Exec(exec) => {
            let texts = [exec.path.get(), exec.arguments.get()];
            let lengths = [exec.path.length, exec.arguments.length];
            assert_eq!(texts.map(<[u8]>::len), lengths.map(usize::from));
        }
        _ => assert_eq!(written, input),
    }
}
