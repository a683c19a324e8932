use domain::request::Sequence;
use harness::World;
use projections::fold;

use crate::{failure, first_commits, new_id, recorded, store, success};

/// Every range of the history is delivered again, to a projector without memory of its earlier
/// writes. The views equal those of the orderly run.
#[tokio::test]
async fn redelivery_of_everything_changes_nothing() {
    let world = World::start().await;
    let store = store(&world).await;
    for commits in [success(), failure()] {
        let id = new_id();
        let events = recorded(id, &commits);
        let orderly = fold(None, events.clone()).unwrap();
        for from in 0..commits.len() {
            for to in from + 1..=commits.len() {
                let before = fold(None, first_commits(&events, from));
                let written = before.as_ref().map_or(Sequence::NONE, |view| view.seq);
                let view = fold(before, first_commits(&events, to)).unwrap();
                store.put(&view, written).await.unwrap();
            }
        }
        assert_eq!(store.get(id).await.unwrap(), Some(orderly.clone()));
        // Fold the whole history once more onto the stored view.
        let again = fold(store.get(id).await.unwrap(), events);
        assert_eq!(again, Some(orderly));
    }
}
