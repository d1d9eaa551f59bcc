//! The helper's tests on other kernels than this machine's: `cargo xtask vm --all`.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use super::kernels::{KERNELS, Kernel};
use super::record::{KernelResults, Record};
use super::{Built, artifact};
use crate::debian::Apt;
use crate::guest::{self, X86_64_WITH_ROOT};
use crate::test::Tally;
use crate::{cargo, dist, install, setup, text};

/// The programs that the tests execute.
const PACKAGES: &[&str] = &[
    "acl",
    "apparmor",
    "attr",
    "bash",
    "binutils",
    "busybox-static",
    "coreutils",
    "crun",
    "dash",
    "diffutils",
    "findutils",
    "gcc",
    "grep",
    "hostname",
    "iproute2",
    "iputils-ping",
    "keyutils",
    "libc6-dev",
    "libc-bin",
    "libcap2-bin",
    "mount",
    "perl-base",
    "pkg-config",
    "procps",
    "runc",
    "sed",
    "strace",
    "tar",
    "util-linux",
    "util-linux-extra",
];

/// Modules of the kernel that the tests use.
const MODULES: &[&str] = &["dummy.ko", "fuse.ko"];

/// The path of the installed library there, for the tests that link with it.
const LIBRARY: &str = "target/xtask/guest-library";
/// The name prefixes of the tests that link with it.
const LINKED: &[&str] = &["library", "pretended", "steps"];

/// The results of the tests.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) seen: Vec<KernelResults>,
    /// Of each kernel.
    pub(crate) tallies: Vec<Tally>,
    /// Each failed test, and each difference from the declarations.
    faults: Vec<String>,
}

impl Ran {
    /// # Errors
    /// There were faults.
    pub(crate) fn verdict(&self) -> io::Result<()> {
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(io::Error::other(self.faults.join("\n")))
        }
    }
}

/// Runs these test programs, or all, on these kernels; `None` if the
/// requirements are missing here, which was printed.
///
/// # Errors
/// The tests cannot be built, or a kernel is unavailable.
pub(crate) fn check(kernels: &[&'static Kernel], wanted: &[OsString]) -> io::Result<Option<Ran>> {
    if std::env::consts::ARCH != "x86_64" {
        println!("left out: the tests are built for another machine than x86_64");
        return Ok(None);
    }
    let tools = X86_64_WITH_ROOT.emulator().and_then(|()| {
        if let Some(tool) = setup::tools(&[setup::GCC, setup::OBJCOPY, setup::XZ])?.first() {
            return Err(io::Error::other(format!("there is no {}", tool.program)));
        }
        let apt = Apt::open()?;
        let base = apt.root(PACKAGES)?;
        Ok((apt, base))
    });
    let (apt, base) = match tools {
        Ok(tools) => tools,
        Err(error) => {
            println!("left out: {error}");
            return Ok(None);
        }
    };
    let built = built(wanted)?;
    let programs: Vec<String> = built
        .iter()
        .filter(|built| built.is_test)
        .map(|built| built.name.clone())
        .collect();
    let scratch = cargo::scratch()?;
    let root = guest::empty(&scratch)?;
    fill(&root, &built)?;
    let mut all = Ran {
        seen: Vec::new(),
        tallies: Vec::new(),
        faults: Vec::new(),
    };
    for kernel in kernels {
        println!("{}", text::bold(&format!("== Linux {}", kernel.name)));
        let image = apt.kernel(kernel.package)?;
        modules(&image, &root)?;
        let machine = X86_64_WITH_ROOT
            .with(image)
            .on(base.clone())
            .command_line(kernel.command_line);
        let started = Instant::now();
        let mut record = Record::new(kernel, &programs);
        let ran = machine.run(&root, &scratch, |line| {
            if let Some(shown) = record.read(line, started.elapsed()) {
                println!("{shown}");
            }
        });
        println!("\n{}", text::aligned(&record.table()));
        let (one, tally, faults) = record.end();
        println!("Linux {}, {}: {tally}\n", one.name, one.release);
        all.faults.extend(
            faults
                .into_iter()
                .map(|fault| format!("Linux {}: {fault}", kernel.name)),
        );
        if let Err(error) = ran {
            all.faults.push(format!("Linux {}: {error}", kernel.name));
        }
        all.seen.push(one);
        all.tallies.push(tally);
    }
    Ok(Some(all))
}

/// The tests for every change: those whose result depends on the kernel. All
/// tests together need half an hour per kernel.
const FOR_CHANGE: &[&str] = &[
    "kernels",
    "labels",
    "landlock_rules",
    "lock_down",
    "own_file",
];
/// The kernel that is used for every change; one of the others is used in turn.
const ALWAYS: &str = "6.1";

/// The kernels and the test programs for the commit that is checked out: the same ones
/// for the same commit.
///
/// # Errors
/// There is no git.
pub(crate) fn for_change() -> io::Result<(Vec<&'static Kernel>, Vec<OsString>)> {
    let output = Command::new("git")
        .args(["rev-parse", "--short=7", "HEAD"])
        .current_dir(cargo::root())
        .output()?;
    let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let (always, others): (Vec<_>, Vec<_>) =
        KERNELS.iter().partition(|kernel| kernel.name == ALWAYS);
    let turn = usize::from_str_radix(&commit, 16)
        .map_err(|_| io::Error::other(format!("git rev-parse: {commit:?}")))?;
    let other = others.get(turn % others.len().max(1)).copied();
    let kernels: Vec<&Kernel> = always.into_iter().chain(other).collect();
    let names: Vec<&str> = kernels.iter().map(|kernel| kernel.name).collect();
    println!(
        "for {commit}: {} on Linux {}; cargo xtask vm --all runs all tests on all kernels",
        FOR_CHANGE.join(", "),
        names.join(" and ")
    );
    Ok((kernels, FOR_CHANGE.iter().map(OsString::from).collect()))
}

/// The kernels with these names.
///
/// # Errors
/// One has none of them.
pub(crate) fn named(names: &[&str]) -> io::Result<Vec<&'static Kernel>> {
    let find = |name: &&str| {
        KERNELS
            .iter()
            .find(|kernel| kernel.name == *name)
            .ok_or_else(|| io::Error::other(format!("no kernel {name:?} is known")))
    };
    names.iter().map(find).collect()
}

