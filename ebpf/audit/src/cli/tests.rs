use std::time::Duration;

use super::options::{ReportOptions, SelftestOptions, TreeOptions, VerifyOptions};
use super::values::List;
use super::*;
use crate::config::{Backend, Format, OnLoss, SELFTEST_EVENTS};
use crate::enrich::cgroups::Name as CgroupName;
use crate::model::event::Class;
use crate::model::namespaces::NamespaceType;
use crate::output::hash_chain;
use crate::rules::RULES;

fn parsed(words: &[&str]) -> Result<Request, String> {
    parse(words.iter().map(Into::into)).map_err(|error| error.to_string())
}

fn audit(words: &[&str]) -> AuditOptions {
    match parsed(words) {
        Ok(Request::Audit(options)) => *options,
        other => panic!("{words:?}: {other:?}"),
    }
}

fn command_of(words: &[&str]) -> CommandOptions {
    match parsed(words) {
        Ok(Request::Command(options)) => options,
        other => panic!("{words:?}: {other:?}"),
    }
}

#[test]
fn the_description_is_consistent() {
    command().debug_assert();
    AuditOptions::augment_args(Cli::without_commands()).debug_assert();
}

#[test]
fn options_are_accepted_once() {
    assert_eq!(audit(&[]), AuditOptions::default());
    assert_eq!(audit(&["--probes", "f"]).probes, Some("f".into()));
    assert!(audit(&["--snapshot", "--probes=f"]).snapshot);
    let all = audit(&[
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
    assert_eq!(all.nsexec.len(), 2);
    let filter = all.filter();
    assert_eq!(filter.classes, [Class::Denied, Class::JoinHost]);
    assert_eq!(filter.types, [NamespaceType::Net, NamespaceType::Mnt]);
    assert_eq!(filter.cgroup, Some(CgroupName::Path("/a.slice/b".into())));
    assert_eq!(filter.container.as_deref(), Some("4f79"));
    assert_eq!(filter.exe.as_deref(), Some("nsexec"));
    assert!(filter.lineage);
    assert_eq!(audit(&["--pid=12"]).filter().root, Some(12));
    assert_eq!(audit(&["--cgroup=12"]).cgroup, Some(CgroupName::Id(12)));
    let output = audit(&["--output=f", "--rotate=4096", "--keep=1"]);
    assert_eq!((output.rotate, output.keep), (Some(4096), Some(1)));
    let loss = audit(&[
        "--on-loss=fail",
        "--health=5",
        "--ring=64K",
        "--alert-status",
    ]);
    assert_eq!((loss.on_loss(), loss.ring), (OnLoss::Fail, Some(64 << 10)));
    assert_eq!(loss.health, Some(Duration::from_secs(5)));
    assert!(loss.alert_status);
    for (text, size) in [("4K", 4 << 10), ("100M", 100 << 20), ("1G", 1 << 30)] {
        assert_eq!(audit(&["--output=f", "--rotate", text]).rotate, Some(size));
    }
    let off = audit(&["--no-rule=join-host"]).no_rules;
    assert_eq!(off, Some(List(vec![RULES[0]])));
    let backend = audit(&["--backend=fentry"]).backend;
    assert_eq!(backend, Some(Backend::Fentry));
}

#[test]
fn a_program_has_its_own_options() {
    assert_eq!(audit(&["--", "verify"]).program, ["verify"]);
    let program = audit(&["--all", "--", "sh", "-c", "--format"]).program;
    assert_eq!(program, ["sh", "-c", "--format"]);
    assert_eq!(audit(&["true", "--format"]).program, ["true", "--format"]);
    // A command is recognised only as the first word.
    assert_eq!(audit(&["--", "tree"]).program, ["tree"]);
    assert_eq!(audit(&["--all", "tree", "-a"]).program, ["tree", "-a"]);
    assert_eq!(audit(&["--", "report"]).program, ["report"]);
}

#[test]
fn help_and_version_are_no_errors() {
    for (words, expected) in [
        (&["--help"][..], "--no-rule"),
        (&["-h"], "Exit status"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["-V"], "nsexec-audit "),
        (&["tree", "-h"], "--probes"),
        (&["report", "--help"], "--output"),
    ] {
        let shown = parse(words.iter().map(Into::into)).unwrap_err();
        assert!(!shown.use_stderr(), "{words:?}");
        assert!(shown.to_string().contains(expected), "{words:?}: {shown}");
    }
}

#[test]
fn help_fits_into_80_columns_and_lists_every_command() {
    let mut all = command();
    all.build();
    let names: Vec<String> = all
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    let texts = std::iter::once(Vec::new())
        .chain(names.iter().map(|name| vec![name.as_str()]))
        .map(|words| parsed(&[words, vec!["--help"]].concat()).unwrap_err());
    for text in texts {
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
    }
    let help = parsed(&["--help"]).unwrap_err();
    for name in names {
        assert!(help.contains(&name), "{name}: {help}");
    }
}

#[test]
fn each_command_has_its_own_options() {
    let tree = |probes: Option<&str>, format| {
        CommandOptions::Tree(TreeOptions {
            probes: probes.map(Into::into),
            format,
        })
    };
    assert_eq!(command_of(&["tree"]), tree(None, None));
    let all = ["tree", "--format=json", "--probes", "f"];
    assert_eq!(command_of(&all), tree(Some("f"), Some(Format::Json)));

    let mut verify = VerifyOptions {
        after: None,
        files: vec!["a".into(), "b".into()],
    };
    let words = command_of(&["verify", "a", "b"]);
    assert_eq!(words, CommandOptions::Verify(verify.clone()));
    let value = hash_chain::next(hash_chain::BEGINNING, b"{}");
    verify.after = Some(value);
    let text = hash_chain::hex(value);
    let words = command_of(&["verify", "--after", &text, "a", "b"]);
    assert_eq!(words, CommandOptions::Verify(verify));

    let report = |files: &[&str], output: Option<&str>| {
        CommandOptions::Report(ReportOptions {
            files: files.iter().map(Into::into).collect(),
            output: output.map(Into::into),
        })
    };
    assert_eq!(command_of(&["report", "a"]), report(&["a"], None));
    let all = ["report", "a", "--output=p", "--", "-b"];
    assert_eq!(command_of(&all), report(&["a", "-b"], Some("p")));
}

#[test]
fn selftest_has_a_number_of_calls() {
    let mut expected = SelftestOptions {
        probes: None,
        format: None,
        backend: None,
        ring: None,
        events: None,
    };
    assert_eq!(expected.events(), SELFTEST_EVENTS);
    let parsed = command_of(&["selftest"]);
    assert_eq!(parsed, CommandOptions::Selftest(expected.clone()));
    expected.ring = Some(64 << 10);
    expected.events = Some(8);
    expected.backend = Some(Backend::Tracepoint);
    expected.format = Some(Format::Json);
    let words = [
        "selftest",
        "--ring=64K",
        "--events=8",
        "--format=json",
        "--backend=tracepoint",
    ];
    assert_eq!(command_of(&words), CommandOptions::Selftest(expected));
}

/// The help names the defaults of the code.
#[test]
fn the_defaults_of_the_help_are_true() {
    // Lines are wrapped.
    let help = |words: &[&str]| {
        let text = parsed(words).unwrap_err();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let all = help(&["--help"]);
    let kept = format!("(default: {})", crate::output::files::KEPT);
    let health = crate::config::HEALTH_INTERVAL.as_secs();
    for expected in [
        kept,
        format!("(default: {health})"),
        "(default: 2M)".to_owned(),
    ] {
        assert!(all.contains(&expected), "{expected}: {all}");
    }
    assert_eq!(crate::loader::probes::Sizes::DEFAULT.namespaces, 2 << 20);
    let selftest = help(&["selftest", "--help"]);
    assert!(selftest.contains(&format!("(default: {SELFTEST_EVENTS})")));
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
        &["--class", "noop", "--class", "denied"],
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
        &["tree", "tree"],
        &["tree", "--all"],
        &["tree", "--format=xml"],
        &["tree", "--format=text", "--format=text"],
        &["tree", "--probes=f", "--probes=f"],
        &["selftest", "--events=0"],
        &["selftest", "--events=6"],
        &["selftest", "--events=100004"],
        &["selftest", "--events=4", "--events=4"],
        &["selftest", "--backend="],
        &["selftest", "--all"],
        &["selftest", "x"],
        &["report"],
        &["report", "--output", "p"],
        &["report", "a", "--output"],
        &["report", "a", "--output=p", "--output=q"],
        &["report", "a", "--format=json"],
    ] {
        let error = parse(wrong.iter().map(Into::into)).expect_err(&format!("{wrong:?}"));
        assert!(error.use_stderr(), "{wrong:?}");
    }
}
