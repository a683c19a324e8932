//! What is in the queues, by the subjects of their messages.

use std::collections::{HashMap, HashSet};
use std::ops::AddAssign;

use domain::request::{GroupIndex, RequestId, Run, TaskNumber};

use crate::topology::{REPORTS, TASKS};
use crate::{Connection, Error, subject};

/// What the queues hold for one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueContent {
    /// The tasks that wait or run, or that a timer will dispatch.
    pub tasks: HashSet<(GroupIndex, TaskNumber)>,
    /// The groups that have a timer, set or fired, each with the run of its timer.
    pub group_timers: HashSet<(GroupIndex, Run)>,
    /// The runs of the request that have a timer, set or fired.
    pub request_timers: HashSet<Run>,
    /// How many reports of outcomes wait for the orchestrator. One message may hold the outcomes of
    /// several tasks and names only the first.
    pub outcomes: u32,
    /// How many messages there are in all.
    pub messages: u32,
}

impl Connection {
    /// What the queues hold for a request. The tasks are read first: where a task is gone because
    /// its outcome was reported, the report is then seen, unless it is committed by now.
    pub async fn queue_content(&self, request: RequestId) -> Result<QueueContent, Error> {
        let mut content = QueueContent::default();
        for at in self.subjects(TASKS, &subject::tasks_of(request)).await? {
            content.messages += 1;
            let task = subject::task_id(&at).map(|id| (id.group, id.task));
            content.tasks.extend(task);
        }
        for at in self.reports_of(request).await? {
            content.messages += 1;
            content.take_in(&at);
        }
        Ok(content)
    }

    /// How many messages the queues hold for each request of a shard.
    pub async fn queue_counts(
        &self,
        shard: u8,
        shards: u8,
    ) -> Result<HashMap<RequestId, u32>, Error> {
        let mut counts = HashMap::new();
        for (stream, root, token) in [
            (TASKS, "tasks.*", 3),
            (REPORTS, "reports", 2),
            (REPORTS, "timers", 2),
        ] {
            // A list of all subjects of 100,000 open requests takes the broker longer than a call
            // may take.
            for filter in subject::each_partition(root, shard, shards, ">") {
                for at in self.subjects(stream, &filter).await? {
                    if let Some(request) = subject::request(&at, token) {
                        counts.entry(request).or_insert(0).add_assign(1);
                    }
                }
            }
        }
        Ok(counts)
    }
}

impl QueueContent {
    /// Takes in a message of the reports: a timer, or what a timer or a worker reports.
    fn take_in(&mut self, at: &str) {
        let tokens: Vec<&str> = at.split('.').skip(3).collect();
        let run = |run: Option<&&str>| run.map_or(Some(Run::FIRST), |run| run.parse().ok());
        match tokens[..] {
            ["timed-out", "request", ref rest @ ..] => {
                self.request_timers.extend(run(rest.first()));
            }
            ["timed-out", group, ref rest @ ..] => {
                if let (Ok(group), Some(run)) = (group.parse(), run(rest.first())) {
                    self.group_timers.insert((group, run));
                }
            }
            ["due", group, task, ..] => {
                if let (Ok(group), Ok(task)) = (group.parse(), task.parse()) {
                    self.tasks.insert((group, task));
                }
            }
            _ => self.outcomes += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subjects_of_reports_and_timers_say_what_is_there() {
        let mut content = QueueContent::default();
        let id = "01a20d07-ceb0-71d2-8a80-d677f6148452";
        for rest in ["timed-out.request", "timed-out.request.2", "timed-out.3.1"] {
            content.take_in(&format!("timers.5.{id}.{rest}"));
        }
        content.take_in(&format!("reports.5.{id}.due.0.7.1"));
        content.take_in(&format!("reports.5.{id}.0.9"));
        assert_eq!(content.request_timers, [Run::FIRST, Run::new(2)].into());
        assert_eq!(
            content.group_timers,
            [(GroupIndex::new(3), Run::new(1))].into()
        );
        assert_eq!(
            content.tasks,
            [(GroupIndex::FIRST, TaskNumber::new(7))].into()
        );
        assert_eq!(content.outcomes, 1);
    }
}
