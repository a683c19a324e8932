use async_nats::jetstream::account::{Account, Limits};
use async_nats::jetstream::object_store;
use async_nats::jetstream::stream::{self, DiscardPolicy, StorageType};

use super::limits;
use crate::Topology;
use crate::size::MESSAGE_MAX_BYTES;
use crate::topology::{
    DEAD_LETTERS, DEPLOYMENT, LIFECYCLE, OPERATIONS, QUARANTINE, REPORTS, TASKS, WEBHOOKS,
};

/// The fewest unacked messages that a consumer must be allowed. Fanfold uses more where it may.
const ACK_PENDING_LEAST: i64 = 1_000;
/// How many consumers a log needs in addition to its two readers, for scans that run at the same
/// time.
const SCANS: usize = 4;
/// The least memory that the reports need, in bytes.
const REPORTS_LEAST: i64 = 16 * MIB;
/// The most memory that the reports get where every stream must have a limit, in bytes.
const REPORTS_MOST: i64 = 256 * MIB;
/// The least storage that a stream on disk needs, in bytes.
const STORED_LEAST: i64 = 16 * MIB;
const MIB: i64 = 1024 * 1024;

/// The share of the account's storage that each stream gets where each must have a limit, in
/// hundredths. The broker's own additions take the rest. The shards of the log divide their share.
const LOG_SHARE: i64 = 40;
const PAYLOADS_SHARE: i64 = 40;
const LIFECYCLE_SHARE: i64 = 10;
const DEAD_LETTERS_SHARE: i64 = 5;
const OPERATIONS_SHARE: i64 = 1;
const QUARANTINE_SHARE: i64 = 1;
const DEPLOYMENT_SHARE: i64 = 1;
const WEBHOOKS_SHARE: i64 = 1;

/// What is wrong with a broker that takes only messages of this many bytes.
pub(super) fn too_small(max_payload: usize) -> Option<String> {
    (max_payload < MESSAGE_MAX_BYTES).then(|| {
        format!(
            "its messages may have {max_payload} bytes, and must be allowed {MESSAGE_MAX_BYTES}: \
             set max_payload: 1MB, which is its default"
        )
    })
}

/// The account, with everything about it that does not fit.
pub(super) struct Look<'a> {
    topology: &'a Topology,
    pub limits: Option<Limits>,
    /// The memory, storage and streams that the account uses or has reserved.
    memory: i64,
    stored: i64,
    streams: usize,
    /// How many times the account pays for each stored byte: once per replica, unless its limits
    /// are set per tier.
    copies: i64,
    pub unfit: Vec<String>,
}

impl<'a> Look<'a> {
    pub fn of(account: &Account, topology: &'a Topology) -> Self {
        let replicas = topology.replicas;
        let mut unfit = Vec::new();
        let limits = limits(account, replicas);
        let tier = account.tiers.get(&format!("R{replicas}"));
        let streams = tier.map_or(account.streams, |tier| tier.streams);
        let memory = tier.map_or([account.memory, account.reserved_memory], |tier| {
            [tier.memory, tier.reserved_memory]
        });
        let stored = tier.map_or([account.storage, account.reserved_storage], |tier| {
            [tier.storage, tier.reserved_storage]
        });
        if limits.is_none() {
            unfit.push(format!(
                "the account may have no streams with {replicas} replicas (it has no tier \
                 R{replicas}): set REPLICAS, or give it that tier"
            ));
        }
        let most = |of: [u64; 2]| i64::try_from(of[0].max(of[1])).unwrap_or(i64::MAX);
        Self {
            topology,
            limits,
            memory: most(memory),
            stored: most(stored),
            streams,
            copies: if account.tiers.is_empty() {
                i64::try_from(replicas).unwrap_or(1)
            } else {
                1
            },
            unfit,
        }
    }

    fn limit(&self, of: impl Fn(&Limits) -> Option<i64>) -> Option<i64> {
        self.limits.as_ref().and_then(of).filter(|limit| *limit > 0)
    }

    pub fn messages(&mut self, max_payload: usize) {
        self.unfit.extend(too_small(max_payload));
    }

    /// A log begins in a domain that an operator has named. A leaf node with a domain of its own
    /// would otherwise get a second, empty log, beside the log of its hub.
    pub fn domain(&mut self, domain: &str, begins: bool) {
        if begins {
            self.unfit.push(format!(
                "the JetStream of this server has the domain {domain}, and no log of Fanfold: set \
                 NATS_DOMAIN={domain} to begin one there, or to the domain of the server that has \
                 yours"
            ));
        }
    }

    pub fn streams(&mut self, missing: usize) {
        let Some(limit) = self.limit(|limits| limits.max_streams) else {
            return;
        };
        let wanted = self.streams + missing;
        if missing > 0 && i64::try_from(wanted).unwrap_or(i64::MAX) > limit {
            self.unfit.push(format!(
                "the account may have {limit} streams, has {}, and {missing} are to be made: set \
                 max_streams to {wanted} or more",
                self.streams
            ));
        }
    }

