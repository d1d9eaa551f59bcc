use super::*;

const ID: &str = "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970";
const INNER: &str = "9ec39b91f3d70e1beff50a308f77067065ea6be0d91a3378375056cd4422cf3d";
const UID: &str = "2b1f5c0e-6a3d-4a56-9c1d-0a1b2c3d4e5f";

/// In a pattern, `ID`, `INNER` and `UID` are placeholders, and `UNIT` is the uid in
/// systemd's notation.
fn filled(pattern: &str) -> String {
    pattern
        .replace("INNER", INNER)
        .replace("UNIT", &UID.replace('-', "_"))
        .replace("UID", UID)
        .replace("ID", ID)
}

fn of(pattern: &str) -> Option<Container> {
    of_path(Path::new(&filled(pattern)))
}

#[track_caller]
fn is(pattern: &str, runtime: Runtime, id: &str, pod: Option<&str>, own: &str) {
    let right = Container {
        runtime,
        id: filled(id),
        pod: pod.map(filled),
        path: filled(own).into(),
    };
    assert_eq!(of(pattern), Some(right), "{pattern}");
}

#[track_caller]
fn whole(path: &str, runtime: Runtime, id: &str, pod: Option<&str>) {
    is(path, runtime, id, pod, path);
}

#[test]
fn each_runtime_is_recognised_by_its_name() {
    whole("/tree-runc", Runtime::Runc, "tree-runc", None);
    whole("/system.slice/runc-web.scope", Runtime::Runc, "web", None);
    whole("/user.slice/crun-a.b.scope", Runtime::Crun, "a.b", None);
    whole("/default/web", Runtime::Containerd, "web", None);
    whole("/k8s.io/ID", Runtime::Containerd, "ID", None);
    let systemd = "/system.slice/nerdctl-ID.scope";
    whole(systemd, Runtime::Containerd, "ID", None);
    whole("/docker/ID", Runtime::Docker, "ID", None);
    let systemd = "/system.slice/docker-ID.scope";
    whole(systemd, Runtime::Docker, "ID", None);
    let root = "/machine.slice/libpod-ID.scope";
    whole(root, Runtime::Podman, "ID", None);
    whole("/libpod_parent/libpod-ID", Runtime::Podman, "ID", None);
    let rootless = "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope";
    is(
        &format!("{rootless}/container"),
        Runtime::Podman,
        "ID",
        None,
        rootless,
    );
    let scope = "/machine.slice/machine-my\\x2dbox.scope";
    is(
        &format!("{scope}/payload/init.scope"),
        Runtime::Nspawn,
        "my-box",
        None,
        scope,
    );
    whole("/batch/jobs/ID", Runtime::Unnamed, "ID", None);
}

#[test]
fn pods_are_recognised_with_both_cgroup_drivers() {
    let uid = Some("UID");
    for class in ["-besteffort", "-burstable", ""] {
        let slice = format!("/kubepods.slice/kubepods{class}.slice/kubepods{class}-podUNIT.slice");
        let of = |name: &str| format!("{slice}/{name}");
        let containerd = of("cri-containerd-ID.scope");
        whole(&containerd, Runtime::Containerd, "ID", uid);
        whole(&of("crio-ID.scope"), Runtime::Crio, "ID", uid);
        whole(&of("docker-ID.scope"), Runtime::Docker, "ID", uid);
    }
    whole("/kubepods/burstable/podUID/ID", Runtime::Unnamed, "ID", uid);
    whole("/kubepods/podUID/crio-ID", Runtime::Crio, "ID", uid);
    // A static pod, and a kubelet with its own root cgroup.
    let digits = UID.replace('-', "");
    let path = format!("/kubepods/pod{digits}/ID");
    whole(&path, Runtime::Unnamed, "ID", Some(&digits));
    let path = "/kubelet.slice/kubelet-kubepods-podUNIT.slice/cri-containerd-ID.scope";
    whole(path, Runtime::Containerd, "ID", uid);
}

#[test]
fn the_innermost_wins() {
    let pod = "/kubepods.slice/kubepods-podUNIT.slice/cri-containerd-ID.scope";
    let inner = format!("{pod}/docker/INNER");
    whole(&inner, Runtime::Docker, "INNER", Some("UID"));
    let deeper = format!("{inner}/system.slice/sshd.service");
    is(&deeper, Runtime::Docker, "INNER", Some("UID"), &inner);
    let node = "/docker/ID/kubelet/kubepods/besteffort/podUID/INNER";
    whole(node, Runtime::Unnamed, "INNER", Some("UID"));
    // The process that monitors the inner container is in the outer one.
    let watching = format!("{pod}/machine.slice/libpod-conmon-INNER.scope");
    is(&watching, Runtime::Containerd, "ID", Some("UID"), pod);
}

#[test]
fn cgroups_of_the_host_are_no_containers() {
    for path in [
        "/",
        "/init.scope",
        "/system.slice/docker.service",
        "/user.slice/user-0.slice/session-3.scope",
        "/machine.slice/libpod-conmon-ID.scope",
        "/libpod_parent/libpod-conmon-ID",
        "/kubepods.slice/kubepods-podUNIT.slice/crio-conmon-ID.scope",
        "/kubepods.slice/kubepods-podUNIT.slice",
        "/machine.slice/machine-box.scope/supervisor",
        "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope",
        "/user.slice/machine-box.scope",
        "/docker",
        "/default",
        "/kubepods",
        "/12",
        "/a/b",
        "/a/init.scope",
    ] {
        assert_eq!(of(path), None, "{path}");
    }
}

#[test]
fn a_hostile_name_is_no_container_s() {
    let long = format!("/default/{}", "x".repeat(MAX_NAME + 1));
    let longest = "x".repeat(MAX_NAME);
    let path = format!("/default/{longest}");
    whole(&path, Runtime::Containerd, &longest, None);
    let huge = format!("/{}", "y/".repeat(100_000));
    for path in [
        "/default/\u{1b}[31m",
        "/a\nb",
        "/a b",
        "/größe",
        "/-rf",
        "/.hidden",
        "/system.slice/runc-a;b.scope",
        "/system.slice/runc-.scope",
        "/machine.slice/machine-\\x1b.scope",
        "/machine.slice/machine-.scope",
        "/system.slice/docker-ID0.scope",
        "/system.slice/docker-.scope",
        &format!("/docker/{}", ID.to_uppercase()),
        &long,
        &huge,
    ] {
        assert_eq!(of(path), None, "{}", path.get(..40).unwrap_or(path));
    }
    let bytes = Path::new(std::ffi::OsStr::new("/default")).join({
        use std::os::unix::ffi::OsStrExt as _;
        std::ffi::OsStr::from_bytes(b"\xff\xfe")
    });
    assert_eq!(of_path(&bytes), None);
    // An uncertain pod is left out.
    for pod in ["pod", "podx", "pod1234", "podUIDa", "pod../UID", "podUNIT"] {
        let path = filled(&format!("/kubepods/burstable/{pod}/ID"));
        assert_eq!(of(&path).map(|found| found.pod), Some(None), "{pod}");
    }
}

#[test]
fn a_long_id_is_shown_short() {
    let short = |path| of(path).unwrap().short_id().to_owned();
    assert_eq!(short("/docker/ID"), "4f797c539e6c");
    assert_eq!(
        short("/default/a-name-of-some-length"),
        "a-name-of-some-length"
    );
}
