//! Callers with a JWT of an issuer (RFC 7519, RFC 9068).

mod claims;
mod fetch;
mod provider;
mod set;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use domain::access::Principal;
use jiff::Timestamp;
use jsonwebtoken::{Header, Validation, decode, decode_header};
use quick_cache::sync::Cache;
use ring::digest::{SHA256, digest};
use runtime::CallersConfig;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use self::claims::Claims;
use self::fetch::Issuer;
use self::set::{ALLOWED, IssuerKey, IssuerKeys};
use super::refusal::Refusal;

/// How far the clocks of the issuer and of this machine may differ.
const LEEWAY: Duration = Duration::from_mins(1);
/// The largest token that is looked at.
const TOKEN_MAX_BYTES: usize = 16 * 1024;

/// Whether a credential has the form of a JWT: three parts in base64.
pub(super) fn is_token(credential: &str) -> bool {
    let is_part = |part: &str| {
        let mut bytes = part.bytes();
        !part.is_empty() && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    credential.split('.').count() == 3 && credential.split('.').all(is_part)
}

/// What this process knows of the issuer.
#[derive(Clone, Default)]
struct Known {
    /// The last good set of keys.
    keys: Option<Arc<IssuerKeys>>,
    /// When the last fetch ended.
    tried_at: Option<Instant>,
}

/// A verified token.
#[derive(Clone)]
struct Verified {
    who: Arc<Principal>,
    /// When it expires, in seconds since 1970, with the leeway.
    until: i64,
    /// The set of keys with which it was verified. A key that the issuer takes back ends its
    /// tokens.
    keys: Arc<IssuerKeys>,
}

/// The tokens of an issuer.
pub(super) struct Tokens {
    issuer: Issuer,
    audience: String,
    grants_claim: String,
    known: watch::Sender<Known>,
    /// A token names an unknown key.
    wanted: Notify,
    refresh: Duration,
    pause: Duration,
    patience: Duration,
    /// The verified tokens by their hash.
    verified: Cache<[u8; 32], Verified>,
}

impl Tokens {
    pub fn new(config: &CallersConfig) -> Self {
        provider::install();
        Self {
            issuer: Issuer::new(config),
            audience: config.auth_audience.clone(),
            grants_claim: config.auth_grants_claim.clone(),
            known: watch::Sender::new(Known::default()),
            wanted: Notify::new(),
            refresh: config.auth_jwks_refresh,
            pause: config.auth_jwks_pause,
            patience: config.auth_jwks_timeout,
            verified: Cache::new(config.auth_tokens_max),
        }
    }

    /// Fetches the issuer's keys, again and again. While the issuer is away, the last good set
    /// stays.
    pub async fn follow(&self) {
        loop {
            self.fetch_once().await;
            tokio::time::sleep(self.pause).await;
            let has_none = self.known.borrow().keys.is_none();
            if !has_none {
                let rest = self.refresh.saturating_sub(self.pause);
                // It ends early where a token names an unknown key.
                let _ = tokio::time::timeout(rest, self.wanted.notified()).await;
            }
        }
    }

    async fn fetch_once(&self) {
        let fetched = self.issuer.fetch(self.patience).await;
        if let Err(error) = &fetched {
            tracing::warn!(error, "the keys of the issuer cannot be fetched");
        }
        self.known.send_modify(|known| {
            known.tried_at = Some(Instant::now());
            if let Ok(keys) = fetched
                && known.keys.as_deref() != Some(&keys)
            {
                known.keys = Some(Arc::new(keys));
            }
        });
    }

    /// Who has this token.
    pub async fn who(&self, token: &str) -> Result<Arc<Principal>, Refusal> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(Refusal::Bad("the token is too long"));
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        if let Some(verified) = self.verified.get(&hash)
            && self.is_current(&verified)
        {
            return Ok(verified.who);
        }
        let header = decode_header(token);
        let header = header.map_err(|_| Refusal::Bad("the token's header cannot be read"))?;
        if !ALLOWED.contains(&header.alg) {
            return Err(Refusal::Bad("the token's algorithm is not taken here"));
        }
        let keys = self.keys_with(&header).await?;
        let unknown = Refusal::Bad("the token names no key of the issuer");
        let key = keys.find(&header).ok_or(unknown)?;
        let claims = self.verify(token, &header, key)?;
        let verified = Verified {
            who: Arc::new(claims.principal(&self.grants_claim)?),
            until: claims.exp.saturating_add(LEEWAY.as_secs().cast_signed()),
            keys,
        };
        self.verified.insert(hash, verified.clone());
        Ok(verified.who)
    }

    fn is_current(&self, verified: &Verified) -> bool {
        let known = self.known.borrow();
        let same_keys = known.keys.as_ref();
        same_keys.is_some_and(|keys| Arc::ptr_eq(keys, &verified.keys))
            && Timestamp::now().as_second() < verified.until
    }

    /// A set of keys with the one that the token names, if the issuer has it. It waits for a fetch
    /// only where none ended just now.
    async fn keys_with(&self, header: &Header) -> Result<Arc<IssuerKeys>, Refusal> {
        let mut changes = self.known.subscribe();
        let known = changes.borrow_and_update().clone();
        let has_key = |keys: &Arc<IssuerKeys>| keys.find(header).is_some();
        if let Some(keys) = known.keys.clone().filter(has_key) {
            return Ok(keys);
        }
        let is_fresh = known.tried_at.is_some_and(|at| at.elapsed() < self.pause);
        if !is_fresh {
            self.wanted.notify_one();
            let _ = tokio::time::timeout(self.patience, changes.changed()).await;
        }
        let keys = self.known.borrow().keys.clone();
        keys.ok_or(Refusal::Unverifiable)
    }

    fn verify(&self, token: &str, header: &Header, key: &IssuerKey) -> Result<Claims, Refusal> {
        use jsonwebtoken::errors::ErrorKind;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY.as_secs();
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        validation.set_audience(&[&self.audience]);
        validation.set_issuer(&[self.issuer.name()]);
        let decoded = decode::<Claims>(token, &key.key, &validation);
        let decoded = decoded.map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => Refusal::Bad("the token has expired"),
            ErrorKind::ImmatureSignature => Refusal::Bad("the token is not valid yet"),
            ErrorKind::InvalidAudience => Refusal::Bad("the token is for another service"),
            ErrorKind::InvalidIssuer => Refusal::Bad("the token is of another issuer"),
            ErrorKind::MissingRequiredClaim(_) => Refusal::Bad("the token lacks a claim"),
            ErrorKind::InvalidSignature => Refusal::Bad("the token's signature is wrong"),
            _ => Refusal::Bad("the token cannot be read"),
        });
        decoded.map(|decoded| decoded.claims)
    }
}
