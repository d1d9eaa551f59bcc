//! The plan and the layers as JSON: `--dry-run` and the status lines.

use serde_json::{Value, json};

use super::Plan;
use super::attributes::Attributes;
use super::layers::{LayersStatus, Status};
use crate::landlock::ruleset::DomainStatus;
use crate::policy::resolved::{Capabilities, Environment, Keyring, Process};
use crate::prepare::seccomp_fd::AddedFilters;
use crate::request::{Directory, Explain, Request, WorkDir};
use crate::target::directory::ProgramRoot;
use crate::target::namespace::Decision;
use crate::target::{Memberships, cgroup, label};
use nsexec_text::printable;

impl Plan {
    /// The plan as one JSON object: the steps that an exec would do.
    #[must_use]
    pub fn to_json(&self) -> String {
        printable::json(&self.to_value())
    }

    pub(crate) fn to_value(&self) -> Value {
        let target = self
            .target
            .as_ref()
            .map(|target| json!({ "pid": target.pid().get(), "inode": target.inode() }));
        let program: Vec<String> = self
            .request
            .program
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        json!({
            "event": "plan",
            "target": target,
            "namespaces": namespaces(&self.memberships),
            "root": match self.opened.root {
                ProgramRoot::Own(_) => "caller",
                ProgramRoot::Other(_) if self.request.root.is_some() => "option",
                ProgramRoot::Other(_) => "target",
                ProgramRoot::AfterJoin => "mount namespace",
            },
            "working_directory": self.work_dir_name(),
            "credentials": {
                "uid": self.credentials.uid,
                "gid": self.credentials.gid,
                "supplementary_groups": if self.credentials.drop_groups { "dropped" } else { "kept" },
            },
            "environment": if self.request.target_environment {
                "target"
            } else {
                environment_name(&self.policy.process.environment)
            },
            "cgroups": match &self.cgroups {
                cgroup::Decision::NotRequested => json!({ "action": "not-requested" }),
                cgroup::Decision::Join(join) => {
                    json!({ "action": "join", "hierarchies": join.procs.len() })
                }
                cgroup::Decision::NotJoined { reason } => {
                    json!({ "action": "not-joined", "reason": reason })
                }
            },
            "label": match &self.label {
                label::Decision::NotRequested => json!({ "action": "not-requested" }),
                label::Decision::NothingToFollow => json!({ "action": "nothing-to-follow" }),
                label::Decision::Follow(label) => json!({
                    "action": "follow",
                    "module": label.module(),
                    "label": label.to_text(),
                }),
            },
            "descriptors": (0..=2).chain(self.request.preserve_fds.iter().copied()).collect::<Vec<_>>(),
            "fork": !self.request.no_fork,
            "explain": self.request.explain != Explain::No,
            "switches_auditing_on": self.request.explain == Explain::SwitchAuditingOn,
            "status_fd": self.request.status_fd,
            "own_file": self.own_file.name(&self.procfs),
            "policy": self.policy.name,
            "process": process(&self.request, &self.policy.process),
            "layers": layers(
                self.layers.as_ref().map(|built| &built.ceiling.status),
                self.layers.as_ref().map(|built| &built.workload.status),
                &self.added_filters,
            ),
            "program": program,
            "warnings": self.opened.accounts.warnings().collect::<Vec<_>>(),
        })
    }

    fn work_dir_name(&self) -> Value {
        match &self.request.work_dir {
            WorkDir::Before(Directory::Target) => json!({ "of": "target" }),
            WorkDir::Before(Directory::Path(path)) => json!({ "path": path.to_string_lossy() }),
            WorkDir::After(path) => json!({ "path_inside": path.to_string_lossy() }),
            WorkDir::Default => match self.opened.root {
                ProgramRoot::Own(_) => json!({ "of": "caller" }),
                _ => json!({ "path_inside": "/" }),
            },
        }
    }
}

