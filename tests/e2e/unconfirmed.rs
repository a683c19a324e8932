use harness::{Signal, Valuer, World, until};

use crate::{document, up};

#[tokio::test]
async fn a_503_says_whether_the_submission_may_have_been_stored() {
    let mut world = World::own().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    // A role whose start meets a broker that hangs ends its process.
    let first = client.submit(&document(1, 1), "").await.id();
    client.until_status(&first, "succeeded").await;

    // The broker hangs: what it was sent is stored when it goes on.
    world.signal_nats(Signal::STOP);
    let refused = client.submit(&document(1, 1), "").await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json()["code"], "unconfirmed");
    let id = refused.json()["requestId"].as_str().unwrap().to_owned();
    world.signal_nats(Signal::CONT);
    client.until_status(&id, "succeeded").await;

    // The broker is gone: nothing was sent.
    world.kill_nats().await;
    let code = || async { client.submit(&document(1, 1), "").await.json()["code"].clone() };
    until("nothing is sent any more", || async {
        code().await == "log-unavailable"
    })
    .await;
    let refused = client.submit(&document(1, 1), "").await.json();
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("nothing was stored"), "{message}");
}