    pub fn consumers(&mut self) {
        let shards = usize::from(self.topology.shards);
        let types = self.topology.task_types.len();
        let wanted = (2 + SCANS).max(shards).max(types);
        if let Some(limit) = self.limit(|limits| limits.max_consumers)
            && i64::try_from(wanted).unwrap_or(i64::MAX) > limit
        {
            self.unfit.push(format!(
                "a stream may have {limit} consumers, and needs {wanted}: set max_consumers to \
                 that or more"
            ));
        }
        if let Some(limit) = self.limit(|limits| Some(limits.max_ack_pending))
            && limit < ACK_PENDING_LEAST
        {
            self.unfit.push(format!(
                "a consumer may have {limit} unacked messages, and must be allowed \
                 {ACK_PENDING_LEAST}: raise max_ack_pending"
            ));
        }
    }

    pub fn memory(&mut self, missing: &mut [&mut stream::Config]) {
        let of = |missing: &[&mut stream::Config], name: &str| {
            missing.iter().any(|stream| stream.name == name)
        };
        let tasks = self.topology.tasks_max_bytes;
        let tasks = if of(missing, TASKS) { tasks } else { 0 };
        let reports = if of(missing, REPORTS) {
            REPORTS_LEAST
        } else {
            0
        };
        let mut room = REPORTS_MOST;
        if let Some(limit) = self.limit(|limits| limits.max_memory) {
            let free = (limit - self.memory) / self.copies;
            if tasks + reports > free {
                self.unfit.push(format!(
                    "the account has {free} bytes of memory left, and the queues need {}: set \
                     max_memory to {} or more, or TASKS_MAX_BYTES to less than {tasks}",
                    tasks + reports,
                    self.memory + (tasks + reports) * self.copies,
                ));
            }
            room = room.min(free - tasks);
        }
        if let Some(limit) = self.limit(|limits| limits.memory_max_stream_bytes) {
            if tasks > limit {
                self.unfit.push(format!(
                    "a stream in memory may have {limit} bytes, and TASKS is to have {tasks}: \
                     set memory_max_stream_bytes to that or more, or TASKS_MAX_BYTES to less"
                ));
            }
            room = room.min(limit);
        }
        if self.limits.is_some_and(|limits| limits.max_bytes_required) {
            for stream in missing.iter_mut().filter(|stream| stream.name == REPORTS) {
                // A stream with schedules cannot refuse new messages, so it drops its oldest. The
                // first to go is the mark that says the queue is whole. Queue recovery then fills
                // the queue again.
                stream.max_bytes = room.max(REPORTS_LEAST);
            }
        }
    }

    pub fn storage(
        &mut self,
        missing: &mut [&mut stream::Config],
        bucket: Option<&mut object_store::Config>,
    ) {
        let on_disk = missing
            .iter_mut()
            .filter(|stream| stream.storage == StorageType::File);
        let mut on_disk: Vec<&mut stream::Config> = on_disk.map(|stream| &mut **stream).collect();
        let count = on_disk.len() + usize::from(bucket.is_some());
        let least = STORED_LEAST * i64::try_from(count).unwrap_or(1);
        let limit = self.limit(|limits| limits.max_storage);
        let free = limit.map(|limit| (limit - self.stored) / self.copies);
        if let Some(free) = free.filter(|free| *free < least) {
            self.unfit.push(format!(
                "the account has {free} bytes of storage left, and needs {least} at the very \
                 least: raise max_file"
            ));
            return;
        }
        if count == 0 || !self.limits.is_some_and(|limits| limits.max_bytes_required) {
            return;
        }
        let Some(limit) = limit else {
            self.unfit.push(
                "the account wants a limit on every stream (max_bytes_required) and has no \
                 storage limit that could be shared out: set max_file"
                    .into(),
            );
            return;
        };
        let largest = self.limit(|limits| limits.storage_max_stream_bytes);
        let share = |hundredths: i64| {
            let share = limit / self.copies / 100 * hundredths;
            share.min(largest.unwrap_or(share))
        };
        let mut sizes = Vec::new();
        for stream in &mut on_disk {
            let (bytes, discard) = match stream.name.as_str() {
                LIFECYCLE => (share(LIFECYCLE_SHARE), DiscardPolicy::Old),
                DEAD_LETTERS => (share(DEAD_LETTERS_SHARE), DiscardPolicy::Old),
                OPERATIONS => (share(OPERATIONS_SHARE), DiscardPolicy::Old),
                QUARANTINE => (share(QUARANTINE_SHARE), DiscardPolicy::Old),
                DEPLOYMENT => (share(DEPLOYMENT_SHARE), DiscardPolicy::Old),
                WEBHOOKS => (share(WEBHOOKS_SHARE), DiscardPolicy::Old),
                // A full log refuses new commits. It must not drop old commits to make room.
                _ => {
                    let shards = i64::from(self.topology.shards);
                    (share(LOG_SHARE) / shards, DiscardPolicy::New)
                }
            };
            stream.max_bytes = bytes.max(STORED_LEAST);
            stream.discard = discard;
            sizes.push(stream.max_bytes);
        }
        if let Some(bucket) = bucket {
            bucket.max_bytes = share(PAYLOADS_SHARE).max(STORED_LEAST);
            sizes.push(bucket.max_bytes);
        }
        let (all, free) = (sizes.iter().sum::<i64>(), free.unwrap_or(limit));
        if all > free {
            self.unfit.push(format!(
                "the account has {free} bytes of storage left, and the streams are to have {all} \
                 together: raise max_file"
            ));
        }
    }
}
