//! The bash completion of nsexec, from its table of options.

use nsexec_command_line::options::{self, OptionSpec, Value};
use nsexec_shipped_policies::BUILTIN_NAMES;

use crate::values::{self, Values};

/// The text of the script.
pub(crate) fn script() -> Vec<u8> {
    let all = options::all().map(|option| format!("--{}", option.long));
    let required = options::all().filter(|option| matches!(option.value, Value::Required(_)));
    let required = required.flat_map(values::spellings);
    let mut values = String::new();
    for option in options::all().filter(|option| option.value != Value::None) {
        let complete = complete(option);
        let patterns = values::spellings(option).join("|");
        values.push_str(&format!("        {patterns}) {complete} ;;\n"));
    }
    SCRIPT
        .replace("@ALL@", &all.collect::<Vec<_>>().join(" "))
        .replace("@REQUIRED@", &required.collect::<Vec<_>>().join("|"))
        .replace("@VALUES@", &values)
        .into_bytes()
}

/// The completion of a value.
fn complete(option: &OptionSpec) -> String {
    match values::of(option) {
        Values::Pids => "_nsexec_words \"$(cd /proc && echo [0-9]*)\" \"$2\"".to_owned(),
        Values::Files => "_nsexec_files -f \"$2\"".to_owned(),
        Values::Directories => "_nsexec_files -d \"$2\"".to_owned(),
        Values::Policies => {
            let names = BUILTIN_NAMES.join(" ");
            format!("_nsexec_words \"{names}\" \"$2\"; _nsexec_files -f \"$2\"")
        }
        Values::Word(word) => format!("_nsexec_words {word} \"$2\""),
        Values::Variables => "COMPREPLY+=($(compgen -v -- \"$2\"))".to_owned(),
        Values::Unknown => ":".to_owned(),
    }
}

/// bash divides `--policy=ad` into three words, as `=` is in COMP_WORDBREAKS.
const SCRIPT: &str = r#"# bash completion of nsexec; made from its table of options.
_nsexec_words() {
    COMPREPLY+=($(compgen -W "$1" -- "$2"))
}

_nsexec_files() {
    compopt -o filenames 2>/dev/null
    local IFS=$'\n'
    COMPREPLY+=($(compgen "$1" -- "$2"))
}

# The value of option $1 that begins with $2.
_nsexec_value() {
    case $1 in
@VALUES@    esac
}

_nsexec() {
    local cur=${COMP_WORDS[COMP_CWORD]} word i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        --)
            ((i++))
            break
            ;;
        @REQUIRED@)
            [[ ${COMP_WORDS[i + 1]} == = ]] && ((i++))
            if ((i + 1 >= COMP_CWORD)); then
                [[ $cur == = ]] && cur=
                _nsexec_value "$word" "$cur"
                return
            fi
            ((i++))
            ;;
        --*)
            if [[ ${COMP_WORDS[i + 1]} == = ]]; then
                if ((i + 2 >= COMP_CWORD)); then
                    [[ $cur == = ]] && cur=
                    _nsexec_value "$word" "$cur"
                    return
                fi
                ((i += 2))
            fi
            ;;
        -*) ;;
        *) break ;;
        esac
    done
    # Behind the program, its own words.
    if ((i < COMP_CWORD)); then
        if declare -F _command_offset >/dev/null; then
            _command_offset "$i"
        else
            _nsexec_files -f "$cur"
        fi
        return
    fi
    case $cur in
    --*=*)
        _nsexec_value "${cur%%=*}" "${cur#*=}"
        ;;
    -[!-]?*)
        # A value that is attached to its letter.
        local letter=${cur:0:2}
        _nsexec_value "$letter" "${cur:2}"
        COMPREPLY=("${COMPREPLY[@]/#/$letter}")
        ;;
    -*) [[ ${COMP_WORDS[i - 1]} == -- ]] || _nsexec_words "@ALL@" "$cur" ;;
    *) COMPREPLY=($(compgen -c -- "$cur" | sort -u)) ;;
    esac
}

complete -F _nsexec nsexec
"#;
