//! The tenant that a call names.

use axum::http::{HeaderMap, HeaderName};
use domain::access::Tenant;

use super::refusal::Refusal;

/// The header with which a call names its tenant.
pub(super) const TENANT: HeaderName = HeaderName::from_static("fanfold-tenant");

/// The tenant that the headers name; `None` where they name none.
pub(super) fn named(headers: &HeaderMap) -> Result<Option<Tenant>, Refusal> {
    let mut values = headers.get_all(TENANT).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let only = values.next().is_none();
    let name = value.to_str().ok().filter(|_| only);
    let tenant = name.and_then(|name| name.parse().ok());
    tenant.map(Some).ok_or(Refusal::InvalidTenant)
}
