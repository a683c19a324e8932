use domain::request::{
    Attempt, AttemptNumber, Fault, GroupIndex, Payload, Run, Sequence, TaskId, TaskNumber,
};
use harness::{World, until};
use jiff::Timestamp;
use nats::{
    Attempts, ByWhom, Connection, DeadLetter, DeadLetters, Deliveries, Filter, Letter, Log,
    MESSAGE_MAX_BYTES, Payloads, Pull, PullOptions, Stored, StoredReport, Tasks, Topology,
};

use crate::{ORIGIN, connect, dense, new_id, received};

fn attempt(attempt: u32, code: &str) -> Attempt {
    Attempt {
        attempt: AttemptNumber::new(attempt),
        worker: "w".into(),
        started_at: Timestamp::UNIX_EPOCH,
        duration_ms: 1,
        fault: Fault {
            code: code.into(),
            message: "it did not work".into(),
            causes: Vec::new(),
        },
    }
}

fn letter(run: u32, last: Attempt) -> DeadLetter {
    DeadLetter {
        task: TaskId {
            request: new_id(),
            group: GroupIndex::FIRST,
            task: TaskNumber::FIRST,
        },
        run: Run::new(run),
        task_type: "default".into(),
        tenant: domain::access::Tenant::default(),
        document: Payload::from("<vnml/>"),
        attempts: vec![last],
        sequence: None,
        truncated: false,
        exhausted: false,
    }
}

async fn letters(world: &World) -> (Connection, DeadLetters) {
    let connection = connect(world.nats_url(), &Topology::default()).await;
    (connection.clone(), DeadLetters::new(connection))
}

fn by<'a>(by: &'a str, reason: &'a str) -> ByWhom<'a> {
    ByWhom {
        by,
        on_behalf_of: None,
        reason,
        operation: None,
    }
}

#[tokio::test]
async fn a_task_has_one_dead_letter_in_each_run_however_often_it_is_stored() {
    let world = World::start().await;
    let (_connection, letters) = letters(&world).await;
    let first = letter(0, attempt(3, "exit-1"));
    assert_eq!(letters.keep(first.clone()).await.unwrap(), first);
    // The worker died before its report. The next delivery only knows that it exceeds the limit.
    let spurious = DeadLetter {
        attempts: vec![attempt(4, "attempts-exhausted")],
        ..first.clone()
    };
    assert_eq!(
        letters.keep(spurious).await.unwrap(),
        first,
        "the first one stands"
    );
    let next_run = DeadLetter {
        run: Run::new(1),
        ..first.clone()
    };
    letters.keep(next_run).await.unwrap();
    let page = letters.page(&Filter::default(), 0, 10).await.unwrap();
    let ids: Vec<String> = page.letters.into_iter().map(|kept| kept.id).collect();
    assert_eq!(
        ids,
        [format!("{}.0", first.task), format!("{}.1", first.task)]
    );
}

#[tokio::test]
async fn a_letter_is_completed_once_and_not_after_it_was_discarded() {
    let world = World::start().await;
    let (_connection, letters) = letters(&world).await;
    let kept = letters.keep(letter(0, attempt(2, "exit-1"))).await.unwrap();
    let all = vec![attempt(1, "exit-75"), attempt(2, "exit-1")];
    letters
        .complete(&kept.id(), all.clone(), Sequence::new(7))
        .await
        .unwrap();
    letters
        .complete(&kept.id(), Vec::new(), Sequence::new(8))
        .await
        .unwrap();
    let found = letters.get(&kept.id()).await.unwrap().unwrap();
    let Letter::GivenUp(found) = found.letter else {
        panic!("it is of a task");
    };
    assert_eq!(
        (found.attempts, found.sequence),
        (all, Some(Sequence::new(7)))
    );
    assert!(
        letters
            .discard(&kept.id(), &by("ann", "not needed"))
            .await
            .unwrap()
    );
    letters
        .complete(&kept.id(), Vec::new(), Sequence::new(9))
        .await
        .unwrap();
    assert_eq!(letters.get(&kept.id()).await.unwrap(), None);
}

#[tokio::test]
async fn a_letter_keeps_a_big_document_that_the_object_store_will_forget() {
    let world = World::start().await;
    let (connection, letters) = letters(&world).await;
    let big = "<v/>".repeat(100_000);
    let document = Payloads::new(connection)
        .place(big.clone().into())
        .await
        .unwrap();
    assert!(document.inline().is_none(), "it is stored");
    let kept = DeadLetter {
        document,
        ..letter(0, attempt(1, "exit-65"))
    };
    let kept = letters.keep(kept).await.unwrap();
    let found = letters
        .find("default", kept.task, Run::FIRST)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.document.inline(), Some(big.as_str()));
}

#[tokio::test]
async fn a_redriven_task_replaces_the_unanswered_one_of_the_previous_run() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let tasks = Tasks::new(connection.clone());
    let id = letter(0, attempt(1, "exit-1")).task;
    let document = Payload::from("<vnml/>");
    // One attempt in each run before.
    let run = |run| Attempts {
        before: AttemptNumber::new(run),
        earlier: AttemptNumber::new(run),
        run: Run::new(run),
        again: false,
    };
    let send = |attempts| tasks.send("default", id, attempts, &document, &ORIGIN);
    assert_eq!(send(run(0)).await.unwrap(), Stored::Now);
    let options = PullOptions {
        concurrency: 1,
        lease: std::time::Duration::from_secs(30),
    };
    let mut pull = Pull::open(&connection, "default", options).await.unwrap();
    pull.ask().await.unwrap();
    let old = pull.next().await.unwrap().ok().unwrap();

    assert_eq!(send(run(1)).await.unwrap(), Stored::Already);
    tasks
        .send_over("default", id, run(1), &document, &ORIGIN)
        .await
        .unwrap();
    tasks
        .send_over("default", id, run(1), &document, &ORIGIN)
        .await
        .unwrap();
    old.delivery.terminate().await.unwrap();
    pull.release(1);
    pull.ask().await.unwrap();
    let new = pull.next().await.unwrap().ok().unwrap();
    assert_eq!(
        (new.run, new.attempt),
        (Run::new(1), AttemptNumber::new(2)),
        "the end of the old one did not end it"
    );
}

