use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use domain::request::{RequestId, Status};
use jiff::Timestamp;
use projections::{FailureView, GroupStatus, View};
use serde::Serialize;

use crate::failure::Problem;
use crate::read::parse_id;
use crate::state::Api;

/// Where a request stands, as callers read it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusBody {
    request_id: RequestId,
    status: Status,
    group_count: u32,
    current_group: Option<u32>,
    received_at: Timestamp,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    attempts: u64,
    failed_tasks: u64,
    groups: Vec<GroupBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupBody {
    name: Option<String>,
    expected: u32,
    completed: u32,
    failed: u32,
    status: GroupStatus,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
}

impl From<View> for StatusBody {
    fn from(view: View) -> Self {
        Self {
            request_id: view.request_id,
            status: view.status,
            group_count: view.group_count,
            current_group: view.current_group,
            received_at: view.received_at,
            started_at: view.started_at,
            completed_at: view.completed_at,
            attempts: view.attempts,
            failed_tasks: view.failed_tasks,
            groups: view
                .groups
                .into_iter()
                .map(|group| GroupBody {
                    name: group.name,
                    expected: group.expected,
                    completed: group.completed,
                    failed: group.failed,
                    status: group.status,
                    started_at: group.started_at,
                    completed_at: group.completed_at,
                })
                .collect(),
            failure: view.failure,
        }
    }
}

/// `GET /valuation/{id}/status`
pub async fn status(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<StatusBody>, Problem> {
    let id = parse_id(&id)?;
    let view = api.view(id, 0).await?.ok_or_else(|| Problem::unknown(id))?;
    Ok(Json(view.into()))
}
