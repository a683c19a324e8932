//! The built-in valuer: prices a plain bond or loan from the valuation's own numbers.
//!
//! It is there so that a first run shows real numbers, and as an example of what an executor
//! gives back. The vocabulary and the formula are in `docs/executors.md`.

mod answer;
mod date;
mod number;
mod price;
mod schedule;
mod terms;
mod valuation;

use bytes::Bytes;
use domain::FailureCode;

use super::Fault;

pub use schedule::MAX_PAYMENTS;

/// Prices a valuation; needs no configuration and keeps no state.
#[derive(Clone, Copy, Debug)]
pub struct Reference;

impl Reference {
    /// The document with its analytics filled in, all else byte for byte as it was.
    ///
    /// # Errors
    /// [`Fault`], never worth another attempt: what the document lacks, or what is wrong in it.
    pub fn value(self, document: &Bytes) -> Result<Bytes, Fault> {
        let valuation = valuation::read(document)?;
        let terms = terms::of(&valuation)?;
        let price = price::of(&terms).ok_or_else(|| {
            Fault::permanent(
                FailureCode::ReferenceOutOfRange,
                "the numbers lead beyond what 28 decimal digits can hold",
            )
        })?;
        Ok(answer::written(document, &valuation, &price))
    }
}

#[cfg(test)]
mod tests;
