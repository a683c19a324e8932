//! `why`: one paragraph, and the evidence under it.

use std::fmt::Write as _;

use domain::request::{Event, Group, Next, TaskState};
use jiff::Timestamp;
use nats::{Position, Queued};
use runtime::Settings;
use serde_json::json;

use crate::command::OneArgs;
use crate::log::Live;
use crate::output::{Paint, between, clock, count, millis, wrap};
use crate::source::Source;
use crate::story::Story;
use crate::usual::{self, Usual};
use crate::{Error, Finding, page, timeline};

/// The most pieces of evidence of one kind.
const SHOWN: usize = 10;

pub async fn run(args: &OneArgs, settings: &Settings) -> Result<Finding, Error> {
    let source = Source::open(args.from.as_deref(), settings).await?;
    let story = Story::of(args.id, source.commits(args.id).await?, None)?;
    let mut answer = Answer::of_log(&story);
    if let Some(live) = source.live() {
        Evidence::look(live, settings, &story)
            .await?
            .add(&story, &mut answer);
    }
    if args.json {
        page::line(&json!({
            "requestId": story.id,
            "status": story.view.status,
            "answer": answer.sentences.join(" "),
            "evidence": answer.evidence,
        }))?;
        return Ok(Finding::Fine);
    }
    let paint = Paint::of_stdout();
    let mut text = wrap(&answer.sentences.join(" "), paint.width, "");
    let _ = writeln!(text, "\n\n{}", paint.bold("evidence"));
    for evidence in &answer.evidence {
        let _ = writeln!(text, "{}", wrap(evidence, paint.width, "  "));
    }
    page::print(&text)?;
    Ok(Finding::Fine)
}

/// What is said, and what it rests on.
struct Answer {
    sentences: Vec<String>,
    evidence: Vec<String>,
}

impl Answer {
    fn say(&mut self, sentence: impl Into<String>) {
        self.sentences.push(sentence.into());
    }

    fn of_log(story: &Story) -> Self {
        let now = Timestamp::now();
        let status = story.view.status.as_str();
        let since = between(story.last_at(), now);
        let mut answer = Self {
            sentences: vec![format!(
                "The request is {status}, for {since} now: {}.",
                story.cause(now)
            )],
            evidence: Vec::new(),
        };
        answer.events(story);
        answer
    }

    /// The events that say so, the newest last.
    fn events(&mut self, story: &Story) {
        let telling: Vec<String> = story
            .events()
            .filter_map(|recorded| {
                let said = match &recorded.event {
                    Event::TaskFailed(e) => format!(
                        "task {}.{} attempt {} on {}: {} ({})",
                        e.group,
                        e.task,
                        e.attempt.attempt,
                        e.attempt.worker,
                        e.attempt.fault.code,
                        timeline::next(&e.next)
                    ),
                    Event::TaskSucceeded(_) | Event::GroupCompleted { .. } => return None,
                    event => event.name().to_owned(),
                };
                Some(format!(
                    "log {}: {} {said}",
                    recorded.sequence,
                    clock(recorded.at)
                ))
            })
            .collect();
        let skipped = telling.len().saturating_sub(SHOWN);
        if skipped > 0 {
            self.evidence
                .push(format!("log: {skipped} earlier events left out"));
        }
        self.evidence.extend(telling.into_iter().skip(skipped));
    }
}

/// What the broker says of the request now.
struct Evidence {
    orchestrator: Option<Position>,
    reports: Option<Position>,
    queued: Vec<Queued>,
    waiting_reports: Vec<String>,
    workers: Vec<(String, Option<Position>)>,
    usual: Option<Usual>,
}

impl Evidence {
    async fn look(live: &Live, settings: &Settings, story: &Story) -> Result<Self, Error> {
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
            orchestrator: connection.log_position(shard, "orchestrator").await.ok(),
            reports: connection.report_position(shard).await.ok(),
            waiting_reports: connection.reports_of(story.id).await.unwrap_or_default(),
            usual: usual::of_group(live, story.id, name).await?,
            queued,
            workers,
        })
    }

    fn add(&self, story: &Story, answer: &mut Answer) {
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

    fn is_held(&self, queued: &Queued) -> bool {
        let mut workers = self.workers.iter();
        workers.any(|(name, position)| {
            let delivered = position.as_ref().map_or(0, |position| position.delivered);
            *name == queued.task_type && delivered >= queued.sequence
        })
    }

    /// Where each task without an outcome is.
    fn of_tasks(&self, group: &Group, story: &Story, answer: &mut Answer) {
        let now = Timestamp::now();
        let due = next_attempts(story, group);
        let delayed: Vec<Timestamp> = due
            .iter()
            .map(|(_, at)| *at)
            .filter(|at| *at > now)
            .collect();
        let is_delayed = |task| due.iter().any(|(t, at)| *t == task && *at > now);
        let here = |held: bool| {
            let queued = self.queued.iter().filter(|q| q.task.group == group.index);
            queued
                .filter(|q| self.is_held(q) == held && !is_delayed(q.task.task))
                .count() as u64
        };
        let (held, waiting) = (here(true), here(false));
        if let Some(first) = delayed.iter().min() {
            answer.say(format!(
                "{} failed and {} delayed, the first until {}, in {}.",
                count(delayed.len() as u64, "task"),
                if delayed.len() == 1 { "is" } else { "are" },
                clock(*first),
                between(now, *first)
            ));
        }
        if held > 0 {
            answer.say(format!("{} with a worker now.", is_are(held)));
        }
        if waiting > 0 {
            answer.say(format!("{} for a worker.", waits(waiting)));
        }
        for (name, position) in &self.workers {
            if position
                .as_ref()
                .is_some_and(|p| p.waiting_pulls == 0 && p.pending > 0)
            {
                answer.say(format!("No worker of type {name} asks for tasks now."));
            }
        }
        let known = held + waiting + delayed.len() as u64;
        let pending = group.pending().count() as u64;
        let reported = self
            .waiting_reports
            .iter()
            .any(|s| s.starts_with("reports."));
        if known < pending && reported {
            answer.say("Outcomes are reported and wait for the orchestrator to take them in.");
        } else if known < pending {
            let lost = pending - known;
            answer.say(format!(
                "{} neither in the work queue nor reported: not dispatched yet, or lost; the \
                 group's time-out is at {}.",
                is_are(lost),
                clock(group.deadline)
            ));
        }
    }

    /// Whether those who are to go on with it do.
    fn of_roles(&self, story: &Story, answer: &mut Answer) {
        match &self.orchestrator {
            Some(position) if position.waiting_pulls == 0 && position.acked < story.sequence() => {
                answer.say("No orchestrator asks for commits now: nobody goes on with it.");
            }
            Some(position) if position.acked < story.sequence() && position.pending > 0 => {
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

/// When the tasks that failed last are tried again.
fn next_attempts(story: &Story, group: &Group) -> Vec<(u32, Timestamp)> {
    let mut due = std::collections::BTreeMap::new();
    for recorded in story.events() {
        if let Event::TaskFailed(e) = &recorded.event
            && e.group == group.index
            && let Next::RetryAt(at) | Next::DispatchAt(at) = e.next
            && matches!(group.task(e.task), Some(TaskState::Pending { .. }))
        {
            due.insert(e.task, at);
        }
    }
    due.into_iter().collect()
}

fn is_are(tasks: u64) -> String {
    match tasks {
        1 => "1 task is".into(),
        tasks => format!("{tasks} tasks are"),
    }
}

fn waits(tasks: u64) -> String {
    match tasks {
        1 => "1 task waits".into(),
        tasks => format!("{tasks} tasks wait"),
    }
}
