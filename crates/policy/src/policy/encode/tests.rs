use proptest::prelude::*;

use super::*;
use crate::policy::resolved::{
    BeneathRule, Follow, HandledRight, Keyring, LogFlag, PortRule, RequestedLogFlag, Rlimit,
};
use crate::seccomp::program::{Instruction, Program};
use nsexec_kernel_text::capability::CapabilitySet;

fn reason() -> String {
    "a test".to_owned()
}

fn rules() -> LandlockRules {
    let handled = |right| HandledRight {
        right,
        require: Require::Full,
    };
    LandlockRules {
        require: Require::BestEffort { reason: reason() },
        handled: vec![
            handled(Right::Execute),
            handled(Right::BindTcp),
            HandledRight {
                right: Right::ScopeSignal,
                require: Require::BestEffort { reason: reason() },
            },
        ],
        log: vec![
            RequestedLogFlag {
                flag: LogFlag::SameExecOff,
                require: Require::BestEffort { reason: reason() },
            },
            RequestedLogFlag {
                flag: LogFlag::NewExecOn,
                require: Require::Full,
            },
        ],
        beneath: vec![BeneathRule {
            path: "/usr".into(),
            rights: vec![Right::Execute],
        }],
        ports: vec![PortRule {
            port: 80,
            rights: vec![Right::BindTcp],
        }],
    }
}

fn policy() -> ResolvedPolicy {
    ResolvedPolicy {
        name: "test".to_owned(),
        ceiling: Layers {
            seccomp: Layer::None { reason: reason() },
            landlock: Layer::None { reason: reason() },
        },
        workload: Layers {
            seccomp: Layer::None { reason: reason() },
            landlock: Layer::Enforce(rules()),
        },
        process: Process {
            capabilities: Capabilities::Keep(CapabilitySet::from_bits(1 << 40 | 1)),
            no_new_privs: true,
            keep_groups: false,
            keyring: Keyring::New,
            cgroup: Follow::Caller,
            label: Follow::Target(Require::Full),
            rlimits: vec![Rlimit {
                resource: 15,
                soft: 5,
                hard: 5,
            }],
            umask: Some(0o777),
            oom_score_adj: Some(-1000),
            environment: Environment::Login {
                pass: vec!["TERM".to_owned()],
            },
        },
        preserve_fds: true,
    }
}

/// Decodes the policy after `change`.
fn decoded(change: impl FnOnce(&mut ResolvedPolicy)) -> Result<ResolvedPolicy, DecodeFault> {
    let mut policy = policy();
    change(&mut policy);
    // As an enemy would write it: without the checks of `encode`.
    decode(&serde_json::to_vec(&policy).expect("serializes"))
}

fn landlock(policy: &mut ResolvedPolicy) -> &mut LandlockRules {
    match &mut policy.workload.landlock {
        Layer::Enforce(rules) => rules,
        Layer::None { .. } => panic!("no Landlock layer"),
    }
}

