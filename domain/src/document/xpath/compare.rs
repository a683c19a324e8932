//! Comparisons: section 3.4.

use super::evaluate::{Evaluated, Evaluator};
use super::expression::Comparison;
use super::value::{Item, Value, parse_number};

impl Evaluator<'_> {
    /// Section 3.4.
    pub(super) fn compare(&self, how: Comparison, a: &Value, b: &Value) -> Evaluated<bool> {
        let equality = matches!(how, Comparison::Equal | Comparison::NotEqual);
        Ok(match (a, b) {
            (Value::Boolean(_), _) | (_, Value::Boolean(_)) if equality => {
                holds(how, a.boolean(), b.boolean())
            }
            (Value::Nodes(left), Value::Nodes(right)) => {
                let left = self.texts(left)?;
                let right = self.texts(right)?;
                self.any_pair(how, equality, &left, &right)?
            }
            (Value::Nodes(nodes), Value::Boolean(value)) => {
                holds(how, number(!nodes.is_empty()), number(*value))
            }
            (Value::Boolean(value), Value::Nodes(nodes)) => {
                holds(how, number(*value), number(!nodes.is_empty()))
            }
            (Value::Nodes(nodes), other) => {
                let mut texts = self.texts(nodes)?.into_iter();
                match other {
                    Value::Text(text) if equality => texts.any(|t| holds(how, t.as_str(), text)),
                    other => {
                        let other = other.number(self.tree);
                        texts.any(|t| holds(how, parse_number(&t), other))
                    }
                }
            }
            (other, Value::Nodes(_)) => self.compare(mirrored(how), b, other)?,
            (Value::Number(_), _) | (_, Value::Number(_)) => {
                holds(how, a.number(self.tree), b.number(self.tree))
            }
            _ if equality => holds(how, a.text(self.tree), b.text(self.tree)),
            _ => holds(how, a.number(self.tree), b.number(self.tree)),
        })
    }

    fn texts(&self, nodes: &[Item]) -> Evaluated<Vec<String>> {
        let mut texts = Vec::with_capacity(nodes.len());
        for item in nodes {
            self.visit_text(&Value::Nodes(vec![*item]))?;
            texts.push(item.string_value(self.tree));
        }
        Ok(texts)
    }

    fn any_pair(
        &self,
        how: Comparison,
        equality: bool,
        left: &[String],
        right: &[String],
    ) -> Evaluated<bool> {
        for a in left {
            self.visit(right.len())?;
            let found = right.iter().any(|b| {
                if equality {
                    holds(how, a, b)
                } else {
                    holds(how, parse_number(a), parse_number(b))
                }
            });
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn number(value: bool) -> f64 {
    f64::from(u8::from(value))
}

#[allow(clippy::needless_pass_by_value)] // Numbers and references: a copy either way.
fn holds<T: PartialOrd>(how: Comparison, a: T, b: T) -> bool {
    match how {
        Comparison::Equal => a == b,
        Comparison::NotEqual => a != b,
        Comparison::Less => a < b,
        Comparison::LessOrEqual => a <= b,
        Comparison::Greater => a > b,
        Comparison::GreaterOrEqual => a >= b,
    }
}

fn mirrored(how: Comparison) -> Comparison {
    match how {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        same => same,
    }
}
