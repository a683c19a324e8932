//! Why a request is where it is: statements, and the evidence for them.

mod evidence;
mod tasks;

use domain::request::{Event, Recorded, Status};
use jiff::Timestamp;
use nats::{Position, Queued};

use crate::Error;
use crate::live::Live;
use crate::story::{Cause, Story};
use crate::usual::Usual;
use evidence::Broker;

/// The most pieces of evidence of one kind.
const SHOWN: usize = 10;

/// The answer to "why".
#[derive(Debug)]
pub struct Explanation {
    /// The statements, most informative first.
    pub statements: Vec<Statement>,
    /// The evidence.
    pub evidence: Vec<Evidence>,
}

/// A statement about a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// The status of the request, since when, and the cause.
    Stands {
        /// The status.
        status: Status,
        /// The time of the last commit.
        since: Timestamp,
        /// The cause.
        cause: Cause,
    },
    /// This many tasks failed and wait for their next attempt.
    Delayed {
        /// The number of tasks.
        tasks: u64,
        /// The time of the first next attempt.
        first: Timestamp,
    },
    /// This many tasks are with a worker.
    WithWorkers(u64),
    /// This many tasks wait for a worker.
    Waiting(u64),
    /// No worker requests tasks of this type.
    NoWorkerAsks(String),
    /// Outcomes are reported and wait for the orchestrator.
    OutcomesReported,
    /// Tasks are neither in the queue nor reported.
    Missing {
        /// The number of tasks.
        tasks: u64,
        /// The deadline of the group.
        deadline: Timestamp,
    },
    /// No orchestrator requests commits.
    NoOrchestratorAsks,
    /// The orchestrator is this many commits behind.
    OrchestratorBehind(u64),
    /// There are too few other tasks to say how long such tasks usually take.
    TooFewToCompare,
    /// The duration compared with other requests.
    Speed {
        /// Whether it is slower than usual.
        slow: bool,
        /// How long such tasks usually take.
        usual: Usual,
    },
}

/// A piece of evidence.
#[derive(Debug)]
pub enum Evidence {
    /// This many earlier events are left out.
    EarlierEvents(usize),
    /// An event of the log.
    Event(Box<Recorded<Event>>),
    /// A task in the queue, and whether it was delivered.
    Queued(Queued, bool),
    /// The subject of a report that waits.
    Report(String),
    /// The position of a consumer.
    Consumer(Position),
    /// The number of other tasks that were compared, and the slowest task of the request in
    /// milliseconds.
    Usual {
        /// The number of tasks.
        tasks: usize,
        /// The slowest task of this request, in milliseconds.
        slowest_ms: u64,
    },
}

impl Explanation {
    /// The answer from the log alone.
    #[must_use]
    pub fn of_log(story: &Story) -> Self {
        let stands = Statement::Stands {
            status: story.view.status.plain(),
            since: story.last_at(),
            cause: story.cause(),
        };
        let telling = |recorded: &Recorded<Event>| {
            let event = &recorded.event;
            !matches!(
                event,
                Event::TaskSucceeded(_) | Event::GroupCompleted { .. }
            )
        };
        let skipped = story.events().filter(telling).count().saturating_sub(SHOWN);
        let mut evidence = Vec::new();
        if skipped > 0 {
            evidence.push(Evidence::EarlierEvents(skipped));
        }
        let shown = story.events().filter(telling).skip(skipped);
        evidence.extend(shown.map(|recorded| Evidence::Event(Box::new(recorded))));
        Self {
            statements: vec![stands],
            evidence,
        }
    }

    /// The answer from the log and from the broker as it is now. The deployment has these task
    /// types.
    pub async fn now(live: &Live, task_types: &[String], story: &Story) -> Result<Self, Error> {
        let mut why = Self::of_log(story);
        let broker = Broker::look(live, task_types, story).await?;
        broker.add(story, Timestamp::now(), &mut why);
        Ok(why)
    }

    fn say(&mut self, statement: Statement) {
        self.statements.push(statement);
    }
}
