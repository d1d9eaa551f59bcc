use std::time::Duration;

use super::*;
use crate::cli::help::help;
use crate::cli::request::{ReportOptions, SelftestOptions, TreeOptions, VerifyOptions};
use crate::config::{Backend, SELFTEST_EVENTS};
use crate::enrich::cgroups::Name;
use crate::output::hash_chain;
use crate::rules::RULES;

fn asked(words: &[&str]) -> Result<Request, String> {
    read(words.iter().map(Into::into))
}

fn run(words: &[&str]) -> AuditOptions {
    match asked(words) {
        Ok(Request::Audit(run)) => *run,
        other => panic!("{words:?}: {other:?}"),
    }
}

#[test]
fn options_are_taken_once() {
    assert_eq!(run(&[]), AuditOptions::default());
    assert_eq!(run(&["--probes", "f"]).probes, Some("f".into()));
    assert!(run(&["--snapshot", "--probes=f"]).snapshot);
    assert_eq!(asked(&["--help"]), Ok(Request::Help));
    assert_eq!(asked(&["-V"]), Ok(Request::Version));
    let all = run(&[
        "--format=json",
        "--duration",
        "1.5",
        "--class",
        "denied,join_host",
        "--type=net,mnt",
        "--exe=nsexec",
        "--cgroup=/a.slice/b",
        "--container=4f79",
        "--lineage",
        "--nsexec=a",
        "--nsexec=b",
    ]);
    assert_eq!(all.format, Some(Format::Json));
    assert_eq!(all.duration, Some(Duration::from_millis(1500)));
    assert_eq!(all.filter.classes, [Class::Denied, Class::JoinHost]);
    assert_eq!(all.filter.types, [NamespaceType::Net, NamespaceType::Mnt]);
    assert_eq!(all.nsexec.len(), 2);
    assert_eq!(all.filter.cgroup, Some(Name::Path("/a.slice/b".into())));
    assert_eq!(all.filter.container.as_deref(), Some("4f79"));
    assert_eq!(run(&["--cgroup=12"]).filter.cgroup, Some(Name::Id(12)));
    let mut files = VerifyOptions {
        after: hash_chain::BEGINNING,
        files: vec!["a".into(), "b".into()],
    };
    assert_eq!(
        asked(&["verify", "a", "b"]),
        Ok(Request::Verify(files.clone()))
    );
    files.after = hash_chain::next(files.after, b"{}");
    let value = hash_chain::hex(files.after);
    let words = ["verify", "--after", &value, "a", "b"];
    assert_eq!(asked(&words), Ok(Request::Verify(files)));
    let output = run(&["--output=f", "--rotate=4096", "--keep=1"]);
    assert_eq!((output.rotate, output.keep), (Some(4096), Some(1)));
    let loss = run(&[
        "--on-loss=fail",
        "--health=5",
        "--ring=64K",
        "--alert-status",
    ]);
    assert_eq!((loss.on_loss, loss.ring), (OnLoss::Fail, Some(64 << 10)));
    assert_eq!(loss.health, Some(Duration::from_secs(5)));
    assert!(loss.alert_status);
    for (text, size) in [("4K", 4 << 10), ("100M", 100 << 20), ("1G", 1 << 30)] {
        assert_eq!(run(&["--output=f", "--rotate", text]).rotate, Some(size));
    }
    assert_eq!(run(&["--", "verify"]).program, ["verify"]);
    let program = run(&["--all", "--", "sh", "-c", "--format"]);
    assert_eq!(program.program, ["sh", "-c", "--format"]);
    let off = run(&["--no-rule=join-host"]).no_rules;
    assert_eq!(off, [RULES[0]]);
    let words = |name: &str| FLAGS.iter().find(|flag| flag.long == name).unwrap().words;
    assert_eq!(words("no-rule"), RULES.map(|rule| rule.name));
    assert_eq!(words("backend"), Backend::ALL.map(Backend::name));
    assert_eq!(run(&["--backend=fentry"]).backend, Some(Backend::Fentry));
    assert_eq!(
        words("class"),
        Class::ALL.iter().map(|one| one.name()).collect::<Vec<_>>()
    );
    assert_eq!(
        words("type"),
        NamespaceType::ALL
            .iter()
            .map(|one| one.name())
            .collect::<Vec<_>>()
    );
    assert!(
        help().lines().all(|line| line.chars().count() <= 80),
        "{}",
        help()
    );
    // Each that stands in the help is read.
    for flag in FLAGS.iter().filter(|flag| flag.value.is_none()) {
        let _ = asked(&[&format!("--{}", flag.long)])
            .map_err(|why| assert!(!why.contains("--help"), "{why}"));
    }
    assert_eq!(run(&["true", "--format"]).program, ["true", "--format"]);
}

