//! The grammar of kafel.

use std::collections::HashMap;
use std::ops::Range;

use nsexec_policy_engine::seccomp::profile::Action;
use nsexec_policy_engine::seccomp::table::is_known_somewhere;

use super::super::{Fault, ImportErrorKind, MAX_ENTRIES};
use super::arguments;
use super::expression::Expression;
use super::lexer::{Kind, Token};

mod conditions;

use conditions::Names;

/// The maximum nesting of parentheses and `!`.
const MAX_DEPTH: usize = 64;

/// The maximum number of rules after expanding `USE`: a chain of policies that
/// each use the previous one twice doubles at every step.
const MAX_USED: usize = 64 * MAX_ENTRIES;

/// The highest errno, which the kernel puts in place of a higher one.
const MAX_ERRNO: u16 = 4095;

/// An unresolved action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawAction {
    Native(Action),
    /// TRAP, with its number.
    Trap(u16),
    /// TRACE or USER_NOTIF: another process answers.
    Supervised(&'static str),
}

/// A call of an action block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule<'a> {
    pub(super) call: &'a str,
    /// The position at which the call is named.
    pub(super) span: Range<usize>,
    pub(super) action: RawAction,
    /// The position at which its block begins.
    pub(super) block: usize,
    /// `None`: with any arguments.
    pub(super) when: Option<Expression>,
}

/// A policy file.
#[derive(Debug)]
pub(super) struct Program<'a> {
    pub(super) rules: Vec<Rule<'a>>,
    /// The indexes of the rules, in order of evaluation.
    pub(super) order: Vec<usize>,
    /// The default and its place.
    pub(super) default: Option<(RawAction, usize)>,
}

/// Parses the tokens of a text of this length.
pub(super) fn parse<'a>(tokens: &[Token<'a>], length: usize) -> Result<Program<'a>, Fault> {
    let mut parser = Parser {
        tokens,
        at: 0,
        length,
        constants: HashMap::new(),
        policies: HashMap::new(),
        rules: Vec::new(),
        used: 0,
    };
    let mut order = Vec::new();
    let mut default = None;
    while let Some(kind) = parser.peek() {
        let start = parser.span();
        match kind {
            Kind::Sign("#") => parser.definition()?,
            Kind::Word("POLICY") => parser.policy()?,
            Kind::Word("DEFAULT") => {
                parser.at += 1;
                let action = parser.action()?;
                if default.replace((action, start.start)).is_some() {
                    let reason = ImportErrorKind::Repeated("DEFAULT".to_owned());
                    return Err(Fault {
                        span: start,
                        reason,
                    });
                }
            }
            _ => parser.statements(&mut order)?,
        }
    }
    Ok(Program {
        rules: parser.rules,
        order,
        default,
    })
}

struct Parser<'t, 'a> {
    tokens: &'t [Token<'a>],
    at: usize,
    length: usize,
    constants: HashMap<&'a str, u64>,
    policies: HashMap<&'a str, Vec<usize>>,
    rules: Vec<Rule<'a>>,
    used: usize,
}

