use serde::{Deserialize, Serialize};

use crate::request::{RequestId, Run};

/// What an item of a selection is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// A request in the run in which it was selected. A later run is another matter: whoever began
    /// it has decided about this one.
    Request {
        /// The request.
        id: RequestId,
        /// The run in which it was selected.
        run: Run,
    },
    /// A dead letter, by its id.
    Letter(String),
}

/// The items of an operation, in the order in which they are asked for. It is stored once and never
/// changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// The items. The number of an item is its position.
    pub items: Vec<Target>,
}
