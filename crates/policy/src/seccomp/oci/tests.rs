use super::raw::conditions::kernel;
use super::*;
use crate::seccomp::profile::{Comparison, Condition, When};
use crate::seccomp::table::is_known_somewhere;

fn context() -> Context {
    Context {
        arch: Arch::X86_64,
        bounding: CapabilitySet::EMPTY.with(Capability::SYS_ADMIN),
        kernel: (6, 1),
    }
}

/// The profile with these keys in its one entry, about read.
fn with(keys: &str) -> Result<Profile, Fault<ProfileErrorKind>> {
    let text = format!(
        r#"{{ "defaultAction": "SCMP_ACT_ERRNO",
             "syscalls": [{{ "names": ["read"], "action": "SCMP_ACT_ALLOW"{keys} }}] }}"#
    );
    parse(text.as_bytes())?.resolve(&context())
}

/// Whether the entry holds with this filter.
fn holds(filter: &str) -> bool {
    !with(&format!(", {filter}"))
        .expect("resolves")
        .rules
        .is_empty()
}

fn whens(args: &str) -> Vec<When> {
    let profile = with(&format!(", \"args\": {args}")).expect("resolves");
    profile.rules.into_iter().map(|rule| rule.when).collect()
}

#[test]
fn empty_arguments_have_three_spellings() {
    let always = [When::Always];
    assert_eq!(whens("[]"), always);
    assert_eq!(whens("null"), always);
    assert_eq!(with("").expect("resolves").rules.len(), 1);
}

#[test]
fn each_operator_is_the_one_of_its_name() {
    let of = |name: &str| {
        let value_two = if name == "MASKED_EQ" {
            ", \"valueTwo\": 4"
        } else {
            ""
        };
        let args =
            format!("[{{ \"index\": 2, \"value\": 6, \"op\": \"SCMP_CMP_{name}\"{value_two} }}]");
        match whens(&args).as_slice() {
            [When::All(conditions)] => conditions.clone(),
            other => panic!("{other:?}"),
        }
    };
    for (name, comparison) in [
        ("EQ", Comparison::Equal(6)),
        ("NE", Comparison::NotEqual(6)),
        ("LT", Comparison::Less(6)),
        ("LE", Comparison::LessOrEqual(6)),
        ("GT", Comparison::Greater(6)),
        ("GE", Comparison::GreaterOrEqual(6)),
        ("MASKED_EQ", Comparison::Masked { mask: 6, value: 4 }),
    ] {
        let argument = 2;
        assert_eq!(
            of(name),
            [Condition {
                argument,
                comparison
            }],
            "{name}"
        );
    }
}

#[test]
fn conditions_hold_together_unless_they_share_an_argument() {
    let one = r#"{ "index": 0, "value": 1, "op": "SCMP_CMP_EQ" }"#;
    let two = r#"{ "index": 1, "value": 2, "op": "SCMP_CMP_EQ" }"#;
    let same = r#"{ "index": 0, "value": 3, "op": "SCMP_CMP_EQ" }"#;
    let condition = |argument, value| Condition {
        argument,
        comparison: Comparison::Equal(value),
    };
    assert_eq!(
        whens(&format!("[{one}, {two}]")),
        [When::All(vec![condition(0, 1), condition(1, 2)])]
    );
    assert_eq!(
        whens(&format!("[{one}, {two}, {same}]")),
        [
            When::All(vec![condition(0, 1)]),
            When::All(vec![condition(1, 2)]),
            When::All(vec![condition(0, 3)]),
        ]
    );
}

