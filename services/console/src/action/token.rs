//! The token in each form: it proves that this process made the form for this visitor. A page of
//! another site cannot read it.

use std::fmt::Write as _;

use domain::access::Subject;
use ring::error::Unspecified;
use ring::hmac::{HMAC_SHA256, Key, sign, verify};
use ring::rand::SystemRandom;

/// Makes and checks tokens. They hold as long as the process runs.
pub struct Tokens(Key);

impl Tokens {
    /// Tokens with a new key.
    pub fn new() -> Result<Self, Unspecified> {
        Ok(Self(Key::generate(HMAC_SHA256, &SystemRandom::new())?))
    }

    /// The token of a form of a visitor at a path.
    pub fn of(&self, who: &Subject, path: &str) -> String {
        let tag = sign(&self.0, &message(who, path));
        let mut token = String::new();
        for byte in tag.as_ref() {
            // Writing to a String cannot fail.
            let _ = write!(token, "{byte:02x}");
        }
        token
    }

    /// Whether a token is of this form.
    pub fn fits(&self, token: &str, who: &Subject, path: &str) -> bool {
        let bytes: Option<Vec<u8>> = (0..token.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(token.get(at..at + 2)?, 16).ok())
            .collect();
        bytes.is_some_and(|tag| verify(&self.0, &message(who, path), &tag).is_ok())
    }
}

fn message(who: &Subject, path: &str) -> Vec<u8> {
    // The length keeps ("a", "b/c") and ("a b", "/c") apart.
    format!("{}:{who}{path}", who.as_str().len()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_one_visitor_one_path_and_one_process() {
        let tokens = Tokens::new().unwrap();
        let (anna, mira): (Subject, Subject) = ("anna".parse().unwrap(), "mira".parse().unwrap());
        let token = tokens.of(&anna, "/console/requests/1/cancel");
        assert!(tokens.fits(&token, &anna, "/console/requests/1/cancel"));
        assert!(!tokens.fits(&token, &mira, "/console/requests/1/cancel"));
        assert!(!tokens.fits(&token, &anna, "/console/requests/2/cancel"));
        assert!(
            !Tokens::new()
                .unwrap()
                .fits(&token, &anna, "/console/requests/1/cancel")
        );
        for wrong in ["", "zz", "é", "a", &token[..62]] {
            assert!(
                !tokens.fits(wrong, &anna, "/console/requests/1/cancel"),
                "{wrong}"
            );
        }
    }
}
