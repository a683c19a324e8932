//! What the record of one task says about its worker. Each fault is a sentence that also says what
//! to do.

use domain::document::{Limits, check_result};
use domain::request::{AttemptNumber, Next, Outcome, Payload, Run, TaskId, Verdict};
use nats::INLINE_MAX_BYTES;

use crate::Error;
use crate::passed::Answer;
use crate::record::{Record, Reported};
use crate::scene::Scene;

/// What the one report about a task must say.
pub struct Expected<'a> {
    pub task: TaskId,
    pub task_type: &'a str,
    pub attempt: u32,
    pub run: u32,
    /// The hash of the task document.
    pub sha256: String,
}

impl<'a> Expected<'a> {
    /// The first attempt of a task with this document.
    pub fn first(scene: &Scene<'a>, task: TaskId, document: &Payload) -> Self {
        Self {
            task,
            task_type: &scene.options.task_type,
            attempt: 1,
            run: 0,
            sha256: nats::payload_sha256(document),
        }
    }

    /// The last report that can be read, and the faults in it and around it: its form, what it says
    /// of the task, and that the broker had confirmed it before the task was answered.
    pub fn report(&self, record: &Record<'_>, faults: &mut Vec<String>) -> Option<Outcome> {
        let reports = record.reports();
        let answers = record.final_answers();
        let Some(report) = reports.last() else {
            faults.push(match answers.first() {
                Some(answered) => format!(
                    "it answered {} and reported nothing: publish the outcome to \
                     reports.<partition>.<request>.<group>.<task>, await the ack, and answer the \
                     task then",
                    answered.answer.word()
                ),
                None => "it neither reported the task nor answered it: publish the outcome to \
                         reports.<partition>.<request>.<group>.<task>"
                    .to_owned(),
            });
            return None;
        };
        order(record, report, faults);
        let outcome = match &report.outcome {
            Ok(outcome) => outcome.clone(),
            Err(error) => {
                faults.push(format!(
                    "its report cannot be read ({error}): docs/worker-protocol.md, step 4, has the form"
                ));
                return None;
            }
        };
        self.identity(&outcome, faults);
        Some(outcome)
    }

    fn identity(&self, outcome: &Outcome, faults: &mut Vec<String>) {
        if (outcome.group, outcome.task) != (self.task.group, self.task.task) {
            faults.push(format!(
                "it reported group {}, task {} for group {}, task {}: both are in the task's subject",
                outcome.group, outcome.task, self.task.group, self.task.task
            ));
        }
        if outcome.attempt != AttemptNumber::new(self.attempt) {
            faults.push(format!(
                "it reported attempt {} for attempt {}: the number is the delivery count plus \
                 Fanfold-Attempts-Before",
                outcome.attempt, self.attempt
            ));
        }
        if let Some(run) = outcome.run.filter(|run| *run != Run::new(self.run)) {
            faults.push(format!(
                "it reported run {run} for run {}: the header Fanfold-Run has it",
                self.run
            ));
        }
        let Some(given) = &outcome.given else {
            return;
        };
        if given.task_type != self.task_type {
            faults.push(format!(
                "`given.taskType` is {} for a task of the type {}: it is in the task's subject",
                given.task_type, self.task_type
            ));
        }
        if given
            .sha256
            .as_ref()
            .is_some_and(|hash| *hash != self.sha256)
        {
            faults.push(
                "`given.sha256` is not the SHA-256 of the task document: hash the bytes of the \
                 message, or take the hash of Fanfold-Stored"
                    .to_owned(),
            );
        }
    }

    /// The faults in the work on a task that must succeed.
    pub async fn success(
        &self,
        scene: &Scene<'_>,
        faults: &mut Vec<String>,
    ) -> Result<Option<Payload>, Error> {
        let record = scene.log.of(self.task.request);
        let Some(outcome) = self.report(&record, faults) else {
            return Ok(None);
        };
        let Verdict::Succeeded(result) = outcome.verdict else {
            let (code, message) = match outcome.verdict {
                Verdict::Failed { fault, .. } => (fault.code, fault.message),
                Verdict::Succeeded(_) => Default::default(),
            };
            faults.push(format!(
                "it failed a task that must succeed ({code}: {message}): give a task document that \
                 it can value with --document"
            ));
            return Ok(None);
        };
        match record.final_answers().last().map(|last| &last.answer) {
            Some(Answer::Ack) => {}
            Some(other) => faults.push(format!(
                "it answered {} to a task that succeeded, so it runs again: answer +ACK",
                other.word()
            )),
            None => faults.push(
                "it reported the task and never answered it, so it runs again when its lease ends: \
                 answer +ACK after the report"
                    .to_owned(),
            ),
        }
        judge_result(scene, &result, faults).await?;
        Ok(Some(result))
    }

