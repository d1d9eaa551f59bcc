//! Tests of the shipped policies for both architectures: the answers of each
//! policy, and that the compiled programs give the same answers.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use nsexec_kernel_text::capability::{Capability, CapabilitySet};
use nsexec_policy_engine::policy::encode::{decode, encode};
use nsexec_policy_engine::policy::landlock_file::{self, Form};
use nsexec_policy_engine::policy::manifest::{self, FileName, Origin, Source};
use nsexec_policy_engine::policy::resolve::{FileFault, Files, compile};
use nsexec_policy_engine::policy::resolved;
use nsexec_policy_engine::policy::resolved::{Layer, ResolvedPolicy};
use nsexec_policy_engine::seccomp::boundary::disagreement;
use nsexec_policy_engine::seccomp::interpret::{Call, run};
use nsexec_policy_engine::seccomp::oci::{self, Context};
use nsexec_policy_engine::seccomp::profile::{Action, Profile};
use nsexec_policy_engine::seccomp::program::Program;
use nsexec_policy_engine::seccomp::table::Arch;
use nsexec_shipped_policies::{BUILTIN_NAMES, builtin};

const ALLOW: Action = Action::Allow;
const EPERM: Action = Action::Errno(1);
const ENOSYS: Action = Action::Errno(38);

/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
const NEW_NAMESPACE: [u64; 7] = [
    0x0002_0000,
    0x0200_0000,
    0x0400_0000,
    0x0800_0000,
    0x1000_0000,
    0x2000_0000,
    0x4000_0000,
];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies")
}

fn manifest_text(name: &str) -> Vec<u8> {
    fs::read(directory().join(format!("{name}.toml"))).expect("a shipped manifest")
}

struct Directory;

impl Files for Directory {
    fn read(&mut self, name: &FileName) -> Result<Vec<u8>, FileFault> {
        fs::read(directory().join(name.as_str())).map_err(|_| FileFault::Missing)
    }
}

fn context(arch: Arch) -> Context {
    Context {
        arch,
        bounding: CapabilitySet::EMPTY,
        kernel: (5, 10),
    }
}

fn compiled(name: &str, context: Context) -> ResolvedPolicy {
    compile(name, &manifest_text(name), &mut Directory, context).expect("a shipped policy")
}

/// The model of a layer's filter; `None` if the layer is left out.
fn profile(source: &Source, context: Context) -> Option<Profile> {
    let Origin::File(name) = &source.origin else {
        return None;
    };
    let text = Directory.read(name).expect("a shipped profile");
    let profile = oci::parse(&text).expect("a profile");
    Some(profile.resolve(&context).expect("for this architecture"))
}

fn default_profile(arch: Arch) -> Profile {
    let manifest = manifest::parse(&manifest_text("default")).expect("a manifest");
    let resolved::Capabilities::Keep(bounding) = manifest.process.capabilities else {
        panic!("default names its capabilities");
    };
    let context = Context {
        bounding,
        ..context(arch)
    };
    profile(&manifest.workload.seccomp, context).expect("a filter")
}

fn shipped_profile(file: &str, arch: Arch) -> Profile {
    let text = fs::read(directory().join("seccomp").join(file)).expect("a shipped profile");
    let profile = oci::parse(&text).expect("a profile");
    profile.resolve(&context(arch)).expect("for both")
}

/// The answer to a call by name; `None` where the architecture has none.
fn answer(profile: &Profile, arch: Arch, name: &str, arguments: &[u64]) -> Option<Action> {
    let mut all = [0; 6];
    for (at, argument) in all.iter_mut().zip(arguments) {
        *at = *argument;
    }
    let number = arch.number(name)?;
    Some(profile.evaluate(arch, number, all))
}

fn program(layer: &Layer<Program>) -> Option<&Program> {
    match layer {
        Layer::Enforce(program) => Some(program),
        Layer::None { .. } => None,
    }
}

#[test]
fn constants_match_the_files() {
    let arch = Arch::native().expect("tests run on a supported architecture");
    for name in BUILTIN_NAMES {
        let constant = builtin(name).expect("ships").expect("decodes");
        assert_eq!(constant, compiled(name, context(arch)), "{name}");
    }
}

