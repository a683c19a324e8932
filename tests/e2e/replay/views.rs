//! Views that differ from the fold of the log are found and rebuilt.

use harness::World;
use redis::{AsyncCommands as _, Cmd};

use super::scene::{Scene, document};

/// A failed request and a succeeded one, with their keys.
struct Views {
    scene: Scene,
    failed: String,
    fine: String,
    idempotency: String,
}

fn cached(id: &str, what: &str) -> String {
    format!("cache:request:{id}:{what}")
}

impl Views {
    async fn start() -> Self {
        let scene = Scene::in_world(World::start().await).await;
        let failed = scene.request(&["ok", "boom"], "failed").await;
        let client = scene.program.client();
        let call = client
            .call(reqwest::Method::POST, "/valuation")
            .header("content-type", "application/xml")
            .header("x-desk", "rates")
            .header("idempotency-key", "once")
            .body(document(&["ok"]));
        let fine = client.send(call).await.id();
        client.until_status(&fine, "succeeded").await;
        scene.replay(&["verify", "--all"]).await.expect(0);
        let mut redis = scene.world.redis().await;
        let keys: Vec<String> = redis.keys("request:idempotency:*").await.unwrap();
        let [idempotency] = keys.try_into().unwrap();
        Self {
            scene,
            failed,
            fine,
            idempotency,
        }
    }

    fn request(&self) -> String {
        format!("state:request:{}", self.fine)
    }

    fn groups(&self) -> String {
        format!("{}:groups", self.request())
    }

    /// Every way in which a key can be wrong, kind by kind.
    fn corruptions(&self) -> Vec<(String, Cmd)> {
        let response = cached(&self.fine, "response");
        let metadata = cached(&self.fine, "metadata");
        let failure = cached(&self.failed, "failure");
        let none = cached(&self.fine, "failure");
        let unwanted = cached(&self.failed, "response");
        let (request, groups) = (self.request(), self.groups());
        let other = r#"[1,7,7,0,"c",1,1,null]"#;
        let hset = |key: &String, field, value| (key.clone(), Cmd::hset(key, field, value));
        let set = |key: &String, value| (key.clone(), Cmd::set(key, value));
        let del = |key: &String| (key.clone(), Cmd::del(key));
        vec![
            hset(&request, "status", "running"),
            hset(&request, "seq", "999999"),
            hset(&request, "surplus", "1"),
            (request.clone(), Cmd::hdel(&request, "completedAt")),
            (request.clone(), Cmd::persist(&request)),
            del(&request),
            hset(&groups, "0", other),
            hset(&groups, "1", "[999999]"),
            hset(&groups, "seq", "999999"),
            hset(&groups, "2", other),
            (groups.clone(), Cmd::hdel(&groups, "1")),
            del(&groups),
            set(&response, "<other/>"),
            del(&response),
            set(&unwanted, "<r/>"),
            set(&none, "{}"),
            set(&failure, "{\"seq\":1}"),
            del(&failure),
            hset(&metadata, "x-desk", "fx"),
            hset(&metadata, "x-surplus", "1"),
            del(&metadata),
            set(&self.idempotency, self.failed.as_str()),
            del(&self.idempotency),
        ]
    }

    /// The keys in the findings of `verify`, each once.
    async fn found(&self) -> Vec<String> {
        let ran = self.scene.replay(&["verify", "--all", "--json"]).await;
        let mut lines = ran.lines();
        let counts = lines.pop().unwrap();
        assert_eq!(counts["findings"], lines.len());
        assert_eq!(ran.code, if lines.is_empty() { 0 } else { 2 });
        let key = |line: &serde_json::Value| line["key"].as_str().unwrap().to_owned();
        let mut keys: Vec<String> = lines.iter().map(key).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    async fn rebuild(&self, args: &[&str]) {
        let all = [&["rebuild", "--reason", "a test", "--yes"], args].concat();
        self.scene.replay(&all).await.expect(0);
    }
}

#[tokio::test]
async fn each_kind_of_corruption_of_a_view_is_found_and_a_rebuild_repairs_it() {
    let views = Views::start().await;
    let redis = &mut views.scene.world.redis().await;
    for (key, corruption) in views.corruptions() {
        let () = corruption.exec_async(redis).await.unwrap();
        assert_eq!(views.found().await, [key]);
        views.rebuild(&[]).await;
    }
    assert!(views.found().await.is_empty());
    let left: Vec<String> = redis.keys("rebuild:*").await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_rebuild_of_one_view_repairs_that_one_and_leaves_the_others_as_they_are() {
    let views = Views::start().await;
    let redis = &mut views.scene.world.redis().await;
    let mut broken = vec![
        ("request", views.request()),
        ("groups", views.groups()),
        ("failure", cached(&views.failed, "failure")),
        ("response", cached(&views.fine, "response")),
        ("metadata", cached(&views.fine, "metadata")),
        ("idempotency", views.idempotency.clone()),
    ];
    for (_, key) in &broken {
        let () = redis.del(key).await.unwrap();
    }
    while let Some((name, _)) = broken.pop() {
        views.rebuild(&["--view", name]).await;
        let mut left: Vec<String> = broken.iter().map(|(_, key)| key.clone()).collect();
        left.sort();
        assert_eq!(views.found().await, left, "{name}");
    }
    let unknown = ["rebuild", "--view", "nothing", "--reason", "x", "--yes"];
    views.scene.replay(&unknown).await.expect(1);
}
