//! The grammar of XPath 1.0, by recursive descent.

mod path;

use super::XPathError;
use super::expression::{Arithmetic, Comparison, Expression};
use super::function::Function;
use super::lexer::{Token, tokens};

/// The deepest nesting of an expression.
const MAX_NESTING: usize = 64;

type Parsed<T> = Result<T, XPathError>;
type Make = fn(Box<Expression>, Box<Expression>) -> Expression;

pub(super) fn parse(text: &str) -> Parsed<Expression> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        nesting: 0,
    };
    let expression = parser.expression()?;
    match parser.peek() {
        None => Ok(expression),
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

    fn expression(&mut self) -> Parsed<Expression> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            let reason = format!("it is nested deeper than {MAX_NESTING}");
            return Err(XPathError::Syntax(reason));
        }
        let parsed = self.level(0);
        self.nesting -= 1;
        parsed
    }

    /// The operators by how tightly they bind, the loosest first.
    fn level(&mut self, level: usize) -> Parsed<Expression> {
        use Arithmetic as A;
        use Comparison as C;
        use Expression as E;
        const LEVELS: [&[(&str, Make)]; 6] = [
            &[("or", |a, b| E::Or(a, b))],
            &[("and", |a, b| E::And(a, b))],
            &[
                ("=", |a, b| E::Compare(C::Equal, a, b)),
                ("!=", |a, b| E::Compare(C::NotEqual, a, b)),
            ],
            &[
                ("<", |a, b| E::Compare(C::Less, a, b)),
                ("<=", |a, b| E::Compare(C::LessOrEqual, a, b)),
                (">", |a, b| E::Compare(C::Greater, a, b)),
                (">=", |a, b| E::Compare(C::GreaterOrEqual, a, b)),
            ],
            &[
                ("+", |a, b| E::Arithmetic(A::Add, a, b)),
                ("-", |a, b| E::Arithmetic(A::Subtract, a, b)),
            ],
            &[
                ("*", |a, b| E::Arithmetic(A::Multiply, a, b)),
                ("div", |a, b| E::Arithmetic(A::Divide, a, b)),
                ("mod", |a, b| E::Arithmetic(A::Modulo, a, b)),
            ],
        ];
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.level(level + 1)?;
        let mut chained = 0;
        while let Some((symbol, make)) = operators.iter().find(|(symbol, _)| self.is(symbol)) {
            chained += 1;
            if chained > MAX_NESTING {
                let reason = format!("more than {MAX_NESTING} '{symbol}' in a row");
                return Err(XPathError::Syntax(reason));
            }
            self.at += 1;
            let right = self.level(level + 1)?;
            left = make(Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed<Expression> {
        let mut signs = 0;
        while self.accept("-") {
            signs += 1;
        }
        let operand = self.union()?;
        // Two signs still make a number of what is none.
        Ok(match signs {
            0 => operand,
            signs if signs % 2 == 1 => Expression::Negate(Box::new(operand)),
            _ => Expression::Negate(Box::new(Expression::Negate(Box::new(operand)))),
        })
    }

    fn union(&mut self) -> Parsed<Expression> {
        let mut left = self.path()?;
        let mut chained = 0;
        while self.accept("|") {
            chained += 1;
            if chained > MAX_NESTING {
                return Err(XPathError::Syntax(format!("more than {MAX_NESTING} '|'")));
            }
            let right = self.path()?;
            for operand in [&left, &right] {
                if !gives_nodes(operand) {
                    return Err(XPathError::Syntax("a union is of node-sets".into()));
                }
            }
            left = Expression::Union(Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn primary(&mut self) -> Parsed<Expression> {
        match self.take() {
            Some(Token::Number(number)) => Ok(Expression::Number(number)),
            Some(Token::Literal(text)) => Ok(Expression::Literal(text)),
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

    fn call(&mut self, name: &str) -> Parsed<Expression> {
        let Some(function) = Function::named(name) else {
            return Err(XPathError::Syntax(format!("there is no function {name}()")));
        };
        self.expect("(")?;
        let mut arguments = Vec::new();
        if !self.accept(")") {
            loop {
                arguments.push(self.expression()?);
                if !self.accept(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        if !function.takes(arguments.len()) {
            let reason = format!("{name}() does not take {} arguments", arguments.len());
            return Err(XPathError::Syntax(reason));
        }
        if function.wants_nodes() && arguments.iter().any(|a| !gives_nodes(a)) {
            return Err(XPathError::Syntax(format!("{name}() takes a node-set")));
        }
        Ok(Expression::Call(function, arguments))
    }
}

fn gives_nodes(expression: &Expression) -> bool {
    matches!(
        expression,
        Expression::Path(_) | Expression::Union(..) | Expression::Call(Function::Id, _)
    )
}
