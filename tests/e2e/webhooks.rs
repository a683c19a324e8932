use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{Client, Receiver, Valuer, World, until, until_some};
use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::{document, feed_event, up};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SETTINGS: [(&str, &str); 4] = [
    ("WEBHOOK_SECRET", SECRET),
    ("WEBHOOK_ALLOW_PRIVATE", "true"),
    ("FANFOLD_TEST_WEBHOOK_RETRY_DELAY_MS", "20"),
    ("FANFOLD_TEST_WEBHOOK_ATTEMPTS", "3"),
];

async fn submit(client: &Client, callback: &str) -> String {
    let call = client.call(Method::POST, "/valuation");
    let call = call.header("content-type", "application/xml");
    let call = if callback.is_empty() {
        call
    } else {
        call.header("x-callback", callback)
    };
    client.send(call.body(document(1, 1))).await.id()
}

/// The dead letters of the feed, with their reasons.
async fn set_aside(world: &World) -> Vec<String> {
    let jetstream = world.jetstream().await;
    let stream = jetstream.get_stream("DEAD_LETTERS").await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    let mut reasons = Vec::new();
    for sequence in 1..=last {
        let message = stream.get_raw_message(sequence).await.unwrap();
        reasons.push(message.headers.get("Fanfold-Reason").unwrap().to_string());
    }
    reasons
}

#[tokio::test]
async fn a_signed_callback_about_the_end_is_retried_until_it_is_accepted() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let receiver = Receiver::start(&[500, 503]).await;
    let program = up(&world, &valuer, &SETTINGS).await;
    let client = program.client();
    let id = submit(&client, receiver.url()).await;
    until("it is told three times", || async {
        receiver.calls().len() == 3
    })
    .await;

    let secret: ::webhooks::Secret = SECRET.parse().unwrap();
    for call in receiver.calls() {
        let header = |name: &str| call.headers[name].as_str();
        assert!(header("webhook-id").starts_with(&id));
        let timestamp = header("webhook-timestamp").parse().unwrap();
        let signature = secret.sign(header("webhook-id"), timestamp, &call.body);
        assert_eq!(header("webhook-signature"), signature);
        let told: Value = serde_json::from_str(&call.body).unwrap();
        assert_eq!(told["type"], "fanfold.request.succeeded.v1");
        assert_eq!(told["data"]["requestId"], id);
    }
    // A submitter without a callback is not called. The next call is about another request.
    let silent = submit(&client, "").await;
    client.until_status(&silent, "succeeded").await;
    let heard = submit(&client, receiver.url()).await;
    until("the next is told", || async { receiver.calls().len() == 4 }).await;
    assert!(receiver.calls()[3].body.contains(&heard));
    assert_eq!(set_aside(&world).await.len(), 0);
}

#[tokio::test]
async fn a_callback_that_never_accepts_becomes_a_dead_letter_and_an_internal_one_is_refused() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let receiver = Receiver::start(&[500; 10]).await;
    let mut program = up(&world, &valuer, &SETTINGS).await;
    submit(&program.client(), receiver.url()).await;
    until("it is set aside", || async {
        set_aside(&world).await.len() == 1
    })
    .await;
    assert_eq!(receiver.calls().len(), 3);
    assert!(set_aside(&world).await[0].contains("after 3 attempts: it answered 500"));
    program.kill().await;

    let strict = [
        ("WEBHOOK_SECRET", SECRET),
        ("WEBHOOK_URL", "https://169.254.169.254/latest"),
    ];
    let program = up(&world, &valuer, &strict).await;
    submit(&program.client(), "").await;
    let call = program.client().call(Method::POST, "/valuation");
    let call = call.header("content-type", "text/xml");
    let call = call.header("x-callback", receiver.url());
    let answer = program.client().send(call.body(document(1, 1))).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["code"], "invalid-callback");
    until("the end that cannot be told is set aside", || async {
        set_aside(&world).await.len() == 2
    })
    .await;
    let reasons = set_aside(&world).await.join("\n");
    assert!(
        reasons.contains("it leads to no public address"),
        "{reasons}"
    );
    assert_eq!(receiver.calls().len(), 3);
}

/// How many ends the first build could hold before it told nobody else: its limit of unanswered
/// events, and one more.
const ENDS: usize = 10_001;

/// Publishes copies of the end of a request to the feed, each as an event of its own.
async fn end_again(world: &World, id: &str, times: usize) {
    let jetstream = world.jetstream().await;
    let end = until_some("the end is in the feed", || {
        feed_event(world, "succeeded", id)
    });
    let end = end.await;
    for chunk in (0..times).collect::<Vec<_>>().chunks(500) {
        let mut acks = Vec::new();
        for n in chunk {
            let mut headers = end.headers.clone();
            headers.insert("ce-id", format!("{id}:copy:{n}"));
            headers.insert("Nats-Msg-Id", format!("{id}:copy:{n}"));
            let (subject, body) = (end.subject.clone(), end.payload.clone());
            let ack = jetstream.publish_with_headers(subject, headers, body);
            acks.push(ack.await.unwrap());
        }
        for ack in acks {
            ack.await.unwrap();
        }
    }
}

