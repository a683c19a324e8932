//! Who calls, and whether the call may happen. Three authenticators say who: a client certificate,
//! a JWT, a key. The first one that recognizes its form of credential decides. A bad credential is
//! never tried by the next. Whether the call may happen is `domain::access::allows`.

mod admitted;
mod bearer;
mod certificate;
mod gate;
pub mod keys;
mod layers;
mod operation;
mod refusal;
mod sites;
mod tenant;
#[cfg(test)]
mod tests;
mod tokens;

use std::sync::Arc;

use axum::http::{Extensions, HeaderMap};
use domain::access::{Action, OutOfReach, Principal, Role, Subject, reach, somewhere};
use jiff::Timestamp;
use runtime::{CallersConfig, Shutdown};

pub(crate) use admitted::Admitted;
pub use admitted::Details;
pub use gate::{gated, gated_page};
use keys::{Keys, KeysError};
pub use layers::guarded;
pub(crate) use layers::named;
pub(crate) use operation::{Routes, schemes};
use refusal::Refusal;
use sites::Sites;
use tokens::Tokens;

use crate::http::tls::PeerNames;

/// How callers are told apart, for every listener of this process.
pub struct Auth {
    way: Way,
    sites: Sites,
    /// What the settings allow though it is unsafe, in words.
    unsafe_settings: Vec<String>,
}

enum Way {
    /// Callers are not told apart, and each may do everything.
    Open(Arc<Principal>),
    /// Callers prove who they are.
    Proven {
        keys: Option<Keys>,
        tokens: Option<Box<Tokens>>,
    },
}

/// How a browser comes to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// A page or a program calls. A page must be of this server.
    Call,
    /// A link that somebody followed to a page.
    Link,
}

impl Auth {
    /// The authenticators of these settings. A keys file that cannot be read is an error now, and
    /// none later.
    pub fn new(config: &CallersConfig, unsafe_settings: Vec<String>) -> Result<Self, KeysError> {
        let way = if config.is_on() {
            Way::Proven {
                keys: config.has_keys().then(|| Keys::open(config)).transpose()?,
                tokens: config.has_issuer().then(|| Box::new(Tokens::new(config))),
            }
        } else {
            Way::Open(Arc::new(Principal::admin(Subject::anonymous())))
        };
        Ok(Self {
            way,
            sites: Sites::new(config),
            unsafe_settings,
        })
    }

    /// What the settings allow though it is unsafe.
    #[must_use]
    pub fn unsafe_settings(&self) -> &[String] {
        &self.unsafe_settings
    }

    /// Since when the keys file cannot be read, and why.
    #[must_use]
    pub fn keys_fault(&self) -> Option<String> {
        match &self.way {
            Way::Proven { keys, .. } => keys.as_ref()?.fault(Timestamp::now()),
            Way::Open(_) => None,
        }
    }

    /// Keeps the keys and the issuer's keys up to date while the process runs.
    pub async fn watch(&self, shutdown: &Shutdown) {
        let Way::Proven { keys, tokens } = &self.way else {
            return shutdown.softly().await;
        };
        let keys = async {
            match keys {
                Some(keys) => keys.follow().await,
                None => std::future::pending().await,
            }
        };
        let tokens = async {
            match tokens {
                Some(tokens) => tokens.follow().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = keys => {}
            () = tokens => {}
            () = shutdown.softly() => {}
        }
    }

    /// Who calls.
    async fn who(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Arc<Principal>, Refusal> {
        let (keys, tokens) = match &self.way {
            Way::Open(everyone) => return Ok(everyone.clone()),
            Way::Proven { keys, tokens } => (keys.as_ref(), tokens.as_ref()),
        };
        if let Some(names) = extensions.get::<PeerNames>() {
            return certificate::who(names, keys, Timestamp::now());
        }
        let credential = bearer::of(headers)?;
        if keys::is_key(credential) {
            let keys = keys.ok_or(Refusal::Bad("keys are not taken here"))?;
            return keys.who(credential, Timestamp::now());
        }
        if tokens::is_token(credential) {
            let tokens = tokens.ok_or(Refusal::Bad("tokens are not taken here"))?;
            return tokens.who(credential).await;
        }
        Err(Refusal::Bad("it is neither a key nor a JWT"))
    }

    /// Admits a call, or refuses it.
    async fn admit(
        &self,
        action: Action,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Admitted, Refusal> {
        self.sites.check_origin(headers)?;
        let who = self.who(headers, extensions).await?;
        match reach(&who, action, tenant::named(headers)?) {
            Ok(reach) => Ok(Admitted::new(who, reach)),
            Err(OutOfReach::TenantUnnamed) => Err(Refusal::TenantUnnamed),
            Err(OutOfReach::Denied(missing)) => Err(forbidden(&who, action, missing)),
        }
    }

    /// Admits a call of a page whose caller may take the action in some tenant, or refuses it.
    async fn admit_page(
        &self,
        entry: Entry,
        action: Action,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Arc<Principal>, Refusal> {
        if entry == Entry::Call {
            self.sites.check_origin(headers)?;
        }
        let who = self.who(headers, extensions).await?;
        let may = somewhere(&who, action);
        may.map_err(|missing| forbidden(&who, action, missing))?;
        Ok(who)
    }
}

fn forbidden(who: &Principal, action: Action, missing: Role) -> Refusal {
    Refusal::Forbidden {
        subject: who.subject().clone(),
        action,
        missing,
    }
}
