//! An AppArmor profile of a test, and a target that it confines.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{Build, Target};

/// A loaded profile that allows all but to write one file. Dropping it removes the profile.
#[derive(Debug)]
pub struct Profile(String);

impl Profile {
    pub fn new(purpose: &str) -> Self {
        let own = Self(format!("nsexec-test-{}-{purpose}", std::process::id()));
        own.parse("--replace");
        own
    }

    pub fn name(&self) -> &str {
        &self.0
    }

    /// A target under this profile, which runs these shell commands first.
    pub fn target(&self, script: &str) -> Target {
        let name: &'static str = Box::leak(self.0.clone().into_boxed_str());
        Target::build(&Build {
            prefix: vec!["aa-exec", "-p", name, "--"],
            script: script.to_owned(),
            ..Build::default()
        })
    }

    fn parse(&self, action: &str) {
        let text = format!(
            "profile {} flags=(attach_disconnected,mediate_deleted) {{\n\
             file, capability, network, mount, umount, pivot_root, ptrace, signal, unix,\n\
             change_profile,\n\
             deny /tmp/forbidden w,\n}}\n",
            self.0
        );
        let mut parser = Command::new("apparmor_parser")
            .args([action, "--skip-cache"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("apparmor_parser(8)");
        let mut stdin = parser.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        assert!(parser.wait().unwrap().success(), "{action} {}", self.0);
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        self.parse("--remove");
    }
}
