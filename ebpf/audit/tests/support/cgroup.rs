//! Cgroups with names like those of containers.

use std::path::Path;

use nsexec_audit::cgroup_hierarchy::Hierarchy;
use nsexec_test_support::cgroup::Cgroup;
use nsexec_test_support::leave_out;

/// A cgroup below the root of the hierarchy that the auditor uses; if none can be created,
/// `test` is counted as left out.
pub fn named(test: &str, name: &str) -> Option<Cgroup> {
    let hierarchy = Hierarchy::here();
    let directory = match hierarchy.mounted() {
        Some((root, at)) if root == Path::new("/") => at.join(name),
        _ => {
            leave_out(test, "the root of the cgroups is not mounted here");
            return None;
        }
    };
    match Cgroup::create(directory) {
        Ok(cgroup) => Some(cgroup),
        Err(error) => {
            leave_out(test, &format!("no cgroup can be made here: {error}"));
            None
        }
    }
}
