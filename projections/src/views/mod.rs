//! The parts of a request's view. A part is one key in Redis and one file here: its key, its
//! fields, how it is written, how it is read, and how it is compared. The table has a row for each,
//! and all code that goes through the parts reads the table.

mod failure;
mod groups;
mod idempotency;
mod metadata;
mod request;
mod response;

use domain::request::RequestId;
use redis::{Pipeline, Script};

use crate::Error;
use crate::check::Differences;
use crate::read::{Answers, Draft};
use crate::view::View;
use crate::write::{Change, Write};

/// The kinds of keys that a request's view consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request itself: its status, its counts and its times.
    Request,
    /// The progress of its groups.
    Groups,
    /// Its failure.
    Failure,
    /// Its response.
    Response,
    /// The `x-*` headers of its submission.
    Metadata,
    /// The request of an idempotency key.
    Idempotency,
}

/// A row of the table.
struct Row {
    kind: Kind,
    name: &'static str,
    part: &'static dyn Part,
}

const fn row(kind: Kind, name: &'static str, part: &'static dyn Part) -> Row {
    Row { kind, name, part }
}

/// The views. The request comes first: it tells what a view needs of the other parts.
static TABLE: &[Row] = &[
    row(Kind::Request, "request", &request::Request),
    row(Kind::Groups, "groups", &groups::Groups),
    row(Kind::Failure, "failure", &failure::Failure),
    row(Kind::Response, "response", &response::Response),
    row(Kind::Metadata, "metadata", &metadata::Metadata),
    row(Kind::Idempotency, "idempotency", &idempotency::Idempotency),
];

impl Kind {
    /// Every kind, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        TABLE.iter().map(|row| row.kind)
    }

    /// The kind with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let row = TABLE.iter().find(|row| row.name == name)?;
        Some(row.kind)
    }

    /// The name of the kind on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        TABLE[self as usize].name
    }

    pub(crate) fn part(self) -> &'static dyn Part {
        TABLE[self as usize].part
    }
}

/// A part of a request's view, as the store, the comparison and the rebuild see it. Each file has
/// one value without fields that implements it.
pub(crate) trait Part: Sync {
    /// The key of a request's part, which begins with `key::STATE` or `key::CACHE` and the request.
    /// `None` for a part whose key does not name the request: nothing can read it by the request,
    /// and a rebuild writes over it without deleting it.
    fn key(&self, id: RequestId) -> Option<String>;

    /// The key of this part of a view; `None` where the view has no such key.
    fn key_of(&self, view: &View) -> Option<String> {
        self.key(view.request_id)
    }

    /// The guarded script that writes the part.
    fn script(&self) -> &'static str;

    /// Adds what is to be written: each write is one run of the script on the part's key.
    fn write(&self, change: &Change<'_>, script: &Script, writes: &mut Vec<Write>);

    /// Whether the log gives no such part, so that a rebuild deletes the key.
    fn is_absent(&self, _: &View) -> bool {
        false
    }

    /// Asks for the content of the key.
    fn ask(&self, key: String, ask: &mut Pipeline);

    /// Whether a view is read with this part. If so, `read` takes what was asked for.
    fn is_read(&self) -> bool {
        true
    }

    /// Reads the part into the draft. Returns false where Redis does not have the part and the view
    /// is not whole without it.
    fn read(&self, _: &mut Draft, _: &mut Answers) -> Result<bool, Error> {
        Ok(true)
    }

    /// Asks for what `compare` takes.
    fn ask_to_compare(&self, key: String, ask: &mut Pipeline) {
        self.ask(key, ask);
    }

    /// Notes what differs from the view. Takes all that was asked for.
    fn compare(
        &self,
        view: &View,
        answers: &mut Answers,
        found: &mut Differences,
    ) -> Result<(), Error>;

    /// The prefix that the keys of an earlier version have after the request. Nothing reads them.
    fn superseded(&self) -> Option<&'static str> {
        None
    }

    /// The prefix of this part's keys, where the request is the value and not in the key.
    fn prefix_of_lookups(&self) -> Option<&'static str> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_row() {
        for (place, kind) in Kind::all().enumerate() {
            assert_eq!(kind as usize, place);
            assert_eq!(Kind::of_name(kind.name()), Some(kind));
        }
        assert_eq!(Kind::of_name("nonsense"), None);
    }
}