#[test]
fn programs_implement_their_profiles() {
    for arch in Arch::ALL {
        for name in BUILTIN_NAMES {
            let policy = compiled(name, context(arch));
            let manifest = manifest::parse(&manifest_text(name)).expect("a manifest");
            let context = match policy.process.capabilities {
                resolved::Capabilities::Keep(bounding) => Context {
                    bounding,
                    ..context(arch)
                },
                _ => context(arch),
            };
            for (layers, sources) in [
                (&policy.ceiling, &manifest.ceiling),
                (&policy.workload, &manifest.workload),
            ] {
                match (program(&layers.seccomp), profile(&sources.seccomp, context)) {
                    (Some(program), Some(profile)) => {
                        assert_eq!(disagreement(&profile, program, arch), None);
                    }
                    (None, None) => {}
                    other => panic!("{name} on {arch}: {other:?}"),
                }
            }
        }
    }
}

/// The constants are compiled without knowledge of the caller, its capabilities and
/// its kernel.
#[test]
fn constants_do_not_depend_on_caller_or_kernel() {
    for arch in Arch::ALL {
        for name in BUILTIN_NAMES {
            let all = CapabilitySet::from_bits((1 << 41) - 1);
            let other = Context {
                arch,
                bounding: all,
                kernel: (99, 0),
            };
            assert_eq!(
                compiled(name, context(arch)),
                compiled(name, other),
                "{name} on {arch}"
            );
        }
    }
}

