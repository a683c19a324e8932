//! The valuer against numbers worked out by hand, and against documents it must not disturb.

use bytes::Bytes;

use super::*;
use crate::executor::Retry;

/// A task document around an instrument, with both amounts asked for.
fn task(instrument: &str, market_rate: &str, date: &str) -> String {
    format!(
        "<vnml><project><group name=\"G\"><valuation name=\"v\"><market><rate>{market_rate}</rate>\
         </market><analytics><evaluation><date>{date}</date></evaluation><price><amount>1.25\
         </amount></price><accruedInterest><amount/></accruedInterest></analytics><instrument>\
         {instrument}</instrument><vndb externalId=\"1\"/></valuation></group></project></vnml>"
    )
}

fn bond(principal: &str, rate: &str, frequency: u32, until: &str) -> String {
    format!(
        "<bond><principal>{principal}</principal><coupon><rate>{rate}</rate><frequency>{frequency}\
         </frequency></coupon>{until}</bond>"
    )
}

fn loan(principal: &str, rate: &str, frequency: u32, until: &str) -> String {
    format!(
        "<loan><principal>{principal}</principal><rate>{rate}</rate><frequency>{frequency}\
         </frequency>{until}</loan>"
    )
}

fn valued(document: &str) -> Result<String, Fault> {
    let result = Reference.value(&Bytes::copy_from_slice(document.as_bytes()))?;
    Ok(String::from_utf8(result.to_vec()).unwrap())
}

/// The price and the accrued interest of an instrument.
fn amounts(instrument: &str, market_rate: &str, date: &str) -> (String, String) {
    let result = valued(&task(instrument, market_rate, date)).unwrap();
    let within = |element: &str| {
        let (_, rest) = result.split_once(&format!("<{element}><amount>")).unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    };
    (within("price"), within("accruedInterest"))
}

fn price(instrument: &str, market_rate: &str) -> String {
    amounts(instrument, market_rate, "2026-01-01").0
}

fn refused(document: &str) -> (String, String) {
    let fault = valued(document).unwrap_err();
    assert_eq!(fault.retry, Retry::Never);
    (fault.code, fault.message)
}

#[test]
fn a_bond_at_the_markets_rate_is_worth_its_principal() {
    for frequency in [1, 2, 4, 12] {
        for term in ["1", "3", "30", "100"] {
            let bond = bond("1000", "0.0412", frequency, &format!("<term>{term}</term>"));
            assert_eq!(price(&bond, "0.0412"), "1000.00", "{frequency} {term}");
        }
    }
}

#[test]
fn a_bond_above_and_below_the_market() {
    // 50/1.04 + 50/1.04² + 1050/1.04³ = 48.0769 + 46.2278 + 933.4462
    let three_years = bond("1000", "0.05", 1, "<term>3</term>");
    assert_eq!(price(&three_years, "0.04"), "1027.75");
    // 50/1.06 + 50/1.06² + 1050/1.06³ = 47.1698 + 44.4998 + 881.6003
    assert_eq!(price(&three_years, "0.06"), "973.27");
    // Without discount: 3 × 50 + 1000.
    assert_eq!(price(&three_years, "0"), "1150.00");
    // 25/1.02 + 1025/1.02² = 24.5098 + 985.1980
    assert_eq!(
        price(&bond("1000", "0.05", 2, "<term>1</term>"), "0.04"),
        "1009.71"
    );
}

#[test]
fn a_zero_coupon_bond_is_its_discounted_principal() {
    // 100/1.05² = 90.7029
    assert_eq!(
        price(&bond("100", "0", 1, "<term>2</term>"), "0.05"),
        "90.70"
    );
}

#[test]
fn a_negative_yield_makes_later_money_dearer() {
    // 100/0.99 = 101.0101
    assert_eq!(
        price(&bond("100", "0", 1, "<term>1</term>"), "-0.01"),
        "101.01"
    );
}

#[test]
fn between_two_coupons_interest_accrues() {
    // Half-yearly 30 on 1000; 15 January 2026 is 122 of 181 days into its period: 30 × 122/181
    // = 20.2210. At a market of 4 %: coupons at the next date are 30 + 30/1.02 + 1030/1.02²
    // = 1049.4156, discounted by 1 + 0.02 × 59/181: 1042.6184, less 20.2210:
    // 1022.3974.
    let bond = bond(
        "1000",
        "0.06",
        2,
        "<maturity><date>2027-03-15</date></maturity>",
    );
    let (clean, accrued) = amounts(&bond, "0.04", "2026-01-15");
    assert_eq!(accrued, "20.22");
    assert_eq!(clean, "1022.40");
}

#[test]
fn on_a_coupon_date_nothing_has_accrued() {
    let bond = bond(
        "1000",
        "0.06",
        2,
        "<maturity><date>2027-03-15</date></maturity>",
    );
    let (clean, accrued) = amounts(&bond, "0.06", "2025-09-15");
    assert_eq!((clean.as_str(), accrued.as_str()), ("1000.00", "0.00"));
}

