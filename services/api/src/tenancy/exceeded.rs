//! The answer to a caller whose tenant has used up a quota, and the fields that tell how much is
//! left (draft-ietf-httpapi-ratelimit-headers-10).

use std::fmt;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::json;

use crate::http::problem::Problem;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// How much of a quota there is and is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The name of the quota, as the settings have it.
    pub quota: &'static str,
    /// What it counts, in the words of the draft.
    pub unit: Unit,
    /// How much there is.
    pub most: u64,
    /// How much is left.
    pub left: u64,
    /// When there is more, in seconds.
    pub more_in: u64,
}

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Calls in a second.
    Requests,
    /// Bytes at a time.
    ContentBytes,
    /// Calls or requests at a time.
    Concurrent,
}

impl Standing {
    /// Adds the fields to an answer.
    pub fn tell(&self, response: &mut Response) {
        for (name, value) in self.fields() {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
    }

    fn fields(&self) -> [(HeaderName, String); 2] {
        let Self {
            quota,
            most,
            left,
            more_in,
            ..
        } = self;
        let policy = match self.unit {
            Unit::Requests => format!("\"{quota}\";q={most};w=1"),
            Unit::ContentBytes => format!("\"{quota}\";q={most};qu=\"content-bytes\""),
            Unit::Concurrent => format!("\"{quota}\";q={most};qu=\"concurrent-requests\""),
        };
        [
            (POLICY, policy),
            (LIMIT, format!("\"{quota}\";r={left};t={more_in}")),
        ]
    }
}

/// A quota is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// There is more of it later.
    ForNow(Standing),
    /// A document has more of something than any document of the tenant may have.
    Ever {
        /// The name of the quota.
        quota: &'static str,
        /// The most.
        most: u64,
        /// What the document has.
        has: u64,
    },
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForNow(standing) => {
                let quota = standing.quota;
                write!(
                    f,
                    "the quota {quota} of the tenant is used up; try again later"
                )
            }
            Self::Ever { quota, most, has } => {
                write!(
                    f,
                    "the document has {has} {quota}, and the tenant's quota is {most}"
                )
            }
        }
    }
}

impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        const CODE: &str = "quota-exceeded";
        let message = exceeded.to_string();
        match exceeded {
            Exceeded::ForNow(standing) => {
                let quota = standing.quota;
                let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, CODE, message);
                let problem = problem.retry_after(standing.more_in.max(1));
                let named = problem
                    .with("quota", json!(quota))
                    .with("limit", json!(standing.most))
                    .with("violated-policies", json!([quota]));
                standing
                    .fields()
                    .into_iter()
                    .fold(named, |named, (name, value)| named.with_header(name, value))
            }
            Exceeded::Ever { quota, most, .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, CODE, message)
                    .with("quota", json!(quota))
                    .with("limit", json!(most))
                    .with("violated-policies", json!([quota]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    #[test]
    fn an_answer_tells_the_quota_in_the_fields_of_the_draft() {
        let standing = Standing {
            quota: "submissions",
            unit: Unit::Requests,
            most: 10,
            left: 0,
            more_in: 2,
        };
        let response = Problem::from(Exceeded::ForNow(standing)).into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[POLICY], "\"submissions\";q=10;w=1");
        assert_eq!(response.headers()[LIMIT], "\"submissions\";r=0;t=2");
        assert_eq!(response.headers()["retry-after"], "2");
        let unit = Unit::ContentBytes;
        let [(_, policy), _] = Standing { unit, ..standing }.fields();
        assert_eq!(policy, "\"submissions\";q=10;qu=\"content-bytes\"");
    }
}