    /// The faults in an attempt that failed. Returns the consequence, where one was reported.
    pub fn failure(&self, record: &Record<'_>, faults: &mut Vec<String>) -> Option<Next> {
        let outcome = self.report(record, faults)?;
        let Verdict::Failed { fault, next } = outcome.verdict else {
            return None;
        };
        if fault.code.is_empty() {
            faults.push("the fault that it reported has no code: give a short one".to_owned());
        }
        let last = record
            .final_answers()
            .last()
            .map(|last| last.answer.clone());
        let last = last.as_ref();
        match (&next, last) {
            (Next::RetryAt(_), Some(Answer::Nak(delay))) if *delay > 0 => {}
            (Next::DispatchAt(_), Some(Answer::Ack))
            | (Next::DeadLetter(_), Some(Answer::Term)) => {}
            (Next::RetryAt(_), last) => faults.push(format!(
                "it reported `retry-at` and answered {}: NAK the task with the delay until then \
                 (-NAK {{\"delay\": nanoseconds}})",
                word(last)
            )),
            (Next::DispatchAt(_), last) => faults.push(format!(
                "it reported `dispatch-at` and answered {}: answer +ACK, because a timer sends the \
                 task again",
                word(last)
            )),
            (Next::DeadLetter(_), last) => faults.push(format!(
                "it reported a dead letter and answered {}: answer +TERM, so that the task never \
                 comes again",
                word(last)
            )),
        }
        Some(next)
    }
}

fn word(answer: Option<&Answer>) -> String {
    answer.map_or_else(|| "nothing".to_owned(), Answer::word)
}

/// The report must be stored before the task is answered.
fn order(record: &Record<'_>, report: &Reported, faults: &mut Vec<String>) {
    if report.reply.is_none() {
        faults.push(
            "it published its report without a reply subject, so it cannot know whether the broker \
             has it: publish through JetStream and await the ack"
                .to_owned(),
        );
    }
    // The delivery that counts is the last one that was answered, and its first answer counts.
    let answers = record.final_answers();
    let last = answers.last().map(|answered| answered.of);
    let Some(answered) = answers.iter().find(|answered| Some(answered.of) == last) else {
        return;
    };
    if answered.place < report.place {
        faults.push(format!(
            "it answered {} before it reported: a crash between the two loses the outcome, so report \
             first",
            answered.answer.word()
        ));
    } else if report.reply.is_some()
        && record
            .confirmed(report)
            .is_none_or(|at| answered.place < at)
    {
        faults.push(format!(
            "it answered {} before the broker had confirmed the report: await the ack of the report",
            answered.answer.word()
        ));
    }
}

/// The result must be where the report says, of the right size, and a result.
async fn judge_result(
    scene: &Scene<'_>,
    result: &Payload,
    faults: &mut Vec<String>,
) -> Result<(), Error> {
    if let Some(text) = result.inline().filter(|text| text.len() > INLINE_MAX_BYTES) {
        faults.push(format!(
            "its report has a result of {} bytes in it: store what is over {INLINE_MAX_BYTES} bytes \
             in the object store PAYLOADS, and report its hash and size",
            text.len()
        ));
    }
    let bytes = match scene.payloads.fetch(result).await {
        Ok(bytes) => bytes,
        Err(error) => {
            faults.push(format!(
                "the result that it reported cannot be fetched ({error}): store it before the report, \
                 under its SHA-256 and compressed with zstd"
            ));
            return Ok(());
        }
    };
    if bytes.len() as u64 != result.size() {
        faults.push(format!(
            "it reported a result of {} bytes, which has {}: the size is that before compression",
            result.size(),
            bytes.len()
        ));
    }
    if let Err(error) = check_result(&bytes, &Limits::default()) {
        faults.push(format!(
            "its result is none ({error}): a result is the task document with the results of its \
             valuation filled in"
        ));
    }
    Ok(())
}
