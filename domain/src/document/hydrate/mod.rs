//! Hydration: replaces references by the content that they refer to. See `docs/vnml.md`, section 4.

mod cache;
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

use crate::FailureCode;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::budget::{Meter, Over};
use super::index::Index;
use super::tree::{NodeId, Tree};
use super::well_formed::trimmed;
use super::xpath::{Evaluator, Expression, Value, XPathError, compile};

pub use error::HydrationError;
pub use resources::CapturedResources;

use cycle::Link;
use piece::Content;
use place::{Place, Places};

pub(crate) use cache::{Cache, Given};
pub(crate) use error::note;
pub(crate) use link::too_many_tasks;
pub(crate) use piece::{Element, Piece};

/// How far hydration goes below an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Resolve everything.
    Whole,
    /// Resolve only `href`: below an element with `use` the rest waits until `use` is expanded.
    HrefsOnly,
}

/// A hydrated element. It is boxed, so that only a pointer moves between levels.
pub(crate) type Resolved<'a> = Result<Box<Element<'a>>, HydrationError>;

/// Hydrates elements of one document in its current state.
pub(crate) struct Hydrator<'a> {
    tree: &'a Tree,
    resources: &'a CapturedResources,
    pub meter: Rc<Meter>,
    evaluator: Evaluator<'a>,
    cache: RefCell<Cache>,
    /// The URIs that are not captured yet. They are reported together.
    missing: RefCell<Vec<String>>,
    places: RefCell<Places>,
}

/// The context in which an element is hydrated.
#[derive(Clone, Default)]
pub(crate) struct Scope<'a> {
    /// The node that `use` bound, for relative expressions.
    pub context: Option<NodeId>,
    /// The references followed on the way here.
    pub chain: Option<Rc<Link<'a>>>,
    /// The position of an element that came in from elsewhere.
    pub place: Option<Rc<Place<'a>>>,
}

impl<'a> Scope<'a> {
    fn at(&self, place: Option<Rc<Place<'a>>>) -> Self {
        Self {
            place,
            ..self.clone()
        }
    }
}

impl<'a> Hydrator<'a> {
    /// A hydrator that starts from the cached facts about the document's expressions.
    pub fn new(
        tree: &'a Tree,
        index: &'a Index,
        resources: &'a CapturedResources,
        meter: Meter,
        cache: Cache,
    ) -> Self {
        let meter = Rc::new(meter);
        Self {
            tree,
            resources,
            evaluator: Evaluator::new(tree, index, meter.clone()),
            meter,
            cache: RefCell::new(cache),
            missing: RefCell::default(),
            places: RefCell::default(),
        }
    }

    /// Takes the cache, for the next hydrator.
    pub fn take_cache(&self) -> Cache {
        self.cache.take()
    }

