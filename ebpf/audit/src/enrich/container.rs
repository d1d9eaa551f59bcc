//! Identifies the container of a process by the name of its cgroup.
//!
//! Any process that may make cgroups may name them like a container's, so a name is no
//! proof.

use std::path::Path;

use crate::model::container::{Container, ID_DIGITS, MAX_NAME, Runtime};

/// Namespaces of containerd that its clients choose by themselves.
const CONTAINERD_NAMESPACES: [&str; 3] = ["default", "k8s.io", "moby"];

/// Cgroups of one component that are no container of runc's: parents of those of
/// others.
const PARENTS: [&str; 11] = [
    "crio",
    "docker",
    "elogind",
    "init",
    "kubepods",
    "libpod_parent",
    "lxc",
    "machine",
    "openrc",
    "system",
    "user",
];

/// The innermost container that a cgroup of this path, which is absolute and has
/// no `..`, is in.
#[must_use]
pub fn of_path(path: &Path) -> Option<Container> {
    // A name that is not text is not a runtime's.
    let parts: Vec<&str> = path
        .iter()
        .skip(1)
        .map(|part| part.to_str().unwrap_or_default())
        .collect();
    let mut below = None;
    let mut rest = parts.as_slice();
    while let Some((last, above)) = rest.split_last() {
        if let Some((runtime, id)) = named(last, above, below) {
            return Some(Container {
                runtime,
                id,
                pod: innermost_pod(above),
                path: path.iter().take(rest.len() + 1).collect(),
            });
        }
        below = Some(*last);
        rest = above;
    }
    None
}

/// The container of the cgroup `last`, which is below `above`; the process is in its child
/// `below`.
fn named(last: &str, above: &[&str], below: Option<&str>) -> Option<(Runtime, String)> {
    let scope = last.strip_suffix(".scope");
    // conmon, which watches a container from the host, is not in it: the id in
    // libpod-conmon-ID is none.
    let either = scope.or(Some(last));
    let ids = [
        (Runtime::Containerd, scope, "cri-containerd-"),
        (Runtime::Containerd, scope, "nerdctl-"),
        (Runtime::Docker, scope, "docker-"),
        (Runtime::Podman, either, "libpod-"),
        (Runtime::Crio, either, "crio-"),
    ];
    let names = [
        (Runtime::Runc, scope, "runc-"),
        (Runtime::Crun, scope, "crun-"),
    ];
    let after = |(runtime, name, prefix): (Runtime, Option<&str>, &str)| {
        Some((runtime, name?.strip_prefix(prefix)?.to_owned()))
    };
    let by_id = ids.into_iter().filter_map(after).find(|(_, id)| is_id(id));
    let mut by_name = names.into_iter().filter_map(after);
    let found = by_id.or_else(|| by_name.find(|(_, name)| is_name(name)));
    if found.is_some() {
        return found;
    }
    let parent = above.last().copied();
    if let Some(machine) = scope.and_then(|name| name.strip_prefix("machine-")) {
        // nspawn itself is in `supervisor`; libvirt names virtual machines qemu-N-NAME.
        let inside = parent == Some("machine.slice") && below != Some("supervisor");
        let name = machine.replace("\\x2d", "-");
        let is_container = inside && is_name(&name) && !name.starts_with("qemu-");
        return is_container.then_some((Runtime::Nspawn, name));
    }
    let runtime = match (above, parent) {
        (_, Some("docker")) if is_id(last) => Runtime::Docker,
        ([namespace], _) if CONTAINERD_NAMESPACES.contains(namespace) && is_name(last) => {
            Runtime::Containerd
        }
        _ if is_id(last) => Runtime::Unnamed,
        // Sessions of elogind are numbers.
        ([], _) if below.is_none() && is_name(last) && !is_number(last) => {
            if PARENTS.contains(&last) || CONTAINERD_NAMESPACES.contains(&last) {
                return None;
            }
            Runtime::Runc
        }
        _ => return None,
    };
    Some((runtime, last.to_owned()))
}

fn is_id(text: &str) -> bool {
    let digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == ID_DIGITS && text.bytes().all(digit)
}

/// Of a container, and not of a unit of systemd.
pub(crate) fn is_name(text: &str) -> bool {
    let units = [".mount", ".scope", ".service", ".slice", ".socket", ".swap"];
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte);
    text.len() <= MAX_NAME
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(plain)
        && !units.iter().any(|unit| text.ends_with(unit))
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn innermost_pod(mut parts: &[&str]) -> Option<String> {
    while let Some((last, above)) = parts.split_last() {
        if let Some(uid) = pod(last, above) {
            return Some(uid);
        }
        parts = above;
    }
    None
}

/// The uid of the pod that the cgroup `last` is, by either of the kubelet's cgroup
/// drivers.
fn pod(last: &str, above: &[&str]) -> Option<String> {
    let uid = match last.strip_suffix(".slice") {
        Some(slice) => {
            let (class, uid) = slice.rsplit_once("-pod")?;
            let class = class
                .strip_suffix("-besteffort")
                .or_else(|| class.strip_suffix("-burstable"))
                .unwrap_or(class);
            // A kubelet with a root of its own has that before it.
            let is_root = class == "kubepods" || class.ends_with("-kubepods");
            is_root.then(|| uid.replace('_', "-"))?
        }
        None if above.contains(&"kubepods") => last.strip_prefix("pod")?.to_owned(),
        None => return None,
    };
    // That of a pod from a file of the kubelet's has no hyphens.
    let hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let lengths: Vec<usize> = uid.split('-').map(str::len).collect();
    let is_uid = lengths == [8, 4, 4, 4, 12] || lengths == [32];
    (is_uid && uid.split('-').all(hex)).then_some(uid)
}

#[cfg(test)]
mod tests;
