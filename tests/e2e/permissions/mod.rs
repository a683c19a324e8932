//! Roles with users of their own at NATS and Redis, which may do what `fanfold topology permissions`
//! prints and nothing else.

mod scene;
mod taken_away;
mod work;

use scene::Scene;

#[tokio::test]
async fn every_role_does_all_its_work_with_its_own_permissions_and_none_is_denied() {
    let scene = Scene::start().await;
    work::everything(&scene).await;
    let denied = scene.denials().await;
    assert!(denied.is_empty(), "{}", denied.join("\n"));
    for (role, program) in &scene.roles {
        let ready = program.admin().get("/readyz").await.json();
        assert!(ready["denied"].is_null(), "{role}: {ready}");
    }
}
