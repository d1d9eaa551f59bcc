//! Protocol B: libnsexec in a runtime, with this test as runc.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::wait::WaitStatus;
use nsexec_kernel_text::procfs::id_map;
use nsexec_protocol::netlink::{Bootstrap, Mapping, encode};
use nsexec_protocol::{ns_paths, time_offsets};
use nsexec_request::Namespace;
use support::protocol_b::{Exec, Outcome, REST, joining, nothing, pids};
use support::runtime::{Link, compile, prefix, runtime};
use support::{Target, succeed};

const MOST: [&str; 6] = ["ipc", "uts", "net", "pid", "mnt", "cgroup"];

/// Both stages ended as expected, and the runtime took over.
#[track_caller]
fn assert_taken_over(outcome: &Outcome) {
    assert!(outcome.stage0.success(), "{outcome:?}");
    let [stage1, stage2] = pids(&outcome.report);
    let exited = |pid: i32, status| WaitStatus::Exited(nix::unistd::Pid::from_raw(pid), status);
    assert_eq!(outcome.stage1, Some(exited(stage1, 0)), "{outcome:?}");
    assert_eq!(outcome.stage2, Some(exited(stage2, 7)), "{outcome:?}");
    assert_eq!(outcome.state.get("rest"), REST);
    assert_eq!(outcome.stderr, "");
}

/// The bootstrap ended with status 1 before it reported a pid, and the log contains `why`.
#[track_caller]
fn assert_refused(outcome: &Outcome, why: &str) {
    assert_eq!(outcome.stage0.code(), Some(1), "{outcome:?}");
    assert_eq!(outcome.report, "");
    assert!(
        outcome.fatal().iter().any(|fatal| fatal.contains(why)),
        "{why}: {outcome:?}"
    );
}

#[test]
fn the_runtime_takes_over_in_the_targets_namespaces() {
    support::needs!(root);
    let target = Target::new();
    for link in Link::ALL {
        let mut bootstrap = joining(target.pid(), &MOST);
        bootstrap.oom_score_adj = Some(100);
        let outcome = Exec::new(runtime(link), &bootstrap).run();
        assert_taken_over(&outcome);
        let state = &outcome.state;
        for name in MOST {
            assert_eq!(state.get(name), target.namespace(name), "{link:?} {name}");
        }
        assert_eq!(state.get("sid"), state.get("process"));
        assert_eq!(state.get("thread"), state.get("process"));
        assert_eq!(
            state.get("cached_tid"),
            state.get("process"),
            "glibc's thread id"
        );
        assert_eq!(state.get("Threads"), "1");
        assert_eq!(state.get("name"), "runc:[2:INIT]");
        assert_eq!(state.get("dumpable"), "0");
        assert_eq!(state.get("cwd"), "/");
        assert_eq!(state.get("oom_score_adj"), "100;");
        assert_eq!(state.get("Seccomp"), "0");
        assert_eq!(state.get("unshare"), "allowed");
        assert_eq!(state.get("Uid"), "0\t0\t0\t0");
    }
}

/// The state that the runtime's Go code relies on: exactly the expected descriptors are
/// open, and only the changes that the runtime requested were made.
#[test]
fn descriptors_environment_and_signals_are_the_runtimes() {
    support::needs!(root);
    let target = Target::new();
    let exec = Exec::new(runtime(Link::Dynamic), &joining(target.pid(), &MOST));
    let environment = exec.environment.clone();
    let outcome = exec.run();
    assert_taken_over(&outcome);
    // 3 is the init pipe, 4 the sync pipe, 5 the log pipe, as passed by the runtime.
    let mut expected = BTreeSet::from([0, 1, 2, 3, 4, 5]);
    // Descriptors that this test inherited without CLOEXEC.
    expected.extend((6..1024).filter(|fd| crosses_exec(*fd)));
    let found = outcome.state.get("descriptors").split(' ');
    let found: BTreeSet<i32> = found.map(|fd| fd.parse().unwrap()).collect();
    assert_eq!(found, expected);
    let found = outcome.state.environment();
    let given = environment.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    assert_eq!(found, given.collect());
    let own = fs::read_to_string("/proc/self/status").unwrap();
    for name in ["SigBlk", "SigIgn"] {
        let here = own
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}:\t")));
        let here = u64::from_str_radix(here.unwrap(), 16).unwrap();
        // A Rust test ignores SIGPIPE; its children do not.
        let here = here & !(u64::from(name == "SigIgn") << (nix::libc::SIGPIPE - 1));
        assert_eq!(outcome.state.get(name), format!("{here:016x}"), "{name}");
    }
    for name in ["coredump_filter", "timerslack_ns"] {
        let here = fs::read_to_string(format!("/proc/self/{name}")).unwrap();
        assert_eq!(outcome.state.get(name), here.replace('\n', ";"), "{name}");
    }
}

