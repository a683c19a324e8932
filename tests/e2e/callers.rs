//! Who may do what, against the running program.

use std::sync::{Arc, Mutex};

use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use harness::{Answer, Client, Program, Valuer, World, until, until_some};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::{document, post};

const BINARY: &str = env!("CARGO_BIN_EXE_fanfold");

/// A keys file in the folder of a world, written by the command line.
pub struct KeyRing(pub String);

impl KeyRing {
    pub fn new(world: &World) -> Self {
        Self(world.folder().join("keys").display().to_string())
    }

    pub async fn command(&self, args: &[&str]) -> (bool, String, String) {
        let output = tokio::process::Command::new(BINARY)
            .arg("keys")
            .args(args)
            .env("AUTH_KEYS_FILE", &self.0)
            .output()
            .await
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.success(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    /// A new key of this subject.
    pub async fn key(&self, subject: &str, grants: &[&str]) -> String {
        let mut args = vec!["new", "--subject", subject];
        for grant in grants {
            args.extend(["--grant", grant]);
        }
        let (ok, key, said) = self.command(&args).await;
        assert!(
            ok && said.contains(subject) && !said.contains(key.trim()),
            "{said}"
        );
        key.trim().to_owned()
    }
}

async fn up(world: &World, valuer: &Valuer, settings: &[(&str, &str)]) -> Program {
    let mut all = vec![("EXECUTOR", valuer.url())];
    all.extend(settings);
    Program::start(BINARY, "up", world, &all).await
}

fn code(answer: &Answer) -> String {
    answer.json()["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Every operation of the `OpenAPI` document, as a call that its gate sees.
async fn operations(client: &Client) -> Vec<(Method, String, String)> {
    let document = client.get("/openapi.json").await.json();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let real = path
                .replace("{id}", "01a20d07-ceb0-71d2-8a80-d677f6148452")
                .replace("{group}", "0")
                .replace("{task}", "1")
                .replace("{file}", "failed.v1.json");
            let method = method.to_uppercase().parse().unwrap();
            let action = operation["x-action"].as_str().unwrap().to_owned();
            all.push((method, real, action));
        }
    }
    all
}

#[tokio::test]
async fn every_operation_is_refused_without_a_credential_and_allowed_to_the_roles_that_the_table_names()
 {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let keys = KeyRing::new(&world);
    let roles = ["submit", "read", "operate", "admin"];
    let mut credentials = Vec::new();
    for role in roles {
        let key = keys
            .key(&format!("the-{role}"), &[&format!("default:{role}")])
            .await;
        credentials.push((role, key));
    }
    let system = keys.key("the-system", &["system:admin"]).await;
    let program = up(&world, &valuer, &[("AUTH_KEYS_FILE", &keys.0)]).await;
    let open = program.client();
    let operations = operations(&open).await;
    assert_eq!(operations.len(), 27);
    for (method, path, action) in &operations {
        let answer = open.send(open.call(method.clone(), path)).await;
        if action == "open" {
            assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            continue;
        }
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer realm=\"fanfold\""
        );
        assert_eq!(code(&answer), "unauthenticated");
        for (role, key) in &credentials {
            let client = open.with_credential(key);
            let answer = client.send(client.call(method.clone(), path)).await;
            let may: &[&str] = match action.as_str() {
                "submit" | "check" => &["submit", "admin"],
                "read" => &["submit", "read", "operate", "admin"],
                "inspect" => &["read", "operate", "admin"],
                _ => &["operate", "admin"],
            };
            let is_forbidden = answer.status == StatusCode::FORBIDDEN;
            assert_eq!(is_forbidden, !may.contains(role), "{role}: {method} {path}");
            if is_forbidden {
                let problem = answer.json();
                assert_eq!(problem["action"], action.as_str());
                assert!(roles.contains(&problem["missingRole"].as_str().unwrap()));
            }
        }
    }
    let bad = open.with_credential("ff_0000000000_nothing");
    let answer = bad.get("/valuations").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.header("www-authenticate").contains("invalid_token"));

