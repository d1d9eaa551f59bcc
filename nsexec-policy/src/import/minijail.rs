//! Policies of ChromeOS's minijail in the language of minijail0(5) and
//! `minijail0 -S`.
//!
//! minijail's compiler, compile_seccomp_policy.py, reads a language that looks
//! the same but differs: there `; return E` is the answer to calls that satisfy
//! the condition, here to those that do not. The compiler's other forms, lists
//! in braces and `; ACTION`, are errors, so that no policy is read with the
//! opposite meaning.

mod lex;

use nsexec_policy_engine::seccomp::profile::{Action, Condition};
use nsexec_policy_engine::seccomp::table::is_known_somewhere;

use self::lex::{Lexer, Token};
use super::logic::{self, Alternatives, Logic, Operand, Relation, TooMany, compare};
use super::{Entry, Fault, ImportErrorKind, Imported, MAX_ENTRIES, Note, text_of};

/// The action for a call without a line. Minijail kills the thread or the
/// process, depending on its version and options; this is the stricter one.
const KILL: Action = Action::KillProcess;

const BRACES: &str = "braces are read by compile_seccomp_policy.py alone; \
     write a line for each call, and one condition";
const ARCH: &str = "a line for some architectures only: write a policy for each architecture";
const INCLUDE: &str = "@include: put the file's lines here; the importer opens no other file";
const DENYLIST: &str = "@denylist inverts the policy; list the allowed calls";
const OTHERWISE: &str = "only `return` may follow a condition: minijail0 reads nothing else, \
     and compile_seccomp_policy.py takes it for what satisfies the condition";

/// Parses a policy.
///
/// # Errors
/// The first invalid or unsupported part.
pub fn read(text: &[u8]) -> Result<Imported, Fault> {
    let text = text_of(text)?;
    let mut reader = Reader {
        text,
        lexer: Lexer::new(text),
        start: 0,
        line: 1,
        seen: std::collections::BTreeSet::new(),
        default: None,
        noted_return: false,
        entries: Vec::new(),
        notes: Vec::new(),
        logic: Logic::new(logic::MOST),
    };
    while reader.statement()? {}
    if reader.seen.is_empty() {
        return fault(0..text.len(), ImportErrorKind::Empty("the policy"));
    }
    Ok(Imported {
        default: reader.default.unwrap_or(KILL),
        entries: reader.entries,
        notes: reader.notes,
    })
}

fn fault<T>(span: std::ops::Range<usize>, reason: ImportErrorKind) -> Result<T, Fault> {
    Err(Fault { span, reason })
}

/// `argN OP VALUE`
#[derive(Clone, Copy)]
struct Atom {
    operand: Operand,
    relation: Relation,
    value: u64,
}

impl Atom {
    fn holds(&self) -> Alternatives {
        compare(self.operand, self.relation, self.value)
    }

    fn fails(&self) -> Alternatives {
        compare(self.operand, self.relation.negated(), self.value)
    }
}

struct Reader<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    /// The start of the statement, and its line number, counted on from the last
    /// one: counting from the first line each time is quadratic.
    start: usize,
    line: usize,
    seen: std::collections::BTreeSet<&'a str>,
    default: Option<Action>,
    /// Whether the note about `; return` was made.
    noted_return: bool,
    entries: Vec<Entry>,
    notes: Vec<Note>,
    logic: Logic,
}

impl<'a> Reader<'a> {
    /// Reads one line; `false` at the end.
    fn statement(&mut self) -> Result<bool, Fault> {
        let first = self.lexer.next()?;
        let passed = self.text.get(self.start..first.span.start);
        let passed = passed.unwrap_or_default().bytes();
        self.line += passed.filter(|byte| *byte == b'\n').count();
        self.start = first.span.start;
        match first.text {
            "" => return Ok(false),
            "\n" => return Ok(true),
            "@include" => return fault(first.span, ImportErrorKind::Unsupported(INCLUDE)),
            "@denylist" => return fault(first.span, ImportErrorKind::Unsupported(DENYLIST)),
            "@frequency" => {
                self.lexer.skip_line();
                self.note("@frequency only makes a filter faster; ignored");
            }
            "@default" => self.default_action(&first)?,
            "{" => return fault(first.span, ImportErrorKind::Unsupported(BRACES)),
            _ if first.is_word() && !first.text.starts_with('@') => self.call(&first)?,
            _ => {
                let what = "a system call, @default or @frequency";
                return fault(first.span, ImportErrorKind::Expected(what));
            }
        }
        let end = self.lexer.next()?;
        if end.ends_line() {
            Ok(true)
        } else {
            fault(end.span, ImportErrorKind::Expected("the end of the line"))
        }
    }

