//! The options of the auditor and of each command.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Command, Parser, Subcommand, ValueHint};

pub use super::values::List;
use super::values::{
    backend, bytes, cgroup, chain_value, container, events, keep, list, named, pid, ring, rules,
    seconds,
};
use crate::config::{Backend, Format, OnLoss, SELFTEST_EVENTS};
use crate::enrich::cgroups::Name as CgroupName;
use crate::filter::Filter;
use crate::model::event::Class;
use crate::model::namespaces::NamespaceType;
use crate::output::hash_chain;
use crate::rules::Rule;

const USAGE: &str = "nsexec-audit [OPTION...] [-- PROGRAM [ARGUMENT...]]\n       \
                     nsexec-audit COMMAND [OPTION...] [FILE...]";

const EXIT_STATUS: &str = "\
Exit status: the program's own; without a program 3 after an alert
(--alert-status), 4 after a loss (--on-loss alert). With --on-loss fail, 4 after
a loss, and the program keeps running. 125 nsexec-audit itself failed, 126 the
program cannot be executed, 127 it was not found.";

/// Records every attempt to join or create a namespace on the host, including refused
/// ones, until ^C; with a program, those of the program and its descendants, until it
/// ends. A program that is named like a command goes after --.
#[derive(Debug, Parser)]
#[command(
    name = "nsexec-audit",
    version,
    override_usage = USAGE,
    after_help = EXIT_STATUS,
    disable_help_subcommand = true,
    term_width = 80,
    subcommand_value_name = "COMMAND",
)]
pub(super) struct Cli {
    #[command(subcommand)]
    command: Option<CommandOptions>,
    #[command(flatten)]
    audit: AuditOptions,
}

impl Cli {
    /// The same program without its commands and options.
    pub(super) fn without_commands() -> Command {
        Command::new("nsexec-audit")
            .version(env!("CARGO_PKG_VERSION"))
            .override_usage(USAGE)
    }
}

// The options without a command. clap would take a doc comment for the text of the help.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditOptions {
    /// Lines for people (default), or one JSON object a line
    #[arg(long, value_name = "FORMAT", value_parser = named::<Format>())]
    pub format: Option<Format>,
    /// Write to FILE; an existing file is renamed to FILE.1
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Start another file before this one gets larger (4K, 100M, 1G)
    #[arg(long, value_name = "SIZE", value_parser = bytes, requires = "output")]
    pub rotate: Option<u64>,
    /// Number of full files to keep (default: 5)
    #[arg(long, value_name = "N", value_parser = keep, requires = "output")]
    pub keep: Option<u16>,
    /// End after this time
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub duration: Option<Duration>,
    /// Comma-separated classes of calls to report
    #[arg(long = "class", value_name = "LIST", value_parser = list::<Class>())]
    pub classes: Option<List<Class>>,
    /// Comma-separated types of namespaces to report
    #[arg(long = "type", value_name = "LIST", value_parser = list::<NamespaceType>())]
    pub types: Option<List<NamespaceType>>,
    /// Report this process and its new descendants
    #[arg(long, value_name = "PID", value_parser = pid, conflicts_with = "program")]
    pub pid: Option<u32>,
    /// Report programs of this path or name
    #[arg(
        long,
        value_name = "PATH",
        value_parser = clap::builder::NonEmptyStringValueParser::new(),
        value_hint = ValueHint::FilePath
    )]
    pub exe: Option<String>,
    /// Report processes in this cgroup and below it
    #[arg(long, value_name = "PATH|ID", value_parser = cgroup, value_hint = ValueHint::FilePath)]
    pub cgroup: Option<CgroupName>,
    /// Report processes in this container, and those that enter or leave it; the first 4
    /// characters of an id are enough
    #[arg(long, value_name = "ID", value_parser = container)]
    pub container: Option<String>,
    /// Report forks, execs and exits as well
    #[arg(long)]
    pub lineage: bool,
    /// With a program: report other processes as well
    #[arg(long, requires = "program")]
    pub all: bool,
    /// Comma-separated rules to switch off
    #[arg(long = "no-rule", value_name = "LIST", value_parser = rules())]
    pub no_rules: Option<List<&'static Rule>>,
    /// Without a program: exit with 3 if there was an alert
    #[arg(long)]
    pub alert_status: bool,
    /// After a loss of events: report it (default), raise an alert, exit
    #[arg(long, value_name = "ACTION", value_parser = named::<OnLoss>())]
    pub on_loss: Option<OnLoss>,
    /// In JSON: the interval between lines with every counter (default: 60)
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub health: Option<Duration>,
    /// Kernel memory for events: a power of two (default: 2M)
    #[arg(long, value_name = "SIZE", value_parser = ring)]
    pub ring: Option<u32>,
    /// Treat this file as nsexec, by its inode (can be repeated)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub nsexec: Vec<PathBuf>,
    /// Print every existing task as JSON, and exit
    #[arg(long)]
    pub snapshot: bool,
    /// Load these probes instead of the embedded ones
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub probes: Option<PathBuf>,
    /// Observe calls with this backend (default: the best one that loads)
    #[arg(long, value_name = "NAME", value_parser = backend())]
    pub backend: Option<Backend>,
    /// The program to run, and its arguments
    #[arg(value_name = "PROGRAM", trailing_var_arg = true, value_hint = ValueHint::CommandWithArguments)]
    pub program: Vec<OsString>,
}

