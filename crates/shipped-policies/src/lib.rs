//! The shipped policies: build.rs compiles them, and they are decoded on use.

use nsexec_kernel_text::capability::CapabilitySet;
use nsexec_policy_engine::policy::encode::{DecodeFault, decode};
use nsexec_policy_engine::policy::resolved::ResolvedPolicy;
use nsexec_policy_engine::policy::text::PolicyText;
use nsexec_policy_engine::seccomp::oci::Context;
use nsexec_policy_engine::seccomp::table::Arch;

// ENCODED: [(name, bytes); N], from policies/*.toml for this architecture.
// TEXTS: [(path below policies/, text); M], of all files there.
// OLDEST_KERNEL: the kernel version used to decide `minKernel`.
include!(concat!(env!("OUT_DIR"), "/builtin.rs"));

/// The names that [`builtin`] knows.
pub const BUILTIN_NAMES: [&str; ENCODED.len()] = {
    let mut names = [""; ENCODED.len()];
    let mut at = 0;
    while at < ENCODED.len() {
        names[at] = ENCODED[at].0;
        at += 1;
    }
    names
};

/// The shipped policy of this name; `None` if there is none.
///
/// # Errors
/// The constant is damaged: it is checked as any encoded policy.
#[must_use]
pub fn builtin(name: &str) -> Option<Result<ResolvedPolicy, DecodeFault>> {
    let found = ENCODED.iter().find(|(known, _)| *known == name);
    found.map(|(_, bytes)| decode(bytes))
}

/// The text files of a shipped policy; `None` if there is no such policy.
#[must_use]
pub fn builtin_text(name: &str) -> Option<PolicyText> {
    let manifest = format!("{name}.toml");
    let (_, manifest) = TEXTS.iter().find(|(path, _)| *path == manifest)?;
    let files = TEXTS.iter().filter(|(path, _)| path.contains('/'));
    Some(PolicyText {
        name: name.to_owned(),
        manifest: manifest.as_bytes().to_vec(),
        files: files
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect(),
    })
}

/// The machine that the conditions of the shipped policies were decided for at
/// build time.
#[must_use]
pub fn builtin_context(arch: Arch) -> Context {
    Context {
        arch,
        bounding: CapabilitySet::EMPTY,
        kernel: OLDEST_KERNEL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nsexec_kernel_text::capability::Capability;
    use nsexec_policy_engine::policy::resolved::{
        Capabilities, Environment, Layer, Process, Require,
    };

    fn policy(name: &str) -> ResolvedPolicy {
        builtin(name).expect("ships").expect("decodes")
    }

    #[test]
    fn only_shipped_names_have_a_policy() {
        assert_eq!(
            BUILTIN_NAMES,
            [
                "default",
                "net",
                "strict",
                "admin",
                "libcontainer",
                "libcontainer-privileged"
            ]
        );
        for name in BUILTIN_NAMES {
            assert_eq!(policy(name).name, name);
        }
        for name in ["", "Default", "default.toml", "none"] {
            assert!(builtin(name).is_none(), "{name:?}");
        }
    }

    #[test]
    fn the_texts_make_the_policies_that_ship() {
        let arch = Arch::native().expect("x86_64 or aarch64");
        for name in BUILTIN_NAMES {
            let text = builtin_text(name).expect("ships");
            let (made, _) = text.compile(builtin_context(arch)).expect("compiles");
            assert_eq!(made, policy(name));
        }
        for name in ["", "default.toml", "seccomp/strict"] {
            assert!(builtin_text(name).is_none(), "{name:?}");
        }
    }

    #[test]
    fn default_gives_docker_s_capabilities_without_mknod() {
        let process = policy("default").process;
        let Capabilities::Keep(set) = process.capabilities else {
            panic!("{:?}", process.capabilities);
        };
        let mknod = 1 << 27;
        assert_eq!(set.bits() | mknod, 0xa804_25fb, "Docker's CapEff");
        assert!(process.no_new_privs);
        assert!(matches!(process.environment, Environment::Login { .. }));
    }

    /// Only the device cgroup of the target keeps a runtime's programs from the
    /// host's devices: no policy can guarantee that.
    #[test]
    fn no_policy_names_a_capability_to_make_device_nodes() {
        let mknod = Capability::from_name("CAP_MKNOD").expect("a name");
        for name in BUILTIN_NAMES {
            match policy(name).process.capabilities {
                Capabilities::Keep(set) => assert!(!set.contains(mknod), "{name}"),
                Capabilities::Inherit | Capabilities::InitConfig => {}
            }
        }
    }

    #[test]
    fn net_is_default_and_the_administration_of_a_network() {
        let (net, default) = (policy("net"), policy("default"));
        let admin = Capability::from_name("CAP_NET_ADMIN").expect("a name");
        let Capabilities::Keep(set) = default.process.capabilities else {
            panic!("{:?}", default.process.capabilities);
        };
        let process = Process {
            capabilities: Capabilities::Keep(set.with(admin)),
            ..default.process
        };
        assert_eq!(net.process, process);
        assert_eq!(net.ceiling, default.ceiling);
        assert_eq!(net.workload.seccomp, default.workload.seccomp);
    }

    #[test]
    fn strict_requires_all_that_it_names() {
        let policy = policy("strict");
        for layers in [&policy.ceiling, &policy.workload] {
            assert!(matches!(layers.seccomp, Layer::Enforce(_)));
            let Layer::Enforce(rules) = &layers.landlock else {
                panic!("no Landlock layer");
            };
            assert_eq!(rules.require, Require::Full);
            assert!(rules.handled.iter().all(|h| h.require == Require::Full));
        }
    }

    #[test]
    fn each_policy_has_a_ceiling_of_system_calls() {
        for name in BUILTIN_NAMES {
            let ceiling = policy(name).ceiling;
            assert!(matches!(ceiling.seccomp, Layer::Enforce(_)), "{name}");
        }
    }
}
