//! Invalid policies: a valid one with one change each, and the complete message for the
//! change. The rows are in `data/wrong_policies.txt`.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;

use nsexec_kernel_text::capability::CapabilitySet;
use nsexec_policy_engine::policy::resolve::PolicyFault;
use nsexec_policy_engine::policy::resolved::ResolvedPolicy;
use nsexec_policy_engine::policy::right::NEWEST_ABI;
use nsexec_policy_engine::policy::text::PolicyText;
use nsexec_policy_engine::seccomp::oci::Context;
use nsexec_policy_engine::seccomp::table::Arch;

const ROWS: &str = include_str!("data/wrong_policies.txt");

const MANIFEST: &str = r#"seccomp = "filter.json"
landlock = "rules.toml"

[ceiling]
seccomp = "ceiling.json"
landlock = "rules.json"

[process]
capabilities = ["CAP_CHOWN", "CAP_KILL"]
no_new_privs = true
keep_groups = false
umask = 0o022
oom_score_adj = 500
rlimits = [
  { resource = "core", soft = 0, hard = 0 },
  { resource = "nofile", soft = 1024, hard = 4096 },
]

[process.environment]
mode = "login"
pass = ["TERM", "LC_*"]

[tty]
session = "caller"

[fds]
preserve = false

[[best_effort]]
layer = "landlock"
right = "ioctl_dev"
reason = "Linux before 6.10 does not mediate device ioctls"

[[best_effort]]
layer = "ceiling.landlock"
log = "subdomains_off"
reason = "Linux before 6.15 logs nothing"
"#;

const FILTER: &str = r#"{
  "defaultAction": "SCMP_ACT_ERRNO",
  "defaultErrnoRet": 1,
  "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
  "syscalls": [
    {
      "names": ["execve", "write", "exit_group"],
      "action": "SCMP_ACT_ALLOW"
    },
    {
      "names": ["socket"],
      "action": "SCMP_ACT_ALLOW",
      "args": [{ "index": 0, "value": 1, "op": "SCMP_CMP_EQ" }]
    },
    {
      "name": "clone",
      "action": "SCMP_ACT_ALLOW",
      "args": [{ "index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" }],
      "excludes": { "caps": ["CAP_SYS_ADMIN"], "arches": ["s390x"] }
    },
    {
      "names": ["process_vm_readv"],
      "action": "SCMP_ACT_ALLOW",
      "includes": { "minKernel": "4.8" }
    },
    {
      "names": ["clone3"],
      "action": "SCMP_ACT_ERRNO",
      "errno": "ENOSYS",
      "errnoRet": 38
    }
  ]
}
"#;

const CEILING: &str = r#"{
  "defaultAction": "SCMP_ACT_ALLOW",
  "archMap": [{ "architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"] }],
  "syscalls": [
    { "names": ["mount", "umount2"], "action": "SCMP_ACT_ERRNO" },
    {
      "names": ["ioctl"],
      "action": "SCMP_ACT_ERRNO",
      "args": [{ "index": 1, "value": 21522, "op": "SCMP_CMP_EQ" }]
    }
  ]
}
"#;

const RULES_TOML: &str = r#"abi = 6

[[variable]]
name = "devices"
literal = ["null", "tty"]

[[ruleset]]
handled_access_fs = ["execute", "read_file", "ioctl_dev"]
handled_access_net = ["bind_tcp"]
scoped = ["signal"]

[[path_beneath]]
allowed_access = ["execute", "read_file"]
parent = ["/usr", "/etc"]

[[path_beneath]]
allowed_access = ["ioctl_dev"]
parent = ["/dev/${devices}"]

[[net_port]]
allowed_access = ["bind_tcp"]
port = [80, 8080]
"#;

const RULES_JSON: &str = r#"{
  "abi": 7,
  "ruleset": [{ "handledAccessFs": ["execute", "refer"], "handledAccessNet": ["connect_tcp"] }],
  "pathBeneath": [{ "allowedAccess": ["execute", "refer"], "parent": ["/"] }],
  "netPort": [{ "allowedAccess": ["connect_tcp"], "port": [443] }],
  "x-nsexec": { "log": ["new_exec_on", "subdomains_off"] }
}
"#;

/// The name of the manifest in messages, and of the files beside it.
const TEXTS: [(&str, &str); 5] = [
    ("manifest", MANIFEST),
    ("filter.json", FILTER),
    ("ceiling.json", CEILING),
    ("rules.toml", RULES_TOML),
    ("rules.json", RULES_JSON),
];

type Texts = BTreeMap<&'static str, String>;

fn valid_policy() -> Texts {
    let texts = TEXTS.iter();
    texts
        .map(|(name, text)| (*name, (*text).to_owned()))
        .collect()
}

