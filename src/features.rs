//! `--features`: the features of this kernel, determined by using them, and the fallback for each
//! missing one.

use std::fmt::Write as _;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow};
use nsexec_shipped_policies::{BUILTIN_NAMES, builtin};

use crate::error::Result;
use crate::policy::resolved::{LandlockRules, Require, ResolvedPolicy};
use crate::policy::right::{self, LogFlag, Right};
use crate::request::{Namespace, Pid};
use crate::sys::descriptor::{self, Range};
use crate::sys::{landlock, mount, namespace, pidfd};
use crate::target::Procfs;
use crate::target::lookup::open_inside;

/// One row.
struct Feature {
    name: String,
    since: &'static str,
    found: Found,
    /// The fallback if it is missing.
    without: String,
}

/// The result of a probe.
enum Found {
    Yes,
    No,
    /// The kernel refuses this caller, which gives no information about other callers.
    NotForCaller,
}

/// The table, aligned.
///
/// # Errors
/// `Safety` or `System`: /proc is not usable.
pub(crate) fn table() -> Result<String> {
    let procfs = Procfs::open()?;
    let features = probe(&procfs);
    let width = features
        .iter()
        .map(|feature| feature.name.len())
        .max()
        .unwrap_or(0);
    let mut table = format!(
        "{:width$}  {:6}  {:10}  without it\n",
        "feature", "since", "here"
    );
    for feature in &features {
        let here = match feature.found {
            Found::Yes => "yes",
            Found::No => "no",
            Found::NotForCaller => "denied",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "{:width$}  {:6}  {:11} {}",
            feature.name, feature.since, here, feature.without
        );
    }
    Ok(table)
}

fn probe(procfs: &Procfs) -> Vec<Feature> {
    let own = Pid::new(std::process::id().try_into().unwrap_or(0));
    let pidfd = own.ok_or(Errno::ESRCH).and_then(pidfd::open);
    let row = |name: &str, since, found: std::result::Result<(), Errno>, without: &str| Feature {
        name: name.to_owned(),
        since,
        found: classify(found),
        without: without.to_owned(),
    };
    let of_pidfd = |namespace| {
        let pidfd = pidfd.as_ref().map_err(|errno| *errno)?;
        namespace::of_pidfd(pidfd.as_fd(), namespace).map(drop)
    };
    let inode = || {
        let pidfd = pidfd.as_ref().map_err(|errno| *errno)?;
        let id = crate::target::process::has_inode(pidfd)?;
        id.then_some(()).ok_or(Errno::ENOSYS)
    };
    let clone_mount = || {
        let file = procfs.open_file(c"self/exe")?;
        mount::detached_read_only(file.as_fd()).map(drop)
    };
    let in_root = || {
        let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC);
        open_inside(nix::fcntl::AT_FDCWD, c"/", how).map(drop)
    };
    let mut features = vec![
        row(
            "pidfd_open(2)",
            "5.3",
            pidfd.as_ref().map(drop).map_err(|e| *e),
            "nsexec refuses",
        ),
        row("openat2(2)", "5.6", in_root(), "nsexec refuses"),
        row(
            "time namespaces",
            "5.6",
            of_namespace(procfs, "time"),
            "-a leaves them out, -T is refused",
        ),
        row(
            "close_range(2) with CLOEXEC",
            "5.11",
            // A range that can contain no descriptor.
            descriptor::close_range(u32::MAX, u32::MAX, Range::CloseOnExec),
            "descriptors are marked one by one",
        ),
        row(
            "detached read-only mounts",
            "5.12",
            clone_mount(),
            "a sealed copy in memory, or a read-only mount",
        ),
        row(
            "pidfd inode numbers",
            "6.9",
            inode(),
            "PID:INODE is refused; PID works",
        ),
        row(
            "namespaces by pidfd",
            "6.11",
            of_pidfd(Namespace::Uts),
            "through /proc/PID/ns, with the same meaning",
        ),
        row(
            "namespaces by id alone",
            "6.19",
            by_id(procfs),
            "=:NSID is refused; a file works",
        ),
    ];
    features.extend(landlock_rows());
    features
}

fn classify(found: std::result::Result<(), Errno>) -> Found {
    match found {
        Ok(()) => Found::Yes,
        Err(Errno::EPERM | Errno::EACCES) => Found::NotForCaller,
        Err(_) => Found::No,
    }
}

fn of_namespace(procfs: &Procfs, name: &str) -> std::result::Result<(), Errno> {
    procfs.own_namespace(name).map(drop)
}

fn by_id(procfs: &Procfs) -> std::result::Result<(), Errno> {
    let own = procfs.open_file(c"self/ns/uts")?;
    namespace::by_id(namespace::id(own.as_fd())?).map(drop)
}

fn landlock_rows() -> Vec<Feature> {
    let version = landlock::support().map_or(0, landlock::Support::abi);
    let policies: Vec<ResolvedPolicy> = BUILTIN_NAMES
        .iter()
        .filter_map(|name| builtin(name)?.ok())
        .collect();
    let row = |(abi, adds): (u8, &str)| Feature {
        name: format!("Landlock: {adds}"),
        since: right::linux(abi.into()),
        found: if version >= u32::from(abi) {
            Found::Yes
        } else {
            Found::No
        },
        without: without_abi(abi, &policies),
    };
    right::abis().map(row).collect()
}

/// The effect on the shipped policies if the kernel lacks this Landlock ABI.
fn without_abi(abi: u8, policies: &[ResolvedPolicy]) -> String {
    let (mut drop, mut refuse) = (Vec::new(), Vec::new());
    for policy in policies {
        let layers = [&policy.ceiling.landlock, &policy.workload.landlock];
        let rules = layers.into_iter().filter_map(|layer| layer.enforced());
        let requires: Vec<&Require> = rules.flat_map(|rules| of_abi(rules, abi)).collect();
        if requires.contains(&&Require::Full) {
            refuse.push(policy.name.as_str());
        } else if !requires.is_empty() {
            drop.push(policy.name.as_str());
        }
    }
    let mut effects = Vec::new();
    match listed(&drop) {
        None => {}
        Some(drop) if abi <= Right::Refer.abi() => {
            effects.push(format!("{drop} leave Landlock out"));
        }
        Some(drop) => effects.push(format!("{drop} drop the right")),
    }
    effects.extend(listed(&refuse).map(|refuse| format!("{refuse} refuses")));
    if effects.is_empty() {
        effects.push("a policy that requires them is refused".to_owned());
    }
    if abi == LogFlag::ABI {
        effects.push("--explain cannot report Landlock".to_owned());
    }
    effects.join("; ")
}

/// Whether the parts of a domain that this ABI added are required.
fn of_abi(rules: &LandlockRules, abi: u8) -> Vec<&Require> {
    if abi <= Right::Refer.abi() {
        return vec![&rules.require];
    }
    let rights = rules.handled.iter();
    let rights = rights.filter(|handled| handled.right.abi() == abi);
    let flags = rules.log.iter().filter(|_| abi == LogFlag::ABI);
    let flags = flags.map(|flag| &flag.require);
    rights
        .map(|handled| &handled.require)
        .chain(flags)
        .collect()
}

/// `a, b and c`; `None`: there are none.
fn listed(names: &[&str]) -> Option<String> {
    let (last, others) = names.split_last()?;
    Some(match others {
        [] => (*last).to_owned(),
        others => format!("{} and {last}", others.join(", ")),
    })
}
