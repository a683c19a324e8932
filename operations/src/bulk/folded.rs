use domain::access::Scope;
use domain::bulk::{Event, Operation, OperationId, State, evolve};
use jiff::Timestamp;
use nats::BulkCommit;

/// A bulk operation as its history has it.
#[derive(Clone, Debug)]
pub struct Folded {
    /// The operation.
    pub id: OperationId,
    /// Its state.
    pub state: State,
    /// The sequence of its last commit.
    pub sequence: u64,
    /// When it was drafted.
    pub drafted_at: Timestamp,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When nothing more could happen to it.
    pub ended_at: Option<Timestamp>,
}

impl Folded {
    /// An operation before its first commit.
    #[must_use]
    pub fn new(id: OperationId) -> Self {
        Self {
            id,
            state: State::Absent,
            sequence: 0,
            drafted_at: Timestamp::UNIX_EPOCH,
            started_at: None,
            ended_at: None,
        }
    }

    /// The operation after these commits; nothing where its first commit is not among them.
    #[must_use]
    pub fn of(id: OperationId, commits: &[BulkCommit]) -> Option<Self> {
        let mut folded = Self::new(id);
        for commit in commits {
            folded.take_in(commit.sequence, commit.at, &commit.events);
        }
        folded.state.operation().is_some().then_some(folded)
    }

    /// Adds a commit, unless it is known.
    pub fn take_in(&mut self, sequence: u64, at: Timestamp, events: &[Event]) {
        if sequence <= self.sequence {
            return;
        }
        self.sequence = sequence;
        for event in events {
            match event {
                Event::Drafted(_) => self.drafted_at = at,
                Event::Started(_) => self.started_at = Some(at),
                _ => {}
            }
            self.state = evolve(std::mem::take(&mut self.state), event);
        }
        if self.has_ended() && self.ended_at.is_none() {
            self.ended_at = Some(at);
        }
    }

    /// The operation.
    #[must_use]
    pub fn operation(&self) -> Option<&Operation> {
        self.state.operation()
    }

    /// Whether it belongs to one of these tenants.
    #[must_use]
    pub fn is_of(&self, scope: &Scope) -> bool {
        let operation = self.operation();
        operation.is_some_and(|operation| scope.includes(&operation.drafted.tenant))
    }

    /// Whether nothing more can happen to it.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.operation().is_some_and(Operation::has_ended)
    }

    /// Whether the executor has something to do for it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.operation().is_some_and(Operation::is_open)
    }
}
