//! The story about the end of a worker.

use domain::request::{Payload, Verdict as Ended};
use nats::Attempts;

use super::alike::takes_none;
use super::verdict;
use crate::passed::Answer;
use crate::record::Log;
use crate::scene::Scene;
use crate::{Error, Verdict};

/// How many tasks wait when the worker is asked to end: more than it has room for.
const TASKS: usize = 100;

pub async fn end(scene: &mut Scene<'_>) -> Result<Verdict, Error> {
    let documents = &scene.options.documents;
    let document = documents.slow.as_ref().unwrap_or(&documents.plain);
    let document = Payload::from(document.as_str());
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        let sent = scene.send_payload(&document, Attempts::default(), &[]);
        tasks.push(sent.await?);
    }
    let patience = scene.options.patience;
    if !scene.until(patience, |log| log.deliveries() > 0).await? {
        return Ok(takes_none(scene));
    }
    if documents.slow.is_some() {
        // It has what it has room for, and works on it.
        scene.listen(scene.options.lease / 2).await?;
    }
    let ended = scene.end_worker().await?;
    let mut faults = Vec::new();
    match ended {
        None => faults.push(format!(
            "it did not end within {:?} after SIGTERM: take no more tasks, finish what runs, and give \
             back what is not finished in time",
            scene.options.grace
        )),
        Some(status) if !status.success() => faults.push(format!(
            "it ended with {status} after SIGTERM: a worker that ends in order exits with 0"
        )),
        Some(_) => {}
    }
    let left = scene.log.unanswered();
    if left > 0 && ended.is_some() {
        faults.push(format!(
            "it ended and left {left} tasks unanswered, which wait for the end of their leases: NAK \
             without delay what was delivered and is not finished"
        ));
    }
    of_tasks(&scene.log, &tasks, &mut faults);
    Ok(verdict(faults))
}

/// A task that is given back was no attempt, and waits for nothing.
fn of_tasks(log: &Log, tasks: &[domain::request::TaskId], faults: &mut Vec<String>) {
    let records = || tasks.iter().map(|task| log.of(task.request));
    let failed = records().any(|record| {
        let reports = record.reports();
        let mut outcomes = reports
            .iter()
            .filter_map(|report| report.outcome.as_ref().ok());
        outcomes.any(|outcome| matches!(outcome.verdict, Ended::Failed { .. }))
    });
    if failed {
        faults.push(
            "it reported failed attempts for tasks that it could not finish: give them back with \
             -NAK and report nothing, so that stopping a worker costs no attempt"
                .to_owned(),
        );
    }
    let delayed = records().any(|record| {
        let answers = record.final_answers();
        let is_delayed = |answer: &Answer| matches!(answer, Answer::Nak(delay) if *delay > 0);
        answers.iter().any(|answered| is_delayed(&answered.answer))
    });
    if delayed && !failed {
        faults.push(
            "it gave tasks back with a delay: NAK without one, so that another worker has them at \
             once"
                .to_owned(),
        );
    }
}
