//! Stories about tasks that succeed.

use std::time::Duration;

use bytes::Bytes;
use domain::request::{AttemptNumber, Payload, Run};
use nats::Attempts;

use super::alike::{padded, plain, takes_none, was_delivered};
use super::verdict;
use crate::judge::Expected;
use crate::passed::Answer;
use crate::scene::Scene;
use crate::{Error, Verdict};

/// A size that is for the object store, though it would fit into a message of the broker: so a
/// worker that puts such a result into its report is found.
const LARGE_BYTES: usize = 600 << 10;
/// The trace parent of a submission.
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// The trace in it.
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

pub async fn task(scene: &mut Scene<'_>) -> Result<Verdict, Error> {
    let document = plain(scene);
    let tomorrow = [("Fanfold-Tomorrow", "1"), ("traceparent", TRACEPARENT)];
    let task = scene
        .send_payload(&document, Attempts::default(), &tomorrow)
        .await?;
    scene.until_settled(task).await?;
    if !was_delivered(scene, task) {
        return Ok(takes_none(scene));
    }
    let mut faults = Vec::new();
    let expected = Expected::first(scene, task, &document);
    expected.success(scene, &mut faults).await?;
    Ok(verdict(faults))
}

pub async fn counts(scene: &mut Scene<'_>) -> Result<Verdict, Error> {
    let document = plain(scene);
    let with = Attempts {
        before: AttemptNumber::new(4),
        earlier: AttemptNumber::new(4),
        run: Run::new(2),
        again: true,
    };
    let task = scene.send_payload(&document, with, &[]).await?;
    scene.until_settled(task).await?;
    let mut faults = Vec::new();
    let expected = Expected {
        attempt: 5,
        run: 2,
        ..Expected::first(scene, task, &document)
    };
    expected.success(scene, &mut faults).await?;
    let record = scene.log.of(task.request);
    if record.reports().last().is_some_and(|report| !report.again) {
        faults.push(
            "the task had the header Fanfold-Again and its report has not: copy the header, so that \
             a repeated report is recognized"
                .to_owned(),
        );
    }
    Ok(verdict(faults))
}

pub async fn large(scene: &mut Scene<'_>) -> Result<Verdict, Error> {
    let document = padded(&scene.options.documents.plain, LARGE_BYTES);
    let document = scene.payloads.place(Bytes::from(document)).await?;
    let task = scene
        .send_payload(&document, Attempts::default(), &[])
        .await?;
    scene.until_settled(task).await?;
    let mut faults = Vec::new();
    let expected = Expected::first(scene, task, &document);
    expected.success(scene, &mut faults).await?;
    if let Some(last) = faults.last_mut() {
        last.push_str(
            " (the task has the header Fanfold-Stored: its document is in the object store PAYLOADS, \
             under the hash and compressed with zstd)",
        );
    }
    Ok(verdict(faults))
}

pub async fn trace(scene: &mut Scene<'_>) -> Result<Verdict, Error> {
    let document = scene.options.documents.trace.clone().unwrap_or_default();
    let document = Payload::from(document.as_str());
    let further = [("traceparent", TRACEPARENT)];
    let task = scene
        .send_payload(&document, Attempts::default(), &further)
        .await?;
    scene.until_settled(task).await?;
    let mut faults = Vec::new();
    let expected = Expected::first(scene, task, &document);
    if let Some(result) = expected.success(scene, &mut faults).await? {
        let result = scene.payloads.fetch(&result).await?;
        if !String::from_utf8_lossy(&result).contains(TRACE_ID) {
            faults.push(format!(
                "the trace {TRACE_ID} is not in the result: hand the header `traceparent` of the \
                 task on to what it calls"
            ));
        }
    }
    Ok(verdict(faults))
}

pub async fn unreported(scene: &mut Scene<'_>) -> Result<Verdict, Error> {
    scene.connection.remove_reports().await?;
    let document = plain(scene);
    let task = scene
        .send_payload(&document, Attempts::default(), &[])
        .await?;
    if !scene.until_delivered(task).await? {
        return Ok(takes_none(scene));
    }
    // Long enough to report, and within the lease.
    let reported = |log: &crate::record::Log| !log.of(task.request).reports().is_empty();
    scene.until(scene.options.lease / 2, reported).await?;
    scene.listen(scene.options.lease / 2).await?;
    let early = scene.log.of(task.request).final_answers();
    scene.restore().await?;
    let mut faults = Vec::new();
    match early.first().map(|answered| &answered.answer) {
        None => {
            scene.until_settled(task).await?;
            let confirmed = |log: &crate::record::Log| {
                let record = log.of(task.request);
                let answered = record.final_answers();
                let ended = answered.iter().any(|a| a.answer == Answer::Ack);
                ended
                    && record
                        .reports()
                        .last()
                        .is_some_and(|r| record.confirmed(r).is_some())
            };
            scene.until(scene.options.patience, confirmed).await?;
            let attempt = scene.log.of(task.request).deliveries().len();
            let expected = Expected {
                attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
                ..Expected::first(scene, task, &document)
            };
            expected.success(scene, &mut faults).await?;
            if attempt > 1 {
                faults.push(
                    "it ran the task again, because the broker did not take its report for a while: \
                     repeat the report under the lease in place of the work"
                        .to_owned(),
                );
            }
        }
        Some(Answer::Ack | Answer::Term) => faults.push(
            "it answered a task whose report the broker had not taken, so the outcome is lost: \
             await the ack of the report, and repeat the report where there is none"
                .to_owned(),
        ),
        Some(other) => faults.push(format!(
            "it answered {} while the broker took no report, so the work is done again: repeat the \
             report under the lease",
            other.word()
        )),
    }
    Ok(verdict(faults))
}

pub async fn restart(scene: &mut Scene<'_>) -> Result<Verdict, Error> {
    let before = scene
        .send_payload(&plain(scene), Attempts::default(), &[])
        .await?;
    if !scene.until_settled(before).await? {
        return Ok(takes_none(scene));
    }
    scene.restart_server().await?;
    let document = plain(scene);
    let after = scene
        .send_payload(&document, Attempts::default(), &[])
        .await?;
    let patience = scene.options.patience + Duration::from_secs(5);
    let settled = |log: &crate::record::Log| log.of(after.request).is_settled();
    if scene.until(patience, settled).await? {
        let mut faults = Vec::new();
        let expected = Expected::first(scene, after, &document);
        expected.success(scene, &mut faults).await?;
        return Ok(verdict(faults));
    }
    Ok(verdict(vec![format!(
        "it took no task within {patience:?} after the server was restarted: connect again without a \
         limit of tries, and pull anew then, because the server has forgotten the earlier pulls"
    )]))
}
