//! The JSON of a view: one flat object, for the stage of a rebuild and for `fanfold replay show`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::access::Tenant;
use domain::request::{GroupIndex, Payload, RequestId, Sequence, Status};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::view::{FailureView, GroupView, RequestStatus, View};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Flat<'a> {
    request_id: RequestId,
    status: Status,
    seq: Sequence,
    group_count: u32,
    current_group: Option<GroupIndex>,
    received_at: Timestamp,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    attempts: u64,
    failed_tasks: u64,
    #[serde(default)]
    redriven: bool,
    groups: Cow<'a, [GroupView]>,
    failure: Option<Cow<'a, FailureView>>,
    response: Option<Cow<'a, Payload>>,
    metadata: Cow<'a, BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Tenant::is_default")]
    tenant: Tenant,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    submitter: Option<Cow<'a, str>>,
    idempotency_key: Option<Cow<'a, str>>,
}

impl Serialize for View {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let flat = Flat {
            request_id: self.request_id,
            status: self.status.plain(),
            seq: self.seq,
            group_count: self.group_count,
            current_group: self.current_group,
            received_at: self.received_at,
            started_at: self.started_at,
            completed_at: self.completed_at,
            attempts: self.attempts,
            failed_tasks: self.failed_tasks,
            redriven: self.redriven,
            groups: Cow::Borrowed(&self.groups),
            failure: self.failure().map(Cow::Borrowed),
            response: self.response().map(Cow::Borrowed),
            metadata: Cow::Borrowed(&self.metadata),
            tenant: self.tenant.clone(),
            submitter: self.submitter.as_deref().map(Cow::Borrowed),
            idempotency_key: self.idempotency_key.as_deref().map(Cow::Borrowed),
        };
        flat.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for View {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let flat = Flat::deserialize(deserializer)?;
        let status = match flat.status {
            Status::Received => RequestStatus::Received,
            Status::Running => RequestStatus::Running,
            Status::Succeeded => RequestStatus::Succeeded {
                response: end(flat.response, "response")?,
            },
            Status::Failed => RequestStatus::Failed {
                failure: end(flat.failure, "failure")?,
            },
            Status::Cancelled => RequestStatus::Cancelled,
        };
        Ok(Self {
            request_id: flat.request_id,
            status,
            seq: flat.seq,
            group_count: flat.group_count,
            current_group: flat.current_group,
            received_at: flat.received_at,
            started_at: flat.started_at,
            completed_at: flat.completed_at,
            attempts: flat.attempts,
            failed_tasks: flat.failed_tasks,
            redriven: flat.redriven,
            groups: flat.groups.into_owned(),
            metadata: flat.metadata.into_owned(),
            tenant: flat.tenant,
            submitter: flat.submitter.map(Cow::into_owned),
            idempotency_key: flat.idempotency_key.map(Cow::into_owned),
        })
    }
}

/// The outcome of a request that has ended.
fn end<T: Clone, E: de::Error>(found: Option<Cow<'_, T>>, name: &'static str) -> Result<T, E> {
    let found = found.ok_or_else(|| E::missing_field(name))?;
    Ok(found.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_view_without_its_outcome_is_invalid() {
        let view = View::new(
            RequestId::of_key("a", "b"),
            Sequence::new(1),
            Timestamp::UNIX_EPOCH,
        );
        let running = serde_json::to_string(&view).unwrap();
        for (status, whole) in [
            ("received", true),
            ("cancelled", true),
            ("succeeded", false),
            ("failed", false),
        ] {
            let json = running.replace("received\"", &format!("{status}\""));
            let read = serde_json::from_str::<View>(&json);
            assert_eq!(read.is_ok(), whole, "{json}");
        }
    }
}