    // The admin listener is under the same rules.
    let admin = program.admin();
    assert_eq!(admin.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(
        admin.get("/readyz").await.json(),
        json!({ "status": "ready" })
    );
    assert_eq!(
        open.get("/readyz").await.json(),
        json!({ "status": "ready" })
    );
    assert_eq!(admin.get("/metrics").await.status, StatusCode::UNAUTHORIZED);
    let of_tenant = admin.with_credential(&credentials[3].1);
    assert_eq!(
        of_tenant.get("/metrics").await.status,
        StatusCode::FORBIDDEN
    );
    let system = system.as_str();
    assert_eq!(
        admin.with_credential(system).get("/metrics").await.status,
        StatusCode::OK
    );
    let details = open.with_credential(system).get("/readyz").await.json();
    assert_eq!(details["dependencies"]["nats"], "ok");
    for (_, key) in &credentials {
        let secret = key.rsplit_once('_').unwrap().1;
        assert!(!program.log().contains(secret), "a key is in the log");
    }
}

#[tokio::test]
async fn a_caller_who_submits_reads_its_own_requests_and_no_others() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let keys = KeyRing::new(&world);
    let ann = keys.key("ann", &["default:submit"]).await;
    let bob = keys.key("bob", &["default:submit"]).await;
    let eve = keys.key("eve", &["default:operate"]).await;
    let program = up(&world, &valuer, &[("AUTH_KEYS_FILE", &keys.0)]).await;
    let client = |key: &str| program.client().with_credential(key);
    let (ann, bob, eve) = (client(&ann), client(&bob), client(&eve));
    let id = ann.submit(&document(1, 1), "").await.id();
    let status = ann.until_status(&id, "succeeded").await;
    assert_eq!(status["submitter"], "ann");
    let waited = ann.submit(&document(1, 1), "sync=Y").await;
    assert_eq!(waited.status, StatusCode::OK, "{}", waited.body);
    let parts = ["status", "results", "events", "tasks", "tasks/0/1"];
    for part in parts {
        let path = format!("/valuation/{id}/{part}");
        assert_eq!(ann.get(&path).await.status, StatusCode::OK, "{path}");
        assert_eq!(eve.get(&path).await.status, StatusCode::OK, "{path}");
        let hidden = bob.get(&path).await;
        assert_eq!(hidden.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(code(&hidden), "unknown-request");
        let ahead = bob
            .call(Method::GET, &path)
            .header("fanfold-sequence", "999999");
        let hidden = bob.send(ahead.header("prefer", "wait=1")).await;
        assert_eq!(hidden.status, StatusCode::NOT_FOUND, "{path}");
    }
    let stream = bob.call(Method::GET, &format!("/valuation/{id}/events"));
    let hidden = bob.send(stream.header("accept", "text/event-stream")).await;
    assert_eq!(hidden.status, StatusCode::NOT_FOUND);
    let listed = |client: Client| async move {
        let list = client.get("/valuations").await.json();
        list["valuations"].as_array().unwrap().len()
    };
    assert_eq!(listed(ann.clone()).await, 2);
    assert_eq!(listed(bob.clone()).await, 0);
    assert_eq!(listed(eve.clone()).await, 2);

    // A key of another caller is no way to its request.
    let keyed = |client: &Client| {
        let call = client.call(Method::POST, "/valuation");
        let call = call.header(CONTENT_TYPE, "application/xml");
        let call = call.header("idempotency-key", "k").body(document(1, 2));
        client.send(call)
    };
    let first = keyed(&ann).await;
    let id_of_key = domain::request::RequestId::of_key("anonymous", "k").to_string();
    assert_eq!(
        first.id(),
        id_of_key,
        "keys name the requests that they always named"
    );
    assert_eq!(keyed(&ann).await.header("idempotency-replayed"), "true");
    let refused = keyed(&bob).await;
    assert_eq!(
        refused.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        refused.body
    );
    assert_eq!(code(&refused), "idempotency-key-reused");
    // Another document tells no more than the same one.
    let with = |client: &Client| {
        let call = client.call(Method::POST, "/valuation");
        let call = call.header(CONTENT_TYPE, "application/xml");
        let call = call.header("idempotency-key", "k").body(document(1, 1));
        client.send(call)
    };
    let other = with(&bob).await;
    assert_eq!(
        (other.status, code(&other)),
        (refused.status, code(&refused))
    );
    assert_eq!(other.json()["detail"], refused.json()["detail"]);
    assert!(!other.body.contains(&id_of_key), "{}", other.body);
    assert!(with(&ann).await.body.contains(&id_of_key));
}

#[tokio::test]
async fn the_history_has_the_principal_and_the_person_whom_it_names() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let keys = KeyRing::new(&world);
    let key = keys
        .key("desk", &["default:submit", "default:operate"])
        .await;
    let settings = [
        ("AUTH_KEYS_FILE", keys.0.as_str()),
        ("EXECUTOR", "command:sleep 1000"),
    ];
    let program = up(&world, &valuer, &settings).await;
    let client = program.client().with_credential(&key);
    let id = client.submit(&document(1, 1), "").await.id();
    let why = json!({ "reason": "wrong", "by": "anna" });
    let cancelled = post(&client, &format!("/valuation/{id}/cancel"), &why).await;
    assert_eq!(cancelled.status, StatusCode::OK, "{}", cancelled.body);
    let events = client.get(&format!("/valuation/{id}/events")).await.json();
    let events = events["events"].as_array().unwrap();
    assert_eq!(events[0]["data"]["submitter"], "desk");
    let last = &events.last().unwrap()["data"];
    assert_eq!(
        (&last["by"], &last["onBehalfOf"]),
        (&json!("desk"), &json!("anna"))
    );
    let shown = tokio::process::Command::new(BINARY)
        .args(["replay", "why", &id])
        .env("NATS_URL", world.nats_url())
        .env("REDIS_URL", world.redis_url())
        .output()
        .await
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains("desk on behalf of anna cancelled it: wrong"),
        "{shown}"
    );
    // The command line acts as the operator of the machine.
    let other = client.submit(&document(1, 1), "").await.id();
    let args = ["cancel", &other, "--reason", "wrong", "--by", "anna"];
    let said = crate::fanfold(&world, &args).await;
    assert!(said.ok, "{}", said.err);
    client.until_status(&other, "cancelled").await;
    let events = client
        .get(&format!("/valuation/{other}/events"))
        .await
        .json();
    let last = &events["events"].as_array().unwrap().last().unwrap()["data"];
    assert_eq!(
        (&last["by"], &last["onBehalfOf"]),
        (&json!("tester"), &json!("anna"))
    );
}

