//! What a person may want to do next with a request.

use domain::request::{GroupIndex, RequestId, Sequence, TaskNumber, TaskState};

use crate::story::Story;

/// A next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Follow the request until it ends.
    Follow,
    /// Ask why it is where it is.
    Why,
    /// Look at a task that has no result.
    Task(GroupIndex, TaskNumber),
    /// Run the failed tasks again.
    Redrive,
    /// Submit a new request with another document, with the results up to this commit.
    Fork(Sequence),
    /// Write everything that belongs to the request to a file.
    Export,
}

impl Step {
    /// The command that takes the step.
    #[must_use]
    pub fn command(self, id: RequestId) -> String {
        match self {
            Self::Follow => format!("fanfold replay show {id} --follow"),
            Self::Why => format!("fanfold replay why {id}"),
            Self::Task(group, task) => format!("fanfold replay task {id} {group} {task}"),
            Self::Redrive => format!("fanfold redrive {id} --reason …"),
            Self::Fork(at) => {
                format!("fanfold replay fork {id} --at {at} --document FILE --reason …")
            }
            Self::Export => format!("fanfold replay export {id} -o {id}.fanfold"),
        }
    }
}

/// The steps that make sense for a request as it is.
#[must_use]
pub fn steps(story: &Story) -> Vec<Step> {
    let mut steps = Vec::new();
    if !story.view.status.is_terminal() {
        steps.push(Step::Follow);
    }
    steps.push(Step::Why);
    let group = story.state.request().and_then(|request| request.group());
    let task = group.and_then(|group| {
        let mut tasks = group.numbered();
        tasks.find(|(_, task)| !matches!(task, TaskState::Succeeded(_)))
    });
    if let (Some(group), Some((task, _))) = (group, task) {
        steps.push(Step::Task(group.index, task));
    }
    if story.view.failure().is_some() {
        steps.extend([Step::Redrive, Step::Fork(story.sequence()), Step::Export]);
    }
    steps
}
