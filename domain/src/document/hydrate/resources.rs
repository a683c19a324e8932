use std::collections::HashMap;

use super::HydrationError;
use crate::document::limits::Limits;
use crate::document::parse::parse;
use crate::document::tree::Tree;

/// The documents that were fetched for a request, each parsed once.
#[derive(Debug, Default)]
pub struct CapturedResources {
    by_uri: HashMap<String, Tree>,
}

impl CapturedResources {
    /// Takes in what was fetched.
    pub fn insert(&mut self, uri: &str, bytes: &[u8]) -> Result<(), HydrationError> {
        let limits = Limits {
            max_bytes: usize::MAX,
            ..Limits::default()
        };
        let tree = parse(bytes, &limits).map_err(|refusal| {
            let reason = format!("what is there is no document: {refusal}");
            HydrationError::failed("hydration-fetch-failed", "href", uri, reason)
        })?;
        self.by_uri.insert(uri.to_owned(), tree);
        Ok(())
    }

    /// Whether this was fetched.
    #[must_use]
    pub fn contains(&self, uri: &str) -> bool {
        self.by_uri.contains_key(uri)
    }

    pub(crate) fn get(&self, uri: &str) -> Option<&Tree> {
        self.by_uri.get(uri)
    }
}
