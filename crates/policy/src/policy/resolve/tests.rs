use super::*;
use crate::policy::encode::Invariant;
use crate::seccomp::table::Arch;
use nsexec_kernel_text::capability::CapabilitySet;

const MANIFEST_TEXT: &str = r#"
seccomp = "filter.json"
landlock = "rules.toml"

[ceiling]
seccomp = "ceiling.json"
landlock = "none"
landlock_reason = "a test"

[process]
capabilities = ["CAP_KILL"]
no_new_privs = true
keep_groups = false
rlimits = [{ resource = "nofile", soft = 1024, hard = "unlimited" }]
umask = 0o022
oom_score_adj = 500

[process.environment]
mode = "login"
pass = ["TERM", "LC_*"]

[tty]
session = "caller"

[fds]
preserve = false

[[best_effort]]
layer = "landlock"
right = "ioctl_dev"
reason = "a test"
"#;

const FILTER: &str = r#"{
  "defaultAction": "SCMP_ACT_ERRNO",
  "syscalls": [
    { "names": ["execve", "write", "exit_group"], "action": "SCMP_ACT_ALLOW" },
    {
      "names": ["socket"],
      "action": "SCMP_ACT_ALLOW",
      "args": [{ "index": 0, "value": 1, "op": "SCMP_CMP_EQ" }]
    }
  ]
}"#;

const CEILING: &str = r#"{
  "defaultAction": "SCMP_ACT_ALLOW",
  "syscalls": [
    { "names": ["mount"], "action": "SCMP_ACT_ERRNO" },
    {
      "names": ["ioctl"],
      "action": "SCMP_ACT_ERRNO",
      "args": [{ "index": 1, "value": 21522, "op": "SCMP_CMP_EQ" }]
    }
  ]
}"#;

const RULES: &str = r#"
abi = 6
[[ruleset]]
handled_access_fs = ["execute", "ioctl_dev"]
handled_access_net = ["bind_tcp"]
scoped = ["signal"]
[[path_beneath]]
allowed_access = ["execute"]
parent = ["/", "/usr/bin"]
[[net_port]]
allowed_access = ["bind_tcp"]
port = [80]
"#;

/// The files of a test, of which one is not as it should be.
#[derive(Clone)]
struct Policy {
    manifest: String,
    filter: String,
    ceiling: String,
    rules: String,
}

impl Policy {
    fn new() -> Self {
        Self {
            manifest: MANIFEST_TEXT.to_owned(),
            filter: FILTER.to_owned(),
            ceiling: CEILING.to_owned(),
            rules: RULES.to_owned(),
        }
    }

    fn compile(&mut self) -> Result<ResolvedPolicy, PolicyFault> {
        let manifest = self.manifest.clone();
        let context = Context {
            arch: Arch::X86_64,
            bounding: CapabilitySet::EMPTY,
            kernel: (6, 18),
        };
        compile("test", manifest.as_bytes(), self, context)
    }
}

impl Files for Policy {
    fn read(&mut self, name: &FileName) -> Result<Vec<u8>, FileFault> {
        match name.as_str() {
            "filter.json" => Ok(self.filter.clone().into_bytes()),
            "ceiling.json" => Ok(self.ceiling.clone().into_bytes()),
            "rules.toml" | "rules.json" => Ok(self.rules.clone().into_bytes()),
            _ => Err(FileFault::Missing),
        }
    }
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not in the text");
    text.replacen(from, to, 1)
}

/// The fault of the policy with this replaced in one of its files.
fn fault_in(name: &str, from: &str, to: &str) -> PolicyErrorKind {
    let mut policy = Policy::new();
    let text = match name {
        MANIFEST => &mut policy.manifest,
        "filter.json" => &mut policy.filter,
        _ => &mut policy.rules,
    };
    *text = replaced(text, from, to);
    let fault = policy.compile().expect_err(to);
    assert_eq!(fault.file, name);
    assert!(fault.place.is_some(), "{fault:?}");
    fault.reason
}

