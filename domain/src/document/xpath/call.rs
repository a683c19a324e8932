//! Calls the functions of the core library (section 4).

use std::borrow::Cow;
use std::collections::HashMap;

use super::evaluate::{Evaluated, Evaluator};
use super::expression::Expression;
use super::function::{Context, Function};
use super::value::{Item, Value, parse_number};
use crate::document::tree::NodeId;

impl<'a> Evaluator<'a> {
    /// Calls a function. The compiler of expressions has checked the number of arguments.
    pub(super) fn call<'v>(
        &self,
        function: Function,
        arguments: &'v [Expression],
        context: Context,
    ) -> Evaluated<Value<'v>>
    where
        'a: 'v,
    {
        let call = Call { arguments, context };
        match function {
            Function::Last => Ok(count(context.size)),
            Function::Position => Ok(count(context.position)),
            Function::True => Ok(Value::Boolean(true)),
            Function::False => Ok(Value::Boolean(false)),
            Function::Boolean => Ok(Value::Boolean(self.argument(&call)?.boolean())),
            Function::Not => Ok(Value::Boolean(!self.argument(&call)?.boolean())),
            Function::Count
            | Function::Id
            | Function::Sum
            | Function::LocalName
            | Function::NamespaceUri
            | Function::Name => self.of_nodes(function, &call),
            Function::Number | Function::Floor | Function::Ceiling | Function::Round => {
                self.of_number(function, &call)
            }
            Function::String
            | Function::Concat
            | Function::StringLength
            | Function::NormalizeSpace
            | Function::Translate
            | Function::Lang => self.of_text(function, &call),
            Function::StartsWith
            | Function::Contains
            | Function::SubstringBefore
            | Function::SubstringAfter
            | Function::Substring => self.of_part(function, &call),
        }
    }

    fn argument<'v>(&self, call: &Call<'v>) -> Evaluated<Value<'v>>
    where
        'a: 'v,
    {
        match call.arguments.first() {
            Some(argument) => self.value(argument, call.context),
            None => Ok(Value::Nodes(vec![call.context.item])),
        }
    }

    /// An argument as text. A missing argument means the context node.
    fn text<'v>(&self, call: &Call<'v>, index: usize) -> Evaluated<Cow<'v, str>>
    where
        'a: 'v,
    {
        match call.arguments.get(index) {
            Some(argument) => self.text_of(self.value(argument, call.context)?),
            None => self.text_of_item(call.context.item),
        }
    }

    fn number(&self, call: &Call<'_>, index: usize) -> Evaluated<f64> {
        match call.arguments.get(index) {
            Some(argument) => self.number_of(&self.value(argument, call.context)?),
            None => Ok(parse_number(&self.text_of_item(call.context.item)?)),
        }
    }

    fn of_nodes<'v>(&self, function: Function, call: &Call<'v>) -> Evaluated<Value<'v>>
    where
        'a: 'v,
    {
        let nodes = match call.arguments.first() {
            Some(argument) if function == Function::Id => {
                self.value(argument, call.context)?;
                // Without a DTD no attribute is an ID.
                return Ok(Value::Nodes(Vec::new()));
            }
            Some(argument) => self.nodes(argument, call.context)?,
            None => vec![call.context.item],
        };
        match function {
            Function::Count => Ok(count(nodes.len())),
            Function::Sum => {
                let mut sum = 0.0;
                for item in &nodes {
                    sum += parse_number(&self.text_of_item(*item)?);
                }
                Ok(Value::Number(sum))
            }
            name => Ok(Value::Text(Cow::Borrowed(match nodes.first() {
                Some(item) => name.name_of(self.tree, *item),
                None => "",
            }))),
        }
    }

    fn of_number<'v>(&self, function: Function, call: &Call<'v>) -> Evaluated<Value<'v>>
    where
        'a: 'v,
    {
        let number = self.number(call, 0)?;
        Ok(Value::Number(match function {
            Function::Floor => number.floor(),
            Function::Ceiling => number.ceil(),
            Function::Round => round(number),
            _ => number,
        }))
    }

    fn of_text<'v>(&self, function: Function, call: &Call<'v>) -> Evaluated<Value<'v>>
    where
        'a: 'v,
    {
        if function == Function::Concat {
            return self.concat(call);
        }
        let text = self.text(call, 0)?;
        Ok(match function {
            Function::StringLength => count(text.chars().count()),
            Function::NormalizeSpace => {
                self.meter.make_text(text.len())?;
                Value::Text(Cow::Owned(normalized(&text)))
            }
            Function::Translate => {
                let (from, to) = (self.text(call, 1)?, self.text(call, 2)?);
                Value::Text(Cow::Owned(self.translate(&text, &from, &to)?))
            }
            Function::Lang => Value::Boolean(self.lang(call.context.item, &text)?),
            _ => Value::Text(text),
        })
    }

    fn concat<'v>(&self, call: &Call<'v>) -> Evaluated<Value<'v>>
    where
        'a: 'v,
    {
        let mut all = String::new();
        for index in 0..call.arguments.len() {
            let text = self.text(call, index)?;
            self.meter.make_text(text.len())?;
            all.push_str(&text);
        }
        Ok(Value::Text(Cow::Owned(all)))
    }

    fn of_part<'v>(&self, function: Function, call: &Call<'v>) -> Evaluated<Value<'v>>
    where
        'a: 'v,
    {
        let text = self.text(call, 0)?;
        if function == Function::Substring {
            let first = self.number(call, 1)?;
            let length = match call.arguments.get(2) {
                Some(_) => Some(self.number(call, 2)?),
                None => None,
            };
            let range = substring(&text, first, length);
            return self.part(text, range);
        }
        let mark = self.text(call, 1)?;
        let at = match function {
            Function::StartsWith => return Ok(Value::Boolean(text.starts_with(&*mark))),
            Function::Contains => return Ok(Value::Boolean(text.contains(&*mark))),
            _ => text.find(&*mark),
        };
        let range = match (function, at) {
            (_, None) => 0..0,
            (Function::SubstringBefore, Some(at)) => 0..at,
            (_, Some(at)) => at + mark.len()..text.len(),
        };
        self.part(text, range)
    }

    fn part<'v>(&self, text: Cow<'v, str>, range: std::ops::Range<usize>) -> Evaluated<Value<'v>> {
        Ok(Value::Text(match text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[range]),
            Cow::Owned(text) => {
                self.meter.make_text(range.len())?;
                Cow::Owned(text[range].to_owned())
            }
        }))
    }

    fn translate(&self, text: &str, from: &str, to: &str) -> Evaluated<String> {
        self.meter.make_text(text.len())?;
        let mut table: HashMap<char, Option<char>> = HashMap::new();
        let mut to = to.chars();
        for from in from.chars() {
            let to = to.next();
            table.entry(from).or_insert(to);
        }
        let mut translated = String::with_capacity(text.len());
        for character in text.chars() {
            let by = table.get(&character).copied().unwrap_or(Some(character));
            let Some(by) = by else { continue };
            if translated.len() == translated.capacity() {
                self.meter.make_text(translated.len())?;
            }
            translated.push(by);
        }
        Ok(translated)
    }

    fn lang(&self, item: Item, wanted: &str) -> Evaluated<bool> {
        let start = match item {
            Item::Node(node) => node,
            Item::Attribute(owner, _) | Item::Namespace(owner, _) => owner,
        };
        for node in std::iter::successors(Some(start), |n: &NodeId| self.tree.parent(*n)) {
            self.visit(1 + self.tree.attribute_count(node))?;
            if let Some(declared) = self.tree.attribute(node, "xml:lang") {
                self.meter.make_text(declared.len() + wanted.len())?;
                return Ok(speaks(&declared.to_lowercase(), &wanted.to_lowercase()));
            }
        }
        Ok(false)
    }
}

