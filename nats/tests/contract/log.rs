use domain::request::{Event, GroupIndex, Sequence};
use futures::future::join_all;
use harness::{NatsCluster, World};
use nats::{Error, Log, Scan, Topology};

use crate::{connect, dense, log, new_id, received};

const WRITERS: usize = 32;
const ROUNDS: usize = 10;

/// In every race exactly one writer's commit is stored, and only that writer succeeds.
async fn race(logs: &[Log]) {
    let id = new_id();
    let mut expected = Sequence::NONE;
    for round in 0..ROUNDS {
        let writers = (0..WRITERS).map(|writer| {
            let log = &logs[writer % logs.len()];
            let event = received(&format!("{round}/{writer}"));
            async move {
                let answer = log.append(id, expected, std::slice::from_ref(&event)).await;
                (event, answer)
            }
        });
        let answers = join_all(writers).await;
        let mut won = answers
            .iter()
            .filter_map(|(event, answer)| Some((event, answer.as_ref().ok()?)));
        let (event, sequence) = won.next().expect("one writer wins");
        assert!(won.next().is_none(), "one writer only");
        for (_, answer) in &answers {
            assert!(matches!(answer, Ok(_) | Err(Error::Conflict)), "{answer:?}");
        }
        let last = logs[0].last(id).await.unwrap().unwrap();
        assert_eq!((last.sequence, last.previous), (*sequence, expected));
        assert_eq!(&last.events, std::slice::from_ref(event));
        expected = *sequence;
    }
    let commits = logs[0].read(id, Sequence::NONE).await.unwrap();
    assert_eq!(commits.len(), ROUNDS);
    assert!(
        commits
            .windows(2)
            .all(|pair| pair[1].previous == pair[0].sequence)
    );
}

#[tokio::test]
async fn one_of_thirty_two_racing_writers_wins_on_one_server() {
    let world = World::start().await;
    let logs = [log(world.nats_url(), &Topology::default()).await];
    race(&logs).await;
}

#[tokio::test]
async fn one_of_thirty_two_racing_writers_wins_on_three_replicas() {
    let cluster = NatsCluster::start().await;
    let topology = Topology {
        replicas: 3,
        ..Topology::default()
    };
    let logs = join_all((0..3).map(|_| log_of(&cluster, &topology))).await;
    race(&logs).await;
}

async fn log_of(cluster: &NatsCluster, topology: &Topology) -> Log {
    log(&cluster.url(), topology).await
}

#[tokio::test]
async fn a_commit_acknowledged_by_three_replicas_survives_the_loss_of_any_server() {
    let mut cluster = NatsCluster::start().await;
    let topology = Topology {
        replicas: 3,
        ..Topology::default()
    };
    let log = log_of(&cluster, &topology).await;
    let mut written = Vec::new();
    for server in 0..3 {
        for n in 0..20 {
            let (id, event) = (new_id(), received(&format!("{server}/{n}")));
            // During the election of a leader a commit may be refused. The test tries again, as a
            // caller would.
            harness::until("a commit is taken", || async {
                log.append(id, Sequence::NONE, std::slice::from_ref(&event))
                    .await
                    .is_ok()
            })
            .await;
            written.push((id, event));
        }
        cluster.kill_and_restart(server).await;
    }
    for (id, event) in written {
        let found =
            harness::until_some("it is read", || async { log.last(id).await.ok().flatten() });
        assert_eq!(found.await.events, [event]);
    }
}

#[tokio::test]
async fn the_events_of_a_commit_are_read_back_as_they_were_and_in_order() {
    let world = World::start().await;
    let log = log(world.nats_url(), &Topology::default()).await;
    let (id, other) = (new_id(), new_id());
    let big = received(&"ü".repeat(100_000));
    let first = log
        .append(id, Sequence::NONE, std::slice::from_ref(&big))
        .await
        .unwrap();
    log.append(other, Sequence::NONE, &[received("other")])
        .await
        .unwrap();
    let events = [
        Event::GroupTimedOut {
            group: GroupIndex::FIRST,
        },
        Event::GroupCompleted {
            group: GroupIndex::FIRST,
        },
    ];
    let second = log.append(id, first, &events).await.unwrap();
    let commits = log.read(id, Sequence::NONE).await.unwrap();
    assert_eq!(
        commits.iter().map(|c| c.sequence).collect::<Vec<_>>(),
        [first, second]
    );
    assert_eq!(commits[0].events, [big]);
    assert_eq!(commits[1].events, events);
    assert_eq!(log.read(id, first).await.unwrap().len(), 1);
    assert!(log.read(new_id(), Sequence::NONE).await.unwrap().is_empty());
    assert!(log.last(new_id()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_history_of_more_commits_than_one_read_gives_is_read_whole() {
    let world = World::start().await;
    let log = log(world.nats_url(), &Topology::default()).await;
    let id = new_id();
    let mut last = Sequence::NONE;
    for group in 0..1_050 {
        last = log
            .append(
                id,
                last,
                &[Event::GroupCompleted {
                    group: GroupIndex::new(group),
                }],
            )
            .await
            .unwrap();
    }
    let commits = log.read(id, Sequence::NONE).await.unwrap();
    assert_eq!(commits.len(), 1_050);
    assert_eq!(commits.last().map(|c| c.sequence), Some(last));
}

#[tokio::test]
async fn a_history_of_more_bytes_than_one_read_gives_is_read_whole() {
    // Without a size in the request, this broker would end a page after this many bytes.
    let world = World::own_configured("max_pending: 1MB\n").await;
    let written = log(world.nats_url(), &Topology::default()).await;
    let id = new_id();
    let mut last = Sequence::NONE;
    let mut sequences = Vec::new();
    for _ in 0..100 {
        let event = received(&dense(130_000));
        last = written.append(id, last, &[event]).await.unwrap();
        sequences.push(last);
    }
    let fresh = log(world.nats_url(), &Topology::default()).await;
    let commits = fresh.read(id, Sequence::NONE).await.unwrap();
    let found: Vec<Sequence> = commits.iter().map(|commit| commit.sequence).collect();
    assert_eq!(found, sequences);
    assert_eq!(fresh.load_since(id, last).await.unwrap().sequence(), last);
    // A range of the whole log too.
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let range = Scan::open(&connection, 0, Sequence::FIRST, Sequence::MAX);
    let mut range = range.await.unwrap();
    let mut found = Vec::new();
    while let Some(commits) = range.next(10_000).await.unwrap() {
        found.extend(commits.iter().map(|commit| commit.sequence));
    }
    assert_eq!(found, sequences);
}

#[tokio::test]
async fn a_history_is_read_in_pages_that_say_where_the_next_begins() {
    let world = World::start().await;
    let log = log(world.nats_url(), &Topology::default()).await;
    let (id, other) = (new_id(), new_id());
    let mut last = Sequence::NONE;
    for group in 0..6 {
        let event = Event::GroupCompleted {
            group: GroupIndex::new(group),
        };
        last = log.append(id, last, &[event]).await.unwrap();
        log.append(other, Sequence::NONE, &[received("x")])
            .await
            .ok();
    }
    let first = log.read_page(id, Sequence::NONE, 4).await.unwrap();
    assert_eq!(first.commits.len(), 4);
    let next = first.next.expect("there is more");
    assert_eq!(next, first.commits[3].sequence);
    let rest = log.read_page(id, next, 2).await.unwrap();
    assert_eq!(rest.commits.last().map(|c| c.sequence), Some(last));
    assert_eq!((rest.commits.len(), rest.next), (2, None));
    assert_eq!(log.read_page(id, last, 4).await.unwrap().commits, []);
}
