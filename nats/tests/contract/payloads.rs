use domain::request::Payload;
use harness::World;
use nats::{Error, INLINE_MAX_BYTES, Payloads, Topology};

use crate::connect;

#[tokio::test]
async fn small_texts_ride_inline_and_big_ones_are_stored_once_under_their_hash() {
    let world = World::start().await;
    let payloads = Payloads::new(connect(world.nats_url(), &Topology::default()).await);
    let small = "x".repeat(INLINE_MAX_BYTES);
    assert_eq!(
        payloads.place(small.clone().into()).await.unwrap(),
        Payload::from(small.as_str())
    );

    let big = "<a>ü</a>".repeat(1_000_000);
    let stored = payloads.place(big.clone().into()).await.unwrap();
    let Payload::Stored { size, .. } = &stored else {
        panic!("{stored:?}")
    };
    assert_eq!(*size, big.len() as u64);
    assert_eq!(
        payloads.place(big.clone().into()).await.unwrap(),
        stored,
        "the same again"
    );
    assert_eq!(payloads.fetch(&stored).await.unwrap(), big.as_bytes());
}

#[tokio::test]
async fn a_payload_that_is_not_there_is_missing_rather_than_unavailable() {
    let world = World::start().await;
    let payloads = Payloads::new(connect(world.nats_url(), &Topology::default()).await);
    let payload = Payload::Stored {
        sha256: "0".repeat(64),
        size: 7,
    };
    let error = payloads.fetch(&payload).await.unwrap_err();
    assert!(matches!(error, Error::Missing(_)), "{error}");
}
