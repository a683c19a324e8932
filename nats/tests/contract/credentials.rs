//! The credentials in `NATS_URL`.

use harness::World;
use nats::{Connection, Options};

async fn world(authorization: &str) -> (World, String) {
    // The harness itself connects without credentials.
    let anonymous = "accounts: { HARNESS: { users: [ { user: harness, password: harness } ] }, \
                     FANFOLD: { jetstream: enabled, users: [ AUTHORIZATION ] } }\n\
                     no_auth_user: harness\n";
    let further = anonymous.replace("AUTHORIZATION", authorization);
    let world = World::own_configured(&further).await;
    let address = world.nats_url().trim_start_matches("nats://").to_owned();
    (world, address)
}

async fn open(url: String) -> Result<Connection, nats::Error> {
    Connection::open(&Options::new(url, "tests")).await
}

#[tokio::test]
async fn the_user_and_the_password_of_the_url_are_sent_decoded() {
    let (_world, address) = world("{ user: \"a@b\", password: \"p/w#%1\" }").await;
    open(format!("nats://a%40b:p%2Fw%23%251@{address}"))
        .await
        .unwrap();
    let twice = format!("nats://a%40b:p%2Fw%23%251@{address},nats://{address}");
    open(twice).await.unwrap();
    let wrong = open(format!("nats://a%40b:wrong@{address}")).await;
    let error = wrong.err().unwrap().to_string();
    assert!(!error.contains("wrong"), "{error}");
    let two = format!("nats://a:b@{address},nats://c:d@{address}");
    let error = open(two).await.err().unwrap().to_string();
    assert!(error.contains("different credentials"), "{error}");
}

#[tokio::test]
async fn a_token_in_the_url_is_sent() {
    let world = World::own_configured("authorization { token: \"s3cr3t\" }\n").await;
    let address = world.nats_url().trim_start_matches("nats://").to_owned();
    open(format!("nats://s3cr3t@{address}")).await.unwrap();
    assert!(open(format!("nats://{address}")).await.is_err());
}
