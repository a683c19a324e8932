//! What is wrong now, in words, with the page that shows it and with what helps.

use history::words::{count, duration};
use jiff::SignedDuration;
use operations::Alarm;

use crate::urls;

/// The sentence.
pub fn words(alarm: &Alarm) -> String {
    match alarm {
        Alarm::BrokerAway(reason) => format!("NATS does not answer, so nothing goes on: {reason}."),
        Alarm::NearlyFull(filled) => format!(
            "{} is nearly full: {} of {} bytes.",
            filled.what, filled.used, filled.limit
        ),
        Alarm::NoOrchestrator { shard, waiting } => format!(
            "No orchestrator continues the requests of shard {shard}: {} wait.",
            count(*waiting, "commit")
        ),
        Alarm::NoWorker { task_type, waiting } => format!(
            "No worker asks for tasks of type {task_type}: {} wait.",
            count(*waiting, "task")
        ),
        Alarm::Stuck { requests, first } => format!(
            "{} no progress for longer than timeouts explain, the first since {}.",
            if *requests == 1 {
                "1 request has made".into()
            } else {
                format!("{requests} requests have made")
            },
            history::words::time(first.last_progress_at)
        ),
        Alarm::ViewsStopped(views) => format!(
            "{} stopped at a commit that cannot be read or projected.",
            if *views == 1 {
                "1 view is".into()
            } else {
                format!("{views} views are")
            }
        ),
        Alarm::Unreadable(commits) => format!(
            "{} of the log cannot be read by this version.",
            count(*commits as u64, "commit")
        ),
        Alarm::NoProjector { shard, waiting } => format!(
            "No projector follows shard {shard}: {} are missing in the views and the feed.",
            count(*waiting, "commit")
        ),
        Alarm::Behind(age) => format!(
            "The views and the feed are {} behind the log.",
            duration(SignedDuration::try_from(*age).unwrap_or_default())
        ),
        Alarm::RedisAway(reason) => {
            format!(
                "Redis does not answer or takes no writes ({reason}). Answers come from the log."
            )
        }
        Alarm::Clock(skew) => format!("The clock of the console's machine is wrong: {skew}."),
    }
}

/// What helps.
pub fn advice(alarm: &Alarm) -> &'static str {
    match alarm {
        Alarm::BrokerAway(_) => "What was accepted is on its disk. Start it again.",
        Alarm::NearlyFull(_) => {
            "Submissions are refused at nine tenths. Raise the limit, or let old requests expire."
        }
        Alarm::NoOrchestrator { .. } => "Start `fanfold orchestrator`.",
        Alarm::NoWorker { .. } => "Start a worker that has this type.",
        Alarm::Stuck { .. } => "Open it for the reason.",
        Alarm::ViewsStopped(_) => "Start a version that can read it; requests themselves go on.",
        Alarm::Unreadable(_) => "Run `fanfold replay verify`.",
        Alarm::NoProjector { .. } => "Start `fanfold projector`.",
        Alarm::Behind(_) => "Nothing is lost: readers are served from the log.",
        Alarm::RedisAway(_) => "Nothing is lost: the views are folds of the log.",
        Alarm::Clock(_) => "Times of attempts and ages on these pages are off by as much.",
    }
}

/// The page that shows it.
pub fn url(alarm: &Alarm) -> String {
    match alarm {
        Alarm::Stuck { first, .. } => urls::request(first.request_id),
        Alarm::NoWorker { task_type, .. } => {
            urls::filtered(&format!("type:{task_type} status:running"))
        }
        _ => urls::SYSTEM.to_owned(),
    }
}
