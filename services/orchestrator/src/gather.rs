//! The gather loop: it commits reports. All waiting reports of a request become one commit, so that
//! the last outcome of a group costs no more than the first.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use domain::access::Tenant;
use domain::request::{Report, RequestId, Verdict};
use nats::{Deliveries, Delivery, First, StoredReport};
use runtime::Shutdown;

use crate::contain::{self, End};
use crate::context::Context;
use crate::error::Error;
use crate::memory_budget::KEPT_MAX_BYTES;
use crate::outbox::{SIGNS_OF_LIFE, pause_before, signs_of_life, with_signs_of_life};
use crate::turns::{Turns, Waits};
use crate::{advance, border, dispatch, reconsider};

/// Approximate number of requests of a shard whose reports are processed at once.
const GATHERING: usize = 256;
/// The same where documents take much memory. Each turn may add a document, and the processors are
/// busy with fewer turns.
const GATHERING_FEW: usize = GATHERING / 4;
/// From this many bytes of documents on, no chunk of turns begins beyond the places.
const FEW_BYTES: usize = KEPT_MAX_BYTES / 4;
/// From this many bytes of documents on, fewer turns begin.
const MANY_BYTES: usize = KEPT_MAX_BYTES / 2;
/// From this many bytes of documents on, no turn begins while another one is under way.
const TURNS_MAX_BYTES: usize = KEPT_MAX_BYTES / 2 * 3;
/// How often the loop looks again whether documents have left room for a turn.
const ROOM_LOOK: Duration = Duration::from_millis(100);
/// The most reports that become one commit.
const REPORTS_PER_COMMIT: usize = 500;
/// The most bytes of reports that become one commit, as JSON. A broker message ends at 1 MiB, and
/// the commit also holds the events that follow from the reports.
const BYTES_PER_COMMIT: usize = 512 * 1024;
/// How much larger an event may be than the report that it is made from, in bytes.
const EVENT_BYTES: usize = 64;

impl Waits for StoredReport {
    fn delivery(&self) -> Option<&Delivery> {
        Some(&self.delivery)
    }
}

/// Processes reports until the shutdown begins, then finishes the work in progress and hands back
/// the rest.
pub async fn run(context: Arc<Context>, mut reports: Deliveries, shard: u8, shutdown: Shutdown) {
    let mut turns = Turns::new(context.weights());
    let suspects = &context.suspects;
    let mut waiting = suspects.reports.waiting_changes();
    let mut outside = context.outside.changes();
    let mut signs_of_life = signs_of_life(context.ack_wait);
    let pulse = context
        .metrics
        .pulses
        .begin("orchestrator", format!("gather-{shard}"));
    loop {
        pulse.turns();
        // Each turn may parse a document, and drops it at its end if the memory is used up.
        let fits = turns.under_way() == 0 || context.kept.bytes() < TURNS_MAX_BYTES;
        let without_place = suspects.reports.waiting() + context.outside.turns();
        let places = GATHERING + without_place;
        let next = |request, line: &mut VecDeque<StoredReport>| {
            let again = line.iter().any(|stored| stored.again);
            let alone = suspects.reports.is_suspect(request, again);
            next_batch(line, if alone { 1 } else { REPORTS_PER_COMMIT })
        };
        let at_most = match context.kept.bytes() {
            _ if !fits => 0,
            kept if kept < FEW_BYTES => places + Deliveries::CHUNK,
            kept if kept < MANY_BYTES => places,
            _ => GATHERING_FEW + without_place,
        };
        turns.begin(at_most, next, |request, batch| {
            let context = context.clone();
            // The future is large; box it so that only a pointer moves.
            Box::pin(async move { decide(&context, request, batch).await })
        });
        tokio::select! {
            chunk = reports.next(), if turns.under_way() < places && turns.have_room() && fits => {
                let Some(chunk) = chunk else { break };
                queue(&context, &mut turns, chunk).await;
            }
            _ = signs_of_life.tick() => {
                queue(&context, &mut turns, reports.arrived()).await;
                turns.show_signs_of_life().await;
            }
            () = turns.ended() => {}
            Ok(()) = waiting.changed() => {}
            Ok(()) = outside.changed() => {}
            () = tokio::time::sleep(ROOM_LOOK), if !fits => {}
            () = shutdown.softly() => break,
        }
    }
    let not_begun = turns.not_begun().into_iter().map(|stored| stored.delivery);
    // Another instance goes on while this one finishes.
    tokio::join!(
        reports.hand_back(not_begun.collect()),
        turns.finish(&shutdown)
    );
}

