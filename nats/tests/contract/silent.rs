//! A server that keeps its connections open and says nothing.

use std::time::{Duration, Instant};

use domain::request::Sequence;
use harness::{NatsCluster, Signal};
use nats::{Connection, Log, Options, Topology};

use crate::{connect, new_id, received};

/// The limit of a silent server, with some time for a busy machine. Without the watch, the client
/// finds out after 15 seconds.
const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_silent_server_is_left_for_another_one_before_a_request_to_it_times_out() {
    let cluster = NatsCluster::start().await;
    let topology = Topology {
        replicas: 3,
        ..Topology::default()
    };
    let all = Log::new(connect(&cluster.url(), &topology).await, 1);
    let id = new_id();
    all.append(id, Sequence::NONE, &[received("a")])
        .await
        .unwrap();
    // It knows one address, and learns of the others from that server.
    let options = Options::new(cluster.url_of(0), "contract");
    let connection = Connection::open(&options).await.unwrap();
    let log = Log::new(connection.clone(), 1);
    harness::until("its own server has the commit", || async {
        log.read(id, Sequence::NONE)
            .await
            .is_ok_and(|read| read.len() == 1)
    })
    .await;
    cluster.signal(0, Signal::STOP);
    let begun = Instant::now();
    let reading = harness::until("another server answers", || async {
        log.read(id, Sequence::NONE)
            .await
            .is_ok_and(|read| read.len() == 1)
    });
    tokio::select! {
        () = reading => {}
        never = connection.watch() => match never {},
    }
    let took = begun.elapsed();
    cluster.signal(0, Signal::CONT);
    assert!(took < LIMIT, "{took:?}");
}
