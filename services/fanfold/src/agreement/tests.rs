use harness::World;
use nats::Options;

use super::*;

fn settings(set: &[(&str, &str)]) -> Settings {
    let given = |name: &str| {
        let found = set.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Settings::load(None, given, |_| None).unwrap()
}

async fn connect(world: &World) -> Connection {
    let options = Options::new(world.nats_url(), "agreement");
    Connection::open(&options).await.unwrap()
}

#[tokio::test]
async fn of_many_first_starts_at_once_one_stores_its_facts_and_the_others_have_them() {
    let world = World::start().await;
    let starts = (0..8).map(|number| {
        let world = &world;
        async move {
            // Half of them set nothing, and the other half set different values.
            let lease = format!("{}s", 40 + number);
            let set = [("TASK_LEASE_MS", lease.as_str())];
            let own = settings(if number % 2 == 0 { &[] } else { &set });
            let connection = connect(world).await;
            agree(Role::Up, &own, &connection).await
        }
    });
    let agreed = futures::future::join_all(starts).await;
    let stored = connect(&world).await.facts().await.unwrap();
    assert_eq!(stored.sequence, 1, "it was stored once");
    assert_eq!(stored.facts.len(), 13);
    for one in agreed {
        match one {
            Ok(settings) => assert_eq!(settings.facts(true), stored.facts),
            Err(error) => {
                let said = error.to_string();
                assert!(
                    said.contains("but the deployment has TASK_LEASE_MS"),
                    "{said}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_log_of_an_earlier_version_gets_the_facts_of_the_first_process_that_fits() {
    let world = World::start().await;
    let connection = connect(&world).await;
    let four = settings(&[("SHARDS", "4"), ("LOG_MAX_AGE_SECONDS", "8d")]);
    topology(&four).declare(&connection).await.unwrap();
    let wrong = [("LOG_MAX_AGE_SECONDS", "8d")];
    for wrong in [&wrong[..], &[]] {
        let said = agree(Role::Api, &settings(wrong), &connection).await;
        let said = said.unwrap_err().to_string();
        assert!(said.contains("REQUESTS_0 exists with another"), "{said}");
        let stored = connection.facts().await.unwrap();
        assert!(stored.facts.is_empty(), "nothing wrong is stored");
    }
    agree(Role::Up, &four, &connection).await.unwrap();
    let bare = agree(Role::Up, &settings(&[]), &connection).await.unwrap();
    assert_eq!(bare.deployment.shards, 4);
    let tool = adopted(&settings(&[("SHARDS", "2")]), &connection).await;
    let said = tool.unwrap_err().to_string();
    assert!(said.contains("SHARDS='2' (environment), but"), "{said}");
}

#[tokio::test]
async fn a_role_without_task_types_leaves_their_names_to_one_that_has_them() {
    let world = World::start().await;
    let connection = connect(&world).await;
    agree(Role::Api, &settings(&[]), &connection).await.unwrap();
    let stored = connection.facts().await.unwrap();
    assert!(!stored.facts.contains_key(runtime::TASK_TYPES));
    agree(Role::Worker, &settings(&[]), &connection)
        .await
        .unwrap();
    let stored = connection.facts().await.unwrap();
    assert_eq!(stored.facts[runtime::TASK_TYPES], "default");
}

#[tokio::test]
async fn an_executor_is_bounded_by_the_largest_result_of_the_deployment() {
    let world = World::start().await;
    let connection = connect(&world).await;
    let larger = settings(&[("RESULT_MAX_BYTES", "20 MiB")]);
    agree(Role::Up, &larger, &connection).await.unwrap();
    let adopted = agree(Role::Worker, &settings(&[]), &connection).await;
    let adopted = adopted.unwrap();
    let default = adopted.task_types.get("default").unwrap();
    assert_eq!(default.result_max_bytes, 20 << 20);
}

#[tokio::test]
async fn only_an_up_with_a_nats_of_its_own_adds_the_task_types_of_its_file() {
    let world = World::start().await;
    let connection = connect(&world).await;
    let file = world.folder().join("types.toml");
    std::fs::write(&file, "[[task-types]]\nname = 'bond'\n").unwrap();
    let with_bond = |nats: &str| {
        let given = |name: &str| (name == "NATS_URL").then(|| nats.to_owned());
        Settings::load(Some(&file), given, |_| None).unwrap()
    };
    let types = async || connection.facts().await.unwrap().facts[runtime::TASK_TYPES].clone();
    agree(Role::Up, &settings(&[]), &connection).await.unwrap();

    let elsewhere = with_bond(world.nats_url());
    for role in [Role::Up, Role::Worker, Role::Api] {
        let refused = agree(role, &elsewhere, &connection).await.unwrap_err();
        assert!(refused.to_string().contains("TASK_TYPES='bond,default'"));
    }
    assert_eq!(types().await, "default");
    agree(Role::Up, &with_bond(""), &connection).await.unwrap();
    assert_eq!(types().await, "bond,default");
    // A type that is gone may still have tasks, so its removal is for `fanfold deployment set`.
    let fewer = agree(Role::Up, &settings(&[]), &connection).await;
    assert!(
        fewer
            .unwrap_err()
            .to_string()
            .contains("TASK_TYPES='default'")
    );
}
