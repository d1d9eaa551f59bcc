//! An interactive shell on a terminal, and its input.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// An interactive shell on its own terminal.
#[derive(Debug)]
pub struct Session {
    pub shell: Child,
    terminal: File,
    seen: String,
}

impl Session {
    pub fn start() -> Self {
        let pty = nix::pty::openpty(None, None).expect("a terminal");
        let slave = File::from(pty.slave);
        let mut command = Command::new("setsid");
        command.args([
            "--ctty",
            "--wait",
            "bash",
            "--norc",
            "--noprofile",
            "--noediting",
            "-i",
        ]);
        command
            .env("PS1", "")
            .env("TERM", "dumb")
            .env_remove("PROMPT_COMMAND");
        command.stdin(slave.try_clone().expect("a terminal"));
        command.stdout(slave.try_clone().expect("a terminal"));
        command.stderr(slave);
        let shell = command.spawn().expect("a terminal");
        drop(command);
        Self {
            shell,
            terminal: File::from(pty.master),
            seen: String::new(),
        }
    }

    pub fn type_in(&mut self, keys: &str) {
        self.terminal
            .write_all(keys.as_bytes())
            .expect("a terminal");
    }

    /// Reads until `text` has been printed, and discards everything up to it.
    pub fn expect(&mut self, text: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            assert!(
                Instant::now() < end,
                "{text:?} was not printed: {:?}",
                self.seen
            );
            let mut fds = [PollFd::new(
                std::os::fd::AsFd::as_fd(&self.terminal),
                PollFlags::POLLIN,
            )];
            if poll(&mut fds, PollTimeout::from(100_u16)).expect("a terminal") > 0 {
                let mut chunk = [0; 4096];
                let read = self.terminal.read(&mut chunk).expect("a terminal");
                self.seen.push_str(&String::from_utf8_lossy(&chunk[..read]));
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.terminal.write_all(b"\nexit\nexit\n");
        std::thread::sleep(Duration::from_millis(100));
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