#[test]
fn a_loan_at_the_markets_rate_is_worth_its_principal() {
    for (frequency, term) in [(1, "1"), (12, "30"), (4, "7.5")] {
        let loan = loan("250000", "0.06", frequency, &format!("<term>{term}</term>"));
        assert_eq!(price(&loan, "0.06"), "250000.00");
    }
}

#[test]
fn a_loan_is_the_sum_of_its_payments() {
    // Two yearly payments of 1000 × 0.1 / (1 − 1.1⁻²) = 576.1905.
    let two_years = loan("1000", "0.1", 1, "<term>2</term>");
    assert_eq!(price(&two_years, "0"), "1152.38");
    // 576.1905/1.05 + 576.1905/1.05² = 548.7528 + 522.6217
    assert_eq!(price(&two_years, "0.05"), "1071.37");
    // Without interest it is paid back in equal parts: 500/1.25 + 500/1.25² = 400 + 320.
    assert_eq!(
        price(&loan("1000", "0", 1, "<term>2</term>"), "0.25"),
        "720.00"
    );
}

#[test]
fn halves_of_a_cent_go_to_the_even_cent() {
    for (principal, rounded) in [("0.125", "0.12"), ("0.135", "0.14"), ("-0.004", "0.00")] {
        let bond = bond(principal, "0", 1, "<term>1</term>");
        assert_eq!(price(&bond, "0"), rounded);
    }
}

#[test]
fn payments_are_yearly_unless_said() {
    let document = task(
        "<bond><principal>1000</principal><coupon><rate>0.05</rate></coupon><term>3</term></bond>",
        "0.04",
        "",
    );
    assert!(valued(&document).unwrap().contains("<amount>1027.75<"));
}

#[test]
fn a_value_may_come_in_pieces() {
    let document = task(
        &bond(
            "1<![CDATA[0]]>&#48;<!-- c -->0",
            " 0.05\n",
            1,
            "<term>3</term>",
        ),
        "0.04",
        "",
    );
    assert!(valued(&document).unwrap().contains("<amount>1027.75<"));
}

#[test]
fn numbers_and_dates_are_those_of_xml_schema() {
    for (principal, frequency) in [("1e3", "1.0"), ("+1000.", "+01"), ("1.0E3", "1e0")] {
        let instrument = bond(principal, "0.05", 1, "<term>3</term>")
            .replace(">1</frequency", &format!(">{frequency}</frequency"));
        assert_eq!(price(&instrument, "0.04"), "1027.75", "{principal}");
    }
    let until = |date: &str| {
        bond(
            "1000",
            "0.06",
            2,
            &format!("<maturity><date>{date}</date></maturity>"),
        )
    };
    for (date, matures) in [
        ("2026-01-15Z", " 2027-03-15\n"),
        ("2026-01-15-05:00", "2027-03-15+14:00"),
        ("12026-01-15", "12027-03-15"),
        ("-0374-01-15", "-0373-03-15Z"),
    ] {
        let (clean, _) = amounts(&until(matures), "0.04", date);
        assert_eq!(clean, "1022.40", "{date}");
    }
    for date in [
        "20260115",
        "2026-01-15T00:00:00",
        "2026-01-15[Europe/Berlin]",
        "+2026-01-15",
    ] {
        let (code, message) = refused(&task(&until("2027-03-15"), "0.04", date));
        assert_eq!(code, "reference-bad-number");
        assert!(message.contains("not a date like"), "{message}");
    }
}

#[test]
fn everything_but_the_amounts_stays_byte_for_byte() {
    let document = "\u{feff}<?xml version='1.0'?>\r\n<?vnvs?><!-- <price> --><vnml xmlns:x='u'>\n\
        <a b = 'c'  />&amp;<project><group name='é'><valuation\n name='v' >\
        <market x:y='1'><rate>0.04</rate><rate>9</rate></market>\
        <analytics><price unit='%'><amount currency='EUR'>old<b/></amount></price>\
        <evaluation/></analytics><analytics><price><amount>2</amount></price></analytics>\
        <instrument><volatility/>{}</instrument><vndb externalId='1'/></valuation>\
        <valuation><analytics><price><amount>3</amount></price></analytics></valuation>\
        </group></project></vnml>\n<!-- end -->\n"
        .replace("{}", &bond("1000", "0.05", 1, "<term>3</term>"));
    assert_eq!(
        valued(&document).unwrap(),
        document.replace("old<b/>", "1027.75")
    );
}

