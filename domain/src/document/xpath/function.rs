//! The core function library.

use super::value::{Item, Value, parse_number};
use crate::document::tree::{Kind, NodeId, Tree};
use crate::document::well_formed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Last,
    Position,
    Count,
    Id,
    LocalName,
    NamespaceUri,
    Name,
    String,
    Concat,
    StartsWith,
    Contains,
    SubstringBefore,
    SubstringAfter,
    Substring,
    StringLength,
    NormalizeSpace,
    Translate,
    Boolean,
    Not,
    True,
    False,
    Lang,
    Number,
    Sum,
    Floor,
    Ceiling,
    Round,
}

/// What a function is called in.
#[derive(Clone, Copy)]
pub(crate) struct Context {
    pub item: Item,
    pub position: usize,
    pub size: usize,
}

impl Function {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "last" => Self::Last,
            "position" => Self::Position,
            "count" => Self::Count,
            "id" => Self::Id,
            "local-name" => Self::LocalName,
            "namespace-uri" => Self::NamespaceUri,
            "name" => Self::Name,
            "string" => Self::String,
            "concat" => Self::Concat,
            "starts-with" => Self::StartsWith,
            "contains" => Self::Contains,
            "substring-before" => Self::SubstringBefore,
            "substring-after" => Self::SubstringAfter,
            "substring" => Self::Substring,
            "string-length" => Self::StringLength,
            "normalize-space" => Self::NormalizeSpace,
            "translate" => Self::Translate,
            "boolean" => Self::Boolean,
            "not" => Self::Not,
            "true" => Self::True,
            "false" => Self::False,
            "lang" => Self::Lang,
            "number" => Self::Number,
            "sum" => Self::Sum,
            "floor" => Self::Floor,
            "ceiling" => Self::Ceiling,
            "round" => Self::Round,
            _ => return None,
        })
    }

    pub fn takes(self, arguments: usize) -> bool {
        match self {
            Self::Last | Self::Position | Self::True | Self::False => arguments == 0,
            Self::LocalName
            | Self::NamespaceUri
            | Self::Name
            | Self::String
            | Self::StringLength
            | Self::NormalizeSpace
            | Self::Number => arguments <= 1,
            Self::Count
            | Self::Id
            | Self::Boolean
            | Self::Not
            | Self::Lang
            | Self::Sum
            | Self::Floor
            | Self::Ceiling
            | Self::Round => arguments == 1,
            Self::StartsWith | Self::Contains | Self::SubstringBefore | Self::SubstringAfter => {
                arguments == 2
            }
            Self::Substring => arguments == 2 || arguments == 3,
            Self::Translate => arguments == 3,
            Self::Concat => arguments >= 2,
        }
    }

    /// Whether its argument must be a node-set.
    pub fn wants_nodes(self) -> bool {
        matches!(
            self,
            Self::Count | Self::Sum | Self::LocalName | Self::NamespaceUri | Self::Name
        )
    }

    /// Calls it. The number of arguments was checked when the expression was compiled.
    pub fn call(self, tree: &Tree, context: Context, arguments: &[Value]) -> Value {
        let text = |index: usize| {
            arguments.get(index).map_or_else(
                || context.item.string_value(tree),
                |argument| argument.text(tree),
            )
        };
        let number = |index: usize| {
            arguments.get(index).map_or_else(
                || parse_number(&context.item.string_value(tree)),
                |argument| argument.number(tree),
            )
        };
        let boolean = || arguments.first().is_some_and(Value::boolean);
        match self {
            Self::Last => count(context.size),
            Self::Position => count(context.position),
            Self::Count => match arguments {
                [Value::Nodes(nodes)] => count(nodes.len()),
                _ => Value::Number(f64::NAN),
            },
            // Without a DTD no attribute is an id.
            Self::Id => Value::Nodes(Vec::new()),
            Self::LocalName | Self::NamespaceUri | Self::Name => {
                let first = match arguments.first() {
                    None => Some(context.item),
                    Some(Value::Nodes(nodes)) => nodes.first().copied(),
                    Some(_) => None,
                };
                Value::Text(first.map_or_else(String::new, |item| self.name_of(tree, item)))
            }
            Self::String => Value::Text(text(0)),
            Self::Concat => Value::Text(arguments.iter().map(|a| a.text(tree)).collect()),
            Self::StartsWith => Value::Boolean(text(0).starts_with(&text(1))),
            Self::Contains => Value::Boolean(text(0).contains(&text(1))),
            Self::SubstringBefore => {
                let (text, mark) = (text(0), text(1));
                Value::Text(
                    text.split_once(&mark)
                        .map_or("", |(before, _)| before)
                        .to_owned(),
                )
            }
            Self::SubstringAfter => {
                let (text, mark) = (text(0), text(1));
                Value::Text(
                    text.split_once(&mark)
                        .map_or("", |(_, after)| after)
                        .to_owned(),
                )
            }
            Self::Substring => {
                let length = arguments.get(2).map(|argument| argument.number(tree));
                Value::Text(substring(&text(0), number(1), length))
            }
            Self::StringLength => count(text(0).chars().count()),
            Self::NormalizeSpace => {
                let text = text(0);
                let words = text
                    .split([' ', '\t', '\r', '\n'])
                    .filter(|w| !w.is_empty());
                Value::Text(words.collect::<Vec<_>>().join(" "))
            }
            Self::Translate => Value::Text(translate(&text(0), &text(1), &text(2))),
            Self::Boolean => Value::Boolean(boolean()),
            Self::Not => Value::Boolean(!boolean()),
            Self::True => Value::Boolean(true),
            Self::False => Value::Boolean(false),
            Self::Lang => Value::Boolean(lang(tree, context.item, &text(0))),
            Self::Number => Value::Number(number(0)),
            Self::Sum => Value::Number(match arguments {
                [Value::Nodes(nodes)] => {
                    let numbers = nodes.iter().map(|n| parse_number(&n.string_value(tree)));
                    numbers.sum::<f64>() + 0.0
                }
                _ => f64::NAN,
            }),
            Self::Floor => Value::Number(number(0).floor()),
            Self::Ceiling => Value::Number(number(0).ceil()),
            Self::Round => Value::Number(round(number(0))),
        }
    }

    fn name_of(self, tree: &Tree, item: Item) -> String {
        let (name, namespace) = match item {
            Item::Attribute(owner, index) => {
                let attribute = tree.attribute_at(owner, index);
                (attribute.name, attribute.namespace)
            }
            Item::Node(node) => match tree.kind(node) {
                Kind::Element => (tree.name(node), tree.namespace(node)),
                Kind::Instruction => (tree.name(node), ""),
                Kind::Root | Kind::Text | Kind::Comment => ("", ""),
            },
        };
        match self {
            Self::LocalName => {
                let prefix = well_formed::prefix(name).map_or(0, |prefix| prefix.len() + 1);
                name[prefix..].to_owned()
            }
            Self::NamespaceUri => namespace.to_owned(),
            _ => name.to_owned(),
        }
    }
}

