//! Brokers that not everybody may reach: TLS, keys, JWTs, domains and inboxes.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::request::{Command, Sequence};
use harness::{Certificates, World};
use nats::{Access, Connection, Login, Options};
use nkeys::KeyPair;
use serde_json::{Value, json};

async fn open(world: &World, access: Access) -> Result<Connection, nats::Error> {
    let options = Options::new(world.nats_url(), "tests");
    Connection::open(&Options { access, ..options }).await
}

/// What the broker's configuration says about TLS.
fn tls(certificates: &Certificates, more: &str) -> String {
    let Certificates { ca, server, .. } = certificates;
    let shown = |path: &Path| path.display().to_string();
    format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", {more} }}\n",
        shown(&server.0),
        shown(&server.1),
        shown(ca)
    )
}

#[tokio::test]
async fn a_broker_with_an_own_authority_is_known_by_its_ca_and_by_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::new(folder.path());
    let world = World::own_configured(&tls(&certificates, "")).await;
    let known = Access {
        ca: Some(certificates.ca.clone()),
        ..Access::default()
    };
    let connection = open(&world, known).await.unwrap();
    connection.ping().await.unwrap();
    assert!(open(&world, Access::default()).await.is_err());
    let strangers = tempfile::tempdir().unwrap();
    let other = Access {
        ca: Some(Certificates::new(strangers.path()).ca),
        ..Access::default()
    };
    assert!(open(&world, other).await.is_err());
    let missing = Access {
        ca: Some(folder.path().join("none.pem")),
        ..Access::default()
    };
    let said = open(&world, missing).await.err().unwrap().to_string();
    assert!(said.contains("NATS_CA="), "{said}");
}

#[tokio::test]
async fn a_client_with_a_ca_never_speaks_to_a_broker_without_tls() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::new(folder.path());
    let world = World::own().await;
    let access = Access {
        ca: Some(certificates.ca),
        ..Access::default()
    };
    assert!(open(&world, access).await.is_err());
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_broker_that_asks_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::new(folder.path());
    let world = World::own_configured(&tls(&certificates, "verify: true")).await;
    let bare = Access {
        ca: Some(certificates.ca.clone()),
        ..Access::default()
    };
    assert!(open(&world, bare.clone()).await.is_err());
    let whole = Access {
        certificate: Some(certificates.client),
        ..bare
    };
    open(&world, whole).await.unwrap();
}

#[tokio::test]
async fn the_handshake_may_come_before_the_greeting() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::new(folder.path());
    // The broker greets in plain text only a client that says nothing for a while.
    let first = tls(&certificates, "handshake_first: \"200ms\"");
    let world = World::own_configured(&first).await;
    let access = Access {
        ca: Some(certificates.ca.clone()),
        tls_first: true,
        ..Access::default()
    };
    open(&world, access).await.unwrap();
}

/// A broker with an account for the harness, and an account with this user.
async fn with_user(user: &str) -> World {
    let accounts = format!(
        "accounts: {{ HARNESS: {{ users: [ {{ user: harness, password: harness }} ] }}, \
         FANFOLD: {{ jetstream: enabled, users: [ {user} ] }} }}\nno_auth_user: harness\n"
    );
    World::own_configured(&accounts).await
}

#[tokio::test]
async fn users_passwords_tokens_and_nkeys_log_in() {
    let key = KeyPair::new_user();
    let (user, seed) = (key.public_key(), key.seed().unwrap());
    let world = with_user(&format!("{{ nkey: {user} }}")).await;
    let decorated = format!("-----BEGIN USER NKEY SEED-----\n{seed}\n------END");
    for seed in [seed.as_str(), &decorated] {
        let login = Login::Nkey(seed.into());
        let access = Access {
            login,
            ..Access::default()
        };
        open(&world, access).await.unwrap();
    }
    let login = Login::Nkey("SUnonsense".into());
    let access = Access {
        login,
        ..Access::default()
    };
    let said = open(&world, access).await.err().unwrap().to_string();
    assert!(
        said.contains("NATS_NKEY") && !said.contains("nonsense"),
        "{said}"
    );

    let world = with_user("{ user: ann, password: \"s3cret\" }").await;
    let login = Login::User("ann".into(), "s3cret".into());
    let access = Access {
        login,
        ..Access::default()
    };
    open(&world, access.clone()).await.unwrap();
    let url = world.nats_url().replace("nats://", "nats://bob:w0rd@");
    let both = Options {
        access,
        ..Options::new(url, "tests")
    };
    let said = Connection::open(&both).await.err().unwrap().to_string();
    assert!(said.contains("NATS_URL has credentials"), "{said}");
    assert!(!said.contains("w0rd"), "{said}");

    let world = World::own_configured("authorization { token: \"t0ken\" }\n").await;
    let login = Login::Token("t0ken".into());
    let access = Access {
        login,
        ..Access::default()
    };
    open(&world, access).await.unwrap();
}

