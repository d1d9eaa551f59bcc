//! Conditions: boolean expressions over arguments.

use std::ops::Range;

use super::super::super::logic::Relation;
use super::super::super::{Fault, ImportErrorKind};
use super::super::arguments;
use super::super::expression::{Bits, Expression};
use super::super::lexer::Kind;
use super::{MAX_DEPTH, Parser};

/// A part of an expression: a truth value or an operand. Only the text after its
/// closing parenthesis shows which one a parenthesis began.
pub(super) enum Node {
    Truth(Expression),
    Bits(Bits),
}

/// The names of a call's arguments.
pub(super) enum Names<'a> {
    Known(&'a str),
    Declared(Vec<&'a str>),
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
    let reason = ImportErrorKind::Unsupported("an argument is compared with numbers alone");
    Fault { span, reason }
}

impl<'a> Parser<'_, 'a> {
    /// Requires a truth value.
    pub(super) fn truth(&self, node: Node) -> Result<Expression, Fault> {
        match node {
            Node::Truth(expression) => Ok(expression),
            Node::Bits(_) => self.expected("a comparison"),
        }
    }

    /// `a, b`, which is `a || b`.
    pub(super) fn list(&mut self, names: &Names<'a>, depth: usize) -> Result<Node, Fault> {
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

    /// A comparison, its negation, or a parenthesised expression.
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

    /// Operands joined by `|` and `&`; `&` has higher precedence.
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
                    return self.fault(ImportErrorKind::Undefined(name.to_owned()));
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
            self.fault(ImportErrorKind::Unsupported(
                "expressions are 64 levels deep at most",
            ))
        }
    }
}
