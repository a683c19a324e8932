//! What the broker says of a request now.

use domain::request::Event;
use jiff::Timestamp;
use nats::{LogReader, Position, Queued};
use runtime::Settings;

use super::SHOWN;
use super::answer::Answer;
use crate::Error;
use crate::log::Live;
use crate::output::{clock, count, millis};
use crate::story::Story;
use crate::usual::{self, Usual};

/// What the broker says of the request now.
pub struct Evidence {
    pub orchestrator: Option<Position>,
    pub reports: Option<Position>,
    pub queued: Vec<Queued>,
    pub waiting_reports: Vec<String>,
    pub workers: Vec<(String, Option<Position>)>,
    pub usual: Option<Usual>,
}

impl Evidence {
    pub async fn look(live: &Live, settings: &Settings, story: &Story) -> Result<Self, Error> {
        let shard = story.id.partition().shard(live.log.shards());
        let connection = &live.connection;
        let queued = connection.queued(story.id).await.unwrap_or_default();
        let mut workers = Vec::new();
        for name in settings.task_types.names() {
            if queued.iter().any(|queued| queued.task_type == name) {
                let position = connection.task_position(&name).await.ok();
                workers.push((name, position));
            }
        }
        let group = story.view.current_group.unwrap_or(0) as usize;
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

    pub fn add(&self, story: &Story, answer: &mut Answer) {
        let running = story.state.request().and_then(|request| request.running());
        if let Some(group) = running {
            self.of_tasks(group, story, answer);
        }
        if !story.view.status.is_terminal() {
            self.of_roles(story, answer);
        }
        self.of_speed(story, answer);
        for queued in self.queued.iter().take(SHOWN) {
            let held = if self.is_held(queued) {
                "delivered"
            } else {
                "waiting"
            };
            answer.evidence.push(format!(
                "TASKS {}: task {}.{} of type {} {held}, there since {}",
                queued.sequence,
                queued.task.group,
                queued.task.task,
                queued.task_type,
                clock(queued.at)
            ));
        }
        for subject in self.waiting_reports.iter().take(SHOWN) {
            answer.evidence.push(format!("REPORTS: {subject}"));
        }
        let workers = self
            .workers
            .iter()
            .filter_map(|(_, position)| position.as_ref());
        for position in self.orchestrator.iter().chain(&self.reports).chain(workers) {
            answer.evidence.push(format!(
                "consumer {}: {} not delivered, {} not acked, {} delivered again, {} asking",
                position.consumer,
                position.pending,
                position.unacked,
                position.redelivered,
                position.waiting_pulls
            ));
        }
    }

    pub fn is_held(&self, queued: &Queued) -> bool {
        let mut workers = self.workers.iter();
        workers.any(|(name, position)| {
            let delivered = position.as_ref().map_or(0, |position| position.delivered);
            *name == queued.task_type && delivered >= queued.sequence
        })
    }

    /// Whether those who are to go on with it do.
    fn of_roles(&self, story: &Story, answer: &mut Answer) {
        match &self.orchestrator {
            Some(position)
                if position.waiting_pulls == 0 && position.delivered < story.sequence() =>
            {
                answer.say("No orchestrator asks for commits now: nobody goes on with it.");
            }
            Some(position) if position.delivered < story.sequence() && position.pending > 0 => {
                answer.say(format!(
                    "The orchestrator is {} behind.",
                    count(position.pending, "commit")
                ));
            }
            _ => {}
        }
    }

    fn of_speed(&self, story: &Story, answer: &mut Answer) {
        let Some(usual) = self.usual else {
            answer
                .say("There are too few other tasks in groups of that name to say what is usual.");
            return;
        };
        let own: Vec<u64> = story
            .events()
            .filter_map(|recorded| match recorded.event {
                Event::TaskSucceeded(e) => Some(e.duration_ms),
                _ => None,
            })
            .collect();
        let slowest = own.iter().max().copied().unwrap_or(0);
        let waits = if story.view.status.is_terminal() {
            0
        } else {
            let waited = Timestamp::now().duration_since(story.last_at()).as_millis();
            u64::try_from(waited).unwrap_or(0)
        };
        let word = if slowest.max(waits) > usual.p95_ms.saturating_mul(2) {
            "slow"
        } else {
            "usual"
        };
        answer.say(format!(
            "For such tasks that is {word}: they take {} (median), {} at the 95th percentile.",
            millis(usual.median_ms),
            millis(usual.p95_ms)
        ));
        answer.evidence.push(format!(
            "{} of other requests; its own slowest took {}",
            count(usual.tasks as u64, "task"),
            millis(slowest)
        ));
    }
}
