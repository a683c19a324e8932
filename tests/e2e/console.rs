//! The console against the running program. `tests/console/stories.py` is the same in a browser.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use futures::StreamExt as _;
use harness::{Answer, Client, Program, Reply, Valuer, World, result_of, until};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::callers::KeyRing;
use crate::{document, fanfold, post, up};

/// A service that refuses task 2 of a group until it is told otherwise.
async fn refusing() -> Valuer {
    Valuer::start(|call| async move {
        if call.task == 2 && call.attempt < 2 {
            Reply::Status(422, "no such curve".into())
        } else {
            Reply::Result(result_of(&call))
        }
    })
    .await
}

/// A form posted as a browser does.
pub async fn form(console: &Client, path: &str, fields: &[(&str, &str)]) -> Answer {
    let encoded = |value: &str| {
        value.bytes().fold(String::new(), |mut text, byte| {
            write!(text, "%{byte:02x}").unwrap();
            text
        })
    };
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)));
    let body = pairs.collect::<Vec<_>>().join("&");
    let call = console.call(Method::POST, path);
    let call = call.header("content-type", "application/x-www-form-urlencoded");
    console.send(call.body(body)).await
}

/// The value of a hidden field in the form of a page.
pub fn hidden(page: &Answer, name: &str) -> String {
    let found = page.body.split(&format!("name=\"{name}\" value=\"")).nth(1);
    let found = found.unwrap_or_else(|| panic!("no {name} in {}", page.body));
    found.split('"').next().unwrap().to_owned()
}

/// The token in the form of a page.
fn token(page: &Answer) -> String {
    hidden(page, "token")
}

#[tokio::test]
async fn a_failed_request_is_explained_and_redriven_with_a_reason_on_the_console() {
    let world = World::start().await;
    let valuer = refusing().await;
    let program = up(&world, &valuer, &[]).await;
    let (client, console) = (program.client(), program.admin());
    let id = client.submit(&document(1, 3), "").await.id();
    client.until_status(&id, "failed").await;
    let path = format!("/console/requests/{id}");
    let page = console.get(&path).await;
    assert!(page.body.contains("The request is failed"), "{}", page.body);
    assert!(page.body.contains("http-422"), "{}", page.body);
    let list = console.get("/console/requests?q=status:failed").await;
    assert!(list.body.contains(&path), "{}", list.body);
    let act = format!("{path}/redrive");
    let asked = console.get(&act).await;
    assert!(
        asked
            .body
            .contains("2 of 3 results of group 0 are kept, and 1 task runs again"),
        "{}",
        asked.body
    );
    let without = form(&console, &act, &[("reason", "x")]).await;
    assert_eq!(without.status, StatusCode::CONFLICT);
    let token = token(&asked);
    let no_reason = form(&console, &act, &[("token", &token), ("reason", " ")]).await;
    assert_eq!(no_reason.status, StatusCode::BAD_REQUEST);
    assert_eq!(client.status(&id).await.json()["status"], "failed");
    let fields = [
        ("token", token.as_str()),
        ("reason", "the curve is there <now>"),
        ("for", "mira"),
    ];
    let done = form(&console, &act, &fields).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    client.until_status(&id, "succeeded").await;
    let audit = console.get(&format!("{path}?tab=audit")).await.body;
    assert!(audit.contains("the curve is there &lt;now&gt;"), "{audit}");
    assert!(audit.contains(" for mira"), "{audit}");
    let again = console.get(&act).await;
    assert!(again.body.contains("This is off:"), "{}", again.body);
}