fn manifest_fault(from: &str, to: &str) -> manifest::ManifestErrorKind {
    match fault_in(MANIFEST, from, to) {
        PolicyErrorKind::Manifest(reason) => reason,
        other => panic!("{to:?}: {other:?}"),
    }
}

fn rules_fault(from: &str, to: &str) -> landlock_file::LandlockFileErrorKind {
    match fault_in("rules.toml", from, to) {
        PolicyErrorKind::Landlock(reason) => reason,
        other => panic!("{to:?}: {other:?}"),
    }
}

fn filter_fault(from: &str, to: &str) -> oci::ProfileErrorKind {
    match fault_in("filter.json", from, to) {
        PolicyErrorKind::Seccomp(reason) => reason,
        other => panic!("{to:?}: {other:?}"),
    }
}

#[test]
fn a_valid_policy_compiles_to_its_text() {
    let policy = Policy::new().compile().expect("a valid policy");
    assert_eq!(policy.name, "test");
    let process = &policy.process;
    assert_eq!(process.rlimits.len(), 1);
    assert_eq!(process.rlimits[0].resource, 7, "RLIMIT_NOFILE");
    assert_eq!(process.rlimits[0].hard, u64::MAX);
    assert_eq!(process.umask, Some(0o022));
    assert_eq!(process.oom_score_adj, Some(500));
    assert!(!policy.preserve_fds);
    let Layer::Enforce(rules) = policy.workload.landlock else {
        panic!("no Landlock layer");
    };
    assert_eq!(rules.require, Require::Full);
    let missing: Vec<Right> = rules
        .handled
        .iter()
        .filter(|handled| handled.require != Require::Full)
        .map(|handled| handled.right)
        .collect();
    assert_eq!(missing, [Right::IoctlDev]);
    let reason = "a test".to_owned();
    assert_eq!(policy.ceiling.landlock, Layer::None { reason });
}

