//! The zsh completion of nsexec, from its table of options.

use nsexec_command_line::options::{self, OptionSpec, Value};
use nsexec_shipped_policies::BUILTIN_NAMES;

use crate::values::{self, Values};

/// The text of the script.
pub(crate) fn script() -> Vec<u8> {
    let specs: String = options::all()
        .flat_map(|option| {
            values::spellings(option)
                .into_iter()
                .map(|s| spec(option, &s))
        })
        .map(|spec| format!("        '{}' \\\n", spec.replace('\'', "'\\''")))
        .collect();
    SCRIPT
        .replace("@SPECS@", &specs)
        .replace("@POLICIES@", &BUILTIN_NAMES.join(" "))
        .into_bytes()
}

/// The syntax of _arguments (zshcompsys(1)): a name that ends with `-` has an
/// attached value; `+`, attached or the next word; `::`, an optional value.
fn spec(option: &OptionSpec, spelling: &str) -> String {
    let help = escaped(option.help);
    let long = spelling.starts_with("--");
    let action = action(option);
    let metavar = match option.value {
        Value::None => String::new(),
        Value::Attached(metavar) | Value::Required(metavar) => escaped(metavar),
    };
    match option.value {
        Value::None => format!("*{spelling}[{help}]"),
        Value::Attached(_) if long => format!("*{spelling}=-[{help}]::{metavar}:{action}"),
        Value::Attached(_) => format!("*{spelling}-[{help}]::{metavar}:{action}"),
        Value::Required(_) if long => format!("*{spelling}=[{help}]:{metavar}:{action}"),
        Value::Required(_) => format!("*{spelling}+[{help}]:{metavar}:{action}"),
    }
}

/// In a spec, `[`, `]` and `:` divide.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        if "[]:\\".contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

fn action(option: &OptionSpec) -> String {
    match values::of(option) {
        Values::Pids => "_nsexec_pids".to_owned(),
        Values::Files => "_files".to_owned(),
        Values::Directories => "_files -/".to_owned(),
        Values::Policies => "_nsexec_policies".to_owned(),
        Values::Word(word) => format!("({word})"),
        Values::Variables => "_parameters -g \"*export*\"".to_owned(),
        Values::Unknown => " ".to_owned(),
    }
}

const SCRIPT: &str = r#"#compdef nsexec
# zsh completion of nsexec; made from its table of options.
_nsexec_pids() {
    local expl
    local -a pids=(/proc/<->(N:t))
    _wanted processes expl 'process ID' compadd -a pids
}

_nsexec_policies() {
    _alternative 'policies:policy that ships:(@POLICIES@)' 'files:file:_files'
}

_nsexec() {
    # Behind the program, its own words.
    _arguments -S -A '-*' : \
@SPECS@        '(-)1:program:_command_names -e' \
        '*::argument:_normal'
}

if [[ $funcstack[1] == _nsexec ]]; then
    _nsexec "$@"
else
    compdef _nsexec nsexec
fi
"#;
