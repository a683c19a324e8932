//! Pages of other sites, and what a browser makes of answers.

use std::process::Stdio;

use axum::Router;
use axum::http::header::CONTENT_TYPE as KIND;
use axum::routing::get;
use harness::{Client, Program, Valuer, World};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{document, post, up};

/// The browsers that these tests know, by the names of their programs.
const BROWSERS: [&str; 3] = ["chromium-headless-shell", "chromium", "google-chrome"];

/// The valuer must live as long as the program.
async fn scene(world: &World) -> (Program, Client, String, Valuer) {
    let valuer = Valuer::golden().await;
    let program = up(world, &valuer, &[]).await;
    let client = program.client();
    let done = client.submit(&document(1, 1), "").await.id();
    client.until_status(&done, "succeeded").await;
    (program, client, done, valuer)
}

#[tokio::test]
async fn the_call_of_a_foreign_page_is_refused_by_the_headers_that_its_browser_sends() {
    let world = World::start().await;
    let (_program, client, id, _valuer) = scene(&world).await;
    let reads = [
        "/valuations".to_owned(),
        "/dead-letters".into(),
        format!("/valuation/{id}/results"),
        "/readyz".into(),
    ];
    let acts = [
        "/dead-letters/discard".to_owned(),
        format!("/valuation/{id}/cancel"),
    ];
    let headers = [
        ("sec-fetch-site", "cross-site", "foreign-site"),
        ("sec-fetch-site", "same-site", "foreign-site"),
        ("origin", "https://evil.example", "foreign-site"),
        ("origin", "null", "foreign-site"),
        ("host", "attacker.example:8080", "foreign-host"),
    ];
    for (name, value, code) in headers {
        let of_reads = reads.iter().map(|path| client.call(Method::GET, path));
        let of_acts = acts.iter().map(|path| {
            let call = client.call(Method::POST, path).body("{\"reason\":\"x\"}");
            call.header(CONTENT_TYPE, "application/json")
        });
        for call in of_reads.chain(of_acts) {
            let answer = client.send(call.header(name, value)).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}: {value}");
            assert_eq!(answer.json()["code"], code, "{name}: {value}");
        }
    }
    // What a form or a plain fetch may send without asking first.
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        for path in &acts {
            let call = client.call(Method::POST, path).header(CONTENT_TYPE, kind);
            let answer = client.send(call.body("{}")).await;
            assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
        }
    }
    let call = client.call(Method::POST, &acts[0]).body("{}");
    assert_eq!(
        client.send(call).await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    let own = client
        .call(Method::GET, "/valuations")
        .header("sec-fetch-site", "same-origin");
    assert_eq!(client.send(own).await.status, StatusCode::OK);
}

#[tokio::test]
async fn no_answer_is_taken_for_a_page_and_the_documentation_runs_its_own_scripts_only() {
    let world = World::start().await;
    let (program, client, id, _valuer) = scene(&world).await;
    let admin = program.admin();
    let sandbox = "sandbox; default-src 'none'; frame-ancestors 'none'";
    let answers = [
        (client.get(&format!("/valuation/{id}/results")).await, true),
        (client.submit(&document(1, 1), "sync=Y").await, true),
        (
            client.get(&format!("/valuation/{id}/tasks/0/1")).await,
            true,
        ),
        (client.get(&format!("/valuation/{id}/status")).await, false),
        (client.get("/valuations").await, false),
        (client.get("/nowhere").await, false),
        (client.get("/openapi.json").await, false),
        (client.submit("<vnml", "").await, false),
        (admin.get("/readyz").await, false),
        (admin.get("/metrics").await, false),
        (admin.get("/nowhere").await, false),
    ];
    for (answer, is_document) in answers {
        let said = &answer.body[..answer.body.len().min(100)];
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{said}");
        assert_eq!(answer.header("content-security-policy"), sandbox, "{said}");
        let disposition = if is_document { "attachment" } else { "" };
        assert_eq!(answer.header("content-disposition"), disposition, "{said}");
    }
    let page = client.get("/docs/").await;
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert!(!page.body.contains("<script>"), "{}", page.body);
}