#[test]
fn policies_that_could_not_have_been_compiled_are_refused() {
    struct Case(Invariant, fn(&mut ResolvedPolicy));

    assert_eq!(decoded(|_| {}), Ok(policy()));
    let cases = [
        Case(Invariant::Name, |p| p.name.clear()),
        Case(Invariant::Name, |p| p.name = "a\u{7}".to_owned()),
        Case(Invariant::Name, |p| p.name = "n".repeat(MAX_NAME + 1)),
        Case(Invariant::Reason, |p| {
            p.ceiling.seccomp = Layer::None {
                reason: " ".to_owned(),
            };
        }),
        Case(Invariant::Reason, |p| {
            p.ceiling.landlock = Layer::None {
                reason: String::new(),
            };
        }),
        Case(Invariant::Reason, |p| {
            landlock(p).require = Require::BestEffort {
                reason: String::new(),
            };
        }),
        Case(Invariant::Reason, |p| {
            landlock(p).handled[2].require = Require::BestEffort {
                reason: String::new(),
            };
        }),
        Case(Invariant::Reason, |p| {
            landlock(p).log[0].require = Require::BestEffort {
                reason: String::new(),
            };
        }),
        Case(Invariant::Log, |p| {
            landlock(p).log[1].flag = LogFlag::SameExecOff;
        }),
        Case(Invariant::Handled, |p| {
            let rules = landlock(p);
            (rules.handled, rules.beneath, rules.ports) = (vec![], vec![], vec![]);
        }),
        Case(Invariant::Handled, |p| {
            let rules = landlock(p);
            rules.handled[2] = rules.handled[0].clone();
        }),
        Case(Invariant::BestEffort(Right::Execute), |p| {
            landlock(p).handled[0].require = Require::BestEffort { reason: reason() };
        }),
        Case(Invariant::Granted, |p| {
            landlock(p).beneath[0].rights.clear()
        }),
        Case(Invariant::Granted, |p| {
            landlock(p).beneath[0].rights.push(Right::Execute)
        }),
        Case(Invariant::Granted, |p| {
            landlock(p).beneath[0].rights.push(Right::ReadFile)
        }),
        Case(Invariant::Granted, |p| {
            landlock(p).beneath[0].rights = vec![Right::BindTcp]
        }),
        Case(Invariant::Granted, |p| {
            landlock(p).ports[0].rights = vec![Right::Execute]
        }),
        Case(Invariant::Granted, |p| {
            landlock(p).ports[0].rights = vec![Right::ScopeSignal]
        }),
        Case(Invariant::Place, |p| {
            landlock(p).beneath[0].path = "usr".into()
        }),
        Case(Invariant::Place, |p| {
            landlock(p).beneath[0].path = "/usr/../etc".into()
        }),
        Case(Invariant::Place, |p| {
            let again = landlock(p).beneath[0].clone();
            landlock(p).beneath.push(again);
        }),
        Case(Invariant::Place, |p| {
            let again = landlock(p).ports[0].clone();
            landlock(p).ports.push(again);
        }),
        Case(Invariant::Place, |p| {
            let rules = (0..=512).map(|port| PortRule {
                port,
                rights: vec![Right::BindTcp],
            });
            landlock(p).ports = rules.collect();
        }),
        Case(Invariant::Pass, |p| {
            let pass = vec!["A".to_owned(), "A".to_owned()];
            p.process.environment = Environment::Login { pass };
        }),
        Case(Invariant::Pass, |p| {
            let pass = (0..=256).map(|n| format!("A{n}")).collect();
            p.process.environment = Environment::Login { pass };
        }),
        Case(Invariant::Capability(41), |p| {
            p.process.capabilities = Capabilities::Keep(CapabilitySet::from_bits(1 << 41));
        }),
        Case(Invariant::Capability(63), |p| {
            p.process.capabilities = Capabilities::Keep(CapabilitySet::from_bits(1 << 63));
        }),
        Case(Invariant::Rlimit(16), |p| {
            p.process.rlimits[0].resource = 16
        }),
        Case(Invariant::Rlimit(15), |p| p.process.rlimits[0].soft = 6),
        Case(Invariant::Rlimit(15), |p| {
            let again = p.process.rlimits[0];
            p.process.rlimits.push(again);
        }),
        Case(Invariant::Umask(0o1000), |p| p.process.umask = Some(0o1000)),
        Case(Invariant::OomScoreAdj(-1001), |p| {
            p.process.oom_score_adj = Some(-1001)
        }),
        Case(Invariant::OomScoreAdj(1001), |p| {
            p.process.oom_score_adj = Some(1001)
        }),
        Case(Invariant::Pass, |p| {
            let pass = vec!["A=B".to_owned()];
            p.process.environment = Environment::Login { pass };
        }),
    ];
    for Case(invariant, change) in cases {
        assert_eq!(decoded(change), Err(DecodeFault::Invariant(invariant)));
        let mut policy = policy();
        change(&mut policy);
        assert_eq!(encode(&policy), Err(DecodeFault::Invariant(invariant)));
    }
}