#[test]
fn each_manifest_error_has_its_kind() {
    use manifest::ManifestErrorKind;
    let name = |text: &str| text.to_owned();
    let cases = [
        (
            "\"none\"\n",
            "\"../rules.toml\"\n",
            ManifestErrorKind::NothingToExplain("landlock_reason"),
        ),
        (
            "landlock_reason = \"a test\"\n",
            "",
            ManifestErrorKind::Unexplained("landlock_reason"),
        ),
        (
            "landlock_reason = \"a test\"",
            "landlock_reason = \" \"",
            ManifestErrorKind::Explanation("landlock_reason"),
        ),
        (
            "\"filter.json\"",
            "\"../filter.json\"",
            ManifestErrorKind::FileName(name("../filter.json")),
        ),
        (
            "\"filter.json\"",
            "\"/filter.json\"",
            ManifestErrorKind::FileName(name("/filter.json")),
        ),
        (
            "\"filter.json\"",
            "\"a//b\"",
            ManifestErrorKind::FileName(name("a//b")),
        ),
        (
            "\"filter.json\"",
            "\"a\\u0000b\"",
            ManifestErrorKind::FileName(name("a\0b")),
        ),
        (
            "\"filter.json\"",
            "\"\"",
            ManifestErrorKind::FileName(name("")),
        ),
        (
            "[\"CAP_KILL\"]",
            "[]",
            ManifestErrorKind::Empty("capabilities"),
        ),
        (
            "[\"CAP_KILL\"]",
            "[\"KILL\"]",
            ManifestErrorKind::UnknownCapability(name("KILL")),
        ),
        (
            "[\"CAP_KILL\"]",
            "[\"CAP_KILL\", \"CAP_KILL\"]",
            ManifestErrorKind::RepeatedCapability(name("CAP_KILL")),
        ),
        (
            "[\"CAP_KILL\"]",
            "\"all\"",
            ManifestErrorKind::CapabilityWord(name("all")),
        ),
        (
            "\"nofile\"",
            "\"files\"",
            ManifestErrorKind::UnknownResource(name("files")),
        ),
        ("soft = 1024", "soft = -1", ManifestErrorKind::Limit(-1)),
        (
            "hard = \"unlimited\"",
            "hard = 1023",
            ManifestErrorKind::SoftAboveHard,
        ),
        ("0o022", "0o1000", ManifestErrorKind::Umask(0o1000)),
        ("0o022", "-1", ManifestErrorKind::Umask(-1)),
        ("= 500", "= 1001", ManifestErrorKind::OomScoreAdj(1001)),
        ("= 500", "= -1001", ManifestErrorKind::OomScoreAdj(-1001)),
        ("\"login\"", "\"inherit\"", ManifestErrorKind::PassUnused),
        (
            "[\"TERM\", \"LC_*\"]",
            "[]",
            ManifestErrorKind::Empty("pass"),
        ),
        (
            "\"TERM\"",
            "\"TE RM\"",
            ManifestErrorKind::PassName(name("TE RM")),
        ),
        ("\"TERM\"", "\"*\"", ManifestErrorKind::PassName(name("*"))),
        (
            "\"TERM\"",
            "\"LC_*\"",
            ManifestErrorKind::RepeatedPass(name("LC_*")),
        ),
        (
            "\"TERM\"",
            "\"HOME\"",
            ManifestErrorKind::PassIsSet(name("HOME")),
        ),
        (
            "\"TERM\"",
            "\"P*\"",
            ManifestErrorKind::PassIsSet(name("P*")),
        ),
        (
            "layer = \"landlock\"",
            "layer = \"seccomp\"",
            ManifestErrorKind::SeccompBestEffort,
        ),
        (
            "\"ioctl_dev\"",
            "\"ioctl\"",
            ManifestErrorKind::UnknownRight(name("ioctl")),
        ),
        (
            "\"ioctl_dev\"",
            "\"execute\"",
            ManifestErrorKind::OldRight(Right::Execute),
        ),
        (
            "right = \"ioctl_dev\"",
            "log = \"ioctl_dev\"",
            ManifestErrorKind::UnknownFlag(name("ioctl_dev")),
        ),
        (
            "right = \"ioctl_dev\"",
            "right = \"ioctl_dev\"\nlog = \"new_exec_on\"",
            ManifestErrorKind::TwoParts,
        ),
        (
            "reason = \"a test\"\n\n[process]",
            "reason = \"\"\n\n[process]",
            ManifestErrorKind::Explanation("landlock_reason"),
        ),
    ];
    for (from, to, reason) in cases {
        assert_eq!(manifest_fault(from, to), reason, "{to:?}");
    }
    for part in ["right = \"ioctl_dev\"", "log = \"new_exec_on\""] {
        let again = format!("\n[[best_effort]]\nlayer = \"landlock\"\n{part}\nreason = \"b\"\n");
        let mut policy = Policy::new();
        policy.manifest.push_str(&again.repeat(2));
        let fault = policy.compile().expect_err("twice");
        assert_eq!(
            fault.reason,
            PolicyErrorKind::Manifest(ManifestErrorKind::RepeatedBestEffort)
        );
    }
}

