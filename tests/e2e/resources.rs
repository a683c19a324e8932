use domain::request::Sequence;
use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use harness::{Valuer, World, until};
use reqwest::{Method, StatusCode};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::{document, up};

/// A document whose market is a reference.
pub fn referring(uri: &str) -> String {
    document(1, 2).replace(
        "<market name=\"m\">",
        &format!("<market name=\"m\" href=\"{uri}\">"),
    )
}

const CURVES: &str =
    "<vnml><project><market name=\"m\"><currency>CAN</currency></market></project></vnml>";

#[tokio::test]
async fn referenced_documents_are_fetched_once_recorded_and_used() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let root = world.folder().join("curves");
    fs::create_dir(&root).unwrap();
    let file = root.join("m.xml");
    fs::write(&file, CURVES).unwrap();
    let (allow, uri) = (
        format!("file://{}", root.display()),
        format!("file://{}", file.display()),
    );
    let program = up(&world, &valuer, &[("HREF_ALLOW", &allow)]).await;
    let client = program.client();

    let answer = client.submit(&referring(&uri), "sync=Y").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(
        valuer
            .calls()
            .iter()
            .all(|call| call.document.contains("<currency>CAN</currency>"))
    );
    let id = answer.header("x-request-id");
    let log = nats::Log::new(
        nats::Connection::open(&nats::Options::new(world.nats_url(), "test"))
            .await
            .unwrap(),
        1,
    );
    let commits = log.read(id.parse().unwrap(), Sequence::NONE).await.unwrap();
    let captured: Vec<_> = commits
        .iter()
        .flat_map(|commit| &commit.events)
        .filter_map(|event| match event {
            domain::request::Event::ResourcesCaptured(captured) => Some(&captured.resources),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(captured.len(), 1, "{captured:?}");
    assert_eq!(captured[0].uri, uri);
    assert_eq!(
        captured[0].sha256.as_deref(),
        Some(nats::sha256(CURVES.as_bytes()).as_str())
    );
    assert_eq!(captured[0].content.inline(), Some(CURVES));
}

#[tokio::test]
async fn resources_fetched_together_that_fit_into_no_commit_are_stored_by_reference() {
    const FILES: usize = 40;
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let root = world.folder().join("curves");
    fs::create_dir(&root).unwrap();
    let (mut markets, mut selects) = (String::new(), String::new());
    let mut note = nats::sha256(b"dense");
    for n in 0..FILES {
        while note.len() < (n + 1) * 60_000 {
            let next = nats::sha256(&note.as_bytes()[note.len() - 64..]);
            note.push_str(&next);
        }
        let own = &note[n * 60_000..(n + 1) * 60_000];
        let file = root.join(format!("{n}.xml"));
        let market = format!(
            "<vnml><project><market name=\"m{n}\"><note>{own}</note></market></project></vnml>"
        );
        fs::write(&file, market).unwrap();
        let uri = format!("file://{}", file.display());
        write!(markets, "<market name=\"m{n}\" href=\"{uri}\"/>").unwrap();
        write!(
            selects,
            "<market select=\"/vnml/project/market[@name='m{n}']\"/>"
        )
        .unwrap();
    }
    let allow = format!("file://{}", root.display());
    let program = up(&world, &valuer, &[("HREF_ALLOW", &allow)]).await;
    let client = program.client();
    let document = document(1, 1)
        .replace("<market name=", &format!("{markets}<market name="))
        .replace("<market select=\"/vnml/project/market[1]\"/>", &selects);
    let answer = client.submit(&document, "sync=Y").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);

    let options = nats::Options::new(world.nats_url(), "test");
    let connection = nats::Connection::open(&options).await.unwrap();
    let id = answer.header("x-request-id").parse().unwrap();
    let commits = nats::Log::new(connection, 1)
        .read(id, Sequence::NONE)
        .await
        .unwrap();
    let events = commits.iter().flat_map(|commit| &commit.events);
    let captured = events.filter_map(|event| match event {
        domain::request::Event::ResourcesCaptured(captured) => Some(&captured.resources),
        _ => None,
    });
    let inline: Vec<bool> = captured
        .flatten()
        .map(|resource| resource.content.inline().is_some())
        .collect();
    assert_eq!(inline.len(), FILES);
    assert_eq!(inline.iter().filter(|inline| **inline).count(), 4);
}