/// A browser on this machine, or nothing.
fn browser() -> Option<&'static str> {
    let path = std::env::var("PATH").unwrap_or_default();
    let is_there = |name: &&str| {
        path.split(':')
            .any(|folder| std::path::Path::new(folder).join(name).is_file())
    };
    BROWSERS.into_iter().find(is_there)
}

/// What the browser shows at this address, as HTML, after the scripts of the page have run.
async fn shown(world: &World, program: &str, url: &str) -> String {
    let profile = world.folder().join("browser");
    let browsing = tokio::process::Command::new(program)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--virtual-time-budget=10000",
            "--dump-dom",
            "--host-resolver-rules=MAP attacker.example 127.0.0.1",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(url)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let limit = std::time::Duration::from_secs(90);
    let output = tokio::time::timeout(limit, browsing)
        .await
        .expect("the browser ends")
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A page of another origin that tries to read and to act, and writes into its title what it got.
const HOSTILE: &str = r#"<!doctype html><title>trying</title><body><script>
const target = "TARGET", id = "ID";
const got = [];
const attempt = async (name, call) => {
  try { const answer = await call(); got.push(name + "=" + answer); }
  catch (error) { got.push(name + "=refused"); }
};
(async () => {
  await attempt("read", async () => (await fetch(target + "/valuations")).text());
  await attempt("results", async () => (await fetch(target + "/valuation/" + id + "/results")).text());
  const send = (path, kind, body) => fetch(target + path, {
    method: "POST", mode: "no-cors", headers: { "content-type": kind }, body });
  for (const kind of ["text/plain", "application/x-www-form-urlencoded"]) {
    await attempt("act", async () => (await send("/valuation/" + id + "/cancel", kind, '{"reason":"x"}')).type);
    await attempt("discard", async () => (await send("/dead-letters/discard", kind, "{}")).type);
  }
  await attempt("submit", async () => (await fetch(target + "/valuation", {
    method: "POST", headers: { "content-type": "application/xml" }, body: "<vnml/>" })).text());
  document.title = "done " + got.join(" ");
})();
</script>"#;

#[tokio::test]
async fn a_hostile_page_in_a_real_browser_can_neither_read_nor_act() {
    let Some(browser) = browser() else {
        eprintln!("NOT TESTED: there is no browser on this machine ({BROWSERS:?})");
        return;
    };
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[("EXECUTOR", "command:sleep 1000")]).await;
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    client.until_status(&id, "running").await;
    let port = client.base().rsplit_once(':').unwrap().1.to_owned();
    let page = HOSTILE.replace("TARGET", client.base()).replace("ID", &id);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let page = get(async move || ([(KIND, "text/html")], page));
    let serving = axum::serve(listener, Router::new().route("/", page));
    tokio::spawn(async move { serving.await.unwrap() });
    // Another origin of the same site, and another site.
    for host in ["127.0.0.1", "attacker.example"] {
        let shown = shown(&world, browser, &format!("http://{host}:{own}/")).await;
        assert!(shown.contains("<title>done "), "{shown}");
        assert!(shown.contains("read=refused"), "{shown}");
        assert!(shown.contains("results=refused"), "{shown}");
        assert!(shown.contains("submit=refused"), "{shown}");
        assert!(!shown.contains(&format!("\"requestId\":\"{id}")), "{shown}");
        assert_eq!(
            client.status(&id).await.json()["status"],
            "running",
            "{host} has acted"
        );
    }
    // The page's own name leads to Fanfold now (DNS rebinding): the browser takes both for one site.
    let list = |host: &str| format!("http://{host}:{port}/valuations");
    let own = shown(&world, browser, &list("127.0.0.1")).await;
    assert!(
        own.contains(&id),
        "the person at this machine may read: {own}"
    );
    let rebound = shown(&world, browser, &list("attacker.example")).await;
    assert!(!rebound.contains(&id), "{rebound}");
    // The documentation works under its policy, and lists the operations.
    let docs = shown(&world, browser, &format!("{}/docs/", client.base())).await;
    assert!(
        docs.contains("/valuation/{id}/cancel") || docs.contains("opblock"),
        "{docs}"
    );
    let why = json!({ "reason": "done" });
    let cancelled = post(&client, &format!("/valuation/{id}/cancel"), &why).await;
    assert_eq!(cancelled.status, StatusCode::OK);
}
