//! The constants of a run.

use nsexec_audit_abi::parts::Header;

use super::event::{Envelope, Time};
use super::namespaces::HostNamespaces;
use crate::clock;

/// The constants of a run, which its output begins with.
#[derive(Clone, Debug)]
pub struct StreamInfo {
    pub boot_id: String,
    pub host: HostNamespaces,
    /// The offset from CLOCK_BOOTTIME to CLOCK_REALTIME, in nanoseconds.
    pub wall_offset_ns: i128,
}

impl StreamInfo {
    /// The time of day of a moment of CLOCK_BOOTTIME, in milliseconds since 1970.
    #[must_use]
    pub fn wall_ms(&self, boot_ns: u64) -> i64 {
        let wall = self.wall_offset_ns + i128::from(boot_ns);
        i64::try_from(wall / 1_000_000).unwrap_or_default()
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Time {
        let ts_boot_ns = clock::boottime_ns();
        Time {
            ts_boot_ns,
            ts_wall_ms: self.wall_ms(ts_boot_ns),
        }
    }

    /// The envelope of a record.
    #[must_use]
    pub fn envelope(&self, header: &Header) -> Envelope {
        Envelope::of(header, self.wall_ms(header.boot_ns))
    }
}
