//! `xs:decimal` and `xs:double` (XML Schema 1.1, part 2, sections 3.3.3 and 3.3.5), exactly.

use rust_decimal::Decimal;

/// The number in a text, if it is a number and a decimal can hold it without rounding.
///
/// `INF` and `NaN` are numbers of XML Schema, but no amounts.
pub(super) fn of(text: &str) -> Option<Decimal> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, self::exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || whole.len() + fraction.len() == 0 {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let zeros = i64::try_from(digits.len() - significant.len()).ok()?;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some(Decimal::ZERO);
    }
    let power = exponent
        .checked_add(zeros)?
        .checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let mut number: i128 = significant.parse().ok()?;
    if power > 0 {
        let factor = 10_i128.checked_pow(u32::try_from(power).ok()?)?;
        number = number.checked_mul(factor)?;
    }
    if negative {
        number = -number;
    }
    let scale = u32::try_from(power.min(0).unsigned_abs()).ok()?;
    Decimal::try_from_i128_with_scale(number, scale).ok()
}

/// A power of ten; one that no number has stands for all beyond it.
fn exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse::<i32>().unwrap_or(i32::MAX);
    Some(i64::from(if text.starts_with('-') { -size } else { size }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_number_is_taken() {
        for (text, number) in [
            ("1000", "1000"),
            ("+1000", "1000"),
            ("-1000", "-1000"),
            ("1000.", "1000"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("00001000", "1000"),
            ("1000.00", "1000"),
            ("1e3", "1000"),
            ("1.0E3", "1000"),
            ("+1.5e-2", "0.015"),
            (".5e+1", "5"),
            ("5.e0", "5"),
            ("0", "0"),
            ("-0", "0"),
            ("0e999999999999", "0"),
            (
                "79228162514264337593543950335",
                "79228162514264337593543950335",
            ),
            (
                "0.0000000000000000000000000001",
                "0.0000000000000000000000000001",
            ),
            ("1e-28", "0.0000000000000000000000000001"),
            ("0.50000000000000000000000000000000000000000", "0.5"),
        ] {
            let exact = Decimal::from_str_exact(number).ok();
            assert!(
                exact.is_some() && of(text) == exact,
                "{text}: {:?}",
                of(text)
            );
        }
    }

    #[test]
    fn nothing_else_is_a_number() {
        for text in [
            "", "+", "-", ".", "-.", "--1", "+-1", "1,000", "1_000", "1 000", "1.0.0", "e3", ".e3",
            "1e", "1e+", "1e1.5", "1e--1", "0x10", "5%", "NaN", "INF", "-INF", "inf", "1000 USD",
            "١٠٠٠", " 1", "1f",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_that_a_decimal_cannot_hold_becomes_none() {
        for text in [
            "79228162514264337593543950336",
            "99999999999999999999999999999",
            "1e29",
            "1e-29",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            "0.00000000000000000000000000011",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