impl AuditOptions {
    /// The criteria for the events that are reported.
    #[must_use]
    pub fn filter(&self) -> Filter {
        let List(classes) = self.classes.clone().unwrap_or_default();
        let List(types) = self.types.clone().unwrap_or_default();
        Filter {
            classes,
            types,
            root: self.pid,
            exe: self.exe.clone(),
            cgroup: self.cgroup.clone(),
            container: self.container.clone(),
            lineage: self.lineage,
        }
    }

    /// The reaction to lost events.
    #[must_use]
    pub fn on_loss(&self) -> OnLoss {
        self.on_loss.unwrap_or_default()
    }
}

/// A command and its options.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum CommandOptions {
    /// Draw the processes, their namespaces and containers
    Tree(TreeOptions),
    /// Check that files of JSON lines are unchanged. Exit status: 0 unchanged, 1 changed,
    /// 2 not readable
    Verify(VerifyOptions),
    /// Make events, find each of them, and measure the cost. Exit status: 0 each was
    /// reported or counted as lost, 1 it was not
    Selftest(SelftestOptions),
    /// Make a page of HTML from files of JSON lines
    Report(ReportOptions),
}

/// Of `tree`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeOptions {
    /// Text for people (default), or one JSON object
    #[arg(long, value_name = "FORMAT", value_parser = named::<Format>())]
    pub format: Option<Format>,
    /// Load these probes instead of the embedded ones
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub probes: Option<PathBuf>,
}

/// Of `verify`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct VerifyOptions {
    /// The chain value that the first file continues
    #[arg(long, value_name = "VALUE", value_parser = chain_value)]
    pub after: Option<hash_chain::Value>,
    /// Files of JSON lines, each of which continues the one before
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
}

/// Of `selftest`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct SelftestOptions {
    /// Number of calls, a multiple of 4 (default: 1000)
    #[arg(long, value_name = "N", value_parser = events)]
    pub events: Option<u32>,
    /// Kernel memory for events (default: 2M)
    #[arg(long, value_name = "SIZE", value_parser = ring)]
    pub ring: Option<u32>,
    /// Observe calls with this backend (default: the best one that loads)
    #[arg(long, value_name = "NAME", value_parser = backend())]
    pub backend: Option<Backend>,
    /// Text for people (default), or one JSON object
    #[arg(long, value_name = "FORMAT", value_parser = named::<Format>())]
    pub format: Option<Format>,
    /// Load these probes instead of the embedded ones
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub probes: Option<PathBuf>,
}

impl SelftestOptions {
    /// The number of calls.
    #[must_use]
    pub fn events(&self) -> u32 {
        self.events.unwrap_or(SELFTEST_EVENTS)
    }
}

/// Of `report`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportOptions {
    /// Write the page to FILE instead of standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Files of JSON lines, each of which continues the one before
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
}
