//! The tracepoints of system calls are found in tracefs, which need not be mounted.

use std::io;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Where it is looked for.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Does `work` where tracefs is mounted. Where it is not, that is a thread with a
/// mount namespace of its own, which ends with it: this machine stays as it is.
///
/// # Errors
/// It is not mounted, and this process may not mount it.
#[expect(
    clippy::disallowed_methods,
    reason = "it is the helper that must not have threads"
)]
pub(crate) fn with<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let mounted = |place: &&str| Path::new(place).join("events/syscalls").exists();
    if PLACES.iter().any(mounted) {
        return Ok(work());
    }
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS)?;
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
            let [place, _] = PLACES;
            mount(
                Some("tracefs"),
                place,
                Some("tracefs"),
                MsFlags::empty(),
                none,
            )?;
            Ok(work())
        });
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
