//! What a valuation says, as numbers.

use jiff::civil::Date;
use rust_decimal::Decimal;

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
            "reference-no-instrument",
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
                "reference-bad-number",
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
        "reference-missing-number",
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
    // `2.0` is the number 2.
    decimal(text)
        .and_then(|number| {
            FREQUENCIES
                .into_iter()
                .find(|f| number == Decimal::from(*f))
        })
        .ok_or_else(|| bad(valuation, field, "payments a year are 1, 2, 3, 4, 6 or 12"))
}

fn number(valuation: &Valuation, field: Field) -> Result<Decimal, Fault> {
    let text = valuation.text(field).unwrap_or_default();
    let reason = "not a decimal number of at most 28 digits";
    decimal(text).ok_or_else(|| bad(valuation, field, reason))
}

fn decimal(text: &str) -> Option<Decimal> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+'));
    Decimal::from_str_exact(text).ok().filter(|_| plain)
}

fn date(valuation: &Valuation, field: Field) -> Result<Date, Fault> {
    let text = valuation.text(field).unwrap_or_default();
    let reason = "not a date like 2026-01-31";
    let day = day(text).ok_or_else(|| bad(valuation, field, reason))?;
    day.parse()
        .map_err(|error: jiff::Error| bad(valuation, field, reason).because_of(&error))
}

/// The day of an `xs:date` of the years from 0000 to 9999. Its time zone, which it may have, does
/// not make it another day.
fn day(text: &str) -> Option<&str> {
    let (day, zone) = text.split_at_checked("2026-01-31".len())?;
    let is_day = day.bytes().enumerate().all(|(place, byte)| match place {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    (is_day && is_zone(zone)).then_some(day)
}

/// Whether a text is a time zone of XML Schema: none, `Z`, or up to 14 hours either way.
fn is_zone(text: &str) -> bool {
    if matches!(text, "" | "Z") {
        return true;
    }
    let &[b'+' | b'-', h, hours, b':', m, minutes] = text.as_bytes() else {
        return false;
    };
    let two = |tens: u8, ones: u8| {
        let digits = tens.is_ascii_digit() && ones.is_ascii_digit();
        digits.then(|| u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
    };
    let (Some(hours), Some(minutes)) = (two(h, hours), two(m, minutes)) else {
        return false;
    };
    minutes < 60 && hours * 60 + minutes <= 14 * 60
}

fn bad(valuation: &Valuation, field: Field, reason: &str) -> Fault {
    let text = valuation.text(field).unwrap_or_default();
    Fault::permanent(
        "reference-bad-number",
        format!("{} is {text:?}: {reason}", field.path()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_one_of_xml_schema_and_nothing_else() {
        for text in [
            "2026-01-31",
            "2026-01-31Z",
            "2026-01-31+14:00",
            "2026-01-31-05:30",
            "2026-01-31+00:00",
        ] {
            assert_eq!(day(text), Some("2026-01-31"), "{text}");
        }
        for text in [
            "",
            "20260131",
            "2026-1-31",
            "2026-01-31T23:30-05:00",
            "2026-01-31T00:00:00",
            "2026-01-31[Europe/Berlin]",
            "2026-01-31z",
            "2026-01-31+14:01",
            "2026-01-31+05:60",
            "2026-01-31+5:00",
            "2026-01-31 ",
            "+2026-01-31",
            "2026-01-3\u{661}",
        ] {
            assert_eq!(day(text), None, "{text}");
        }
    }
}
