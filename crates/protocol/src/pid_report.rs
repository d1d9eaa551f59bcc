//! Protocol B's first process reports to the runtime the pids of the two
//! processes that it leaves behind.

use std::io::Write;

use nsexec_kernel_text::Pid;

/// Longest report, in bytes: two pids of ten digits.
pub const MAX_REPORT: usize = "{\"stage1_pid\":2147483647,\"stage2_pid\":2147483647}\n".len();

/// The report `{"stage1_pid":N,"stage2_pid":N}` and a newline, in `buffer`. It
/// is formatted after clone and must not allocate. Both pids are those of the
/// runtime's pid namespace. libcontainer accepts exactly these two keys.
#[must_use]
pub fn pid_report(buffer: &mut [u8; MAX_REPORT], stage1: Pid, stage2: Pid) -> &[u8] {
    let mut rest = buffer.as_mut_slice();
    // It has room for the longest.
    let _ = writeln!(rest, "{{\"stage1_pid\":{stage1},\"stage2_pid\":{stage2}}}");
    let length = MAX_REPORT.saturating_sub(rest.len());
    buffer.get(..length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_the_runtimes_to_the_byte() {
        let report = |stage1, stage2| {
            let pid = |number| Pid::new(number).expect("positive");
            let mut buffer = [0xaa; MAX_REPORT];
            let report = pid_report(&mut buffer, pid(stage1), pid(stage2));
            String::from_utf8(report.to_vec()).expect("ASCII")
        };
        assert_eq!(report(1, 2), "{\"stage1_pid\":1,\"stage2_pid\":2}\n");
        assert_eq!(
            report(i32::MAX, 16_349),
            "{\"stage1_pid\":2147483647,\"stage2_pid\":16349}\n"
        );
        assert_eq!(report(i32::MAX, i32::MAX).len(), MAX_REPORT);
    }
}
