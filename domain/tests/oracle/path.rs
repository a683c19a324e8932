//! Evaluates the few shapes of expressions that the generator writes, step by step.

use crate::tree::{Piece, Tree};

/// An item in the value of an expression.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// The start of an absolute path.
    Root,
    Element(usize),
    /// An attribute or a text, by its element and its index there.
    Attribute(usize, usize),
    Text(usize, usize),
}

/// Why an expression has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    Syntax,
    NoContext,
}

/// The nodes that an expression gives, each once.
///
/// Supported are unions of paths of steps with a name, `*`, `@name`, `text()`, `.` and `..`, and
/// predicates `[1]`, `[last()]`, `[@a]` and `[@a='v']`.
pub fn nodes(tree: &Tree, expression: &str, context: Option<usize>) -> Result<Vec<Node>, Unusable> {
    let mut all = Vec::new();
    for path in expression.split('|').map(str::trim) {
        let (mut current, mut rest) = match path.strip_prefix('/') {
            Some(rest) => (vec![Node::Root], rest),
            None if path.is_empty() => return Err(Unusable::Syntax),
            None => (context.map(Node::Element).into_iter().collect(), path),
        };
        let relative = !path.starts_with('/');
        loop {
            if let Some(deeper) = rest.strip_prefix('/') {
                current = current.iter().flat_map(|n| descendants(tree, n)).collect();
                rest = deeper;
            }
            let (step, next) = split(rest);
            let found: Result<Vec<Vec<Node>>, Unusable> =
                current.iter().map(|node| taken(tree, node, step)).collect();
            // A step that cannot be read is an error even if there is no node to step from.
            taken(tree, &Node::Root, step)?;
            current = found?.into_iter().flatten().collect();
            current.sort();
            current.dedup();
            match next {
                Some(next) => rest = next,
                None => break,
            }
        }
        if relative && context.is_none() {
            return Err(Unusable::NoContext);
        }
        all.extend(current);
    }
    all.sort();
    all.dedup();
    Ok(all)
}

/// The first step, and the rest after its slash.
fn split(path: &str) -> (&str, Option<&str>) {
    let mut depth = 0;
    for (at, c) in path.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            '/' if depth == 0 => return (&path[..at], Some(&path[at + 1..])),
            _ => {}
        }
    }
    (path, None)
}

fn taken(tree: &Tree, from: &Node, step: &str) -> Result<Vec<Node>, Unusable> {
    let (test, mut predicates) = match step.find('[') {
        Some(at) => step.split_at(at),
        None => (step, ""),
    };
    let mut found = tested(tree, from, test)?;
    while !predicates.is_empty() {
        let inner = predicates.strip_prefix('[').ok_or(Unusable::Syntax)?;
        let (inner, rest) = inner.split_once(']').ok_or(Unusable::Syntax)?;
        found = kept(tree, found, inner)?;
        predicates = rest;
    }
    Ok(found)
}

fn tested(tree: &Tree, from: &Node, test: &str) -> Result<Vec<Node>, Unusable> {
    let children: Vec<usize> = match from {
        Node::Root => vec![0],
        Node::Element(at) => tree.children(*at),
        _ => Vec::new(),
    };
    let element = match from {
        Node::Element(at) => Some(*at),
        _ => None,
    };
    match test {
        "." => Ok(vec![from.clone()]),
        ".." => Ok(match (from, element) {
            (_, Some(at)) => vec![tree.0[at].parent.map_or(Node::Root, Node::Element)],
            (Node::Attribute(at, _) | Node::Text(at, _), _) => vec![Node::Element(*at)],
            _ => Vec::new(),
        }),
        "text()" => Ok(element.map_or_else(Vec::new, |at| texts(tree, at))),
        _ if test.starts_with('@') => Ok(element.map_or_else(Vec::new, |at| {
            let attributes = tree.0[at].attributes.iter().enumerate();
            let known =
                attributes.filter(|(_, (name, _))| name.0.is_empty() && name.1 == test[1..]);
            known.map(|(n, _)| Node::Attribute(at, n)).collect()
        })),
        // No prefix is bound, and no other test is supported.
        _ if test != "*" && !test.chars().all(char::is_alphanumeric) || test.is_empty() => {
            Err(Unusable::Syntax)
        }
        _ => Ok(children
            .into_iter()
            .filter(|child| {
                let (space, local) = &tree.0[*child].name;
                test == "*" || space.is_empty() && local == test
            })
            .map(Node::Element)
            .collect()),
    }
}

/// The texts of an element, by the index of their first piece.
fn texts(tree: &Tree, element: usize) -> Vec<Node> {
    let content = &tree.0[element].content;
    let first = |at: usize| at == 0 || !matches!(content[at - 1], Piece::Text(_));
    let pieces = content.iter().enumerate();
    pieces
        .filter(|(at, piece)| matches!(piece, Piece::Text(_)) && first(*at))
        .map(|(at, _)| Node::Text(element, at))
        .collect()
}

fn kept(tree: &Tree, nodes: Vec<Node>, predicate: &str) -> Result<Vec<Node>, Unusable> {
    if predicate == "last()" {
        return Ok(nodes.into_iter().last().into_iter().collect());
    }
    if let Ok(position) = predicate.parse::<usize>() {
        return Ok(nodes.into_iter().skip(position - 1).take(1).collect());
    }
    let test = predicate.strip_prefix('@').ok_or(Unusable::Syntax)?;
    let (name, value) = match test.split_once('=') {
        Some((name, quoted)) => (name, Some(quoted.trim_matches('\''))),
        None => (test, None),
    };
    let holds = |node: &Node| match node {
        Node::Element(at) => tree
            .attribute(*at, name)
            .is_some_and(|found| value.is_none_or(|value| value == found)),
        _ => false,
    };
    Ok(nodes.into_iter().filter(holds).collect())
}

fn descendants(tree: &Tree, node: &Node) -> Vec<Node> {
    let below = match node {
        Node::Root => vec![0],
        Node::Element(at) => tree.children(*at),
        _ => Vec::new(),
    };
    let mut all = vec![node.clone()];
    for child in below {
        all.extend(descendants(tree, &Node::Element(child)));
    }
    if let Node::Element(at) = node {
        all.extend(texts(tree, *at));
    }
    all
}

/// The string of an attribute or of a text.
pub fn string(tree: &Tree, node: &Node) -> String {
    match node {
        Node::Attribute(at, n) => tree.0[*at].attributes[*n].1.clone(),
        Node::Text(at, from) => {
            let pieces = tree.0[*at].content[*from..].iter();
            let texts = pieces.map_while(|piece| match piece {
                Piece::Text(text) => Some(text.as_str()),
                _ => None,
            });
            texts.collect()
        }
        Node::Root | Node::Element(_) => panic!("an element has no such string here"),
    }
}
