//! The core function library: the names and the arguments of its functions.

use super::value::Item;
use crate::document::tree::{Kind, Tree};
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

/// The context of a function call.
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

    /// Returns whether the argument of the function must be a node-set.
    pub fn wants_nodes(self) -> bool {
        matches!(
            self,
            Self::Count | Self::Sum | Self::LocalName | Self::NamespaceUri | Self::Name
        )
    }

    /// The name of a node, as one of the name functions gives it.
    pub fn name_of(self, tree: &Tree, item: Item) -> &str {
        let (name, namespace) = match item {
            Item::Attribute(owner, index) => {
                let attribute = tree.attribute_at(owner, index as usize);
                (attribute.name, attribute.namespace)
            }
            Item::Namespace(owner, index) => {
                let namespaces = tree.namespaces(owner);
                let prefix = namespaces
                    .get(index as usize)
                    .map_or("", |(prefix, _)| prefix);
                (prefix, "")
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
                &name[prefix..]
            }
            Self::NamespaceUri => namespace,
            _ => name,
        }
    }
}
