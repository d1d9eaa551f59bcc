//! The readers of /proc.

use nsexec_kernel_text::procfs::{cgroup, environ, id_map, mountinfo, stat, status};

/// /proc/PID/stat
pub fn proc_stat(input: &[u8]) {
    let Ok(read) = stat::parse(input) else { return };
    assert!(input.len() <= stat::MAX_BYTES);
    // The process chooses its name: the name must not affect other fields.
    let (Some(open), Some(close)) = (
        input.iter().position(|byte| *byte == b'('),
        input.iter().rposition(|byte| *byte == b')'),
    ) else {
        panic!("a state without a name");
    };
    let name = b") R 1 1 1 1 (";
    let (head, tail) = (input.get(..=open), input.get(close..));
    let renamed = [head.unwrap_or_default(), name, tail.unwrap_or_default()].concat();
    if renamed.len() <= stat::MAX_BYTES {
        assert_eq!(stat::parse(&renamed), Ok(read));
    }
}

/// /proc/PID/status
pub fn proc_status(input: &[u8]) {
    let Ok(read) = status::parse(input) else {
        return;
    };
    assert!(input.len() <= status::MAX_BYTES);
    // Lines that are not read change nothing.
    let more = [input, b"Unknown:\tNoNewPrivs:\t0\n"].concat();
    if more.len() <= status::MAX_BYTES && input.ends_with(b"\n") {
        assert_eq!(status::parse(&more), Ok(read));
    }
}

/// /proc/PID/cgroup
pub fn proc_cgroup(input: &[u8]) {
    let Ok(read) = cgroup::parse(input) else {
        return;
    };
    assert!(read.len() <= cgroup::MAX_HIERARCHIES);
    let mut printed = Vec::new();
    for membership in &read {
        match &membership.hierarchy {
            cgroup::Hierarchy::Unified => printed.extend(b"0::"),
            cgroup::Hierarchy::Legacy { id, controllers } => {
                printed.extend(format!("{id}:{}:", controllers.join(",")).bytes());
            }
        }
        let path = membership.path.as_os_str().as_encoded_bytes();
        assert!(path.starts_with(b"/"));
        assert!(!path.split(|byte| *byte == b'/').any(|name| name == b".."));
        printed.extend(path);
        printed.push(b'\n');
    }
    assert_eq!(cgroup::parse(&printed), Ok(read));
}

/// /proc/PID/environ
pub fn proc_environ(input: &[u8]) {
    let Ok(read) = environ::parse(input) else {
        return;
    };
    let mut printed = Vec::new();
    for (key, value) in &read {
        assert!(!key.is_empty());
        printed.extend(key.as_bytes());
        printed.push(b'=');
        printed.extend(value.as_bytes());
        printed.push(0);
    }
    assert_eq!(environ::parse(&printed), Ok(read));
}

/// /proc/PID/uid_map
pub fn proc_id_map(input: &[u8]) {
    let Ok(read) = id_map::parse(input) else {
        return;
    };
    for outside in [0, 1, 1000, 65_534, 100_000, u32::MAX - 1, u32::MAX] {
        if let Some(inside) = read.to_inside(outside) {
            assert_eq!(read.to_outside(inside), Some(outside));
        }
    }
    assert_eq!(id_map::parse(read.to_string().as_bytes()), Ok(read));
}

/// /proc/PID/mountinfo
pub fn proc_mountinfo(input: &[u8]) {
    let Ok(read) = mountinfo::parse(input) else {
        return;
    };
    assert!(read.len() <= mountinfo::MAX_MOUNTS);
    for mount in &read {
        assert!(mount.mount_point.is_absolute() && !mount.fs_type.is_empty());
    }
}