#[tokio::test]
async fn a_key_is_made_listed_and_revoked_and_the_running_program_sees_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let keys = KeyRing::new(&world);
    let first = keys.key("ann", &["default:read"]).await;
    let mode = std::fs::metadata(&keys.0).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let settings = [
        ("AUTH_KEYS_FILE", keys.0.as_str()),
        ("FANFOLD_TEST_AUTH_KEYS_CHECK_MS", "20"),
    ];
    let program = up(&world, &valuer, &settings).await;
    let second = keys.key("bob", &["default:read"]).await;
    let reads = |key: &str| {
        let client = program.client().with_credential(key);
        async move { client.get("/valuations").await.status == StatusCode::OK }
    };
    assert!(reads(&first).await);
    until("the new key is known", || reads(&second)).await;
    let (_, listed, _) = keys.command(&["list"]).await;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let id = first.split('_').nth(1).unwrap();
    let (ok, _, said) = keys.command(&["revoke", id]).await;
    assert!(ok, "{said}");
    until("the revoked key is refused", || async {
        !reads(&first).await
    })
    .await;
    assert!(reads(&second).await);
    assert!(!keys.command(&["revoke", id]).await.0, "there is none");
    // Without the file, whoever has been revoked can go on.
    let system = keys.key("olga", &["system:admin"]).await;
    let system = program.client().with_credential(&system);
    let fault = || async {
        let health = system.get("/readyz").await;
        health.status == StatusCode::OK && health.json()["dependencies"]["keys"].is_string()
    };
    until("the details are there", || async {
        system.get("/readyz").await.json()["dependencies"].is_object()
    })
    .await;
    assert!(!fault().await);
    std::fs::remove_file(&keys.0).unwrap();
    until("the details say that the file cannot be read", fault).await;
    let health = system.get("/readyz").await.json();
    let said = health["dependencies"]["keys"].as_str().unwrap().to_owned();
    assert!(said.starts_with("not read since 2"), "{said}");
}

