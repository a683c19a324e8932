//! The form in which events are stored. It may only grow.

use domain::bulk::{Became, Event, Paused, Plan};
use domain::request::Run;
use serde_json::json;

use crate::words::*;

#[test]
fn every_event_is_stored_in_the_form_that_later_builds_must_read() {
    let plan = Plan {
        canary: 5,
        per_second: 50,
        stop_after_failures: Some(20),
    };
    let actor = json!({"by": "anna"});
    for (event, stored) in [
        (
            drafted(2),
            json!({"drafted": {
                "tenant": "default", "action": "redrive", "selected": 2,
                "selection": {"inline": "{\"items\":[]}"}, "filter": "{}",
                "outlook": {"act": 2}, "by": "anna", "reason": "the pricer is back",
            }}),
        ),
        (
            started(plan),
            json!({"started": {
                "plan": {"canary": 5, "perSecond": 50, "stopAfterFailures": 20}, "by": "anna",
            }}),
        ),
        (asking([0, 1]), json!({"asking": {"items": [0, 1]}})),
        (
            told([
                (0, Became::Running(Run::FIRST.next())),
                (1, Became::Done),
                (2, Became::Skipped("gone".into())),
            ]),
            json!({"told": {"outcomes": [
                {"item": 0, "became": {"running": 1}},
                {"item": 1, "became": "done"},
                {"item": 2, "became": {"skipped": "gone"}},
            ]}}),
        ),
        (paused(), json!({"paused": {"by": actor}})),
        (
            Event::Paused(Paused::Canary(3)),
            json!({"paused": {"canary": 3}}),
        ),
        (resumed(), json!({"resumed": actor})),
        (
            cancelled(),
            json!({"cancelled": {"by": "anna", "reason": "enough"}}),
        ),
        (stopped(4), json!({"stopped": {"failed": 4}})),
        (Event::Completed, json!("completed")),
    ] {
        assert_eq!(serde_json::to_value(&event).unwrap(), stored);
        assert_eq!(serde_json::from_value::<Event>(stored).unwrap(), event);
    }
}
