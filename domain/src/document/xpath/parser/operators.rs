//! Binary and unary operators.

use super::{Grown, Parsed, Parser, Row};
use crate::document::xpath::XPathError;
use crate::document::xpath::expression::{Arithmetic, Comparison, Expression, Operator};

/// A binary operator, loosest first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Binary {
    Or,
    And,
    Chain(Operator),
}

impl Binary {
    /// The precedence: a higher operator binds tighter.
    fn precedence(self) -> u8 {
        match self {
            Self::Or => 0,
            Self::And => 1,
            Self::Chain(Operator::Compare(Comparison::Equal | Comparison::NotEqual)) => 2,
            Self::Chain(Operator::Compare(_)) => 3,
            Self::Chain(Operator::Compute(Arithmetic::Add | Arithmetic::Subtract)) => 4,
            Self::Chain(Operator::Compute(_)) => 5,
        }
    }
}

impl Parser {
    /// Operands with operators between them.
    pub(super) fn operators(&mut self) -> Parsed<Grown> {
        let mut operands = vec![self.unary()?];
        let mut waiting: Vec<Binary> = Vec::new();
        while let Some(operator) = self.binary() {
            self.at += 1;
            while let Some(tighter) =
                waiting.pop_if(|before| before.precedence() >= operator.precedence())
            {
                join(&mut operands, tighter)?;
            }
            waiting.push(operator);
            operands.push(self.unary()?);
        }
        while let Some(operator) = waiting.pop() {
            join(&mut operands, operator)?;
        }
        operands.pop().ok_or_else(|| super::unexpected(None))
    }

    fn binary(&self) -> Option<Binary> {
        use Arithmetic as A;
        use Comparison as C;
        let compare = |how| Binary::Chain(Operator::Compare(how));
        let compute = |how| Binary::Chain(Operator::Compute(how));
        let operators = [
            ("or", Binary::Or),
            ("and", Binary::And),
            ("=", compare(C::Equal)),
            ("!=", compare(C::NotEqual)),
            ("<", compare(C::Less)),
            ("<=", compare(C::LessOrEqual)),
            (">", compare(C::Greater)),
            (">=", compare(C::GreaterOrEqual)),
            ("+", compute(A::Add)),
            ("-", compute(A::Subtract)),
            ("*", compute(A::Multiply)),
            ("div", compute(A::Divide)),
            ("mod", compute(A::Modulo)),
        ];
        let found = operators.iter().find(|(symbol, _)| self.is(symbol));
        found.map(|(_, operator)| *operator)
    }

    fn unary(&mut self) -> Parsed<Grown> {
        let mut signs = 0;
        while self.accept("-") {
            signs += 1;
        }
        let mut operand = self.union()?;
        // Two signs are not nothing: they convert a value that is not a number.
        let negations = match signs {
            0 => 0,
            signs if signs % 2 == 1 => 1,
            _ => 2,
        };
        for _ in 0..negations {
            let negated = Expression::Negate(Box::new(operand.expression));
            operand = Grown::above(operand.height, negated)?;
        }
        Ok(operand)
    }

    fn union(&mut self) -> Parsed<Grown> {
        let first = self.path()?;
        if !self.is("|") {
            return Ok(first);
        }
        let mut operands = Row::default();
        operands.push(first);
        while self.accept("|") {
            operands.push(self.path()?);
        }
        if !operands.expressions.iter().all(Expression::gives_nodes) {
            return Err(XPathError::Syntax("a union is of node-sets".into()));
        }
        Grown::above(operands.height, Expression::Union(operands.expressions))
    }
}

/// Joins the last two operands into one. If the left one already has the same operators, the right
/// one is added to it.
fn join(operands: &mut Vec<Grown>, operator: Binary) -> Parsed<()> {
    let (Some(right), Some(left)) = (operands.pop(), operands.pop()) else {
        return Err(super::unexpected(None));
    };
    let (below, left) = (right.height.max(left.height), left);
    let same = |before: &Operator| Binary::Chain(*before).precedence() == operator.precedence();
    let height = left.height;
    let (expression, extended) = match (operator, left.expression) {
        (Binary::Or, Expression::Or(mut all)) => {
            all.push(right.expression);
            (Expression::Or(all), true)
        }
        (Binary::And, Expression::And(mut all)) => {
            all.push(right.expression);
            (Expression::And(all), true)
        }
        (Binary::Chain(how), Expression::Chain(first, mut rest))
            if rest.last().is_some_and(|(before, _)| same(before)) =>
        {
            rest.push((how, right.expression));
            (Expression::Chain(first, rest), true)
        }
        (Binary::Or, left) => (Expression::Or(vec![left, right.expression]), false),
        (Binary::And, left) => (Expression::And(vec![left, right.expression]), false),
        (Binary::Chain(how), left) => {
            let rest = vec![(how, right.expression)];
            (Expression::Chain(Box::new(left), rest), false)
        }
    };
    let below = if extended {
        right.height.max(height - 1)
    } else {
        below
    };
    operands.push(Grown::above(below, expression)?);
    Ok(())
}