/// A JWT of NATS.
fn jwt(issuer: &KeyPair, subject: &str, nats: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&json!({ "typ": "JWT", "alg": "ed25519-nkey" }));
    let claims = part(&json!({
        "jti": "test", "iat": 1_700_000_000, "iss": issuer.public_key(), "name": "test",
        "sub": subject, "nats": nats,
    }));
    let text = format!("{header}.{claims}");
    let signature = issuer.sign(text.as_bytes()).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn a_creds_file_logs_in_to_a_broker_with_an_operator() {
    let (operator, account) = (KeyPair::new_operator(), KeyPair::new_account());
    let (system, user) = (KeyPair::new_account(), KeyPair::new_user());
    let of_operator = json!({ "type": "operator", "version": 2 });
    let of_operator = jwt(&operator, &operator.public_key(), &of_operator);
    let all = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1,
        "consumer": -1,
    });
    let of_account = json!({ "type": "account", "version": 2, "limits": all });
    let of_account = jwt(&operator, &account.public_key(), &of_account);
    let none = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1,
    });
    let of_system = json!({ "type": "account", "version": 2, "limits": none });
    let of_system = jwt(&operator, &system.public_key(), &of_system);
    let configured = format!(
        "operator: {of_operator}\nsystem_account: {}\nresolver: MEMORY\n\
         resolver_preload: {{ {}: {of_account}, {}: {of_system} }}\n",
        system.public_key(),
        account.public_key(),
        system.public_key()
    );
    let world = World::own_configured(&configured).await;
    let of_user = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
    let of_user = jwt(&account, &user.public_key(), &of_user);
    let creds = format!(
        "-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        user.seed().unwrap()
    );
    let login = Login::Creds(creds.into());
    let access = Access {
        login,
        ..Access::default()
    };
    open(&world, access).await.unwrap();
    assert!(open(&world, Access::default()).await.is_err());
    let login = Login::Creds("nonsense".into());
    let access = Access {
        login,
        ..Access::default()
    };
    let said = open(&world, access).await.err().unwrap().to_string();
    assert!(said.contains("NATS_CREDS has no JWT"), "{said}");
}

#[tokio::test]
async fn answers_come_only_to_inboxes_with_the_prefix_of_the_role() {
    let world =
        with_user("{ user: api, password: pw, permissions: { subscribe: [ \"_INBOX_api.>\" ] } }")
            .await;
    let access = Access {
        login: Login::User("api".into(), "pw".into()),
        inbox_prefix: Some("_INBOX_api".into()),
        ..Access::default()
    };
    open(&world, access.clone()).await.unwrap();
    let usual = Access {
        inbox_prefix: None,
        ..access
    };
    assert!(open(&world, usual).await.is_err());
}

#[tokio::test]
async fn the_log_of_another_domain_is_used_through_a_leaf_node() {
    let port = servers::free_port().unwrap();
    let folder = tempfile::tempdir().unwrap();
    // The later of two equal keys of the configuration holds.
    let named = |name: &str, leafnodes: &str| {
        let data = folder.path().join(name);
        format!(
            "server_name: {name}\njetstream {{ store_dir: \"{}\", domain: {name} }}\n\
             leafnodes {{ {leafnodes} }}\n",
            data.display()
        )
    };
    let hub = named("hub", &format!("listen: \"127.0.0.1:{port}\""));
    let hub = World::own_configured(&hub).await;
    let remote = format!("remotes: [ {{ url: \"nats-leaf://127.0.0.1:{port}\" }} ]");
    let leaf = World::own_configured(&named("leaf", &remote)).await;
    let access = Access {
        domain: Some("hub".into()),
        ..Access::default()
    };
    let connected = harness::until_some("the leaf reaches its hub", async || {
        open(&leaf, access.clone()).await.ok()
    });
    let connection = connected.await;
    nats::Topology::default()
        .declare(&connection)
        .await
        .unwrap();
    let log = nats::Log::new(connection, 1);
    let id = crate::new_id();
    let submit = Command::Submit(crate::submission("a"));
    log.execute(id, submit).await.unwrap();
    // A read of a request names the subjects of the API by hand.
    assert_eq!(log.read(id, Sequence::NONE).await.unwrap().len(), 1);
    let of_hub = hub.jetstream().await.get_stream("REQUESTS_0").await;
    assert_eq!(of_hub.unwrap().cached_info().state.messages, 1);
    assert!(
        leaf.jetstream()
            .await
            .get_stream("REQUESTS_0")
            .await
            .is_err()
    );
}
