use domain::request::{GroupIndex, Report, Run, TaskId, TaskNumber};
use harness::World;
use jiff::{SignedDuration, Timestamp};
use nats::{Deliveries, StoredReport, Timers, Topology};

use crate::{connect, new_id};

fn soon() -> Timestamp {
    Timestamp::now() + SignedDuration::from_millis(700)
}

#[tokio::test]
async fn a_timer_fires_into_the_reports_once() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let timers = Timers::new(connection.clone());
    let (id, deadline) = (new_id(), soon());
    timers
        .set_group(id, (GroupIndex::new(2), Run::FIRST), deadline, deadline)
        .await
        .unwrap();
    let mut reports = Deliveries::of_reports(&connection, 0).await.unwrap();
    let fired = reports.next().await.unwrap().into_iter().next().unwrap();
    let fired = StoredReport::parse(fired).ok().unwrap();
    assert_eq!(fired.request, id);
    assert_eq!(
        fired.reports,
        [Report::GroupTimedOut {
            group: GroupIndex::new(2),
            deadline
        }]
    );
    fired.delivery.ack_sync().await.unwrap();
    let jetstream = world.jetstream().await;
    harness::until("nothing is left of it", || async {
        let mut stream = jetstream.get_stream("REPORTS").await.unwrap();
        stream.info().await.unwrap().state.messages == 0
    })
    .await;
}

#[tokio::test]
async fn a_timer_that_is_cleared_does_not_fire() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let timers = Timers::new(connection.clone());
    let (cleared, kept) = (new_id(), new_id());
    timers
        .set_group(cleared, (GroupIndex::FIRST, Run::FIRST), soon(), soon())
        .await
        .unwrap();
    timers.set_request(kept, Run::FIRST, soon()).await.unwrap();
    timers
        .clear_group(cleared, (GroupIndex::FIRST, Run::FIRST), None)
        .await
        .unwrap();
    let mut reports = Deliveries::of_reports(&connection, 0).await.unwrap();
    let fired = reports.next().await.unwrap();
    let fired: Vec<_> = fired
        .into_iter()
        .map(|d| StoredReport::parse(d).ok().unwrap())
        .collect();
    assert_eq!(fired.len(), 1);
    assert_eq!(fired[0].request, kept);
    assert_eq!(
        fired[0].reports,
        [Report::RequestTimedOut { run: Run::FIRST }]
    );
}

#[tokio::test]
async fn a_timer_that_is_set_late_for_an_earlier_run_replaces_no_timer_of_a_later_one() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let timers = Timers::new(connection.clone());
    let (id, later, group) = (new_id(), Run::new(1), GroupIndex::FIRST);
    let task = TaskId {
        request: id,
        group,
        task: TaskNumber::FIRST,
    };
    for run in [later, Run::FIRST] {
        timers.set_request(id, run, soon()).await.unwrap();
        let due = soon();
        timers.set_group(id, (group, run), due, due).await.unwrap();
        timers.set_task(task, run, due).await.unwrap();
    }
    let content = connection.queue_content(id).await.unwrap();
    assert_eq!(content.messages, 6);
    assert_eq!(content.request_timers, [Run::FIRST, later].into());
    assert_eq!(
        content.group_timers,
        [(group, Run::FIRST), (group, later)].into()
    );
    timers
        .clear_group(id, (group, Run::FIRST), None)
        .await
        .unwrap();
    timers.clear_request(id, Run::FIRST, None).await.unwrap();
    let content = connection.queue_content(id).await.unwrap();
    assert_eq!(content.request_timers, [later].into());
    assert_eq!(content.group_timers, [(group, later)].into());
}
