//! Attacks on a process that enters a hostile target.
//!
//! Each attack has two arms. The control arm runs the attack against a tool without the
//! defence, and must do harm: this shows that the attack works on this machine. The other
//! arm runs the same attack against nsexec, and must do none. Harm is an observed effect: a
//! file of the host was read, or a process has ended. If a command fails for another
//! reason, the set-up is wrong, and the run fails.
//!
//! `cargo test --test attacks` runs the attacks that take a second or two, `-- --all` runs
//! all of them, and `-- NAME...` runs those whose names contain a word. `cargo xtask
//! attack` also prints a table.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(clippy::print_stdout, reason = "it is a test program of its own")]

use nsexec_test_support as support;

mod advisories;
mod arm;
mod container;
mod handles;
mod inputs;
mod place;
mod policy;
mod races;
mod running;
mod signals;
mod terminal;

use std::fs::File;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use arm::{Arm, Fault, Outcome, Tool};

/// One attack.
#[derive(Debug)]
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// A description of the attack for the table.
    pub(crate) tries: &'static str,
    /// The tool without the defence.
    pub(crate) control: Tool,
    /// The tools that must withstand the attack.
    pub(crate) ways: &'static [Tool],
    pub(crate) run: fn(Tool) -> Arm,
    /// Takes a second or two, and is therefore part of each run of the tests.
    pub(crate) quick: bool,
}

/// The result of one arm of one attack.
#[derive(Debug)]
struct Verdict {
    tool: Tool,
    arm: Arm,
}

/// A row of the table.
#[derive(Debug)]
struct Row {
    attack: &'static Attack,
    control: Verdict,
    nsexec: Vec<Verdict>,
}

impl Verdict {
    fn of(attack: &Attack, tool: Tool) -> Self {
        let arm = catch_unwind(AssertUnwindSafe(|| (attack.run)(tool))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(Fault::Broken(text.unwrap_or("it panicked").to_owned()))
        });
        Self { tool, arm }
    }

    fn text(&self) -> String {
        match &self.arm {
            Ok(Outcome::Harm(how)) => format!("OPEN: {how}"),
            Ok(Outcome::Blocked(how)) => format!("blocked: {how}"),
            Err(Fault::Broken(why)) => format!("BROKEN: {}", one_line(why)),
            Err(Fault::LeftOut(why)) => format!("left out: {why}"),
        }
    }
}

impl Row {
    fn of(attack: &'static Attack) -> Self {
        Self {
            attack,
            control: Verdict::of(attack, attack.control),
            nsexec: (attack.ways.iter())
                .map(|tool| Verdict::of(attack, *tool))
                .collect(),
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.control.arm, Ok(Outcome::Harm(_)))
    }

    fn is_blocked(&self) -> bool {
        let blocked = |verdict: &Verdict| matches!(verdict.arm, Ok(Outcome::Blocked(_)));
        self.nsexec.iter().all(blocked)
    }

    /// The reason why this machine cannot run the attack.
    fn left_out(&self) -> Option<&str> {
        let mut all = std::iter::once(&self.control).chain(&self.nsexec);
        all.find_map(|verdict| match &verdict.arm {
            Err(Fault::LeftOut(why)) => Some(why.as_str()),
            _ => None,
        })
    }

    /// The result of nsexec for the table, per policy if the results differ.
    fn nsexec_text(&self) -> String {
        let texts: Vec<String> = self.nsexec.iter().map(Verdict::text).collect();
        match texts.first() {
            Some(first) if texts.iter().all(|text| text == first) => first.clone(),
            _ => (self.nsexec.iter().zip(&texts))
                .map(|(verdict, text)| format!("{}: {text}", verdict.tool))
                .collect::<Vec<_>>()
                .join("; "),
        }
    }

    fn cells(&self) -> [String; 4] {
        let control = match &self.control.arm {
            Ok(Outcome::Harm(how)) => format!("open by {}: {how}", self.attack.control),
            _ => format!("{}: {}", self.attack.control, self.control.text()),
        };
        let [name, tries] = [self.attack.name, self.attack.tries].map(str::to_owned);
        [name, tries, control, self.nsexec_text()]
    }
}

/// Every attack, by theme.
fn attacks() -> impl Iterator<Item = &'static Attack> {
    [
        place::ATTACKS,
        handles::ATTACKS,
        policy::ATTACKS,
        terminal::ATTACKS,
        signals::ATTACKS,
        inputs::ATTACKS,
        races::ATTACKS,
        advisories::ATTACKS,
    ]
    .into_iter()
    .flatten()
}

