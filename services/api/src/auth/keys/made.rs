//! Making a key.

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::PREFIX;
use super::error::KeysError;

/// How many random bytes a secret has.
const SECRET_BYTES: usize = 32;
/// How many random bytes an id has.
const ID_BYTES: usize = 5;
/// The digits of base64 in URLs.
const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A new key, shown once. Only its hash is kept.
pub struct NewKey {
    /// The key as the caller sends it.
    pub key: String,
    /// The id and the hash, for its line.
    pub id: String,
    /// The hash of the secret.
    pub sha256: [u8; 32],
}

impl NewKey {
    /// Makes a key of 256 random bits.
    pub fn make() -> Result<Self, KeysError> {
        let random = SystemRandom::new();
        let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
        random.fill(&mut id).map_err(|_| KeysError::Random)?;
        random.fill(&mut secret).map_err(|_| KeysError::Random)?;
        let id = u64::from_be_bytes([0, 0, 0, id[0], id[1], id[2], id[3], id[4]]);
        let id = format!("{id:010x}");
        let secret = base64url(&secret);
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
        Ok(Self {
            key: format!("{PREFIX}{id}_{secret}"),
            id,
            sha256,
        })
    }
}

/// Bytes in base64 for URLs, without padding.
pub(in crate::auth) fn base64url(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for digit in 0..=chunk.len() {
            let index = bits >> (18 - 6 * digit) & 63;
            text.push(char::from(BASE64URL[index as usize]));
        }
    }
    text
}
