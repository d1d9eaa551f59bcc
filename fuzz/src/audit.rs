//! The kernel's audit messages, which contain untrusted paths and names.

use std::fmt::Write as _;

use nsexec_kernel_text::audit::{Fact, messages, record};

/// A datagram; then its text as a record of each kind, and that printed again.
pub fn audit_record(input: &[u8]) {
    if let Ok(all) = messages(input) {
        let payloads: usize = all.iter().map(|message| message.payload.len()).sum();
        assert!(payloads + 16 * all.len() <= input.len());
    }
    for kind in [1300, 1320, 1326, 1327, 1423, 1424] {
        let Ok(Some(read)) = record(kind, input) else {
            continue;
        };
        let fields = match &read.fact {
            Fact::Denied {
                domain,
                blockers,
                object,
            } => format!(
                "domain={domain:x} blockers={} path={}",
                blockers.join(","),
                escaped(object)
            ),
            Fact::Domain { domain, pid, exe } => {
                format!("domain={domain:x} pid={pid} exe={}", escaped(exe))
            }
            Fact::Syscall { pid, arch, number } => {
                format!("arch={arch:x} syscall={number} pid={pid}")
            }
            Fact::Seccomp {
                pid,
                arch,
                number,
                action,
            } => format!("pid={pid} arch={arch:x} syscall={number} code={action:#x}"),
            Fact::End => String::new(),
        };
        let again = format!("audit(0.0:{}): {fields}", read.serial);
        assert_eq!(record(kind, again.as_bytes()), Ok(Some(read)), "{again}");
    }
}

/// Escapes a value as the kernel does.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}