/// The code blocks of docs/policy-format.md with this opening.
fn documented(opening: &'static str) -> impl Iterator<Item = &'static [u8]> {
    let document = include_str!("../../../docs/policy-format.md");
    document.split(opening).skip(1).map(|rest| {
        let (example, _) = rest.split_once("```").expect("an end");
        example.as_bytes()
    })
}

#[test]
fn the_documented_examples_are_valid() {
    let mut examples = documented("```toml\n");
    let manifest = examples.next().expect("a manifest");
    let context = context(Arch::X86_64);
    let policy = compile("example", manifest, &mut Directory, context);
    assert!(policy.is_ok(), "{policy:?}");
    let toml = landlock_file::parse(examples.next().expect("rules"), Form::Toml);
    assert!(toml.is_ok(), "{toml:?}");
    assert_eq!(examples.next(), None);
    let mut examples = documented("```json\n");
    let json = landlock_file::parse(examples.next().expect("rules"), Form::Json);
    assert_eq!(json, toml, "both forms of the same example");
    assert_eq!(examples.next(), None);
}

#[test]
fn programs_are_short() {
    for arch in Arch::ALL {
        for name in BUILTIN_NAMES {
            let policy = compiled(name, context(arch));
            for layers in [&policy.ceiling, &policy.workload] {
                if let Some(program) = program(&layers.seccomp) {
                    let length = program.instructions().len();
                    assert!(length <= 250, "{name} on {arch}: {length}");
                }
            }
        }
    }
}

#[test]
fn policies_survive_the_pipe() {
    for arch in Arch::ALL {
        for name in BUILTIN_NAMES {
            let policy = compiled(name, context(arch));
            let bytes = encode(&policy).expect("encodes");
            let again = decode(&bytes).expect("decodes");
            assert_eq!(again, policy, "{name} on {arch}");
            assert_eq!(encode(&again).expect("encodes"), bytes, "{name} on {arch}");
        }
    }
}

#[test]
fn the_ceiling_denies_calls_no_policy_needs() {
    for arch in Arch::ALL {
        let ceiling = shipped_profile("ceiling.json", arch);
        let mut denied = 0;
        for (calls, errno) in [
            (
                "setns unshare mount umount2 pivot_root ptrace process_vm_readv \
                 process_vm_writev bpf perf_event_open keyctl add_key request_key userfaultfd \
                 init_module finit_module delete_module kexec_load kexec_file_load reboot \
                 swapon swapoff iopl ioperm open_by_handle_at",
                EPERM,
            ),
            (
                "clone3 io_uring_setup io_uring_enter io_uring_register fsopen fsconfig fsmount \
                 fspick move_mount open_tree open_tree_attr mount_setattr",
                ENOSYS,
            ),
        ] {
            for name in calls.split_whitespace() {
                let arguments = [[0; 6], [u64::MAX; 6]];
                for arguments in arguments {
                    if let Some(action) = answer(&ceiling, arch, name, &arguments) {
                        assert_eq!(action, errno, "{name} on {arch}");
                        denied += 1;
                    }
                }
            }
        }
        // aarch64 has neither iopl nor ioperm.
        let calls = if arch == Arch::X86_64 { 37 } else { 35 };
        assert_eq!(denied, 2 * calls, "on {arch}");
    }
}

#[test]
fn the_ceiling_denies_each_new_namespace_with_any_other_flags() {
    for arch in Arch::ALL {
        let ceiling = shipped_profile("ceiling.json", arch);
        for flag in NEW_NAMESPACE {
            for with in [0, 17, 0x1000 | 17, 0x7e02_0000, 1 << 32, u64::MAX] {
                let got = answer(&ceiling, arch, "clone", &[flag | with]);
                assert_eq!(got, Some(EPERM), "{flag:#x} with {with:#x} on {arch}");
            }
        }
        for allowed in [17, 0x1000 | 0x8000 | 17, 0x003d_0f00, !0x7e02_0000] {
            let got = answer(&ceiling, arch, "clone", &[allowed]);
            assert_eq!(got, Some(ALLOW), "{allowed:#x} on {arch}");
        }
    }
}

#[test]
fn ceilings_deny_typing_into_the_terminal() {
    for arch in Arch::ALL {
        for file in ["ceiling.json", "ceiling-host.json"] {
            let ceiling = shipped_profile(file, arch);
            for command in [0x5412, 0x541c] {
                for ignored in [0, 1 << 32, u64::from(u32::MAX) << 32] {
                    let got = answer(&ceiling, arch, "ioctl", &[0, ignored | command]);
                    assert_eq!(got, Some(EPERM), "{file} {command:#x} on {arch}");
                }
            }
            // TCGETS, TIOCSCTTY, TIOCGWINSZ
            for command in [0x5401, 0x540e, 0x5413] {
                let got = answer(&ceiling, arch, "ioctl", &[0, command]);
                assert_eq!(got, Some(ALLOW), "{file} {command:#x} on {arch}");
            }
        }
    }
}

#[test]
fn the_ceiling_of_the_host_leaves_tracing_and_mounts() {
    for arch in Arch::ALL {
        let ceiling = shipped_profile("ceiling-host.json", arch);
        let of = |name| answer(&ceiling, arch, name, &[0x7e02_0000]);
        for name in [
            "ptrace", "mount", "setns", "unshare", "clone", "clone3", "fsopen", "bpf",
        ] {
            assert_eq!(of(name), Some(ALLOW), "{name}");
        }
        for name in [
            "reboot",
            "kexec_load",
            "init_module",
            "swapon",
            "open_by_handle_at",
        ] {
            assert_eq!(of(name), Some(EPERM), "{name}");
        }
    }
}

#[test]
fn default_answers_as_docker_does() {
    for arch in Arch::ALL {
        let docker = default_profile(arch);
        let of = |name, arguments: &[u64]| answer(&docker, arch, name, arguments);
        let denied = [12, 19, 20, 23, 25, 34, 37, 38, 40];
        for family in (0..60).chain([0xffff_ffff]) {
            let expected = if denied.contains(&family) || family >= 46 {
                EPERM
            } else {
                ALLOW
            };
            assert_eq!(of("socket", &[family]), Some(expected), "family {family}");
        }
        assert_eq!(of("socket", &[1 << 32 | 40]), Some(EPERM));
        for persona in [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff] {
            assert_eq!(of("personality", &[persona]), Some(ALLOW), "{persona:#x}");
        }
        for persona in [1, 4, 0x4_0000, 0x2_0001, 1 << 32, u64::MAX] {
            assert_eq!(of("personality", &[persona]), Some(EPERM), "{persona:#x}");
        }
        for flag in NEW_NAMESPACE {
            assert_eq!(of("clone", &[flag | 17]), Some(EPERM), "{flag:#x}");
        }
        assert_eq!(of("clone", &[17]), Some(ALLOW));
        assert_eq!(of("clone3", &[0]), Some(ENOSYS));
        // CAP_SYS_CHROOT is among Docker's.
        assert_eq!(of("chroot", &[]), Some(ALLOW));
        for name in [
            "mount", "bpf", "setns", "kcmp", "syslog", "acct", "vhangup", "keyctl",
        ] {
            assert_eq!(of(name, &[]), Some(EPERM), "{name}");
        }
        for name in ["listns", "file_getattr", "open_tree_attr"] {
            assert_eq!(of(name, &[]), Some(ENOSYS), "{name}");
        }
    }
    assert_eq!(
        answer(
            &default_profile(Arch::X86_64),
            Arch::X86_64,
            "modify_ldt",
            &[]
        ),
        Some(ALLOW)
    );
}

#[test]
fn capabilities_allow_the_same_calls_as_in_docker() {
    let arch = Arch::X86_64;
    let text = fs::read(directory().join("seccomp/docker-default.json")).expect("ships");
    let with = |capability| {
        let context = Context {
            bounding: CapabilitySet::EMPTY.with(capability),
            ..context(arch)
        };
        let profile = oci::parse(&text).expect("a profile");
        profile.resolve(&context).expect("resolves")
    };
    let admin = with(Capability::SYS_ADMIN);
    for name in ["mount", "bpf", "setns", "clone3", "unshare"] {
        assert_eq!(
            answer(&admin, arch, name, &[0x7e02_0000]),
            Some(ALLOW),
            "{name}"
        );
    }
    assert_eq!(answer(&admin, arch, "clone", &[0x7e02_0000]), Some(ALLOW));
    let kill = with(Capability::KILL);
    assert_eq!(answer(&kill, arch, "mount", &[]), Some(EPERM));
}

#[test]
fn strict_reaches_no_process_and_allows_no_more_than_default() {
    for arch in Arch::ALL {
        let strict = shipped_profile("strict.json", arch);
        let default = default_profile(arch);
        let of = |name, arguments: &[u64]| answer(&strict, arch, name, arguments);
        // A connected pair that cannot be reconnected: stream, seqpacket.
        for kind in 0..16 {
            for flags in [0, 0x800, 0x80000, 0x80800] {
                let expected = if kind == 1 || kind == 5 { ALLOW } else { EPERM };
                assert_eq!(of("socketpair", &[1, kind | flags]), Some(expected));
                assert_eq!(of("socketpair", &[2, kind | flags]), Some(EPERM));
            }
        }
        let ignored = 1 << 32;
        for (name, arguments) in [
            ("socketpair", &[1, ignored | 1][..]),
            ("socketpair", &[ignored | 1, 1]),
            ("sendto", &[3, 0, 1, 0, 0x7000]),
            ("prlimit64", &[7, 0, 0x7000]),
            ("prlimit64", &[ignored, 0, 0x7000]),
            ("setpriority", &[0, 7]),
            ("setpriority", &[2, 0]),
            ("ioprio_set", &[1, 7]),
            ("sched_setaffinity", &[7]),
            ("sched_setattr", &[7]),
            ("sched_setparam", &[7]),
            ("sched_setscheduler", &[7]),
            ("fcntl", &[3, 1024]),
            ("fcntl", &[3, ignored | 1024]),
        ] {
            assert_eq!(of(name, arguments), Some(EPERM), "{name} {arguments:x?}");
        }
        // FS_IOC_SETFLAGS, FS_IOC32_SETFLAGS, FS_IOC_FSSETXATTR, FS_IOC_SETVERSION,
        // FS_IOC_ENABLE_VERITY, BTRFS_IOC_SUBVOL_CREATE, TIOCSETD, SIOCGIFNAME
        for command in [
            0x4008_6602,
            0x4004_6602,
            0x401c_5820,
            0x4008_7602,
            0x4080_6685,
            0x5000_940e,
            0x5423,
            0x8910,
        ] {
            for with in [0, ignored] {
                assert_eq!(
                    of("ioctl", &[3, with | command]),
                    Some(EPERM),
                    "{command:x}"
                );
            }
        }
        for command in [0x5401, 0x5402, 0x5413, 0x541b, 0x5421, 0x5451, 0x802c_542a] {
            assert_eq!(of("ioctl", &[0, command]), Some(ALLOW), "{command:x}");
        }
        for name in "socket connect bind listen accept accept4 sendmsg sendmmsg memfd_create \
                     memfd_secret shmget shmat semget semop msgget msgsnd mq_open mq_unlink"
            .split_whitespace()
        {
            if arch.number(name).is_some() {
                assert_eq!(of(name, &[]), Some(EPERM), "{name}");
            }
        }
        for (name, number) in arch.calls() {
            for arguments in [[0; 6], [1; 6], [8; 6], [17; 6], [u64::MAX; 6]] {
                let narrow = strict.evaluate(arch, *number, arguments).executes();
                let wide = default.evaluate(arch, *number, arguments).executes();
                assert!(wide || !narrow, "{name} with {arguments:?}");
            }
        }
    }
}

/// The directory, with some bytes of each file replaced.
struct Damaged<'a>(&'a [(prop::sample::Index, u8)]);