fn crosses_exec(fd: i32) -> bool {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & nix::libc::O_CLOEXEC == 0)
}

#[test]
fn namespaces_are_created_and_ids_mapped() {
    support::needs!(root);
    // More lines than nsexec.c could pass to newuidmap.
    let lines: String = (0..8)
        .map(|n| format!("{} {} 1\n", n * 10, 200_000 + n))
        .collect();
    let map = || {
        Some(Mapping {
            map: id_map::parse(lines.as_bytes()).unwrap(),
            tool: None,
        })
    };
    let bootstrap = Bootstrap {
        create: BTreeSet::from([
            Namespace::User,
            Namespace::Mnt,
            Namespace::Uts,
            Namespace::Ipc,
            Namespace::Net,
            Namespace::Pid,
            Namespace::Cgroup,
        ]),
        uid_map: map(),
        gid_map: map(),
        setgroups: true,
        ..nothing()
    };
    let outcome = Exec::new(runtime(Link::Static), &bootstrap).run();
    assert_taken_over(&outcome);
    let state = &outcome.state;
    let found: Vec<Vec<&str>> = state
        .get("uid_map")
        .split_terminator(';')
        .map(|line| line.split_whitespace().collect())
        .collect();
    let wanted: Vec<Vec<&str>> = lines
        .lines()
        .map(|line| line.split(' ').collect())
        .collect();
    assert_eq!(found, wanted);
    assert_eq!(state.get("process"), "1");
    assert_eq!(state.get("Uid"), "0\t0\t0\t0");
    assert_eq!(state.get("Gid"), "0\t0\t0\t0");
    assert_eq!(state.get("Groups"), "");
    assert_eq!(state.get("setgroups"), "allow;");
    // No namespace was joined, so that the process is dumpable again.
    assert_eq!(state.get("dumpable"), "1");
    let own = fs::read_link("/proc/self/ns/user").unwrap();
    assert_ne!(Path::new(state.get("user")), own);
}

#[test]
fn a_time_namespace_gets_its_offsets() {
    support::needs!(root);
    let text = "monotonic 1000 5\nboottime 86400 0\n";
    let bootstrap = Bootstrap {
        create: BTreeSet::from([Namespace::Time]),
        time_offsets: Some(time_offsets::parse(text.as_bytes()).unwrap()),
        ..nothing()
    };
    let outcome = Exec::new(runtime(Link::Static), &bootstrap).run();
    assert_taken_over(&outcome);
    let found: Vec<Vec<&str>> = outcome
        .state
        .get("timens_offsets")
        .split_terminator(';')
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        found,
        [["monotonic", "1000", "5"], ["boottime", "86400", "0"]]
    );
}

