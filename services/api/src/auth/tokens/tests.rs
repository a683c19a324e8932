use std::time::Instant as Clock;

use jsonwebtoken::crypto::CryptoProvider;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use runtime::Settings;
use serde_json::{Value, json};

use super::*;

fn base64url(bytes: &[u8]) -> String {
    crate::auth::keys::base64url(bytes)
}

/// An issuer with one key.
struct Signer {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Self { pair, random }
    }

    fn set(&self, kid: &str) -> Value {
        let point = self.pair.public_key().as_ref();
        json!({ "keys": [
            { "kty": "oct", "kid": "shared", "k": "c2VjcmV0" },
            { "kty": "what", "kid": "new" },
            { "kty": "EC", "crv": "P-256", "use": "sig", "kid": kid,
              "x": base64url(&point[1..33]), "y": base64url(&point[33..]) },
        ]})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| base64url(value.to_string().as_bytes());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(&self.random, message.as_bytes()).unwrap();
        format!("{message}.{}", base64url(signature.as_ref()))
    }
}

fn tokens(signer: &Signer) -> Tokens {
    let set = [
        ("AUTH_ISSUER", "https://issuer.example"),
        ("AUTH_AUDIENCE", "fanfold"),
    ];
    let find = |name: &str| {
        let found = set.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let tokens = Tokens::new(&Settings::load(None, find, |_| None).unwrap().callers);
    give(&tokens, &signer.set("k1"));
    tokens
}

fn give(tokens: &Tokens, set: &Value) {
    let keys = IssuerKeys::parse(set.to_string().as_bytes()).unwrap();
    tokens.known.send_modify(|known| {
        known.keys = Some(Arc::new(keys));
        known.tried_at = Some(Instant::now());
    });
}

fn claims() -> Value {
    json!({
        "iss": "https://issuer.example", "aud": ["other", "fanfold"], "sub": "ann",
        "exp": Timestamp::now().as_second() + 600,
        "permissions": ["default:read", "profile", "default:submit"],
    })
}

fn header() -> Value {
    json!({ "alg": "ES256", "kid": "k1", "typ": "at+jwt" })
}

fn with(mut value: Value, name: &str, to: Value) -> Value {
    value[name] = to;
    value
}

#[tokio::test]
async fn a_token_of_the_issuer_proves_its_subject_with_the_roles_that_it_lists() {
    use domain::access::{Action, Decision, Tenant, allows};
    let signer = Signer::new();
    let tokens = tokens(&signer);
    let who = tokens
        .who(&signer.sign(&header(), &claims()))
        .await
        .unwrap();
    assert_eq!(who.subject().as_str(), "ann");
    let may = |action| allows(&who, action, Some(&Tenant::default()));
    assert_eq!(may(Action::Submit), Decision::Allowed);
    assert_eq!(may(Action::Inspect), Decision::Allowed);
    assert!(matches!(may(Action::Operate), Decision::Denied(_)));
    let now = Timestamp::now().as_second();
    for good in [
        with(claims(), "aud", json!("fanfold")),
        with(claims(), "permissions", json!("default:read other")),
        // Within the leeway of a minute.
        with(claims(), "exp", json!(now - 30)),
        with(claims(), "nbf", json!(now + 30)),
    ] {
        assert!(
            tokens.who(&signer.sign(&header(), &good)).await.is_ok(),
            "{good}"
        );
    }
    let nameless = json!({ "alg": "ES256" });
    assert!(tokens.who(&signer.sign(&nameless, &claims())).await.is_ok());
}

#[tokio::test]
async fn every_other_token_proves_nothing() {
    let signer = Signer::new();
    let tokens = tokens(&signer);
    let now = Timestamp::now().as_second();
    let without = |name: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        signer.sign(&header(), &claims)
    };
    let altered = |name, to| signer.sign(&header(), &with(claims(), name, to));
    let headed = |name, to| signer.sign(&with(header(), name, to), &claims());
    let good = signer.sign(&header(), &claims());
    let forged = {
        let other = Signer::new().sign(&header(), &claims());
        let (_, signature) = other.rsplit_once('.').unwrap();
        format!("{}.{signature}", good.rsplit_once('.').unwrap().0)
    };
    for (why, token) in [
        ("no exp", without("exp")),
        ("no aud", without("aud")),
        ("no iss", without("iss")),
        ("no sub", without("sub")),
        ("expired", altered("exp", json!(now - 61))),
        ("too early", altered("nbf", json!(now + 90))),
        ("another audience", altered("aud", json!("other"))),
        (
            "another issuer",
            altered("iss", json!("https://evil.example")),
        ),
        ("a reserved subject", altered("sub", json!("anonymous"))),
        ("no subject", altered("sub", json!("a\nb"))),
        ("no algorithm", headed("alg", json!("none"))),
        ("a shared secret", headed("alg", json!("HS256"))),
        (
            "an algorithm of another kind of key",
            headed("alg", json!("RS256")),
        ),
        ("an unknown key", headed("kid", json!("k2"))),
        ("a key that signs nothing", headed("kid", json!("shared"))),
        ("another signature", forged),
        (
            "no signature",
            format!("{}.", good.rsplit_once('.').unwrap().0),
        ),
        ("too long", format!("{good}{}", "x".repeat(TOKEN_MAX_BYTES))),
    ] {
        let refused = tokens.who(&token).await.unwrap_err();
        assert!(matches!(refused, Refusal::Bad(_)), "{why}: {refused:?}");
    }
}

