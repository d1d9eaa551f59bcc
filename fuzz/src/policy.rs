//! Policies: manifest, seccomp profile, Landlock rules, and the encoded form.

use nsexec::policy::capability::CapabilitySet;
use nsexec::policy::manifest::FileName;
use nsexec::policy::resolve::{FileFault, Files, compile};
use nsexec::policy::resolved::ResolvedPolicy;
use nsexec::policy::{encode, landlock_file};
use nsexec::seccomp::oci::{self, Context};
use nsexec::seccomp::table::Arch;
use nsexec::seccomp::{compile as compiler, interpret};

/// The files of a manifest: the shortest that are right.
struct Few;

impl Files for Few {
    fn read(&mut self, name: &FileName) -> Result<Vec<u8>, FileFault> {
        let text = if name.as_str().ends_with(".json") {
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["reboot"],"action":"SCMP_ACT_ERRNO"}]}"#
        } else {
            "abi = 2\n[[ruleset]]\nhandled_access_fs = [\"execute\", \"refer\"]\n\
             [[path_beneath]]\nallowed_access = [\"execute\", \"refer\"]\nparent = [\"/\"]\n"
        };
        Ok(text.as_bytes().to_vec())
    }
}

fn context(arch: Arch) -> Context {
    Context {
        arch,
        bounding: CapabilitySet::EMPTY,
        kernel: (6, 1),
    }
}

fn survives_the_pipe(policy: &ResolvedPolicy) {
    let encoded = encode::encode(policy).expect("what was compiled can be encoded");
    assert!(encoded.len() <= encode::MAX_ENCODED);
    let decoded = encode::decode(&encoded).expect("what was encoded can be decoded");
    assert_eq!(&decoded, policy);
    assert_eq!(encode::encode(&decoded).ok(), Some(encoded));
}

/// A manifest, with small files beside it.
pub fn policy_manifest(input: &[u8]) {
    for arch in Arch::ALL {
        if let Ok(policy) = compile("fuzz", input, &mut Few, context(arch)) {
            survives_the_pipe(&policy);
        }
    }
}

/// An OCI seccomp profile.
pub fn seccomp_json(input: &[u8]) {
    let Ok(profile) = oci::parse(input) else {
        return;
    };
    assert!(input.len() <= oci::MAX_BYTES);
    for arch in Arch::ALL {
        let Ok(profile) = profile.resolve(&context(arch)) else {
            continue;
        };
        let Ok(program) = compiler::compile(&profile, arch) else {
            continue;
        };
        for number in profile
            .rules
            .iter()
            .map(|rule| rule.syscall)
            .chain([0, 1, 59, 600])
            .take(64)
        {
            for arguments in [[0; 6], [1; 6], [u64::MAX; 6]] {
                let call = interpret::Call {
                    number,
                    arch: arch.audit(),
                    instruction_pointer: 0,
                    arguments,
                };
                let meant = compiler::return_value(profile.evaluate(arch, number, arguments));
                assert_eq!(
                    interpret::run(&program, &call),
                    Some(meant),
                    "{number} {arguments:?}"
                );
            }
        }
    }
}

/// A Landlock rule file.
pub fn landlock_toml(input: &[u8]) {
    let Ok(read) = landlock_file::parse(input) else {
        return;
    };
    assert!(input.len() <= landlock_file::MAX_BYTES);
    assert!(!read.handled.is_empty());
    for rule in &read.beneath {
        assert!(!rule.rights.is_empty() && rule.path.is_absolute());
        assert!(
            rule.rights
                .iter()
                .all(|right| right.is_fs() && read.handled.contains(right))
        );
    }
    for rule in &read.ports {
        assert!(!rule.rights.is_empty());
        assert!(
            rule.rights
                .iter()
                .all(|right| right.is_net() && read.handled.contains(right))
        );
    }
}

/// What a compiler without power sends.
pub fn policy_encoding(input: &[u8]) {
    if let Ok(policy) = encode::decode(input) {
        survives_the_pipe(&policy);
    }
}
