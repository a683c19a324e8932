//! The questions about many requests.

use domain::access::Action;
use domain::request::{RequestId, Sequence};
use history::filter::Filter;
use history::listing::{self, ListFilter, ListPage, RequestIndex};
use history::live::Live;
use history::search::{self, Found};
use history::source::Source;
use jiff::Timestamp;
use nats::Commit;
use projections::{Placed, View};

use super::{Questions, Services};
use crate::trouble::Trouble;
use crate::visit::Visit;

/// A page of the list.
#[derive(Debug)]
pub struct Listed {
    pub page: ListPage,
    /// Whether a part of it comes from the log alone, because Redis does not have it.
    pub from_log: bool,
}

impl Questions {
    /// A page of the list of requests.
    pub async fn list(
        &self,
        visit: &Visit,
        filter: &ListFilter,
        cursor: Option<Placed>,
        limit: usize,
    ) -> Result<Listed, Trouble> {
        let scope = visit.reach(Action::Read)?.scope;
        let sees = |view: &View| {
            scope.includes(&view.tenant) && visit.sees(&view.tenant, view.submitter.as_deref())
        };
        let (live, services) = match (&self.source, &self.live) {
            (Source::Live(live), Some(services)) => (live, services),
            (Source::Bundle(bundle), _) => {
                let page = listing::of_bundle(bundle, filter, cursor, limit, sees);
                return Ok(Listed {
                    page,
                    from_log: true,
                });
            }
            (Source::Live(_), None) => {
                return Err(Trouble::Away("there is no running system".into()));
            }
        };
        let shards = live.log.shards();
        let views = &services.views;
        let index =
            RequestIndex::read(&live.connection, shards, views, &scope, &self.scans).await?;
        let view = |request, reached| services.view(live, request, reached);
        let page = index.page(filter, cursor, limit, sees, view).await?;
        Ok(Listed {
            page,
            from_log: index.is_from_log(),
        })
    }

    /// The requests since a time whose log the filter accepts, among those that the visitor may
    /// see.
    pub async fn find(
        &self,
        visit: &Visit,
        filter: Filter,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Found>, Trouble> {
        let closed = |_| Trouble::Away("the console is stopping".into());
        let _turn = self.scans.acquire().await.map_err(closed)?;
        let reach = visit.reach(Action::Read)?;
        let filter = Filter {
            tenant: reach.scope.only().cloned().into_iter().collect(),
            submitter: reach.own_only.then(|| visit.who.subject().clone()),
            ..filter
        };
        Ok(search::find(&self.source, &filter, since, limit).await?)
    }
}

impl Services {
    /// The view of a request, from Redis or folded from the log.
    async fn view(
        &self,
        live: &Live,
        request: RequestId,
        reached: Sequence,
    ) -> Result<Option<View>, Trouble> {
        if let Ok(Some(view)) = self.views.get(request).await
            && view.seq >= reached
        {
            return Ok(Some(view));
        }
        let commits = live.log.read(request, Sequence::NONE).await?;
        Ok(projections::fold(
            None,
            commits.iter().flat_map(Commit::recorded),
        ))
    }
}
