//! The program's own view, printed by a script from /proc and checked here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use super::checks::Checks;

/// A shell script that prints everything without extra descriptors or processes:
/// a loop over a glob closes its directory before it begins.
pub(crate) const REPORT_SCRIPT: &str = r#"
for fd in /proc/$$/fd/*; do if [ -L $fd ]; then echo "fd ${fd##*/}"; fi; done
while read -r line; do echo "status $line"; done < /proc/$$/status
read -r pid comm state parent group session rest < /proc/$$/stat
echo "leader $$ $session"
for ns in /proc/$$/ns/*; do echo "ns ${ns##*/} $(/bin/readlink $ns)"; done
"#;

/// Docker's default set, capabilities(7): CHOWN, DAC_OVERRIDE, FOWNER, FSETID,
/// KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW, SYS_CHROOT, MKNOD,
/// AUDIT_WRITE, SETFCAP.
pub(crate) const DOCKER_CAPABILITIES: u64 = 0xa804_25fb;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Inside {
    descriptors: BTreeSet<u32>,
    namespaces: BTreeMap<String, String>,
    status: BTreeMap<String, String>,
    is_session_leader: bool,
}

impl Inside {
    pub(crate) fn parse(output: &str) -> Self {
        let mut inside = Self::default();
        for line in output.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["fd", number] => {
                    inside.descriptors.extend(number.parse::<u32>());
                }
                ["ns", name, link] => {
                    let _ = inside
                        .namespaces
                        .insert((*name).to_owned(), (*link).to_owned());
                }
                ["leader", pid, session] => inside.is_session_leader = pid == session,
                ["status", key, value] => {
                    let key = key.trim_end_matches(':').to_owned();
                    let _ = inside.status.insert(key, (*value).to_owned());
                }
                _ => {}
            }
        }
        inside
    }

    /// The layers that apply with every frontend.
    pub(crate) fn check(&self, checks: &mut Checks, target: i32, namespaces: &[&str]) {
        match joined(target, namespaces) {
            Ok(wanted) => {
                let found: BTreeMap<String, String> = self
                    .namespaces
                    .iter()
                    .filter(|(name, _)| wanted.contains_key(*name))
                    .map(|(name, link)| (name.clone(), link.clone()))
                    .collect();
                let what = format!("its namespaces are the target's: {}", namespaces.join(" "));
                checks.equal(&what, &found, &wanted);
            }
            Err(error) => {
                let _ = checks.take::<()>("the target's namespaces", Err(error));
            }
        }
        checks.equal(
            "its descriptors are 0, 1 and 2",
            &self.descriptors,
            &BTreeSet::from([0, 1, 2]),
        );
        self.status(checks, "Seccomp", "2");
        for set in ["CapInh", "CapAmb"] {
            self.status(checks, set, "0000000000000000");
        }
    }

    /// A line of /proc/PID/status.
    pub(crate) fn status(&self, checks: &mut Checks, key: &str, wanted: &str) {
        checks.equal(
            &format!("{key} is {wanted}"),
            &self.status.get(key).map(String::as_str),
            &Some(wanted),
        );
    }

    /// Its effective capabilities are those of `set`, or fewer.
    pub(crate) fn capabilities_within(&self, checks: &mut Checks, set: u64) {
        let found = self.status.get("CapEff").map(String::as_str);
        let bits = found.and_then(|text| u64::from_str_radix(text, 16).ok());
        checks.holds(
            &format!("CapEff is within {set:016x}"),
            bits.is_some_and(|bits| bits & !set == 0),
            &format!("found {found:?}"),
        );
    }

    pub(crate) fn session_leader(&self, checks: &mut Checks) {
        checks.holds(
            "it leads a session of its own",
            self.is_session_leader,
            "it does not",
        );
    }
}

fn joined(target: i32, namespaces: &[&str]) -> io::Result<BTreeMap<String, String>> {
    namespaces
        .iter()
        .map(|name| {
            let link = fs::read_link(format!("/proc/{target}/ns/{name}"))?;
            Ok(((*name).to_owned(), link.display().to_string()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_s_output_is_parsed() {
        let output = "fd 0\nfd 11\nstatus Seccomp:\t2\nstatus Groups:\nleader 5 5\n\
            ns mnt mnt:[402]\nns pid_for_children \n";
        let inside = Inside::parse(output);
        assert_eq!(inside.descriptors, BTreeSet::from([0, 11]));
        assert_eq!(inside.namespaces.len(), 1);
        assert_eq!(inside.status["Seccomp"], "2");
        assert!(inside.is_session_leader);
        assert!(!Inside::parse("leader 5 4").is_session_leader);
    }

    #[test]
    fn an_extra_descriptor_or_a_changed_namespace_is_a_failure() {
        let own = i32::try_from(std::process::id()).unwrap();
        let link = fs::read_link("/proc/self/ns/uts").unwrap();
        let good = format!(
            "fd 0\nfd 1\nfd 2\nns uts {}\nstatus Seccomp:\t2\n\
             status CapInh:\t0000000000000000\nstatus CapAmb:\t0000000000000000",
            link.display()
        );
        let verdict = |output: &str| {
            let mut checks = Checks::default();
            Inside::parse(output).check(&mut checks, own, &["uts"]);
            checks.verdict().is_ok()
        };
        assert!(verdict(&good));
        assert!(!verdict(&format!("{good}\nfd 3")));
        assert!(!verdict(&good.replace("ns uts uts:[4", "ns uts uts:[5")));
        assert!(!verdict(&good.replace("Seccomp:\t2", "Seccomp:\t0")));
        assert!(!verdict(""));
    }
}
