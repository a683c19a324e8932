use std::time::Duration;

use harness::World;
use nats::{
    ALONE_MAX, Connection, ENDS_MAX, First, PANICS_MAX, Quarantine, Topology, Verdict, WAITING_MAX,
};
use tokio::time::timeout;

use crate::{connect, new_id};

/// Long enough for any event that the test waits for.
const A_WHILE: Duration = Duration::from_millis(300);

async fn connection(world: &World) -> Connection {
    connect(world.nats_url(), &Topology::default()).await
}

async fn open(connection: &Connection, first: First) -> Quarantine {
    let opened = Quarantine::open(connection, "tests", first).await;
    opened.unwrap()
}

#[tokio::test]
async fn work_begun_alone_and_never_ended_is_convicted_and_then_skipped() {
    let world = World::start().await;
    let connection = connection(&world).await;
    let mut verdicts = Vec::new();
    for process in 0..=ALONE_MAX + ENDS_MAX {
        // Each of these processes ends without a result.
        let quarantine = open(&connection, First::Alone).await;
        assert!(quarantine.is_suspect("0.7", true));
        assert_eq!(quarantine.is_suspect("0.7", false), process > 0);
        assert_eq!(!quarantine.convicted().is_empty(), process >= ALONE_MAX);
        let begun = quarantine.begin("0.7", Some(new_id())).await.unwrap();
        assert_eq!(begun.lost, process);
        assert_eq!(begun.found.is_some(), process > 0);
        verdicts.push(begun.verdict);
    }
    let tried = vec![Verdict::Try; ALONE_MAX as usize];
    let ended = vec![Verdict::Convicted; ENDS_MAX as usize];
    assert_eq!(verdicts, [tried, ended, vec![Verdict::PassOver]].concat());
}

#[tokio::test]
async fn work_that_ends_is_no_longer_suspect() {
    let world = World::start().await;
    let connection = connection(&world).await;
    let quarantine = open(&connection, First::Alone).await;
    for _ in 0..=ALONE_MAX {
        let begun = quarantine.begin("0.7", None).await.unwrap();
        assert_eq!((begun.verdict, begun.lost), (Verdict::Try, 0));
        quarantine.end(begun).await;
    }
    assert!(open(&connection, First::Alone).await.marks().is_empty());
}

#[tokio::test]
async fn suspects_run_alone_one_after_another_and_convicted_work_does_not_block_them() {
    let world = World::start().await;
    let connection = connection(&world).await;
    let quarantine = open(&connection, First::Alone).await;
    let first = quarantine.begin("1", None).await.unwrap();
    let second = quarantine.begin("2", None);
    tokio::pin!(second);
    assert!(timeout(A_WHILE, &mut second).await.is_err());
    assert_eq!(quarantine.waiting(), 1);
    quarantine.end(first).await;
    let second = second.await.unwrap();
    assert_eq!(quarantine.waiting(), 0);
    let other = Quarantine::open(&connection, "others", First::Alone).await;
    let others = other.unwrap().begin("2", None).await.unwrap();
    assert_eq!(others.lost, 0, "another consumer has marks of its own");
    drop(second);
    assert!(timeout(A_WHILE, quarantine.begin("3", None)).await.is_ok());
}

#[tokio::test]
async fn work_begun_together_and_never_ended_runs_alone_the_next_time() {
    let world = World::start().await;
    let connection = connection(&world).await;
    let quarantine = open(&connection, First::InCompany).await;
    let mut begun = Vec::new();
    for what in ["1", "2", "3"] {
        begun.push(quarantine.begin(what, None).await.unwrap());
    }
    quarantine.end(begun.remove(0)).await;
    drop((quarantine, begun));

    let quarantine = open(&connection, First::InCompany).await;
    let mut left: Vec<String> = quarantine.marks().into_keys().collect();
    left.sort();
    assert_eq!(left, ["2", "3"]);
    let alone = quarantine.begin("2", None).await.unwrap();
    assert_eq!((alone.verdict, alone.lost), (Verdict::Try, 1));
    let company = timeout(A_WHILE, quarantine.begin("4", None)).await;
    assert!(company.is_ok(), "it has no mark");
    assert!(timeout(A_WHILE, quarantine.begin("3", None)).await.is_err());
}