#[tokio::test]
async fn a_key_that_nobody_could_use_is_not_made_and_a_name_cannot_turn_the_line_that_shows_it() {
    let world = World::start().await;
    let keys = KeyRing::new(&world);
    let grant = ["--grant", "default:read"];
    for (args, why) in [
        (&["--subject", "a b"][..], "--subject"),
        (
            &["--subject", "ann", "--expires", "2020-01-01T00:00:00Z"],
            "has passed",
        ),
    ] {
        let args: Vec<&str> = ["new"].iter().chain(args).chain(&grant).copied().collect();
        let (ok, key, said) = keys.command(&args).await;
        assert!(!ok && key.is_empty() && said.contains(why), "{said}");
    }
    let turned = "ann\u{202e}nimda";
    let args = ["new", "--subject", turned, "--grant", "default:read"];
    let (ok, _, said) = keys.command(&args).await;
    let (_, listed, _) = keys.command(&["list"]).await;
    assert!(
        ok && said.contains("u202e") && listed.contains("u202e"),
        "{said}{listed}"
    );
    assert!(!said.contains('\u{202e}') && !listed.contains('\u{202e}'));
}

/// An issuer of tokens on loopback, whose keys a test can change.
struct Issuer {
    url: String,
    set: Arc<Mutex<Value>>,
    asked: Arc<Mutex<usize>>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let set = Arc::new(Mutex::new(json!({ "keys": [] })));
        let asked = Arc::new(Mutex::new(0));
        let about = json!({ "issuer": url, "jwks_uri": format!("{url}/keys") });
        let (shown, counted) = (set.clone(), asked.clone());
        let keys = move || {
            *counted.lock().unwrap() += 1;
            let set = shown.lock().unwrap().clone();
            async move { Json(set) }
        };
        let router = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(async move || Json(about)),
            )
            .route("/keys", get(keys));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, set, asked }
    }

    /// Adds a key, and returns what signs with it.
    fn key(&self, kid: &'static str) -> impl Fn(&Value) -> String + use<> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        let base64 = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let point = pair.public_key().as_ref();
        let key = json!({ "kty": "EC", "crv": "P-256", "kid": kid,
            "x": base64(&point[1..33]), "y": base64(&point[33..]) });
        self.set.lock().unwrap()["keys"]
            .as_array_mut()
            .unwrap()
            .push(key);
        move |claims| {
            let header = json!({ "alg": "ES256", "kid": kid });
            let part = |value: &Value| base64(value.to_string().as_bytes());
            let message = format!("{}.{}", part(&header), part(claims));
            let signature = pair.sign(&random, message.as_bytes()).unwrap();
            format!("{message}.{}", base64(signature.as_ref()))
        }
    }

    fn claims(&self, subject: &str, grants: &[&str]) -> Value {
        let now = jiff::Timestamp::now().as_second();
        json!({ "iss": self.url, "aud": "fanfold", "sub": subject, "exp": now + 600,
            "permissions": grants })
    }
}