/// A filter of another project was weaker than its text because of an
/// unknown key or a duplicate key.
#[test]
fn keys_that_are_unknown_repeated_or_missing_are_refused_everywhere() {
    for (from, to) in [
        ("keep_groups", "keep_group"),
        ("[tty]", "[tty]\nunknown = 1"),
        ("[fds]", "[helper]\n[fds]"),
        (
            "no_new_privs = true",
            "no_new_privs = true\nno_new_privs = false",
        ),
        ("no_new_privs = true\n", ""),
        ("keep_groups = false\n", ""),
        ("capabilities = [\"CAP_KILL\"]\n", ""),
        ("preserve = false\n", ""),
        ("session = \"caller\"\n", ""),
        ("session = \"caller\"", "session = \"own\""),
        ("mode = \"login\"\n", ""),
        ("mode = \"login\"", "mode = \"Login\""),
        ("seccomp = \"filter.json\"\n", ""),
        ("landlock = \"rules.toml\"\n", ""),
        ("seccomp = \"ceiling.json\"\n", ""),
        ("no_new_privs = true", "no_new_privs = 1"),
        ("hard = \"unlimited\"", "hard = \"infinity\""),
        ("[\"CAP_KILL\"]", "true"),
        ("[process]\n", "[process\n"),
        // serde's derived code would accept the values in the order of the
        // fields.
        (
            "{ resource = \"nofile\", soft = 1024, hard = \"unlimited\" }",
            "[\"nofile\", 1024, \"unlimited\"]",
        ),
    ] {
        let reason = manifest_fault(from, to);
        assert!(
            matches!(reason, manifest::ManifestErrorKind::Toml(_)),
            "{to:?}: {reason:?}"
        );
    }
    for (from, to) in [
        (
            "allowed_access = [\"execute\"]",
            "allowed_access = [\"execute\"]\nallow = [\"refer\"]",
        ),
        ("parent", "parents"),
        ("abi = 6\n", ""),
        ("abi = 6\n", "abi = 6\nabi = 7\n"),
        ("abi = 6\n", "abi = \"6\"\n"),
        ("scoped = [\"signal\"]", "scoped = \"signal\""),
    ] {
        let reason = rules_fault(from, to);
        assert!(
            matches!(reason, landlock_file::LandlockFileErrorKind::Toml(_)),
            "{to:?}: {reason:?}"
        );
    }
    for (from, to) in [
        // Without "args" the rule would allow every socket.
        ("\"args\": [", "\"arg\": ["),
        ("\"index\": 0,", "\"index\": 0, \"index\": 1,"),
        ("\"index\": 0,", ""),
        ("\"index\": 0,", "\"index\": -1,"),
        ("\"index\": 0,", "\"index\": \"0\","),
        ("\"value\": 1,", "\"value\": 18446744073709551616,"),
        ("SCMP_CMP_EQ", "SCMP_CMP_EQUAL"),
        ("SCMP_ACT_ERRNO", "ERRNO"),
        (
            "\"defaultAction\"",
            "\"defaultAction\": \"SCMP_ACT_LOG\", \"defaultAction\"",
        ),
        ("\"defaultAction\"", "\"flags\": [], \"defaultAction\""),
        ("\"action\": \"SCMP_ACT_ALLOW\" }", "\"args\": [] }"),
    ] {
        let reason = filter_fault(from, to);
        assert!(
            matches!(reason, oci::ProfileErrorKind::Shape(_)),
            "{to:?}: {reason:?}"
        );
    }
}

/// A filter of another project was weaker than its text because a missing
/// file became an empty policy.
#[test]
fn a_file_that_is_missing_is_refused_where_it_is_named() {
    let mut policy = Policy::new();
    policy.manifest = replaced(MANIFEST_TEXT, "rules.toml", "other.toml");
    let fault = policy.compile().expect_err("a missing file");
    let name = FileName::new("other.toml").expect("a name");
    let missing = FileFault::Missing;
    assert_eq!(
        fault.reason,
        PolicyErrorKind::File {
            name,
            fault: missing
        }
    );
    let place = Place {
        line: 3,
        column: 12,
    };
    assert_eq!(fault.place, Some(place));
    assert_eq!(fault.file, MANIFEST);
}

#[test]
fn rule_errors_follow_the_form_of_the_file_name() {
    use landlock_file::LandlockFileErrorKind;
    let unknown = LandlockFileErrorKind::UnknownRight("kill".to_owned());
    assert_eq!(rules_fault("\"signal\"", "\"kill\""), unknown);

    let mut policy = Policy::new();
    policy.manifest = replaced(MANIFEST_TEXT, "rules.toml", "rules.json");
    let fault = policy.compile().expect_err("TOML in a JSON file");
    assert_eq!(fault.file, "rules.json");
    assert!(matches!(
        fault.reason,
        PolicyErrorKind::Landlock(LandlockFileErrorKind::Json(_))
    ));
    let rules = r#"{ "abi": 6, "ruleset": [{ "handledAccessFs": ["ioctl_dev"] }] }"#;
    policy.rules = rules.to_owned();
    let Ok(Layer::Enforce(compiled)) = policy.compile().map(|policy| policy.workload.landlock)
    else {
        panic!("JSON in a JSON file");
    };
    assert_eq!(compiled.handled.len(), 1);

    policy.manifest = replaced(MANIFEST_TEXT, "rules.toml", "rules.conf");
    let fault = policy.compile().expect_err("no form");
    let name = FileName::new("rules.conf").expect("a name");
    assert_eq!(fault.reason, PolicyErrorKind::Form(name));
    let place = Place {
        line: 3,
        column: 12,
    };
    assert_eq!((fault.file.as_str(), fault.place), (MANIFEST, Some(place)));
}

