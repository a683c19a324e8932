//! Stories about tasks that fail.

use domain::request::{Attempt, AttemptNumber, Fault, Next, Payload, Run, TaskId};
use jiff::Timestamp;
use nats::{Attempts, DeadLetter};

use super::alike::{plain, takes_none};
use super::verdict;
use crate::judge::Expected;
use crate::passed::Answer;
use crate::scene::{Scene, new_task};
use crate::{Error, Verdict};

/// The worker that wrote the letter that is there.
const ANOTHER: &str = "another-worker";

fn failing(scene: &Scene<'_>) -> Payload {
    Payload::from(scene.options.documents.failing.as_str())
}

/// Sends the document that must fail, after this many attempts. Returns the consequence that the
/// worker reported, and what it got wrong. Without a failure there is a verdict already.
async fn fail(
    scene: &mut Scene<'_>,
    with: Attempts,
    faults: &mut Vec<String>,
) -> Result<Result<(TaskId, Option<Next>), Verdict>, Error> {
    let document = failing(scene);
    let task = scene.send_payload(&document, with, &[]).await?;
    scene.until_settled(task).await?;
    let record = scene.log.of(task.request);
    if record.deliveries().is_empty() {
        return Ok(Err(takes_none(scene)));
    }
    let expected = Expected {
        attempt: with.before.get() + 1,
        run: with.run.get(),
        ..Expected::first(scene, task, &document)
    };
    let next = expected.failure(&record, faults);
    let reports = record.reports();
    let outcome = reports
        .last()
        .and_then(|report| report.outcome.as_ref().ok());
    if outcome.is_some_and(|of| matches!(of.verdict, domain::request::Verdict::Succeeded(_))) {
        let why = "the worker values the document that must fail: give a task document that it \
                   cannot value with --failing FILE";
        return Ok(Err(Verdict::NotChecked(why.to_owned())));
    }
    Ok(Ok((task, next)))
}

pub async fn failure(scene: &mut Scene<'_>) -> Result<Verdict, Error> {
    let mut faults = Vec::new();
    let (task, next) = match fail(scene, Attempts::default(), &mut faults).await? {
        Ok(failed) => failed,
        Err(verdict) => return Ok(verdict),
    };
    if let Some(Next::DeadLetter(id)) = next {
        judge_letter(scene, task, Run::FIRST, &id, &mut faults).await?;
    }
    Ok(verdict(faults))
}

pub async fn last(scene: &mut Scene<'_>) -> Result<Verdict, Error> {
    let most = scene.options.attempts;
    let mut faults = Vec::new();
    let with = Attempts {
        before: AttemptNumber::new(most - 1),
        run: Run::new(3),
        earlier: AttemptNumber::NONE,
        again: false,
    };
    let (task, next) = match fail(scene, with, &mut faults).await? {
        Ok(failed) => failed,
        Err(verdict) => return Ok(verdict),
    };
    match next {
        Some(Next::DeadLetter(id)) => {
            judge_letter(scene, task, with.run, &id, &mut faults).await?;
        }
        Some(Next::RetryAt(_) | Next::DispatchAt(_)) => faults.push(format!(
            "attempt {most} of {most} failed, and it wants another one: publish a dead letter to \
             dead-letters.<type>.<request>.<group>.<task>.<run>, report it, and answer +TERM \
             (--attempts says how many attempts the type has)"
        )),
        // What is wrong is said already.
        None => {}
    }
    Ok(verdict(faults))
}

/// The letter must be there, readable and about the task, and older than the report.
async fn judge_letter(
    scene: &Scene<'_>,
    task: TaskId,
    run: Run,
    id: &str,
    faults: &mut Vec<String>,
) -> Result<(), Error> {
    let wanted = format!("{task}.{run}");
    if id != wanted {
        faults.push(format!(
            "it reported the dead letter '{id}': its id is <request>.<group>.<task>.<run>, {wanted}"
        ));
    }
    let record = scene.log.of(task.request);
    let place = record.reports().first().map(|report| report.place);
    match record.letter() {
        None => faults.push(format!(
            "it reported a dead letter that it did not publish: publish it to dead-letters.{}.{wanted} \
             and await its ack first",
            scene.options.task_type
        )),
        Some((letter, _)) if place.is_some_and(|report| report < letter) => faults.push(
            "it reported the dead letter before it had published it: publish the letter, await its \
             ack, and report then"
                .to_owned(),
        ),
        Some((_, false)) => faults.push(
            "it published the dead letter without Nats-Expected-Last-Subject-Sequence: 0, so it may \
             replace the letter of another worker"
                .to_owned(),
        ),
        Some((_, true)) => {}
    }
    if record.letter().is_none() {
        return Ok(());
    }
    let found = scene
        .letters
        .find(&scene.options.task_type, task, run)
        .await?;
    let Some(found) = found else {
        faults.push(format!(
            "the dead letter cannot be read, or is not at dead-letters.{}.{wanted}: \
             docs/worker-protocol.md, \"The dead letter\", has its form",
            scene.options.task_type
        ));
        return Ok(());
    };
    if found.attempts.is_empty() {
        faults.push("the dead letter has no attempt: write the last one into it".to_owned());
    }
    if found.document != failing(scene) {
        faults.push(
            "the dead letter does not have the task document: nobody can look at the task later"
                .to_owned(),
        );
    }
    Ok(())
}