#[test]
fn bytes_that_are_not_encode_s_are_refused() {
    let bytes = encode(&policy()).expect("encodes");
    let text = String::from_utf8(bytes).expect("JSON");
    let wrong = [
        String::new(),
        format!("{text}{{}}"),
        text.replacen("\"name\"", "\"nam\"", 1),
        text.replacen("\"name\":", "\"name\":\"a\",\"name\":", 1),
        text.replacen("\"preserve_fds\":true", "\"preserve_fds\":true,\"x\":1", 1),
        text.replacen(",\"preserve_fds\":true", "", 1),
        text.replacen("\"execute\"", "\"fly\"", 1),
        text.replacen("\"same_exec_off\"", "\"tsync\"", 1),
        text.replacen("\"log\":[", "\"log\":[],\"logs\":[", 1),
        text.replacen("\"log\":[", "\"logs\":[", 1),
        text.replacen("\"umask\":511", "\"umask\":-1", 1),
        "[".repeat(1000),
    ];
    for text in wrong {
        let fault = decode(text.as_bytes()).expect_err("refused");
        assert!(matches!(fault, DecodeFault::Json(_)), "{text}: {fault:?}");
    }
    for end in 0..text.len() {
        assert!(decode(&text.as_bytes()[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn programs_are_checked_again() {
    let with = |instructions: &str| {
        let text = serde_json::to_string(&policy()).expect("serializes");
        let enforce = format!("\"ceiling\":{{\"seccomp\":{{\"enforce\":{instructions}}}");
        let none = "\"ceiling\":{\"seccomp\":{\"none\":{\"reason\":\"a test\"}}";
        assert!(text.contains(none));
        decode(text.replacen(none, &enforce, 1).as_bytes())
    };
    assert!(with("[[6,0,0,0]]").is_ok());
    for wrong in [
        "[]",
        "[[0,0,0,0]]",
        "[[5,0,0,9],[6,0,0,0]]",
        "[[32,0,0,64],[6,0,0,0]]",
    ] {
        assert!(matches!(with(wrong), Err(DecodeFault::Json(_))), "{wrong}");
    }
}

#[test]
fn bytes_are_accepted_up_to_the_limit() {
    let mut bytes = encode(&policy()).expect("encodes");
    bytes.resize(MAX_ENCODED, b' ');
    assert_eq!(decode(&bytes), Ok(policy()));
    bytes.push(b' ');
    assert_eq!(decode(&bytes), Err(DecodeFault::TooLong(MAX_ENCODED + 1)));
}

#[test]
fn the_longest_programs_fit() {
    let longest = || {
        let jump = Instruction {
            code: 0x15,
            jt: 250,
            jf: 250,
            k: u32::MAX,
        };
        let ret = Instruction {
            code: 0x06,
            jt: 0,
            jf: 0,
            k: u32::MAX,
        };
        let mut program = vec![jump; 3840];
        program.resize(4096, ret);
        Layer::Enforce(Program::new(program).expect("valid"))
    };
    let mut policy = policy();
    policy.ceiling.seccomp = longest();
    policy.workload.seccomp = longest();
    let bytes = encode(&policy).expect("fits");
    assert_eq!(decode(&bytes), Ok(policy));
}

fn a_require(right: Option<Right>) -> BoxedStrategy<Require> {
    if right.is_some_and(|right| right.abi() <= 2) {
        return Just(Require::Full).boxed();
    }
    prop_oneof![
        Just(Require::Full),
        "[a-zé\"\\\\]{1,9}".prop_map(|reason| Require::BestEffort { reason }),
    ]
    .boxed()
}

fn a_landlock_layer() -> impl Strategy<Value = Layer<LandlockRules>> {
    const RIGHTS: [Right; 6] = [
        Right::Execute,
        Right::Truncate,
        Right::IoctlDev,
        Right::BindTcp,
        Right::ConnectTcp,
        Right::ScopeSignal,
    ];
    let rights = prop::sample::subsequence(RIGHTS.to_vec(), 1..=RIGHTS.len());
    let handled = rights.prop_flat_map(|rights| {
        let each: Vec<_> = rights
            .into_iter()
            .map(|right| {
                a_require(Some(right)).prop_map(move |require| HandledRight { right, require })
            })
            .collect();
        each
    });
    let layer = (
        a_require(None),
        handled,
        prop::sample::subsequence(LogFlag::ALL.to_vec(), 0..=3),
        prop::collection::btree_set("/[a-z/]{0,5}[a-z]", 0..3),
        prop::collection::btree_set(any::<u16>(), 0..3),
    );
    layer.prop_map(|(require, handled, flags, paths, ports)| {
        let of = |kind: fn(Right) -> bool| -> Vec<Right> {
            handled
                .iter()
                .map(|h| h.right)
                .filter(|r| kind(*r))
                .collect()
        };
        let (fs, net) = (of(Right::is_fs), of(Right::is_net));
        let beneath = paths
            .into_iter()
            .filter(|path| is_plain_absolute(path) && !fs.is_empty())
            .map(|path| BeneathRule {
                path: path.into(),
                rights: fs.clone(),
            })
            .collect();
        let ports = ports
            .into_iter()
            .filter(|_| !net.is_empty())
            .map(|port| PortRule {
                port,
                rights: net.clone(),
            })
            .collect();
        let requested = |flag| RequestedLogFlag {
            flag,
            require: require.clone(),
        };
        Layer::Enforce(LandlockRules {
            log: flags.into_iter().map(requested).collect(),
            require,
            handled,
            beneath,
            ports,
        })
    })
}

fn a_policy() -> impl Strategy<Value = ResolvedPolicy> {
    let capabilities = prop_oneof![
        (0..1_u64 << 41).prop_map(|bits| Capabilities::Keep(CapabilitySet::from_bits(bits))),
        Just(Capabilities::Inherit),
        Just(Capabilities::InitConfig),
    ];
    let environment = prop_oneof![
        Just(Environment::Inherit),
        Just(Environment::InitConfig),
        prop::collection::vec("[A-Z_][A-Z0-9_]{0,8}\\*?", 0..4).prop_map(|mut pass| {
            pass.sort();
            pass.dedup();
            Environment::Login { pass }
        }),
    ];
    let rlimit = (0..16_u8, any::<u64>(), any::<u64>()).prop_map(|(resource, a, b)| {
        let rlimit = Rlimit {
            resource,
            soft: a.min(b),
            hard: a.max(b),
        };
        vec![rlimit]
    });
    let program = any::<u32>().prop_map(|k| {
        let ret = Instruction {
            code: 0x06,
            jt: 0,
            jf: 0,
            k,
        };
        Layer::Enforce(Program::new(vec![ret]).expect("valid"))
    });
    (
        "[a-z é\"/]{1,12}",
        program,
        a_landlock_layer(),
        a_landlock_layer(),
        (capabilities, environment, rlimit),
        (
            prop::option::of(0..=0o777_u32),
            prop::option::of(-1000..=1000_i16),
        ),
        any::<[bool; 4]>(),
    )
        .prop_map(|(name, program, outer, inner, process, numbers, flags)| {
            let (capabilities, environment, rlimits) = process;
            let (umask, oom_score_adj) = numbers;
            let [no_new_privs, keep_groups, preserve_fds, caller_keyring] = flags;
            ResolvedPolicy {
                name,
                ceiling: Layers {
                    seccomp: program,
                    landlock: outer,
                },
                workload: Layers {
                    seccomp: Layer::None { reason: reason() },
                    landlock: inner,
                },
                process: Process {
                    capabilities,
                    no_new_privs,
                    keep_groups,
                    keyring: if caller_keyring {
                        Keyring::Caller
                    } else {
                        Keyring::New
                    },
                    cgroup: Follow::Target(Require::BestEffort { reason: reason() }),
                    label: Follow::Caller,
                    rlimits,
                    umask,
                    oom_score_adj,
                    environment,
                },
                preserve_fds,
            }
        })
}

proptest! {
    #[test]
    fn an_encoded_policy_decodes_to_the_same(policy in a_policy()) {
        let bytes = encode(&policy).expect("encodes");
        let again = decode(&bytes).expect("decodes");
        prop_assert_eq!(&again, &policy);
        prop_assert_eq!(encode(&again).expect("encodes"), bytes);
    }

    #[test]
    fn damaged_bytes_never_decode_to_a_broken_invariant(
        policy in a_policy(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = encode(&policy).expect("encodes");
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(policy) = decode(&bytes) {
            prop_assert_eq!(check(&policy), Ok(()));
            prop_assert_eq!(decode(&encode(&policy).expect("encodes")), Ok(policy));
        }
    }
}
