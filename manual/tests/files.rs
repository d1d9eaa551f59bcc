//! What is generated: whole, and taken by the programs that read it.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is how it fails")]

#[path = "../../tests/support/left_out.rs"]
mod left_out;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nsexec_command_line::options;
use nsexec_policy::commands::COMMANDS;

fn text(path: &str) -> String {
    let files = manual::files();
    let found = files.iter().find(|(file, _)| file == Path::new(path));
    let (_, text) = found.unwrap_or_else(|| panic!("no {path}"));
    String::from_utf8(text.clone()).unwrap()
}

/// A directory with all files, gone at the end.
struct Share(PathBuf);

impl Share {
    fn new(name: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("nsexec-manual-{name}-{}", std::process::id()));
        let made = Command::new(env!("CARGO_BIN_EXE_manual"))
            .arg(&directory)
            .status()
            .unwrap();
        assert!(made.success());
        Self(directory)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a program says, which has to be there: `cargo xtask test` installs it.
/// `None`: it is not, and that is counted.
fn run(test: &str, program: &str, arguments: &[&str], share: &Share) -> Option<(String, String)> {
    let ran = Command::new(program)
        .args(arguments)
        .current_dir(&share.0)
        .stdin(Stdio::null())
        .output();
    match ran {
        Ok(output) => {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{program}: {stderr}");
            Some((String::from_utf8(output.stdout).unwrap(), stderr))
        }
        Err(error) => {
            left_out::leave_out(test, &format!("{program}: {error}"));
            None
        }
    }
}

#[test]
fn every_option_stands_in_page_and_completions() {
    let page = text("man/man1/nsexec.1").replace("\\-", "-");
    let scripts = [
        text("bash-completion/completions/nsexec"),
        text("zsh/site-functions/_nsexec"),
        text("fish/vendor_completions.d/nsexec.fish"),
    ];
    for option in options::all() {
        assert!(
            page.contains(&format!("\\fB--{}\\fR", option.long)),
            "{}",
            option.long
        );
        for script in &scripts {
            assert!(script.contains(option.long), "{}", option.long);
        }
    }
    let page = text("man/man1/nsexec-audit.1").replace("\\-", "-");
    let script = text("bash-completion/completions/nsexec-audit");
    for flag in nsexec_audit::arguments::FLAGS {
        assert!(
            page.contains(&format!("\\fB--{}\\fR", flag.long)),
            "{}",
            flag.long
        );
        assert!(
            script.contains(&format!("--{}", flag.long)),
            "{}",
            flag.long
        );
    }
    for rule in nsexec_audit::rules::RULES {
        assert!(page.contains(rule.about), "{}", rule.name);
    }
    for command in nsexec_audit::commands::COMMANDS {
        let (_, own) = page
            .split_once(&format!(".SS {}\n", command.name))
            .unwrap_or_else(|| panic!("{}", command.name));
        let own = own.split(".S").next().unwrap();
        for flag in command.options {
            let option = format!("\\fB--{}\\fR", flag.long);
            assert!(own.contains(&option), "{} {option}", command.name);
        }
    }
    let page = text("man/man1/nsexec-policy.1").replace("\\-", "-");
    let script = text("bash-completion/completions/nsexec-policy");
    for command in &COMMANDS {
        assert!(
            page.contains(&format!(".SS {}\n", command.name)),
            "{}",
            command.name
        );
        for flag in command.options {
            assert!(
                page.contains(&format!("\\fB--{}\\fR", flag.long)),
                "{}",
                flag.long
            );
            assert!(
                script.contains(&format!("--{}", flag.long)),
                "{}",
                flag.long
            );
        }
    }
}

#[test]
fn pages_are_troff_without_a_warning_and_wholly_filled_in() {
    let test = "pages_are_troff_without_a_warning_and_wholly_filled_in";
    let share = Share::new("pages");
    for name in ["nsexec", "nsexec-policy", "nsexec-audit"] {
        let page = format!("man/man1/{name}.1");
        let source = text(&page);
        let left = ["@", "TABLE", "RULES"]
            .iter()
            .find(|mark| source.contains(**mark));
        assert_eq!(left, None, "{name}");
        let arguments = ["-man", "-ww", "-Tutf8", "-P-c", &page];
        let Some((shown, warnings)) = run(test, "groff", &arguments, &share) else {
            return;
        };
        assert_eq!(warnings, "", "{name}");
        assert!(shown.contains(&format!("nsexec {}", env!("CARGO_PKG_VERSION"))));
    }
}

/// In bash, where a script can ask: what comes after a beginning.
#[test]
fn bash_completes_options_names_and_commands() {
    let test = "bash_completes_options_names_and_commands";
    let share = Share::new("bash");
    for (words, expected) in [
        ("nsexec --pol", "--policy"),
        ("nsexec --policy stri", "strict"),
        // As bash divides words at `=`.
        ("nsexec --policy = stri", "strict"),
        ("nsexec -S fol", "follow"),
        ("nsexec -t 1 --setuid = fol", "follow"),
        ("nsexec -t 1 -Sfol", "-Sfollow"),
        ("nsexec --explain = au", "audit"),
        ("nsexec -t 1 --net = /proc/self/ns/ne", "/proc/self/ns/net"),
        ("nsexec -t 1 -n/proc/self/ns/ne", "-n/proc/self/ns/net"),
        ("nsexec -t 1 --root = /proc/self/tas", "/proc/self/task"),
        // What is not attached is the program, or belongs to it.
        ("nsexec -t 1 -m /proc/self/ns/ne", ""),
        ("nsexec -t 1 dirnam", "dirname"),
        ("nsexec -t 1 -- dirnam", "dirname"),
        ("nsexec -t 1 ls --pol", ""),
        ("nsexec -t 1 -- ls --pol", ""),
        ("nsexec -t 1 -- --pol", ""),
        ("nsexec -t 1 ls /proc/self/ns/ne", "/proc/self/ns/net"),
        ("nsexec --seccomp", "--seccomp-fd"),
        ("nsexec-policy ch", "check"),
        ("nsexec-policy import --from kaf", "kafel"),
        ("nsexec-policy show --ar", "--arch"),
        ("nsexec-policy show --arch x", "x86_64"),
        ("nsexec-audit --no-r", "--no-rule"),
        ("nsexec-audit --class den", "denied"),
        ("nsexec-audit selft", "selftest"),
        ("nsexec-audit tree --format js", "json"),
        ("nsexec-audit verify --af", "--after"),
        ("nsexec-audit selftest --ev", "--events"),
        ("nsexec-audit report --out", "--output"),
    ] {
        let program = words.split(' ').next().unwrap();
        let script = format!(
            ". bash-completion/completions/{program}\n\
             asked=$(complete -p {program}); asked=${{asked#*-F }}; asked=${{asked%% *}}\n\
             COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
             $asked {program} \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
        );
        let Some((said, _)) = run(test, "bash", &["-c", &script], &share) else {
            return;
        };
        assert_eq!(said, format!("{expected}\n"), "{words}");
    }
}

#[test]
fn zsh_and_fish_take_their_scripts() {
    let test = "zsh_and_fish_take_their_scripts";
    let share = Share::new("shells");
    for name in ["nsexec", "nsexec-policy", "nsexec-audit"] {
        let script = format!("zsh/site-functions/_{name}");
        run(test, "zsh", &["-n", &script], &share);
        let script = format!("fish/vendor_completions.d/{name}.fish");
        run(test, "fish", &["-n", &script], &share);
    }
    let ask = "source fish/vendor_completions.d/nsexec.fish; complete -C 'nsexec --expl'";
    if let Some((said, _)) = run(test, "fish", &["-c", ask], &share) {
        assert!(said.starts_with("--explain\t"), "{said}");
    }
}