/// The arguments of the test program.
#[derive(Debug, Default)]
struct Options {
    names: Vec<String>,
    all: bool,
    table: bool,
    list: bool,
    /// The file for libtest's report: one line per result.
    log: Option<PathBuf>,
}

/// Options of libtest with a value, which have no effect here.
const PASSED_OVER: [&str; 5] = ["--color", "--format", "--skip", "--test-threads", "-Z"];

impl Options {
    /// Ignores other options of libtest.
    fn read() -> Self {
        let mut options = Self::default();
        let mut words = std::env::args_os().skip(1);
        while let Some(word) = words.next() {
            match word.to_string_lossy().as_ref() {
                "--all" => options.all = true,
                "--table" => options.table = true,
                "--list" => options.list = true,
                "--logfile" => options.log = words.next().map(PathBuf::from),
                option if PASSED_OVER.contains(&option) => drop(words.next()),
                option if option.starts_with('-') => {}
                name => options.names.push(name.to_owned()),
            }
        }
        options
    }

    /// Reports a result in libtest's format.
    fn log_result(&self, name: &str, result: &str) {
        println!("test {name} ... {result}");
        if let Some(log) = &self.log {
            let file = File::options().append(true).create(true).open(log);
            let line = format!(
                "{} {name}\n",
                if result == "FAILED" { "failed" } else { result }
            );
            file.and_then(|mut file| file.write_all(line.as_bytes()))
                .expect("the log file");
        }
    }

    fn names(&self, attack: &Attack) -> bool {
        if self.names.is_empty() {
            return self.all || attack.quick;
        }
        (self.names.iter()).any(|name| attack.name.contains(name.as_str()))
    }
}

fn main() -> ExitCode {
    let options = Options::read();
    if options.list {
        for attack in attacks() {
            println!("{}: test", attack.name);
        }
        return ExitCode::SUCCESS;
    }
    let chosen: Vec<_> = attacks().filter(|attack| options.names(attack)).collect();
    let others = attacks().count() - chosen.len();
    println!("\nrunning {} attacks", chosen.len());
    let mut rows = Vec::new();
    let mut left_out = 0;
    for attack in chosen {
        if !support::needs::root(attack.name) {
            println!("test {} ... left out", attack.name);
            left_out += 1;
            continue;
        }
        let start = Instant::now();
        let row = Row::of(attack);
        if let Some(why) = row.left_out() {
            support::leave_out(attack.name, why);
            println!("test {} ... left out", attack.name);
            left_out += 1;
            continue;
        }
        let passed = row.is_open() && row.is_blocked();
        let word = if passed { "ok" } else { "FAILED" };
        options.log_result(attack.name, word);
        if options.table {
            println!("  {:.1} s", start.elapsed().as_secs_f32());
        }
        if !passed {
            println!("  control, {}", row.cells()[2]);
            println!("  nsexec, {}", row.cells()[3]);
        }
        rows.push(row);
    }
    let blocked = rows.iter().filter(|row| row.is_blocked()).count();
    let open = rows.iter().filter(|row| row.is_open()).count();
    let failed = (rows.iter())
        .filter(|row| !(row.is_blocked() && row.is_open()))
        .count();
    if options.table {
        let head = ["attack", "tries to", "control", "nsexec"].map(str::to_owned);
        let cells: Vec<_> = std::iter::once(head)
            .chain(rows.iter().map(Row::cells))
            .collect();
        println!("\n{}", aligned(&cells));
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {} passed; {failed} failed; 0 ignored; 0 measured; \
         {others} filtered out",
        rows.len() - failed
    );
    if left_out > 0 {
        println!("{left_out} left out");
    }
    println!(
        "{blocked} of {0} blocked, {open} of {0} controls open",
        rows.len()
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The beginning of an arbitrary text.
fn one_line(text: &str) -> String {
    const MOST: usize = 600;
    text.chars()
        .take(MOST)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// One line per row, with aligned columns.
fn aligned(rows: &[[String; 4]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let (name, tries, control) = (width(0), width(1), width(2));
    let line = |row: &[String; 4]| {
        let [a, b, c, d] = row;
        format!("{a:<name$}  {b:<tries$}  {c:<control$}  {d}")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