impl Damaged<'_> {
    fn damage(&self, mut text: Vec<u8>) -> Vec<u8> {
        for (at, byte) in self.0 {
            let at = at.index(text.len());
            text[at] = *byte;
        }
        text
    }
}

impl Files for Damaged<'_> {
    fn read(&mut self, name: &FileName) -> Result<Vec<u8>, FileFault> {
        Directory.read(name).map(|text| self.damage(text))
    }
}

proptest! {
    /// Damaged text is refused, or it is a policy like any other: its bytes
    /// decode to it, and its filters leave execve alone.
    #[test]
    fn damaged_encodings_are_refused_or_decode_completely(
        name in prop::sample::select(BUILTIN_NAMES.to_vec()),
        manifest_too in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 32..127_u8), 0..3),
    ) {
        let mut files = Damaged(&damage);
        let mut manifest = manifest_text(name);
        if manifest_too {
            manifest = files.damage(manifest);
        }
        let arch = Arch::X86_64;
        if let Ok(policy) = compile(name, &manifest, &mut files, context(arch)) {
            let bytes = encode(&policy).expect("encodes");
            prop_assert_eq!(decode(&bytes), Ok(policy.clone()));
            for layers in [&policy.ceiling, &policy.workload] {
                if let Some(program) = program(&layers.seccomp) {
                    let call = Call {
                        number: 59,
                        arch: arch.audit(),
                        instruction_pointer: 0,
                        arguments: [0; 6],
                    };
                    let answer = run(program, &call);
                    prop_assert!(matches!(answer, Some(0x7fff_0000 | 0x7ffc_0000)));
                }
            }
        } else {
            prop_assert!(!damage.is_empty(), "an undamaged policy was refused");
        }
    }

    /// No text makes a parser fail in another way than by its error.
    #[test]
    fn any_text_is_an_answer(text in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = manifest::parse(&text);
        let _ = landlock_file::parse(&text, Form::Toml);
        let _ = landlock_file::parse(&text, Form::Json);
        let _ = oci::parse(&text);
        let _ = decode(&text);
    }
}

#[test]
fn the_filters_that_ship_could_be_added() {
    let arch = Arch::native().expect("an architecture");
    for name in ["default", "strict"] {
        let policy = builtin(name).expect("a name").expect("right");
        for layers in [policy.ceiling, policy.workload] {
            let program = layers.seccomp.enforced().cloned().expect("a filter");
            assert_eq!(
                nsexec_policy_engine::policy::needs::denied_by_added(&program, arch),
                None,
                "{name}"
            );
        }
    }
}
