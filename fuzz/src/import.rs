//! Policies of other programs.

use std::collections::BTreeSet;

use nsexec_kernel_text::capability::CapabilitySet;
use nsexec_policy::import::{
    Fault, Imported, MAX_BYTES, MAX_ENTRIES, firecracker, kafel, minijail, systemd,
};
use nsexec_policy_engine::seccomp::oci::{self, Context};
use nsexec_policy_engine::seccomp::table::Arch;

/// A minijail policy.
pub fn import_minijail(input: &[u8]) {
    import(input, minijail::read);
}

/// A kafel policy.
pub fn import_kafel(input: &[u8]) {
    import(input, kafel::read);
}

/// A systemd unit.
pub fn import_systemd(input: &[u8]) {
    import(input, systemd::read);
}

/// Filters of Firecracker's threads: the only one, or one selected by name.
pub fn import_firecracker(input: &[u8]) {
    import(input, |text| firecracker::read(text, None));
    import(input, |text| firecracker::read(text, Some("vcpu")));
}

/// The same input gives the same result twice. An accepted input becomes a
/// profile that nsexec's own reader accepts and reads with the same meaning. An
/// error has a span in the input and a printable message.
fn import(input: &[u8], read: impl Fn(&[u8]) -> Result<Imported, Fault>) {
    let once = read(input);
    assert_eq!(read(input), once);
    let imported = match once {
        Ok(imported) => imported,
        Err(Fault { span, reason }) => {
            assert!(
                span.start <= span.end && span.end <= input.len(),
                "{span:?}"
            );
            if let Ok(text) = std::str::from_utf8(input) {
                assert!(text.is_char_boundary(span.start) && text.is_char_boundary(span.end));
            }
            let words = reason.to_string();
            assert!(
                !words.is_empty() && !words.contains(char::is_control),
                "{words:?}"
            );
            return;
        }
    };
    assert!(input.len() <= MAX_BYTES && imported.entries.len() <= MAX_ENTRIES);
    let lines = input.split(|byte| *byte == b'\n').count();
    for note in &imported.notes {
        assert!((1..=lines).contains(&note.line), "{note:?}");
        assert!(!note.text.contains(char::is_control), "{note:?}");
    }
    for entry in &imported.entries {
        let arguments: BTreeSet<u8> = entry.conditions.iter().map(|one| one.argument).collect();
        assert_eq!(arguments.len(), entry.conditions.len(), "{entry:?}");
    }
    if imported.entries.is_empty() {
        return;
    }
    let text = imported.to_json().to_string();
    if text.len() > oci::MAX_BYTES {
        return;
    }
    let profile = oci::parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{fault}\n{text}"));
    for arch in Arch::ALL {
        let context = Context {
            arch,
            bounding: CapabilitySet::EMPTY,
            kernel: (6, 1),
        };
        match profile.resolve(&context) {
            Ok(_) => {}
            Err(fault) if matches!(fault.reason, oci::ProfileErrorKind::TooManyRules(_)) => {}
            Err(fault) => panic!("{fault}\n{text}"),
        }
    }
}