#[tokio::test]
async fn a_key_that_the_issuer_takes_back_ends_its_tokens() {
    let (old, new) = (Signer::new(), Signer::new());
    let tokens = tokens(&old);
    let token = old.sign(&header(), &claims());
    assert!(tokens.who(&token).await.is_ok() && tokens.who(&token).await.is_ok());
    give(&tokens, &new.set("k1"));
    assert!(tokens.who(&token).await.is_err(), "it was remembered");
    assert!(tokens.who(&new.sign(&header(), &claims())).await.is_ok());
}

#[tokio::test]
async fn nobody_can_tell_while_the_issuer_was_never_reached() {
    let signer = Signer::new();
    let mut tokens = tokens(&signer);
    tokens.known.send_modify(|known| *known = Known::default());
    tokens.patience = Duration::from_millis(5);
    let refused = tokens.who(&signer.sign(&header(), &claims())).await;
    assert_eq!(refused, Err(Refusal::Unverifiable));
}

#[tokio::test]
async fn a_token_that_was_verified_once_costs_a_few_microseconds() {
    let signer = Signer::new();
    let tokens = tokens(&signer);
    let token = signer.sign(&header(), &claims());
    tokens.who(&token).await.unwrap();
    let begun = Clock::now();
    for _ in 0..1_000 {
        tokens.who(&token).await.unwrap();
    }
    let each = begun.elapsed() / 1_000;
    eprintln!("a remembered token costs {each:?}");
    // Without the cache a signature costs some 100 µs in this build.
    assert!(each < Duration::from_micros(50), "{each:?}");
}

#[test]
fn an_rsa_signature_is_verified_in_both_paddings_and_no_key_serves_another_kind() {
    install_and_check("RS256", include_str!("tests/rs256.txt"));
    install_and_check("PS256", include_str!("tests/ps256.txt"));
    let set = IssuerKeys::parse(include_bytes!("tests/rsa.json")).unwrap();
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    assert!(set.find(&header).is_none());
}

fn install_and_check(algorithm: &str, token: &str) {
    provider::install();
    let set = IssuerKeys::parse(include_bytes!("tests/rsa.json")).unwrap();
    let token = token.trim();
    let header = decode_header(token).unwrap();
    assert_eq!(format!("{:?}", header.alg), algorithm);
    let key = &set.find(&header).unwrap().key;
    let (message, signature) = token.rsplit_once('.').unwrap();
    let verify = |message: &str| {
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, header.alg).unwrap()
    };
    assert!(verify(message));
    assert!(!verify(&format!("{message}x")));
    assert!(CryptoProvider::try_get_default().is_some());
}
