//! The list of requests, newest first: from the index in Redis, joined with the part of the log
//! that the index does not cover.

use std::collections::{BTreeMap, BTreeSet};

use domain::access::{Scope, Tenant};
use domain::request::{RequestId, Sequence, Status};
use futures::future::try_join_all;
use jiff::Timestamp;
use nats::{Commit, Connection, Scan};
use projections::{Placed, Store, View};
use tokio::sync::Semaphore;

use crate::Error;
use crate::bundle::Bundle;

/// How many requests the list examines together.
const CHUNK: usize = 200;
/// How many commits one read of the log returns.
const SCAN_CHUNK: usize = 1_000;
/// How many requests one answer examines. When few of them match, a page may be short and still
/// have a next page.
pub const LOOKED_AT_MAX: usize = 10_000;
/// A page ends after this many bytes of metadata.
const METADATA_MAX_BYTES: usize = 1024 * 1024;

/// The requests that a list has. An empty filter takes every request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Only requests with this status.
    pub status: Option<Status>,
    /// Only requests received at this time or later.
    pub since: Option<Timestamp>,
    /// Only requests received before this time.
    pub until: Option<Timestamp>,
    /// Only requests with this metadata: the name in lower case, and the value unless any will do.
    pub label: Option<(String, Option<String>)>,
    /// Only requests that failed with this code.
    pub failure: Option<String>,
}

impl ListFilter {
    /// Whether the filter takes a request.
    #[must_use]
    pub fn takes(&self, view: &View) -> bool {
        let code = view.failure().map(|failure| &failure.failure.code);
        self.status
            .is_none_or(|status| view.status.plain() == status)
            && self.since.is_none_or(|since| view.received_at >= since)
            && self.until.is_none_or(|until| view.received_at < until)
            && (self.failure.is_none() || self.failure.as_ref() == code)
            && self.label.as_ref().is_none_or(|(name, value)| {
                let found = view.metadata.get(name);
                found.is_some_and(|found| value.as_ref().is_none_or(|value| found == value))
            })
    }

    /// The position below which a page begins that continues after `cursor`.
    #[must_use]
    pub fn below(&self, cursor: Option<Placed>) -> Option<Placed> {
        let until = self.until.map(|until| Placed {
            // A nil id sorts below every other id. The page therefore includes the requests in the
            // microsecond of `until`, and none in the next microsecond.
            micros: until.as_microsecond().saturating_add(1),
            request: RequestId::new(uuid::Uuid::nil()),
        });
        match (cursor, until) {
            (Some(cursor), Some(until)) => Some(cursor.min(until)),
            (cursor, until) => cursor.or(until),
        }
    }
}

/// A page of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPage {
    /// The requests, newest first.
    pub views: Vec<View>,
    /// How many requests were examined.
    pub looked_at: usize,
    /// When the last examined request was received.
    pub back_to: Option<Timestamp>,
    /// The position after which the next page begins; `None` at the end.
    pub next: Option<Placed>,
}

/// The index of all requests. It joins the index in Redis with the part of the log that the index
/// does not cover. When Redis is empty or unavailable, that part is the whole log.
pub struct RequestIndex<'a> {
    store: &'a Store,
    /// The indexes to read, each of a tenant and a shard.
    indexes: Vec<(Tenant, u8)>,
    /// Whether a shard is in no index.
    from_log: bool,
    /// The requests that the index does not have yet.
    begun: BTreeSet<Placed>,
    /// The last sequence of each request that has new commits since then.
    reached: BTreeMap<RequestId, Sequence>,
}

