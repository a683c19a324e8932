//! `ETag` and `If-None-Match`.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The content codings in which the server may compress an answer.
const ENCODINGS: [&str; 2] = ["gzip", "zstd"];

/// Whether the caller already has this version.
pub fn has(headers: &HeaderMap, tag: &str) -> bool {
    tags(headers).any(|known| known == "*" || known == tag)
}

/// The versions that the caller has, without quotes.
pub fn tags(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(|tag| {
            let tag = tag.trim();
            let tag = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
            let encoding = ENCODINGS
                .iter()
                .find_map(|encoding| tag.strip_suffix(encoding)?.strip_suffix('-'));
            encoding.unwrap_or(tag)
        })
}

/// Sets the `ETag` of an answer to this version.
pub fn tagged(mut response: Response, tag: &str) -> Response {
    tag_with(response.headers_mut(), tag);
    response
}

/// The answer for a caller that already has this version.
pub fn not_modified(tag: &str) -> Response {
    tagged(StatusCode::NOT_MODIFIED.into_response(), tag)
}

/// Adds the content coding to a strong tag. A strong tag identifies the exact bytes, and
/// compression changes them.
pub fn name_the_encoding(headers: &mut HeaderMap) {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some((tag, encoding)) = text(header::ETAG).zip(text(header::CONTENT_ENCODING)) {
        let tag = format!("{}-{encoding}", tag.trim_matches('"'));
        tag_with(headers, &tag);
    }
}

fn tag_with(headers: &mut HeaderMap, tag: &str) {
    if let Ok(value) = HeaderValue::try_from(format!("\"{tag}\"")) {
        headers.insert(header::ETAG, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_tag_matches_in_any_content_coding() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::IF_NONE_MATCH,
            "\"a\", W/\"b-gzip\", \"c-zstd\"".parse().unwrap(),
        );
        assert!(["a", "b", "c"].iter().all(|tag| has(&headers, tag)));
        assert!(!has(&headers, "d"));
        headers.insert(header::IF_NONE_MATCH, "*".parse().unwrap());
        assert!(has(&headers, "d"));
    }
}