async fn queue(context: &Context, turns: &mut Turns<StoredReport>, reports: Vec<Delivery>) {
    for delivery in reports {
        match StoredReport::parse(delivery) {
            Ok(report) => {
                let tenant = context.tenant_of(report.request);
                turns.queue(tenant, report.request, report);
            }
            Err(unreadable) => {
                set_aside(context, &unreadable.delivery, &unreadable.error).await;
            }
        }
    }
}

async fn set_aside(context: &Context, delivery: &Delivery, reason: &nats::Error) {
    tracing::error!(error = %reason, "a report cannot be processed and becomes a dead letter");
    match set_aside_of_tenant(context, delivery, reason).await {
        Ok(_) => {
            context.metrics.orchestrator.reports.set_aside.inc();
            answer(delivery.terminate().await);
        }
        Err(error) => {
            tracing::warn!(%error, "could not store a report as a dead letter; it comes again");
        }
    }
}

/// Stores a report as a dead letter of the tenant of its request. Reports do not name the tenant. A
/// request whose log cannot be read names none either.
async fn set_aside_of_tenant(
    context: &Context,
    delivery: &Delivery,
    reason: &nats::Error,
) -> Result<String, nats::Error> {
    let tenant = match delivery.request() {
        None => Tenant::default(),
        Some(request) => match context.log.load(request).await {
            Ok(loaded) => loaded.state().tenant(),
            Err(error) if error.is_transient() => return Err(error),
            Err(_) => Tenant::default(),
        },
    };
    let letters = &context.dead_letters;
    letters.set_aside_of(&tenant, delivery, reason).await
}

/// The reports of one commit: at most `most`, and at least one message. Suspects are taken one by
/// one, so that a mark names the report that ended a process.
fn next_batch(reports: &mut VecDeque<StoredReport>, most: usize) -> Vec<StoredReport> {
    let (mut bytes, mut count) = (0, 0);
    let mut batch = Vec::new();
    while let Some(stored) = reports.front() {
        bytes += stored.delivery.body().len() + EVENT_BYTES * stored.reports.len();
        count += stored.reports.len();
        let too_many = count > most || bytes > BYTES_PER_COMMIT;
        if too_many && !batch.is_empty() {
            break;
        }
        batch.extend(reports.pop_front());
    }
    batch
}

/// Moves large results that a foreign worker sent inline into the object store.
async fn by_reference(context: &Context, reports: &mut [Report]) -> Result<(), Error> {
    for report in reports {
        if let Some(text) = large_result(report) {
            let bytes = text.as_bytes().to_vec();
            let stored = context.place_stored(bytes).await?;
            if let Report::Outcome(outcome) = report {
                outcome.verdict = Verdict::Succeeded(stored);
            }
        }
    }
    Ok(())
}

fn large_result(report: &Report) -> Option<&str> {
    let Report::Outcome(outcome) = report else {
        return None;
    };
    let Verdict::Succeeded(result) = &outcome.verdict else {
        return None;
    };
    result
        .inline()
        .filter(|text| text.len() > nats::INLINE_MAX_BYTES)
}

