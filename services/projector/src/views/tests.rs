#![allow(clippy::unwrap_used)]

use super::*;
use crate::scene::Scene;

fn views(scene: &Scene) -> Views {
    let (connection, log) = (scene.connection.clone(), scene.log.clone());
    Views::new(connection, log, scene.store.clone())
}

async fn stored(scene: &Scene, request: RequestId) -> Option<View> {
    scene.store.get(request).await.unwrap()
}

#[tokio::test]
async fn a_view_takes_a_commit_only_where_it_has_the_one_before_and_is_else_folded_from_the_log() {
    let scene = Scene::start().await;
    let commits = scene.request(4).await;
    let views = views(&scene);
    views.take_in(0, &commits[..2]).await.unwrap();
    // Another instance was the active one for the third.
    views.take_in(0, &commits[3..]).await.unwrap();
    let view = stored(&scene, commits[0].request).await.unwrap();
    assert_eq!((view.seq, view.attempts), (commits[3].sequence, 2));
    // What it has already changes nothing.
    views.take_in(0, &commits[..3]).await.unwrap();
    let again = stored(&scene, commits[0].request).await.unwrap();
    assert_eq!(again, view);
}

#[tokio::test]
async fn a_view_is_not_written_from_a_log_that_was_read_too_short() {
    let scene = Scene::start().await;
    let commits = scene.request(2).await;
    let other = scene.request(1).await;
    // A server that lags gives the commits up to an earlier one than the log has.
    let late = Commit {
        previous: other[0].sequence,
        sequence: other[0].sequence.next(),
        ..commits[1].clone()
    };
    let views = views(&scene);
    let error = views.take_in(0, &[late]).await.unwrap_err();
    assert!(matches!(error, Error::Short { .. }), "{error}");
    assert!(error.is_transient() && !error.is_of_its_commit());
    assert_eq!(stored(&scene, commits[0].request).await, None);
    // It is there when the next attempt reads.
    views.take_in(0, &commits[1..]).await.unwrap();
    let view = stored(&scene, commits[0].request).await.unwrap();
    assert_eq!(view.seq, commits[1].sequence);
}

#[tokio::test]
async fn a_request_whose_beginning_age_has_removed_gets_no_view_and_holds_up_nobody() {
    let scene = Scene::start().await;
    let old = scene.request(2).await;
    scene.age_removes_all().await;
    let new = scene.request(1).await;
    let both = [old[1].clone(), new[0].clone()];
    views(&scene).take_in(0, &both).await.unwrap();
    assert_eq!(stored(&scene, old[0].request).await, None);
    assert!(stored(&scene, new[0].request).await.is_some());
}