pub async fn earlier(scene: &mut Scene<'_>) -> Result<Verdict, Error> {
    let mut faults = Vec::new();
    match fail(scene, Attempts::default(), &mut Vec::new()).await? {
        Ok((_, Some(Next::DeadLetter(_)))) => {
            let why = "the worker never tries the document that must fail again";
            return Ok(Verdict::NotChecked(why.to_owned()));
        }
        Ok(_) => {}
        Err(verdict) => return Ok(verdict),
    }
    let made = AttemptNumber::new(scene.options.attempts + 2);
    let with = Attempts {
        before: made,
        earlier: made,
        run: Run::new(1),
        again: false,
    };
    match fail(scene, with, &mut faults).await? {
        Ok((_, Some(Next::DeadLetter(_)))) => faults.push(format!(
            "it gave a task up at the first attempt after a redrive: only the attempts beyond \
             Fanfold-Earlier-Attempts ({made}) count"
        )),
        Ok(_) => {}
        Err(verdict) => return Ok(verdict),
    }
    Ok(verdict(faults))
}

pub async fn letter(scene: &mut Scene<'_>) -> Result<Verdict, Error> {
    let (task, document) = (new_task(), plain(scene));
    let attempt = Attempt {
        attempt: AttemptNumber::new(1),
        worker: ANOTHER.to_owned(),
        started_at: Timestamp::now(),
        duration_ms: 1,
        fault: Fault {
            code: "no-such-curve".into(),
            message: "there is no such curve".into(),
            causes: vec!["EUR-6M".into()],
        },
    };
    let letter = DeadLetter {
        tenant: domain::access::Tenant::default(),
        task,
        run: Run::FIRST,
        task_type: scene.options.task_type.clone(),
        document: document.clone(),
        attempts: vec![attempt.clone()],
        sequence: None,
        truncated: false,
        exhausted: false,
    };
    scene.letters.keep(letter).await?;
    let with = Attempts {
        before: AttemptNumber::new(1),
        ..Attempts::default()
    };
    scene.send_as(task, &document, with, &[]).await?;
    scene.until_settled(task).await?;
    let record = scene.log.of(task.request);
    if record.deliveries().is_empty() {
        return Ok(takes_none(scene));
    }
    let mut faults = Vec::new();
    let expected = Expected::first(scene, task, &document);
    let reports = record.reports();
    let outcome = reports
        .last()
        .and_then(|report| report.outcome.as_ref().ok());
    let ran = "it ran a task whose dead letter is there: before a second attempt look at \
               dead-letters.<type>.<request>.<group>.<task>.<run>, report what the letter says, and \
               answer +TERM";
    match outcome.map(|of| &of.verdict) {
        Some(domain::request::Verdict::Failed { .. }) => {
            let next = expected.failure(&record, &mut faults);
            if !matches!(next, Some(Next::DeadLetter(_))) {
                faults = vec![ran.to_owned()];
            } else if outcome.is_some_and(|of| of.worker != ANOTHER) {
                faults.push(format!(
                    "it reported the dead letter of {ANOTHER} as its own attempt: report the attempt, \
                     the worker, the times and the fault that the letter has"
                ));
            }
        }
        Some(_) => faults.push(ran.to_owned()),
        None => {
            expected.failure(&record, &mut faults);
            let last = record.final_answers();
            if last.last().is_some_and(|last| last.answer == Answer::Term) {
                faults.push(ran.to_owned());
            }
        }
    }
    Ok(verdict(faults))
}
