use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{GroupIndex, TaskNumber};
use crate::access::{Subject, Tenant};

/// The number of fixed slices of the request ids. It is part of every subject and never changes.
pub const PARTITIONS: u8 = 64;

/// The identity of a request: a `UUIDv7`, or a `UUIDv5` of caller and idempotency key.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct RequestId(Uuid);

/// The namespace of the ids that are derived from an idempotency key.
const IDEMPOTENCY_NAMESPACE: Uuid = Uuid::from_u128(0x6f0d_52b4_9a0c_5f6e_8f4e_fa4f_01d0_0001);

/// The error for a text that is not a request id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "'{0}' is not a request id: a UUID such as 0199e0a1-2b3c-7d4e-8f50-617283940516 is expected"
)]
pub struct InvalidId(pub String);

impl RequestId {
    /// Makes an id from an existing UUID.
    #[must_use]
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The id derived from a caller's idempotency key. With it, the claim of the key and the first
    /// event are one write (`docs/http.md`, "Submitting once").
    #[must_use]
    pub fn of_key(caller: &str, key: &str) -> Self {
        // The length keeps ("a", "bc") and ("ab", "c") apart.
        let name = format!("{}:{caller}:{key}", caller.len());
        Self(Uuid::new_v5(&IDEMPOTENCY_NAMESPACE, name.as_bytes()))
    }

    /// The id derived from an idempotency key of a tenant, whose callers share their keys. In the
    /// tenant `default` it is the id that builds without tenants derived.
    #[must_use]
    pub fn of_tenant_key(tenant: &Tenant, key: &str) -> Self {
        match tenant.named() {
            None => Self::of_key(Subject::ANONYMOUS, key),
            // The name of a tenant has no colon, so no tenant takes the place of a caller.
            Some(name) => Self::of_key(&format!("tenant:{name}"), key),
        }
    }

    /// The UUID itself.
    #[must_use]
    pub const fn uuid(&self) -> Uuid {
        self.0
    }

    /// The partition of this id: FNV-1a over its bytes. Subjects contain it, so the function never
    /// changes.
    #[must_use]
    pub fn partition(&self) -> Partition {
        let hash = self
            .0
            .as_bytes()
            .iter()
            .fold(0x811c_9dc5_u32, |hash, byte| {
                (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
            });
        Partition(u8::try_from(hash % u32::from(PARTITIONS)).unwrap_or(0))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for RequestId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        // Only the hyphenated form is an id: one request has one spelling in URLs and subjects.
        match Uuid::try_parse(text) {
            Ok(uuid) if text.len() == 36 => Ok(Self(uuid)),
            _ => Err(InvalidId(text.chars().take(80).collect())),
        }
    }
}

/// One of the [`PARTITIONS`] fixed slices of the request ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(u8);

impl Partition {
    /// The number of the partition, from 0.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The shard that holds the partition when the log has this many shards.
    #[must_use]
    pub const fn shard(self, shards: u8) -> u8 {
        self.0 % shards
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The identity of a task: the request, the group, and the task within its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskId {
    /// The request of the task.
    pub request: RequestId,
    /// The group of the task.
    pub group: GroupIndex,
    /// The number of the task within the group.
    pub task: TaskNumber,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.request, self.group, self.task)
    }
}
