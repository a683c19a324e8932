use std::sync::atomic::{AtomicBool, Ordering};

use async_nats::jetstream::object_store::ObjectMetadata;
use bytes::Bytes;
use domain::request::Payload;
use futures::{StreamExt, stream};
use harness::World;
use nats::{Error, INLINE_MAX_BYTES, Payloads, Topology};

use crate::{connect, dense};

#[tokio::test]
async fn small_texts_stay_inline_and_large_ones_are_stored_once_under_their_hash() {
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
async fn an_unknown_payload_is_missing_rather_than_unavailable() {
    let world = World::start().await;
    let payloads = Payloads::new(connect(world.nats_url(), &Topology::default()).await);
    let payload = Payload::Stored {
        sha256: "0".repeat(64),
        size: 7,
    };
    let error = payloads.fetch(&payload).await.unwrap_err();
    assert!(matches!(error, Error::Missing(_)), "{error}");
}

#[tokio::test]
async fn many_large_payloads_are_read_at_once_without_a_consumer() {
    const PAYLOADS: usize = 500;
    let world = World::own_that_syncs("10s").await;
    let payloads = Payloads::new(connect(world.nats_url(), &Topology::default()).await);
    let place = |_| async { payloads.place(dense(100_000).into()).await.unwrap() };
    let placing = stream::iter(0..PAYLOADS).map(place).buffer_unordered(32);
    let placed: Vec<Payload> = placing.collect().await;
    let store = world.jetstream().await.get_stream("OBJ_PAYLOADS").await;
    let store = store.unwrap();
    let read = |payload: Payload| {
        let (payloads, store) = (&payloads, &store);
        async move {
            let bytes = payloads.fetch(&payload).await.unwrap();
            assert_eq!(bytes.len(), 100_000);
            store.get_info().await.unwrap().state.consumer_count
        }
    };
    let reading = stream::iter(placed).map(read).buffer_unordered(64);
    let consumers: Vec<usize> = reading.collect().await;
    assert_eq!(consumers, [0; PAYLOADS]);
}

#[tokio::test]
async fn a_payload_is_read_of_the_leader_where_a_direct_get_is_not_allowed() {
    let world = World::start().await;
    let payloads = Payloads::new(connect(world.nats_url(), &Topology::default()).await);
    let text = dense(2_000_000);
    let stored = payloads.place(text.clone().into()).await.unwrap();
    let jetstream = world.jetstream().await;
    let store = jetstream.get_stream("OBJ_PAYLOADS").await.unwrap();
    let mut config = store.cached_info().config.clone();
    config.allow_direct = false;
    jetstream.update_stream(config).await.unwrap();
    assert_eq!(payloads.fetch(&stored).await.unwrap(), text.as_bytes());
}

#[tokio::test]
async fn a_payload_that_is_rewritten_during_a_read_is_read_again() {
    let world = World::start().await;
    let payloads = Payloads::new(connect(world.nats_url(), &Topology::default()).await);
    let text = dense(400_000);
    let stored = payloads.place(text.clone().into()).await.unwrap();
    let name = nats::payload_sha256(&stored);
    let bucket = world.jetstream().await.get_object_store("PAYLOADS").await;
    let bucket = bucket.unwrap();
    let packed = zstd::bulk::compress(text.as_bytes(), 3).unwrap();
    let ended = AtomicBool::new(false);
    let writing = async {
        while !ended.load(Ordering::Relaxed) {
            let metadata = ObjectMetadata {
                name: name.clone(),
                ..ObjectMetadata::default()
            };
            let written = bucket.put(metadata, &mut packed.as_slice()).await;
            written.unwrap();
        }
    };
    let reading = async {
        for _ in 0..50 {
            assert_eq!(payloads.fetch(&stored).await.unwrap(), text.as_bytes());
        }
        ended.store(true, Ordering::Relaxed);
    };
    tokio::join!(writing, reading);
}

#[tokio::test]
async fn a_payload_whose_chunks_are_gone_for_good_is_missing() {
    let world = World::start().await;
    let payloads = Payloads::new(connect(world.nats_url(), &Topology::default()).await);
    let stored = payloads.place(dense(300_000).into()).await.unwrap();
    let store = world.jetstream().await.get_stream("OBJ_PAYLOADS").await;
    let chunks = store.unwrap().purge().filter("$O.PAYLOADS.C.*").await;
    assert!(chunks.unwrap().purged > 1);
    let error = payloads.fetch(&stored).await.unwrap_err();
    assert!(matches!(error, Error::Missing(_)), "{error}");
}

#[tokio::test]
async fn a_payload_that_is_to_be_stored_is_stored_however_small_it_is() {
    let world = World::start().await;
    let payloads = Payloads::new(connect(world.nats_url(), &Topology::default()).await);
    for text in [Bytes::new(), Bytes::from_static(b"<curve/>")] {
        let stored = payloads.place_stored(text.clone()).await.unwrap();
        assert!(matches!(stored, Payload::Stored { .. }), "{stored:?}");
        assert_eq!(payloads.fetch(&stored).await.unwrap(), text);
    }
}
