//! Operations that the broker denies, and messages that it refuses.

use domain::request::{
    AttemptNumber, GroupIndex, Outcome, Payload, Run, Sequence, TaskNumber, Verdict,
};
use harness::World;
use jiff::Timestamp;
use nats::{DeadLetters, Error, Filter, Log, MESSAGE_MAX_BYTES, Reports, Scan, Tasks, Topology};

use crate::{connect, dense, log, new_id, received};

#[tokio::test]
async fn a_missing_permission_is_reported_as_denied_rather_than_unavailable() {
    let world = World::own_configured(
        "authorization { users: [\n\
         { user: some, password: x, permissions: { publish: { deny: \"reports.>\" } } }\n\
         ] }\nno_auth_user: some\n",
    )
    .await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let outcome = Outcome {
        group: GroupIndex::FIRST,
        task: TaskNumber::FIRST,
        run: Some(Run::FIRST),
        attempt: AttemptNumber::FIRST,
        worker: "w".into(),
        started_at: Timestamp::UNIX_EPOCH,
        duration_ms: 1,
        given: None,
        checked: false,
        exhausted: false,
        verdict: Verdict::Succeeded(Payload::from("<r/>")),
    };
    let reporting = Reports::new(connection)
        .outcome(new_id(), outcome, false)
        .await;
    let denied = reporting.unwrap_err();
    assert!(matches!(denied, Error::Denied(_)), "{denied}");
    assert!(!denied.is_transient());
}

#[tokio::test]
async fn a_commit_that_is_larger_than_a_message_is_too_large_and_the_next_one_is_taken() {
    let world = World::start().await;
    let log = log(world.nats_url(), &Topology::default()).await;
    let id = new_id();
    let large = received(&dense(3 * MESSAGE_MAX_BYTES));
    let refused = log.append(id, Sequence::NONE, &[large]).await.unwrap_err();
    assert!(matches!(refused, Error::TooLarge { .. }), "{refused}");
    assert!(!refused.is_transient());
    let fits = received(&dense(MESSAGE_MAX_BYTES / 2));
    let sequence = log
        .append(id, Sequence::NONE, std::slice::from_ref(&fits))
        .await
        .unwrap();
    assert_eq!(
        log.read(id, Sequence::NONE).await.unwrap()[0].events,
        [fits]
    );
    assert_eq!(log.last_sequence(id).await.unwrap(), sequence);
}

#[tokio::test]
async fn a_denied_question_is_an_error_that_names_its_subject_whichever_question_it_is() {
    let denied = [
        "$JS.API.STREAM.MSG.GET.REQUESTS_0",
        "$JS.API.DIRECT.GET.REQUESTS_0",
        "$JS.API.CONSUMER.CREATE.REQUESTS_0",
        "$JS.API.STREAM.PURGE.TASKS",
        "$JS.API.DIRECT.GET.DEAD_LETTERS",
        "$JS.API.STREAM.MSG.GET.QUARANTINE",
    ];
    let list = denied.map(|subject| format!("\"{subject}\"")).join(", ");
    let world = World::own_configured(&format!(
        "authorization {{ users: [\n\
         {{ user: some, password: x, permissions: {{ publish: {{ deny: [{list}] }} }} }}\n\
         ] }}\nno_auth_user: some\n"
    ))
    .await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let log = Log::new(connection.clone(), 1);
    let id = new_id();
    log.append(id, Sequence::NONE, &[received("a")])
        .await
        .unwrap();
    let (tasks, letters) = (
        Tasks::new(connection.clone()),
        DeadLetters::new(connection.clone()),
    );
    let filter = Filter::default();
    let (looked, read, scan, taken, page, checkpoint) = tokio::join!(
        log.last_sequence(id),
        log.read(id, Sequence::NONE),
        Scan::open(&connection, 0, Sequence::FIRST, Sequence::MAX),
        tasks.take_back(id, 1),
        letters.page(&filter, 0, 1),
        connection.checkpoint(0),
    );
    let errors = [
        looked.unwrap_err(),
        read.unwrap_err(),
        scan.err().unwrap(),
        taken.unwrap_err(),
        page.unwrap_err(),
        checkpoint.unwrap_err(),
    ];
    for (error, subject) in errors.iter().zip(denied) {
        assert!(matches!(error, Error::Denied(_)), "{subject}: {error}");
        assert!(
            error.to_string().contains(&format!("\"{subject}\"")),
            "{error}"
        );
    }
}
