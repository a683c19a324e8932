//! AWS Signature Version 4 of a GET without a body.

use jiff::Timestamp;
use runtime::Aws;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest, Sha256};

/// The block size of SHA-256 in bytes, for HMAC (RFC 2104).
const BLOCK: usize = 64;

/// The credentials that sign a request.
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: SecretString,
    pub session_token: Option<SecretString>,
}

impl Credentials {
    /// The credentials of the environment, if there are any.
    pub fn of(aws: &Aws) -> Option<Self> {
        Some(Self {
            access_key_id: aws.access_key_id.clone()?,
            secret_access_key: aws.secret_access_key.clone(),
            session_token: aws.session_token.clone(),
        })
    }

    /// The headers that sign a GET of a path at this time. The headers in `more` are signed as
    /// well.
    pub fn sign(
        &self,
        region: &str,
        host: &str,
        path: &str,
        now: Timestamp,
        more: &[(&'static str, String)],
    ) -> Vec<(&'static str, String)> {
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let date = &time[..8];
        let empty = hex(&Sha256::digest(b""));
        let mut headers = vec![
            ("x-amz-content-sha256", empty.clone()),
            ("x-amz-date", time.clone()),
        ];
        if let Some(token) = &self.session_token {
            headers.push(("x-amz-security-token", token.expose_secret().to_owned()));
        }
        let mut signed = headers.clone();
        signed.push(("host", host.to_owned()));
        signed.extend(more.iter().cloned());
        signed.sort_unstable();
        let lines: Vec<String> = signed.iter().map(|(n, v)| format!("{n}:{v}")).collect();
        let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
        let (lines, names) = (lines.join("\n"), names.join(";"));
        let canonical = format!("GET\n{path}\n\n{lines}\n\n{names}\n{empty}");
        let scope = format!("{date}/{region}/s3/aws4_request");
        let canonical = hex(&Sha256::digest(canonical));
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{canonical}");
        let secret = format!("AWS4{}", self.secret_access_key.expose_secret());
        let mut key = hmac(secret.as_bytes(), date);
        for part in [region, "s3", "aws4_request"] {
            key = hmac(&key, part);
        }
        let signature = hex(&hmac(&key, &to_sign));
        let id = &self.access_key_id;
        headers.push((
            "authorization",
            format!(
                "AWS4-HMAC-SHA256 Credential={id}/{scope},SignedHeaders={names},Signature={signature}"
            ),
        ));
        headers
    }
}

fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mut block = [0_u8; BLOCK];
    if key.len() > BLOCK {
        let digest = Sha256::digest(key);
        block[..digest.len()].copy_from_slice(&digest);
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new()
        .chain_update(pad(0x36))
        .chain_update(message)
        .finalize();
    let outer = Sha256::new().chain_update(pad(0x5C)).chain_update(inner);
    outer.finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