/// user_namespaces(7): newuidmap(1) maps ids that an ordinary user cannot map.
#[test]
fn an_ordinary_users_ids_are_mapped_by_the_tools() {
    support::needs!(root);
    const USER: u32 = 65_534;
    let map_ids = compile("map_ids.c", &["-static"]);
    let directory = support::temporary_directory("tools");
    let tool = |name: &str| {
        let path = directory.join(name);
        fs::copy(&map_ids, &path).unwrap();
        let mut chmod = Command::new("chmod");
        chmod.arg("4755").arg(&path);
        succeed(chmod);
        path
    };
    let (uid_tool, gid_tool) = (tool("newuidmap"), tool("newgidmap"));
    let mapping = |tool: &Path| {
        let lines = format!(
            "0 {USER} 1\n1 300000 100\n200 400000 1\n300 400001 1\n400 400002 1\n500 400003 1\n"
        );
        Some(Mapping {
            map: id_map::parse(lines.as_bytes()).unwrap(),
            tool: Some(std::ffi::CString::new(tool.to_str().unwrap()).unwrap()),
        })
    };
    let bootstrap = Bootstrap {
        create: BTreeSet::from([Namespace::User, Namespace::Uts]),
        uid_map: mapping(&uid_tool),
        gid_map: mapping(&gid_tool),
        rootless_euid: true,
        ..nothing()
    };
    // A place where the user can execute it.
    let program = directory.join("runtime");
    fs::copy(runtime(Link::Static), &program).unwrap();
    succeed({
        let mut chmod = Command::new("chmod");
        chmod.args(["-R", "a+rx"]).arg(&directory);
        chmod
    });
    for tool in [&uid_tool, &gid_tool] {
        succeed({
            let mut chmod = Command::new("chmod");
            chmod.arg("4755").arg(tool);
            chmod
        });
    }
    let mut exec = Exec::new(program, &bootstrap);
    exec.uid = Some(USER);
    let outcome = exec.run();
    let _ = fs::remove_dir_all(&directory);
    assert!(outcome.stage0.success(), "{outcome:?}");
    assert_eq!(
        outcome.state.get("uid_map").split(';').count(),
        7,
        "{outcome:?}"
    );
    assert_eq!(outcome.state.get("setgroups"), "deny;");
    assert_eq!(outcome.state.get("Uid"), "0\t0\t0\t0");
    // The tools report that they received only the descriptors 0, 1 and 2 and an empty
    // environment.
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(
        lines,
        [
            "newuidmap: 0 1 2, 0 variables",
            "newgidmap: 0 1 2, 0 variables"
        ]
    );
}

#[test]
fn wrong_namespace_files_are_refused() {
    support::needs!(root);
    for (paths, why) in [
        (
            "net:/proc/self/ns/pid",
            "is a namespace of the type pid, not net",
        ),
        ("net:/etc/passwd", "is not a namespace file"),
        ("net:/nowhere", "ENOENT"),
        (
            "net:/proc/2147483647/ns/net",
            "there is no process 2147483647",
        ),
    ] {
        let bootstrap = Bootstrap {
            join: ns_paths::parse(paths.as_bytes()).unwrap(),
            ..nothing()
        };
        let outcome = Exec::new(runtime(Link::Static), &bootstrap).run();
        assert_refused(&outcome, why);
    }
}

