//! Content negotiation.

use axum::http::{HeaderMap, header};

/// How well a range of an `Accept` header fits a media type: `None` for no match, and a higher
/// number for a more exact match.
fn fit(range: &str, essence: &str) -> Option<u8> {
    let range = range.to_ascii_lowercase();
    let (kind, name) = essence.split_once('/')?;
    if range == essence {
        return Some(4);
    }
    if matches!(range.as_str(), "*/*" | "*") {
        return Some(1);
    }
    if let Some((of, suffix)) = range.split_once("*+") {
        // No standard defines such ranges, but callers send them.
        let suffixed = name == suffix || name.ends_with(&format!("+{suffix}"));
        let of_kind = matches!(of, "" | "*/") || of.strip_suffix('/') == Some(kind);
        return (suffixed && of_kind).then_some(3);
    }
    (range.strip_suffix("/*") == Some(kind)).then_some(2)
}

/// The weight of a media type, in thousandths. Without an `Accept` header every type has full
/// weight.
pub fn quality(headers: &HeaderMap, essence: &str) -> u16 {
    let mut best: Option<(u8, u16)> = None;
    let mut said = false;
    for value in headers.get_all(header::ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            if name.is_empty() {
                continue;
            }
            said = true;
            let weight = parts.find_map(weight).unwrap_or(1_000);
            if let Some(fit) = fit(name, essence)
                && best.is_none_or(|known| (fit, weight) > known)
            {
                best = Some((fit, weight));
            }
        }
    }
    match best {
        Some((_, weight)) => weight,
        None if said => 0,
        None => 1_000,
    }
}

/// The weight that a parameter states; `None` for any other parameter.
fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    name.trim()
        .eq_ignore_ascii_case("q")
        .then(|| thousandths(value))
}

fn thousandths(weight: &str) -> u16 {
    let weight = weight.trim().parse().unwrap_or(1.0);
    // A weight that is not a number, such as `nan`, counts like a missing weight.
    let weight = if f64::is_nan(weight) { 1.0 } else { weight };
    // The value is within 0 and 1000, so the cast loses nothing.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let thousandths = (weight.clamp(0.0, 1.0) * 1_000.0) as u16;
    thousandths
}

/// The parameters of a media type, without quotes (RFC 9110, section 5.6.6). Anything else is
/// skipped.
pub fn parameters(text: &str) -> impl Iterator<Item = (&str, String)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let (parameter, after) = until_semicolon(rest)?;
            rest = after;
            if let Some((name, value)) = parameter.split_once('=') {
                return Some((name.trim(), unquoted(value.trim())));
            }
        }
    })
}

/// The text up to the next semicolon outside quotes, and the rest; `None` at the end.
fn until_semicolon(text: &str) -> Option<(&str, &str)> {
    if text.is_empty() {
        return None;
    }
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ';' if !quoted => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    Some((text, ""))
}

fn unquoted(value: &str) -> String {
    let Some(quoted) = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut text = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(c) = characters.next() {
        text.extend(if c == '\\' {
            characters.next()
        } else {
            Some(c)
        });
    }
    text
}

/// The offer with the highest weight, or the first of equals; `None` when the caller accepts no
/// offer.
pub fn choose<'o>(headers: &HeaderMap, offers: &[&'o str]) -> Option<&'o str> {
    let mut best = None;
    for offer in offers {
        let weight = quality(headers, offer);
        if weight > 0 && best.is_none_or(|(known, _)| weight > known) {
            best = Some((weight, *offer));
        }
    }
    best.map(|(_, offer)| offer)
}

/// The XML media type that a caller prefers; `None` when the caller accepts neither.
pub fn xml(headers: &HeaderMap) -> Option<&'static str> {
    choose(headers, &["application/xml", "text/xml"])
}

/// Whether a caller prefers errors in XML.
pub fn prefers_xml(headers: &HeaderMap) -> bool {
    let most = |types: [&str; 3]| {
        types
            .map(|essence| quality(headers, essence))
            .into_iter()
            .max()
    };
    most(["application/problem+xml", "application/xml", "text/xml"])
        > most(["application/problem+json", "application/json", "text/json"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, text.parse().unwrap());
        headers
    }

    #[test]
    fn the_most_wanted_type_is_chosen_and_the_first_of_equals() {
        let offers = ["application/json", "application/xml"];
        assert_eq!(choose(&HeaderMap::new(), &offers), Some("application/json"));
        for (text, chosen) in [
            ("*/*", Some("application/json")),
            ("application/xml", Some("application/xml")),
            (
                "application/json;q=0.5, application/xml",
                Some("application/xml"),
            ),
            ("application/json;q=0, */*", Some("application/xml")),
            ("application/*;q=0.1", Some("application/json")),
            ("application/*+xml", Some("application/xml")),
            ("*/*+xml, application/json;q=0.9", Some("application/xml")),
            ("text/*+xml", None),
            (
                "Application/XML; Q=0.2, application/json; q=0.1",
                Some("application/xml"),
            ),
            (
                "application/json;q=nan, application/xml;q=0.9",
                Some("application/json"),
            ),
            (
                "text/html, image/gif, *; q=.2, */*; q=.2",
                Some("application/json"),
            ),
            (
                "application/json;q=0, application/json;q=1",
                Some("application/json"),
            ),
            ("text/html", None),
        ] {
            assert_eq!(choose(&accept(text), &offers), chosen, "{text}");
        }
    }

    #[test]
    fn a_quoted_parameter_value_contains_no_other_parameter() {
        for (text, expected) in [
            ("", vec![]),
            (" ; x ", vec![]),
            (" charset=utf-8 ;", vec![("charset", "utf-8")]),
            (
                "a=\"x;charset=latin1\"; charset=\"utf-\\8\"",
                vec![("a", "x;charset=latin1"), ("charset", "utf-8")],
            ),
            ("a=\"\\\"\";b=\"", vec![("a", "\""), ("b", "\"")]),
        ] {
            let found: Vec<_> = parameters(text).collect();
            let found: Vec<_> = found.iter().map(|(n, v)| (*n, v.as_str())).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn xml_has_the_type_that_the_caller_names() {
        assert_eq!(xml(&HeaderMap::new()), Some("application/xml"));
        for (text, chosen) in [
            ("text/xml", Some("text/xml")),
            ("TEXT/XML;charset=utf-8", Some("text/xml")),
            ("text/xml;q=1, application/xml;q=0.1", Some("text/xml")),
            ("text/xml, application/xml", Some("application/xml")),
            ("application/soap+xml", None),
            ("application/json, application/problem+xml", None),
        ] {
            assert_eq!(xml(&accept(text)), chosen, "{text}");
        }
    }

    #[test]
    fn errors_are_json_unless_xml_is_wanted_more() {
        assert!(!prefers_xml(&accept("*/*")));
        assert!(!prefers_xml(&accept("application/json")));
        assert!(prefers_xml(&accept("application/xml")));
        assert!(prefers_xml(&accept(
            "application/problem+xml, application/json;q=0.9"
        )));
        assert!(prefers_xml(&accept("application/*+xml")));
        assert!(!prefers_xml(&accept("application/problem+json")));
    }
}
