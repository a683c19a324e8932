//! A leader that was cut off says that the log has nothing of a request.

use domain::request::Sequence;
use harness::{NatsCluster, Signal};
use nats::{Connection, Log, Options, Topology};

use crate::{connect, new_id};

#[tokio::test]
async fn a_leader_that_was_cut_off_is_not_believed_that_there_is_no_such_request() {
    let cluster = NatsCluster::start().await;
    let topology = Topology {
        replicas: 3,
        ..Topology::default()
    };
    let url = cluster.url();
    connect(&url, &topology).await;
    let client = async_nats::connect(url.split(',').collect::<Vec<_>>())
        .await
        .unwrap();
    let stream = async_nats::jetstream::new(client)
        .get_stream("REQUESTS_0")
        .await
        .unwrap();
    let leader = stream
        .cached_info()
        .cluster
        .clone()
        .unwrap()
        .leader
        .unwrap();
    let leader: usize = leader.strip_prefix("server-").unwrap().parse().unwrap();
    let options = Options::new(cluster.url_of(leader), "contract");
    let log = Log::new(Connection::open(&options).await.unwrap(), 1);
    assert_eq!(log.last_sequence(new_id()).await.unwrap(), Sequence::NONE);

    let others: Vec<usize> = (0..3).filter(|server| *server != leader).collect();
    for other in &others {
        cluster.signal(*other, Signal::STOP);
    }
    // Later it steps down, and its answers are others.
    harness::until("the leader is not believed", || async {
        let told = log.last_sequence(new_id()).await;
        told.is_err_and(|error| error.to_string().contains("may no longer lead"))
    })
    .await;
    for other in &others {
        cluster.signal(*other, Signal::CONT);
    }
    harness::until("it is believed again", || async {
        log.last_sequence(new_id()).await.ok() == Some(Sequence::NONE)
    })
    .await;
}
