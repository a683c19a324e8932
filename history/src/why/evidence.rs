//! The evidence of the broker about a request at this moment.

use domain::request::{Event, GroupIndex};
use jiff::Timestamp;
use nats::{LogReader, Position, Queued};

use super::{Evidence, Explanation, SHOWN, Statement};
use crate::Error;
use crate::live::Live;
use crate::story::Story;
use crate::usual::{self, Usual};

/// The answers of the broker about a request.
pub struct Broker {
    pub orchestrator: Option<Position>,
    pub reports: Option<Position>,
    pub queued: Vec<Queued>,
    pub waiting_reports: Vec<String>,
    pub workers: Vec<(String, Option<Position>)>,
    pub usual: Option<Usual>,
}

impl Broker {
    pub async fn look(live: &Live, task_types: &[String], story: &Story) -> Result<Self, Error> {
        let shard = story.id.partition().shard(live.log.shards());
        let connection = &live.connection;
        let queued = connection.queued(story.id).await.unwrap_or_default();
        let mut workers = Vec::new();
        for name in task_types {
            if queued.iter().any(|queued| queued.task_type == *name) {
                let position = connection.task_position(name).await.ok();
                workers.push((name.clone(), position));
            }
        }
        let group = story
            .view
            .current_group
            .unwrap_or(GroupIndex::FIRST)
            .index();
        let name = story
            .view
            .groups
            .get(group)
            .and_then(|group| group.name.as_deref());
        Ok(Self {
            orchestrator: connection
                .log_position(shard, LogReader::Orchestrator)
                .await
                .ok(),
            reports: connection.report_position(shard).await.ok(),
            waiting_reports: connection.reports_of(story.id).await.unwrap_or_default(),
            usual: usual::of_group(live, story.id, name).await?,
            queued,
            workers,
        })
    }

    /// Adds the statements that follow from the broker's answers, and the evidence for them.
    pub fn add(self, story: &Story, now: Timestamp, why: &mut Explanation) {
        let running = story.state.request().and_then(|request| request.running());
        if let Some(group) = running {
            self.of_tasks(group, story, now, why);
        }
        if !story.view.status.is_terminal() {
            self.of_roles(story, why);
        }
        self.of_speed(story, now, why);
        let held: Vec<bool> = self
            .queued
            .iter()
            .map(|queued| self.is_held(queued))
            .collect();
        let queued = self.queued.into_iter().zip(held).take(SHOWN);
        why.evidence
            .extend(queued.map(|(queued, held)| Evidence::Queued(queued, held)));
        let reports = self.waiting_reports.into_iter().take(SHOWN);
        why.evidence.extend(reports.map(Evidence::Report));
        let workers = self
            .workers
            .into_iter()
            .filter_map(|(_, position)| position);
        let positions = self
            .orchestrator
            .into_iter()
            .chain(self.reports)
            .chain(workers);
        why.evidence.extend(positions.map(Evidence::Consumer));
    }

    /// Whether a task was delivered to a worker.
    pub fn is_held(&self, queued: &Queued) -> bool {
        let mut workers = self.workers.iter();
        workers.any(|(name, position)| {
            let delivered = position.as_ref().map_or(0, |position| position.delivered);
            *name == queued.task_type && delivered >= queued.sequence
        })
    }

    /// Adds statements about the orchestrator: whether it processes the request.
    fn of_roles(&self, story: &Story, why: &mut Explanation) {
        let Some(position) = &self.orchestrator else {
            return;
        };
        if position.delivered >= story.sequence().get() {
            return;
        }
        if position.waiting_pulls == 0 {
            why.say(Statement::NoOrchestratorAsks);
        } else if position.pending > 0 {
            why.say(Statement::OrchestratorBehind(position.pending));
        }
    }

    fn of_speed(&self, story: &Story, now: Timestamp, why: &mut Explanation) {
        let Some(usual) = self.usual else {
            why.say(Statement::TooFewToCompare);
            return;
        };
        let own = story.events().filter_map(|recorded| match recorded.event {
            Event::TaskSucceeded(e) => Some(e.duration_ms),
            _ => None,
        });
        let slowest_ms = own.max().unwrap_or(0);
        let waits = if story.view.status.is_terminal() {
            0
        } else {
            let waited = now.duration_since(story.last_at()).as_millis();
            u64::try_from(waited).unwrap_or(0)
        };
        let slow = slowest_ms.max(waits) > usual.p95_ms.saturating_mul(2);
        why.say(Statement::Speed { slow, usual });
        let tasks = usual.tasks;
        why.evidence.push(Evidence::Usual { tasks, slowest_ms });
    }
}
