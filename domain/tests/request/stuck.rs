use std::time::Duration;

use domain::request::{Event, GroupIndex, Progress, Recorded, RequestId, Sequence};
use uuid::Uuid;

use crate::words::*;

const SLACK: Duration = Duration::from_mins(1);

fn after(events: &[Event]) -> Progress {
    let request = RequestId::new(Uuid::from_u128(7));
    let progress = (1..).zip(events).fold(None, |before, (sequence, event)| {
        let recorded = Recorded {
            request,
            sequence: Sequence::new(sequence),
            index: 0,
            at: at(0),
            tenant: domain::access::Tenant::default(),
            traceparent: None,
            event: event.clone(),
        };
        Progress::after(before, &recorded)
    });
    progress.expect("it has not ended")
}

#[test]
fn a_group_is_stuck_a_while_after_its_deadline() {
    let running = after(&[received(), started(0, 2)]);
    assert_eq!(running.stuck(at(900), SLACK, Sequence::new(2)), None);
    let stuck = running
        .stuck(at(961), SLACK, Sequence::new(2))
        .expect("it is late");
    assert_eq!(stuck.expected_by, at(960));
    assert_eq!(stuck.group, Some(GroupIndex::FIRST));
}

#[test]
fn a_commit_that_no_orchestrator_received_is_stuck_before_any_deadline() {
    let running = after(&[received(), started(0, 2)]);
    assert_eq!(running.stuck(at(60), SLACK, Sequence::new(1)), None);
    assert!(running.stuck(at(61), SLACK, Sequence::new(1)).is_some());
}
