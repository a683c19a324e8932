//! How full the broker's storage is, where it has a limit.

use async_nats::jetstream::account::Account;
use async_nats::jetstream::stream::DiscardPolicy;

use crate::topology::PAYLOADS;
use crate::{Connection, Error, Topology};

/// Storage that has a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Its name.
    pub what: String,
    /// How many bytes it has.
    pub used: u64,
    /// The most bytes that it may have.
    pub limit: u64,
}

impl Connection {
    /// The account, the shards of the log and the payloads, as far as each has a limit. A stream
    /// that drops its oldest messages never becomes full.
    pub async fn filled(&self, shards: u8) -> Result<Vec<Filled>, Error> {
        let account = self.jetstream.query_account().await;
        let mut filled = of_account(&account.map_err(|error| self.failed("INFO", error))?);
        let log = (0..shards).map(Topology::log_stream);
        for name in log.chain([format!("OBJ_{PAYLOADS}")]) {
            let stream = self.described(&name).await?;
            let info = stream.cached_info();
            let limit = u64::try_from(info.config.max_bytes).unwrap_or(0);
            if limit > 0 && info.config.discard == DiscardPolicy::New {
                filled.push(Filled {
                    what: format!("the stream {name}"),
                    used: info.state.bytes,
                    limit,
                });
            }
        }
        Ok(filled)
    }
}

/// The storage limits of the account, each of its tiers included.
fn of_account(account: &Account) -> Vec<Filled> {
    let whole = (String::new(), account.storage, account.limits.max_storage);
    let tiers = account.tiers.iter().map(|(name, tier)| {
        let name = format!(" (tier {name})");
        (name, tier.storage, tier.limits.max_storage)
    });
    let limited = tiers.chain([whole]).filter_map(|(name, used, limit)| {
        let limit = limit.and_then(|limit| u64::try_from(limit).ok())?;
        (limit > 0).then(|| Filled {
            what: format!("the storage of the NATS account{name}"),
            used,
            limit,
        })
    });
    limited.collect()
}