    /// Minijail has no default that allows calls, so a call without an imported
    /// rule is always denied.
    fn default_action(&mut self, at: &Token<'a>) -> Result<(), Fault> {
        let name = self.lexer.next()?;
        let action = match name.text {
            "kill" | "kill-process" => KILL,
            "kill-thread" => Action::KillThread,
            "trap" => Action::Trap,
            "user-notify" => {
                self.note("user-notify needs a supervisor; the process is killed");
                KILL
            }
            _ => {
                let what = "kill, kill-process, kill-thread or trap; there is no other default";
                return fault(name.span, ImportErrorKind::Expected(what));
            }
        };
        if self.default.replace(action).is_some() {
            return fault(
                at.span.clone(),
                ImportErrorKind::Repeated(at.text.to_owned()),
            );
        }
        Ok(())
    }

    fn call(&mut self, name: &Token<'a>) -> Result<(), Fault> {
        let colon = self.lexer.next()?;
        match colon.text {
            ":" => {}
            "[" => return fault(colon.span, ImportErrorKind::Unsupported(ARCH)),
            _ => return fault(colon.span, ImportErrorKind::Expected("`:`")),
        }
        let named = |reason: fn(String) -> ImportErrorKind| {
            let reason = reason(name.text.to_owned());
            fault(name.span.clone(), reason)
        };
        if !is_known_somewhere(name.text) {
            return named(ImportErrorKind::UnknownCall);
        }
        if !self.seen.insert(name.text) {
            return named(ImportErrorKind::Repeated);
        }
        let first = self.lexer.peek()?;
        if first.text == "{" {
            return fault(first.span, ImportErrorKind::Unsupported(BRACES));
        }
        if !first.is_argument() {
            return match self.action()? {
                Some(action) => self.push(name, action, Vec::new()),
                None => {
                    let what = format!("{}: {} needs a supervisor", name.text, first.text);
                    self.note(&format!("{what}; the call is denied instead"));
                    Ok(())
                }
            };
        }
        let clauses = self.condition()?;
        let otherwise = self.otherwise()?;
        self.allow(name, &clauses)?;
        match otherwise {
            Some(action) => self.deny_others(name, &clauses, action),
            None => Ok(()),
        }
    }

    /// The action; `None`: one that nsexec does not have.
    fn action(&mut self) -> Result<Option<Action>, Fault> {
        let name = self.lexer.next()?;
        Ok(Some(match name.text {
            "1" | "allow" => Action::Allow,
            "log" => Action::Log,
            "trap" => Action::Trap,
            "kill-thread" => Action::KillThread,
            "kill" | "kill-process" => KILL,
            "return" => self.errno()?,
            "trace" | "user-notify" => return Ok(None),
            _ => {
                let what = "a condition such as `arg0 == 1`, or an action: \
                     1, allow, log, trap, kill, return ERRNO";
                return fault(name.span, ImportErrorKind::Expected(what));
            }
        }))
    }

    fn errno(&mut self) -> Result<Action, Fault> {
        let errno = self.lexer.next()?;
        let span = errno.span.clone();
        match u16::try_from(errno.value()?) {
            Ok(number @ 0..=4095) => Ok(Action::Errno(number)),
            _ => fault(span, ImportErrorKind::Expected("an errno of 0 to 4095")),
        }
    }

    /// The text of the condition after `;`.
    fn otherwise(&mut self) -> Result<Option<Action>, Fault> {
        if self.lexer.peek()?.text != ";" {
            return Ok(None);
        }
        self.lexer.next()?;
        let word = self.lexer.next()?;
        if word.text != "return" {
            return fault(word.span, ImportErrorKind::Unsupported(OTHERWISE));
        }
        if !self.noted_return {
            self.noted_return = true;
            let what = "`; return` answers what does not satisfy the condition, as minijail0 \
                 reads it; compile_seccomp_policy.py reads the opposite";
            self.note(what);
        }
        self.errno().map(Some)
    }