#[test]
fn each_action_is_the_one_of_its_name() {
    let of = |keys: &str| {
        let text = format!(
            r#"{{ "defaultAction": "SCMP_ACT_LOG",
                 "syscalls": [{{ "name": "read", "action": {keys} }}] }}"#
        );
        let profile = parse(text.as_bytes()).expect("parses").resolve(&context());
        profile.expect("resolves").rules[0].action
    };
    for (keys, action) in [
        (r#""SCMP_ACT_ALLOW""#, Action::Allow),
        (r#""SCMP_ACT_LOG""#, Action::Log),
        (r#""SCMP_ACT_TRAP""#, Action::Trap),
        (r#""SCMP_ACT_KILL""#, Action::KillThread),
        (r#""SCMP_ACT_KILL_THREAD""#, Action::KillThread),
        (r#""SCMP_ACT_KILL_PROCESS""#, Action::KillProcess),
        (r#""SCMP_ACT_ERRNO""#, Action::Errno(1)),
        (r#""SCMP_ACT_ERRNO", "errnoRet": 38"#, Action::Errno(38)),
        (r#""SCMP_ACT_ERRNO", "errnoRet": 4095"#, Action::Errno(4095)),
    ] {
        assert_eq!(of(keys), action, "{keys}");
    }
}

#[test]
fn the_default_errno_is_the_profile_s_or_eperm() {
    let default = |keys: &str| {
        let text = format!(
            r#"{{ "defaultAction": "SCMP_ACT_ERRNO"{keys},
                 "syscalls": [{{ "name": "read", "action": "SCMP_ACT_ALLOW" }}] }}"#
        );
        let profile = parse(text.as_bytes()).expect("parses").resolve(&context());
        profile.expect("resolves").default
    };
    assert_eq!(default(""), Action::Errno(1));
    assert_eq!(default(", \"defaultErrnoRet\": 38"), Action::Errno(38));
}

#[test]
fn entries_hold_as_moby_decides() {
    // All conditions of includes, none of excludes.
    assert!(holds(r#""includes": {}, "excludes": {}, "comment": """#));
    assert!(holds(r#""includes": { "caps": ["CAP_SYS_ADMIN"] }"#));
    assert!(!holds(r#""includes": { "caps": ["CAP_BPF"] }"#));
    assert!(!holds(
        r#""includes": { "caps": ["CAP_SYS_ADMIN", "CAP_BPF"] }"#
    ));
    assert!(!holds(r#""excludes": { "caps": ["CAP_SYS_ADMIN"] }"#));
    assert!(!holds(
        r#""excludes": { "caps": ["CAP_SYS_ADMIN", "CAP_BPF"] }"#
    ));
    assert!(holds(r#""excludes": { "caps": ["CAP_BPF"] }"#));
    assert!(holds(r#""includes": { "arches": ["arm64", "amd64"] }"#));
    assert!(!holds(r#""includes": { "arches": ["arm64", "x32"] }"#));
    assert!(!holds(r#""excludes": { "arches": ["amd64"] }"#));
    assert!(holds(r#""excludes": { "arches": ["s390x"] }"#));
    assert!(holds(r#""includes": { "minKernel": "4.8" }"#));
    assert!(holds(r#""includes": { "minKernel": "6.1" }"#));
    assert!(!holds(r#""includes": { "minKernel": "6.2" }"#));
    assert!(!holds(r#""includes": { "minKernel": "10.0" }"#));
    assert!(!holds(r#""excludes": { "minKernel": "6.1" }"#));
    assert!(holds(r#""excludes": { "minKernel": "6.2" }"#));
    // excludes wins.
    assert!(!holds(
        r#""includes": { "caps": ["CAP_SYS_ADMIN"] }, "excludes": { "arches": ["amd64"] }"#
    ));
}

#[test]
fn kernel_versions_are_two_plain_numbers() {
    assert_eq!(kernel("4.8"), Some((4, 8)));
    assert_eq!(kernel("10.0"), Some((10, 0)));
    for wrong in [
        "",
        "4",
        "4.",
        ".8",
        "4.8.0",
        "+4.8",
        "4.-8",
        "04.8",
        "4.08",
        " 4.8",
        "4.8 ",
        "4294967296.0",
    ] {
        assert_eq!(kernel(wrong), None, "{wrong:?}");
    }
}

#[test]
fn names_of_other_architectures_are_ignored() {
    let text = r#"{ "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [
          { "architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"] },
          { "architecture": "SCMP_ARCH_AARCH64", "subArchitectures": null }
        ],
        "syscalls": [{ "names": ["open", "chown32", "riscv_hwprobe", "openat"],
                       "action": "SCMP_ACT_ALLOW" }] }"#;
    let conditional = parse(text.as_bytes()).expect("parses");
    let numbers = |arch| -> Vec<u32> {
        let context = Context { arch, ..context() };
        let profile = conditional.resolve(&context).expect("resolves");
        profile.rules.iter().map(|rule| rule.syscall).collect()
    };
    assert_eq!(numbers(Arch::X86_64), [2, 257]);
    assert_eq!(numbers(Arch::Aarch64), [56]);
}

#[test]
fn faults_have_their_position() {
    let place = |text: &str| {
        let fault = parse(text.as_bytes()).expect_err("wrong");
        text.get(fault.span).expect("in the text").to_owned()
    };
    let entry = |names: &str| {
        format!(
            r#"{{ "defaultAction": "SCMP_ACT_ERRNO",
                 "syscalls": [{{ "names": ["read", {names}], "action": "SCMP_ACT_ALLOW" }}] }}"#
        )
    };
    assert_eq!(place(&entry("\"wrte\"")), "wrte");
    assert_eq!(place(&entry("\"write\", \"read\"")), "read");
    // A string with an escape is not borrowed: the span is the whole text.
    let escaped = entry("\"wr\\u0074e\"");
    assert_eq!(place(&escaped), escaped);
    // serde_json's position is within the invalid line.
    let fault = parse(b"{\n  \"defaultAction\": 1 }").expect_err("wrong");
    assert_eq!(fault.span, 21..22);
    assert!(matches!(fault.reason, ProfileErrorKind::Shape(_)));
}

#[test]
fn an_escaped_name_is_the_name() {
    let profile = with("").expect("resolves");
    let text = br#"{ "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{ "name": "re\u0061d", "action": "SCMP_ACT_ALLOW" }] }"#;
    assert_eq!(
        parse(text).expect("parses").resolve(&context()),
        Ok(profile)
    );
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let text = "[".repeat(MAX_BYTES);
    assert!(parse(text.as_bytes()).is_err());
    let text = format!("{{\"syscalls\":{}", "[".repeat(10_000));
    assert!(parse(text.as_bytes()).is_err());
}

#[test]
fn the_first_duplicate_in_the_text_is_reported() {
    let fault = |names: &str| {
        let text = format!(
            r#"{{ "defaultAction": "SCMP_ACT_LOG", "syscalls": [
                 {{ "names": [{names}], "action": "SCMP_ACT_ALLOW" }} ] }}"#
        );
        let fault = parse(text.as_bytes()).expect_err("a fault");
        let start = text.find(names).expect("its place");
        (fault.span.start - start, fault.reason)
    };
    let twice = |name: &str| ProfileErrorKind::RepeatedCall(name.to_owned());
    let write = fault(r#""write", "read", "write", "read", "write""#);
    assert_eq!(write, (18, twice("write")));
    assert_eq!(fault(r#""read", "read", "raed""#), (9, twice("read")));
    let unknown = ProfileErrorKind::UnknownCall("raed".to_owned());
    assert_eq!(fault(r#""read", "raed", "read""#), (9, unknown));
}

/// serde's derived code would accept the values in the order of the fields.
#[test]
fn objects_are_not_written_as_arrays() {
    let entry = r#""names": ["read"], "action": "SCMP_ACT_ALLOW""#;
    for text in [
        r#"["SCMP_ACT_ERRNO", null, null, null, null, []]"#.to_owned(),
        r#"{ "defaultAction": "SCMP_ACT_ERRNO",
             "syscalls": [["read", null, "SCMP_ACT_ALLOW", null, null, null, null, null, null]] }"#
            .to_owned(),
        format!(
            r#"{{ "defaultAction": "SCMP_ACT_ERRNO",
                 "syscalls": [{{ {entry}, "args": [[0, 1, null, "SCMP_CMP_EQ"]] }}] }}"#
        ),
        format!(
            r#"{{ "defaultAction": "SCMP_ACT_ERRNO",
                 "syscalls": [{{ {entry}, "includes": [["CAP_SYS_ADMIN"], null, null] }}] }}"#
        ),
        format!(
            r#"{{ "defaultAction": "SCMP_ACT_ERRNO", "archMap": [["SCMP_ARCH_X86_64", null]],
                 "syscalls": [{{ {entry} }}] }}"#
        ),
    ] {
        let fault = parse(text.as_bytes()).expect_err(&text);
        assert!(
            matches!(&fault.reason, ProfileErrorKind::Shape(message) if message.contains("named keys")),
            "{text}: {fault}"
        );
    }
}

const PLACES: &str = r#"{
  "defaultAction": "SCMP_ACT_ERRNO",
  "syscalls": [
    { "names": ["read",
                "umount",
                "mount"], "action": "SCMP_ACT_ALLOW",
      "args": [{ "index": 0, "value": 1, "op": "SCMP_CMP_EQ" },
               { "index": 0, "value": 2, "op": "SCMP_CMP_EQ" }] },
    { "names": ["mount"], "action": "SCMP_ACT_ALLOW",
      "includes": { "caps": ["CAP_SYS_ADMIN", "CAP_SYS_BOOT"], "minKernel": "9.1" } },
    { "names": ["mount"], "action": "SCMP_ACT_LOG",
      "excludes": { "arches": ["amd64"] } },
    { "names": ["reboot"], "action": "SCMP_ACT_KILL" }
  ]
}"#;

fn line(at: &std::ops::Range<usize>) -> usize {
    PLACES[..at.start].lines().count()
}

#[test]
fn each_rule_knows_the_line_of_its_name() {
    let conditional = parse(PLACES.as_bytes()).expect("parses");
    let profile = conditional.resolve(&context()).expect("resolves");
    let lines: Vec<usize> = conditional.origins(&context()).iter().map(line).collect();
    // Two alternatives each; umount is not a call of x86_64.
    assert_eq!(lines, [4, 4, 6, 6, 13]);
    assert_eq!(profile.rules.len(), lines.len());
    assert_eq!(line(&conditional.default_at()), 2);
    assert_eq!(&PLACES[conditional.default_at()], "SCMP_ACT_ERRNO");
}

#[test]
fn the_conditions_that_would_grant_a_call_are_listed() {
    let conditional = parse(PLACES.as_bytes()).expect("parses");
    let context = context();
    let grants = |name: &str| -> Vec<(usize, Vec<UnmetCondition>, bool)> {
        let number = Arch::X86_64.number(name).expect("a known call");
        conditional
            .grants(&context, number)
            .map(|grant| (line(&grant.at), grant.unmet, grant.excluded))
            .collect()
    };
    let boot = Capability::from_name("CAP_SYS_BOOT").expect("a capability");
    let unmet = vec![
        UnmetCondition::Capability(boot),
        UnmetCondition::Kernel((9, 1)),
    ];
    assert_eq!(
        grants("mount"),
        [
            (6, Vec::new(), false),
            (6, Vec::new(), false),
            (9, unmet, false),
            (11, Vec::new(), true)
        ]
    );
    assert_eq!((grants("reboot"), grants("write")), (vec![], vec![]));
}

/// podman's profiles write an errno by name, and most often by number too.
#[test]
fn an_errno_has_a_name_a_number_or_both() {
    let errno = |keys: &str| {
        let text = format!(
            r#"{{ "defaultAction": "SCMP_ACT_ALLOW",
                 "syscalls": [{{ "name": "read", "action": "SCMP_ACT_ERRNO"{keys} }}] }}"#
        );
        let profile = parse(text.as_bytes())?.resolve(&context())?;
        Ok::<_, Fault<ProfileErrorKind>>(profile.rules[0].action)
    };
    assert_eq!(errno(r#", "errno": "ENOSYS""#), Ok(Action::Errno(38)));
    assert_eq!(
        errno(r#", "errno": "EWOULDBLOCK", "errnoRet": 11"#),
        Ok(Action::Errno(11))
    );
    assert_eq!(errno(r#", "errnoRet": 0"#), Ok(Action::Errno(0)));
    assert_eq!(errno(""), Ok(Action::Errno(1)));

    let refused = |keys: &str| errno(keys).expect_err("it is invalid").reason;
    assert_eq!(
        refused(r#", "errno": "EPERM", "errnoRet": 38"#),
        ProfileErrorKind::TwoErrnos {
            name: "EPERM".to_owned(),
            number: 38
        }
    );
    for unknown in ["eperm", "EPERMIT", "1", ""] {
        assert_eq!(
            refused(&format!(", \"errno\": \"{unknown}\"")),
            ProfileErrorKind::UnknownErrno(unknown.to_owned())
        );
    }
    let unused = with(", \"errno\": \"EPERM\"").expect_err("ALLOW returns none");
    assert_eq!(unused.reason, ProfileErrorKind::ErrnoUnused);
    let default = parse(
        br#"{ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "EACCES",
              "syscalls": [{ "name": "read", "action": "SCMP_ACT_ALLOW" }] }"#,
    );
    let default = default.and_then(|profile| profile.resolve(&context()));
    assert_eq!(default.map(|p| p.default), Ok(Action::Errno(13)));
}

/// Names in Docker's profile (moby/profiles) that only other architectures have.
#[test]
fn every_call_of_docker_s_profile_is_in_the_table() {
    let names = "chown32 clock_adjtime64 clock_getres_time64 clock_gettime64 \
        clock_nanosleep_time64 clock_settime64 fadvise64_64 fchown32 fcntl64 fstat64 fstatat64 \
        fstatfs64 ftruncate64 futex_time64 getegid32 geteuid32 getgid32 getgroups32 getresgid32 \
        getresuid32 getuid32 io_pgetevents_time64 ipc lchown32 _llseek lstat64 mmap2 \
        mq_timedreceive_time64 mq_timedsend_time64 _newselect ppoll_time64 pselect6_time64 recv \
        recvmmsg_time64 riscv_hwprobe rt_sigtimedwait_time64 sched_rr_get_interval_time64 \
        semtimedop_time64 send sendfile64 setfsgid32 setfsuid32 setgid32 setgroups32 setregid32 \
        setresgid32 setresuid32 setreuid32 setuid32 sigprocmask sigreturn socketcall stat64 \
        statfs64 stime timerfd_gettime64 timerfd_settime64 timer_gettime64 timer_settime64 \
        truncate64 ugetrlimit umount utimensat_time64 waitpid sync_file_range2 swapcontext \
        arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls s390_pci_mmio_read \
        s390_pci_mmio_write s390_runtime_instr riscv_flush_icache";
    for name in names.split_whitespace() {
        assert!(is_known_somewhere(name), "{name}");
        for arch in Arch::ALL {
            assert_eq!(arch.number(name), None, "{name} on {arch}");
        }
    }
}

#[test]
fn rules_are_accepted_up_to_the_limit() {
    let arg = "{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}";
    let text = |alternatives: usize| {
        let names: Vec<String> = Arch::X86_64
            .calls()
            .iter()
            .take(8)
            .map(|c| format!("{:?}", c.0))
            .collect();
        let names = names.join(",");
        let args = vec![arg; alternatives].join(",");
        format!(
            "{{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[\
             {{\"names\":[{names}],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{args}]}}]}}"
        )
    };
    assert!(parse(text(MAX_RULES / 8).as_bytes()).is_ok());
    let fault = parse(text(MAX_RULES / 8 + 1).as_bytes()).expect_err("one more");
    assert_eq!(fault.reason, ProfileErrorKind::TooManyRules(MAX_RULES + 8));
}
