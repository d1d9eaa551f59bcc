use nsexec_audit_abi::code::Syscall;

use super::*;
use crate::enrich::classify::classify;
use crate::enrich::container;
use crate::fixtures::{call, namespace, namespace_set, task, with};

fn place(path: &str) -> Place {
    let container = container::of_path(path.as_ref()).unwrap();
    Place::Container(Arc::new(container))
}

/// Own namespaces with numbers from this one on.
fn inside(first: u32) -> NamespaceSet {
    with(with(namespace_set(1), "mnt", first), "net", first + 1)
}

struct Machine {
    owners: Owners,
    host: HostNamespaces,
}

impl Machine {
    /// With two containers, and a third one inside the first.
    fn new() -> Self {
        let mut machine = Self {
            owners: Owners::default(),
            host: HostNamespaces::of(&namespace_set(1)),
        };
        machine.observe(inside(20), &place("/c1"));
        machine.observe(inside(30), &place("/default/c2"));
        let inner = format!("/c1/docker/{}", "a".repeat(64));
        machine.observe(inside(40), &place(&inner));
        machine
    }

    fn observe(&mut self, namespace_set: NamespaceSet, place: &Place) {
        self.owners.observe(&namespace_set, place, &self.host);
    }

    /// The crossing, its evidence, and the owner of the entered namespaces.
    fn join(
        &mut self,
        place: &Place,
        before: NamespaceSet,
        after: NamespaceSet,
    ) -> (Option<Boundary>, Option<Evidence>, Option<String>) {
        let record = namespace(task(5, 1), call(Syscall::Setns, 0), before, after);
        let class = classify(&record, &self.host);
        let crossing = self.owners.crossing(&record, class, place, &self.host);
        let entered = crossing.entered.map(|container| container.id.clone());
        (crossing.boundary, crossing.evidence, entered)
    }
}

#[test]
fn each_boundary_is_distinguished() {
    let (c1, c2) = (place("/c1"), place("/default/c2"));
    let host = namespace_set(1);
    let id = |id: &str| Some(id.to_owned());
    let into = Some(Boundary::Enter);
    let inner = "a".repeat(64);
    for (from, before, after, expected) in [
        (
            &Place::Host,
            host,
            inside(20),
            (into, Some(Evidence::Mnt), id("c1")),
        ),
        // A runtime that is already in the container's cgroup and otherwise on the host.
        (&c1, host, inside(20), (into, Some(Evidence::Mnt), id("c1"))),
        (
            &Place::Host,
            host,
            with(host, "net", 31),
            (into, Some(Evidence::Mnt), id("c2")),
        ),
        (
            &c1,
            inside(20),
            with(inside(20), "net", 4),
            (Some(Boundary::Escape), Some(Evidence::Mnt), None),
        ),
        (
            &c1,
            inside(20),
            inside(30),
            (Some(Boundary::Lateral), Some(Evidence::Mnt), id("c2")),
        ),
        // Its mount namespace gives no information.
        (
            &c1,
            with(host, "mnt", 90),
            inside(30),
            (Some(Boundary::Lateral), Some(Evidence::Cgroup), id("c2")),
        ),
        (
            &Place::Host,
            with(host, "mnt", 90),
            inside(30),
            (into, Some(Evidence::Cgroup), id("c2")),
        ),
        (
            &Place::Unknown,
            with(host, "mnt", 90),
            inside(30),
            (None, None, id("c2")),
        ),
        // Into a container inside it, which counts as the same one; and out of that.
        (&c1, inside(20), inside(40), (None, None, id(&inner))),
        (
            &c2,
            inside(40),
            inside(20),
            (Some(Boundary::Lateral), Some(Evidence::Mnt), id("c1")),
        ),
        // Into a namespace without an owner, and back into its own.
        (&Place::Host, host, inside(90), (None, None, None)),
        (
            &c1,
            with(inside(20), "net", 91),
            inside(20),
            (None, None, id("c1")),
        ),
    ] {
        let found = Machine::new().join(from, before, after);
        assert_eq!(found, expected, "{from:?}: {before:?} {after:?}");
    }
}

#[test]
fn a_namespace_is_attributed_to_its_first_process() {
    let mut machine = Machine::new();
    // From the host into the container, like `docker exec` before it moves the cgroup.
    machine.observe(inside(20), &Place::Host);
    // A service of the host with a mount namespace of its own, and a runtime in it.
    machine.observe(with(namespace_set(1), "mnt", 60), &Place::Host);
    machine.observe(with(namespace_set(1), "mnt", 60), &place("/default/c2"));
    machine.observe(inside(70), &Place::Unknown);
    let mut entered = |after| machine.join(&Place::Host, namespace_set(1), after).2;
    assert_eq!(entered(inside(20)), Some("c1".to_owned()));
    assert_eq!(entered(with(namespace_set(1), "mnt", 60)), None);
    assert_eq!(entered(inside(70)), None);
}

#[test]
fn a_namespace_for_children_is_that_of_its_type() {
    let mut machine = Machine::new();
    machine.observe(with(inside(20), "pid", 22), &place("/c1"));
    let after = with(namespace_set(1), "pid_for_children", 22);
    let found = machine.join(&Place::Host, namespace_set(1), after);
    assert_eq!(found.2, Some("c1".to_owned()));
}

#[test]
fn a_new_namespace_has_no_owner_of_an_old_number() {
    let mut machine = Machine::new();
    let host = machine.host.clone();
    let owner = |machine: &mut Machine| machine.join(&Place::Host, namespace_set(1), inside(20)).2;
    // Created by the host with the numbers of a removed one, and then used by a container.
    let made = inside(20);
    machine
        .owners
        .created(&namespace_set(1), &made, &Place::Host, &host);
    assert_eq!(owner(&mut machine), None);
    machine.observe(made, &place("/default/c2"));
    assert_eq!(owner(&mut machine), Some("c2".to_owned()));
    // Namespaces that a container creates belong to it at once.
    machine
        .owners
        .created(&namespace_set(1), &made, &place("/c1"), &host);
    assert_eq!(owner(&mut machine), Some("c1".to_owned()));
}

#[test]
fn without_the_hosts_namespaces_no_process_is_on_the_host() {
    let mut machine = Machine::new();
    machine.owners = Owners::default();
    machine.host = HostNamespaces::default();
    machine.observe(inside(20), &place("/c1"));
    let found = machine.join(&Place::Host, namespace_set(1), inside(20));
    assert_eq!(found, (None, None, None));
}
