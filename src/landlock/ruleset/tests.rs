use super::*;
use crate::policy::resolved::{HandledRight, RequestedLogFlag};

/// The table of rights numbers the bits itself; the library has them from the kernel's header.
#[test]
fn each_right_has_its_bit_in_the_landlock_library() {
    for right in Right::ALL {
        let bit = right.bit();
        let name = match right.kind() {
            Kind::Fs => format!(
                "{:?}",
                BitFlags::<AccessFs>::from_bits(bit).expect("a right")
            ),
            Kind::Net => format!(
                "{:?}",
                BitFlags::<AccessNet>::from_bits(bit).expect("a right")
            ),
            Kind::Scope => format!("{:?}", BitFlags::<Scope>::from_bits(bit).expect("a scope")),
        };
        let expected = format!("{right:?}").replace("Scope", "");
        assert!(name.contains(&format!(" {expected})")), "{right:?}: {name}");
    }
}

fn rules(require: &Require) -> LandlockRules {
    let requested = |flag| RequestedLogFlag {
        flag,
        require: require.clone(),
    };
    LandlockRules {
        require: Require::Full,
        handled: vec![HandledRight {
            right: Right::Execute,
            require: Require::Full,
        }],
        log: vec![
            requested(LogFlag::NewExecOn),
            requested(LogFlag::SubdomainsOff),
        ],
        beneath: Vec::new(),
        ports: Vec::new(),
    }
}

#[test]
fn log_flags_are_in_force_or_refused_or_reported_as_missing() {
    let reason = "a test".to_owned();
    let flags = [LogFlag::NewExecOn, LogFlag::SubdomainsOff];
    let best_effort = Require::BestEffort {
        reason: reason.clone(),
    };
    for wanted in [&Require::Full, &best_effort] {
        let rules = rules(wanted);
        require([&rules].into_iter(), Support::Abi(7)).expect("ABI 7 has them");
        let status = known(&rules, 7);
        assert_eq!(
            (status.log.as_slice(), status.dropped_log),
            (flags.as_slice(), vec![])
        );
    }
    let refused = require([&rules(&Require::Full)].into_iter(), Support::Abi(6));
    let refused = refused.expect_err("unknown");
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert_eq!(
        refused.to_string(),
        "the policy requires these Landlock features: new_exec_on (Linux 6.15), subdomains_off \
         (Linux 6.15); this kernel has Landlock ABI 6 (Linux 6.12); use Linux 6.15 or later, or a \
         policy that marks it best_effort"
    );
    let rules = rules(&best_effort);
    require([&rules].into_iter(), Support::Abi(6)).expect("lets them go");
    let status = known(&rules, 6);
    assert_eq!(status.log, []);
    assert_eq!(status.dropped_log, flags.map(|flag| (flag, reason.clone())));
    assert_eq!(status.handled, [Right::Execute], "nothing else is touched");
}

fn of(name: &str, kernel: Support) -> Result<()> {
    let policy = nsexec_shipped_policies::builtin(name);
    let policy = policy.expect("ships").expect("decodes");
    let layers = [&policy.ceiling.landlock, &policy.workload.landlock];
    let layers = layers.into_iter().filter_map(|layer| layer.enforced());
    require(layers, kernel)
}

#[test]
fn strict_names_all_missing_rights_at_once() {
    let message = |kernel| {
        let refused = of("strict", kernel).expect_err("strict lets nothing go");
        refused.to_string()
    };
    assert_eq!(
        message(Support::Abi(1)),
        "the policy requires these Landlock features: refer (Linux 5.19), truncate (Linux 6.2), \
         bind_tcp (Linux 6.7), connect_tcp (Linux 6.7), ioctl_dev (Linux 6.10), abstract_unix_socket \
         (Linux 6.12), signal (Linux 6.12); this kernel has Landlock ABI 1 (Linux 5.13); use \
         Linux 6.12 or later, or a policy that marks it best_effort"
    );
    assert!(!message(Support::Abi(4)).contains("bind_tcp"));
    let off = message(Support::SwitchedOff);
    assert!(off.contains("lsm= does not name it; add landlock to lsm="));
    let none = message(Support::NotBuilt);
    assert!(none.contains("no Landlock; use Linux 6.12 or later with CONFIG_SECURITY"));
    of("strict", Support::Abi(6)).expect("all of it");
}

#[test]
fn default_loads_on_every_kernel_and_reports_dropped_rights() {
    let policy = nsexec_shipped_policies::builtin("default");
    let policy = policy.expect("ships").expect("decodes");
    let rules = policy.workload.landlock.enforced().expect("rules");
    let root = crate::target::directory::own_root().expect("a root");
    let mounts = || Ok(Vec::new());
    for (kernel, words) in [
        (Support::NotBuilt, "this kernel has no Landlock;"),
        (Support::SwitchedOff, "lsm= does not name it;"),
        (
            Support::Abi(1),
            "this kernel has Landlock ABI 1 (Linux 5.13);",
        ),
    ] {
        of("default", kernel).expect("lets Landlock go");
        match build(rules, &root, PathResolver::OwnProcess(&mounts), kernel).expect("an answer") {
            Built::Dropped { reason } => assert!(reason.contains(words), "{reason}"),
            Built::Domain(..) => panic!("{kernel:?} has no REFER"),
        }
    }
}
