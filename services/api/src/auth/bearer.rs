//! The credential in the `Authorization` header.

use axum::http::{HeaderMap, header};

use super::refusal::Refusal;

/// The credential of a call: `Authorization: Bearer …` (RFC 6750).
pub(super) fn of(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let value = match (given.next(), given.next()) {
        (None, _) => return Err(Refusal::Missing),
        (Some(value), None) => value,
        _ => return Err(Refusal::Bad("there are two Authorization headers")),
    };
    let not_bearer = Refusal::Bad("Authorization is not Bearer");
    let Ok(text) = value.to_str() else {
        return Err(not_bearer);
    };
    match text.split_once(' ') {
        Some((scheme, credential)) if scheme.eq_ignore_ascii_case("bearer") => {
            Ok(credential.trim())
        }
        _ => Err(not_bearer),
    }
}