impl<'a> Parser<'_, 'a> {
    fn peek(&self) -> Option<Kind<'a>> {
        self.tokens.get(self.at).map(|token| token.kind)
    }

    /// The position of the next token, or of the end of the text.
    fn span(&self) -> Range<usize> {
        let end = || self.length..self.length;
        let token = self.tokens.get(self.at);
        token.map_or_else(end, |token| token.span.clone())
    }

    fn fault<T>(&self, reason: ImportErrorKind) -> Result<T, Fault> {
        Err(Fault {
            span: self.span(),
            reason,
        })
    }

    fn expected<T>(&self, what: &'static str) -> Result<T, Fault> {
        self.fault(ImportErrorKind::Expected(what))
    }

    fn takes(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Kind::Sign(found)) if found == sign);
        self.at += usize::from(found);
        found
    }

    fn needs(&mut self, sign: &'static str) -> Result<(), Fault> {
        if self.takes(sign) {
            Ok(())
        } else {
            self.expected(sign)
        }
    }

    fn word(&mut self, what: &'static str) -> Result<&'a str, Fault> {
        match self.peek() {
            Some(Kind::Word(word)) => {
                self.at += 1;
                Ok(word)
            }
            _ => self.expected(what),
        }
    }

    /// A number, or the name of one.
    fn number(&mut self) -> Result<u64, Fault> {
        let value = match self.peek() {
            Some(Kind::Number(value)) => value,
            Some(Kind::Word(name)) => match self.constants.get(name) {
                Some(value) => *value,
                None => return self.fault(ImportErrorKind::Undefined(name.to_owned())),
            },
            _ => return self.expected("a number"),
        };
        self.at += 1;
        Ok(value)
    }

    fn definition(&mut self) -> Result<(), Fault> {
        self.needs("#")?;
        if self.peek() != Some(Kind::Word("define")) {
            return self.expected("#define");
        }
        self.at += 1;
        let span = self.span();
        let name = self.word("the name of a constant")?;
        let Some(Kind::Number(value)) = self.peek() else {
            return self.expected("a number");
        };
        self.at += 1;
        match self.constants.insert(name, value) {
            Some(old) if old != value => Err(Fault {
                span,
                reason: ImportErrorKind::Repeated(name.to_owned()),
            }),
            _ => Ok(()),
        }
    }

    fn policy(&mut self) -> Result<(), Fault> {
        self.at += 1;
        let span = self.span();
        let name = self.word("the name of a policy")?;
        self.needs("{")?;
        let mut order = Vec::new();
        if !self.takes("}") {
            self.statements(&mut order)?;
            if !self.takes("}") {
                return self.expected(", or }");
            }
        }
        // Only now, so that no policy can use itself.
        match self.policies.insert(name, order) {
            None => Ok(()),
            Some(_) => Err(Fault {
                span,
                reason: ImportErrorKind::Repeated(name.to_owned()),
            }),
        }
    }

    /// Action blocks and `USE`, with commas between them.
    fn statements(&mut self, order: &mut Vec<usize>) -> Result<(), Fault> {
        let mut after_use = false;
        loop {
            match self.peek() {
                Some(Kind::Word("USE")) => {
                    self.at += 1;
                    self.used_policy(order)?;
                    after_use = true;
                }
                // `USE a, b`
                Some(Kind::Word(name)) if after_use && self.policies.contains_key(name) => {
                    self.used_policy(order)?;
                }
                _ => {
                    self.block(order)?;
                    after_use = false;
                }
            }
            if !self.takes(",") {
                return Ok(());
            }
        }
    }

    fn used_policy(&mut self, order: &mut Vec<usize>) -> Result<(), Fault> {
        let span = self.span();
        let name = self.word("the name of a policy")?;
        let fault = |reason| Err(Fault { span, reason });
        let Some(used) = self.policies.get(name) else {
            return fault(ImportErrorKind::Undefined(name.to_owned()));
        };
        self.used += used.len();
        if self.used > MAX_USED {
            return fault(ImportErrorKind::TooManyEntries);
        }
        order.extend(used);
        Ok(())
    }

    fn block(&mut self, order: &mut Vec<usize>) -> Result<(), Fault> {
        let block = self.span().start;
        let action = self.action()?;
        self.needs("{")?;
        if self.takes("}") {
            return Ok(());
        }
        loop {
            let rule = self.rule(action, block)?;
            order.push(self.rules.len());
            self.rules.push(rule);
            if !self.takes(",") {
                break;
            }
        }
        if self.takes("}") {
            Ok(())
        } else {
            self.expected(", or }")
        }
    }

    fn action(&mut self) -> Result<RawAction, Fault> {
        let word = match self.peek() {
            Some(Kind::Word(word)) => word,
            _ => return self.expected("USE or an action"),
        };
        let (native, with_number) = match word {
            "ALLOW" => (RawAction::Native(Action::Allow), false),
            "LOG" => (RawAction::Native(Action::Log), false),
            // SECCOMP_RET_KILL, which ends the thread.
            "KILL" | "KILL_THREAD" | "DENY" => (RawAction::Native(Action::KillThread), false),
            "KILL_PROCESS" => (RawAction::Native(Action::KillProcess), false),
            "USER_NOTIF" => (RawAction::Supervised("USER_NOTIF"), false),
            "ERRNO" => (RawAction::Native(Action::Errno(0)), true),
            "TRAP" => (RawAction::Trap(0), true),
            "TRACE" => (RawAction::Supervised("TRACE"), true),
            _ => return self.expected("USE or an action"),
        };
        self.at += 1;
        if !with_number {
            return Ok(native);
        }
        self.needs("(")?;
        let span = self.span();
        let value = self.number()?;
        let Ok(value) = u16::try_from(value) else {
            let reason = ImportErrorKind::Number(value.to_string());
            return Err(Fault { span, reason });
        };
        self.needs(")")?;
        Ok(match native {
            RawAction::Native(_) => RawAction::Native(Action::Errno(value.min(MAX_ERRNO))),
            RawAction::Trap(_) => RawAction::Trap(value),
            supervised @ RawAction::Supervised(_) => supervised,
        })
    }

    fn rule(&mut self, action: RawAction, block: usize) -> Result<Rule<'a>, Fault> {
        let span = self.span();
        let word = self.word("a system call")?;
        let fault = |reason| {
            let span = span.clone();
            Err(Fault { span, reason })
        };
        if word == "SYSCALL" || self.constants.contains_key(word) {
            return fault(ImportErrorKind::Unsupported(
                "a number is another call on each architecture; write the call's name",
            ));
        }
        let call = arguments::renamed(word);
        if !is_known_somewhere(call) {
            return fault(ImportErrorKind::UnknownCall(word.to_owned()));
        }
        let names = if self.takes("(") {
            Names::Declared(self.declared()?)
        } else {
            Names::Known(call)
        };
        if self.peek() == Some(Kind::Word("ON")) {
            return self.fault(ImportErrorKind::Unsupported(
                "entries hold on every architecture; leave ON out or the call",
            ));
        }
        let mut when = None;
        if self.takes("{") && !self.takes("}") {
            let node = self.list(&names, 0)?;
            when = Some(self.truth(node)?);
            self.needs("}")?;
        }
        Ok(Rule {
            call,
            span,
            action,
            block,
            when,
        })
    }

    fn declared(&mut self) -> Result<Vec<&'a str>, Fault> {
        let mut names = Vec::new();
        if self.takes(")") {
            return Ok(names);
        }
        loop {
            let span = self.span();
            let name = self.word("the name of an argument")?;
            let fault = |reason| Err(Fault { span, reason });
            if names.contains(&name) {
                return fault(ImportErrorKind::Repeated(name.to_owned()));
            }
            if names.len() == 6 {
                return fault(ImportErrorKind::Argument(name.to_owned()));
            }
            names.push(name);
            if !self.takes(",") {
                self.needs(")")?;
                return Ok(names);
            }
        }
    }
}
