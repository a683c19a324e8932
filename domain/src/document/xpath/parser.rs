//! The grammar of XPath 1.0, by recursive descent.

use super::XPathError;
use super::axis::Axis;
use super::expression::{Arithmetic, Comparison, Expression, Path, Start, Step, Test};
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

    fn path(&mut self) -> Parsed<Expression> {
        if self.is("/") || self.is("//") {
            let mut steps = Vec::new();
            if self.accept("//") {
                steps.push(any_descendant());
            } else {
                self.at += 1;
                if !self.step_follows() {
                    return Ok(Expression::Path(Path {
                        start: Start::Root,
                        steps,
                    }));
                }
            }
            self.steps(&mut steps)?;
            return Ok(Expression::Path(Path {
                start: Start::Root,
                steps,
            }));
        }
        if !self.primary_follows() {
            let mut steps = Vec::new();
            self.steps(&mut steps)?;
            return Ok(Expression::Path(Path {
                start: Start::Context,
                steps,
            }));
        }
        let primary = self.primary()?;
        let predicates = self.predicates()?;
        let mut steps = Vec::new();
        if self.accept("//") {
            steps.push(any_descendant());
            self.steps(&mut steps)?;
        } else if self.accept("/") {
            self.steps(&mut steps)?;
        }
        if steps.is_empty() && predicates.is_empty() {
            return Ok(primary);
        }
        if !gives_nodes(&primary) {
            return Err(XPathError::Syntax("a path begins at a node-set".into()));
        }
        Ok(Expression::Path(Path {
            start: Start::Filter(Box::new(primary), predicates),
            steps,
        }))
    }

    fn step_follows(&self) -> bool {
        match self.peek() {
            Some(Token::Name(_) | Token::Star | Token::PrefixStar(_)) => true,
            Some(Token::Symbol(symbol)) => matches!(*symbol, "." | ".." | "@"),
            _ => false,
        }
    }

    fn primary_follows(&self) -> bool {
        match self.peek() {
            Some(Token::Number(_) | Token::Literal(_) | Token::Symbol("(" | "$")) => true,
            Some(Token::Name(name)) => {
                self.peek_after() == Some(&Token::Symbol("(")) && !is_node_type(name)
            }
            _ => false,
        }
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

    fn predicates(&mut self) -> Parsed<Vec<Expression>> {
        let mut predicates = Vec::new();
        while self.accept("[") {
            predicates.push(self.expression()?);
            self.expect("]")?;
        }
        Ok(predicates)
    }

    fn steps(&mut self, steps: &mut Vec<Step>) -> Parsed<()> {
        loop {
            steps.push(self.step()?);
            if self.accept("//") {
                steps.push(any_descendant());
            } else if !self.accept("/") {
                return Ok(());
            }
        }
    }

    fn step(&mut self) -> Parsed<Step> {
        for (symbol, axis) in [(".", Axis::Itself), ("..", Axis::Parent)] {
            if self.accept(symbol) {
                return Ok(Step {
                    axis,
                    test: Test::Node,
                    predicates: Vec::new(),
                });
            }
        }
        let axis = self.axis()?;
        let test = self.test()?;
        let predicates = self.predicates()?;
        Ok(Step {
            axis,
            test,
            predicates,
        })
    }

    fn axis(&mut self) -> Parsed<Axis> {
        if self.accept("@") {
            return Ok(Axis::Attribute);
        }
        if self.peek_after() != Some(&Token::Symbol("::")) {
            return Ok(Axis::Child);
        }
        let token = self.take();
        self.at += 1;
        match &token {
            Some(Token::Name(name)) => Axis::named(name)
                .ok_or_else(|| XPathError::Syntax(format!("there is no axis {name}"))),
            token => Err(unexpected(token.as_ref())),
        }
    }

    fn test(&mut self) -> Parsed<Test> {
        match self.take() {
            Some(Token::Star) => Ok(Test::Any),
            Some(Token::PrefixStar(prefix)) => Err(unbound(&prefix)),
            Some(Token::Name(name)) if self.is("(") => self.node_type(&name),
            Some(Token::Name(name)) => match name.split_once(':') {
                // The one prefix that is bound everywhere.
                Some(("xml", _)) | None => Ok(Test::Name(name)),
                Some((prefix, _)) => Err(unbound(prefix)),
            },
            token => Err(unexpected(token.as_ref())),
        }
    }

    fn node_type(&mut self, name: &str) -> Parsed<Test> {
        self.expect("(")?;
        let target = match self.peek() {
            Some(Token::Literal(text)) if name == "processing-instruction" => Some(text.clone()),
            _ => None,
        };
        self.at += usize::from(target.is_some());
        self.expect(")")?;
        match name {
            "text" => Ok(Test::Text),
            "comment" => Ok(Test::Comment),
            "node" => Ok(Test::Node),
            "processing-instruction" => Ok(Test::Instruction(target)),
            _ => Err(XPathError::Syntax(format!("{name}() cannot stand here"))),
        }
    }
}

fn unbound(prefix: &str) -> XPathError {
    XPathError::Syntax(format!("the prefix {prefix} is not bound in expressions"))
}

fn is_node_type(name: &str) -> bool {
    matches!(name, "text" | "comment" | "node" | "processing-instruction")
}

fn gives_nodes(expression: &Expression) -> bool {
    matches!(
        expression,
        Expression::Path(_) | Expression::Union(..) | Expression::Call(Function::Id, _)
    )
}

/// What `//` is short for.
fn any_descendant() -> Step {
    Step {
        axis: Axis::DescendantOrSelf,
        test: Test::Node,
        predicates: Vec::new(),
    }
}