/// The test program of `cargo xtask attack`, which runs only if requested.
const ATTACKS: &str = "attacks";

/// These files of the helper's tests, and the program.
fn built(tests: &[OsString]) -> io::Result<Vec<Built>> {
    let mut cargo = cargo::cargo(&["test", "--package", "nsexec", "--no-run", "--locked"]);
    cargo.arg("--message-format=json-render-diagnostics");
    for test in tests {
        cargo.arg("--test").arg(test);
    }
    if tests.is_empty() {
        cargo.args(["--test", "*"]);
    }
    let output = cargo.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("cargo test: {}", output.status)));
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    let messages = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut built: Vec<Built> = messages.filter_map(|message| artifact(&message)).collect();
    built.retain(|built| built.is_test || built.name == "nsexec");
    // Its controls need other programs, and calls of newer kernels.
    built.retain(|built| built.name != ATTACKS || tests.iter().any(|test| test == ATTACKS));
    built.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(built)
}

/// The tests, the tree that they were built from, and the library.
fn fill(root: &Path, built: &[Built]) -> io::Result<()> {
    let tree = cargo::root();
    for file in tracked(&tree)? {
        let from = tree.join(&file);
        if from.is_file() {
            fs::copy(&from, beneath(root, &from)?)?;
        }
    }
    let library = tree.join(LIBRARY);
    let links = |built: &Built| LINKED.iter().any(|name| built.name.starts_with(name));
    if built.iter().any(links) {
        install::library(&library)?;
        copy_tree(root, &library)?;
    }
    // The program that ships, at the place of the one that the tests were built with.
    let release = dist::executable("nsexec")?;
    for built in built {
        let program = if built.is_test {
            &built.program
        } else {
            &release
        };
        let mut strip = Command::new("objcopy");
        strip.arg("--strip-all").arg(program);
        install::done(strip.arg(beneath(root, &built.program)?))?;
    }
    // The tests write in both.
    for directory in ["target/tmp", "target/debug"] {
        fs::create_dir_all(beneath(root, &tree.join(directory).join("x"))?.with_file_name(""))?;
    }
    let tests: String = built
        .iter()
        .filter(|built| built.is_test)
        .map(|built| format!("{} {}\n", built.name, built.program.display()))
        .collect();
    let helper = built
        .iter()
        .find(|built| built.name == "nsexec" && !built.is_test)
        .ok_or_else(|| io::Error::other("cargo built no nsexec"))?;
    fs::create_dir_all(root.join("vm"))?;
    fs::write(root.join("vm/tests"), tests)?;
    fs::write(
        root.join("vm/environment"),
        format!(
            "NSEXEC={}\nTREE={}\nexport NSEXEC_TEST_LIBRARY={}\n",
            helper.program.display(),
            tree.display(),
            library.display()
        ),
    )?;
    for (name, script) in [
        ("init", include_str!("helper_init.sh")),
        ("vm/run", include_str!("helper_run.sh")),
    ] {
        let path = root.join(name);
        fs::write(&path, script)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// The kernel modules that tests need if they are not built in.
fn modules(kernel: &Path, root: &Path) -> io::Result<()> {
    let place = root.join("vm/modules");
    match fs::remove_dir_all(&place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(&place)?;
    let package = kernel.parent().unwrap_or(kernel);
    let is_wanted = |path: &Path, ending: &str| {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.and_then(|name| name.strip_suffix(ending));
        name.is_some_and(|name| MODULES.contains(&name))
    };
    for module in cargo::files(package, "ko")? {
        if is_wanted(&module, "") {
            fs::copy(&module, place.join(module.file_name().unwrap_or_default()))?;
        }
    }
    // insmod(8) of busybox takes no compressed module.
    for module in cargo::files(package, "xz")? {
        if is_wanted(&module, ".xz") {
            let output = Command::new("xz").arg("-dc").arg(&module).output()?;
            if !output.status.success() {
                return Err(io::Error::other(format!("xz: {}", module.display())));
            }
            fs::write(
                place.join(module.file_stem().unwrap_or_default()),
                output.stdout,
            )?;
        }
    }
    Ok(())
}

fn tracked(tree: &Path) -> io::Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(tree)
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("git ls-files: {}", output.status)));
    }
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(names.split_terminator('\0').map(PathBuf::from).collect())
}

fn copy_tree(root: &Path, directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            copy_tree(root, &path)?;
        } else {
            fs::copy(&path, beneath(root, &path)?)?;
        }
    }
    Ok(())
}

/// Creates the same path there, with its directories.
fn beneath(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let place = root.join(path.strip_prefix("/").unwrap_or(path));
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(place)
}