#[test]
fn tree_is_a_word_of_its_own_only_where_it_is_the_first() {
    let tree = |probes: Option<&str>, format| {
        Ok(Request::Tree(TreeOptions {
            probes: probes.map(Into::into),
            format,
        }))
    };
    assert_eq!(asked(&["tree"]), tree(None, Format::Text));
    let all = ["tree", "--format=json", "--probes", "f"];
    assert_eq!(asked(&all), tree(Some("f"), Format::Json));
    assert_eq!(asked(&["tree", "-h"]), Ok(Request::Help));
    assert_eq!(run(&["--", "tree"]).program, ["tree"]);
    assert_eq!(run(&["--all", "tree", "-a"]).program, ["tree", "-a"]);
    for wrong in [
        &["tree", "tree"][..],
        &["tree", "--all"],
        &["tree", "--format=xml"],
        &["tree", "--format=text", "--format=text"],
        &["tree", "--probes=f", "--probes=f"],
    ] {
        assert!(asked(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn selftest_has_options_of_its_own() {
    let mut expected = SelftestOptions {
        probes: None,
        format: Format::Text,
        backend: None,
        ring: None,
        events: SELFTEST_EVENTS,
    };
    assert_eq!(
        asked(&["selftest"]),
        Ok(Request::Selftest(expected.clone()))
    );
    expected.ring = Some(64 << 10);
    expected.events = 8;
    expected.backend = Some(Backend::Tracepoint);
    expected.format = Format::Json;
    let words = [
        "selftest",
        "--ring=64K",
        "--events=8",
        "--format=json",
        "--backend=tracepoint",
    ];
    assert_eq!(asked(&words), Ok(Request::Selftest(expected)));
    for wrong in [
        "--events=0",
        "--events=6",
        "--events=100004",
        "--backend=",
        "--all",
        "x",
    ] {
        assert!(asked(&["selftest", wrong]).is_err(), "{wrong}");
    }
    assert!(asked(&["selftest", "--events=4", "--events=4"]).is_err());
}

#[test]
fn report_takes_files_and_where_the_page_goes() {
    let report = |files: &[&str], output: Option<&str>| {
        Ok(Request::Report(ReportOptions {
            files: files.iter().map(Into::into).collect(),
            output: output.map(Into::into),
        }))
    };
    assert_eq!(asked(&["report", "a"]), report(&["a"], None));
    let all = ["report", "a", "--output=p", "--", "-b"];
    assert_eq!(asked(&all), report(&["a", "-b"], Some("p")));
    assert_eq!(asked(&["report", "--help"]), Ok(Request::Help));
    assert_eq!(run(&["--", "report"]).program, ["report"]);
    for wrong in [
        &["report"][..],
        &["report", "--output", "p"],
        &["report", "a", "--output"],
        &["report", "a", "--output=p", "--output=q"],
        &["report", "a", "--format=json"],
    ] {
        assert!(asked(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn anything_else_is_an_error() {
    for wrong in [
        &["--probes"][..],
        &["--probes", "f", "--probes", "f"],
        &["--snapshot", "--snapshot"],
        &["--snapshot=yes"],
        &["-x"],
        &["--format", "xml"],
        &["--duration", "0"],
        &["--duration", "-1"],
        &["--duration", "inf"],
        &["--class", "join"],
        &["--class", ""],
        &["--class", "noop,noop"],
        &["--no-rule", "join"],
        &["--type", "cap"],
        &["--pid", "0"],
        &["--pid", "+1"],
        &["--pid", "1", "true"],
        &["--exe", ""],
        &["--cgroup="],
        &["--cgroup=0"],
        &["--cgroup=-1"],
        &["--cgroup=a.slice"],
        &["--cgroup=/a/../b"],
        &["--container="],
        &["--container=docker/4f79"],
        &["--container=*"],
        &["--container=web", "--container=db"],
        &["--all"],
        &["verify"],
        &["verify", "-x"],
        &["verify", "--after", "0", "f"],
        &["--rotate=4K"],
        &["--keep=1"],
        &["--output=f", "--rotate=4095"],
        &["--output=f", "--rotate=4k"],
        &["--output=f", "--rotate=K"],
        &["--output=f", "--rotate=+4K"],
        &["--output=f", "--rotate=17179869184G"],
        &["--output=f", "--keep=0"],
        &["--output=f", "--keep=1000"],
        &["--ring=3K"],
        &["--ring=2K"],
        &["--ring=2G"],
        &["--on-loss=stop"],
        &["--backend=kprobe"],
        &["--backend=fentry,tracepoint"],
        &["--backend=fentry", "--backend=fentry"],
        &["--health=0"],
    ] {
        assert!(asked(wrong).is_err(), "{wrong:?}");
    }
}
