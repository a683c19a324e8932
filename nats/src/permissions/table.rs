//! The table of permissions, which is `table.txt`. A line says what is permitted, at which subject, and
//! to whom.

use super::Permissions;
use crate::topology::{
    DEAD_LETTERS, DEPLOYMENT, LIFECYCLE, OPERATIONS, PAYLOADS, QUARANTINE, REPORTS, TASKS,
};
use crate::topology::{report_consumer_name, task_consumer_name};
use crate::{Access, LogReader, Topology};

/// A process that has a user of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// The role `api`.
    Api,
    /// The role `orchestrator`.
    Orchestrator,
    /// The role `worker`.
    Worker,
    /// The role `projector`.
    Projector,
    /// The role `webhooks`.
    Webhooks,
    /// The role `tracer`.
    Tracer,
    /// The commands of people, except those of [`Actor::Topology`].
    Operator,
    /// The commands that create and change streams, consumers and facts.
    Topology,
}

impl Actor {
    /// Every actor.
    pub const ALL: [Self; 8] = [
        Self::Api,
        Self::Orchestrator,
        Self::Worker,
        Self::Projector,
        Self::Webhooks,
        Self::Tracer,
        Self::Operator,
        Self::Topology,
    ];

    /// The name of the actor, as in the command line and in its inbox.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Orchestrator => "orchestrator",
            Self::Worker => "worker",
            Self::Projector => "projector",
            Self::Webhooks => "webhooks",
            Self::Tracer => "tracer",
            Self::Operator => "operator",
            Self::Topology => "topology",
        }
    }
}

/// The lines of the table.
const TABLE: &str = include_str!("table.txt");

/// A line of the table.
struct Line {
    subscribes: bool,
    subject: &'static str,
    who: &'static str,
}

impl Line {
    /// Reads a line; `None` for a remark.
    fn read(text: &'static str) -> Option<Self> {
        let (may, rest) = text.split_once(' ')?;
        let (subject, who) = rest.split_once(": ")?;
        let line = |subscribes| Self {
            subscribes,
            subject,
            who,
        };
        match may {
            "publish" => Some(line(false)),
            "subscribe" => Some(line(true)),
            _ => None,
        }
    }

    fn is_for(&self, actor: Actor) -> bool {
        let is_role = !matches!(actor, Actor::Operator | Actor::Topology);
        self.who.split(' ').any(|who| match who {
            "all" => true,
            "roles" => is_role,
            name => name == actor.name(),
        })
    }
}

fn lines() -> impl Iterator<Item = Line> {
    TABLE.lines().filter_map(Line::read)
}

/// What the placeholders stand for.
pub(super) struct Names {
    api: String,
    inbox: Option<String>,
    shards: Vec<String>,
    types: Vec<String>,
    logs: Vec<String>,
    streams: Vec<String>,
    consumers: Vec<String>,
}

impl Names {
    pub(super) fn new(topology: &Topology, access: &Access) -> Self {
        let logs: Vec<String> = (0..topology.shards).map(Topology::log_stream).collect();
        let payloads = format!("OBJ_{PAYLOADS}");
        let others = [
            TASKS,
            REPORTS,
            LIFECYCLE,
            DEAD_LETTERS,
            OPERATIONS,
            QUARANTINE,
            DEPLOYMENT,
            &payloads,
        ];
        let streams = logs.iter().map(String::as_str).chain(others);
        let of_log = logs
            .iter()
            .flat_map(|log| LogReader::ALL.map(|reader| format!("{log}.{}", reader.name())));
        let of_reports =
            (0..topology.shards).map(|shard| format!("{REPORTS}.{}", report_consumer_name(shard)));
        let types = topology.task_types.iter();
        let of_tasks = types.map(|name| format!("{TASKS}.{}", task_consumer_name(name)));
        Self {
            api: access.api(),
            inbox: access.inbox_prefix.clone(),
            shards: (0..topology.shards)
                .map(|shard| shard.to_string())
                .collect(),
            types: topology.task_types.clone(),
            streams: streams.map(str::to_owned).collect(),
            consumers: of_log.chain(of_reports).chain(of_tasks).collect(),
            logs,
        }
    }

    /// The subjects of a line for an actor.
    fn subjects(&self, line: &str, actor: Actor) -> Vec<String> {
        let inbox = || format!("_INBOX_{}", actor.name());
        let inbox = self.inbox.clone().unwrap_or_else(inbox);
        let line = line.replace("{api}", &self.api).replace("{inbox}", &inbox);
        for (placeholder, all) in [
            ("{log}", &self.logs),
            ("{stream}", &self.streams),
            ("{consumer}", &self.consumers),
            ("{type}", &self.types),
            ("{shard}", &self.shards),
        ] {
            if line.contains(placeholder) {
                let each = all.iter().map(|one| line.replace(placeholder, one));
                return each.collect();
            }
        }
        vec![line]
    }
}

pub(super) fn of(actor: Actor, names: &Names) -> Permissions {
    let mut all = Permissions::default();
    for line in lines().filter(|line| line.is_for(actor)) {
        let subjects = names.subjects(line.subject, actor);
        if line.subscribes {
            all.subscribe.extend(subjects);
        } else {
            all.publish.extend(subjects);
        }
    }
    all
}

#[cfg(test)]
mod tests;
