//! Loading the probes in a thread with a mount namespace of its own, which ends with
//! it: the machine stays as it is.

use std::io;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::loader::btf;

/// Where tracefs is looked for.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Does `work` in such a thread. Where this process may not have one, it is done all
/// the same, and what then is missing is an error of its own.
#[expect(
    clippy::disallowed_methods,
    reason = "it is the helper that must not have threads"
)]
pub(crate) fn run<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // Nothing is lost without it where tracefs is mounted.
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
