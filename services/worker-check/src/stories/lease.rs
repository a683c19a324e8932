//! Stories about the lease of a task.

use std::time::Duration;

use domain::request::Payload;
use nats::Attempts;
use rustix::process::Signal;

use super::alike::{plain, takes_none};
use super::verdict;
use crate::judge::Expected;
use crate::passed::Answer;
use crate::record::Log;
use crate::scene::Scene;
use crate::{Error, Verdict};

/// The least time for which the worker is suspended: several heartbeats of a pull.
const SUSPENDED_AT_LEAST: Duration = Duration::from_secs(4);
/// How soon a task must have stopped that nobody wants.
const STOP_LIMIT: Duration = Duration::from_secs(5);

fn slow(scene: &Scene<'_>) -> Payload {
    let document = scene.options.documents.slow.as_deref();
    Payload::from(document.unwrap_or_default())
}

pub async fn lease(scene: &mut Scene<'_>) -> Result<Verdict, Error> {
    let (document, lease) = (slow(scene), scene.options.lease);
    let task = scene
        .send_payload(&document, Attempts::default(), &[])
        .await?;
    scene.until_settled(task).await?;
    let record = scene.log.of(task.request);
    let deliveries = record.deliveries();
    let Some((begun, _)) = deliveries.first() else {
        return Ok(takes_none(scene));
    };
    let answers = record.answers();
    let signs = answers.iter().filter(|a| a.answer == Answer::Progress);
    if deliveries.len() == 1 && answers.iter().all(|a| a.at - *begun < lease) {
        let why = format!("the document of --slow took the worker less than the lease ({lease:?})");
        return Ok(Verdict::NotChecked(why));
    }
    let mut faults = Vec::new();
    if signs.clone().next().is_none() {
        faults.push(format!(
            "it showed no sign of life for {lease:?}, so the task was given away: send +WPI to the \
             reply subject of the task at a third of the lease"
        ));
    } else if deliveries.len() > 1 {
        faults.push(format!(
            "its signs of life came too late, and the task was given away: send +WPI at a third of \
             the lease ({lease:?}, the ack_wait of the consumer)"
        ));
    }
    if signs.clone().any(|sign| !sign.asks) {
        faults.push(
            "it sent +WPI without a reply subject: only an answer of the broker holds the lease, so \
             send it as a request"
                .to_owned(),
        );
    }
    if faults.is_empty() {
        let expected = Expected::first(scene, task, &document);
        expected.success(scene, &mut faults).await?;
    }
    Ok(verdict(faults))
}

pub async fn lost(scene: &mut Scene<'_>) -> Result<Verdict, Error> {
    let (document, lease) = (slow(scene), scene.options.lease);
    let task = scene
        .send_payload(&document, Attempts::default(), &[])
        .await?;
    if !scene.until_delivered(task).await? {
        return Ok(takes_none(scene));
    }
    // It has begun to work.
    scene.listen(lease / 4).await?;
    suspend(scene).await?;
    let later = |log: &Log| {
        let answers = log.of(task.request).final_answers();
        answers.iter().any(|answered| answered.of.delivered > 1)
    };
    scene.until(scene.options.patience, later).await?;
    scene.listen(lease).await?;
    let answers = scene.log.of(task.request).final_answers();
    let mut faults = Vec::new();
    if let Some(answered) = answers.iter().find(|answered| answered.of.delivered == 1) {
        faults.push(format!(
            "it answered {} to a task whose lease had ended while it was suspended: another worker \
             may have the task by then, and the broker cannot tell their answers apart, so answer \
             nothing",
            answered.answer.word()
        ));
    }
    Ok(verdict(faults))
}

/// Suspends the worker for longer than a lease, as a machine that sleeps or a long garbage
/// collection does. It hears nothing meanwhile.
async fn suspend(scene: &mut Scene<'_>) -> Result<(), Error> {
    let length = SUSPENDED_AT_LEAST.max(scene.options.lease * 2);
    scene.worker.signal(Signal::STOP);
    scene.listen(length).await?;
    scene.worker.signal(Signal::CONT);
    Ok(())
}

pub async fn late(scene: &mut Scene<'_>) -> Result<Verdict, Error> {
    let document = plain(scene);
    let first = scene
        .send_payload(&document, Attempts::default(), &[])
        .await?;
    if !scene.until_settled(first).await? {
        return Ok(takes_none(scene));
    }
    // Long enough to ask for more tasks.
    scene.listen(scene.options.lease / 2).await?;
    scene.worker.signal(Signal::STOP);
    let task = scene
        .send_payload(&document, Attempts::default(), &[])
        .await?;
    suspend(scene).await?;
    if scene.log.of(task.request).deliveries().is_empty() {
        let why = "the worker had asked for no tasks when it was suspended";
        return Ok(Verdict::NotChecked(why.to_owned()));
    }
    let answered = |log: &Log| !log.of(task.request).final_answers().is_empty();
    let patience = scene.options.patience;
    scene.until(patience, answered).await?;
    let answers = scene.log.of(task.request).final_answers();
    let mut faults = Vec::new();
    match answers.first() {
        Some(answered) if answered.of.delivered == 1 => faults.push(format!(
            "it answered {} to a task that came while it was suspended, and whose lease had ended \
             before it began: ask for heartbeats with each pull, and take a task that comes after a \
             silence for one whose lease began with it",
            answered.answer.word()
        )),
        Some(_) => {}
        None => faults.push(format!(
            "it took no task within {patience:?} after it was suspended"
        )),
    }
    Ok(verdict(faults))
}

pub async fn stop(scene: &mut Scene<'_>) -> Result<Verdict, Error> {
    let document = slow(scene);
    let task = scene
        .send_payload(&document, Attempts::default(), &[])
        .await?;
    if !scene.until_delivered(task).await? {
        return Ok(takes_none(scene));
    }
    // The worker is told while it works, not before it has begun.
    scene.listen(scene.options.lease / 4).await?;
    scene.tell_to_stop(task.request).await?;
    let answered = |log: &Log| !log.of(task.request).final_answers().is_empty();
    scene
        .until(STOP_LIMIT.max(scene.options.lease * 2), answered)
        .await?;
    let record = scene.log.of(task.request);
    let last = record
        .final_answers()
        .last()
        .map(|last| last.answer.clone());
    let mut faults = Vec::new();
    if !record.reports().is_empty() {
        faults.push(
            "it reported a task that nobody wants any more: subscribe to stop.*, stop the work and \
             report nothing"
                .to_owned(),
        );
    } else if last != Some(Answer::Term) {
        faults.push(format!(
            "it answered {} to a task that nobody wants any more: stop the work and answer +TERM",
            last.map_or_else(|| "nothing".to_owned(), |last| last.word())
        ));
    }
    Ok(verdict(faults))
}
