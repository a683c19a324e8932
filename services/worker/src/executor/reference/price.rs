//! The arithmetic: what the payments to come are worth.
//!
//! Everything is decimal, and nothing is rounded to cents before the end. Overflow is an absent
//! price, never a wrong one.

use rust_decimal::{Decimal, RoundingStrategy};

use super::terms::{Kind, Terms};

/// The value of a valuation, to the cent, in the principal's currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Price {
    /// Without the interest accrued since the last payment.
    pub clean: Decimal,
    /// The interest accrued since the last payment.
    pub accrued: Decimal,
}

/// Prices an instrument; `None` where the numbers outgrow a decimal.
pub(super) fn of(terms: &Terms) -> Option<Price> {
    let growth = Decimal::ONE.checked_add(terms.period_yield)?;
    let interest = terms.principal.checked_mul(terms.period_rate)?;
    let (payment, last) = match terms.kind {
        Kind::Bond => (interest, interest.checked_add(terms.principal)?),
        Kind::Loan => {
            let payment = annuity(terms)?;
            (payment, payment)
        }
    };
    // Horner's scheme from the last payment back to the next one, period by period: at the
    // instrument's own rate each step gives exactly the principal again.
    let mut at_next = last;
    for _ in 1..terms.schedule.payments {
        at_next = at_next.checked_div(growth)?.checked_add(payment)?;
    }
    // The broken period in front is discounted by simple interest, which needs no roots.
    let stub = terms.period_yield.checked_mul(terms.schedule.until_next)?;
    let dirty = at_next.checked_div(Decimal::ONE.checked_add(stub)?)?;
    let elapsed = Decimal::ONE.checked_sub(terms.schedule.until_next)?;
    let accrued = interest.checked_mul(elapsed)?;
    Some(Price {
        clean: to_the_cent(dirty.checked_sub(accrued)?),
        accrued: to_the_cent(accrued),
    })
}

/// The payment that pays a loan back, with interest, in the payments to come.
fn annuity(terms: &Terms) -> Option<Decimal> {
    let growth = Decimal::ONE.checked_add(terms.period_rate)?;
    let mut factor = Decimal::ZERO;
    for _ in 0..terms.schedule.payments {
        factor = factor.checked_add(Decimal::ONE)?.checked_div(growth)?;
    }
    terms.principal.checked_div(factor)
}

/// Two places, halves to the even neighbour, and no negative nothing.
fn to_the_cent(amount: Decimal) -> Decimal {
    let mut cents = amount.round_dp_with_strategy(2, RoundingStrategy::MidpointNearestEven);
    cents.rescale(2);
    if cents.is_zero() {
        cents.set_sign_positive(true);
    }
    cents
}
