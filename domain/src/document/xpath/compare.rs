//! Comparisons (section 3.4). Two node-sets are compared in one pass over each.

use std::borrow::Cow;
use std::collections::HashSet;

use super::evaluate::{Evaluated, Evaluator};
use super::expression::Comparison;
use super::value::{Item, Value, parse_number};

/// The approximate memory of a value in the set of sought values, in bytes.
const SOUGHT_BYTES: usize = 48;

impl<'a> Evaluator<'a> {
    /// Compares two values (section 3.4).
    pub(super) fn compare(&self, how: Comparison, a: &Value<'_>, b: &Value<'_>) -> Evaluated<bool> {
        let equality = is_equality(how);
        Ok(match (a, b) {
            (Value::Boolean(_), _) | (_, Value::Boolean(_)) if equality => {
                holds(how, a.boolean(), b.boolean())
            }
            (Value::Nodes(left), Value::Nodes(right)) => self.node_sets(how, left, right)?,
            (Value::Nodes(nodes), Value::Boolean(value)) => {
                holds(how, number(!nodes.is_empty()), number(*value))
            }
            (Value::Boolean(value), Value::Nodes(nodes)) => {
                holds(how, number(*value), number(!nodes.is_empty()))
            }
            (Value::Nodes(nodes), other) => self.any_is(how, nodes, other)?,
            (other, Value::Nodes(nodes)) => self.any_is(mirrored(how), nodes, other)?,
            (Value::Text(a), Value::Text(b)) if equality => {
                self.meter.read(a.len().min(b.len()))?;
                holds(how, a, b)
            }
            _ => holds(how, self.number_of(a)?, self.number_of(b)?),
        })
    }

    /// Returns whether any node satisfies the comparison with a text or a number.
    fn any_is(&self, how: Comparison, nodes: &[Item], other: &Value<'_>) -> Evaluated<bool> {
        if let (Value::Text(text), true) = (other, is_equality(how)) {
            for item in nodes {
                if holds(how, &*self.text_of_item(*item)?, &**text) {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        let other = self.number_of(other)?;
        for item in nodes {
            if holds(how, self.number_of_item(*item)?, other) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn number_of_item(&self, item: Item) -> Evaluated<f64> {
        Ok(parse_number(&self.text_of_item(item)?))
    }

    /// Returns whether any node of one set satisfies the comparison with any node of the other.
    fn node_sets(&self, how: Comparison, left: &[Item], right: &[Item]) -> Evaluated<bool> {
        match how {
            Comparison::Equal => self.any_in_both(left, right),
            Comparison::NotEqual => self.any_differs(left, right),
            Comparison::Less | Comparison::LessOrEqual => {
                let (least, most) = (
                    self.extreme(left, f64::min)?,
                    self.extreme(right, f64::max)?,
                );
                Ok(both(least, most).is_some_and(|(least, most)| holds(how, least, most)))
            }
            Comparison::Greater | Comparison::GreaterOrEqual => {
                let (most, least) = (
                    self.extreme(left, f64::max)?,
                    self.extreme(right, f64::min)?,
                );
                Ok(both(most, least).is_some_and(|(most, least)| holds(how, most, least)))
            }
        }
    }

    fn any_in_both(&self, left: &[Item], right: &[Item]) -> Evaluated<bool> {
        let (few, many) = if left.len() <= right.len() {
            (left, right)
        } else {
            (right, left)
        };
        let mut sought: HashSet<Cow<'a, str>> = HashSet::new();
        for item in few {
            self.meter.make_text(SOUGHT_BYTES)?;
            sought.insert(self.text_of_item(*item)?);
        }
        for item in many {
            if sought.contains(&self.text_of_item(*item)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn any_differs(&self, left: &[Item], right: &[Item]) -> Evaluated<bool> {
        let (Some(first), false) = (left.first(), right.is_empty()) else {
            return Ok(false);
        };
        // If every node equals the first node of the left set, no two nodes differ.
        let first = self.text_of_item(*first)?;
        for item in left.iter().chain(right) {
            if self.text_of_item(*item)? != first {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The least or greatest number of some nodes; `None` if no node is a number.
    fn extreme(&self, nodes: &[Item], of: fn(f64, f64) -> f64) -> Evaluated<Option<f64>> {
        let mut extreme = None;
        for item in nodes {
            let number = self.number_of_item(*item)?;
            if !number.is_nan() {
                extreme = Some(extreme.map_or(number, |known| of(known, number)));
            }
        }
        Ok(extreme)
    }
}

fn both(a: Option<f64>, b: Option<f64>) -> Option<(f64, f64)> {
    Some((a?, b?))
}

fn is_equality(how: Comparison) -> bool {
    matches!(how, Comparison::Equal | Comparison::NotEqual)
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