#[allow(clippy::cast_precision_loss)] // Sizes of node-sets and strings are far below 2^52.
fn count(size: usize) -> Value {
    Value::Number(size as f64)
}

/// Half goes up, also below zero.
#[allow(clippy::float_cmp)] // Halves are exact.
fn round(number: f64) -> f64 {
    if number.fract() == -0.5 {
        number.ceil()
    } else {
        number.round()
    }
}

/// Section 4.2: positions are rounded, and a character is in if its position is not before the
/// first and before the first plus the length.
#[allow(clippy::cast_precision_loss)]
fn substring(text: &str, first: f64, length: Option<f64>) -> String {
    let first = round(first);
    let end = length.map_or(f64::INFINITY, |length| first + round(length));
    text.chars()
        .enumerate()
        .filter(|(index, _)| {
            let position = (index + 1) as f64;
            position >= first && position < end
        })
        .map(|(_, character)| character)
        .collect()
}

fn translate(text: &str, from: &str, to: &str) -> String {
    let to: Vec<char> = to.chars().collect();
    text.chars()
        .filter_map(|c| match from.chars().position(|f| f == c) {
            None => Some(c),
            Some(index) => to.get(index).copied(),
        })
        .collect()
}

fn lang(tree: &Tree, item: Item, wanted: &str) -> bool {
    let start = match item {
        Item::Node(node) => node,
        Item::Attribute(owner, _) => owner,
    };
    let declared = std::iter::successors(Some(start), |n: &NodeId| tree.parent(*n))
        .filter(|node| tree.is_element(*node))
        .find_map(|node| tree.attribute(node, "xml:lang"));
    declared.is_some_and(|declared| {
        let (declared, wanted) = (declared.to_lowercase(), wanted.to_lowercase());
        declared == wanted
            || declared
                .strip_prefix(&wanted)
                .is_some_and(|rest| rest.starts_with('-'))
    })
}
