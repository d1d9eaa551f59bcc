//! Runtimes that link libnsexec, built once per test program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{NSEXEC, REPOSITORY};

/// How a runtime is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Static,
    Dynamic,
    StaticPie,
}

impl Link {
    pub const ALL: [Self; 3] = [Self::Static, Self::Dynamic, Self::StaticPie];

    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Static => &["-static"],
            Self::Dynamic => &[],
            Self::StaticPie => &["-static-pie"],
        }
    }
}

/// The directory in which `cargo xtask install` installs libnsexec for the tests. On a
/// machine without cargo, NSEXEC_TEST_LIBRARY names it.
pub fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        if let Some(prefix) = std::env::var_os("NSEXEC_TEST_LIBRARY") {
            return PathBuf::from(prefix);
        }
        let prefix = own_directory().join("library");
        let mut install = Command::new(env!("CARGO"));
        install
            .args([
                "run",
                "--quiet",
                "--package",
                "xtask",
                "--",
                "install",
                "--library",
            ])
            .arg(&prefix)
            .current_dir(REPOSITORY);
        super::succeed(install);
        prefix
    })
}

/// A directory of this test program, which its next run uses again.
fn own_directory() -> PathBuf {
    let program = std::env::current_exe().expect("/proc/self/exe");
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let name = name.rsplit_once('-').map_or(&*name, |(name, _)| name);
    let profile = Path::new(NSEXEC).parent().expect("target/PROFILE");
    profile.join("../tmp").join(name)
}

/// The output of `pkg-config ARGUMENT nsexec`, split into words.
pub fn pkg_config(argument: &str) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    command
        .args([argument, "nsexec"])
        .env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"));
    let words = super::succeed(command);
    words.split_whitespace().map(str::to_owned).collect()
}

/// Compiles a C file of `tests/runtime`, with libnsexec.
pub fn compile(source: &str, flags: &[&str]) -> PathBuf {
    let file = Path::new(REPOSITORY).join("tests/runtime").join(source);
    let name = format!("{source}{}", flags.concat());
    let output = prefix().join(name);
    let mut gcc = Command::new("gcc");
    gcc.args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&output)
        .args(flags)
        .args(pkg_config("--cflags"))
        .arg(file)
        .args(pkg_config("--libs"));
    super::succeed(gcc);
    output
}

/// `runtime.c`.
pub fn runtime(link: Link) -> PathBuf {
    static BUILT: [OnceLock<PathBuf>; 3] = [const { OnceLock::new() }; 3];
    let index = Link::ALL.iter().position(|one| *one == link).unwrap_or(0);
    BUILT[index]
        .get_or_init(|| compile("runtime.c", link.flags()))
        .clone()
}

/// The output of `runtime.c`, by name.
#[derive(Clone, Debug, Default)]
pub struct State(pub BTreeMap<String, String>);

impl State {
    pub fn read(stdout: &str) -> Self {
        let pairs = stdout.lines().filter_map(|line| line.split_once('='));
        Self(
            pairs
                .map(|(k, v)| (k.to_owned(), v.trim().to_owned()))
                .collect(),
        )
    }

    #[track_caller]
    pub fn get(&self, name: &str) -> &str {
        self.0
            .get(name)
            .map(String::as_str)
            .unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// The environment that `runtime.c` received.
    pub fn environment(&self) -> BTreeMap<&str, &str> {
        let pairs = self.0.iter();
        pairs
            .filter_map(|(k, v)| Some((k.strip_prefix("environ.")?, v.as_str())))
            .collect()
    }
}
