//! What a process says of its health, and to whom.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use domain::request::RequestId;
use harness::{Program, Valuer, World, until};
use reqwest::{Method, StatusCode};

use crate::{document, fanfold, up};

#[tokio::test]
async fn a_process_with_a_hung_role_is_not_alive_and_says_which_loop_hangs() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    // The name of a group is in the document, and the poison blocks the thread that reads it.
    let settings = [
        ("FANFOLD_POISON", "orchestrator:hang:g6"),
        ("FANFOLD_TEST_LOOP_SILENT_MAX_MS", "6000"),
        ("ACK_WAIT_MS", "3000"),
    ];
    let program = up(&world, &valuer, &settings).await;
    let (client, admin) = (program.client(), program.admin());
    until("its loops turn", || async {
        admin.get("/healthz").await.status == StatusCode::OK
    })
    .await;
    let alive = fanfold(&world, &["probe", "--live", admin.base()]).await;
    assert!(alive.ok, "{}{}", alive.out, alive.err);
    client.submit(&document(7, 1), "").await.id();
    until("the process is no longer alive", || async {
        admin.get("/healthz").await.status == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    let said = admin.get("/healthz").await.json();
    assert_eq!(said["status"], "hung");
    let silent = said["silent"].as_array().unwrap();
    assert!(silent.iter().all(|s| s["role"] == "orchestrator"), "{said}");
    assert!(silent.iter().any(|s| s["loop"] == "runtime"), "{said}");
    assert_eq!(client.get("/healthz").await.json()["code"], "hung");
    let dead = fanfold(&world, &["probe", "--live", admin.base()]).await;
    assert!(
        !dead.ok && dead.out.contains("hung"),
        "{}{}",
        dead.out,
        dead.err
    );
}

#[tokio::test]
async fn the_probe_tells_a_process_that_is_ready_from_one_that_is_not_and_from_none() {
    let mut world = World::own().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let base = program.client().base().to_owned();
    let said = fanfold(&world, &["probe", &base]).await;
    assert!(said.ok && said.out.contains("\"ready\""), "{}", said.out);
    world.kill_redis().await;
    until("it is degraded", || async {
        program.client().get("/readyz").await.json()["status"] == "degraded"
    })
    .await;
    let said = fanfold(&world, &["probe", "--ready", &base]).await;
    assert!(said.ok, "degraded is ready: {}", said.out);
    world.kill_nats().await;
    until("it is not ready", || async {
        !program.client().ready().await
    })
    .await;
    let said = fanfold(&world, &["probe", "--ready", &base]).await;
    assert!(!said.ok && said.out.contains("unavailable"), "{}", said.out);
    let said = fanfold(&world, &["probe", "--live", &base]).await;
    assert!(said.ok, "a restart would not help: {}", said.out);
    drop(program);
    let said = fanfold(&world, &["probe", "--live", &base]).await;
    assert!(!said.ok && said.err.contains("no answer"), "{}", said.err);
}

#[tokio::test]
async fn systemd_is_told_that_the_process_is_ready_lives_and_stops() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let path = world.folder().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(harness::LIMIT)).unwrap();
    let settings = [
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", "1500000"),
    ];
    let mut program = up(&world, &valuer, &settings).await;
    let heard = move || {
        let mut text = [0; 64];
        let length = socket.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    let (first, heard) = tokio::task::spawn_blocking(move || {
        let first = [heard(), heard()];
        (first, heard)
    })
    .await
    .unwrap();
    assert_eq!(first, ["READY=1", "WATCHDOG=1"]);
    assert!(program.stop().await.success());
    let last = tokio::task::spawn_blocking(move || {
        let mut said = heard();
        while said == "WATCHDOG=1" {
            said = heard();
        }
        said
    });
    assert_eq!(last.await.unwrap(), "STOPPING=1");
}

#[tokio::test]
async fn a_role_without_its_broker_is_not_ready_and_with_it_is_again() {
    let mut world = World::own().await;
    let binary = env!("CARGO_BIN_EXE_fanfold");
    let projector = Program::start(binary, "projector", &world, &[]).await;
    let admin = projector.admin();
    until("it is ready", || admin.ready()).await;
    world.kill_nats().await;
    until("it is not ready", || async { !admin.ready().await }).await;
    let asked = admin
        .call(Method::GET, "/metrics")
        .timeout(Duration::from_secs(1));
    let told = admin.send(asked).await;
    assert_eq!(told.status, StatusCode::OK, "what it did is still told");
    let down = "fanfold_dependency_up{dependency=\"nats\",role=\"projector\"} 0.0\n";
    until("the metrics say so", || async {
        admin.get("/metrics").await.body.contains(down)
    })
    .await;
    world.restart_nats().await;
    until("it is ready again", || admin.ready()).await;
    let id = RequestId::of_key("anonymous", "none").to_string();
    assert!(!admin.get("/metrics").await.body.contains(&id));
}

#[tokio::test]
async fn a_machine_without_certificates_of_authorities_runs_every_role_and_the_tools() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let folder = world.folder().join("no-certificates");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("document.xml");
    std::fs::write(&file, document(1, 1)).unwrap();
    let none = [
        ("SSL_CERT_DIR", folder.to_str().unwrap()),
        ("SSL_CERT_FILE", file.to_str().unwrap()),
    ];
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let others = [("HREF_ALLOW", "s3://bucket"), ("WEBHOOK_SECRET", secret)];
    let program = up(&world, &valuer, &[none, others].concat()).await;
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_fanfold"))
        .arg("submit")
        .arg(&file)
        .args(["--wait", "--url", program.client().base()])
        .envs(none)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // Only what needs a certificate fails, and says why.
    let market = "<market href=\"s3://bucket/market.xml\"/>";
    let refers = document(1, 1).replacen("<market ", &format!("{market}<market "), 1);
    let answered = program.client().submit(&refers, "sync=Y").await;
    let why = "No CA certificates were loaded";
    assert!(answered.body.contains(why), "{}", answered.body);
}
