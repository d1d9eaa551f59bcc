//! The cost of the filter of Docker's default profile: compiling it from its text, and
//! loading it; compared with the filters of seccompiler and libseccomp for the same
//! profile, in interleaved rounds.
//!
//! `cargo bench --bench compile -- [--rounds N] [--save]`. The benchmark asserts no times:
//! it compares them inside one run, and `--save` stores the samples in
//! `benches/runs/<date>-<host>/`.

#![expect(clippy::print_stdout, reason = "a benchmark is for people to read")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use nsexec_policy_engine::policy::manifest;
use nsexec_policy_engine::policy::resolved::Capabilities;
use nsexec_policy_engine::seccomp::compile::compile;
use nsexec_policy_engine::seccomp::oci::{self, Context};
use nsexec_policy_engine::seccomp::profile::Profile;
use nsexec_policy_engine::seccomp::program::Program;
use nsexec_policy_engine::seccomp::table::Arch;
use nsexec_shipped_policies::{builtin_context, builtin_text};
use oracle::libseccomp::{HEADER, Libseccomp, Search};
use oracle::stacked::Stacked;
use oracle::timing::{Loaded, loads};

use nsexec_test_support::samples::{self, Options, WARM_UP, percentile};

const ROUNDS: usize = 300;
/// Milliseconds per second.
const MICROSECONDS: f64 = 1e6;
const POLICY: &str = "default";
const PROFILE: &str = "seccomp/docker-default.json";

fn main() -> io::Result<()> {
    let options = Options::parse(ROUNDS)?;
    let docker = Docker::read()?;
    let (profile, arch) = (docker.profile()?, docker.context.arch);
    let mut contenders = vec![docker.contender()?, stacked(&profile, arch)?];
    let mut left_out = Vec::new();
    if Path::new(HEADER).exists() {
        let library = Libseccomp::new()?;
        for (name, search) in [
            ("libseccomp, chain", Search::Chain),
            ("libseccomp, binary tree", Search::Tree),
        ] {
            let filter = library.build(&profile, arch, search)?;
            let mut timer = library.timer(&profile, arch, search)?;
            contenders.push(Contender::new(
                name.to_owned(),
                vec![filter.program().clone()],
                move || Ok(vec![timer.once()?]),
            ));
            for number in arch.numbers() {
                if !filter.comparable().contains(&number) {
                    let call = arch.name(number).unwrap_or("?");
                    left_out.push(format!(
                        "{name}: the rules of {call}: it has no equal of them"
                    ));
                }
            }
        }
    } else {
        left_out.push(format!("libseccomp: there is no {HEADER}"));
    }

    measure(&mut contenders, options.rounds)?;
    let programs: Vec<&[Program]> = contenders
        .iter()
        .map(|contender| contender.programs.as_slice())
        .collect();
    let rounds = u32::try_from(options.rounds).map_err(io::Error::other)?;
    let loaded = loads(&programs, rounds)?;
    let rows = rows(&contenders, &loaded);
    let mut report = table(&rows, options.rounds);
    for line in &left_out {
        let _ = writeln!(report, "left out: {line}");
    }
    print!("{report}");
    if options.save {
        let columns: Vec<(String, &[Duration])> = rows.iter().flat_map(Row::columns).collect();
        let samples: Vec<(&str, &[Duration])> = columns
            .iter()
            .map(|(name, samples)| (name.as_str(), *samples))
            .collect();
        println!("{}", samples::save("compile", &samples, &report)?.display());
    }
    Ok(())
}

/// The profile as the default policy uses it.
struct Docker {
    text: Vec<u8>,
    context: Context,
}

impl Docker {
    fn read() -> io::Result<Self> {
        let arch = Arch::native().ok_or_else(|| io::Error::other("no architecture of nsexec's"))?;
        let policy = builtin_text(POLICY).ok_or_else(|| io::Error::other("no default policy"))?;
        let manifest = manifest::parse(&policy.manifest)
            .map_err(|fault| io::Error::other(format!("{POLICY}: {:?}", fault.reason)))?;
        let Capabilities::Keep(bounding) = manifest.process.capabilities else {
            return Err(io::Error::other("the default policy keeps a set"));
        };
        let file = policy.files.into_iter().find(|(name, _)| name == PROFILE);
        let (_, text) = file.ok_or_else(|| io::Error::other(format!("no {PROFILE}")))?;
        let context = Context {
            bounding,
            ..builtin_context(arch)
        };
        Ok(Self { text, context })
    }

    fn profile(&self) -> io::Result<Profile> {
        let conditional = oci::parse(&self.text).map_err(wrong)?;
        conditional.resolve(&self.context).map_err(wrong)
    }

    /// In three parts: parse the text, resolve the conditions, compile the rules.
    fn contender(self) -> io::Result<Contender> {
        let program = compile(&self.profile()?, self.context.arch).map_err(io::Error::other)?;
        Ok(Contender::new(
            "nsexec".to_owned(),
            vec![program],
            move || {
                let start = Instant::now();
                let conditional = oci::parse(black_box(&self.text)).map_err(wrong)?;
                let parsed = Instant::now();
                let profile = conditional.resolve(&self.context).map_err(wrong)?;
                let resolved = Instant::now();
                let program = compile(&profile, self.context.arch).map_err(io::Error::other)?;
                let compiled = Instant::now();
                black_box(program);
                Ok(vec![parsed - start, resolved - parsed, compiled - resolved])
            },
        ))
    }
}