#[tokio::test]
async fn a_token_of_the_issuer_is_taken_and_a_new_key_of_the_issuer_is_fetched_when_a_token_names_it()
 {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let issuer = Issuer::start().await;
    let sign = issuer.key("k1");
    let settings = [
        ("AUTH_ISSUER", issuer.url.as_str()),
        ("AUTH_AUDIENCE", "fanfold"),
        ("FANFOLD_TEST_AUTH_JWKS_PAUSE_MS", "1000"),
    ];
    let program = up(&world, &valuer, &settings).await;
    let client = |token: &str| program.client().with_credential(token);
    let reader = sign(&issuer.claims("ann", &["default:read"]));
    let status = |client: Client| async move { client.get("/valuations").await.status };
    until("the issuer's keys are there", || async {
        status(client(&reader)).await == StatusCode::OK
    })
    .await;
    let submitter = client(&sign(&issuer.claims("bob", &["default:submit"])));
    let done = submitter.submit(&document(1, 1), "sync=Y").await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    let refused = client(&reader).submit(&document(1, 1), "").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(refused.json()["missingRole"], "submit");
    let other = issuer.claims("ann", &["default:read"]);
    let mut other = other;
    other["aud"] = json!("other");
    assert_eq!(
        status(client(&sign(&other))).await,
        StatusCode::UNAUTHORIZED
    );

    let sign = issuer.key("k2");
    let token = sign(&issuer.claims("ann", &["default:read"]));
    until("the new key is known", || async {
        status(client(&token)).await == StatusCode::OK
    })
    .await;
    // Names that the issuer does not have cannot make this program ask the issuer all the time.
    let asked = || *issuer.asked.lock().unwrap();
    let unlisted = issuer.key("k3");
    issuer.set.lock().unwrap()["keys"]
        .as_array_mut()
        .unwrap()
        .pop();
    let before = asked();
    let begun = std::time::Instant::now();
    for _ in 0..30 {
        let token = unlisted(&issuer.claims("eve", &["system:admin"]));
        assert_eq!(status(client(&token)).await, StatusCode::UNAUTHORIZED);
    }
    let allowed = 2 + begun.elapsed().as_secs();
    assert!(
        (asked() - before) as u64 <= allowed,
        "{} fetches",
        asked() - before
    );
    assert!(!program.log().contains(&token), "a token is in the log");
}

#[tokio::test]
async fn a_start_within_reach_of_strangers_is_refused_unless_it_is_said_aloud() {
    let world = World::start().await;
    let start = |settings: &[(&str, &str)]| {
        let mut command = tokio::process::Command::new(BINARY);
        command.arg("api").env("NATS_URL", world.nats_url());
        command
            .env("REDIS_URL", world.redis_url())
            .env("HTTP_PORT", "0");
        command.envs(settings.iter().copied()).kill_on_drop(true);
        async move {
            let output = command.output().await.unwrap();
            (
                output.status.success(),
                String::from_utf8(output.stderr).unwrap(),
            )
        }
    };
    for settings in [
        &[("HTTP_HOST", "0.0.0.0")][..],
        &[("HTTP_HOST", "::")],
        &[("ADMIN_HOST", "0.0.0.0"), ("ADMIN_PORT", "0")],
    ] {
        let (ok, said) = start(settings).await;
        assert!(
            !ok && said.contains(settings[0].0) && said.contains("AUTH=none"),
            "{said}"
        );
    }
    let (ok, said) = start(&[("AUTH_KEYS_FILE", "/nowhere")]).await;
    assert!(!ok && said.contains("/nowhere"), "{said}");
    let (ok, said) = start(&[("AUTH", "none"), ("AUTH_KEYS_FILE", "/nowhere")]).await;
    assert!(!ok && said.contains("AUTH='none'"), "{said}");

    let valuer = Valuer::golden().await;
    let settings = [
        ("HTTP_HOST", "0.0.0.0"),
        ("AUTH", "none"),
        ("WEBHOOK_ALLOW_PRIVATE", "true"),
    ];
    let program = up(&world, &valuer, &settings).await;
    for client in [program.client(), program.admin()] {
        let said = client.get("/readyz").await.json()["unsafeSettings"].to_string();
        for part in ["AUTH=none", "HTTP_HOST=0.0.0.0", "WEBHOOK_ALLOW_PRIVATE"] {
            assert!(said.contains(part), "{part}: {said}");
            let in_log = format!("unsafe but allowed: {part}");
            assert!(program.log().contains(&in_log), "{in_log}");
        }
    }
    // With these words every address is one of this server, and no name is: it could be that of a
    // page that leads here.
    let client = program.client();
    for (host, expected) in [
        ("192.0.2.7:8080", StatusCode::OK),
        ("localhost", StatusCode::OK),
        ("fanfold.example", StatusCode::FORBIDDEN),
    ] {
        let call = client.call(Method::GET, "/valuations").header("host", host);
        assert_eq!(client.send(call).await.status, expected, "{host}");
    }
    until_some("it still answers", || async {
        client.ready().await.then_some(())
    })
    .await;
}
