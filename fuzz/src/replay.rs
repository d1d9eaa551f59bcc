//! The corpora and regressions, run on stable by `cargo test`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use nsexec_policy::import;
use nsexec_policy_engine::policy::landlock_file::Form;

/// The property of a target.
type Property = fn(&[u8]);

/// Every target and its property.
const TARGETS: [(&str, Property); 31] = [
    ("argv", crate::argv),
    ("audit_event", crate::audit_event),
    ("audit_record", crate::audit_record),
    ("audit_report", crate::audit_report),
    ("command_line", crate::command_line),
    ("env", crate::env),
    ("filter", crate::filter),
    ("id_map_lines", crate::id_map_lines),
    ("ids", crate::ids),
    ("import_firecracker", crate::import_firecracker),
    ("import_kafel", crate::import_kafel),
    ("import_minijail", crate::import_minijail),
    ("import_systemd", crate::import_systemd),
    ("init_config", crate::init_config),
    ("landlock_json", crate::landlock_json),
    ("landlock_toml", crate::landlock_toml),
    ("log_escape", crate::log_escape),
    ("netlink", crate::netlink),
    ("ns_paths", crate::ns_paths),
    ("policy_encoding", crate::policy_encoding),
    ("policy_manifest", crate::policy_manifest),
    ("proc_cgroup", crate::proc_cgroup),
    ("proc_environ", crate::proc_environ),
    ("proc_id_map", crate::proc_id_map),
    ("proc_mountinfo", crate::proc_mountinfo),
    ("proc_stat", crate::proc_stat),
    ("proc_status", crate::proc_status),
    ("raw_bpf", crate::raw_bpf),
    ("seccomp_json", crate::seccomp_json),
    ("time_offsets", crate::time_offsets),
    ("userdb", crate::userdb),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn names(directory: &str) -> BTreeSet<String> {
    let name = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    files(&root().join(directory))
        .into_iter()
        .map(name)
        .collect()
}

#[test]
fn every_input_that_is_kept_is_replayed() {
    let mut replayed = 0;
    for (target, property) in TARGETS {
        let corpus = files(&root().join("corpus").join(target));
        assert!(!corpus.is_empty(), "{target} has no corpus");
        for file in corpus
            .into_iter()
            .chain(files(&root().join("regressions").join(target)))
        {
            println!("{}", file.display());
            property(&fs::read(&file).unwrap());
            replayed += 1;
        }
    }
    println!("{replayed} inputs replayed");
}

#[test]
fn targets_corpora_and_files_are_the_same() {
    let known: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("fuzz_targets"), known);
    assert_eq!(names("corpus"), known);
    assert!(names("regressions").is_subset(&known));
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for name in &known {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} is not in Cargo.toml"
        );
    }
}

