//! What a process logs: lines that machines can read, few of them, and more where somebody asks.

use harness::{Client, Program, Reply, Valuer, World, until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{document, fanfold, up};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const GIVEN_UP: &str = "a task is given up";
const ANSWERED: &str = "a call was answered";

/// The lines of the log with a message that begins like this. `up` also prints where it listens.
fn lines(program: &Program, message: &str) -> Vec<Value> {
    let log = program.log();
    let lines = log.lines().filter(|line| line.starts_with('{'));
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let says = |line: &Value| line["message"].as_str().unwrap().starts_with(message);
    lines.filter(says).collect()
}

async fn submit_traced(client: &Client, tasks: usize) -> String {
    let call = client.call(Method::POST, "/valuation");
    let call = call
        .header("content-type", "application/xml")
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    client.send(call.body(document(1, tasks))).await.id()
}

#[tokio::test]
async fn an_attempt_says_what_it_is_about_and_a_warning_that_repeats_says_how_often_it_was_left_out()
 {
    let world = World::start().await;
    let valuer = Valuer::start(|_| async { Reply::Status(400, "no such market".into()) }).await;
    let settings = [("LOG_FORMAT", "json"), ("WORKER_NAME", "desk \"7\"")];
    let program = up(&world, &valuer, &settings).await;
    let (client, admin) = (program.client(), program.admin());
    let id = submit_traced(&client, 200).await;
    client.until_status(&id, "failed").await;
    let told = lines(&program, GIVEN_UP);
    assert!((10..200).contains(&told.len()), "{} lines", told.len());
    for line in &told {
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["request"], id.as_str());
        assert_eq!(line["worker"], "desk \"7\"");
        assert_eq!(line["trace"], TRACE);
        assert!(line["group"].is_u64() && line["task"].is_u64(), "{line}");
        assert_eq!(line["attempt"], 1);
    }
    // The code that calls a service knows nothing of the task, and says it all the same.
    let answers = lines(&program, "the service answered with a failure");
    assert!(answers.iter().all(|line| line["request"] == id.as_str()));
    assert!(!answers.is_empty());
    let metrics = admin.get("/metrics").await.body;
    let warnings = metrics
        .lines()
        .find_map(|line| line.strip_prefix("fanfold_log_events_total{level=\"warn\"} "));
    assert!(
        warnings.unwrap().parse::<f64>().unwrap() >= 400.0,
        "{warnings:?}"
    );
    until("a line says how many were left out before it", || async {
        let id = submit_traced(&client, 1).await;
        client.until_status(&id, "failed").await;
        let told = lines(&program, GIVEN_UP);
        told.iter()
            .any(|line| line["left_out"].as_u64() > Some(100))
    })
    .await;
}

#[tokio::test]
async fn a_process_logs_every_call_for_the_time_that_somebody_asks_for() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let settings = [("LOG_FORMAT", "json"), ("RUST_LOG", "info")];
    let program = up(&world, &valuer, &settings).await;
    let (client, admin) = (program.client(), program.admin());
    client.submit(&document(1, 1), "").await.id();
    assert_eq!(
        admin.get("/log-filter").await.json(),
        json!({ "filter": "info" })
    );
    let asked = [
        "log-filter",
        "info,calls=debug",
        "--minutes",
        "5",
        "--admin",
        admin.base(),
    ];
    let said = fanfold(&world, &asked).await;
    assert!(said.ok, "{}{}", said.out, said.err);
    let now: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(now["filter"], "info,calls=debug");
    assert_eq!(now["configured"], "info");
    assert!((200.0..=300.0).contains(&now["secondsLeft"].as_f64().unwrap()));

    let id = submit_traced(&client, 1).await;
    client.status(&id).await;
    let refused = client.submit("<no", "").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    until("the calls are in the log", || async {
        lines(&program, ANSWERED).len() >= 3
    })
    .await;
    let told = lines(&program, ANSWERED);
    assert_eq!(told[0]["method"], "POST", "{told:?}");
    assert_eq!(told[0]["route"], "/valuation");
    assert_eq!(told[0]["status"], 202);
    assert_eq!(told[0]["request"], id.as_str());
    assert_eq!(told[0]["trace"], TRACE);
    assert!(told[0]["received_bytes"].as_u64() > Some(100) && told[0]["ms"].is_u64());
    assert_eq!(told[1]["request"], id.as_str());
    assert!(told[2]["code"].is_string() && told[2]["request"].is_null());
    let printed = fanfold(&world, &["log-filter", "--admin", admin.base()]).await;
    assert!(
        printed.out.contains("\"configured\":\"info\""),
        "{}",
        printed.out
    );

    let put = async |body: Value| {
        let call = admin.call(Method::PUT, "/log-filter");
        let call = call.header("content-type", "application/json");
        admin.send(call.body(body.to_string())).await
    };
    let short = put(json!({ "filter": "info,calls=debug", "seconds": 1 })).await;
    assert_eq!(short.status, StatusCode::OK, "{}", short.body);
    until("the filter of the settings holds again", || async {
        admin.get("/log-filter").await.json() == json!({ "filter": "info" })
    })
    .await;
    let before = lines(&program, ANSWERED).len();
    client.status(&id).await;
    put(json!({ "filter": "info,calls=debug" })).await;
    client.get("/nowhere").await;
    until("the later call is in the log", || async {
        lines(&program, ANSWERED).len() > before
    })
    .await;
    assert_eq!(lines(&program, ANSWERED).last().unwrap()["status"], 404);
    assert_eq!(lines(&program, ANSWERED).len(), before + 1);

    for wrong in [
        json!({ "filter": "calls=loud" }),
        json!({ "filter": "info", "seconds": 3601 }),
        json!({ "filter": "info", "minutes": 1 }),
    ] {
        let told = put(wrong).await;
        assert!(told.status.is_client_error(), "{}", told.body);
    }
    let wrong = fanfold(
        &world,
        &["log-filter", "calls=loud", "--admin", admin.base()],
    )
    .await;
    assert!(
        !wrong.ok && wrong.err.contains("filter"),
        "{}{}",
        wrong.out,
        wrong.err
    );
}
