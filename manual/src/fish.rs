//! The fish completion of nsexec, from its table of options.

use nsexec_command_line::options::{self, OptionSpec, Value};
use nsexec_shipped_policies::BUILTIN_NAMES;

use crate::values::{self, Values};

/// The text of the script.
pub(crate) fn script() -> Vec<u8> {
    let all = options::all().map(|option| format!("--{} {}", option.long, quoted(option.help)));
    let all: Vec<String> = all.collect();
    let required: Vec<String> = options::all()
        .filter(|option| matches!(option.value, Value::Required(_)))
        .flat_map(values::spellings)
        .collect();
    let mut values = String::new();
    for option in options::all().filter(|option| option.value != Value::None) {
        let names = values::spellings(option).join(" ");
        values.push_str(&format!(
            "        case {names}\n            {}\n",
            complete(option)
        ));
    }
    SCRIPT
        .replace("@ALL@", &all.join(" "))
        .replace("@REQUIRED@", &required.join(" "))
        .replace("@VALUES@", &values)
        .into_bytes()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The completion of a value.
fn complete(option: &OptionSpec) -> String {
    match values::of(option) {
        Values::Pids => "string match -r '^[0-9]+$' -- (path basename /proc/*)".to_owned(),
        Values::Files => "__nsexec_files $argv[2]".to_owned(),
        Values::Directories => "__nsexec_files $argv[2] | string match '*/'".to_owned(),
        Values::Policies => {
            let names = BUILTIN_NAMES.join(" ");
            format!("string join \\n -- {names}; __nsexec_files $argv[2]")
        }
        Values::Word(word) => format!("echo {word}"),
        Values::Variables => "set --names --export".to_owned(),
        Values::Unknown => "true".to_owned(),
    }
}

const SCRIPT: &str = r#"# fish completion of nsexec; made from its table of options.
function __nsexec_files
    # Of a command that has no completion of its own.
    complete -C "__nsexec_nothing $argv[1]"
end

# The values of option $argv[1] that begin with $argv[2].
function __nsexec_value
    switch $argv[1]
@VALUES@    end
end

function __nsexec_complete
    set -l words (commandline -opc)
    set -l cur (commandline -ct)
    set -l required @REQUIRED@
    set -l count (count $words)
    set -l i 2
    while test $i -le $count
        set -l word $words[$i]
        if test "$word" = --
            set i (math $i + 1)
            break
        else if contains -- "$word" $required
            if test $i -eq $count
                __nsexec_value $word "$cur"
                return
            end
            set i (math $i + 2)
        else if string match -q -- '-*' "$word"
            set i (math $i + 1)
        else
            break
        end
    end
    # Behind the program, its own words.
    if test $i -le $count
        complete -C (string join ' ' -- (string escape -- $words[$i..]) "$cur" | string collect)
        return
    end
    set -l behind no
    test "$words[-1]" = --; and set behind yes
    if test $behind = no; and string match -q -- '--*=*' "$cur"
        set -l parts (string split -m 1 = -- "$cur")
        string replace -r '^' -- "$parts[1]=" (__nsexec_value $parts[1] "$parts[2]")
    else if test $behind = no; and string match -qr -- '^-[^-].' "$cur"
        set -l letter (string sub -l 2 -- "$cur")
        string replace -r '^' -- $letter (__nsexec_value $letter (string sub -s 3 -- "$cur"))
    else if string match -q -- '-*' "$cur"
        test $behind = yes; or printf '%s\t%s\n' @ALL@
    else
        complete -C "$cur"
    end
end

complete -c nsexec -f -a '(__nsexec_complete)'
"#;