fn compile(mut texts: Texts) -> Result<ResolvedPolicy, PolicyFault> {
    let manifest = texts.remove("manifest").unwrap().into_bytes();
    let files = texts.into_iter();
    let policy = PolicyText {
        name: "wrong".to_owned(),
        manifest,
        files: files
            .map(|(name, text)| (name.to_owned(), text.into_bytes()))
            .collect(),
    };
    let context = Context {
        arch: Arch::X86_64,
        bounding: CapabilitySet::EMPTY,
        kernel: (6, 18),
    };
    policy.compile(context).map(|(policy, _)| policy)
}

/// A row: the change, and the message.
struct Row {
    /// The text that is changed.
    file: &'static str,
    /// A description of the error.
    title: &'static str,
    /// The text to replace, which occurs once; `None`: the whole file.
    from: Option<String>,
    /// The replacement.
    to: String,
    /// The text at the position that the message reports.
    at: &'static str,
    /// The message; `NEWEST` in it is the newest known ABI of Landlock.
    message: String,
}

impl Row {
    /// `[FILE] TITLE`, then lines that begin with `-` (the text to replace) or `*` (the
    /// whole file), `+` (the replacement), `^` and `:`, as in [`Row`].
    fn read(block: &'static str) -> Self {
        let lines = |mark: char| {
            let marked = block.lines().skip(1).filter_map(move |line| {
                let rest = line.strip_prefix(mark)?;
                Some(rest.strip_prefix(' ').unwrap_or(rest))
            });
            marked.collect::<Vec<&'static str>>()
        };
        let one = |mark| match lines(mark).as_slice() {
            [line] => *line,
            _ => panic!("a row has one line with {mark:?}:\n{block}"),
        };
        let title = block.strip_prefix('[').unwrap().lines().next().unwrap();
        let (file, title) = title.split_once("] ").unwrap();
        let (from, to) = match lines('*').as_slice() {
            [] => (Some(lines('-').join("\n")), lines('+').join("\n")),
            all => (None, all.join("\n")),
        };
        Self {
            file,
            title,
            from,
            to,
            at: one('^'),
            message: one(':').replace("NEWEST", &NEWEST_ABI.to_string()),
        }
    }

    /// The texts with the change.
    fn changed(&self) -> Texts {
        let mut texts = valid_policy();
        let text = texts.get_mut(self.file).unwrap();
        *text = match self.from.as_deref() {
            None => self.to.clone(),
            Some(from) => {
                assert_eq!(text.matches(from).count(), 1, "{}: {from:?}", self.title);
                text.replacen(from, &self.to, 1)
            }
        };
        texts
    }
}

fn rows() -> Vec<Row> {
    ROWS.trim_end().split("\n\n").map(Row::read).collect()
}

/// The unchanged text is valid, so that each row is refused for its change.
#[test]
fn the_unchanged_policy_is_valid() {
    compile(valid_policy()).unwrap();
}

#[test]
fn each_invalid_policy_is_reported_with_position_and_correction() {
    let mut wrong = Vec::new();
    for row in rows() {
        let texts = row.changed();
        let (message, at) = match compile(texts.clone()) {
            Ok(_) => ("it was taken".to_owned(), None),
            Err(fault) => {
                let at = fault.place.and_then(|place| {
                    let text = texts.get(fault.file.as_str())?;
                    let line = text.split('\n').nth(place.line - 1)?;
                    line.get(place.column - 1..).map(str::to_owned)
                });
                (fault.to_string(), at)
            }
        };
        // At the end of a text or line the position has no character.
        let placed = at.as_deref().is_some_and(|at| match row.at {
            "" => at.is_empty(),
            there => at.starts_with(there),
        });
        if message != row.message || !placed {
            let Row { file, title, .. } = row;
            wrong.push(format!("[{file}] {title}\n^ {at:?}\n: {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// The three mistakes that made filters of other projects weaker than their text, and
/// at least 40 others.
#[test]
fn the_rows_contain_different_mistakes() {
    let rows = rows();
    let (traps, others): (Vec<&Row>, Vec<&Row>) =
        rows.iter().partition(|row| row.title.starts_with("trap "));
    for trap in ["trap 1: ", "trap 2: ", "trap 3: "] {
        assert!(
            traps.iter().any(|row| row.title.starts_with(trap)),
            "{trap}"
        );
    }
    assert!(others.len() >= 40, "{}", others.len());
    assert!(rows.len() >= 43, "{}", rows.len());
    println!(
        "{} wrong policies, {} of them traps",
        rows.len(),
        traps.len()
    );

    let mut titles = BTreeMap::new();
    let mut causes = BTreeMap::new();
    for row in &rows {
        let (_, cause) = row.message.split_once(": ").unwrap();
        if let Some(other) = titles.insert((row.file, row.title), &row.message) {
            panic!("twice: {}: {other}", row.title);
        }
        if let Some(other) = causes.insert((row.file, cause), row.title) {
            panic!("one mistake: {other} and {}: {cause}", row.title);
        }
    }
    for (file, _) in TEXTS {
        let changed = rows.iter().filter(|row| row.file == file).count();
        assert!(changed >= 8, "{file}: {changed}");
    }
}
