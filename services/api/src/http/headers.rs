//! The headers that keep a browser from taking an answer for something else than it is.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Response};

/// The policy of every answer that does not set its own. A document is what callers made of it, so
/// a browser must run nothing in it, and no other page may frame it.
pub const SANDBOX: &str = "sandbox; default-src 'none'; frame-ancestors 'none'";

/// The policy of the pages under `/docs`. Their scripts and styles are files of this server. The
/// page sets styles on its elements.
pub const DOCS: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                        img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                        form-action 'none'; frame-ancestors 'none'";

/// Adds the headers that every answer has.
pub fn safe<B>(mut response: Response<B>) -> Response<B> {
    let headers = response.headers_mut();
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    let sandbox = HeaderValue::from_static(SANDBOX);
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(sandbox);
    // An answer may change at any time, unless the route says otherwise.
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(CACHE_CONTROL).or_insert(no_store);
    if holds_markup(headers) {
        let attachment = HeaderValue::from_static("attachment");
        headers.entry(CONTENT_DISPOSITION).or_insert(attachment);
    }
    response
}

/// Whether the answer is XML, which a browser would otherwise show as a page.
fn holds_markup(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default();
    essence.ends_with("/xml") || essence.ends_with("+xml")
}

/// Sets the policy of a page under `/docs`.
pub fn of_docs<B>(mut response: Response<B>) -> Response<B> {
    let policy = HeaderValue::from_static(DOCS);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy);
    response
}
