//! Hydration: references are replaced by what they refer to. See `vnml.md`, section 4.

mod cycle;
mod error;
mod href;
mod link;
mod merge;
mod piece;
mod place;
mod placeholder;
mod resources;
mod select;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::index::Index;
use super::limits::Limits;
use super::tree::{NodeId, Tree};
use super::xpath::{Evaluator, Expression, Value, XPathError, compile};

pub use error::HydrationError;
pub use resources::CapturedResources;

use place::{Place, Places};

pub(crate) use error::note;
pub(crate) use piece::{Element, Piece};

/// How far hydration goes below an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Everything is resolved.
    Whole,
    /// Only `href`: below an element with `use` the rest waits until it is expanded.
    HrefsOnly,
}

/// Hydrates elements of one document as it stands now.
pub(crate) struct Hydrator<'a> {
    tree: &'a Tree,
    resources: &'a CapturedResources,
    limits: Limits,
    evaluator: Evaluator<'a>,
    compiled: RefCell<HashMap<Box<str>, Rc<Expression>>>,
    /// What absolute expressions gave: their values do not depend on where they stand.
    absolute: RefCell<HashMap<Box<str>, Rc<Value>>>,
    made: Cell<u64>,
    /// What is referred to and not captured yet: all of it is asked for at once.
    missing: RefCell<Vec<String>>,
    places: RefCell<Places>,
}

/// Where an element is hydrated.
#[derive(Clone, Default)]
pub(crate) struct Scope<'a> {
    /// What `use` bound, for relative expressions.
    pub context: Option<NodeId>,
    /// What was referred to on the way here, outermost first.
    pub chain: Vec<(&'a Tree, NodeId)>,
    /// The place of an element that came in from elsewhere.
    pub place: Option<Rc<Place<'a>>>,
}

impl<'a> Scope<'a> {
    fn at(&self, place: Option<Rc<Place<'a>>>) -> Cow<'_, Self> {
        if place.is_none() && self.place.is_none() {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self {
            place,
            ..self.clone()
        })
    }
}

impl<'a> Hydrator<'a> {
    pub fn new(
        tree: &'a Tree,
        index: &'a Index,
        resources: &'a CapturedResources,
        limits: &Limits,
    ) -> Self {
        Self {
            tree,
            resources,
            limits: *limits,
            evaluator: Evaluator::new(tree, index, limits.max_visits),
            compiled: RefCell::default(),
            absolute: RefCell::default(),
            made: Cell::new(0),
            missing: RefCell::default(),
            places: RefCell::default(),
        }
    }

    /// Hydrates an element of the document for itself: what it is called by (`href`, `select`)
    /// is left alone where `own` is false.
    pub fn hydrate(
        &self,
        node: NodeId,
        own: bool,
        context: Option<NodeId>,
    ) -> Result<Element<'a>, HydrationError> {
        self.made.set(0);
        let scope = Scope {
            context,
            ..Scope::default()
        };
        let element = Element::of(self.tree, node);
        let hydrated = self.hrefs(element, own, &scope, 0).and_then(|mut element| {
            if context.is_some() {
                element.remove("use");
            }
            self.element(element, &scope, own, Depth::Whole, 0)
        });
        let uris = self.missing.take();
        if uris.is_empty() || is_too_costly(&hydrated) {
            return hydrated;
        }
        // What fails for want of something may not fail once it is there.
        Err(HydrationError::Missing { uris })
    }

