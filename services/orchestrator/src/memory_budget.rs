//! How many bytes of documents an instance keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::document::Document;

/// How many bytes the documents that are kept may have together. Beyond that a large document is
/// kept no longer than it takes to send its tasks.
pub const KEPT_MAX_BYTES: usize = 512 * 1024 * 1024;
/// From how many bytes on a document is let go where too many are kept.
pub const LARGE_BYTES: usize = 1024 * 1024;

/// How many bytes of documents are kept.
#[derive(Clone, Default)]
pub struct MemoryBudget(Arc<AtomicUsize>);

impl MemoryBudget {
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub fn keep(&self, document: Document) -> KeptDocument {
        let mut kept = KeptDocument {
            document,
            bytes: 0,
            kept: self.clone(),
        };
        kept.count(0);
        kept
    }
}

/// A document, counted as long as it is kept.
pub struct KeptDocument {
    pub document: Document,
    bytes: usize,
    kept: MemoryBudget,
}

impl KeptDocument {
    /// Counts it anew after it was changed, with the resources that it refers to.
    pub fn count(&mut self, resources: usize) {
        let bytes = self.document.bytes() + resources;
        self.kept.0.fetch_add(bytes, Ordering::Relaxed);
        self.kept.0.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }

    /// Whether it is large, and those that are kept have more bytes together than this.
    pub fn is_too_much(&self, most: usize) -> bool {
        self.bytes > LARGE_BYTES && self.kept.bytes() > most
    }
}

impl Drop for KeptDocument {
    fn drop(&mut self) {
        self.kept.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::document::Limits;

    #[test]
    fn a_document_is_counted_with_the_results_that_are_put_in_as_long_as_it_is_kept() {
        let kept = MemoryBudget::default();
        let xml = b"<vnml><project><group/></project></vnml>";
        let document = Document::accept(xml, &Limits::accepted()).unwrap();
        let mut document = kept.keep(document);
        let before = kept.bytes();
        let text = "x".repeat(100_000);
        let result =
            format!("<vnml><project><group><valuation>{text}</valuation></group></project></vnml>");
        let results = [result.as_bytes()];
        document.document.put_results(0, results).unwrap();
        document.count(1_000);
        assert!(kept.bytes() > before + 101_000);
        drop(document);
        assert_eq!(kept.bytes(), 0);
    }
}
