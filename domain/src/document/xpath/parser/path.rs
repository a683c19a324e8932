//! The grammar of location paths.

use super::{Grown, Parsed, Parser, Row, unexpected};
use crate::document::xpath::XPathError;
use crate::document::xpath::axis::Axis;
use crate::document::xpath::expression::{Expression, Path, Start, Step, Test};
use crate::document::xpath::lexer::Token;

impl Parser {
    pub(super) fn path(&mut self) -> Parsed<Grown> {
        if self.is("/") || self.is("//") {
            let mut steps = Steps::default();
            if self.accept("//") {
                steps.any_descendant();
            } else {
                self.at += 1;
                if !self.step_follows() {
                    return steps.path(Start::Root);
                }
            }
            self.steps(&mut steps)?;
            return steps.path(Start::Root);
        }
        if !self.primary_follows() {
            let mut steps = Steps::default();
            self.steps(&mut steps)?;
            return steps.path(Start::Context);
        }
        self.filter()
    }

    /// A path that does not begin with a step.
    fn filter(&mut self) -> Parsed<Grown> {
        let primary = self.primary()?;
        let predicates = self.predicates()?;
        let mut steps = Steps::default();
        if self.accept("//") {
            steps.any_descendant();
            self.steps(&mut steps)?;
        } else if self.accept("/") {
            self.steps(&mut steps)?;
        }
        if steps.steps.is_empty() && predicates.expressions.is_empty() {
            return Ok(primary);
        }
        if !primary.expression.gives_nodes() {
            return Err(XPathError::Syntax("a path begins at a node-set".into()));
        }
        steps.height = steps.height.max(primary.height).max(predicates.height);
        let start = Start::Filter(Box::new(primary.expression), predicates.expressions);
        steps.path(start)
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

    fn predicates(&mut self) -> Parsed<Row> {
        let mut predicates = Row::default();
        while self.accept("[") {
            predicates.push(self.expression()?);
            self.expect("]")?;
        }
        Ok(predicates)
    }

    fn steps(&mut self, steps: &mut Steps) -> Parsed<()> {
        loop {
            self.step(steps)?;
            if self.accept("//") {
                steps.any_descendant();
            } else if !self.accept("/") {
                return Ok(());
            }
        }
    }

    fn step(&mut self, steps: &mut Steps) -> Parsed<()> {
        for (symbol, axis) in [(".", Axis::Itself), ("..", Axis::Parent)] {
            if self.accept(symbol) {
                steps.push(axis, Test::Node, Row::default());
                return Ok(());
            }
        }
        let axis = self.axis()?;
        let test = self.test()?;
        let predicates = self.predicates()?;
        steps.push(axis, test, predicates);
        Ok(())
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
            Some(Token::PrefixStar(prefix)) if prefix == "xml" => Ok(Test::AnyOfXml),
            Some(Token::PrefixStar(prefix)) => Err(unbound(&prefix)),
            Some(Token::Name(name)) if self.is("(") => self.node_type(&name),
            Some(Token::Name(name)) => match name.split_once(':') {
                // `xml` is the only prefix that is always bound.
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

/// The steps of a path, and the height of the highest of their predicates.
#[derive(Default)]
struct Steps {
    steps: Vec<Step>,
    height: usize,
}

impl Steps {
    /// Adds the step for which `//` is short.
    fn any_descendant(&mut self) {
        self.push(Axis::DescendantOrSelf, Test::Node, Row::default());
    }

    /// Adds a step. `//name` becomes one walk instead of two if no predicate depends on position.
    fn push(&mut self, mut axis: Axis, test: Test, predicates: Row) {
        let after_any = self.steps.last().is_some_and(is_any_descendant);
        let counts = predicates.expressions.iter().any(Expression::counts);
        if after_any && axis == Axis::Child && !counts {
            self.steps.pop();
            axis = Axis::Descendant;
        }
        self.height = self.height.max(predicates.height);
        self.steps.push(Step {
            axis,
            test,
            predicates: predicates.expressions,
        });
    }

    fn path(self, start: Start) -> Parsed<Grown> {
        let steps = self.steps;
        Grown::above(self.height, Expression::Path(Path { start, steps }))
    }
}

fn is_any_descendant(step: &Step) -> bool {
    step.axis == Axis::DescendantOrSelf && step.test == Test::Node && step.predicates.is_empty()
}
