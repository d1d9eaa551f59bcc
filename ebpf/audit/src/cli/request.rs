//! What a command line requests.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Backend, Format, OnLoss};
use crate::filter::Filter;
use crate::output::hash_chain;
use crate::rules::Rule;

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `--help`
    Help,
    /// `--version`
    Version,
    /// `verify`: whether these are what was written, each after the one before.
    Verify(VerifyOptions),
    /// To draw what is there.
    Tree(TreeOptions),
    /// To find out whether what happens is what is reported.
    Selftest(SelftestOptions),
    /// A page of what was written.
    Report(ReportOptions),
    /// To watch.
    Audit(Box<AuditOptions>),
}

/// What is watched, and how it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditOptions {
    /// Where the probes are; none: those that were built in.
    pub probes: Option<PathBuf>,
    /// What sees the calls; none: the best that loads.
    pub backend: Option<Backend>,
    /// Only the tasks that are there.
    pub snapshot: bool,
    pub format: Option<Format>,
    /// The file that lines go to; none: standard output.
    pub output: Option<PathBuf>,
    /// The size at which a file is full, in bytes.
    pub rotate: Option<u64>,
    /// How many full files are kept; none: [`KEPT`](crate::output::files::KEPT).
    pub keep: Option<u16>,
    pub duration: Option<Duration>,
    pub filter: Filter,
    /// With a program: what others do as well.
    pub all: bool,
    /// An alert is an exit status.
    pub alert_status: bool,
    pub on_loss: OnLoss,
    /// How often a line of health; none: every [`HEALTH_INTERVAL`](crate::config::HEALTH_INTERVAL).
    pub health: Option<Duration>,
    /// Of the ring of namespaces, in bytes.
    pub ring: Option<u32>,
    /// Rules that are switched off.
    pub no_rules: Vec<&'static Rule>,
    /// Files that are nsexec.
    pub nsexec: Vec<PathBuf>,
    /// The program and its arguments; empty: until it is interrupted.
    pub program: Vec<OsString>,
}

/// What is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyOptions {
    /// What the first file continues.
    pub after: hash_chain::Value,
    pub files: Vec<PathBuf>,
}

/// How what is there is drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeOptions {
    /// Where the probes are; none: those that were built in.
    pub probes: Option<PathBuf>,
    pub format: Format,
}

/// How it is tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelftestOptions {
    /// Where the probes are; none: those that were built in.
    pub probes: Option<PathBuf>,
    pub format: Format,
    /// What sees the calls; none: the best that loads.
    pub backend: Option<Backend>,
    /// Of the ring of namespaces, in bytes.
    pub ring: Option<u32>,
    /// How many calls are made.
    pub events: u32,
}

/// What the page is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportOptions {
    /// Each continues the one before.
    pub files: Vec<PathBuf>,
    /// Where the page goes; none: standard output.
    pub output: Option<PathBuf>,
}
