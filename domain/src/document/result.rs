//! A worker's reply. See `docs/vnml.md`, section 3.

use super::limits::Limits;
use super::parse::parse;
use super::tree::{NodeId, Tree};
use crate::FailureCode;

/// Why a reply is not a result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResult {
    /// The reply has more bytes than a result may have.
    #[error("the result is larger than it may be, {0} bytes")]
    TooBig(usize),
    /// The reply cannot be parsed.
    #[error("the result cannot be read: {0}")]
    Unreadable(String),
    /// The document would become too large with the result.
    #[error("the document would have over {0} bytes with its results")]
    TooMuch(usize),
    /// The reply has no valuation in the position of the result.
    #[error("the result has no /vnml/project/group/valuation")]
    NoValuation,
}

impl InvalidResult {
    /// The code of the failed attempt that such a reply ends.
    #[must_use]
    pub const fn code(&self) -> FailureCode {
        match self {
            Self::TooBig(_) => FailureCode::ResultTooBig,
            Self::Unreadable(_) | Self::TooMuch(_) | Self::NoValuation => {
                FailureCode::ResultInvalid
            }
        }
    }
}

/// Checks that a worker's reply is a result.
pub fn check_result(bytes: &[u8], limits: &Limits) -> Result<(), InvalidResult> {
    ResultDocument::read(bytes, limits).map(|_| ())
}

pub(super) struct ResultDocument {
    pub tree: Tree,
    pub valuation: NodeId,
}

impl ResultDocument {
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, InvalidResult> {
        if bytes.len() > limits.max_result_bytes {
            return Err(InvalidResult::TooBig(limits.max_result_bytes));
        }
        let limits = Limits {
            max_bytes: limits.max_result_bytes,
            ..*limits
        };
        let tree = parse(bytes, &limits)
            .map_err(|refusal| InvalidResult::Unreadable(refusal.to_string()))?;
        let root = tree.root();
        let valuation = ["vnml/project/group/valuation", WRAPPED]
            .iter()
            .find_map(|path| find(&tree, root, path))
            .ok_or(InvalidResult::NoValuation)?;
        Ok(Self { tree, valuation })
    }
}

/// The path in a wrapped reply: the outermost element may have any name.
const WRAPPED: &str = "*/job/task/results/vnml/project/group/valuation";

/// The first element at a path below a node.
fn find(tree: &Tree, node: NodeId, path: &str) -> Option<NodeId> {
    let (name, rest) = path
        .split_once('/')
        .map_or((path, None), |(n, r)| (n, Some(r)));
    let mut named = tree
        .elements(node)
        .filter(|child| name == "*" || tree.is_named(*child, name));
    match rest {
        None => named.next(),
        Some(rest) => named.find_map(|child| find(tree, child, rest)),
    }
}
