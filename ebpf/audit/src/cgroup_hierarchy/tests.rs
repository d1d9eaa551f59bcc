use super::*;

#[test]
fn a_controller_of_version_1_decides_where_containers_have_it() {
    let hybrid = b"9:name=systemd:/a\n8:memory:/a\n7:devices,pids:/../x\n0::/\n";
    assert_eq!(
        ContainerHierarchy::of(hybrid),
        ContainerHierarchy::Controller("pids")
    );
    let some = b"3:memory:/\n2:cpu,devices:/\n0::/\n";
    assert_eq!(
        ContainerHierarchy::of(some),
        ContainerHierarchy::Controller("devices")
    );
    for unified in [
        &b"0::/pids\n"[..],
        b"",
        b"2:net_cls:/\n1:name=pids:/\n0::/\n",
        b"1:pidsy:/devices:memory\n0::/\n",
    ] {
        assert_eq!(ContainerHierarchy::of(unified), ContainerHierarchy::Unified);
    }
}

#[test]
fn a_list_has_the_path_of_the_hierarchy_that_decides() {
    let list = b"2:cpu,pids:/one\n1:name=systemd:/two\n0::/three\n";
    let of = |kind, list| {
        let mounted = None;
        Hierarchy { kind, mounted }.path(list)
    };
    assert_eq!(
        of(ContainerHierarchy::Controller("pids"), list),
        Some("/one".into())
    );
    assert_eq!(of(ContainerHierarchy::Unified, list), Some("/three".into()));
    assert_eq!(of(ContainerHierarchy::Controller("memory"), list), None);
    // It cannot be reached, and is not taken for the root.
    assert_eq!(of(ContainerHierarchy::Unified, b"0::/../x\n"), None);
}

#[test]
fn a_number_is_that_of_the_directory() {
    let mounted = |root: &str, at: &str| Hierarchy {
        kind: ContainerHierarchy::Unified,
        mounted: Some(Mounted {
            root: root.into(),
            at: at.into(),
        }),
    };
    let right = fs::metadata("/proc/self").unwrap().ino();
    let here = mounted("/outer", "/proc");
    assert_eq!(here.id(b"0::/outer/self\n"), Some(right));
    for elsewhere in [
        &b"0::/self\n"[..],
        b"0::/outer/none\n",
        b"0::/outers/self\n",
    ] {
        assert_eq!(here.id(elsewhere), None);
    }
    assert_eq!(mounted("/", "/none").id(b"0::/self\n"), None);
}
