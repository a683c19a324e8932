//! A visit: who looks, at which address, and how the pages should look.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use domain::access::{Action, Decision, Principal, Role, Subject, Tenant, allows};
use jiff::Timestamp;

use crate::fields::Fields;

/// The cookie that keeps the theme.
pub const THEME: &str = "fanfold-theme";

/// The colors of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the system of the visitor has them.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    /// The theme as a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The theme with this name.
    pub fn of(word: &str) -> Option<Self> {
        let all = [Self::System, Self::Light, Self::Dark];
        all.into_iter().find(|theme| theme.name() == word)
    }
}

/// A visit to a page.
#[derive(Clone, Debug)]
pub struct Visit {
    pub who: Arc<Principal>,
    pub uri: Uri,
    pub fields: Fields,
    pub theme: Theme,
    pub now: Timestamp,
}

impl Visit {
    /// Whether the visitor may see the requests of a submitter.
    pub fn sees(&self, submitter: Option<&str>) -> bool {
        match allows(&self.who, Action::Read, Some(&Tenant::default())) {
            Decision::Allowed => true,
            Decision::OnOwn => submitter == Some(self.who.subject().as_str()),
            Decision::Denied(_) => false,
        }
    }

    /// The role that the visitor lacks for an action.
    pub fn lacks(&self, action: Action) -> Option<Role> {
        match allows(&self.who, action, Some(&Tenant::default())) {
            Decision::Denied(role) => Some(role),
            Decision::Allowed | Decision::OnOwn => None,
        }
    }

    /// This address with another value of a field.
    pub fn with(&self, name: &str, value: Option<&str>) -> String {
        format!(
            "{}{}",
            self.uri.path(),
            self.fields.with(name, value).query()
        )
    }
}

impl Visit {
    /// The visit of a call.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        let nobody = || Arc::new(Principal::new(Subject::anonymous(), []));
        let who = parts.extensions.get::<Arc<Principal>>().cloned();
        let fields = Fields::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let asked = fields.get("theme").and_then(Theme::of);
        let kept = cookie(&parts.headers, THEME).and_then(Theme::of);
        Self {
            who: who.unwrap_or_else(nobody),
            theme: asked.or(kept).unwrap_or_default(),
            uri: parts.uri.clone(),
            fields,
            now: Timestamp::now(),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

/// The value of a cookie.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter();
    let mut pairs = all
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}