/// Every malformed form at which nsexec.c reads beyond its buffer, and other malformed
/// forms.
#[test]
fn malformed_messages_are_refused_on_the_log_pipe_or_standard_error() {
    let good = encode(&nothing(), 1).unwrap();
    let header = |length: u32, kind: u16| {
        let mut bytes = Vec::new();
        bytes.extend(length.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(1_u16.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes
    };
    let attribute = |length: u16, kind: u16, value: &[u8]| {
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes
    };
    let with = |payload: &[u8]| {
        let flags = attribute(8, 27281, &[0; 4]);
        let length = 16 + flags.len() + payload.len();
        let mut bytes = header(u32::try_from(length).unwrap(), 62000);
        bytes.extend(flags);
        bytes.extend(payload);
        bytes
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("half a header", good[..9].to_vec()),
        ("length 15", header(15, 62000)),
        ("length 0", header(0, 62000)),
        ("NLMSG_ERROR", header(16, 2)),
        ("another type", header(16, 62001)),
        (
            "64 MiB",
            [header(64 << 20, 62000), vec![0; 1 << 20]].concat(),
        ),
        ("4 GiB", header(u32::MAX, 62000)),
        ("cut off", with(&[])[..20].to_vec()),
        ("attribute of length 0", with(&attribute(0, 27282, b""))),
        ("attribute of length 3", with(&attribute(3, 27282, b""))),
        (
            "attribute longer than the rest",
            with(&attribute(200, 27286, b"100\0")),
        ),
        ("attribute without a value", with(&attribute(4, 27286, b""))),
        ("trailing byte", with(b"\0")),
        ("three trailing bytes", with(b"\0\0\0")),
        ("no NUL", with(&attribute(11, 27282, b"net:/ab\0"))),
        ("inner NUL", with(&attribute(16, 27282, b"net:/a\0net:\0"))),
        ("twice", with(&attribute(8, 27281, &[0; 4]))),
        ("unknown", with(&attribute(8, 27291, &[0; 4]))),
        (
            "a flag of 2",
            with(&attribute(8, 27287, &2_u32.to_ne_bytes())),
        ),
        (
            "a flag of one byte",
            with(&attribute(5, 27287, &[1, 0, 0, 0])),
        ),
        (
            "oom_score_adj 1001",
            with(&attribute(9, 27286, b"1001\0\0\0\0")),
        ),
        (
            "a relative tool",
            with(&attribute(14, 27288, b"newuidmap\0\0\0")),
        ),
    ];
    let count = cases.len();
    for (name, message) in cases {
        let outcome = Exec::raw(runtime(Link::Static), message.clone()).run_closing();
        assert_eq!(outcome.stage0.code(), Some(1), "{name}: {outcome:?}");
        assert_eq!(outcome.fatal().len(), 1, "{name}: {outcome:?}");
        assert!(
            outcome.fatal()[0].starts_with("netlink message: "),
            "{name}: {outcome:?}"
        );
        assert_eq!(
            (outcome.report.as_str(), outcome.stderr.as_str()),
            ("", ""),
            "{name}"
        );

        let outcome = Exec::raw(runtime(Link::Static), message)
            .unlogged()
            .run_closing();
        assert_eq!(outcome.stage0.code(), Some(1), "{name}: {outcome:?}");
        assert!(
            outcome.stderr.starts_with("FATAL: netlink message: "),
            "{name}: {outcome:?}"
        );
    }
    println!("{count} malformed messages");
    assert!(
        Exec::raw(runtime(Link::Static), good)
            .run()
            .stage0
            .success()
    );
}

#[test]
fn lines_are_logged_from_the_requested_level() {
    let levels = |level: &str| -> BTreeSet<String> {
        let exec = Exec::new(runtime(Link::Static), &nothing());
        let outcome = exec.set("_LIBCONTAINER_LOGLEVEL", level).run();
        assert_taken_over(&outcome);
        outcome.log.into_iter().map(|(level, _)| level).collect()
    };
    assert_eq!(levels("4"), BTreeSet::new());
    assert_eq!(levels("5"), BTreeSet::from(["debug".to_owned()]));
    let outcome = Exec::new(runtime(Link::Static), &nothing()).run();
    let messages: Vec<&str> = outcome.log.iter().map(|(_, text)| text.as_str()).collect();
    // The messages that runc's own tests expect.
    assert!(
        messages
            .iter()
            .any(|text| text.contains("nsexec container setup")),
        "{messages:?}"
    );
    let affinity = messages
        .iter()
        .find_map(|text| text.split_once("]: affinity: 0x"));
    assert!(affinity.is_some_and(|(_, cpus)| u64::from_str_radix(cpus, 16).is_ok_and(|c| c > 0)));
    for tag in ["nsexec[", "nsexec-0[", "nsexec-1[", "nsexec-2["] {
        assert!(
            messages.iter().any(|text| text.starts_with(tag)),
            "{tag}: {messages:?}"
        );
    }
}

/// The messages that users look for in `runc --debug`, in order within each stage.
#[test]
fn each_step_is_in_the_debug_log() {
    support::needs!(root);
    let target = Target::new();
    let map = || {
        Some(Mapping {
            map: id_map::parse(b"0 0 5\n").unwrap(),
            tool: None,
        })
    };
    let offsets = "boottime 86400 0\n";
    let bootstrap = Bootstrap {
        create: BTreeSet::from([Namespace::User, Namespace::Mnt, Namespace::Time]),
        uid_map: map(),
        gid_map: map(),
        oom_score_adj: Some(100),
        time_offsets: Some(time_offsets::parse(offsets.as_bytes()).unwrap()),
        ..joining(target.pid(), &["ipc", "uts"])
    };
    let outcome = Exec::new(runtime(Link::Static), &bootstrap).run();
    assert_taken_over(&outcome);
    let [stage1, stage2] = pids(&outcome.report);
    let setns = |name: &str, flag: &str| {
        let path = format!("/proc/{}/ns/{name}", target.pid());
        format!("setns({flag}) into {name} namespace (with path {path})")
    };
    for (tag, lines) in [
        (
            "nsexec",
            vec![
                "=> nsexec container setup".to_owned(),
                "update /proc/self/oom_score_adj to '100'".to_owned(),
                "set process as non-dumpable".to_owned(),
            ],
        ),
        (
            "nsexec-0",
            vec![
                "~> nsexec stage-0".to_owned(),
                "spawn stage-1".to_owned(),
                "-> stage-1 synchronisation loop".to_owned(),
                "stage-1 requested userns mappings".to_owned(),
                format!("update /proc/{stage1}/uid_map to '0 0 5\n'"),
                format!("update /proc/{stage1}/gid_map to '0 0 5\n'"),
                "stage-1 requested timens offsets to be configured".to_owned(),
                format!("update /proc/{stage1}/timens_offsets to '{offsets}'"),
                "stage-1 requested pid to be forwarded".to_owned(),
                format!("forward stage-1 ({stage1}) and stage-2 ({stage2}) pids to runc"),
                "stage-1 complete".to_owned(),
                "<- stage-1 synchronisation loop".to_owned(),
                "-> stage-2 synchronisation loop".to_owned(),
                "signalling stage-2 to run".to_owned(),
                "stage-2 complete".to_owned(),
                "<- stage-2 synchronisation loop".to_owned(),
                "<~ nsexec stage-0".to_owned(),
            ],
        ),
        (
            "nsexec-1",
            vec![
                "~> nsexec stage-1".to_owned(),
                setns("ipc", "0x8000000"),
                setns("uts", "0x4000000"),
                "unshare user namespace".to_owned(),
                "temporarily set process as dumpable".to_owned(),
                "request stage-0 to map user namespace".to_owned(),
                "re-set process as non-dumpable".to_owned(),
                "unshare remaining namespaces".to_owned(),
                "request stage-0 to write timens offsets".to_owned(),
                "spawn stage-2".to_owned(),
                format!("request stage-0 to forward stage-2 pid ({stage2})"),
                "signal completion to stage-0".to_owned(),
                "<~ nsexec stage-1".to_owned(),
            ],
        ),
        (
            "nsexec-2",
            vec![
                "~> nsexec stage-2".to_owned(),
                "signal completion to stage-0".to_owned(),
                "<= nsexec container setup".to_owned(),
                "booting up go runtime ...".to_owned(),
            ],
        ),
    ] {
        let of_stage = outcome.log.iter().filter_map(|(_, message)| {
            let (who, text) = message.split_once("]: ")?;
            let (stage, _) = who.split_once('[')?;
            (stage == tag && !text.starts_with("affinity")).then_some(text)
        });
        assert_eq!(of_stage.collect::<Vec<_>>(), lines, "{tag}");
    }
}

/// A map with the maximum number of ranges is longer than a page of 4 KiB, but fits into
/// one of 64 KiB. The kernel decides, and the error states the length of the map.
#[test]
fn a_map_longer_than_a_page_is_refused() {
    support::needs!(root);
    let lines: String = (0..340)
        .map(|id| format!("{} {} 1\n", id, 1_000_000_000 + id))
        .collect();
    let map = |lines: &str| {
        Some(Mapping {
            map: id_map::parse(lines.as_bytes()).unwrap(),
            tool: None,
        })
    };
    let bootstrap = Bootstrap {
        create: BTreeSet::from([Namespace::User]),
        uid_map: map(&lines),
        gid_map: map("0 0 1\n"),
        ..nothing()
    };
    let outcome = Exec::new(runtime(Link::Static), &bootstrap).run();
    let mut page = Command::new("getconf");
    page.arg("PAGE_SIZE");
    let page: usize = succeed(page).trim().parse().unwrap();
    if lines.len() < page {
        assert_taken_over(&outcome);
    } else {
        let why = format!(
            "uid_map with {} bytes: EINVAL: invalid argument; the kernel accepts a map that is \
             shorter than a page",
            lines.len()
        );
        assert_refused(&outcome, &why);
    }
}

#[test]
fn runc_1_1_gets_a_leading_nul_when_its_message_can_come() {
    let exec = || Exec::new(runtime(Link::Static), &nothing());
    let with_nul = exec().set("RUNTIME_LEADING_NUL", "1").run();
    assert!(with_nul.stage0.success(), "{with_nul:?}");
    let report = with_nul.report.strip_prefix('\0').unwrap();
    pids(report);
    let without_nul = exec().run();
    assert!(without_nul.report.starts_with('{'), "{without_nul:?}");
}

/// CVE-2019-5736: the nsexec.c of runc 1.1 protected the runtime's file from the container,
/// and the Go code of runc 1.1 relies on it.
#[test]
fn the_file_of_runc_1_1_is_protected() {
    support::needs!(root);
    let target = Target::new();
    let bootstrap = joining(target.pid(), &MOST);
    let out_of_reach = if support::features::has("detached read-only mounts") {
        "read-only mount"
    } else {
        "sealed memory"
    };
    for link in Link::ALL {
        let exec = Exec::new(runtime(link), &bootstrap);
        let exec = exec.set("RUNTIME_LEADING_NUL", "1");
        let environment = exec.environment.clone();
        let outcome = exec.run();
        assert!(outcome.stage0.success(), "{link:?}: {outcome:?}");
        let state = &outcome.state;
        assert_eq!(state.get("own_file"), out_of_reach, "{link:?}");
        assert_eq!(state.get("rest"), REST, "{link:?}");
        let argument = runtime(link).into_os_string();
        assert_eq!(state.get("argument.0"), argument.to_str().unwrap());
        let given = environment.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        assert_eq!(state.environment(), given.collect());
        let descriptors = state.get("descriptors").split(' ');
        let ours = descriptors.map(|fd| fd.parse().unwrap());
        let ours = ours.filter(|fd| *fd < 6 || !crosses_exec(*fd));
        assert_eq!(ours.collect::<Vec<i32>>(), [0, 1, 2, 3, 4, 5], "{link:?}");
    }
    // Other runtimes protect their file themselves.
    let outcome = Exec::new(runtime(Link::Static), &bootstrap).run();
    assert_eq!(outcome.state.get("own_file"), "writable");

    // If the runtime may not clone a mount, it gets a copy in memory.
    let directory = support::temporary_directory("own");
    let program = directory.join("runtime");
    fs::copy(runtime(Link::Static), &program).unwrap();
    let mut chmod = Command::new("chmod");
    chmod.args(["-R", "a+rx"]).arg(&directory);
    succeed(chmod);
    let map = || {
        Some(Mapping {
            map: id_map::parse(b"0 65534 1\n").unwrap(),
            tool: None,
        })
    };
    let rootless = Bootstrap {
        create: BTreeSet::from([Namespace::User]),
        uid_map: map(),
        gid_map: map(),
        rootless_euid: true,
        ..nothing()
    };
    let mut exec = Exec::new(program, &rootless).set("RUNTIME_LEADING_NUL", "1");
    exec.uid = Some(65_534);
    let outcome = exec.run();
    fs::remove_dir_all(&directory).unwrap();
    assert!(outcome.stage0.success(), "{outcome:?}");
    assert_eq!(outcome.state.get("own_file"), "sealed memory");
}

#[test]
fn the_ceiling_is_in_force_on_request() {
    support::needs!(root);
    let target = Target::new();
    let exec = Exec::new(runtime(Link::Static), &joining(target.pid(), &MOST));
    let outcome = exec.set("RUNTIME_CEILING", "1").run();
    assert_taken_over(&outcome);
    assert_eq!(outcome.state.get("Seccomp"), "2");
    assert_eq!(outcome.state.get("unshare"), "Operation not permitted");
}

#[test]
fn without_its_variables_libnsexec_does_nothing() {
    for link in Link::ALL {
        let mut plain = Command::new(runtime(link));
        plain.env_clear().env("_LIBCONTAINER_LOGPIPE", "x");
        let output = plain.output().unwrap();
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        assert_eq!(output.stderr, b"");
    }
    for (name, value) in [
        ("_LIBCONTAINER_INITPID", "1"),
        ("_LIBCONTAINER_INITPIPE", "x"),
        ("_LIBCONTAINER_INITPIPE", "4294967299"),
        ("_LIBCONTAINER_INITPIPE", "999"),
    ] {
        let mut wrong = Command::new(runtime(Link::Static));
        wrong.env_clear().env(name, value);
        let output = wrong.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(printed.contains(name), "{printed}");
    }
}

/// The two pipes, each with an unsuitable open mode.
#[test]
fn an_unsuitable_pipe_is_an_error_with_its_name() {
    use nix::fcntl::{OFlag, open};
    for (name, path, flags, reason) in [
        (
            "INITPIPE",
            "/dev/null",
            OFlag::O_RDONLY,
            "is open for reading only",
        ),
        (
            "INITPIPE",
            "/dev/null",
            OFlag::O_WRONLY,
            "is open for writing only",
        ),
        (
            "INITPIPE",
            "/dev/null",
            OFlag::O_PATH,
            "was opened with O_PATH",
        ),
        ("INITPIPE", "/", OFlag::O_RDONLY, "is a directory"),
        (
            "LOGPIPE",
            "/dev/null",
            OFlag::O_RDONLY,
            "is open for reading only",
        ),
        (
            "LOGPIPE",
            "/dev/null",
            OFlag::O_PATH,
            "was opened with O_PATH",
        ),
        ("LOGPIPE", "/", OFlag::O_RDONLY, "is a directory"),
    ] {
        let wrong = open(path, flags, nix::sys::stat::Mode::empty()).unwrap();
        let right = open("/dev/null", OFlag::O_RDWR, nix::sys::stat::Mode::empty()).unwrap();
        let mut command = Command::new(runtime(Link::Static));
        command.env_clear();
        command.env(format!("_LIBCONTAINER_{name}"), "3");
        if name == "LOGPIPE" {
            command.env("_LIBCONTAINER_INITPIPE", "4");
        }
        support::protocol_a::hand_over(&mut command, vec![wrong, right]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        let expected = format!("_LIBCONTAINER_{name}=3: descriptor 3 {reason}; give");
        assert!(printed.contains(&expected), "{name} {reason}: {printed}");
    }
}

#[test]
fn a_panic_ends_the_process_without_a_way_back_into_c() {
    support::needs!(cargo);
    let archive = prefix().join("panicking");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "rustc",
            "--quiet",
            "--package",
            "capi",
            "--lib",
            "--crate-type",
            "staticlib",
        ])
        .args(["--features", "panic-for-test", "--target-dir"])
        .arg(&archive)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    succeed(cargo);
    let library = archive.join(format!("{}/debug/libnsexec_capi.a", target_triple()));
    let program = archive.join("panic");
    let mut gcc = Command::new("gcc");
    gcc.args(["-fexceptions", "-Wall", "-Werror", "-o"])
        .arg(&program)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runtime/panic.c"))
        .arg(&library);
    succeed(gcc);
    let output = Command::new(&program).output().unwrap();
    use std::os::unix::process::ExitStatusExt as _;
    assert_eq!(output.status.signal(), Some(6), "{output:?}");
    assert_eq!(output.stdout, b"before\n", "{output:?}");
}

/// The name of the directory below cargo's target directory, as set in
/// `.cargo/config.toml`.
fn target_triple() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut rustc = Command::new(rustc);
    rustc.arg("-vV");
    let printed = succeed(rustc);
    let host = printed.lines().find_map(|line| line.strip_prefix("host: "));
    host.unwrap().to_owned()
}

/// Other symbols would collide with another Rust library.
#[test]
fn only_the_listed_symbols_are_exported() {
    let mut nm = Command::new("nm");
    nm.args(["--extern-only", "--defined-only", "--format=posix"])
        .arg(prefix().join("lib/libnsexec.a"));
    let symbols = succeed(nm);
    let found: BTreeSet<&str> = symbols
        .lines()
        .filter(|line| !line.ends_with(':') && !line.is_empty())
        .filter_map(|line| line.split(' ').next())
        .collect();
    let listed: BTreeSet<&str> = include_str!("../capi/exports").lines().collect();
    assert_eq!(found, listed);
}
