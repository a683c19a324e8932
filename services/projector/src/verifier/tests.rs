#![allow(clippy::unwrap_used)]

use super::*;
use crate::scene::Scene;
use crate::views::Views;

fn verifier(scene: &Scene) -> Verifier {
    let (connection, log) = (scene.connection.clone(), scene.log.clone());
    let counted = metrics::Metrics::default().projector.verifier;
    Verifier::new(0, connection, log, scene.store.clone(), 0, counted)
}

#[tokio::test]
async fn the_view_of_a_request_that_has_left_the_log_ends_and_that_of_another_stays() {
    let scene = Scene::start().await;
    let old = scene.request(2).await;
    let (connection, log) = (scene.connection.clone(), scene.log.clone());
    let views = Views::new(connection, log, scene.store.clone());
    views.take_in(0, &old).await.unwrap();
    let mut verifier = verifier(&scene);
    let there = async |request| {
        let store = &scene.store;
        let view = store.get(request).await.unwrap().is_some();
        (
            view,
            store
                .is_indexed(&Tenant::default(), 0, request)
                .await
                .unwrap(),
        )
    };
    verifier.look(false, true).await.unwrap();
    assert_eq!(there(old[0].request).await, (true, true));
    scene.age_removes_all().await;
    let new = scene.request(1).await;
    views.take_in(0, &new).await.unwrap();
    verifier.look(false, true).await.unwrap();
    assert_eq!(there(old[0].request).await, (false, false));
    assert_eq!(there(new[0].request).await, (true, true));
}
