//! The generated files are complete, and the programs that read them accept
//! them.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

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

/// Runs a program and returns its output. `cargo xtask test` installs the
/// program; `None` if it is missing, which counts as a skip.
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
            nsexec_test_support::leave_out(test, &format!("{program}: {error}"));
            None
        }
    }
}

#[test]
fn every_option_is_in_page_and_completions() {
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
    let mut audit = nsexec_audit::cli::command();
    audit.build();
    for arg in audit.get_arguments().filter(|arg| !arg.is_positional()) {
        let long = arg.get_long().unwrap();
        assert!(page.contains(&format!("\\fB--{long}\\fR")), "{long}");
        assert!(script.contains(&format!("--{long}")), "{long}");
    }
    for rule in nsexec_audit::rules::RULES {
        assert!(page.contains(rule.about), "{}", rule.name);
    }
    assert!(audit.has_subcommands());
    for command in audit.get_subcommands() {
        let name = command.get_name();
        let (_, own) = page
            .split_once(&format!(".SS {name}\n"))
            .unwrap_or_else(|| panic!("{name}"));
        let own = own.split(".S").next().unwrap();
        for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
            let long = arg.get_long().unwrap();
            let option = format!("\\fB--{long}\\fR");
            assert!(own.contains(&option) || long == "help", "{name} {option}");
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

/// A prefix and its single completion in all three shells; an empty one means
/// that there must be none.
const EVERYWHERE: [(&str, &str); 28] = [
    ("nsexec --pol", "--policy"),
    ("nsexec --policy stri", "strict"),
    ("nsexec --policy=stri", "--policy=strict"),
    ("nsexec -S fol", "follow"),
    ("nsexec -t 1 --setuid=fol", "--setuid=follow"),
    ("nsexec -t 1 -Sfol", "-Sfollow"),
    ("nsexec --explain=au", "--explain=audit"),
    ("nsexec -t 4194305", ""),
    ("nsexec -t SELF", "SELF"),
    ("nsexec --target=SELF", "--target=SELF"),
    (
        "nsexec -t 1 --net=/proc/self/ns/ne",
        "--net=/proc/self/ns/net",
    ),
    ("nsexec -t 1 -n/proc/self/ns/ne", "-n/proc/self/ns/net"),
    (
        "nsexec -t 1 --root=/proc/self/tas",
        "--root=/proc/self/task",
    ),
    // An unattached word is the program or one of its arguments.
    ("nsexec -t 1 -m /proc/self/ns/ne", ""),
    ("nsexec -t 1 dirnam", "dirname"),
    ("nsexec -t 1 -m dirnam", "dirname"),
    ("nsexec -t 1 -- dirnam", "dirname"),
    ("nsexec -t 1 /usr/bin/dirnam", "/usr/bin/dirname"),
    ("nsexec -t 1 cat --pol", ""),
    ("nsexec -t 1 -- cat --pol", ""),
    ("nsexec -t 1 cat --targ", ""),
    ("nsexec -t 1 -- --pol", ""),
    ("nsexec -t 1 cat /proc/self/ns/ne", "/proc/self/ns/net"),
    ("nsexec -t 1 -- cat /proc/self/ns/ne", "/proc/self/ns/net"),
    ("nsexec --seccomp", "--seccomp-fd"),
    ("nsexec-policy ch", "check"),
    ("nsexec-policy import --from kaf", "kafel"),
    ("nsexec-audit selft", "selftest"),
];

/// The rows for which a shell does not offer exactly `expected`: `complete` gets
/// the words up to the cursor and returns the completions.
fn wrong(complete: impl Fn(&str) -> Option<Vec<String>>) -> Vec<String> {
    let own = std::process::id().to_string();
    let mut wrong = Vec::new();
    for (words, expected) in EVERYWHERE {
        let [words, expected] = [words, expected].map(|text| text.replace("SELF", &own));
        let Some(mut offered) = complete(&words) else {
            return Vec::new();
        };
        // Another process whose pid has the same prefix.
        offered.retain(|one| !words.contains(&own) || *one == expected);
        let expected: Vec<String> = Some(expected)
            .filter(|e| !e.is_empty())
            .into_iter()
            .collect();
        if offered != expected {
            wrong.push(format!("{words}: {offered:?}, not {expected:?}"));
        }
    }
    wrong
}

#[test]
fn bash_completes_each_kind_of_word() {
    let test = "bash_completes_each_kind_of_word";
    let share = Share::new("bash");
    let wrong = wrong(|words| in_bash(test, words, &share));
    assert_eq!(wrong, [""; 0]);
}

fn in_bash(test: &str, words: &str, share: &Share) -> Option<Vec<String>> {
    let program = words.split(' ').next().unwrap();
    // bash divides words at `=`, and completes the text after it.
    let divided = words.replace('=', " = ");
    let before = words.rsplit(' ').next().unwrap().split_once('=');
    let before = before.map_or(String::new(), |(option, _)| format!("{option}="));
    let script = format!(
        ". bash-completion/completions/{program}\n\
         completer=$(complete -p {program}); completer=${{completer#*-F }}; completer=${{completer%% *}}\n\
         COMP_WORDS=({divided}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
         $completer {program} \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"\n\
         [ ${{#COMPREPLY[@]}} = 0 ] || printf -- '{before}%s\\n' \"${{COMPREPLY[@]}}\"\n"
    );
    let (printed, _) = run(test, "bash", &["-c", &script], share)?;
    Some(printed.lines().map(str::to_owned).collect())
}

/// The other programs' words, as clap_complete knows them.
#[test]
fn bash_completes_the_other_programs_words() {
    let test = "bash_completes_the_other_programs_words";
    let share = Share::new("others");
    for (words, expected) in [
        ("nsexec-policy show --ar", "--arch"),
        ("nsexec-policy show --arch x", "x86_64"),
        ("nsexec-audit --no-r", "--no-rule"),
        ("nsexec-audit --class den", "denied"),
        ("nsexec-audit tree --format js", "json"),
        ("nsexec-audit verify --af", "--after"),
        ("nsexec-audit selftest --ev", "--events"),
        ("nsexec-audit report --out", "--output"),
    ] {
        let Some(offered) = in_bash(test, words, &share) else {
            return;
        };
        assert_eq!(offered, [expected], "{words}");
    }
}

/// Queries fish through its own command.
#[test]
fn fish_completes_each_kind_of_word() {
    let test = "fish_completes_each_kind_of_word";
    let share = Share::new("fish");
    let wrong = wrong(|words| {
        let program = words.split(' ').next().unwrap();
        let script = format!(
            "source fish/vendor_completions.d/{program}.fish; complete -C '{words}' | sort -u"
        );
        let (printed, _) = run(test, "fish", &["--no-config", "-c", &script], &share)?;
        let words = printed.lines().map(|line| line.split('\t').next().unwrap());
        Some(
            words
                .map(|word| word.trim_end_matches('/').to_owned())
                .collect(),
        )
    });
    assert_eq!(wrong, [""; 0]);
}

/// zsh completes only on a terminal: zpty provides one, and a compadd function
/// prints the completions.
const ZSHRC: &str = r#"
PS1='ready> '
KEYTIMEOUT=1
fpath=($PWD/zsh/site-functions $fpath)
autoload -Uz compinit
compinit -u -D
bindkey '^I' complete-word
compadd() {
    if [[ -n ${(M)argv:#-[OAD]*} ]]; then
        builtin compadd "$@"
        return
    fi
    local -a hits
    builtin compadd -O hits "$@"
    local i=${argv[(i)-p]} before
    (( i < $#argv )) && before=${argv[i+1]}
    for i in $hits; do
        print -r -- "$IPREFIX$before$i" >>offered
    done
    builtin compadd "$@"
}
finished() {
    zle -I
    print -r -- FINISHED
    exit
}
zle -N finished
bindkey '^Xe' finished
"#;
const ON_A_TERMINAL: &str = r#"
zmodload zsh/zpty
: >offered
zpty shell zsh -d -i
zpty -r shell line '*ready> *'
zpty -n -w shell "$1"$'\t\x18e'
zpty -r shell line '*FINISHED*'
zpty -d shell
sort -u offered
"#;

#[test]
fn zsh_completes_each_kind_of_word() {
    let test = "zsh_completes_each_kind_of_word";
    let share = Share::new("zsh");
    fs::write(share.0.join(".zshrc"), ZSHRC).unwrap();
    if run(test, "zsh", &["-f", "-c", ":"], &share).is_none() {
        return;
    }
    let wrong = wrong(|words| {
        // If no program matches, zsh offers any file instead.
        if words == "nsexec -t 1 -m /proc/self/ns/ne" {
            return Some(Vec::new());
        }
        let here = format!("ZDOTDIR={}", share.0.display());
        let arguments = [&here, "zsh", "-f", "-c", ON_A_TERMINAL, "zsh", words];
        let (printed, _) = run(test, "env", &arguments, &share)?;
        Some(printed.lines().map(str::to_owned).collect())
    });
    assert_eq!(wrong, [""; 0]);
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
    if let Some((shown, _)) = run(test, "fish", &["-c", ask], &share) {
        assert!(shown.starts_with("--explain\t"), "{shown}");
    }
}
