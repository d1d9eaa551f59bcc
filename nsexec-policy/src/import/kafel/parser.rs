//! The grammar of kafel.

use std::collections::HashMap;
use std::ops::Range;

use nsexec_policy_engine::seccomp::profile::Action;
use nsexec_policy_engine::seccomp::table::is_known_somewhere;

use super::super::logic::Relation;
use super::super::{Fault, MAX_ENTRIES, Reason};
use super::arguments;
use super::expression::{Bits, Expression};
use super::lexer::{Kind, Token};

/// How deep parentheses and `!` may stand in each other.
const MAX_DEPTH: usize = 64;

/// Rules with what `USE` repeats of them: a chain of policies that each use
/// the one before twice doubles at every step.
const MAX_USED: usize = 64 * MAX_ENTRIES;

/// The highest errno, which the kernel puts in place of a higher one.
const MAX_ERRNO: u16 = 4095;

/// An action as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
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
    /// Where the call is named.
    pub(super) span: Range<usize>,
    pub(super) action: Written,
    /// Where its block begins.
    pub(super) block: usize,
    /// `None`: with any arguments.
    pub(super) when: Option<Expression>,
}

/// A policy file.
#[derive(Debug)]
pub(super) struct Program<'a> {
    pub(super) rules: Vec<Rule<'a>>,
    /// Which of the rules, in the order in which they are asked.
    pub(super) order: Vec<usize>,
    /// The default and its place.
    pub(super) default: Option<(Written, usize)>,
}

/// The program that the tokens of a text of this length are.
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
                    let reason = Reason::Repeated("DEFAULT".to_owned());
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

/// A part of an expression: what is true or false, and what is compared. Only
/// behind its parenthesis shows which of them one began.
enum Node {
    Truth(Expression),
    Bits(Bits),
}