#[test]
fn each_filter_error_has_its_kind() {
    use oci::ProfileErrorKind;
    let name = |text: &str| text.to_owned();
    let cases = [
        (
            "\"write\"",
            "\"wrte\"",
            ProfileErrorKind::UnknownCall(name("wrte")),
        ),
        ("\"write\"", "\"\"", ProfileErrorKind::UnknownCall(name(""))),
        (
            "\"write\"",
            "\"execve\"",
            ProfileErrorKind::RepeatedCall(name("execve")),
        ),
        ("[\"socket\"]", "[]", ProfileErrorKind::Empty("names")),
        (
            "[\"socket\"]",
            "null",
            ProfileErrorKind::OneOf("name", "names"),
        ),
        (
            "\"names\": [\"socket\"]",
            "\"name\": \"socket\", \"names\": [\"socket\"]",
            ProfileErrorKind::OneOf("name", "names"),
        ),
        (
            "\"index\": 0",
            "\"index\": 6",
            ProfileErrorKind::Argument(6),
        ),
        (
            "\"value\": 1",
            "\"value\": 1, \"valueTwo\": 1",
            ProfileErrorKind::SecondValue,
        ),
        (
            "\"value\": 1, \"op\": \"SCMP_CMP_EQ\"",
            "\"value\": 1, \"valueTwo\": 2, \"op\": \"SCMP_CMP_MASKED_EQ\"",
            ProfileErrorKind::Mask { mask: 1, value: 2 },
        ),
        (
            "SCMP_ACT_ALLOW",
            "SCMP_ACT_NOTIFY",
            ProfileErrorKind::NeedsSupervisor("SCMP_ACT_NOTIFY"),
        ),
        (
            "SCMP_ACT_ERRNO",
            "SCMP_ACT_TRACE",
            ProfileErrorKind::NeedsSupervisor("SCMP_ACT_TRACE"),
        ),
        (
            "SCMP_ACT_ALLOW\"",
            "SCMP_ACT_ALLOW\", \"errnoRet\": 1",
            ProfileErrorKind::ErrnoUnused,
        ),
        (
            "SCMP_ACT_ALLOW\"",
            "SCMP_ACT_ERRNO\", \"errnoRet\": 4096",
            ProfileErrorKind::Errno(4096),
        ),
        (
            "\"defaultAction\"",
            "\"architectures\": [], \"defaultAction\"",
            ProfileErrorKind::Empty("architectures"),
        ),
        (
            "\"defaultAction\"",
            "\"architectures\": [\"amd64\"], \"defaultAction\"",
            ProfileErrorKind::UnknownArchitecture(name("amd64"), "SCMP_ARCH_X86_64"),
        ),
        (
            "\"defaultAction\"",
            "\"architectures\": [\"SCMP_ARCH_AARCH64\"], \"defaultAction\"",
            ProfileErrorKind::OtherArchitecture(Arch::X86_64),
        ),
        (
            "\"defaultAction\"",
            "\"architectures\": [\"SCMP_ARCH_X86_64\"], \"archMap\": [], \"defaultAction\"",
            ProfileErrorKind::OneOf("architectures", "archMap"),
        ),
        (
            "[\"socket\"],",
            "[\"socket\"], \"includes\": { \"caps\": [\"SYS_ADMIN\"] },",
            ProfileErrorKind::UnknownCapability(name("SYS_ADMIN")),
        ),
        (
            "[\"socket\"],",
            "[\"socket\"], \"excludes\": { \"caps\": [] },",
            ProfileErrorKind::Empty("caps"),
        ),
        (
            "[\"socket\"],",
            "[\"socket\"], \"includes\": { \"arches\": [\"x86_64\"] },",
            ProfileErrorKind::UnknownArchitecture(name("x86_64"), "amd64"),
        ),
        (
            "[\"socket\"],",
            "[\"socket\"], \"includes\": { \"minKernel\": \"4.08\" },",
            ProfileErrorKind::Kernel(name("4.08")),
        ),
    ];
    for (from, to, reason) in cases {
        assert_eq!(filter_fault(from, to), reason, "{to:?}");
    }
    for (from, to) in [
        ("}\n  ]\n}", "}\n  ]\n} 1"),
        ("\"syscalls\"", "syscalls"),
        ("\"syscalls\": [", "\"syscalls\": [,"),
    ] {
        let reason = filter_fault(from, to);
        assert!(
            matches!(reason, ProfileErrorKind::Syntax(_)),
            "{to:?}: {reason:?}"
        );
    }
    let mut policy = Policy::new();
    policy.filter = "{ \"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [] }".to_owned();
    let fault = policy.compile().expect_err("no rule");
    assert_eq!(
        fault.reason,
        PolicyErrorKind::Seccomp(ProfileErrorKind::Empty("syscalls"))
    );
}

