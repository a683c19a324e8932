//! Sections 4.2 to 4.5 of `docs/vnml.md`, read as literally as possible.
//!
//! Every element is resolved on its own, as a tree of its own. Laying one tree over another is a
//! function of the two. The code shares nothing, caches nothing, and is slow. It records an error
//! and continues, because the contract does not say which error is found first.

use std::collections::BTreeSet;

use crate::made::{Key, Made, Text, Value, is_blank};
use crate::path::{self, Node, Unusable};
use crate::tree::{Bindings, Piece, Tree};

/// The most references in a chain (section 6).
const MAX_CHAIN: usize = 64;
/// How many elements may be made of one document. A document that needs more is not compared.
const MAX_MADE: usize = 3_000;

/// The outcome of a document: the elements, or the codes of all errors.
pub enum Outcome {
    Made(Vec<Made>),
    Wrong(BTreeSet<&'static str>),
    TooLarge,
}

struct Hydration<'a> {
    tree: &'a Tree,
    wrong: BTreeSet<&'static str>,
    made: usize,
}

/// The origin of an element: the context that `use` bound, and the references that brought it in.
#[derive(Clone, Default)]
struct Origin {
    context: Option<usize>,
    /// The selecting elements on the path to it.
    chain: Vec<usize>,
}

/// Hydrates the document element as a whole, except for its own `select`.
pub fn whole(tree: &Tree) -> Outcome {
    run(tree, |hydration| {
        vec![hydration.content(0, &Origin::default())]
    })
}

/// Hydrates every valuation, except for its own `select`.
pub fn valuations(tree: &Tree) -> Outcome {
    run(tree, |hydration| {
        let all = 0..tree.0.len();
        let valuations = all.filter(|at| tree.is(*at, "valuation"));
        valuations
            .flat_map(|at| hydration.valuation(at, false))
            .collect()
    })
}

/// Hydrates the valuations of a group, each with its own name.
pub fn tasks(tree: &Tree, group: usize) -> Outcome {
    run(tree, |hydration| {
        let children = tree.children(group).into_iter();
        let valuations = children.filter(|at| tree.is(*at, "valuation"));
        valuations
            .flat_map(|at| hydration.valuation(at, true))
            .collect()
    })
}

fn run(tree: &Tree, hydrate: impl FnOnce(&mut Hydration) -> Vec<Made>) -> Outcome {
    let mut hydration = Hydration {
        tree,
        wrong: BTreeSet::new(),
        made: 0,
    };
    let made = hydrate(&mut hydration);
    if hydration.made > MAX_MADE {
        Outcome::TooLarge
    } else if hydration.wrong.is_empty() {
        Outcome::Made(made)
    } else {
        Outcome::Wrong(hydration.wrong)
    }
}