#[tokio::test]
async fn a_fork_goes_on_from_the_point_that_its_form_showed() {
    let world = World::start().await;
    let valuer = refusing().await;
    let program = up(&world, &valuer, &[]).await;
    let (client, console) = (program.client(), program.admin());
    let text = document(1, 3);
    let id = client.submit(&text, "").await.id();
    client.until_status(&id, "failed").await;
    let act = format!("/console/requests/{id}/fork");
    let asked = console.get(&act).await;
    assert!(
        asked.body.contains("takes over 2 results of 1 group"),
        "{}",
        asked.body
    );
    let at = asked.body.split("name=\"at\" value=\"").nth(1).unwrap();
    let at = at.split('"').next().unwrap();
    let token = token(&asked);
    let fields = [
        ("token", token.as_str()),
        ("reason", "try"),
        ("at", at),
        ("document", &text),
    ];
    let forked = form(&console, &act, &fields).await;
    assert_eq!(forked.status, StatusCode::OK, "{}", forked.body);
    assert!(forked.body.contains("fork of"), "{}", forked.body);
    let broken = [
        ("token", token.as_str()),
        ("reason", "try"),
        ("at", at),
        ("document", "<vnml>"),
    ];
    let refused = form(&console, &act, &broken).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.body);
}

#[tokio::test]
async fn the_form_of_another_site_does_nothing_and_a_link_of_another_site_leads_to_a_page() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[("EXECUTOR", "command:sleep 1000")]).await;
    let (client, console) = (program.client(), program.admin());
    let id = client.submit(&document(1, 1), "").await.id();
    client.until_status(&id, "running").await;
    let act = format!("/console/requests/{id}/cancel");
    let token = token(&console.get(&act).await);
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.example"),
        ("host", "attacker.example"),
    ] {
        let call = console.call(Method::POST, &act).header(name, value);
        let call = call.header("content-type", "application/x-www-form-urlencoded");
        let answer = console
            .send(call.body(format!("token={token}&reason=x")))
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}");
    }
    assert_eq!(client.status(&id).await.json()["status"], "running");
    let from_chat = |dest: &'static str| {
        let call = console.call(Method::GET, &format!("/console/requests/{id}"));
        let call = call.header("sec-fetch-site", "cross-site");
        call.header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", dest)
    };
    assert_eq!(
        console.send(from_chat("document")).await.status,
        StatusCode::OK
    );
    assert_eq!(
        console.send(from_chat("iframe")).await.status,
        StatusCode::FORBIDDEN
    );
    let cancelled = form(&console, &act, &[("token", &token), ("reason", "enough")]).await;
    assert_eq!(cancelled.status, StatusCode::OK);
    client.until_status(&id, "cancelled").await;
}