#[tokio::test]
async fn ten_thousand_ends_for_a_receiver_that_is_down_delay_no_other_receiver() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let receiver = Receiver::start(&[]).await;
    let settings = [
        ("WEBHOOK_SECRET", SECRET),
        ("WEBHOOK_ALLOW_PRIVATE", "true"),
    ];
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let down = format!("http://127.0.0.1:{}/", servers::free_port().unwrap());
    let lost = submit(&client, &down).await;
    end_again(&world, &lost, ENDS).await;
    let heard = submit(&client, receiver.url()).await;
    until("the other receiver is told", || async {
        receiver
            .calls()
            .iter()
            .any(|call| call.body.contains(&heard))
    })
    .await;
    // Every end is still there, to be tried again when it is due.
    let jetstream = world.jetstream().await;
    let stream = jetstream.get_stream("WEBHOOKS").await.unwrap();
    let kept = stream.cached_info().state.messages;
    assert!(kept >= ENDS as u64 - 1_000, "{kept}");
    assert_eq!(set_aside(&world).await.len(), 0);
}

/// A replica of the log that has nothing yet. It answers reads as nats-server does, and counts those
/// about one request.
struct Lagging {
    reads: Arc<AtomicUsize>,
    _answering: JoinSet<()>,
}

impl Lagging {
    async fn start(world: &World, id: &str) -> Self {
        let place = world.nats_url().trim_start_matches("nats://").to_owned();
        let mut stream = BufReader::new(TcpStream::connect(place).await.unwrap());
        let hello = "CONNECT {\"verbose\":false,\"headers\":true}\r\n\
                     SUB $JS.API.DIRECT.GET.REQUESTS_0 1\r\nPING\r\n";
        stream.write_all(hello.as_bytes()).await.unwrap();
        let mut line = String::new();
        while !line.starts_with("PONG") {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
        }
        let reads = Arc::<AtomicUsize>::default();
        let mut answering = JoinSet::new();
        answering.spawn(answer(stream, id.to_owned(), reads.clone()));
        Self {
            reads,
            _answering: answering,
        }
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }
}

/// Answers each read: nothing is there.
async fn answer(mut stream: BufReader<TcpStream>, id: String, reads: Arc<AtomicUsize>) {
    const NOTHING: &str = "NATS/1.0 404 No Results\r\n\r\n";
    let length = NOTHING.len();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let said = match words.as_slice() {
            ["PING"] => "PONG\r\n".to_owned(),
            ["MSG" | "HMSG", _, _, reply, .., bytes] => {
                let mut body = vec![0; bytes.parse::<usize>().unwrap() + 2];
                stream.read_exact(&mut body).await.unwrap();
                if String::from_utf8_lossy(&body).contains(&id) {
                    reads.fetch_add(1, Ordering::Relaxed);
                }
                format!("HPUB {reply} {length} {length}\r\n{NOTHING}\r\n")
            }
            _ => continue,
        };
        stream.write_all(said.as_bytes()).await.unwrap();
    }
}

/// Lets the broker answer reads of the log by itself, or not.
async fn answer_directly(world: &World, allow_direct: bool) {
    let jetstream = world.jetstream().await;
    let log = jetstream.get_stream("REQUESTS_0").await.unwrap();
    let config = async_nats::jetstream::stream::Config {
        allow_direct,
        ..log.cached_info().config.clone()
    };
    jetstream.update_stream(config).await.unwrap();
}

#[tokio::test]
async fn an_end_whose_submission_a_lagging_replica_lacks_waits_for_it_and_goes_to_nobody_else() {
    let world = World::own().await;
    let valuer = Valuer::golden().await;
    let (named, fallback) = (Receiver::start(&[]).await, Receiver::start(&[]).await);
    let mut settings = SETTINGS.to_vec();
    settings.push(("WEBHOOK_URL", fallback.url()));
    let program = up(&world, &valuer, &settings).await;
    let id = submit(&program.client(), named.url()).await;
    until("its end is told", || async { named.calls().len() == 1 }).await;
    let lagging = Lagging::start(&world, &id).await;
    answer_directly(&world, false).await;
    end_again(&world, &id, 1).await;
    until("the submission is looked for again", || async {
        lagging.reads() >= 2
    })
    .await;
    assert_eq!((named.calls().len(), fallback.calls().len()), (1, 0));
    drop(lagging);
    answer_directly(&world, true).await;
    until("the copy is told", || async { named.calls().len() == 2 }).await;
    assert_eq!(fallback.calls().len(), 0);
    assert_eq!(set_aside(&world).await.len(), 0);
}
