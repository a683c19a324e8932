//! Why a call does not happen.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::access::{Action, InvalidTenant, Role, Subject};
use serde_json::json;

use crate::http::problem::Problem;

/// How a caller proves who it is (RFC 6750).
const CHALLENGE: &str = "Bearer realm=\"fanfold\"";
const CHALLENGE_AGAIN: &str = "Bearer realm=\"fanfold\", error=\"invalid_token\"";

/// Why a call is refused before its operation begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The call has no credential.
    Missing,
    /// The credential proves nothing. The reason names no part of it.
    Bad(&'static str),
    /// Nobody can tell now whether the credential is good.
    Unverifiable,
    /// The caller is known, and a role is missing.
    Forbidden {
        subject: Subject,
        action: Action,
        missing: Role,
    },
    /// The call names something that is no tenant, or several tenants.
    InvalidTenant,
    /// The caller has roles in several tenants, and the call names none.
    TenantUnnamed,
    /// The call names a host that is not this server.
    ForeignHost(String),
    /// The page of another site makes the call.
    ForeignSite,
}

impl Refusal {
    fn problem(&self) -> Problem {
        match self {
            Self::Missing => {
                let message = "this needs a credential: Authorization: Bearer, and a key or a JWT";
                Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
            }
            Self::Bad(why) => {
                let message = format!("the credential proves nothing: {why}");
                Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
            }
            Self::Unverifiable => {
                let message = "the keys of the issuer cannot be fetched now; try again";
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Problem::new(status, "issuer-unavailable", message).retry_after(1)
            }
            Self::Forbidden {
                subject,
                action,
                missing,
            } => {
                let what = action.name();
                let message = format!("{subject} may not {what}: the role {missing} is missing");
                Problem::new(StatusCode::FORBIDDEN, "forbidden", message)
                    .with("action", json!(what))
                    .with("missingRole", json!(missing.name()))
            }
            Self::InvalidTenant => {
                let message = format!("Fanfold-Tenant must be one name: {InvalidTenant}");
                Problem::new(StatusCode::BAD_REQUEST, "invalid-tenant", message)
            }
            Self::TenantUnnamed => {
                let message = "the caller has roles in several tenants: name one in Fanfold-Tenant";
                Problem::new(StatusCode::BAD_REQUEST, "tenant-unnamed", message)
            }
            Self::ForeignHost(host) => {
                let message = format!(
                    "{host:?} is not a name of this server: call it by a name of loopback, or \
                     list the name in ALLOWED_HOSTS"
                );
                Problem::new(StatusCode::FORBIDDEN, "foreign-host", message)
            }
            Self::ForeignSite => {
                let message = "pages of other sites may not call this server";
                Problem::new(StatusCode::FORBIDDEN, "foreign-site", message)
            }
        }
    }
}

impl Refusal {
    /// The status and the reason, for a page that says them.
    pub(super) fn told(&self) -> (StatusCode, String) {
        self.problem().told()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.problem().into_response();
        let challenge = match self {
            Self::Missing => CHALLENGE,
            Self::Bad(_) => CHALLENGE_AGAIN,
            _ => return response,
        };
        let challenge = HeaderValue::from_static(challenge);
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
        response
    }
}
