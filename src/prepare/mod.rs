//! The steps before anything of the target is opened: the helper's own file, its inherited
//! descriptors, the policy, and the filters of its own processes.
//!
//! A [`Plan`](crate::plan::Plan) holds their results; `stage` applies it.

pub(crate) mod cannot_clone;
pub(crate) mod clean;
pub(crate) mod filters;
pub(crate) mod fitness;
pub(crate) mod own_file;
pub(crate) mod policy_child;
pub(crate) mod policy_choice;
pub(crate) mod policy_origin;
pub(crate) mod preserved;
pub(crate) mod seccomp_fd;
pub(crate) mod status;
pub(crate) mod trusted_file;