impl Hydration<'_> {
    /// 4.3: one copy for each child of each element, or the valuation itself.
    fn valuation(&mut self, at: usize, own: bool) -> Vec<Made> {
        let written = self.tree.attribute(at, "use").unwrap_or_default();
        let contexts = if written.is_empty() {
            Ok(vec![None])
        } else {
            self.contexts(written)
                .map(|found| found.into_iter().map(Some).collect())
        };
        let contexts = contexts.unwrap_or_else(|code| {
            self.wrong.insert(code);
            Vec::new()
        });
        let copies = contexts.into_iter().map(|context| {
            let origin = Origin {
                context,
                chain: Vec::new(),
            };
            let mut copy = self.content(at, &origin);
            if context.is_some() {
                copy.attributes.remove(&(String::new(), "use".to_owned()));
            }
            if own {
                copy = self.selecting(copy, at, &origin);
            }
            copy
        });
        copies.collect()
    }

    fn contexts(&self, written: &str) -> Result<Vec<usize>, &'static str> {
        let arguments = written.strip_prefix("vn:link(");
        let arguments = arguments.and_then(|rest| rest.strip_suffix(')'));
        let (source, child) = arguments
            .and_then(|arguments| arguments.rsplit_once(','))
            .ok_or("hydration-syntax")?;
        let parents = path::nodes(self.tree, source.trim(), None).map_err(code)?;
        let parents: Vec<usize> = parents.iter().filter_map(element).collect();
        let children = parents.iter().flat_map(|at| self.tree.children(*at));
        let name = (String::new(), child.trim().to_owned());
        let children: Vec<usize> = children
            .filter(|at| self.tree.0[*at].name == name)
            .collect();
        if children.is_empty() {
            return Err("hydration-no-match");
        }
        Ok(children)
    }

    /// Resolves an element on its own.
    fn alone(&mut self, at: usize, origin: &Origin) -> Made {
        let element = &self.tree.0[at];
        let ours = element.name.0.is_empty();
        let is_used = |value: Option<&str>| value.is_some_and(|value| !value.is_empty());
        if ours && is_used(self.tree.attribute(at, "use")) {
            return Made::written(self.tree, at);
        }
        let local = self.content(at, origin);
        self.selecting(local, at, origin)
    }

    /// The element, or the selected element with it laid over.
    fn selecting(&mut self, mut local: Made, at: usize, origin: &Origin) -> Made {
        let ours = self.tree.0[at].name.0.is_empty();
        let select = (String::new(), "select".to_owned());
        if !ours || !local.attributes.contains_key(&select) {
            return local;
        }
        let expression = local.attributes.remove(&select).unwrap_or_default();
        match self.selected(at, &expression.text, origin) {
            Ok(selected) => {
                let mut inner = origin.clone();
                inner.chain.push(at);
                let mut other = self.content(selected, &inner);
                if other.name.0.is_empty() {
                    other.attributes.remove(&select);
                }
                let mut laid = Self::laid(local, other, true);
                // An element that was laid over another as a whole is matched by its result.
                laid.children
                    .iter_mut()
                    .for_each(|(child, _)| child.settle());
                laid
            }
            Err(code) => {
                self.wrong.insert(code);
                local
            }
        }
    }

    /// The attributes of an element after 4.4, its text, and its children, each resolved.
    fn content(&mut self, at: usize, origin: &Origin) -> Made {
        self.made += 1;
        let mut made = Made::written(self.tree, at);
        if self.tree.0[at].name.0.is_empty() {
            for value in made.attributes.values_mut() {
                match self.placed(value, origin) {
                    Ok(Some(placed)) => *value = placed,
                    Ok(None) => {}
                    Err(code) => {
                        self.wrong.insert(code);
                    }
                }
            }
        }
        made.key = Key::of(&made);
        made.children.clear();
        let mut notes = Vec::new();
        for piece in &self.tree.0[at].content {
            match piece {
                Piece::Note(note) => notes.push(note.clone()),
                Piece::Element(child) if self.made <= MAX_MADE => {
                    let child = self.alone(*child, origin);
                    made.children.push((child, Value::default()));
                }
                Piece::Element(_) => {}
                Piece::Text(text) => {
                    if let Some((_, tail)) = made.children.last_mut() {
                        tail.bindings = self.tree.0[at].bindings.clone();
                        tail.text.push_str(text);
                    }
                }
            }
        }
        made.notes = notes;
        made
    }

    /// 4.4: the value of a placeholder, if the text is one.
    fn placed(&self, value: &Value, origin: &Origin) -> Result<Option<Value>, &'static str> {
        let inner = value.text.strip_prefix("${select(");
        let Some(expression) = inner.and_then(|inner| inner.strip_suffix(")}")) else {
            return Ok(None);
        };
        let found = path::nodes(self.tree, expression, origin.context).map_err(code)?;
        match &found[..] {
            [] => Err("hydration-no-match"),
            [Node::Element(at)] => Ok(Some(Value {
                text: Made::written(self.tree, *at).literal().form(),
                bindings: Bindings::default(),
            })),
            [one] => Ok(Some(Value {
                text: path::string(self.tree, one),
                bindings: value.bindings.clone(),
            })),
            _ => Err("hydration-ambiguous"),
        }
    }

    /// 4.2: the selected element, if the chain of references allows it.
    fn selected(&self, at: usize, expression: &str, from: &Origin) -> Result<usize, &'static str> {
        let found = path::nodes(self.tree, expression, from.context).map_err(code)?;
        let found: Vec<usize> = found.iter().filter_map(element).collect();
        let selected = match found[..] {
            [] => return Err("hydration-no-match"),
            [one] => one,
            _ => return Err("hydration-ambiguous"),
        };
        let mut on_the_way = from.chain.iter().chain([&at]);
        if on_the_way.any(|link| self.tree.way(*link).contains(&selected))
            || from.chain.len() + 1 > MAX_CHAIN
        {
            return Err("hydration-cycle");
        }
        Ok(selected)
    }

    /// 4.5: one element laid over another. `selecting` is the element that carries `select`.
    fn laid(local: Made, other: Made, selecting: bool) -> Made {
        let key = Key {
            tag: local.key.tag,
            name: local.key.name.or(other.key.name.filter(|_| !selecting)),
            id: local.key.id.or(other.key.id.filter(|_| !selecting)),
        };
        let mut attributes = other.attributes;
        attributes.extend(local.attributes);
        let prefer = |first: Text, second: Text| if is_blank(&first) { second } else { first };
        let (name, text) = if selecting {
            (other.name, prefer(other.text, local.text))
        } else {
            (local.name, prefer(local.text, other.text))
        };
        let counterparts = counterparts(&local.children, &other.children);
        let mut others: Vec<Option<(Made, Text)>> = other.children.into_iter().map(Some).collect();
        let mut children = Vec::new();
        for ((child, tail), counterpart) in local.children.into_iter().zip(counterparts) {
            let counterpart = counterpart.and_then(|at| others[at].take());
            children.push(match counterpart {
                Some((other, behind)) => (Self::laid(child, other, false), prefer(tail, behind)),
                None => (child, tail),
            });
        }
        children.extend(others.into_iter().flatten());
        Made {
            name,
            key,
            attributes,
            text,
            children,
            notes: [local.notes, other.notes].concat(),
        }
    }
}

/// For each local child, the child of the other side that it is laid over.
fn counterparts(local: &[(Made, Text)], other: &[(Made, Text)]) -> Vec<Option<usize>> {
    let mut found = vec![None; local.len()];
    let passes: [fn(&Key, &Key) -> bool; 3] = [
        |l, o| l.name.is_some() && l.name == o.name,
        |l, o| l.id.is_some() && l.id == o.id,
        |l, o| [&l.name, &l.id, &o.name, &o.id] == [&None; 4],
    ];
    for pass in passes {
        for at in 0..local.len() {
            let key = &local[at].0.key;
            if found[at].is_none() {
                found[at] = (0..other.len()).find(|to| {
                    let theirs = &other[*to].0.key;
                    !found.contains(&Some(*to)) && key.tag == theirs.tag && pass(key, theirs)
                });
            }
        }
    }
    found
}

fn element(node: &Node) -> Option<usize> {
    match node {
        Node::Element(at) => Some(*at),
        _ => None,
    }
}

fn code(unusable: Unusable) -> &'static str {
    match unusable {
        Unusable::Syntax => "hydration-syntax",
        Unusable::NoContext => "hydration-no-context",
    }
}
