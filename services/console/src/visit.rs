//! A visit: who looks, at which address, and how the pages should look.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use domain::access::{
    Action, Decision, OutOfReach, Principal, Reach, Role, Subject, Tenant, allows, reach,
};
use jiff::Timestamp;

use crate::fields::Fields;
use crate::trouble::Trouble;

/// The cookie that keeps the theme.
pub const THEME: &str = "fanfold-theme";

/// The cookie that keeps the tenant.
pub const TENANT: &str = "fanfold-tenant";

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
    /// The tenant that a visitor of several tenants chose last.
    pub kept_tenant: Option<Tenant>,
    pub now: Timestamp,
}

impl Visit {
    /// Whether the visitor may see a request of a tenant and a submitter.
    pub fn sees(&self, tenant: &Tenant, submitter: Option<&str>) -> bool {
        match allows(&self.who, Action::Read, Some(tenant)) {
            Decision::Allowed => true,
            Decision::OnOwn => submitter == Some(self.who.subject().as_str()),
            Decision::Denied(_) => false,
        }
    }

    /// The role that the visitor lacks for an action on what belongs to a tenant.
    pub fn lacks(&self, action: Action, tenant: &Tenant) -> Option<Role> {
        match allows(&self.who, action, Some(tenant)) {
            Decision::Denied(role) => Some(role),
            Decision::Allowed | Decision::OnOwn => None,
        }
    }

    /// Refuses an action that the visitor may not take on what belongs to a tenant.
    pub fn check(&self, action: Action, tenant: &Tenant) -> Result<(), Trouble> {
        self.lacks(action, tenant)
            .map_or(Ok(()), |role| Err(self.denied(action, role)))
    }

    fn denied(&self, action: Action, missing: Role) -> Trouble {
        let (who, what) = (self.who.subject(), action.name());
        Trouble::NotAllowed(format!(
            "{who} may not {what}: the role {missing} is missing"
        ))
    }

    /// What a page that looks at many requests is about: the tenant that the address names, or else
    /// all that the visitor may see at once. Of several tenants, a visitor sees one at a time.
    pub fn reach(&self, action: Action) -> Result<Reach, Trouble> {
        let denied = |role| self.denied(action, role);
        if let Some(name) = self.fields.get("tenant") {
            let tenant = name.parse::<Tenant>();
            let tenant = tenant.map_err(|error| Trouble::Unclear(error.to_string()))?;
            return match reach(&self.who, action, Some(tenant)) {
                Ok(reach) => Ok(reach),
                Err(OutOfReach::Denied(role)) => Err(denied(role)),
                Err(OutOfReach::TenantUnnamed) => Err(denied(action.needs())),
            };
        }
        match reach(&self.who, action, None) {
            Ok(reach) => Ok(reach),
            Err(OutOfReach::Denied(role)) => Err(denied(role)),
            Err(OutOfReach::TenantUnnamed) => {
                let kept = self.kept_tenant.iter();
                let mut own = kept.chain(self.who.tenants());
                let first = own.find_map(|own| reach(&self.who, action, Some(own.clone())).ok());
                first.ok_or_else(|| denied(action.needs()))
            }
        }
    }

    /// The tenants among which the visitor must choose for a page that looks at many requests.
    pub fn choices(&self, action: Action) -> Vec<&Tenant> {
        if reach(&self.who, action, None) != Err(OutOfReach::TenantUnnamed) {
            return Vec::new();
        }
        let own = self.who.tenants();
        own.filter(|own| self.lacks(action, own).is_none())
            .collect()
    }

    /// The tenant of a page that looks at many requests; none where it is about all.
    pub fn tenant(&self, action: Action) -> Result<Option<Tenant>, Trouble> {
        Ok(self.reach(action)?.scope.only().cloned())
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
            kept_tenant: cookie(&parts.headers, TENANT).and_then(|name| name.parse().ok()),
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
