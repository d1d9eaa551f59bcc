//! Oracles written in C, compiled on use.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nsexec_policy_engine::seccomp::program::Program;

/// A C program of `oracle/c/`, built.
#[derive(Debug)]
pub struct Tool(PathBuf);

impl Tool {
    /// Compiles `c/NAME.c` with `libraries`.
    ///
    /// # Errors
    /// gcc is missing, or fails; then its error message.
    pub fn build(name: &str, libraries: &[&str]) -> io::Result<Self> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("c/{name}.c"));
        // Tests in one process compile in parallel, and each removes its own
        // file.
        static BUILT: AtomicU32 = AtomicU32::new(0);
        let own = format!(
            "nsexec-oracle-{}-{}-{name}",
            std::process::id(),
            BUILT.fetch_add(1, Ordering::Relaxed)
        );
        let program = std::env::temp_dir().join(own);
        let output = Command::new("gcc")
            .args(["-O2", "-Wall", "-o"])
            .arg(&program)
            .arg(source)
            .args(libraries.iter().map(|library| format!("-l{library}")))
            .output()?;
        if output.status.success() {
            Ok(Self(program))
        } else {
            Err(io::Error::other(
                String::from_utf8_lossy(&output.stderr).into_owned(),
            ))
        }
    }

    /// Starts it, with pipes for its standard input and output.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&self) -> io::Result<Child> {
        Command::new(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
    }

    /// Runs it with `input` and returns its output.
    ///
    /// # Errors
    /// It fails: its message.
    pub fn run(&self, input: &[u8]) -> io::Result<Vec<u8>> {
        // Input comes from a file: a pipe would need a thread to avoid a
        // deadlock. Each run has its own file, because several threads may run
        // the tool.
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let file = self.0.with_extension(format!("{run}.input"));
        std::fs::write(&file, input)?;
        let output = Command::new(&self.0).stdin(File::open(&file)?).output()?;
        std::fs::remove_file(&file)?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(io::Error::other(format!("{}: {words}", output.status)))
        }
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // A remaining file in the temporary directory does no harm.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A program as these tools read it: u32 length, that many struct sock_filter.
pub(crate) fn written(program: &Program) -> io::Result<Vec<u8>> {
    let instructions = program.instructions();
    let length = u32::try_from(instructions.len()).map_err(io::Error::other)?;
    let mut bytes = length.to_ne_bytes().to_vec();
    for instruction in instructions {
        bytes.extend(instruction.code.to_ne_bytes());
        bytes.extend([instruction.jt, instruction.jf]);
        bytes.extend(instruction.k.to_ne_bytes());
    }
    Ok(bytes)
}