async fn decide(context: &Arc<Context>, request: RequestId, batch: Vec<StoredReport>) {
    let again = batch.iter().any(|stored| stored.again);
    let suspect = context.suspects.reports.is_suspect(request, again);
    let (reports, deliveries): (Vec<Vec<Report>>, Vec<Delivery>) = batch
        .into_iter()
        .map(|stored| (stored.reports, stored.delivery))
        .unzip();
    let reports: Vec<Report> = reports.into_iter().flatten().collect();
    let counted = &context.metrics.orchestrator.reports;
    counted.batch.had(reports.len());
    let of = || match deliveries.first() {
        Some(first) => contain::what(first, "the work on report"),
        None => "the work on reports".into(),
    };
    let is_foreign = reports
        .iter()
        .any(|report| border::is_foreign(context, report));
    let work = pin!(advance(context, request, reports, is_foreign, &deliveries));
    let suspects = (&context.suspects.reports, First::Alone);
    let work = contain::contained(context, suspects, request, suspect, &of, work);
    // The work may have to wait for its turn, for a host, or for the object store.
    let every = context.ack_wait / SIGNS_OF_LIFE;
    let ended = with_signs_of_life(&deliveries, every, pin!(work)).await;
    let poisonous = match ended {
        Ok(End::Done) => {
            counted.done.inc_by(deliveries.len() as u64);
            for delivery in &deliveries {
                answer(delivery.ack().await);
            }
            return;
        }
        Ok(End::Failed(reason) | End::PassedOver(reason)) => nats::Error::Poisonous(reason),
        Err(Error::Unreadable(error)) => error,
        Err(error) => return self::again(context, request, &error, &deliveries).await,
    };
    for delivery in &deliveries {
        Box::pin(set_aside(context, delivery, &poisonous)).await;
    }
}

async fn advance(
    context: &Arc<Context>,
    request: RequestId,
    mut reports: Vec<Report>,
    is_foreign: bool,
    deliveries: &[Delivery],
) -> Result<(), Error> {
    if contain::has_failed(context, request).await? {
        let reason = "its request failed because another such report ended the process";
        return Err(Error::Unreadable(nats::Error::Poisonous(reason.into())));
    }
    for delivery in deliveries {
        runtime::strike("gather", delivery.body());
    }
    if is_foreign {
        let refused = Box::pin(border::refuse_unusable(context, request, &mut reports)).await;
        context.or_abort(request, refused).await?;
    }
    if reports.iter().any(reconsider::is_exhausted) {
        Box::pin(reconsider::given_up(context, request, &mut reports)).await?;
    }
    if reports.iter().any(|report| large_result(report).is_some()) {
        Box::pin(by_reference(context, &mut reports)).await?;
    }
    let mut due = false;
    note_fired(context, &reports);
    for report in &reports {
        if let Report::TaskDue { group, task, run } = report {
            due = true;
            let sent = Box::pin(dispatch::task(context, request, (*group, *task), *run)).await;
            context.or_abort(request, sent).await?;
        }
    }
    if due {
        context.let_go_above(request, KEPT_MAX_BYTES).await;
    }
    let advanced = advance::with_reports(context, request, reports).await;
    context.or_abort(request, advanced).await
}

/// Counts the timers among the reports.
fn note_fired(context: &Context, reports: &[Report]) {
    let timers = &context.metrics.orchestrator.timers;
    for report in reports {
        let kind = match report {
            Report::Outcome(_) => continue,
            Report::TaskDue { .. } => "task",
            Report::GroupTimedOut { .. } => "group",
            Report::RequestTimedOut { .. } => "request",
        };
        timers.fired(kind).inc();
    }
}

async fn again(context: &Context, request: RequestId, error: &Error, deliveries: &[Delivery]) {
    context.suspects.reports.survived(request, 0);
    let again = &context.metrics.orchestrator.reports.again;
    again.inc_by(deliveries.len() as u64);
    tracing::warn!(%request, %error, reports = deliveries.len(), "the reports of a request will be processed again");
    for delivery in deliveries {
        let delivered = delivery.place().map_or(1, |place| place.delivered);
        answer(delivery.nak(pause_before(delivered)).await);
    }
}

fn answer(answered: Result<(), nats::Error>) {
    if let Err(error) = answered {
        tracing::debug!(%error, "a report could not be answered; it comes again");
    }
}
