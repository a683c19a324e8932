use super::{Actor, Drafted, Outcome, PER_SECOND_MAX, Plan, SELECTED_MAX};

/// A command to a bulk operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Fix a selection.
    Draft(Box<Drafted>),
    /// Begin to take the action.
    Start {
        /// How to go through the items.
        plan: Plan,
        /// Who starts it.
        actor: Actor,
    },
    /// Take note of how items went on, and go on to the next ones.
    Advance {
        /// How items went on.
        outcomes: Vec<Outcome>,
        /// How many items the rate allows to ask for now.
        room: u32,
    },
    /// Ask for nothing more until somebody resumes it.
    Pause {
        /// Who pauses it.
        actor: Actor,
    },
    /// Go on.
    Resume {
        /// Who resumes it.
        actor: Actor,
    },
    /// Ask for nothing more. What was asked for is followed to its end.
    Cancel {
        /// Who ends it.
        actor: Actor,
        /// Why.
        reason: String,
    },
}

/// Why a command is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No such operation was ever drafted.
    #[error("there is no such operation")]
    Unknown,
    /// The operation is there already.
    #[error("the operation was drafted before")]
    Drafted,
    /// The filter selects nothing.
    #[error("the filter selects nothing")]
    NothingSelected,
    /// The filter selects too much.
    #[error("the filter selects more than {SELECTED_MAX} items: narrow it, and do it in parts")]
    TooManySelected,
    /// The operation runs with another plan.
    #[error("the operation was started before, with another plan")]
    StartedOtherwise,
    /// The command needs an operation that was started.
    #[error("the operation was not started yet")]
    NotStarted,
    /// The operation has ended.
    #[error("the operation is {0}")]
    Ended(&'static str),
    /// The plan cannot be followed.
    #[error("an operation asks for 1 to {PER_SECOND_MAX} items in a second")]
    InvalidRate,
    /// The plan would stop before anything failed.
    #[error("an operation stops after 1 failure or more")]
    InvalidStop,
}
