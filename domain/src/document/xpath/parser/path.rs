//! The grammar of location paths.

use super::{Parsed, Parser, gives_nodes, unexpected};
use crate::document::xpath::XPathError;
use crate::document::xpath::axis::Axis;
use crate::document::xpath::expression::{Expression, Path, Start, Step, Test};
use crate::document::xpath::lexer::Token;

impl Parser {
    pub(super) fn path(&mut self) -> Parsed<Expression> {
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

/// What `//` is short for.
fn any_descendant() -> Step {
    Step {
        axis: Axis::DescendantOrSelf,
        test: Test::Node,
        predicates: Vec::new(),
    }
}
