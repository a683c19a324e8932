use std::path::Path;

use super::scene::Scene;

async fn exported(scene: &Scene, args: &[&str]) -> String {
    let file = scene.world.folder().join("bundle.fanfold");
    let file = file.to_str().unwrap().to_owned();
    let args = [&["export", "-o", &file], args].concat();
    scene.replay(&args).await.expect(0);
    file
}

#[tokio::test]
async fn a_bundle_is_decided_again_without_any_server_and_a_changed_rule_makes_it_differ() {
    let mut scene = Scene::start().await;
    let failed = scene.request(&["refuse", "late"], "failed").await;
    scene.request(&["ok", "ok"], "succeeded").await;
    scene.redriven().await;
    scene.cancelled().await;
    let broken = super::scene::document(&["ok"]).replace("market[1]", "market[7]");
    let client = scene.program.client();
    let broken = client.submit(&broken, "").await.id();
    client.until_status(&broken, "failed").await;
    let file = exported(&scene, &["--since", "1h"]).await;
    let masked = scene.world.folder().join("masked.fanfold");
    let masked = masked.to_str().unwrap();
    let redact = ["export", "-o", masked, "--since", "1h", "--redact"];
    scene.replay(&redact).await.expect(0);
    scene.program.stop().await;

    let nowhere = [
        ("NATS_URL", "nats://127.0.0.1:1"),
        ("REDIS_URL", "redis://127.0.0.1:1"),
    ];
    let run = ["run", &file];
    let told = scene.replay_with(&run, &nowhere).await.expect(0);
    assert!(told.contains("5 requests"), "{told}");
    assert!(told.contains("the same decisions"), "{told}");
    let told = scene
        .replay_with(&["run", masked], &nowhere)
        .await
        .expect(0);
    assert!(told.contains("the same decisions"), "{told}");
    let shown = ["show", &failed, "--from", masked];
    let shown = scene.replay_with(&shown, &nowhere).await.expect(0);
    assert!(shown.contains("http-422"), "{shown}");

    let changed = [nowhere[0], nowhere[1], ("FAIL_FAST", "true")];
    let json = ["run", &file, "--json"];
    let differs = scene.replay_with(&json, &changed).await;
    assert_eq!(differs.code, 2, "{}", differs.out);
    let divergence = &differs.lines()[0]["divergence"];
    assert!(divergence["decided"]["failed"].is_object(), "{divergence}");
}

#[tokio::test]
async fn a_tampered_bundle_differs_at_the_first_event() {
    let scene = Scene::start().await;
    let id = scene.request(&["ok", "boom"], "failed").await;
    let file = exported(&scene, &[&id]).await;
    let cases = scene.world.folder().join("cases");
    let cases = cases.to_str().unwrap();
    let test = ["test", &file, "--name", "no-market", "--cases", cases];
    scene.replay(&test).await.expect(0);
    let case = Path::new(cases).join("no-market.jsonl");
    let case = case.to_str().unwrap();
    scene.replay(&["run", case]).await.expect(0);

    let plain = std::fs::read_to_string(case).unwrap();
    let bent = plain.replacen(
        "1 of 2 tasks of group 0 failed",
        "2 of 2 tasks of group 0 failed",
        1,
    );
    std::fs::write(case, bent).unwrap();
    let told = scene.replay(&["run", case]).await.expect(2);
    assert!(told.contains("its hash differs"), "{told}");
    assert!(told.contains("1 of 2 tasks of group 0 failed"), "{told}");
    scene
        .replay(&["test", case, "--name", "bent", "--cases", cases])
        .await
        .expect(2);
}

#[tokio::test]
async fn executed_again_the_results_are_compared() {
    let scene = Scene::start().await;
    let id = scene.request(&["ok", "ok"], "succeeded").await;
    let file = exported(&scene, &[&id]).await;
    let run = ["run", &file, "--execute"];
    let same = [("EXECUTOR", scene.valuer.url())];
    let told = scene.replay_with(&run, &same).await.expect(0);
    assert!(told.contains("3 tasks executed again"), "{told}");
    let told = scene
        .replay_with(&run, &[("EXECUTOR", "echo")])
        .await
        .expect(2);
    assert!(told.contains("differs from the recorded one"), "{told}");
}
