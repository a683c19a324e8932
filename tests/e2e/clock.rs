//! A clock that is wrong is said, and nothing stops for it.

use harness::{Valuer, World, until};

use crate::{document, up};

#[tokio::test]
async fn a_clock_that_is_off_by_more_than_a_second_is_said_in_the_log_and_in_every_readyz() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    for (offset, side) in [("-4000", "behind"), ("4000", "ahead of")] {
        let settings = [("FANFOLD_TEST_CLOCK_OFFSET_MS", offset)];
        let program = up(&world, &valuer, &settings).await;
        let said = format!("{side} the broker's");
        for health in [program.client(), program.admin()] {
            until("the clock is named", || async {
                let ready = health.get("/readyz").await;
                assert!(ready.status.is_success(), "{}", ready.body);
                let clock = ready.json()["dependencies"]["clock"].clone();
                clock.as_str().is_some_and(|clock| clock.ends_with(&said))
            })
            .await;
        }
        assert!(program.log().contains(&said), "{}", program.log());
        let done = program.client().submit(&document(1, 1), "sync=Y").await;
        assert!(done.status.is_success(), "{}", done.body);
    }
}
