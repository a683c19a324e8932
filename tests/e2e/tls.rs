//! The listeners with TLS.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use harness::{Certificates, Client, World, until};
use reqwest::header::CONTENT_TYPE;
use reqwest::{ClientBuilder, Identity, StatusCode};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::callers::KeyRing;
use crate::document;

/// An `up` whose listeners speak TLS.
struct Encrypted {
    certificates: Certificates,
    port: u16,
    admin: u16,
    log: PathBuf,
    _up: Child,
}

impl Encrypted {
    async fn start(world: &World, settings: impl Fn(&Certificates) -> Vec<(&str, String)>) -> Self {
        let certificates = Certificates::new(world.folder());
        let (port, admin) = (servers::free_port().unwrap(), servers::free_port().unwrap());
        let log = world.folder().join("up.log");
        let file = fs::File::create(&log).unwrap();
        let up = Command::new(env!("CARGO_BIN_EXE_fanfold"))
            .arg("up")
            .env("NATS_URL", world.nats_url())
            .env("REDIS_URL", world.redis_url())
            .env("HTTP_PORT", port.to_string())
            .env("ADMIN_PORT", admin.to_string())
            .env("HTTP_TLS_CERT", &certificates.server.0)
            .env("HTTP_TLS_KEY", &certificates.server.1)
            .env("NO_COLOR", "1")
            .envs(settings(&certificates))
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let this = Self {
            certificates,
            port,
            admin,
            log,
            _up: up,
        };
        let client = this.client(None);
        let ready = || this.answers(&client, port, "/readyz");
        until("the API answers", ready).await;
        this
    }

    /// A client that believes the authority of the certificates, and may have one of its own.
    fn client(&self, identity: Option<Identity>) -> reqwest::Client {
        // A client of the harness installs the provider of TLS.
        let _plain = Client::new(String::new());
        let ca = reqwest::Certificate::from_pem(&read(&self.certificates.ca)).unwrap();
        let builder = reqwest::Client::builder().tls_certs_only([ca]);
        let builder = identity.into_iter().fold(builder, ClientBuilder::identity);
        builder.build().unwrap()
    }

    async fn answers(&self, client: &reqwest::Client, port: u16, path: &str) -> bool {
        let url = format!("https://localhost:{port}{path}");
        let answer = client.get(url).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

async fn json_of(answer: reqwest::Response) -> Value {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

#[tokio::test]
async fn the_api_and_the_admin_listener_speak_tls_alone() {
    let world = World::start().await;
    let up = Encrypted::start(&world, |_| Vec::new()).await;
    let client = up.client(None);
    assert!(up.answers(&client, up.admin, "/healthz").await);
    assert!(up.answers(&client, up.admin, "/metrics").await);
    let plain = Client::new(format!("http://127.0.0.1:{}", up.port));
    assert!(!plain.ready().await);
    let block = fs::read_to_string(&up.log).unwrap();
    let address = format!("https://127.0.0.1:{}", up.port);
    assert!(block.contains(&address), "{block}");
}

#[tokio::test]
async fn a_client_certificate_says_who_calls_and_the_keys_file_what_the_caller_may_do() {
    let world = World::start().await;
    let ring = KeyRing::new(&world);
    let mut args = vec!["new", "--certificate", "--grant", "default:submit"];
    args.extend(["--subject", Certificates::CLIENT]);
    assert!(ring.command(&args).await.0);
    let key = ring.key("somebody", &["default:submit"]).await;
    let up = Encrypted::start(&world, |certificates| {
        vec![
            ("HTTP_CLIENT_CA", certificates.ca.display().to_string()),
            ("AUTH_KEYS_FILE", ring.0.clone()),
        ]
    })
    .await;
    let (chain, private) = &up.certificates.client;
    let identity = Identity::from_pem(&[read(chain), read(private)].concat()).unwrap();
    let (stranger, client) = (up.client(None), up.client(Some(identity)));

    let base = format!("https://localhost:{}", up.port);
    let submission = |client: &reqwest::Client| {
        let call = client.post(format!("{base}/valuation"));
        let call = call.header(CONTENT_TYPE, "application/xml");
        call.body(document(1, 1))
    };
    let refused = submission(&stranger).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    // A key beside a certificate does not count: the request is the certificate's.
    let accepted = submission(&client).bearer_auth(&key).send().await.unwrap();
    assert_eq!(accepted.status(), StatusCode::ACCEPTED);
    let accepted = json_of(accepted).await;
    let request = format!(
        "{base}/valuation/{}",
        accepted["requestId"].as_str().unwrap()
    );
    let status = format!("{request}/status");
    let found = client.get(&status).send().await.unwrap();
    let found = json_of(found).await;
    assert_eq!(found["submitter"], Certificates::CLIENT, "{found}");
    let foreign = stranger.get(&status).bearer_auth(&key).send().await;
    assert_eq!(foreign.unwrap().status(), StatusCode::NOT_FOUND);
    let cancel = client.post(format!("{request}/cancel"));
    let cancel = cancel.header(CONTENT_TYPE, "application/json");
    let cancel = cancel.body(r#"{"reason": "wrong"}"#).send().await;
    assert_eq!(cancel.unwrap().status(), StatusCode::FORBIDDEN);
}