    /// Conjunctions of atoms, one of which has to hold.
    fn condition(&mut self) -> Result<Vec<Vec<Atom>>, Fault> {
        let mut clauses = vec![vec![self.atom()?]];
        loop {
            let joint = self.lexer.peek()?;
            match joint.text {
                "&&" | "||" => self.lexer.next()?,
                _ => return Ok(clauses),
            };
            let atom = self.atom()?;
            match clauses.last_mut() {
                Some(clause) if joint.text == "&&" => clause.push(atom),
                _ => clauses.push(vec![atom]),
            }
            if clauses.len() > MAX_ENTRIES {
                return fault(joint.span, ImportErrorKind::TooManyEntries);
            }
        }
    }

    fn atom(&mut self) -> Result<Atom, Fault> {
        let name = self.lexer.next()?;
        if !name.is_argument() {
            return fault(name.span, ImportErrorKind::Expected("arg0 to arg5"));
        }
        let number = name.text.get(3..).and_then(|digits| digits.parse().ok());
        let Some(argument @ 0..=5) = number else {
            return fault(name.span, ImportErrorKind::Argument(name.text.to_owned()));
        };
        let operator = self.lexer.next()?;
        let relation = match operator.text {
            "==" | "in" => Relation::Equal,
            "!=" | "&" => Relation::NotEqual,
            "<" => Relation::Less,
            "<=" => Relation::LessOrEqual,
            ">" => Relation::Greater,
            ">=" => Relation::GreaterOrEqual,
            _ => {
                let what = "one of == != < <= > >= & in";
                return fault(operator.span, ImportErrorKind::Expected(what));
            }
        };
        let value = self.lexer.expression()?;
        let (and, value) = match operator.text {
            "&" => (value, 0),
            "in" => (!value, 0),
            _ => (u64::MAX, value),
        };
        Ok(Atom {
            operand: Operand {
                argument,
                and,
                or: 0,
            },
            relation,
            value,
        })
    }

    /// Entries for calls that satisfy the condition.
    fn allow(&mut self, name: &Token<'a>, clauses: &[Vec<Atom>]) -> Result<(), Fault> {
        for clause in clauses {
            let when = self.logic.every(clause, |atom, _| Ok(atom.holds()));
            let why = match self.entries_of(name, when, Action::Allow)? {
                Ok(0) => "never applies; left out",
                Ok(_) => continue,
                Err(TooMany) => "needs too many entries; the calls it allows are denied instead",
            };
            self.note(&format!("{}: a condition {why}", name.text));
        }
        Ok(())
    }

    /// Entries for calls that do not satisfy it. The default is stricter, and
    /// the strictest entry wins, so none of these may apply together with the
    /// condition.
    fn deny_others(
        &mut self,
        name: &Token<'a>,
        clauses: &[Vec<Atom>],
        action: Action,
    ) -> Result<(), Fault> {
        let when = self.logic.every(clauses, |clause, logic| {
            logic.either(clause, |atom, _| Ok(atom.fails()))
        });
        if self.entries_of(name, when, action)?.is_err() {
            let what = format!("{}: what its `return` answers takes too many", name.text);
            self.note(&format!("{what} entries; the default answers instead"));
        }
        Ok(())
    }

    /// Adds the entries of all alternatives, or none, and returns their number.
    fn entries_of(
        &mut self,
        name: &Token<'a>,
        when: Result<Alternatives, TooMany>,
        action: Action,
    ) -> Result<Result<usize, TooMany>, Fault> {
        let all = match when.and_then(|when| self.logic.conditions(&when)) {
            Ok(all) => all,
            Err(TooMany) => return Ok(Err(TooMany)),
        };
        let made = all.len();
        for conditions in all {
            self.push(name, action, conditions)?;
        }
        Ok(Ok(made))
    }

    fn push(
        &mut self,
        name: &Token<'a>,
        action: Action,
        conditions: Vec<Condition>,
    ) -> Result<(), Fault> {
        if self.entries.len() >= MAX_ENTRIES {
            return fault(name.span.clone(), ImportErrorKind::TooManyEntries);
        }
        self.entries.push(Entry {
            names: vec![name.text.to_owned()],
            action,
            conditions,
            comment: Some(format!("line {}", self.line)),
        });
        Ok(())
    }

    fn note(&mut self, text: &str) {
        self.notes.push(Note {
            line: self.line,
            text: text.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests;
