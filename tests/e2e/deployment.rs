//! The facts that every role shares: the first role stores them, the others compare them, and an
//! operator changes them.

use std::process::Output;

use harness::{Program, Valuer, World};
use serde_json::Value;

use crate::{document, fanfold, up};

const BINARY: &str = env!("CARGO_BIN_EXE_fanfold");

/// Starts a role that must end by itself.
async fn refused(world: &World, role: &str, settings: &[(&str, &str)]) -> String {
    let started = tokio::process::Command::new(BINARY)
        .arg(role)
        .env("NATS_URL", world.nats_url())
        .env("REDIS_URL", world.redis_url())
        .envs(settings.iter().copied())
        .output();
    let ended: Output = tokio::time::timeout(harness::LIMIT, started)
        .await
        .expect("it ends")
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    said
}

/// The last recorded change of the facts.
async fn recorded(world: &World) -> Value {
    let operations = world.jetstream().await.get_stream("OPERATIONS").await;
    let operation = operations.unwrap();
    let last = operation.get_last_raw_message_by_subject("operations.deployment-changed");
    serde_json::from_slice(&last.await.unwrap().payload).unwrap()
}

#[tokio::test]
async fn a_role_with_another_fact_does_not_start_until_the_deployment_has_it() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let longer = [("TASK_LEASE_MS", "45s"), ("EXECUTOR", valuer.url())];

    let said = refused(&world, "worker", &longer).await;
    for part in [
        "TASK_LEASE_MS='45s' (environment), but the deployment has TASK_LEASE_MS='30s'",
        "`fanfold deployment set TASK_LEASE_MS=45s --reason TEXT`",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }

    let set = ["deployment", "set", "TASK_LEASE_MS=45s"];
    let silent = fanfold(&world, &set).await;
    assert!(silent.err.contains("--reason"), "{}", silent.err);
    let set = [&set[..], &["--reason", "slow valuers"]].concat();
    let changed = fanfold(&world, &set).await;
    assert!(changed.ok, "{}", changed.err);
    let expected = "TASK_LEASE_MS: 30s → 45s\n\
                    restart every role: until then a running one has TASK_LEASE_MS=30s\n";
    assert_eq!(changed.out, expected);
    let record = recorded(&world).await;
    assert_eq!(record["by"], "tester");
    assert_eq!(record["reason"], "slow valuers");
    assert_eq!(record["details"]["facts"][0]["to"], "45s");

    let mut worker = Program::start(BINARY, "worker", &world, &longer).await;
    let admin = worker.admin();
    harness::until("the worker is ready", || admin.ready()).await;
    let bare = [("EXECUTOR", valuer.url())];
    let mut other = Program::start(BINARY, "worker", &world, &bare).await;
    let admin = other.admin();
    harness::until("the other worker is ready", || admin.ready()).await;
    let id = client.submit(&document(2, 3), "").await.id();
    client.until_status(&id, "succeeded").await;
    assert!(worker.stop().await.success() && other.stop().await.success());

    let shown = fanfold(&world, &["deployment", "--json"]).await;
    let shown: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(shown["facts"]["TASK_LEASE_MS"], "45s");
    assert_eq!(shown["facts"]["TASK_TYPES"], "default");
    let config = fanfold(&world, &["config"]).await.out;
    assert!(
        config.contains("\nTASK_LEASE_MS=45s  # deployment: "),
        "{config}"
    );
    let apart = fanfold(&world, &["config", "--task-lease-ms", "46s"]).await;
    assert!(apart.out.contains("# No role starts with these settings:"));
    let nowhere = ["config", "--nats-url", "nats://127.0.0.1:9"];
    let nowhere = fanfold(&world, &nowhere).await.out;
    assert!(
        nowhere.contains("are not known: NATS is unavailable"),
        "{nowhere}"
    );

    // A tool reads the same log as the roles.
    let tools = [vec!["replay", "show", &id], vec!["requests", "stuck"]];
    for tool in tools {
        let said = fanfold(&world, &[tool, vec!["--shards", "4"]].concat()).await;
        assert!(
            !said.ok && said.err.contains("SHARDS='4' (flag), but"),
            "{}",
            said.err
        );
    }
}

#[tokio::test]
async fn a_rejected_change_of_facts_leaves_everything_unchanged() {
    let world = World::start().await;
    let none = fanfold(&world, &["deployment"]).await;
    assert!(none.err.contains("no facts are stored yet"), "{}", none.err);
    let valuer = Valuer::golden().await;
    let types = world.folder().join("types.toml");
    std::fs::write(&types, "[[task-types]]\nname = 'bonds'\n").unwrap();
    let settings = [("FANFOLD_CONFIG", types.to_str().unwrap())];
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    client.until_status(&id, "succeeded").await;
    let before = fanfold(&world, &["deployment"]).await.out;
    assert!(before.contains("TASK_TYPES=bonds,default\n"), "{before}");
    for (change, reason) in [
        ("SHARDS=2", "SHARDS cannot change: the log has data"),
        ("REPLICAS=3", "the facts stay as they were"),
        ("TASK_LEASE_MS=0", "it must be greater than zero"),
        ("HTTP_PORT=1", "expected NAME=VALUE"),
    ] {
        let said = fanfold(&world, &["deployment", "set", change, "--reason", "x"]).await;
        assert!(
            !said.ok && said.err.contains(reason),
            "{change}: {}",
            said.err
        );
    }
    assert_eq!(fanfold(&world, &["deployment"]).await.out, before);
    let said = refused(&world, "worker", &[]).await;
    assert!(
        said.contains("TASK_TYPES='default' (default), but"),
        "{said}"
    );

    let change = [
        "deployment",
        "set",
        "TASK_TYPES=default,loans",
        "LOG_MAX_AGE_SECONDS=8d",
        "--reason",
        "loans are new",
    ];
    let changed = fanfold(&world, &change).await;
    assert!(changed.ok, "{}", changed.err);
    assert!(changed.out.contains("stream REQUESTS_0"), "{}", changed.out);
    assert!(
        changed
            .out
            .contains("`nats consumer rm TASKS worker-bonds`")
    );
}

#[tokio::test]
async fn facts_that_the_broker_cannot_support_are_not_stored() {
    let world = World::own().await;
    let data = world.folder().join("data");
    let own = [
        ("NATS_URL", ""),
        ("REDIS_URL", ""),
        ("DATA_DIR", data.to_str().unwrap()),
        ("EXECUTOR", "echo"),
        ("HTTP_PORT", "0"),
        ("ADMIN_PORT", "0"),
    ];
    let too_much = [&own[..], &[("TASKS_MAX_BYTES", "9000 GiB")]].concat();
    let said = refused(&world, "up", &too_much).await;
    assert!(said.contains("TASKS"), "{said}");
    // The data folder is still usable.
    let program = Program::start(BINARY, "up", &world, &own[..4]).await;
    let answer = program.client().submit(&document(1, 1), "sync=Y").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}
