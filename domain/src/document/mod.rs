//! VNML documents: reads a request, splits it, and assembles it again. The contract is `vnml.md`.

mod assemble;
mod budget;
mod canonical;
mod decode;
mod evaluation;
mod form;
mod frame;
mod hydrate;
mod index;
mod limits;
mod parse;
mod partial;
mod preview;
mod refusal;
mod request;
mod result;
mod split;
mod target;
mod tree;
mod warnings;
mod well_formed;
mod write;
mod xpath;

pub use canonical::canonicalize;
pub use decode::mark_for;
pub use hydrate::{CapturedResources, HydrationError};
pub use limits::Limits;
pub use preview::{GroupPreview, Preview, TasksPreview};
pub use refusal::{Cause, Refusal};
pub use request::{Document, Effort};
pub use result::{InvalidResult, check_result};
pub use split::TaskDocument;
