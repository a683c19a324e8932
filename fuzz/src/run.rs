//! Processes a document as the roles do, step by step.

use domain::document::{CapturedResources, Document, Effort, Limits};
use domain::request::TaskNumber;

/// The outcome of a document.
#[derive(Default, Debug)]
pub struct Outcome {
    /// Whether the document was refused, by the first check or later.
    pub refused: bool,
    /// The bytes of all its task documents.
    pub made: usize,
    /// The bytes of the largest of them.
    pub largest: usize,
    /// The bytes of the results that were in memory together.
    pub held: usize,
}

/// The most bytes of task documents that a request may have. Larger work is stopped here.
pub const MADE_MAX: usize = 512 * 1024 * 1024;
/// Results beyond this many bytes are not put in, so that the memory is bounded.
const HELD_MAX: usize = 16 * 1024 * 1024;

/// Task documents are made until they have this many bytes, as the orchestrator does.
const AT_ONCE: usize = 8 * 1024 * 1024;

/// Accepts a document, splits it group by group, with its own task documents as results, and
/// assembles it. No step may panic.
pub fn through(document: &[u8], limits: &Limits) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.refused = all(document, limits, &mut outcome).is_none();
    outcome
}

fn all(document: &[u8], limits: &Limits, outcome: &mut Outcome) -> Option<()> {
    let mut document = Document::accept(document, limits).ok()?;
    let _ = document.first_tasks(Effort::Whole);
    let resources = CapturedResources::default();
    for group in 0..document.groups() {
        let count = document.count_tasks(&resources, group, Effort::Whole).ok()?;
        let count = u32::try_from(count).ok()?;
        if count == 0 {
            // Such a group is complete at once, and no task of it is needed.
            continue;
        }
        let (mut results, mut made) = (Vec::new(), 0);
        while made < count {
            let numbers = (made + 1..=count).map(TaskNumber::new);
            let tasks = document.tasks(&resources, group, numbers, AT_ONCE, Effort::Whole);
            let tasks = tasks.ok()?;
            made = tasks.last()?.number.get();
            for task in tasks {
                outcome.made += task.xml.len();
                outcome.largest = outcome.largest.max(task.xml.len());
                if outcome.made > MADE_MAX {
                    return None;
                }
                outcome.held += task.xml.len();
                if outcome.held <= HELD_MAX {
                    results.push(task.xml);
                }
            }
        }
        if outcome.held > HELD_MAX {
            return Some(());
        }
        document
            .put_results(group, results.iter().map(Vec::as_slice))
            .ok()?;
    }
    document.response().ok()?;
    Some(())
}