fn wrong(fault: nsexec_text::Fault<oci::ProfileErrorKind>) -> io::Error {
    io::Error::other(fault.reason.to_string())
}

fn stacked(profile: &Profile, arch: Arch) -> io::Result<Contender> {
    let profile = profile.clone();
    let programs = Stacked::build(&profile, arch).map_err(io::Error::other)?;
    let programs = programs.programs().to_vec();
    let name = format!("seccompiler, {} filters", programs.len());
    Ok(Contender::new(name, programs, move || {
        let start = Instant::now();
        let stacked = Stacked::build(black_box(&profile), arch).map_err(io::Error::other)?;
        let taken = start.elapsed();
        black_box(stacked);
        Ok(vec![taken])
    }))
}

/// A compiler of filters: how long each part takes.
type Build = dyn FnMut() -> io::Result<Vec<Duration>>;

struct Contender {
    name: String,
    programs: Vec<Program>,
    build: Box<Build>,
    /// The samples of each round.
    samples: Vec<Vec<Duration>>,
}

impl Contender {
    fn new(
        name: String,
        programs: Vec<Program>,
        build: impl FnMut() -> io::Result<Vec<Duration>> + 'static,
    ) -> Self {
        Self {
            name,
            programs,
            build: Box::new(build),
            samples: Vec::new(),
        }
    }

    fn instructions(&self) -> usize {
        let lengths = self
            .programs
            .iter()
            .map(|program| program.instructions().len());
        lengths.sum()
    }

    /// The times of one part.
    fn part(&self, part: usize) -> Vec<Duration> {
        let rounds = self.samples.iter();
        rounds
            .filter_map(|parts| parts.get(part))
            .copied()
            .collect()
    }
}

/// Each round lets each contender compile once, and begins with a different one.
fn measure(contenders: &mut [Contender], rounds: usize) -> io::Result<()> {
    let count = contenders.len();
    for round in 0..WARM_UP + rounds {
        for place in 0..count {
            let Some(contender) = contenders.get_mut((round + place) % count) else {
                continue;
            };
            let taken = (contender.build)()
                .map_err(|error| io::Error::other(format!("{}: {error}", contender.name)))?;
            if round >= WARM_UP {
                contender.samples.push(taken);
            }
        }
    }
    Ok(())
}

/// One row of the table.
struct Row {
    name: String,
    instructions: Option<usize>,
    build: Vec<Duration>,
    loaded: Loaded,
}

impl Row {
    /// The samples for `--save`.
    fn columns(&self) -> impl Iterator<Item = (String, &[Duration])> {
        let Loaded { warm, cold } = &self.loaded;
        let columns = [
            ("build", &self.build),
            ("load, warm", warm),
            ("load, cold", cold),
        ];
        columns
            .into_iter()
            .map(|(what, samples)| (format!("{}, {what}", self.name), samples.as_slice()))
    }
}

/// The first two are nsexec's: from the profile, which is the reference of all ratios, and
/// from the text; then the parts of the latter.
fn rows(contenders: &[Contender], loaded: &[Loaded]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (contender, loaded) in contenders.iter().zip(loaded) {
        let row = |name: &str, build| Row {
            name: name.to_owned(),
            instructions: None,
            build,
            loaded: Loaded::default(),
        };
        if contender
            .samples
            .first()
            .is_some_and(|parts| parts.len() == 3)
        {
            let rounds = contender.samples.iter();
            let whole = rounds.map(|parts| parts.iter().sum()).collect();
            rows.extend([
                Row {
                    instructions: Some(contender.instructions()),
                    loaded: loaded.clone(),
                    ..row("nsexec, from the profile", contender.part(2))
                },
                row("nsexec, from the text", whole),
                row("  JSON and names", contender.part(0)),
                row("  conditions", contender.part(1)),
            ]);
        } else {
            rows.push(Row {
                instructions: Some(contender.instructions()),
                loaded: loaded.clone(),
                ..row(&contender.name, contender.part(0))
            });
        }
    }
    rows
}

type Samples = fn(&Row) -> &[Duration];

fn table(rows: &[Row], rounds: usize) -> String {
    let columns: [(&str, Samples); 3] = [
        ("build", |row| &row.build),
        ("load, warm", |row| &row.loaded.warm),
        ("load, cold", |row| &row.loaded.cold),
    ];
    let mut out = format!("{:<27}{:>13}", "microseconds", "instructions");
    for (what, _) in columns {
        let _ = write!(out, "{what:>14}{:>9}{:>8}", "median", "ratio");
    }
    out.push('\n');
    for row in rows {
        let instructions = row.instructions.map(|count| count.to_string());
        let instructions = instructions.unwrap_or_default();
        let _ = write!(out, "{:<27}{instructions:>13}", row.name);
        for (_, samples) in columns {
            let [min, median] =
                [0, 50].map(|percent| percentile(samples(row), percent, MICROSECONDS));
            let base = rows.first().map_or(f64::NAN, |first| {
                percentile(samples(first), 50, MICROSECONDS)
            });
            if median.is_finite() {
                let _ = write!(out, "{min:>14.1}{median:>9.1}{:>8.2}", median / base);
            }
        }
        out.push('\n');
    }
    let _ = writeln!(
        out,
        "min, median, and median by the first row's; {rounds} rounds after {WARM_UP} to warm up, interleaved;\n\
         each load is in a process of its own: warm after the same in another, cold after 64 MiB of other memory"
    );
    out
}