#[test]
fn the_price_is_set_wherever_the_document_stops_short_of_it() {
    let document = |analytics: &str| {
        format!(
            "<vnml><project><group><valuation name=\"v\"><market><rate>0</rate></market>{analytics}\
             <instrument>{}</instrument></valuation></group></project></vnml>",
            bond("100", "0", 1, "<term>1</term>")
        )
    };
    for (asked, answered) in [
        (
            "<analytics><price><amount></amount></price><x></x></analytics>",
            "<analytics><price><amount>100.00</amount></price><x></x></analytics>",
        ),
        (
            "<analytics><price><amount u='1' /></price></analytics>",
            "<analytics><price><amount u='1' >100.00</amount></price></analytics>",
        ),
        (
            "<analytics><price/></analytics>",
            "<analytics><price><amount>100.00</amount></price></analytics>",
        ),
        (
            "<analytics><price><x/></price></analytics>",
            "<analytics><price><amount>100.00</amount><x/></price></analytics>",
        ),
        (
            "<analytics/>",
            "<analytics><price><amount>100.00</amount></price></analytics>",
        ),
        (
            "<analytics><accruedInterest/></analytics>",
            "<analytics><price><amount>100.00</amount></price><accruedInterest><amount>0.00\
             </amount></accruedInterest></analytics>",
        ),
    ] {
        assert_eq!(valued(&document(asked)).unwrap(), document(answered));
    }
    assert_eq!(
        valued(&document("")).unwrap(),
        document("").replace(
            "<valuation name=\"v\">",
            "<valuation name=\"v\"><analytics><price><amount>100.00</amount></price></analytics>"
        )
    );
}

#[test]
fn a_valuation_without_a_plain_bond_or_loan_is_refused() {
    let fault = valued(&task("<cancellableBond/><volatility/>", "0", "")).unwrap_err();
    assert_eq!(fault.code, "reference-no-instrument");
    assert_eq!(
        fault.causes,
        ["in its instrument: cancellableBond, volatility"]
    );
    let (code, _) = refused("<vnml><project><group><valuation/></group></project></vnml>");
    assert_eq!(code, "reference-no-instrument");
}

#[test]
fn one_error_names_every_missing_field() {
    let (code, message) = refused(&task("<bond><principal> </principal></bond>", "", ""));
    assert_eq!(code, "reference-missing-number");
    assert_eq!(
        message,
        "the valuation lacks instrument/bond/principal, instrument/bond/coupon/rate, market/rate, \
         instrument/bond/maturity/date or instrument/bond/term"
    );
    let dated = loan("1", "0", 1, "<maturity><date>2030-01-01</date></maturity>");
    let (_, message) = refused(&task(&dated, "0", ""));
    assert_eq!(message, "the valuation lacks analytics/evaluation/date");
}

#[test]
fn a_bad_number_is_named_with_its_value() {
    let term = "<term>1</term>";
    for (instrument, rate, says) in [
        (
            bond("INF", "0", 1, term),
            "0",
            "instrument/bond/principal is \"INF\"",
        ),
        (
            bond("\u{a0}1", "0", 1, term),
            "0",
            "instrument/bond/principal is \"\\u{a0}1\"",
        ),
        (
            bond("1_000", "0", 1, term),
            "0",
            "instrument/bond/principal is \"1_000\"",
        ),
        (
            bond("1", "5%", 1, term),
            "0",
            "instrument/bond/coupon/rate is \"5%\"",
        ),
        (
            bond("1", "0", 5, term),
            "0",
            "instrument/bond/coupon/frequency is \"5\"",
        ),
        (bond("1", "0", 1, term), "x", "market/rate is \"x\""),
        (bond("1", "0", 1, term), "-1", "market/rate is \"-1\""),
        (
            loan("1", "-2", 2, term),
            "0",
            "instrument/loan/rate is \"-2\"",
        ),
        (
            loan("1", "0", 1, "<term>0.5</term>"),
            "0",
            "instrument/loan/term is \"0.5\"",
        ),
        (
            bond("1", "0", 1, "<maturity><date>2025-02-30</date></maturity>"),
            "0",
            "instrument/bond/maturity/date is \"2025-02-30\": a date that no calendar has",
        ),
        (
            bond("1", "0", 1, "<maturity><date>2026-01-01</date></maturity>"),
            "0",
            "instrument/bond/maturity/date is \"2026-01-01\": the instrument has matured",
        ),
        (
            bond("1", "0", 12, "<term>101</term>"),
            "0",
            "instrument/bond/term is \"101\": more than 1200 payments",
        ),
        (
            bond(
                "1",
                "0",
                1,
                "<term>1</term><maturity><date>2027-01-01</date></maturity>",
            ),
            "0",
            "contradict each other",
        ),
    ] {
        let (code, message) = refused(&task(&instrument, rate, "2026-01-01"));
        assert_eq!(code, "reference-bad-number", "{message}");
        assert!(message.contains(says), "{message:?} does not say {says:?}");
    }
}

#[test]
fn numbers_that_outgrow_a_decimal_are_refused() {
    let huge = bond("79228162514264337593543950335", "2", 1, "<term>1</term>");
    let (code, _) = refused(&task(&huge, "0", ""));
    assert_eq!(code, "reference-out-of-range");
    let (code, _) = refused(&task(&bond("1", "0", 12, "<term>100</term>"), "-11.9", ""));
    assert_eq!(code, "reference-out-of-range");
}

#[test]
fn a_document_that_cannot_be_read_is_refused() {
    for (document, says) in [
        ("<vnml><project>", "ends before </project>"),
        ("<vnml/>", "no /vnml/project/group/valuation"),
        ("<!DOCTYPE vnml [<!ENTITY a 'b'>]><vnml/>", "DOCTYPE"),
    ] {
        let (code, message) = refused(document);
        assert_eq!(code, "task-document-invalid");
        assert!(message.contains(says), "{message}");
    }
}
