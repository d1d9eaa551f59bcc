//! Measures libseccomp building a filter, and the kernel loading one.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout};
use std::time::Duration;

use nsexec_policy_engine::seccomp::program::Program;

use crate::tool::{Tool, written};

/// A process that builds a filter on request, and reports the time from
/// `seccomp_init` to the last byte of `seccomp_export_bpf`.
#[derive(Debug)]
pub struct Timer {
    child: Child,
    /// `None` after the request to end.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Timer {
    pub(crate) fn start(tool: &Tool, rules: &str) -> io::Result<Self> {
        let mut child = tool.start()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(mut input), Some(output)) = (input, output) else {
            return Err(io::Error::other("no pipes"));
        };
        // It answers only to a request for a time.
        input.write_all(rules.as_bytes())?;
        Ok(Self {
            child,
            input: Some(input),
            output: BufReader::new(output),
        })
    }

    /// Builds the filter once.
    ///
    /// # Errors
    /// An error of libseccomp, from the standard error of the process.
    pub fn once(&mut self) -> io::Result<Duration> {
        if let Some(input) = &mut self.input {
            input.write_all(b"time\n")?;
        }
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let nanoseconds = line.trim_end().parse().map_err(io::Error::other)?;
        Ok(Duration::from_nanos(nanoseconds))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // It ends with its input; its exit status no longer matters.
        self.input = None;
        let _ = self.child.wait();
    }
}

/// The kernel's time for each load of the same filters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Right after another process loaded the same filter.
    pub warm: Vec<Duration>,
    /// After as much other memory was read as pushes them out of a core's own
    /// caches.
    pub cold: Vec<Duration>,
}

/// Loads each contender's filters in separate processes, `rounds` times warm and
/// cold, interleaved.
///
/// # Errors
/// There is no gcc, or the kernel rejects a filter.
pub fn loads(contenders: &[&[Program]], rounds: u32) -> io::Result<Vec<Loaded>> {
    let count = |count: usize| u32::try_from(count).map_err(io::Error::other);
    let mut input = rounds.to_ne_bytes().to_vec();
    input.extend(count(contenders.len())?.to_ne_bytes());
    for filters in contenders {
        input.extend(count(filters.len())?.to_ne_bytes());
        for filter in *filters {
            input.extend(written(filter)?);
        }
    }
    let output = Tool::build("load", &[])?.run(&input)?;
    let mut loaded = vec![Loaded::default(); contenders.len()];
    let answers = output.as_chunks::<16>().0;
    let expected = contenders
        .len()
        .checked_mul(usize::try_from(rounds).map_err(io::Error::other)?);
    if Some(answers.len()) != expected {
        return Err(io::Error::other(format!("{} answers", answers.len())));
    }
    for (answer, of) in answers.iter().zip((0..contenders.len()).cycle()) {
        let [warm, cold] = answer.as_chunks::<8>().0 else {
            continue;
        };
        if let Some(loaded) = loaded.get_mut(of) {
            loaded
                .warm
                .push(Duration::from_nanos(u64::from_ne_bytes(*warm)));
            loaded
                .cold
                .push(Duration::from_nanos(u64::from_ne_bytes(*cold)));
        }
    }
    Ok(loaded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answering(value: u32) -> Program {
        Program::try_from(vec![(0x06, 0, 0, value)]).unwrap()
    }

    #[test]
    fn each_load_of_each_contender_is_timed() {
        let allow = answering(0x7fff_0000);
        let stack = [allow.clone(), allow.clone()];
        let loaded = loads(&[&[allow], &stack], 3).unwrap();
        assert_eq!(loaded.len(), 2);
        for Loaded { warm, cold } in loaded {
            assert_eq!((warm.len(), cold.len()), (3, 3));
            assert!(warm.iter().chain(&cold).all(|taken| !taken.is_zero()));
        }
    }

    #[test]
    fn a_filter_that_is_not_loaded_is_an_error() {
        // seccomp(2) itself is refused after the first.
        let refuses = [answering(0x0005_0001), answering(0x7fff_0000)];
        let error = loads(&[&refuses], 1).unwrap_err().to_string();
        assert!(error.contains("exit status: 1"), "{error}");
    }
}