/// The result for each type: `join`, `shared`, `not-requested` or `unsupported`.
fn namespaces(memberships: &Memberships) -> Value {
    let decisions = memberships.decisions().map(|(namespace, decision)| {
        let (action, of) = match decision {
            Decision::Join(join) if join.of_target => ("join", Some("target")),
            Decision::Join(_) => ("join", Some("file")),
            Decision::Shared(_) => ("shared", None),
            Decision::NotRequested(_) => ("not-requested", None),
            Decision::Unsupported => ("unsupported", None),
        };
        let mut value = json!({ "action": action });
        if let Some(expected) = decision.expected() {
            value["inode"] = json!(expected.inode);
        }
        if let Some(of) = of {
            value["of"] = json!(of);
        }
        (namespace.name().to_owned(), value)
    });
    Value::Object(decisions.collect())
}

fn environment_name(environment: &Environment) -> &'static str {
    match environment {
        Environment::Inherit => "caller",
        Environment::Login { .. } => "login",
        Environment::InitConfig => "initConfig",
    }
}

fn process(request: &Request, process: &Process) -> Value {
    let capabilities = match process.capabilities {
        Capabilities::Keep(set) => {
            json!(
                set.iter()
                    .map(|capability| capability.to_string())
                    .collect::<Vec<_>>()
            )
        }
        Capabilities::Inherit => json!("inherit"),
        Capabilities::InitConfig => json!("initConfig"),
    };
    let mut entries = Attributes::new(request, process).entries();
    let others = json!({
        "capabilities": capabilities,
        "no_new_privs": process.no_new_privs,
        "keyring": match process.keyring {
            Keyring::New => "new",
            Keyring::Caller => "caller",
        },
        "oom_score_adj": process.oom_score_adj,
    });
    if let Value::Object(others) = others {
        entries.extend(others);
    }
    Value::Object(entries)
}

/// The layers: the requested ones, and the parts that this kernel enforces; `None`: unknown before
/// the join.
pub(crate) fn layers(
    ceiling: Option<&LayersStatus>,
    workload: Option<&LayersStatus>,
    added_filters: &AddedFilters,
) -> Value {
    json!({
        "ceiling": ceiling.map(layer_set),
        "workload": workload.map(layer_set),
        "seccomp-fd": added_filters.to_value(),
    })
}

fn layer_set(status: &LayersStatus) -> Value {
    let seccomp = match &status.seccomp {
        Status::InForce(instructions) => json!({ "in_force": true, "instructions": instructions }),
        Status::None { reason } => json!({ "in_force": false, "left_out": reason }),
        Status::Dropped { reason } => json!({ "in_force": false, "dropped": reason }),
    };
    let landlock = match &status.landlock {
        Status::InForce(domain) => domain_value(domain),
        Status::None { reason } => json!({ "in_force": false, "left_out": reason }),
        Status::Dropped { reason } => json!({ "in_force": false, "dropped": reason }),
    };
    json!({ "seccomp": seccomp, "landlock": landlock })
}

fn domain_value(domain: &DomainStatus) -> Value {
    let handled: Vec<&str> = domain.handled.iter().map(|right| right.name()).collect();
    let log: Vec<&str> = domain.log.iter().map(|flag| flag.name()).collect();
    let rights = domain.dropped.iter();
    let rights = rights.map(|(right, reason)| json!({ "right": right.name(), "reason": reason }));
    let flags = domain.dropped_log.iter();
    let flags = flags.map(|(flag, reason)| json!({ "log": flag.name(), "reason": reason }));
    json!({
        "in_force": true,
        "rights": handled,
        "log": log,
        "dropped": rights.chain(flags).collect::<Vec<Value>>(),
        "absent": domain.absent,
        "not_granted": domain.not_granted.iter()
            .map(|(path, reason)| json!({ "path": path, "reason": reason }))
            .collect::<Vec<Value>>(),
    })
}