    /// Hydrates a single element of the document. If `own` is false, the element's own `href` and
    /// `select` are left alone.
    pub fn hydrate(&self, node: NodeId, own: bool, context: Option<NodeId>) -> Resolved<'a> {
        self.meter.next_element();
        let scope = Scope {
            context,
            ..Scope::default()
        };
        let element = Element::of(&self.meter, self.tree, node);
        let hydrated = element
            .map_err(|over| HydrationError::over("", "", over))
            .and_then(|element| self.hrefs(element, own, &scope, 0))
            .and_then(|mut element| {
                if context.is_some() {
                    element.remove("use");
                }
                self.element(element, &scope, own, Depth::Whole, 0)
            });
        let uris = self.missing.take();
        if uris.is_empty() || is_too_costly(&hydrated) {
            return hydrated;
        }
        // An error may be a consequence of the missing documents, so report those first.
        Err(HydrationError::Missing { uris })
    }

    /// Resolves `href` at every level, before any `select`.
    fn hrefs(
        &self,
        element: Box<Element<'a>>,
        own: bool,
        scope: &Scope<'a>,
        level: usize,
    ) -> Resolved<'a> {
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
        if !piece.refers() {
            return Ok(piece);
        }
        let element = piece
            .into_element(&self.meter)
            .map_err(|over| HydrationError::over("", "", over))?;
        let depth = if waits(&element) {
            Depth::HrefsOnly
        } else {
            depth
        };
        let hydrated = self.element(element, scope, true, depth, level)?;
        Ok(Piece::Element(hydrated))
    }

    fn element(
        &self,
        mut element: Box<Element<'a>>,
        scope: &Scope<'a>,
        own: bool,
        depth: Depth,
        level: usize,
    ) -> Resolved<'a> {
        self.check_level(&element, level)?;
        let mut brought = None;
        let literal = |uri: &str| !placeholder::is(uri);
        if own && element.reference("href").is_some_and(literal) {
            element = self.href(element, brought.get_or_insert_with(|| scope.clone()))?;
        }
        if depth == Depth::Whole {
            self.placeholders(&mut element, scope)?;
            if own && element.reference("href").is_some() {
                element = self.href(element, brought.get_or_insert_with(|| scope.clone()))?;
            }
            if own && element.reference("select").is_some() {
                return self.select(element, scope, level);
            }
        }
        let brought = brought.as_ref().unwrap_or(scope);
        self.children(element, scope, brought, depth, level)
    }

    /// Resolves the content of an element. Content that was written there has the scope of the
    /// element. Content that came in by its `href` has the scope that the `href` brought.
    fn children(
        &self,
        mut element: Box<Element<'a>>,
        scope: &Scope<'a>,
        brought: &Scope<'a>,
        depth: Depth,
        level: usize,
    ) -> Resolved<'a> {
        if let Content::Whole(tree, node) = element.content
            && !tree.refers_below(node)
        {
            return Ok(element);
        }
        let content = std::mem::replace(&mut element.content, Content::Made(Vec::new()));
        let opened = content.opened(&self.meter);
        let mut pieces = opened.map_err(|over| element.over("", over))?;
        let places = self.places_of_children(&element, &pieces, scope);
        let written = scope.at(None);
        for (index, child) in pieces.iter_mut().enumerate() {
            if !child.refers() {
                continue;
            }
            let piece = std::mem::replace(child, Piece::Source(self.tree, self.tree.root()));
            *child = match places.get(&index) {
                None => self.piece(piece, &written, depth, level + 1)?,
                Some(place) => {
                    let there = brought.at(Some(place.clone()));
                    self.piece(piece, &there, depth, level + 1)?
                }
            };
        }
        element.content = Content::Made(pieces);
        Ok(element)
    }

    /// Limits the nesting of hydrated elements.
    fn check_level(&self, element: &Element<'a>, level: usize) -> Result<(), HydrationError> {
        let limit = self.meter.limits.max_depth;
        if level > limit {
            return Err(element.over("", Over::Depth(limit as u64)));
        }
        Ok(())
    }

    /// The nodes that an expression of an element gives; `None` if its value has another type. The
    /// expression begins with `/`, or with `.` if `use` bound a context.
    fn evaluate(
        &self,
        element: &Element<'a>,
        text: &str,
        context: Option<NodeId>,
    ) -> Result<Given, HydrationError> {
        let absolute = text.starts_with('/');
        if !absolute && !text.starts_with('.') {
            let reason = "it must begin with / or with a dot";
            return Err(element.error(FailureCode::HydrationSyntax, text, reason));
        }
        self.meter
            .visit(1)
            .map_err(|over| element.over(text, over))?;
        if absolute && let Some(given) = self.cache.borrow().given(text) {
            return Ok(given);
        }
        let context = match context {
            Some(context) => context,
            None if absolute => self.tree.root(),
            None => {
                let reason = "it is relative, but no use=\"vn:link(…)\" gives it a context";
                return Err(element.error(FailureCode::HydrationNoContext, text, reason));
            }
        };
        self.given(text, context).map_err(|error| match error {
            XPathError::Syntax(reason) => element.error(FailureCode::HydrationSyntax, text, reason),
            XPathError::TooCostly(over) => element.over(text, over),
        })
    }

    fn given(&self, text: &str, context: NodeId) -> Result<Given, XPathError> {
        let expression = self.compiled(text)?;
        let value = self.evaluator.evaluate(&expression, context)?;
        let given = match value {
            Value::Nodes(nodes) => Some(Arc::from(nodes)),
            _ => None,
        };
        if expression.is_absolute() {
            self.cache.borrow_mut().keep_given(text, &given);
        }
        Ok(given)
    }

    /// The nodes that an absolute expression gives; `None` if the expression is invalid or gives no
    /// nodes.
    pub fn given_by(&self, text: &str) -> Result<Given, HydrationError> {
        if let Some(given) = self.cache.borrow().given(text) {
            return Ok(given);
        }
        match self.given(text, self.tree.root()) {
            Ok(given) => Ok(given),
            Err(XPathError::Syntax(_)) => Ok(None),
            Err(XPathError::TooCostly(over)) => Err(HydrationError::over("", text, over)),
        }
    }

    fn compiled(&self, text: &str) -> Result<Arc<Expression>, XPathError> {
        if let Some(known) = self.cache.borrow().compiled(text) {
            return Ok(known);
        }
        self.meter.visit(text.len())?;
        let expression = Arc::new(compile(text)?);
        self.cache.borrow_mut().keep_compiled(text, &expression);
        Ok(expression)
    }
}

fn is_too_costly(hydrated: &Resolved<'_>) -> bool {
    matches!(hydrated, Err(error) if error.code() == FailureCode::HydrationTooCostly)
}

/// Returns whether the content of an element waits until its `use` is expanded.
fn waits(element: &Element<'_>) -> bool {
    element
        .reference("use")
        .is_some_and(|link| !trimmed(link).is_empty())
}