#[tokio::test]
async fn redelivered_work_that_this_process_survived_is_not_suspect() {
    let world = World::start().await;
    let connection = connection(&world).await;
    let quarantine = open(&connection, First::Alone).await;
    quarantine.survived("1", 2);
    assert!(!quarantine.is_suspect("1", true));
    assert_eq!(quarantine.lost("1"), 2);
    quarantine.done("1");
    assert!(!quarantine.is_suspect("1", true));
    assert_eq!(quarantine.lost("1"), 0);
    assert!(quarantine.is_suspect("2", true));
    let another = open(&connection, First::Alone).await;
    assert!(
        another.is_suspect("1", true),
        "another process knows nothing"
    );
}

#[tokio::test]
async fn work_is_convicted_at_the_limit_of_panics_and_not_before() {
    let world = World::start().await;
    let connection = connection(&world).await;
    let quarantine = open(&connection, First::Alone).await;
    for _ in 1..PANICS_MAX {
        assert!(!quarantine.panicked("1"));
    }
    assert!(quarantine.panicked("1"));
    assert!(!quarantine.panicked("2"));
}

#[tokio::test]
async fn a_family_is_convicted_as_fast_as_one_message_and_later_members_need_no_marks() {
    let world = World::start().await;
    let connection = connection(&world).await;
    for member in ["7.0/1", "7.0/2"] {
        let quarantine = open(&connection, First::Alone).await;
        let begun = quarantine.begin(member, None).await.unwrap();
        assert_eq!(begun.verdict, Verdict::Try);
    }
    let quarantine = open(&connection, First::Alone).await;
    assert!(
        quarantine.is_suspect("7.0/3", false),
        "it is of that family"
    );
    assert!(!quarantine.is_suspect("7.1/3", false), "it is not");
    for member in ["7.0/1", "7.0/2", "7.0/3"] {
        let begun = quarantine.begin(member, None).await.unwrap();
        assert_eq!(begun.verdict, Verdict::Convicted, "{member}");
        quarantine.leave(begun).await;
    }
    assert_eq!(open(&connection, First::Alone).await.marks().len(), 2);
    let other = quarantine.begin("7.1/3", None).await.unwrap();
    assert_eq!(other.verdict, Verdict::Try);
}

#[tokio::test]
async fn leaving_convicted_work_does_not_change_its_verdict() {
    let world = World::start().await;
    let connection = connection(&world).await;
    for _ in 0..ALONE_MAX {
        let quarantine = open(&connection, First::Alone).await;
        drop(quarantine.begin("1", None).await.unwrap());
    }
    for _ in 0..=ENDS_MAX {
        let quarantine = open(&connection, First::Alone).await;
        let begun = quarantine.begin("1", None).await.unwrap();
        assert_eq!(begun.verdict, Verdict::Convicted);
        quarantine.leave(begun).await;
    }
}

#[tokio::test]
async fn work_beyond_the_limit_of_waiting_suspects_is_begun_together() {
    let world = World::start().await;
    let connection = connection(&world).await;
    let quarantine = open(&connection, First::Alone).await;
    let _first = quarantine.begin("first", None).await.unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..WAITING_MAX {
        let quarantine = quarantine.clone();
        waiting.spawn(async move { quarantine.begin(number, None).await.map(drop) });
    }
    harness::until("all wait", || async { quarantine.waiting() == WAITING_MAX }).await;
    let next = timeout(A_WHILE, quarantine.begin("next", None)).await;
    assert!(next.is_ok(), "it has no mark");
    assert_eq!(
        quarantine.marks().get("next").map(|mark| mark.alone),
        Some(0)
    );
}
