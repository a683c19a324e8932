use Actor::{Api, Operator, Orchestrator, Topology as Changes, Worker};

use super::*;
use crate::permissions::pattern::covers;

fn permissions(actor: Actor) -> Permissions {
    let topology = Topology {
        shards: 2,
        task_types: vec!["bond".into(), "swap".into()],
        ..Topology::default()
    };
    let access = Access {
        domain: Some("hub".into()),
        ..Access::default()
    };
    Permissions::of(actor, &topology, &access)
}

fn may_publish(actor: Actor, subject: &str) -> bool {
    let all = permissions(actor).publish;
    all.iter().any(|allowed| covers(allowed, subject))
}

#[test]
fn every_shard_and_every_task_type_has_its_subjects_and_the_domain_its_prefix() {
    let worker = permissions(Worker);
    for subject in [
        "$JS.hub.API.CONSUMER.MSG.NEXT.TASKS.worker-bond",
        "$JS.hub.API.CONSUMER.MSG.NEXT.TASKS.worker-swap",
        "$JS.hub.API.STREAM.INFO.REQUESTS_1",
        "dead-letters.swap.>",
    ] {
        assert!(worker.publish.contains(subject), "{subject}");
    }
    assert_eq!(
        worker.subscribe.iter().collect::<Vec<_>>(),
        ["_INBOX_worker.>", "stop.*"]
    );
    let all = Actor::ALL.map(permissions);
    let subjects = all.iter().flat_map(|one| one.publish.iter());
    for subject in subjects {
        assert!(!subject.contains(['{', '}']), "{subject}");
        assert!(!subject.starts_with("$JS.API"), "{subject}");
    }
}

#[test]
fn no_role_hears_the_answers_of_another() {
    for one in Actor::ALL {
        let heard = permissions(one).subscribe;
        for other in Actor::ALL.iter().filter(|other| **other != one) {
            let inbox = format!("_INBOX_{}.x", other.name());
            assert!(
                !heard.iter().any(|allowed| covers(allowed, &inbox)),
                "{one:?}"
            );
        }
    }
}

#[test]
fn only_the_topology_makes_the_log_and_only_some_write_it() {
    for actor in Actor::ALL {
        let makes = may_publish(actor, "$JS.hub.API.STREAM.CREATE.REQUESTS_0");
        assert_eq!(makes, actor == Changes, "{actor:?}");
        let writes = may_publish(actor, "requests.1.x");
        assert_eq!(writes, [Api, Orchestrator, Operator].contains(&actor));
        // Nobody may remove commits.
        assert!(!may_publish(actor, "$JS.hub.API.STREAM.PURGE.REQUESTS_0"));
        assert!(!may_publish(actor, "$JS.hub.API.STREAM.DELETE.REQUESTS_0"));
    }
}

#[test]
fn every_line_of_the_table_is_read_and_names_only_processes_that_there_are() {
    let written = TABLE
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    assert_eq!(lines().count(), written.count());
    let known = |who: &str| Actor::ALL.iter().any(|actor| actor.name() == who);
    for line in lines() {
        for who in line.who.split(' ') {
            assert!(
                ["all", "roles"].contains(&who) || known(who),
                "{}: {who}",
                line.subject
            );
        }
    }
}