/// The names of a call's arguments.
enum Names<'a> {
    Known(&'a str),
    Declared(Vec<&'a str>),
}

impl<'a> Parser<'_, 'a> {
    fn peek(&self) -> Option<Kind<'a>> {
        self.tokens.get(self.at).map(|token| token.kind)
    }

    /// Where the next token is, or the end of the text.
    fn span(&self) -> Range<usize> {
        let end = || self.length..self.length;
        let token = self.tokens.get(self.at);
        token.map_or_else(end, |token| token.span.clone())
    }

    fn fault<T>(&self, reason: Reason) -> Result<T, Fault> {
        Err(Fault {
            span: self.span(),
            reason,
        })
    }

    fn expected<T>(&self, what: &'static str) -> Result<T, Fault> {
        self.fault(Reason::Expected(what))
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
                None => return self.fault(Reason::Undefined(name.to_owned())),
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
                reason: Reason::Repeated(name.to_owned()),
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
                reason: Reason::Repeated(name.to_owned()),
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
            return fault(Reason::Undefined(name.to_owned()));
        };
        self.used += used.len();
        if self.used > MAX_USED {
            return fault(Reason::TooManyEntries);
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

    fn action(&mut self) -> Result<Written, Fault> {
        let word = match self.peek() {
            Some(Kind::Word(word)) => word,
            _ => return self.expected("USE or an action"),
        };
        let (native, with_number) = match word {
            "ALLOW" => (Written::Native(Action::Allow), false),
            "LOG" => (Written::Native(Action::Log), false),
            // SECCOMP_RET_KILL, which ends the thread.
            "KILL" | "KILL_THREAD" | "DENY" => (Written::Native(Action::KillThread), false),
            "KILL_PROCESS" => (Written::Native(Action::KillProcess), false),
            "USER_NOTIF" => (Written::Supervised("USER_NOTIF"), false),
            "ERRNO" => (Written::Native(Action::Errno(0)), true),
            "TRAP" => (Written::Trap(0), true),
            "TRACE" => (Written::Supervised("TRACE"), true),
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
            let reason = Reason::Number(value.to_string());
            return Err(Fault { span, reason });
        };
        self.needs(")")?;
        Ok(match native {
            Written::Native(_) => Written::Native(Action::Errno(value.min(MAX_ERRNO))),
            Written::Trap(_) => Written::Trap(value),
            supervised @ Written::Supervised(_) => supervised,
        })
    }

    fn rule(&mut self, action: Written, block: usize) -> Result<Rule<'a>, Fault> {
        let span = self.span();
        let word = self.word("a system call")?;
        let fault = |reason| {
            let span = span.clone();
            Err(Fault { span, reason })
        };
        if word == "SYSCALL" || self.constants.contains_key(word) {
            return fault(Reason::Unsupported(
                "a number is another call on each architecture; write the call's name",
            ));
        }
        let call = arguments::renamed(word);
        if !is_known_somewhere(call) {
            return fault(Reason::UnknownCall(word.to_owned()));
        }
        let names = if self.takes("(") {
            Names::Declared(self.declared()?)
        } else {
            Names::Known(call)
        };
        if self.peek() == Some(Kind::Word("ON")) {
            return self.fault(Reason::Unsupported(
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
                return fault(Reason::Repeated(name.to_owned()));
            }
            if names.len() == 6 {
                return fault(Reason::Argument(name.to_owned()));
            }
            names.push(name);
            if !self.takes(",") {
                self.needs(")")?;
                return Ok(names);
            }
        }
    }

    /// What has to be true or false.
    fn truth(&self, node: Node) -> Result<Expression, Fault> {
        match node {
            Node::Truth(expression) => Ok(expression),
            Node::Bits(_) => self.expected("a comparison"),
        }
    }

    /// `a, b`, which is `a || b`.
    fn list(&mut self, names: &Names<'a>, depth: usize) -> Result<Node, Fault> {
        let first = self.any(names, depth)?;
        if self.peek() != Some(Kind::Sign(",")) {
            return Ok(first);
        }
        let mut parts = vec![self.truth(first)?];
        while self.takes(",") {
            let next = self.any(names, depth)?;
            parts.push(self.truth(next)?);
        }
        Ok(Node::Truth(Expression::Any(parts)))
    }

    fn any(&mut self, names: &Names<'a>, depth: usize) -> Result<Node, Fault> {
        let first = self.all(names, depth)?;
        if self.peek() != Some(Kind::Sign("||")) {
            return Ok(first);
        }
        let mut parts = vec![self.truth(first)?];
        while self.takes("||") {
            let next = self.all(names, depth)?;
            parts.push(self.truth(next)?);
        }
        Ok(Node::Truth(Expression::Any(parts)))
    }

    fn all(&mut self, names: &Names<'a>, depth: usize) -> Result<Node, Fault> {
        let first = self.one(names, depth)?;
        if self.peek() != Some(Kind::Sign("&&")) {
            return Ok(first);
        }
        let mut parts = vec![self.truth(first)?];
        while self.takes("&&") {
            let next = self.one(names, depth)?;
            parts.push(self.truth(next)?);
        }
        Ok(Node::Truth(Expression::All(parts)))
    }

    /// A comparison, its negation, or what stands in parentheses.
    fn one(&mut self, names: &Names<'a>, depth: usize) -> Result<Node, Fault> {
        if self.peek() == Some(Kind::Sign("!")) {
            self.limit(depth)?;
            self.at += 1;
            let inner = self.one(names, depth + 1)?;
            return Ok(Node::Truth(Expression::Not(Box::new(self.truth(inner)?))));
        }
        let left = match self.bits(names, depth)? {
            Node::Bits(left) => left,
            truth @ Node::Truth(_) => return Ok(truth),
        };
        let relation = match self.peek() {
            Some(Kind::Sign("==")) => Relation::Equal,
            Some(Kind::Sign("!=")) => Relation::NotEqual,
            Some(Kind::Sign("<")) => Relation::Less,
            Some(Kind::Sign("<=")) => Relation::LessOrEqual,
            Some(Kind::Sign(">")) => Relation::Greater,
            Some(Kind::Sign(">=")) => Relation::GreaterOrEqual,
            _ => return Ok(Node::Bits(left)),
        };
        let sign = self.span();
        self.at += 1;
        let right = match self.bits(names, depth)? {
            Node::Bits(right) => right,
            Node::Truth(_) => return self.expected("a number or an argument before this"),
        };
        let compared = left.compared(relation, right);
        Ok(Node::Truth(compared.ok_or_else(|| two_arguments(sign))?))
    }

    /// Operands with `|` and `&` between them; `&` binds closer.
    fn bits(&mut self, names: &Names<'a>, depth: usize) -> Result<Node, Fault> {
        let mut all = self.masked(names, depth)?;
        while self.peek() == Some(Kind::Sign("|")) {
            let next = |parser: &mut Self| parser.masked(names, depth);
            all = self.joined(all, false, next)?;
        }
        Ok(all)
    }

    fn masked(&mut self, names: &Names<'a>, depth: usize) -> Result<Node, Fault> {
        let mut all = self.operand(names, depth)?;
        while self.peek() == Some(Kind::Sign("&")) {
            let next = |parser: &mut Self| parser.operand(names, depth);
            all = self.joined(all, true, next)?;
        }
        Ok(all)
    }

    /// Both sides of the sign that is next.
    fn joined(
        &mut self,
        left: Node,
        is_and: bool,
        next: impl Fn(&mut Self) -> Result<Node, Fault>,
    ) -> Result<Node, Fault> {
        let sign = self.span();
        let Node::Bits(left) = left else {
            return self.expected("&& or || behind a comparison");
        };
        self.at += 1;
        let Node::Bits(right) = next(self)? else {
            return self.expected("a number or an argument before this");
        };
        let joined = left.joined(right, is_and);
        Ok(Node::Bits(joined.ok_or_else(|| two_arguments(sign))?))
    }

    fn operand(&mut self, names: &Names<'a>, depth: usize) -> Result<Node, Fault> {
        match self.peek() {
            Some(Kind::Number(value)) => {
                self.at += 1;
                Ok(Node::Bits(Bits::number(value)))
            }
            Some(Kind::Word(name)) => {
                let known = self.constants.get(name).copied().map(Bits::number);
                let Some(bits) = known.or_else(|| names.find(name)) else {
                    return self.fault(Reason::Undefined(name.to_owned()));
                };
                self.at += 1;
                Ok(Node::Bits(bits))
            }
            Some(Kind::Sign("(")) => {
                self.limit(depth)?;
                self.at += 1;
                let inner = self.list(names, depth + 1)?;
                self.needs(")")?;
                Ok(inner)
            }
            _ => self.expected("a number or an argument"),
        }
    }

    fn limit(&self, depth: usize) -> Result<(), Fault> {
        if depth < MAX_DEPTH {
            Ok(())
        } else {
            self.fault(Reason::Unsupported(
                "expressions are 64 levels deep at the most",
            ))
        }
    }
}

impl Names<'_> {
    /// Declared arguments have eight bytes.
    fn find(&self, name: &str) -> Option<Bits> {
        let (argument, is_wide) = match self {
            Self::Known(call) => arguments::find(call, name)?,
            Self::Declared(names) => {
                let mut places = (0..).zip(names);
                let (place, _) = places.find(|(_, declared)| **declared == name)?;
                (place, true)
            }
        };
        Some(Bits::argument(argument, is_wide))
    }
}

fn two_arguments(span: Range<usize>) -> Fault {
    let reason = Reason::Unsupported("an argument is compared with numbers alone");
    Fault { span, reason }
}
