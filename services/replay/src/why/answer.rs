//! What is said, and the events that it rests on.

use domain::request::Event;
use jiff::Timestamp;

use super::SHOWN;
use crate::output::{between, clock};
use crate::story::Story;
use crate::timeline;

/// What is said, and what it rests on.
pub struct Answer {
    pub sentences: Vec<String>,
    pub evidence: Vec<String>,
}

impl Answer {
    pub fn say(&mut self, sentence: impl Into<String>) {
        self.sentences.push(sentence.into());
    }

    pub fn of_log(story: &Story) -> Self {
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