#[tokio::test]
async fn every_route_of_the_console_is_behind_the_gate_of_its_action() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let keys = KeyRing::new(&world);
    let mut credentials = Vec::new();
    for (rank, grant) in (0..).zip([
        "default:submit",
        "default:read",
        "default:operate",
        "system:admin",
    ]) {
        let name = format!("the-{}", grant.replace(':', "-"));
        credentials.push((rank, keys.key(&name, &[grant]).await));
    }
    let program = up(&world, &valuer, &[("AUTH_KEYS_FILE", &keys.0)]).await;
    let console = program.admin();
    let submitter = program.client().with_credential(&credentials[0].1);
    let id = submitter.submit(&document(1, 1), "").await.id();
    submitter.until_status(&id, "succeeded").await;
    // Each with the least of the ranks above.
    let routes = [
        ("/console/", 1),
        ("/console/requests", 0),
        ("/console/requests/ID", 0),
        ("/console/requests/ID/tasks/0/1", 0),
        ("/console/requests/ID/groups/0", 0),
        ("/console/requests/ID/groups/0/heat.png", 0),
        ("/console/requests/ID/documents/submitted", 0),
        ("/console/requests/ID/documents/submitted/raw", 0),
        ("/console/requests/ID/cancel", 2),
        ("/console/requests/ID/redrive", 2),
        ("/console/requests/ID/fork", 2),
        ("/console/dead-letters", 1),
        ("/console/dead-letters/x/discard", 2),
        ("/console/failures", 1),
        ("/console/system", 3),
    ];
    for (path, least) in routes {
        let path = path.replace("ID", &id);
        let open = console.get(&path).await;
        assert_eq!(open.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(open.body.contains("Sign in"), "{path}: {}", open.body);
        for (rank, key) in &credentials {
            let answer = console.with_credential(key).get(&path).await;
            let refused = answer.status == StatusCode::FORBIDDEN;
            assert_eq!(
                refused,
                *rank < least,
                "{path} of rank {rank}: {}",
                answer.body
            );
        }
    }
    // The requests of others do not exist for somebody who may only submit.
    let other = keys.key("another", &["default:submit"]).await;
    let other = console.with_credential(&other);
    until("the new key is known", || async {
        other.get("/console/requests").await.status == StatusCode::OK
    })
    .await;
    assert!(!other.get("/console/requests").await.body.contains(&id));
    let page = other.get(&format!("/console/requests/{id}")).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_browser_signs_in_with_a_key_and_the_key_stays_in_the_process() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let keys = KeyRing::new(&world);
    let key = keys.key("anna", &["default:operate"]).await;
    let program = up(&world, &valuer, &[("AUTH_KEYS_FILE", &keys.0)]).await;
    let console = program.admin();
    let no_redirects = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let sign_in = |site: &'static str, key: String| {
        let call = no_redirects.post(format!("{}/console/sign-in", console.base()));
        let call = call.header("content-type", "application/x-www-form-urlencoded");
        let call = call.header("sec-fetch-site", site);
        call.body(format!("key={key}&back=%2Fconsole%2Ffailures"))
            .send()
    };
    let foreign = sign_in("cross-site", key.clone()).await.unwrap();
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    let answer = sign_in("same-origin", key.clone()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.headers()["location"], "/console/failures");
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    assert!(!cookie.contains(&key), "{cookie}");
    let session = cookie.split(';').next().unwrap().to_owned();
    let with = |path: &str| {
        let call = console.call(Method::GET, path).header("cookie", &session);
        console.send(call)
    };
    let page = with("/console/requests").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("anna"), "{}", page.body);
    assert_eq!(with("/console/system").await.status, StatusCode::FORBIDDEN);
    // A session is no credential of the API.
    let api = program.client();
    let call = api
        .call(Method::GET, "/valuations")
        .header("cookie", &session);
    assert_eq!(api.send(call).await.status, StatusCode::UNAUTHORIZED);
    let wrong = sign_in("same-origin", "ff_wrong".into()).await.unwrap();
    let cookie = wrong.headers()["set-cookie"].to_str().unwrap();
    let call = console.call(Method::GET, "/console/requests");
    let call = call.header("cookie", cookie.split(';').next().unwrap());
    let refused = console.send(call).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(
        refused.body.contains("unknown, revoked or expired"),
        "{}",
        refused.body
    );
    let out = console.call(Method::POST, "/console/sign-out");
    console.send(out.header("cookie", &session)).await;
    assert_eq!(
        with("/console/requests").await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn the_pages_are_right_without_redis_and_say_where_they_are_from() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let port = servers::free_port().unwrap();
    let redis = format!("redis://127.0.0.1:{port}");
    let program = up(&world, &valuer, &[("REDIS_URL", &redis)]).await;
    let (client, console) = (program.client(), program.admin());
    let id = client.submit(&document(1, 2), "").await.id();
    client.until_status(&id, "succeeded").await;
    let list = console.get("/console/requests").await.body;
    assert!(list.contains(&id[24..]), "{list}");
    assert!(list.contains("Redis has no complete index now"), "{list}");
    let page = console.get(&format!("/console/requests/{id}")).await.body;
    assert!(page.contains("The request is succeeded"), "{page}");
    assert!(page.contains("the view is unavailable"), "{page}");
    let overview = console.get("/console/").await.body;
    assert!(
        overview.contains("Redis does not answer or takes no writes"),
        "{overview}"
    );
}

#[tokio::test]
async fn changes_reach_a_browser_that_follows_a_request() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[("EXECUTOR", "command:sleep 1000")]).await;
    let (client, console) = (program.client(), program.admin());
    let id = client.submit(&document(1, 1), "").await.id();
    client.until_status(&id, "running").await;
    let call = console.call(Method::GET, &format!("/console/changes?topic=request:{id}"));
    let stream = console.http(call).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut bytes = stream.bytes_stream();
    let why = json!({ "reason": "seen" });
    post(&client, &format!("/valuation/{id}/cancel"), &why).await;
    let mut text = String::new();
    let told = async {
        while !text.contains(&format!("\"requests\":[\"{id}\"]")) {
            let more = bytes.next().await.expect("the stream goes on").unwrap();
            text.push_str(&String::from_utf8_lossy(&more));
        }
    };
    tokio::time::timeout(harness::LIMIT, told).await.unwrap();
}

