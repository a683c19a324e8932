//! The memory budget for the documents that an instance caches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::derivation::Derivation;

/// The most bytes that all cached documents may have together. Beyond this, a large document is
/// cached only until its tasks are sent.
pub const KEPT_MAX_BYTES: usize = 96 * 1024 * 1024;
/// A document larger than this, in bytes, is dropped when the budget is exceeded. The others that
/// are cached have few bytes together.
pub const LARGE_BYTES: usize = 64 * 1024;

/// The number of bytes of all cached documents.
#[derive(Clone, Default)]
pub struct MemoryBudget(Arc<AtomicUsize>);

impl MemoryBudget {
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub fn keep(&self, derivation: Derivation) -> KeptDerivation {
        let mut kept = KeptDerivation {
            derivation,
            bytes: 0,
            kept: self.clone(),
        };
        kept.count();
        kept
    }
}

/// A cached document, which counts against the budget until it is dropped.
pub struct KeptDerivation {
    pub derivation: Derivation,
    bytes: usize,
    kept: MemoryBudget,
}

impl KeptDerivation {
    /// Recounts a changed document, including the resources that it refers to.
    pub fn count(&mut self) {
        let bytes = self.derivation.bytes();
        self.kept.0.fetch_add(bytes, Ordering::Relaxed);
        self.kept.0.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }

    /// Whether this document is large and all cached documents together exceed `most` bytes.
    pub fn is_too_much(&self, most: usize) -> bool {
        self.bytes > LARGE_BYTES && self.kept.bytes() > most
    }
}

impl Drop for KeptDerivation {
    fn drop(&mut self) {
        self.kept.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_document_is_counted_with_the_results_that_are_put_in_as_long_as_it_is_kept() {
        let kept = MemoryBudget::default();
        let xml = b"<vnml><project><group/></project></vnml>";
        let mut document = kept.keep(Derivation::accept(xml).unwrap());
        let before = kept.bytes();
        let text = "x".repeat(100_000);
        let result =
            format!("<vnml><project><group><valuation>{text}</valuation></group></project></vnml>");
        document.derivation.put_results(&[result]).unwrap();
        document.count();
        assert!(kept.bytes() > before + 100_000);
        drop(document);
        assert_eq!(kept.bytes(), 0);
    }
}