#[tokio::test]
async fn tasks_sent_after_the_sequence_of_a_withdrawal_are_not_withdrawn() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let tasks = Tasks::new(connection);
    let request = new_id();
    let document = Payload::from("<vnml/>");
    let send = async |task| {
        let id = TaskId {
            request,
            group: GroupIndex::FIRST,
            task,
        };
        let sent = tasks
            .send("default", id, Attempts::default(), &document, &ORIGIN)
            .await;
        sent.unwrap()
    };
    send(TaskNumber::FIRST).await;
    send(TaskNumber::new(2)).await;
    let up_to = tasks.last_sequence().await.unwrap();
    send(TaskNumber::new(3)).await;
    assert_eq!(tasks.take_back(request, up_to).await.unwrap(), 2);
    assert_eq!(send(TaskNumber::new(3)).await, Stored::Already);
}

#[tokio::test]
async fn the_largest_message_becomes_a_cut_dead_letter_and_cannot_be_retried() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let letters = DeadLetters::new(connection.clone());
    let id = new_id();
    let subject = format!("reports.{}.{id}.0.1", id.partition().number());
    let jetstream = world.jetstream().await;
    let body = vec![b'x'; MESSAGE_MAX_BYTES];
    let sent = jetstream.publish(subject.clone(), body.into()).await;
    sent.unwrap().await.unwrap();
    let mut reports = Deliveries::of_reports(&connection, 0).await.unwrap();
    let delivery = reports.next().await.unwrap().swap_remove(0);
    let unreadable = StoredReport::parse(delivery).err().unwrap();
    let letter = letters
        .set_aside(&unreadable.delivery, &unreadable.error)
        .await
        .unwrap();
    let kept = letters.get(&letter).await.unwrap().unwrap();
    let Letter::Unread(unread) = kept.letter else {
        panic!("{kept:?}")
    };
    assert_eq!(unread.subject, subject);
    assert_eq!(unread.truncated, Some(MESSAGE_MAX_BYTES as u64));
    assert!(unread.body.len() > MESSAGE_MAX_BYTES - 32 * 1024);
    let back = letters
        .put_back(&letter, &unread, &by("tests", "tests"))
        .await;
    assert!(!back.unwrap());
}

#[tokio::test]
async fn a_letter_with_a_large_document_is_completed_with_as_many_attempts_as_fit() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let letters = DeadLetters::new(connection.clone());
    let payloads = Payloads::new(connection);
    let document = payloads.place(dense(1_700_000).into()).await.unwrap();
    let letter = DeadLetter {
        document,
        ..letter(0, attempt(1, "exit-1"))
    };
    let kept = letters.keep(letter.clone()).await.unwrap();
    assert!(kept.document.inline().is_some(), "it fits by itself");
    let history: Vec<Attempt> = (1..=1_000)
        .map(|number| {
            let mut attempt = attempt(number, "exit-1");
            attempt.fault.causes = vec![dense(4_000)];
            attempt
        })
        .collect();
    letters
        .complete(&letter.id(), history, Sequence::new(7))
        .await
        .unwrap();
    let completed = letters.get(&letter.id()).await.unwrap().unwrap();
    let Letter::GivenUp(completed) = completed.letter else {
        panic!("{completed:?}")
    };
    assert_eq!(
        (completed.sequence, completed.truncated),
        (Some(Sequence::new(7)), true)
    );
    assert_eq!(completed.document, kept.document);
    let numbers: Vec<u32> = completed.attempts.iter().map(|a| a.attempt.get()).collect();
    assert_eq!(numbers.last(), Some(&1_000));
    assert!((2..1_000).contains(&numbers.len()), "{numbers:?}");
}

#[tokio::test]
async fn a_dead_letter_of_an_earlier_life_of_an_id_is_not_found_and_is_replaced() {
    let world = World::start().await;
    let (connection, letters) = letters(&world).await;
    let earlier = letter(0, attempt(3, "exit-1"));
    letters.keep(earlier.clone()).await.unwrap();
    let (id, run) = (earlier.task, earlier.run);
    let find = || letters.find("default", id, run);
    assert_eq!(
        find().await.unwrap(),
        Some(earlier.clone()),
        "the log has no newer request"
    );
    let begun = std::time::Instant::now();
    until("the letter is older than clocks may differ", || async {
        begun.elapsed().as_millis() > 5_500
    })
    .await;
    // The log has forgotten the request, and its key is used again.
    let log = Log::new(connection, Topology::default().shards);
    let events = [received("<vnml/>")];
    log.append(id.request, Sequence::NONE, &events)
        .await
        .unwrap();
    assert_eq!(find().await.unwrap(), None);
    let own = DeadLetter {
        attempts: vec![attempt(1, "exit-2")],
        ..earlier
    };
    assert_eq!(letters.keep(own.clone()).await.unwrap(), own);
    assert_eq!(find().await.unwrap(), Some(own));
}
