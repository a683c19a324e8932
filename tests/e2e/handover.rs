use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use harness::{Client, Program, Reply, Signal, Valuer, World, until};
use reqwest::StatusCode;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{document, post};

/// How many callers wait for ends at once.
const CALLERS: usize = 8;
/// A pin times out after 5 s, and an unanswered message comes again after 10 s.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The moments of something that goes on.
#[derive(Clone, Default)]
struct Moments(Arc<Mutex<Vec<Instant>>>);

impl Moments {
    fn note(&self) {
        self.0.lock().unwrap().push(Instant::now());
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Waits until this many more have come.
    async fn more(&self, more: usize) {
        let wanted = self.count() + more;
        until("it goes on", || async { self.count() >= wanted }).await;
    }

    fn longest_pause(&self) -> Duration {
        let moments = self.0.lock().unwrap();
        let pauses = moments.windows(2).map(|two| two[1] - two[0]);
        pauses.max().unwrap()
    }
}

async fn load(client: Client, ends: Moments) {
    loop {
        let answer = client.submit(&document(1, 1), "sync=Y").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        ends.note();
    }
}

async fn follow_the_feed(world: &World, told: Moments) -> JoinSet<()> {
    let client = async_nats::connect(world.nats_url()).await.unwrap();
    let mut feed = client.subscribe("lifecycle.succeeded.>").await.unwrap();
    let mut following = JoinSet::new();
    following.spawn(async move {
        while feed.next().await.is_some() {
            told.note();
        }
    });
    following
}

async fn two(world: &World, role: &str) -> [Program; 2] {
    let binary = env!("CARGO_BIN_EXE_fanfold");
    [
        Program::start(binary, role, world, &[]).await,
        Program::start(binary, role, world, &[]).await,
    ]
}

/// Ends each of two instances in turn while the other one goes on. By then, the one that ends
/// second has the shard.
async fn end_in_turn(of: &mut [Program; 2], goes_on: &Moments) {
    for program in of {
        goes_on.more(300).await;
        assert!(program.stop().await.success());
        goes_on.more(300).await;
        program.restart().await;
        let admin = program.admin();
        until("it is ready", || admin.ready()).await;
    }
}

#[tokio::test]
async fn an_instance_that_is_asked_to_end_hands_its_shard_over_at_once() {
    let world = World::start().await;
    let binary = env!("CARGO_BIN_EXE_fanfold");
    let api = Program::start(binary, "api", &world, &[]).await;
    let settings = [("EXECUTOR", "noop")];
    let _worker = Program::start(binary, "worker", &world, &settings).await;
    let mut orchestrators = two(&world, "orchestrator").await;
    let mut projectors = two(&world, "projector").await;
    let (ends, told) = (Moments::default(), Moments::default());
    let _following = follow_the_feed(&world, told.clone()).await;
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(load(api.client(), ends.clone()));
    }
    ends.more(1).await;
    told.more(1).await;
    let doing = async {
        end_in_turn(&mut orchestrators, &ends).await;
        end_in_turn(&mut projectors, &told).await;
    };
    tokio::select! {
        () = doing => {}
        failed = callers.join_next() => panic!("{failed:?}"),
    }
    let (ends, told) = (ends.longest_pause(), told.longest_pause());
    println!("longest pause: {ends:?} of ends, {told:?} of the feed");
    assert!(ends < PAUSE_MAX, "{ends:?} without an end");
    assert!(told < PAUSE_MAX, "{told:?} without an event");
}

#[tokio::test]
async fn the_timer_of_an_earlier_run_that_a_replaced_instance_sets_late_replaces_no_later_one() {
    let world = World::start().await;
    let (fail, failing) = watch::channel(false);
    let valuer = Valuer::start(move |call| {
        let mut failing = failing.clone();
        async move {
            if call.document.contains("quick") {
                return Reply::Result(harness::result_of(&call));
            }
            if *failing.borrow() {
                // The run of the redrive hangs.
                std::future::pending::<()>().await;
            }
            failing.wait_for(|fail| *fail).await.unwrap();
            Reply::Status(503, "busy".into())
        }
    })
    .await;
    let settings = [
        ("EXECUTOR", valuer.url()),
        ("MAX_TASK_ATTEMPTS", "1"),
        ("GROUP_TIMEOUT_MS", "5000"),
        ("ACK_WAIT_MS", "2000"),
        ("TAKEOVER_AFTER_MS", "1000"),
        // It would set the timer again, later.
        ("FANFOLD_TEST_RECONCILE_INTERVAL_MS", "3600000"),
    ];
    let start = |role| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, &settings);
    let api = start("api").await;
    let (_worker, replaced) = (start("worker").await, start("orchestrator").await);
    let client = api.client();
    // The first instance has the shard when the second one comes.
    let quick = document(1, 1).replace("name=\"v\"", "name=\"quick\"");
    client.submit(&quick, "sync=Y").await;
    let _next = start("orchestrator").await;
    let id = client.submit(&document(1, 1), "").await.id();
    until("the task runs", || async { valuer.calls_so_far() == 2 }).await;
    replaced.signal(Signal::STOP);
    fail.send_replace(true);
    client.until_status(&id, "failed").await;
    // The instance that took over may have sent the task again before it had the report.
    let before = valuer.calls_so_far();
    let path = format!("/valuation/{id}/redrive");
    let redriven = post(&client, &path, &json!({ "reason": "it is back" })).await;
    assert_eq!(redriven.status, StatusCode::ACCEPTED, "{}", redriven.body);
    until("it runs again", || async { valuer.calls_so_far() > before }).await;
    client.until_status(&id, "running").await;
    replaced.signal(Signal::CONT);
    client.until_status(&id, "failed").await;
    let failure = client.results(&id).await.json()["failure"].clone();
    assert_eq!(failure["code"], "group-timed-out", "{failure}");
}
