//! Runtimes that libnsexec is linked into, built once a test program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

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

/// Where libnsexec is installed for the tests: by `cargo xtask install`, as
/// anybody would install it. On a machine without cargo, NSEXEC_TEST_LIBRARY names
/// the place.
pub fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        if let Some(prefix) = std::env::var_os("NSEXEC_TEST_LIBRARY") {
            return PathBuf::from(prefix);
        }
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_CRATE_NAME"));
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
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        super::succeed(install);
        prefix
    })
}

/// What `pkg-config ARGUMENT nsexec` says, as words.
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
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/runtime")
        .join(source);
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

/// What `runtime.c` tells, by its names.
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

    /// The environment that it found.
    pub fn environment(&self) -> BTreeMap<&str, &str> {
        let pairs = self.0.iter();
        pairs
            .filter_map(|(k, v)| Some((k.strip_prefix("environ.")?, v.as_str())))
            .collect()
    }
}