#[tokio::test]
async fn the_console_of_a_bundle_needs_no_server() {
    let world = World::start().await;
    let valuer = refusing().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let id = client.submit(&document(1, 2), "").await.id();
    client.until_status(&id, "failed").await;
    let bundle = world.folder().join("incident.fanfold");
    let file = bundle.to_str().unwrap();
    let exported = fanfold(&world, &["replay", "export", &id, "-o", file]).await;
    assert!(exported.ok, "{}", exported.err);
    drop(program);
    let port = servers::free_port().unwrap().to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_fanfold"))
        .args(["console", "--from", file])
        .env("ADMIN_PORT", &port)
        .env("NATS_URL", "nats://127.0.0.1:1")
        .env("REDIS_URL", "redis://127.0.0.1:1")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(harness::LIMIT, lines.next_line()).await;
    let line = line.unwrap().unwrap().unwrap();
    assert!(
        line.contains(&format!("http://127.0.0.1:{port}/console/")),
        "{line}"
    );
    let console = Client::new(format!("http://127.0.0.1:{port}"));
    let page = console.get(&format!("/console/requests/{id}")).await.body;
    assert!(page.contains("not a running system"), "{page}");
    assert!(page.contains("The request is failed"), "{page}");
    for path in [
        "/console/",
        "/console/requests",
        "/console/failures",
        "/console/dead-letters",
    ] {
        assert_eq!(console.get(path).await.status, StatusCode::OK, "{path}");
    }
    let task = format!("/console/requests/{id}/tasks/0/2");
    assert!(console.get(&task).await.body.contains("http-422"));
    let document = fanfold(
        &world,
        &["replay", "document", &id, "submitted", "--from", file],
    )
    .await;
    assert_eq!(document.out, crate::document(1, 2));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The Python of `.tools/console`, and a browser, if both are there.
async fn python() -> Option<PathBuf> {
    let python = root().join(".tools/console/bin/python");
    let script = "import playwright, shutil, sys; sys.exit(shutil.which('chromium') is None)";
    let has = Command::new(&python).args(["-c", script]).output().await;
    if has.is_ok_and(|has| has.status.success()) {
        return Some(python);
    }
    eprintln!("NOT TESTED: the console in a browser needs `make console-test`, which installs one");
    None
}

#[tokio::test]
async fn the_stories_of_the_console_pass_in_a_real_browser() {
    let Some(python) = python().await else { return };
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let types = world.folder().join("types.toml");
    std::fs::write(&types, TYPES).unwrap();
    let settings = [
        ("FANFOLD_CONFIG", types.to_str().unwrap()),
        ("FANFOLD_TEST_RETRY_DELAY_MS", "20"),
    ];
    let program = up(&world, &valuer, &settings).await;
    let axe = root().join(".tools/console/axe-4.14.1.min.js");
    let mut stories = Command::new(python);
    stories
        .arg(root().join("tests/console/stories.py"))
        .args([program.admin().base(), program.client().base()]);
    if axe.exists() {
        stories.env("AXE", axe);
    }
    if let Ok(pictures) = std::env::var("CONSOLE_PICTURES") {
        stories.arg(pictures);
    }
    let told = stories.kill_on_drop(true).output().await.unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&told.stdout),
        String::from_utf8_lossy(&told.stderr),
    );
    assert!(
        told.status.success(),
        "{out}\n{err}\n{}",
        Program::log(&program)
    );
    println!("{out}");
}

/// Tasks that succeed, that are given up at once, and that run until they are stopped.
const TYPES: &str = r#"
[[task-types]]
name = "broken"
matches = ["broken*"]
executor = { kind = "command", program = "sh", args = ["-c", "echo 'no license: seat 4711 of 4711 is taken' >&2; exit 65"] }

[[task-types]]
name = "slow"
matches = ["slow*"]
executor = { kind = "command", program = "sleep", args = ["1000"] }
time-limit-ms = 3600000

[[task-types]]
name = "echo"
matches = ["echo*"]
executor = { kind = "echo" }
"#;
