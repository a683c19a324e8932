//! The grammar of XPath 1.0. Brackets use recursive descent, and operators use their precedence.

mod operators;
mod path;

use super::XPathError;
use super::expression::Expression;
use super::function::Function;
use super::lexer::{Token, tokens};

/// The deepest nesting of brackets in an expression.
pub(crate) const MAX_NESTING: usize = 32;
/// The maximum number of levels of a compiled expression, over which evaluation and drop recurse.
pub(crate) const MAX_HEIGHT: usize = 96;

type Parsed<T> = Result<T, XPathError>;

/// An expression, and its number of levels.
struct Grown {
    expression: Expression,
    height: usize,
}

impl Grown {
    fn leaf(expression: Expression) -> Self {
        Self {
            expression,
            height: 1,
        }
    }

    /// Puts an expression one level above operands with `below` levels.
    fn above(below: usize, expression: Expression) -> Parsed<Self> {
        if below >= MAX_HEIGHT {
            let reason = format!("it has more than {MAX_HEIGHT} levels of operators and brackets");
            return Err(XPathError::Syntax(reason));
        }
        Ok(Self {
            expression,
            height: below + 1,
        })
    }
}

/// Adjacent expressions, and the height of the highest one.
#[derive(Default)]
struct Row {
    expressions: Vec<Expression>,
    height: usize,
}

impl Row {
    fn push(&mut self, grown: Grown) {
        self.height = self.height.max(grown.height);
        self.expressions.push(grown.expression);
    }
}

pub(super) fn parse(text: &str) -> Parsed<Expression> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        nesting: 0,
    };
    let grown = parser.expression()?;
    match parser.peek() {
        None => Ok(grown.expression),
        Some(token) => Err(unexpected(Some(token))),
    }
}

fn unexpected(token: Option<&Token>) -> XPathError {
    XPathError::Syntax(match token {
        None => "it ends too early".into(),
        Some(token) => format!("{} is not expected", shown(token)),
    })
}

fn shown(token: &Token) -> String {
    match token {
        Token::Number(number) => number.to_string(),
        Token::Literal(text) | Token::Name(text) => format!("'{text}'"),
        Token::PrefixStar(prefix) => format!("'{prefix}:*'"),
        Token::Star => "'*'".into(),
        Token::Operator(text) | Token::Symbol(text) => format!("'{text}'"),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    nesting: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn peek_after(&self) -> Option<&Token> {
        self.tokens.get(self.at + 1)
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.peek(), Some(Token::Symbol(s) | Token::Operator(s)) if *s == symbol)
    }

    fn accept(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.accept(symbol) {
            Ok(())
        } else {
            Err(unexpected(self.peek()))
        }
    }

    fn expression(&mut self) -> Parsed<Grown> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            let reason = format!("it is nested deeper than {MAX_NESTING}");
            return Err(XPathError::Syntax(reason));
        }
        let parsed = self.operators();
        self.nesting -= 1;
        parsed
    }

    fn primary(&mut self) -> Parsed<Grown> {
        match self.take() {
            Some(Token::Number(number)) => Ok(Grown::leaf(Expression::Number(number))),
            Some(Token::Literal(text)) => Ok(Grown::leaf(Expression::Literal(text))),
            Some(Token::Symbol("(")) => {
                let expression = self.expression()?;
                self.expect(")")?;
                Ok(expression)
            }
            Some(Token::Name(name)) => self.call(&name),
            Some(Token::Symbol("$")) => Err(XPathError::Syntax("there are no variables".into())),
            token => Err(unexpected(token.as_ref())),
        }
    }

    fn call(&mut self, name: &str) -> Parsed<Grown> {
        let Some(function) = Function::named(name) else {
            return Err(XPathError::Syntax(format!("there is no function {name}()")));
        };
        self.expect("(")?;
        let mut arguments = Row::default();
        if !self.accept(")") {
            loop {
                arguments.push(self.expression()?);
                if !self.accept(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        let Row {
            expressions,
            height,
        } = arguments;
        if !function.takes(expressions.len()) {
            let reason = format!("{name}() does not take {} arguments", expressions.len());
            return Err(XPathError::Syntax(reason));
        }
        if function.wants_nodes() && !expressions.iter().all(Expression::gives_nodes) {
            return Err(XPathError::Syntax(format!("{name}() takes a node-set")));
        }
        Grown::above(height, Expression::Call(function, expressions))
    }
}
