//! tests/data/namespaces.c, the driver: it makes calls that change namespaces, and prints
//! their actual results.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nsexec_audit_abi::code::Source;
use nsexec_audit_abi::field::Reserved;
use nsexec_audit_abi::parts::{NamespaceSet, SLOTS, Target};

use super::{Watched, leave_out};

/// A built driver, for machines without a compiler.
const PREBUILT: &str = "NSEXEC_AUDIT_DRIVER";
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/namespaces.c");

/// The driver, and a directory for its output.
pub struct Driver {
    program: PathBuf,
    directory: PathBuf,
}

impl Driver {
    /// Compiles it, unless it is built already. Without a compiler `test` is counted as
    /// left out.
    pub fn build(test: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("nsexec-audit-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).unwrap();
        let mut driver = Self {
            program: directory.join("namespaces"),
            directory,
        };
        if let Some(program) = std::env::var_os(PREBUILT) {
            driver.program = program.into();
            return Some(driver);
        }
        let mut gcc = Command::new("gcc");
        gcc.args([
            "-O1", "-Wall", "-Wextra", "-Werror", "-static", "-pthread", "-o",
        ]);
        match gcc.arg(&driver.program).arg(SOURCE).status() {
            Ok(status) => assert!(status.success(), "{SOURCE} does not compile"),
            Err(error) => {
                let reason = format!("gcc: {error}, and {PREBUILT} names no driver");
                leave_out(test, &reason);
                return None;
            }
        }
        Some(driver)
    }

    pub fn program(&self) -> &Path {
        &self.program
    }

    pub fn start(&self, words: &[&str]) -> Running {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!("says-{number}"));
        // A file, because no process reads the output until the driver has ended.
        let child = Command::new(&self.program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(File::create(&path).unwrap())
            .spawn()
            .unwrap();
        Running {
            child,
            path,
            words: words.join(" "),
        }
    }

    /// Runs it to its end while the probes are read.
    #[track_caller]
    pub fn run(&self, watched: &mut Watched, words: &[&str]) -> DriverOutput {
        let mut running = self.start(words);
        while running.child.try_wait().unwrap().is_none() {
            watched.drain();
            std::thread::sleep(Duration::from_millis(1));
        }
        running.end()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A running driver, which is killed if the test fails.
pub struct Running {
    child: Child,
    path: PathBuf,
    words: String,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Its exit status.
    pub fn status(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Its output, if it succeeded.
    #[track_caller]
    pub fn end(mut self) -> DriverOutput {
        let status = self.status();
        let signal = status.signal();
        assert!(status.success(), "{}: {status}, {signal:?}", self.words);
        let text = fs::read_to_string(&self.path).unwrap();
        let _ = fs::remove_file(&self.path);
        DriverOutput::parse(&text)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The output of the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriverOutput {
    /// The pid of the thread that made the calls.
    pub tid: u32,
    /// The pid of the process that owns the namespaces of the join's target.
    pub pid: u32,
    pub target: Target,
    pub before: NamespaceSet,
    /// The result of each call (at least 0, or -errno), and the namespaces of the task, or
    /// of the task that it created, after the call.
    pub calls: Vec<(i64, NamespaceSet)>,
}

impl DriverOutput {
    #[track_caller]
    fn parse(text: &str) -> Self {
        let mut output = Self {
            tid: 0,
            pid: 0,
            target: Target::NONE,
            before: NamespaceSet::NONE,
            calls: Vec::new(),
        };
        let mut result = None;
        for line in text.lines() {
            let (word, rest) = line.split_once(' ').unwrap();
            match word {
                "tid" => output.tid = rest.parse().unwrap(),
                "pid" => output.pid = rest.parse().unwrap(),
                "target" => output.target = target(rest),
                "before" => output.before = namespace_set(rest),
                "result" => assert_eq!(result.replace(rest.parse().unwrap()), None),
                "after" => output
                    .calls
                    .push((result.take().unwrap(), namespace_set(rest))),
                _ => panic!("{line}"),
            }
        }
        assert_eq!(result, None, "{text}");
        output
    }

    /// The result of the only call.
    #[track_caller]
    pub fn call(&self) -> (i64, NamespaceSet) {
        let [call] = self.calls[..] else {
            panic!("{self:?}");
        };
        call
    }
}

/// The kind of object that setns(2) received: the probes report as much of it as they can
/// find.
fn target(text: &str) -> Target {
    let words: Vec<&str> = text.split(' ').collect();
    let [source, inum, id, flag] = words[..] else {
        panic!("{text}");
    };
    let source = *Source::ALL.iter().find(|one| one.name() == source).unwrap();
    // The inode number of a pidfd has 64 bits.
    let inum = inum.parse::<u64>().unwrap() & u64::from(u32::MAX);
    Target {
        id: id.parse().unwrap(),
        inum: u32::try_from(inum).unwrap(),
        pid: 0,
        flag: flag.parse().unwrap(),
        source,
        reserved: Reserved::ZERO,
    }
}

fn namespace_set(text: &str) -> NamespaceSet {
    let mut namespace_set = NamespaceSet::NONE;
    let mut count = 0;
    for (at, slot) in text.split(' ').enumerate() {
        let (inum, id) = slot.split_once(':').unwrap();
        namespace_set.inum[at] = inum.parse().unwrap();
        namespace_set.id[at] = id.parse().unwrap();
        count += 1;
    }
    assert_eq!(count, SLOTS);
    namespace_set
}

/// The error that a call returned.
pub fn errno(result: i64) -> Option<Errno> {
    let number = i32::try_from(result.checked_neg()?).unwrap();
    (number > 0).then(|| Errno::from_raw(number))
}

/// A number from the environment, to change the default here.
pub fn count(variable: &str, default: usize) -> usize {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is {text}, which is not a number")),
        Err(_) => default,
    }
}