/// The arguments of a function, and its context.
struct Call<'v> {
    arguments: &'v [Expression],
    context: Context,
}

#[allow(clippy::cast_precision_loss)] // Sizes of node-sets and strings are far below 2^52.
fn count<'v>(size: usize) -> Value<'v> {
    Value::Number(size as f64)
}

/// Rounds halves up, also below zero.
#[allow(clippy::float_cmp)] // Halves are exact.
fn round(number: f64) -> f64 {
    if number.fract() == -0.5 {
        number.ceil()
    } else {
        number.round()
    }
}

fn normalized(text: &str) -> String {
    let words = text.split([' ', '\t', '\r', '\n']);
    let mut normalized = String::with_capacity(text.len());
    for word in words.filter(|word| !word.is_empty()) {
        if !normalized.is_empty() {
            normalized.push(' ');
        }
        normalized.push_str(word);
    }
    normalized
}

/// The range of `substring`, in bytes (section 4.2). Positions are rounded. A character is included
/// if its position is not before the first one, and is before the first one plus the length.
#[allow(clippy::cast_precision_loss)]
fn substring(text: &str, first: f64, length: Option<f64>) -> std::ops::Range<usize> {
    let first = round(first);
    let end = length.map_or(f64::INFINITY, |length| first + round(length));
    let mut range = None;
    for (index, (at, character)) in text.char_indices().enumerate() {
        let position = (index + 1) as f64;
        if position >= first && position < end {
            let start = range.map_or(at, |(start, _)| start);
            range = Some((start, at + character.len_utf8()));
        }
    }
    range.map_or(0..0, |(start, end)| start..end)
}

/// Returns whether a declared language is the wanted one, or a dialect of it.
fn speaks(declared: &str, wanted: &str) -> bool {
    let rest = declared.strip_prefix(wanted);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}