#[test]
fn a_rule_that_denies_an_impossible_value_is_an_error() {
    let mut policy = Policy::new();
    policy.ceiling = replaced(CEILING, "21522", "4294988818");
    let fault = policy.compile().expect_err("beyond 32 bits");
    assert_eq!(
        fault.reason,
        PolicyErrorKind::Compile(CompileFault::Wide {
            rule: 1,
            call: "ioctl",
            argument: 1,
            value: 0x1_0000_5412
        })
    );
    let place = Place {
        line: 6,
        column: 18,
    };
    assert_eq!(
        (fault.file.as_str(), fault.place),
        ("ceiling.json", Some(place))
    );
}

#[test]
fn filters_under_which_nothing_is_executed_are_refused() {
    for call in ["execve", "write", "exit_group"] {
        let mut policy = Policy::new();
        policy.filter = replaced(FILTER, &format!("\"{call}\""), "\"read\"");
        let fault = policy.compile().expect_err(call);
        let layer_set = LayerSet::Workload;
        assert_eq!(fault.reason, PolicyErrorKind::Denies { layer_set, call });
        let place = Place {
            line: 2,
            column: 11,
        };
        assert_eq!(fault.place, Some(place));
    }
    // Allowed for standard output alone.
    let mut policy = Policy::new();
    policy.filter = replaced(FILTER, "\"write\", ", "");
    policy.filter = replaced(&policy.filter, "\"socket\"", "\"write\"");
    let (layer_set, call) = (LayerSet::Workload, "write");
    assert_eq!(
        policy.compile().expect_err("conditional").reason,
        PolicyErrorKind::Denies { layer_set, call }
    );
    for call in [
        "capset",
        "close_range",
        "seccomp",
        "landlock_restrict_self",
        "clone",
    ] {
        let mut policy = Policy::new();
        policy.ceiling = replaced(CEILING, "\"mount\"", &format!("\"{call}\""));
        let layer_set = LayerSet::Ceiling;
        assert_eq!(
            policy.compile().expect_err(call).reason,
            PolicyErrorKind::Denies { layer_set, call }
        );
    }
    let mut policy = Policy::new();
    policy.ceiling = replaced(CEILING, "21522", "21518");
    let (layer_set, call) = (LayerSet::Ceiling, "ioctl");
    assert_eq!(
        policy.compile().expect_err("TIOCSCTTY").reason,
        PolicyErrorKind::Denies { layer_set, call }
    );
}

#[test]
fn an_optional_part_must_be_requested() {
    let mut policy = Policy::new();
    policy.manifest = replaced(MANIFEST_TEXT, "\"ioctl_dev\"", "\"truncate\"");
    let fault = policy.compile().expect_err("not handled");
    assert_eq!(fault.reason, PolicyErrorKind::NotHandled(Right::Truncate));
    policy.manifest = replaced(
        MANIFEST_TEXT,
        "right = \"ioctl_dev\"",
        "log = \"new_exec_on\"",
    );
    let fault = policy.compile().expect_err("not requested");
    assert_eq!(
        fault.reason,
        PolicyErrorKind::NotRequested(LogFlag::NewExecOn)
    );
    let mut policy = Policy::new();
    policy.manifest = replaced(
        MANIFEST_TEXT,
        "layer = \"landlock\"\nright = \"ioctl_dev\"",
        "layer = \"ceiling.landlock\"",
    );
    let fault = policy.compile().expect_err("no layer");
    assert_eq!(fault.reason, PolicyErrorKind::NoLayer(LayerSet::Ceiling));
}