impl<'a> RequestIndex<'a> {
    /// Reads the part of the log that the index does not cover. Reading a whole log takes time and
    /// memory, so callers take turns.
    pub async fn read(
        connection: &Connection,
        shards: u8,
        store: &'a Store,
        scope: &Scope,
        turns: &Semaphore,
    ) -> Result<Self, Error> {
        let mut indexed = Vec::new();
        let mut index = Self {
            store,
            indexes: Vec::new(),
            from_log: false,
            begun: BTreeSet::new(),
            reached: BTreeMap::new(),
        };
        for shard in 0..shards {
            let noted = store.checkpoint(shard).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "the index cannot be read; reading the log");
                Sequence::NONE
            });
            if noted > Sequence::NONE {
                indexed.push(shard);
            } else {
                index.from_log = true;
            }
            let closed = |_| Error::Unreachable("the list cannot be made now".into());
            let _turn = turns.acquire().await.map_err(closed)?;
            index.read_log(connection, shard, noted.next()).await?;
        }
        if !indexed.is_empty() {
            let tenants = match scope {
                Scope::One(tenant) => vec![tenant.clone()],
                Scope::Every => store.tenants().await.map_err(index_is_away)?,
            };
            for tenant in tenants {
                let of_tenant = indexed.iter().map(|shard| (tenant.clone(), *shard));
                index.indexes.extend(of_tenant);
            }
        }
        Ok(index)
    }

    /// Whether a part of the list comes from the log alone, because Redis does not have it.
    #[must_use]
    pub fn is_from_log(&self) -> bool {
        self.from_log
    }

    async fn read_log(
        &mut self,
        connection: &Connection,
        shard: u8,
        from: Sequence,
    ) -> Result<(), Error> {
        let mut scan = Scan::open(connection, shard, from, Sequence::MAX).await?;
        while let Some(commits) = scan.next_each(SCAN_CHUNK).await? {
            // A commit that cannot be read must not hide the others.
            for commit in commits.into_iter().flatten() {
                if commit.previous == Sequence::NONE {
                    self.begun.insert(Placed::new(commit.request, commit.at));
                }
                self.reached.insert(commit.request, commit.sequence);
            }
        }
        Ok(())
    }

    /// The next requests below a position, newest first.
    async fn chunk(&self, below: Option<Placed>, since: i64) -> Result<Vec<Placed>, Error> {
        let begun = self.begun.iter().rev();
        let mut chunk: BTreeSet<Placed> = begun
            .filter(|place| below.is_none_or(|below| **place < below) && place.micros >= since)
            .take(CHUNK)
            .copied()
            .collect();
        for (tenant, shard) in &self.indexes {
            let newest = self.store.newest((tenant, *shard), below, since, CHUNK);
            chunk.extend(newest.await.map_err(index_is_away)?);
        }
        Ok(chunk.into_iter().rev().take(CHUNK).collect())
    }

    /// At most `limit` requests below the position `cursor` that the filter and `sees` take. `view`
    /// returns the view of a request that is at least as new as a sequence, or nothing where the
    /// request has expired.
    pub async fn page<E, F>(
        &self,
        filter: &ListFilter,
        cursor: Option<Placed>,
        limit: usize,
        sees: impl Fn(&View) -> bool,
        view: impl Fn(RequestId, Sequence) -> F,
    ) -> Result<ListPage, E>
    where
        E: From<Error>,
        F: Future<Output = Result<Option<View>, E>>,
    {
        let mut page = ListPage::default();
        let mut below = filter.below(cursor);
        let since = filter.since.map_or(0, Timestamp::as_microsecond);
        let mut metadata_bytes = 0;
        loop {
            let chunk = self.chunk(below, since).await?;
            let views = chunk.iter().map(|place| {
                let reached = self.reached.get(&place.request).copied();
                view(place.request, reached.unwrap_or(Sequence::NONE))
            });
            let views = try_join_all(views).await?;
            for (place, view) in chunk.iter().zip(views) {
                page.looked_at += 1;
                below = Some(*place);
                page.back_to = Timestamp::from_microsecond(place.micros).ok();
                if let Some(view) = view.filter(|view| sees(view) && filter.takes(view)) {
                    metadata_bytes += metadata_of(&view);
                    page.views.push(view);
                }
                if page.views.len() == limit || metadata_bytes >= METADATA_MAX_BYTES {
                    page.next = below;
                    return Ok(page);
                }
            }
            if page.looked_at >= LOOKED_AT_MAX {
                page.next = below;
                return Ok(page);
            }
            if chunk.len() < CHUNK {
                return Ok(page);
            }
        }
    }
}

#[allow(clippy::needless_pass_by_value)] // It is what `map_err` calls.
fn index_is_away(error: projections::Error) -> Error {
    tracing::warn!(%error, "the request index in Redis became unavailable");
    Error::Unreachable("the list cannot be made now; try again".into())
}

fn metadata_of(view: &View) -> usize {
    let lengths = view
        .metadata
        .iter()
        .map(|(name, value)| name.len() + value.len());
    lengths.sum()
}

/// At most `limit` requests of a bundle below the position `cursor` that the filter and `sees` take.
#[must_use]
pub fn of_bundle(
    bundle: &Bundle,
    filter: &ListFilter,
    cursor: Option<Placed>,
    limit: usize,
    sees: impl Fn(&View) -> bool,
) -> ListPage {
    let views = bundle.requests().into_iter().filter_map(|request| {
        let commits = bundle.commits_of(request);
        projections::fold(None, commits.iter().flat_map(Commit::recorded))
    });
    let mut views: Vec<View> = views.filter(sees).collect();
    let placed = |view: &View| Placed::new(view.request_id, view.received_at);
    views.sort_by_key(|view| std::cmp::Reverse(placed(view)));
    let mut page = ListPage::default();
    for view in views {
        let place = placed(&view);
        if filter.below(cursor).is_some_and(|below| place >= below) {
            continue;
        }
        if page.views.len() == limit {
            break;
        }
        page.looked_at += 1;
        page.back_to = Some(view.received_at);
        page.next = Some(place);
        if filter.takes(&view) {
            page.views.push(view);
        }
    }
    if page.views.len() < limit {
        page.next = None;
    }
    page
}
