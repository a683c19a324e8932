//! The terms of a valuation, as numbers.

use domain::FailureCode;
use rust_decimal::Decimal;

use super::date::Date;
use super::number;
use super::schedule::{self, Schedule};
use super::valuation::{Field, Valuation};
use crate::executor::Fault;

/// Payments in a year, where a valuation may choose: those that fall on whole months.
const FREQUENCIES: [u32; 6] = [1, 2, 3, 4, 6, 12];

/// How the instrument pays back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Interest at each payment, the principal with the last.
    Bond,
    /// The same amount at each payment: an annuity.
    Loan,
}

/// Everything the price depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub kind: Kind,
    pub principal: Decimal,
    /// The instrument's interest of one period, as a fraction of the principal.
    pub period_rate: Decimal,
    /// The market's yield of one period, as a fraction.
    pub period_yield: Decimal,
    pub schedule: Schedule,
}

/// Where an instrument of a kind has its values.
struct Fields {
    principal: Field,
    rate: Field,
    frequency: Field,
    maturity: Field,
    term: Field,
}

const BOND: Fields = Fields {
    principal: Field::BondPrincipal,
    rate: Field::BondRate,
    frequency: Field::BondFrequency,
    maturity: Field::BondMaturity,
    term: Field::BondTerm,
};
const LOAN: Fields = Fields {
    principal: Field::LoanPrincipal,
    rate: Field::LoanRate,
    frequency: Field::LoanFrequency,
    maturity: Field::LoanMaturity,
    term: Field::LoanTerm,
};

/// Reads a valuation's terms.
pub(super) fn of(valuation: &Valuation) -> Result<Terms, Fault> {
    let kind = kind(valuation)?;
    let fields = match kind {
        Kind::Bond => BOND,
        Kind::Loan => LOAN,
    };
    complete(valuation, &fields)?;
    let frequency = frequency(valuation, fields.frequency)?;
    Ok(Terms {
        kind,
        principal: number(valuation, fields.principal)?,
        period_rate: period_rate(valuation, fields.rate, frequency)?,
        period_yield: period_rate(valuation, Field::MarketRate, frequency)?,
        schedule: schedule(valuation, &fields, frequency)?,
    })
}

/// The part of a yearly rate that belongs to one period.
fn period_rate(valuation: &Valuation, field: Field, frequency: u32) -> Result<Decimal, Fault> {
    let rate = number(valuation, field)? / Decimal::from(frequency);
    if rate <= Decimal::NEGATIVE_ONE {
        return Err(bad(valuation, field, "a period cannot lose everything"));
    }
    Ok(rate)
}

fn kind(valuation: &Valuation) -> Result<Kind, Fault> {
    let priceable = valuation.instruments.iter().find_map(|name| match *name {
        "bond" => Some(Kind::Bond),
        "loan" => Some(Kind::Loan),
        _ => None,
    });
    priceable.ok_or_else(|| {
        let found = match valuation.instruments.as_slice() {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        Fault::permanent(
            FailureCode::ReferenceNoInstrument,
            "the valuation has neither instrument/bond nor instrument/loan",
        )
        .because(format!("in its instrument: {found}"))
    })
}

/// Refuses a valuation that lacks something, naming all that it lacks at once.
fn complete(valuation: &Valuation, fields: &Fields) -> Result<(), Fault> {
    let has = |field: Field| valuation.text(field).is_some();
    let mut missing: Vec<String> = [fields.principal, fields.rate, Field::MarketRate]
        .into_iter()
        .filter(|field| !has(*field))
        .map(Field::path)
        .collect();
    match (has(fields.maturity), has(fields.term)) {
        (true, true) => {
            return Err(Fault::permanent(
                FailureCode::ReferenceBadNumber,
                format!(
                    "{} and {} contradict each other: give one",
                    fields.maturity.path(),
                    fields.term.path()
                ),
            ));
        }
        (true, false) if !has(Field::EvaluationDate) => missing.push(Field::EvaluationDate.path()),
        (false, false) => missing.push(format!(
            "{} or {}",
            fields.maturity.path(),
            fields.term.path()
        )),
        _ => {}
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Fault::permanent(
        FailureCode::ReferenceMissingNumber,
        format!("the valuation lacks {}", missing.join(", ")),
    ))
}

fn schedule(valuation: &Valuation, fields: &Fields, frequency: u32) -> Result<Schedule, Fault> {
    let (field, schedule) = if valuation.text(fields.term).is_some() {
        let years = number(valuation, fields.term)?;
        (fields.term, schedule::of_term(years, frequency))
    } else {
        let evaluated = date(valuation, Field::EvaluationDate)?;
        let matures = date(valuation, fields.maturity)?;
        (
            fields.maturity,
            schedule::until(evaluated, matures, frequency),
        )
    };
    schedule.map_err(|error| bad(valuation, field, &error.to_string()))
}

/// Once a year, unless the valuation says otherwise.
fn frequency(valuation: &Valuation, field: Field) -> Result<u32, Fault> {
    let Some(text) = valuation.text(field) else {
        return Ok(1);
    };
    number::of(text)
        .filter(Decimal::is_integer)
        .and_then(|frequency| u32::try_from(frequency).ok())
        .filter(|frequency| FREQUENCIES.contains(frequency))
        .ok_or_else(|| bad(valuation, field, "payments a year are 1, 2, 3, 4, 6 or 12"))
}

fn number(valuation: &Valuation, field: Field) -> Result<Decimal, Fault> {
    let text = valuation.text(field).unwrap_or_default();
    number::of(text).ok_or_else(|| {
        let reason = "not a decimal number of at most 28 digits";
        bad(valuation, field, reason)
    })
}

fn date(valuation: &Valuation, field: Field) -> Result<Date, Fault> {
    let text = valuation.text(field).unwrap_or_default();
    Date::of(text).map_err(|error| bad(valuation, field, &error.to_string()))
}

fn bad(valuation: &Valuation, field: Field, reason: &str) -> Fault {
    let text = valuation.text(field).unwrap_or_default();
    Fault::permanent(
        FailureCode::ReferenceBadNumber,
        format!("{} is {text:?}: {reason}", field.path()),
    )
}