#[test]
fn log_flags_are_required_one_by_one() {
    let mut policy = Policy::new();
    policy.manifest = replaced(
        MANIFEST_TEXT,
        "right = \"ioctl_dev\"",
        "log = \"same_exec_off\"",
    );
    policy.rules = replaced(RULES, "abi = 6", "abi = 7");
    let flags = "[x-nsexec]\nlog = [\"new_exec_on\", \"same_exec_off\"]\n";
    policy.rules.push_str(flags);
    let Ok(Layer::Enforce(rules)) = policy.compile().map(|policy| policy.workload.landlock) else {
        panic!("a valid policy");
    };
    let reason = "a test".to_owned();
    let expected = [
        RequestedLogFlag {
            flag: LogFlag::NewExecOn,
            require: Require::Full,
        },
        RequestedLogFlag {
            flag: LogFlag::SameExecOff,
            require: Require::BestEffort { reason },
        },
    ];
    assert_eq!(rules.log, expected);
    assert!(rules.handled.iter().all(|h| h.require == Require::Full));
}

#[test]
fn the_name_of_a_policy_is_fit_to_be_shown() {
    let mut policy = Policy::new();
    let manifest = MANIFEST_TEXT.as_bytes();
    let context = Context {
        arch: Arch::X86_64,
        bounding: CapabilitySet::EMPTY,
        kernel: (6, 18),
    };
    for name in ["", "a\nb", "\u{1b}[2J", &"n".repeat(4096)] {
        let fault = compile(name, manifest, &mut policy, context).expect_err("a bad name");
        assert_eq!(fault.reason, PolicyErrorKind::Invariant(Invariant::Name));
    }
    assert!(compile(&"n".repeat(4095), manifest, &mut policy, context).is_ok());
}

#[test]
fn texts_are_accepted_up_to_the_limit() {
    // Beyond the limit only the length is checked.
    let padded = |text: &str, length: usize| format!("{text}{}", "\n".repeat(length - text.len()));
    let mut policy = Policy::new();
    policy.manifest = padded(MANIFEST_TEXT, manifest::MAX_BYTES);
    policy.filter = padded(FILTER, oci::MAX_BYTES);
    policy.rules = padded(RULES, landlock_file::MAX_BYTES);
    assert!(policy.compile().is_ok());

    let too_long = |change: fn(&mut Policy)| {
        let mut policy = policy.clone();
        change(&mut policy);
        policy.compile().expect_err("too long").reason
    };
    assert_eq!(
        too_long(|policy| policy.manifest.push('\n')),
        PolicyErrorKind::Manifest(manifest::ManifestErrorKind::TooLong(
            manifest::MAX_BYTES + 1
        ))
    );
    assert_eq!(
        too_long(|policy| policy.filter.push('\n')),
        PolicyErrorKind::Seccomp(oci::ProfileErrorKind::TooLong(oci::MAX_BYTES + 1))
    );
    assert_eq!(
        too_long(|policy| policy.rules.push('\n')),
        PolicyErrorKind::Landlock(landlock_file::LandlockFileErrorKind::TooLong(
            landlock_file::MAX_BYTES + 1
        ))
    );
}

#[test]
fn names_and_reasons_are_accepted_up_to_the_limit() {
    assert!(FileName::new(&"f".repeat(manifest::MAX_FILE_NAME)).is_some());
    assert!(FileName::new(&"f".repeat(manifest::MAX_FILE_NAME + 1)).is_none());
    assert!(manifest::is_reason(&"r".repeat(manifest::MAX_REASON)));
    assert!(!manifest::is_reason(&"r".repeat(manifest::MAX_REASON + 1)));
    let path = |length: usize| format!("/{}", "p".repeat(length - 1));
    assert!(landlock_file::is_plain_absolute(&path(
        landlock_file::MAX_PATH
    )));
    assert!(!landlock_file::is_plain_absolute(&path(
        landlock_file::MAX_PATH + 1
    )));
}