/// A seed that is rejected at once is useless: in each corpus, the parser
/// accepts some input. This test covers targets whose valid inputs are files in
/// the tree.
#[test]
fn seeds_are_good_inputs() {
    let read =
        |target: &str, file: &str| fs::read(root().join("corpus").join(target).join(file)).unwrap();
    assert!(nsexec_protocol::init_config::parse(&read("init_config", "sample")).is_ok());
    for file in ["docker-default", "superset"] {
        assert!(nsexec_policy_engine::seccomp::oci::parse(&read("seccomp_json", file)).is_ok());
    }
    for (target, file, form) in [
        ("landlock_toml", "default", Form::Toml),
        ("landlock_toml", "all", Form::Toml),
        ("landlock_json", "all", Form::Json),
    ] {
        assert!(
            nsexec_policy_engine::policy::landlock_file::parse(&read(target, file), form).is_ok()
        );
    }
    assert!(
        nsexec_policy_engine::policy::manifest::parse(&read("policy_manifest", "default")).is_ok()
    );
    for file in ["small", "default", "flags"] {
        assert!(
            nsexec_policy_engine::policy::encode::decode(&read("policy_encoding", file)).is_ok()
        );
    }
    let bootstrap = |file: &str| {
        let whole = read("netlink", file);
        let (head, payload) = whole.split_at(nsexec_protocol::netlink::HEADER);
        nsexec_protocol::netlink::message(nsexec_protocol::netlink::header(head)?, payload)
    };
    for file in ["sample", "run", "flags"] {
        assert!(bootstrap(file).is_ok(), "{file}");
    }
    assert!(nsexec_protocol::ns_paths::parse(&read("ns_paths", "exec")).is_ok());
    assert!(nsexec_protocol::id_map_lines::parse(&read("id_map_lines", "two")).is_ok());
    assert!(nsexec_protocol::time_offsets::parse(&read("time_offsets", "both")).is_ok());
    for file in ["namespace", "fork", "exec", "exit", "snapshot"] {
        assert!(nsexec_audit_abi::Event::decode(&read("audit_event", file)).is_ok());
    }
    for file in ["run", "every_kind"] {
        let input = read("audit_report", file);
        assert!(
            nsexec_audit::commands::report::read([(file.to_owned(), input.as_slice())]).is_ok()
        );
    }
    assert!(nsexec_kernel_text::procfs::stat::parse(&read("proc_stat", "sleep")).is_ok());
    assert!(nsexec_kernel_text::procfs::status::parse(&read("proc_status", "sleep")).is_ok());
    assert!(nsexec_kernel_text::procfs::mountinfo::parse(&read("proc_mountinfo", "small")).is_ok());
    assert!(nsexec_policy_engine::seccomp::raw::parse(&read("raw_bpf", "docker-default")).is_ok());
    assert!(import::firecracker::read(&read("import_firecracker", "one"), None).is_ok());
    assert!(import::kafel::read(&read("import_kafel", "sample")).is_ok());
    assert!(import::minijail::read(&read("import_minijail", "sample")).is_ok());
    assert!(import::systemd::read(&read("import_systemd", "unit")).is_ok());
    assert!(nsexec_kernel_text::procfs::cgroup::parse(&read("proc_cgroup", "hybrid")).is_ok());
}

/// The corpus of each importer has a seed for each error, except `TooLong`,
/// because libFuzzer generates inputs as long as the longest seed, and except a
/// unit's `TooManyEntries`, which takes seconds under the sanitizers.
#[test]
fn importers_have_a_seed_for_every_reason() {
    type Read = fn(&[u8]) -> Result<import::Imported, import::Fault>;
    let firecracker: Read = |text| import::firecracker::read(text, Some("vcpu"));
    let importers: [(&str, Read, &[&str]); 4] = [
        ("import_firecracker", firecracker, &["Json", "Undefined"]),
        (
            "import_kafel",
            import::kafel::read,
            &["Number", "Undefined"],
        ),
        (
            "import_minijail",
            import::minijail::read,
            &["Number", "UnknownConstant"],
        ),
        (
            "import_systemd",
            import::systemd::read,
            &["Number", "Undefined", "UnknownConstant"],
        ),
    ];
    for (target, read, own) in importers {
        let mut expected: BTreeSet<&str> = own.iter().copied().collect();
        expected.extend(["Empty", "UnknownCall", "Unsupported", "Utf8"]);
        if target != "import_systemd" {
            expected.extend(["Argument", "Expected", "Repeated", "TooManyEntries"]);
        }
        let reached: BTreeSet<String> = files(&root().join("corpus").join(target))
            .into_iter()
            .filter_map(|file| read(&fs::read(file).unwrap()).err())
            .map(|fault| format!("{:?}", fault.reason))
            .map(|reason| reason.split('(').next().unwrap_or_default().to_owned())
            .collect();
        assert!(
            reached
                .iter()
                .map(String::as_str)
                .eq(expected.iter().copied()),
            "{target}: {reached:?}, not {expected:?}"
        );
    }
}
