//! An operation as every face tells it.

use domain::access::Tenant;
use domain::bulk::{Item, ItemNumber, Operation, Pause, Phase, Plan, Selection, Target};
use domain::request::RequestId;
use serde::Serialize;
use serde_json::Value;

use super::Folded;

/// An operation as it is told.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// The operation.
    pub id: String,
    /// The tenant of every item, unless it is `default`.
    #[serde(skip_serializing_if = "Tenant::is_default")]
    pub tenant: Tenant,
    /// What it does to each item.
    pub action: &'static str,
    /// Where it stands.
    pub status: &'static str,
    /// The number of items. It is always the sum of the five that follow.
    pub selected: u32,
    /// The items that ended as the action wants it.
    pub done: u32,
    /// The items on which the action was taken, and that ended otherwise.
    pub failed: u32,
    /// The items for which the action was refused.
    pub refused: u32,
    /// The items on which the action was not taken.
    pub skipped: u32,
    /// The items of which it is not known how they end.
    pub pending: u32,
    /// The part of `pending` that runs again.
    pub running: u32,
    /// What would have happened to the items when they were selected.
    pub outlook: Value,
    /// The filter that made the selection.
    pub filter: Value,
    /// How it goes through its items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// Who paused or ended it, or why it paused or stopped itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who drafted it.
    pub by: String,
    /// The person for whom that caller says it acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// Why.
    pub reason: String,
    /// When it was drafted.
    pub drafted_at: String,
    /// When it was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When nothing more could happen to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
}

/// An item as it is told.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToldItem {
    /// Its position in the selection.
    pub item: ItemNumber,
    /// The request, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// The dead letter, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
    /// Its state.
    pub status: &'static str,
    /// Why it is in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Which items.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Only items in this state.
    pub status: Option<&'a str>,
    /// Only items from this one on.
    pub from: ItemNumber,
    /// How many at most.
    pub limit: usize,
}

/// Some items of an operation.
#[derive(Clone, Debug, Serialize)]
pub struct ItemsPage {
    /// The items, in order.
    pub items: Vec<ToldItem>,
    /// The item with which the next page begins.
    pub next: Option<ItemNumber>,
}

impl Folded {
    /// The operation as it is told; nothing where there is none.
    #[must_use]
    pub fn told(&self) -> Option<Told> {
        let operation = self.operation()?;
        let (drafted, counts) = (&operation.drafted, &operation.counts);
        Some(Told {
            id: self.id.to_string(),
            tenant: drafted.tenant.clone(),
            action: drafted.action.as_str(),
            status: operation.phase.as_str(),
            selected: counts.selected(),
            done: counts.done,
            failed: counts.failed,
            refused: counts.refused,
            skipped: counts.skipped,
            pending: counts.pending(),
            running: counts.running,
            outlook: serde_json::to_value(&drafted.outlook).unwrap_or_default(),
            filter: serde_json::from_str(&drafted.filter).unwrap_or_default(),
            plan: operation.plan,
            note: note(&operation.phase, counts.failed),
            by: drafted.actor.by.clone(),
            on_behalf_of: drafted.actor.on_behalf_of.clone(),
            reason: drafted.reason.clone(),
            drafted_at: self.drafted_at.to_string(),
            started_at: self.started_at.map(|at| at.to_string()),
            ended_at: self.ended_at.map(|at| at.to_string()),
        })
    }

    /// Some items of the operation.
    #[must_use]
    pub fn items(&self, selection: &Selection, page: Page<'_>) -> ItemsPage {
        let all = self.operation().into_iter().flat_map(Operation::items);
        let mut items: Vec<ToldItem> = all
            .zip(
                selection
                    .items
                    .iter()
                    .map(Some)
                    .chain(std::iter::repeat(None)),
            )
            .filter(|(recent, _)| recent.number >= page.from)
            .filter(|(recent, _)| page.status.is_none_or(|status| is(recent.item, status)))
            .take(page.limit.saturating_add(1))
            .map(|(recent, target)| ToldItem {
                item: recent.number,
                request_id: match target {
                    Some(Target::Request { id, .. }) => Some(*id),
                    _ => None,
                },
                dead_letter: match target {
                    Some(Target::Letter(id)) => Some(id.clone()),
                    _ => None,
                },
                status: recent.item.as_str(),
                reason: recent.reason.map(str::to_owned),
            })
            .collect();
        let next = items.get(page.limit).map(|next| next.item);
        items.truncate(page.limit);
        ItemsPage { items, next }
    }
}

impl Told {
    /// The counts in words.
    #[must_use]
    pub fn counts(&self) -> String {
        format!(
            "{} selected: {} done, {} failed, {} refused, {} skipped, {} pending",
            self.selected, self.done, self.failed, self.refused, self.skipped, self.pending
        )
    }
}

/// Whether an item is in a state. `pending` is every state before an end.
fn is(item: Item, status: &str) -> bool {
    item.as_str() == status || (status == "pending" && !item.has_ended())
}

fn note(phase: &Phase, failed: u32) -> Option<String> {
    match phase {
        Phase::Draft | Phase::Running | Phase::Completed => None,
        Phase::Paused(Pause::By(actor)) => Some(format!("paused by {}", actor.by)),
        Phase::Paused(Pause::Canary(failed)) => Some(format!(
            "paused: {failed} of the canary failed; look at why, and resume or cancel it"
        )),
        Phase::Cancelled { actor, reason } if reason.is_empty() => {
            Some(format!("cancelled by {}", actor.by))
        }
        Phase::Cancelled { actor, reason } => Some(format!("cancelled by {}: {reason}", actor.by)),
        Phase::Stopped => Some(format!("stopped: {failed} failed")),
    }
}