#[test]
fn errors_have_position_problem_and_hint() {
    let fault = |change: fn(&mut Policy)| {
        let mut policy = Policy::new();
        change(&mut policy);
        policy.compile().expect_err("wrong").to_string()
    };
    let documented = include_str!("../../../../../docs/policy-format.md");
    struct Case(fn(&mut Policy), &'static str);
    for Case(change, words) in [
        Case(
            |p| p.manifest = replaced(MANIFEST_TEXT, "[\"CAP_KILL\"]", "[\"KILL\"]"),
            "manifest:11:17: no capability is named \"KILL\"; they are written CAP_CHOWN",
        ),
        Case(
            |p| p.filter = replaced(FILTER, "\"socket\"", "\"sokcet\""),
            "filter.json:6:18: no system call is named \"sokcet\"; see syscalls(2)",
        ),
        Case(
            |p| p.rules = replaced(RULES, "abi = 6", "abi = 4"),
            "rules.toml:4:33: \"ioctl_dev\" needs Landlock ABI 5, \
             and the file is for abi = 4",
        ),
        Case(
            |p| p.filter = replaced(FILTER, "\"write\", ", ""),
            "manifest:2:11: the workload's filter may deny write, \
             which is needed to execute a program; allow it",
        ),
    ] {
        assert_eq!(fault(change), words);
        assert!(documented.contains(words), "{words}");
    }
}

#[test]
fn lists_are_accepted_up_to_the_limit() {
    let list = |count: usize, item: fn(usize) -> String| {
        (0..count).map(item).collect::<Vec<_>>().join(", ")
    };
    let compiled = |variables: usize, paths: usize, ports: usize| {
        let mut policy = Policy::new();
        let variables = list(variables, |n| format!("\"V{n}\""));
        let pass = format!("pass = [{variables}]");
        policy.manifest = replaced(MANIFEST_TEXT, "pass = [\"TERM\", \"LC_*\"]", &pass);
        let paths = list(paths, |n| format!("\"/p{n}\""));
        policy.rules = replaced(RULES, "\"/\", \"/usr/bin\"", &paths);
        let ports = list(ports, |n| n.to_string());
        policy.rules = replaced(&policy.rules, "[80]", &format!("[{ports}]"));
        policy.compile().map(|_| ()).map_err(|fault| fault.reason)
    };
    let (variables, places) = (manifest::MAX_PASS, landlock_file::MAX_PLACES);
    assert_eq!(compiled(variables, places, places), Ok(()));
    assert_eq!(
        compiled(variables + 1, places, places),
        Err(PolicyErrorKind::Manifest(
            manifest::ManifestErrorKind::TooManyPassed
        ))
    );
    assert_eq!(
        compiled(variables, places + 1, places),
        Err(PolicyErrorKind::Landlock(
            landlock_file::LandlockFileErrorKind::TooMany("parent")
        ))
    );
    assert_eq!(
        compiled(variables, places, places + 1),
        Err(PolicyErrorKind::Landlock(
            landlock_file::LandlockFileErrorKind::TooMany("port")
        ))
    );
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    for (open, key) in [("[", "x = "), ("{ a = ", "x = "), ("a.", "")] {
        let depth = 60_000 / open.len();
        let text = format!("{key}{}", open.repeat(depth));
        assert!(manifest::parse(text.as_bytes()).is_err(), "{open}");
        assert!(
            landlock_file::parse(text.as_bytes(), Form::Toml).is_err(),
            "{open}"
        );
        let closed = match open {
            "[" => format!("{text}{}", "]".repeat(5_000)),
            "a." => format!("{text}b = 1"),
            _ => continue,
        };
        assert!(manifest::parse(closed.as_bytes()).is_err(), "{open}");
    }
}
