//! Man pages: a text of `pages/`, with the tables put in.

use nsexec_audit::rules as audit_rules;
use nsexec_command_line::options::{self, OptionSpec, Value};
use nsexec_policy::commands::{COMMANDS, Flag, capitalised};
use roff::{Inline, Roff, bold, italic, roman};

/// Every page: its name, and its troff source.
pub(crate) fn all() -> [(&'static str, Vec<u8>); 3] {
    [
        (
            "nsexec",
            filled(include_str!("../pages/nsexec.1"), &options()),
        ),
        (
            "nsexec-policy",
            filled(include_str!("../pages/nsexec-policy.1"), &commands()),
        ),
        (
            "nsexec-audit",
            filled(
                &include_str!("../pages/nsexec-audit.1").replace(RULES, &rules().to_roff()),
                &audit_options(),
            ),
        ),
    ]
}

/// The tables' place in a page, and the version's.
const TABLE: &str = ".\\\" TABLE\n";
const VERSION: &str = "@VERSION@";
/// That of the alerts.
const RULES: &str = ".\\\" RULES\n";

fn filled(page: &str, table: &Roff) -> Vec<u8> {
    page.replace(TABLE, &table.to_roff())
        .replace(VERSION, env!("CARGO_PKG_VERSION"))
        .into_bytes()
}

fn options() -> Roff {
    let mut roff = Roff::new();
    for option in options::all() {
        let text = format!("{}. {}", capitalised(option.help), option.rule);
        tagged(&mut roff, synopsis(option), &text);
    }
    roff
}

fn synopsis(option: &OptionSpec) -> Vec<Inline> {
    let mut text = Vec::new();
    if let Some(letter) = option.letter {
        text.extend([bold(format!("-{letter}")), roman(", ")]);
    }
    text.push(bold(format!("--{}", option.long)));
    match option.value {
        Value::None => {}
        Value::Attached(metavar) => text.extend([roman("[="), italic(metavar), roman("]")]),
        Value::Required(metavar) => text.extend([roman(" "), italic(metavar)]),
    }
    text
}

fn audit_options() -> Roff {
    let mut roff = Roff::new();
    let mut audit = nsexec_audit::cli::command();
    audit.build();
    audit_arguments(&mut roff, &audit);
    roff.control("SH", ["COMMANDS"]);
    for command in audit.get_subcommands() {
        let operands: Vec<String> = command.get_positionals().map(ToString::to_string).collect();
        let help = command.get_about().map(ToString::to_string);
        command_head(
            &mut roff,
            "nsexec-audit",
            command.get_name(),
            operands
                .first()
                .map_or("", |operand| operand.trim_matches(['<', '>'])),
            &help.unwrap_or_default(),
        );
        audit_arguments(&mut roff, command);
    }
    roff
}

/// The options of a command; each has help.
fn audit_arguments(roff: &mut Roff, command: &clap::Command) {
    let is_general = |arg: &&clap::Arg| matches!(arg.get_id().as_str(), "help" | "version");
    let (general, own): (Vec<_>, Vec<_>) = command
        .get_arguments()
        .filter(|arg| !arg.is_positional())
        .partition(is_general);
    let is_program = command.get_subcommands().next().is_some();
    for arg in own
        .into_iter()
        .chain(general.into_iter().filter(|_| is_program))
    {
        audit_option(roff, arg);
    }
}

fn rules() -> Roff {
    let mut roff = Roff::new();
    for rule in audit_rules::RULES {
        let severity = rule.severity.name();
        let tag = vec![
            bold(rule.name),
            roman(format!(" ({severity}, {})", rule.mitre)),
        ];
        tagged(&mut roff, tag, rule.about);
    }
    roff
}

fn audit_option(roff: &mut Roff, arg: &clap::Arg) {
    let mut text = Vec::new();
    if let Some(letter) = arg.get_short() {
        text.extend([bold(format!("-{letter}")), roman(", ")]);
    }
    text.push(bold(format!("--{}", arg.get_long().unwrap_or_default())));
    let takes_value = arg.get_action().takes_values();
    for metavar in arg
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .filter(|_| takes_value)
    {
        text.extend([roman(" "), italic(metavar.as_str())]);
    }
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let words = arg.get_possible_values();
    let words: Vec<&str> = words
        .iter()
        .filter(|_| takes_value)
        .map(clap::builder::PossibleValue::get_name)
        .collect();
    tagged(roff, text, &with_words(&help, &words));
}

fn commands() -> Roff {
    let mut roff = Roff::new();
    for command in &COMMANDS {
        let (name, operands, help) = (command.name, command.operands, command.help);
        command_head(&mut roff, "nsexec-policy", name, operands, help);
        for flag in command.options {
            tagged(
                &mut roff,
                flag_synopsis(flag),
                &with_words(flag.help, flag.words),
            );
        }
    }
    roff
}

fn command_head(roff: &mut Roff, program: &str, name: &str, operands: &str, help: &str) {
    let call = format!("{program} {name}");
    roff.control("SS", [name]);
    let options = [roman(" ["), italic("OPTION"), roman("...] ")];
    roff.text([vec![bold(call)], options.into(), vec![italic(operands)]].concat());
    roff.control("PP", []);
    roff.text([roman(format!("{}.", capitalised(help)))]);
}

fn flag_synopsis(flag: &Flag) -> Vec<Inline> {
    let mut text = vec![bold(format!("--{}", flag.long))];
    if let Some(metavar) = flag.value {
        text.extend([roman(" "), italic(metavar)]);
    }
    text
}

fn with_words(help: &str, words: &[&str]) -> String {
    match words {
        [] => help.to_owned(),
        words => format!("{help} ({})", words.join(", ")),
    }
}

fn tagged(roff: &mut Roff, tag: Vec<Inline>, help: &str) {
    roff.control("TP", []);
    roff.text(tag);
    roff.text([roman(format!("{help}."))]);
}