#[tokio::test]
async fn a_reference_that_is_not_allowed_is_not_fetched_and_the_request_names_it() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let root = world.folder().join("curves");
    fs::create_dir(&root).unwrap();
    let secret = world.folder().join("secret.xml");
    fs::write(&secret, CURVES).unwrap();
    std::os::unix::fs::symlink(&secret, root.join("link.xml")).unwrap();
    let allow = format!("file://{}", root.display());
    let program = up(&world, &valuer, &[("HREF_ALLOW", &allow)]).await;
    let client = program.client();
    for uri in [
        format!("file://{}", secret.display()),
        format!("file://{}/link.xml", root.display()),
        format!("file://{}/../secret.xml", root.display()),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "s3://bucket/key.xml".to_owned(),
    ] {
        let answer = client.submit(&referring(&uri), "sync=Y").await;
        assert_eq!(
            answer.status,
            StatusCode::INTERNAL_SERVER_ERROR,
            "{uri}: {}",
            answer.body
        );
        assert_eq!(
            answer.json()["code"],
            "hydration-not-allowed",
            "{uri}: {}",
            answer.body
        );
    }
    assert!(valuer.calls().is_empty());
}

#[tokio::test]
async fn a_dry_run_says_what_a_document_would_become_and_leaves_nothing_behind() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let check = |body: String| {
        let call = client.call(Method::POST, "/valuation/check");
        client.send(call.header("content-type", "application/xml").body(body))
    };
    let good = check(referring("s3://bucket/m.xml")).await;
    assert_eq!(good.status, StatusCode::OK, "{}", good.body);
    assert!(good.body.contains("s3://bucket/m.xml"), "{}", good.body);
    let bad = check("<vnml><project>".into()).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    assert_eq!(bad.json()["line"], 1);
    let requests = world
        .jetstream()
        .await
        .get_stream("REQUESTS_0")
        .await
        .unwrap();
    assert_eq!(requests.cached_info().state.messages, 0);
}

#[tokio::test]
async fn the_finished_groups_can_be_read_where_a_later_one_refers_to_no_document() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let root = world.folder().join("curves");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("m.xml"), "no XML").unwrap();
    let allow = format!("file://{}", root.display());
    let program = up(&world, &valuer, &[("HREF_ALLOW", &allow)]).await;
    let client = program.client();
    let document = document(2, 1);
    let (first, second) = document.rsplit_once("<valuation").unwrap();
    let document = format!("{first}<valuation href=\"{allow}/m.xml\"{second}");
    let id = client.submit(&document, "").await.id();
    let status = client.until_status(&id, "failed").await;
    assert_eq!(
        status["failure"]["code"], "hydration-fetch-failed",
        "{status}"
    );
    let partial = client.get(&format!("/valuation/{id}/results?partial=true"));
    let partial = partial.await;
    assert_eq!(partial.status, StatusCode::OK, "{}", partial.body);
    assert!(partial.body.contains("<amount>"), "{}", partial.body);
}

/// A host that takes connections and says nothing. Counts the connections.
pub async fn silent(serving: &mut JoinSet<()>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = format!("http://{}/", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    serving.spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(listener.accept().await.unwrap());
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    (at, count)
}

/// A host that answers at once.
async fn quick(serving: &mut JoinSet<()>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/m.xml", get(|| async { CURVES }));
    serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
    at
}

#[tokio::test]
async fn a_silent_host_keeps_neither_plain_documents_nor_those_of_another_host_waiting() {
    const DOCUMENTS: usize = 300;
    const SOON: Duration = Duration::from_secs(3);
    let mut serving = JoinSet::new();
    let (silent, connections) = silent(&mut serving).await;
    let quick = quick(&mut serving).await;
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let allow = format!("{silent},{quick}");
    let program = up(&world, &valuer, &[("HREF_ALLOW", &allow)]).await;
    let client = program.client();
    for _ in 0..DOCUMENTS {
        let refers = referring(&format!("{silent}m.xml"));
        let answer = client.submit(&refers, "sync=N").await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    }
    until("fetches wait for the silent host", || async {
        connections.load(Ordering::Relaxed) > 0
    })
    .await;
    let plain = document(1, 1);
    for document in [plain, referring(&format!("{quick}m.xml"))] {
        let began = Instant::now();
        let answer = client.submit(&document, "sync=Y").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let took = began.elapsed();
        assert!(took < SOON, "{took:?}: {document}");
    }
}