    /// `href` comes first, wherever it is, before anything is selected.
    fn hrefs(
        &self,
        element: Element<'a>,
        own: bool,
        scope: &Scope<'a>,
        level: usize,
    ) -> Result<Element<'a>, HydrationError> {
        let (tree, node) = element.origin;
        if !self.tree.has_hrefs() || !tree.refers(node) {
            return Ok(element);
        }
        self.element(element, scope, own, Depth::HrefsOnly, level)
    }

    fn piece(
        &self,
        piece: Piece<'a>,
        scope: &Scope<'a>,
        depth: Depth,
        level: usize,
    ) -> Result<Piece<'a>, HydrationError> {
        let element = match piece {
            Piece::Source(tree, node) if tree.is_element(node) && tree.refers(node) => {
                Element::of(tree, node)
            }
            Piece::Element(element) => *element,
            other => return Ok(other),
        };
        let depth = if waits(&element) {
            Depth::HrefsOnly
        } else {
            depth
        };
        let hydrated = self.element(element, scope, true, depth, level)?;
        Ok(Piece::Element(Box::new(hydrated)))
    }

    fn element(
        &self,
        mut element: Element<'a>,
        scope: &Scope<'a>,
        own: bool,
        depth: Depth,
        level: usize,
    ) -> Result<Element<'a>, HydrationError> {
        self.count(&element, level)?;
        let mut brought = Cow::Borrowed(scope);
        let literal = |uri: &str| !placeholder::is(uri);
        if own && element.attribute("href").is_some_and(literal) {
            element = self.href(element, brought.to_mut())?;
        }
        if depth == Depth::Whole {
            self.placeholders(&mut element, scope)?;
            if own && element.attribute("href").is_some() {
                element = self.href(element, brought.to_mut())?;
            }
            if own && element.attribute("select").is_some() {
                return self.select(element, scope, level);
            }
        }
        self.children(element, scope, &brought, depth, level)
    }

    /// Resolves what is below an element: what was written there in the scope of the element,
    /// what came in by its `href` in the scope that this brought.
    fn children(
        &self,
        mut element: Element<'a>,
        scope: &Scope<'a>,
        brought: &Scope<'a>,
        depth: Depth,
        level: usize,
    ) -> Result<Element<'a>, HydrationError> {
        let places = self.places_of_children(&element, scope);
        let written = scope.at(None);
        for (index, child) in element.children.iter_mut().enumerate() {
            let piece = std::mem::replace(child, Piece::Text("".into()));
            *child = match places.get(&index) {
                None => self.piece(piece, &written, depth, level + 1)?,
                Some(place) => {
                    let there = brought.at(Some(place.clone()));
                    self.piece(piece, &there, depth, level + 1)?
                }
            };
        }
        Ok(element)
    }

    /// Bounds the work and the nesting of what is made.
    fn count(&self, element: &Element<'a>, level: usize) -> Result<(), HydrationError> {
        self.spend(element, 1 + element.children.len())?;
        if level > self.limits.max_depth {
            let reason = format!("it is nested deeper than {}", self.limits.max_depth);
            return Err(element.error("hydration-too-costly", "", reason));
        }
        Ok(())
    }

    fn spend(&self, element: &Element<'a>, made: usize) -> Result<(), HydrationError> {
        let made = self.made.get() + made as u64;
        self.made.set(made);
        if made > self.limits.max_made {
            let reason = format!("it makes more than {} nodes", self.limits.max_made);
            return Err(element.error("hydration-too-costly", "", reason));
        }
        Ok(())
    }

    /// The value of an expression of an element. It begins with `/`, or with `.` where `use`
    /// bound a context.
    fn evaluate(
        &self,
        element: &Element<'a>,
        text: &str,
        context: Option<NodeId>,
    ) -> Result<Rc<Value>, HydrationError> {
        let absolute = text.starts_with('/');
        if !absolute && !text.starts_with('.') {
            let reason = "it must begin with / or with a dot";
            return Err(element.error("hydration-syntax", text, reason));
        }
        if absolute && let Some(known) = self.absolute.borrow().get(text) {
            return Ok(known.clone());
        }
        let context = match context {
            Some(context) => context,
            None if absolute => self.tree.root(),
            None => {
                let reason = "it is relative, but no use=\"vn:link(…)\" gives it a context";
                return Err(element.error("hydration-no-context", text, reason));
            }
        };
        let failed = |error: XPathError| {
            let code = match error {
                XPathError::Syntax(_) => "hydration-syntax",
                XPathError::TooCostly(_) => "hydration-too-costly",
            };
            element.error(code, text, error.to_string())
        };
        let expression = self.compiled(text).map_err(failed)?;
        let value = Rc::new(
            self.evaluator
                .evaluate(&expression, context)
                .map_err(failed)?,
        );
        if expression.is_absolute() {
            let mut known = self.absolute.borrow_mut();
            known.insert(text.into(), value.clone());
        }
        Ok(value)
    }

    fn compiled(&self, text: &str) -> Result<Rc<Expression>, XPathError> {
        if let Some(known) = self.compiled.borrow().get(text) {
            return Ok(known.clone());
        }
        let expression = Rc::new(compile(text)?);
        let mut known = self.compiled.borrow_mut();
        known.insert(text.into(), expression.clone());
        Ok(expression)
    }
}

fn is_too_costly(hydrated: &Result<Element<'_>, HydrationError>) -> bool {
    matches!(hydrated, Err(error) if error.code() == "hydration-too-costly")
}

/// Whether what is below an element waits for its `use` to be expanded.
fn waits(element: &Element<'_>) -> bool {
    element
        .attribute("use")
        .is_some_and(|link| !link.trim().is_empty())
}
