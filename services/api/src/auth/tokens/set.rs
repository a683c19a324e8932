//! The issuer's keys (RFC 7517).

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use serde::Deserialize;
use serde_json::Value;

/// The algorithms that are taken. None of them has a secret that the issuer and this server share.
pub(super) const ALLOWED: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// A set of keys.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IssuerKeys(Vec<IssuerKey>);

/// One key.
#[derive(Debug)]
pub(super) struct IssuerKey {
    jwk: Jwk,
    pub key: DecodingKey,
}

impl PartialEq for IssuerKey {
    fn eq(&self, other: &Self) -> bool {
        self.jwk == other.jwk
    }
}

impl Eq for IssuerKey {}

impl IssuerKeys {
    /// The usable keys of a set. Keys of other kinds are passed over, as the standard says.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(json)?;
        let keys = set.keys.into_iter().filter_map(|value| {
            let jwk: Jwk = serde_json::from_value(value).ok()?;
            let signs = !matches!(
                jwk.common.public_key_use,
                Some(PublicKeyUse::Encryption | PublicKeyUse::Other(_))
            );
            let key = DecodingKey::from_jwk(&jwk).ok()?;
            signs.then_some(IssuerKey { jwk, key })
        });
        Ok(Self(keys.collect()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key that a token names, if it is one for the token's algorithm. A token may leave the
    /// name out where only one key comes into question.
    pub fn find(&self, header: &Header) -> Option<&IssuerKey> {
        let mut fit = self.0.iter().filter(|key| key.is_for(header.alg));
        match &header.kid {
            Some(kid) => fit.find(|key| key.jwk.common.key_id.as_ref() == Some(kid)),
            None => fit.next().filter(|_| fit.next().is_none()),
        }
    }
}

impl IssuerKey {
    fn is_for(&self, algorithm: Algorithm) -> bool {
        let said = self.jwk.common.key_algorithm;
        let is_said = said.is_none_or(|said| said.to_string() == format!("{algorithm:?}"));
        let is_kind = match (&self.jwk.algorithm, algorithm) {
            (AlgorithmParameters::RSA(_), algorithm) => {
                algorithm.family() == jsonwebtoken::AlgorithmFamily::Rsa
            }
            (AlgorithmParameters::EllipticCurve(of), Algorithm::ES256) => {
                of.curve == EllipticCurve::P256
            }
            (AlgorithmParameters::EllipticCurve(of), Algorithm::ES384) => {
                of.curve == EllipticCurve::P384
            }
            (AlgorithmParameters::OctetKeyPair(of), Algorithm::EdDSA) => {
                of.curve == EllipticCurve::Ed25519
            }
            _ => false,
        };
        is_said && is_kind
    }
}
