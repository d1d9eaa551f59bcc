//! A thread with a private mount namespace, which ends with it: the host does not change.

use std::io;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::loader::btf;

/// The places of tracefs.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Runs `work` in such a thread. Without permission, it runs in the mount namespace of the
/// process, and reports what it misses itself.
#[expect(
    clippy::disallowed_methods,
    reason = "it is the helper that must not have threads"
)]
pub(crate) fn run<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // It is not necessary if tracefs is mounted.
            let _ = prepare();
            work()
        });
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn prepare() -> io::Result<()> {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    if !tracefs_is_mounted() {
        let [place, _] = PLACES;
        mount(
            Some("tracefs"),
            place,
            Some("tracefs"),
            MsFlags::empty(),
            none,
        )?;
    }
    // aya reads all types of the kernel for every loader, needed or not: 20 ms, and
    // 20 MiB that stay.
    mount(Some("/dev/null"), btf::KERNEL, none, MsFlags::MS_BIND, none)?;
    Ok(())
}

/// Whether the tracepoints of system calls can be found.
pub(crate) fn tracefs_is_mounted() -> bool {
    let mut places = PLACES.iter();
    places.any(|place| Path::new(place).join("events/syscalls").exists())
}
