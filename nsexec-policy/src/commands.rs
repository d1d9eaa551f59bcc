//! The single table of commands and options: the parser, `--help`, the manual
//! and the completions use it.

use std::fmt::Write as _;

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// The operands after its options.
    pub operands: &'static str,
    /// A short description.
    pub help: &'static str,
    /// Its options, except `--help`.
    pub options: &'static [Flag],
}

/// An option of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Its long name, without `--`.
    pub long: &'static str,
    /// The name of its value; `None` for an option without one.
    pub value: Option<&'static str>,
    /// The accepted values; empty for any text.
    pub words: &'static [&'static str],
    /// A short description.
    pub help: &'static str,
}

const fn flag(
    long: &'static str,
    value: Option<&'static str>,
    words: &'static [&'static str],
    help: &'static str,
) -> Flag {
    Flag {
        long,
        value,
        words,
        help,
    }
}

const AS: Flag = flag(
    "as",
    Some("KIND"),
    &["policy", "seccomp", "landlock"],
    "the file's type (default: by its content)",
);
const ARCH: Flag = flag(
    "arch",
    Some("ARCH"),
    &["x86_64", "aarch64"],
    "the architecture (default: this machine's)",
);
const CAPS: Flag = flag(
    "caps",
    Some("LIST"),
    &["none", "all", "docker"],
    "capabilities for the rules' conditions: CAP_A,CAP_B",
);
const KERNEL: Flag = flag(
    "kernel",
    Some("X.Y"),
    &[],
    "the kernel version for minKernel conditions",
);

/// The formats that `import` reads.
pub const FORMATS: &[&str] = &["minijail", "kafel", "systemd", "firecracker"];

/// Every command, in the order of `--help`.
pub const COMMANDS: [Command; 4] = [
    Command {
        name: "check",
        operands: "FILE...",
        help: "check files, and report the first error of each",
        options: &[AS],
    },
    Command {
        name: "show",
        operands: "NAME|FILE",
        help: "describe a policy, profile or rule file in words",
        options: &[
            flag("bpf", None, &[], "the filters as annotated assembly"),
            flag("json", None, &[], "counts, as one JSON object"),
            AS,
            ARCH,
            CAPS,
            KERNEL,
        ],
    },
    Command {
        name: "diff",
        operands: "A B",
        help: "list the calls that only one of the two allows",
        options: &[AS, ARCH, CAPS, KERNEL],
    },
    Command {
        name: "import",
        operands: "FILE",
        help: "convert another program's policy to a seccomp profile",
        options: &[
            flag("from", Some("FORMAT"), FORMATS, "the format of the file"),
            flag(
                "thread",
                Some("NAME"),
                &[],
                "firecracker: the thread of the filter",
            ),
            flag(
                "output",
                Some("FILE"),
                &[],
                "write there, not to standard output",
            ),
        ],
    },
];

impl Command {
    /// The command of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        COMMANDS.iter().find(|command| command.name == name)
    }

    /// The text of `nsexec-policy COMMAND --help`.
    #[must_use]
    pub fn help_text(&self) -> String {
        let mut text = format!(
            "nsexec-policy {} [OPTION...] {}\n{}.\n\n",
            self.name,
            self.operands,
            capitalised(self.help)
        );
        for flag in self.options {
            let synopsis = match flag.value {
                Some(value) => format!("--{} {value}", flag.long),
                None => format!("--{}", flag.long),
            };
            let words = if flag.words.is_empty() {
                String::new()
            } else {
                format!(" ({})", flag.words.join(", "))
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {synopsis:<18} {}{words}", flag.help);
        }
        let _ = writeln!(text, "  {:<18} print this help", "-h, --help");
        text
    }
}

/// The text of `nsexec-policy --help`.
#[must_use]
pub fn help() -> String {
    let mut text = String::from(
        "nsexec-policy COMMAND [OPTION...] OPERAND...\n\
         Check, show and compare policies of nsexec, and import those of other programs,\n\
         without privileges.\n\n",
    );
    for command in &COMMANDS {
        let synopsis = format!("{} {}", command.name, command.operands);
        let _ = writeln!(text, "  {synopsis:<18} {}", command.help);
    }
    text.push_str(
        "\nNAME is a shipped policy: default, net, strict, admin,\n\
         libcontainer, libcontainer-privileged. FILE is a manifest, a seccomp profile\n\
         or Landlock rules; - is standard input. COMMAND --help prints a\n\
         command's options; -V prints the version.\n\n\
         Exit status: 0 valid, or equal; 1 invalid, or different; 2 failed.\n",
    );
    text
}

/// The text with its first letter capitalised.
#[must_use]
pub fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}
