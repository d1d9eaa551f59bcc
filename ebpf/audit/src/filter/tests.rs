use std::sync::Arc;

use super::*;
use crate::enrich::container;

const ID: &str = "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970";

fn at(path: &str) -> Cgroup {
    let place = match container::of_path(path.as_ref()) {
        Some(container) => Place::Container(Arc::new(container)),
        None => Place::Host,
    };
    let path = Some(PathBuf::from(path).into());
    Cgroup { place, path }
}

fn container(of: &Cgroup) -> Arc<Container> {
    match &of.place {
        Place::Container(container) => Arc::clone(container),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_container_is_selected_by_name_or_by_a_prefix_of_its_id() {
    let docker = at(&format!("/docker/{ID}"));
    let (web, host) = (at("/web"), at("/system.slice/a.service"));
    let unknown = Cgroup::default();
    for (wanted, lines) in [
        ("4f79", [true, false, false, true]),
        (ID, [true, false, false, true]),
        ("4f7", [false, false, false, true]),
        ("web", [false, true, false, true]),
        ("we", [false, false, false, true]),
        ("webs", [false, false, false, true]),
    ] {
        let filter = Filter {
            container: Some(wanted.to_owned()),
            ..Filter::default()
        };
        let filter = ActiveFilter::new(filter, 1);
        let none = Crossing::default();
        let found = [&docker, &web, &host, &unknown].map(|at| filter.is_in_place(at, &none));
        assert_eq!(found, lines, "{wanted}");
    }
}

#[test]
fn joins_into_and_out_of_a_container_match_it() {
    let filter = Filter {
        container: Some("web".to_owned()),
        ..Filter::default()
    };
    let filter = ActiveFilter::new(filter, 1);
    let (web, host) = (at("/web"), at("/"));
    let crossing = |entered, from: &Cgroup| Crossing {
        entered,
        from: from.place.clone(),
        ..Crossing::default()
    };
    let inside = Some(container(&web));
    assert!(filter.is_in_place(&host, &crossing(inside, &host)));
    assert!(filter.is_in_place(&host, &crossing(None, &web)));
    assert!(!filter.is_in_place(&host, &crossing(Some(container(&at("/c1"))), &host)));
}

#[test]
fn a_cgroup_is_selected_with_all_below_it() {
    let mut filter = ActiveFilter::new(Filter::default(), 1);
    filter.below = Some("/system.slice".into());
    for (path, lines) in [
        ("/system.slice", true),
        ("/system.slice/a.service/b", true),
        ("/system.slices", false),
        ("/", false),
    ] {
        let found = filter.is_in_place(&at(path), &Crossing::default());
        assert_eq!(found, lines, "{path}");
    }
    assert!(filter.is_in_place(&Cgroup::default(), &Crossing::default()));
}
