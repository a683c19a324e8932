//! What a caller accepts.

use axum::http::{HeaderMap, header};

/// How well a range of an `Accept` header fits a media type: not at all, or the more exactly
/// the higher.
fn fit(range: &str, essence: &str) -> Option<u8> {
    let kind = essence.split('/').next().unwrap_or_default();
    if range.eq_ignore_ascii_case(essence) {
        Some(3)
    } else if range
        .strip_suffix("/*")
        .is_some_and(|of| of.eq_ignore_ascii_case(kind))
    {
        Some(2)
    } else {
        (range == "*/*").then_some(1)
    }
}

/// How much a media type is wanted, in thousandths; everything is where nothing is said.
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
            let weight = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(1_000, thousandths);
            if let Some(fit) = fit(name, essence)
                && best.is_none_or(|(known, _)| fit > known)
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

fn thousandths(weight: &str) -> u16 {
    let weight: f64 = weight.trim().parse().unwrap_or(1.0);
    // Within 0 and 1000, so nothing is cut off.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let thousandths = (weight.clamp(0.0, 1.0) * 1_000.0) as u16;
    thousandths
}

/// The most wanted of what is offered, the first of equals; none where nothing is accepted.
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

/// Whether a caller would rather read errors as XML.
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
            ("text/html", None),
        ] {
            assert_eq!(choose(&accept(text), &offers), chosen, "{text}");
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
    }
}
