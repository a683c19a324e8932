//! The questions of the pages to the ring.

mod letters;
mod list;
mod system;

use std::sync::Arc;

use domain::access::{Action, Tenant};
use domain::request::{GroupOutline, Payload, RequestId};
use history::bundle::Bundle;
use history::freshness::Freshness;
use history::live::Live;
use history::point::Point;
use history::recent::RecentWatch;
use history::source::Source;
use history::story::Story;
use history::why::Explanation;
use operations::{Operations, StuckWatch};
use projections::Store;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::Semaphore;

use crate::trouble::Trouble;
use crate::visit::Visit;
pub use list::Listed;
pub use system::SettingLine;

/// How many visitors may have a range of the log read at once. Further ones wait.
const SCANS_MAX: usize = 2;
/// How many events the stories in memory may have together.
const CACHED_EVENTS_MAX: u64 = 500_000;
/// How many stories may be in memory.
const CACHED_STORIES: usize = 64;

/// What answers the pages.
pub struct Questions {
    source: Source,
    live: Option<Services>,
    scans: Semaphore,
    stories: Cache<RequestId, Arc<Story>, Events>,
}

/// Takes a run of a request with these groups from the quotas of a tenant. The error says which quota
/// is used up.
pub type TakeQuota = Box<dyn Fn(&Tenant, &[GroupOutline]) -> Result<(), String> + Send + Sync>;

/// What only a running system has.
struct Services {
    views: Store,
    operations: Operations,
    task_types: Vec<String>,
    stuck: StuckWatch,
    recent: RecentWatch,
    settings: Vec<SettingLine>,
    take_quota: TakeQuota,
}

/// Weighs a story by its events.
#[derive(Clone)]
struct Events;

impl Weighter<RequestId, Arc<Story>> for Events {
    fn weight(&self, _: &RequestId, story: &Arc<Story>) -> u64 {
        let events: usize = story.commits.iter().map(|commit| commit.events.len()).sum();
        events.max(1) as u64
    }
}

impl Questions {
    /// Answers from a running system that has these task types, settings and quotas.
    #[must_use]
    pub fn live(
        live: Live,
        views: Store,
        operations: Operations,
        stuck: StuckWatch,
        task_types: Vec<String>,
        settings: Vec<SettingLine>,
        take_quota: TakeQuota,
    ) -> Self {
        let services = Services {
            views,
            operations,
            task_types,
            stuck,
            recent: RecentWatch::new(live.connection.clone(), live.log.shards()),
            settings,
            take_quota,
        };
        Self::new(Source::Live(Box::new(live)), Some(services))
    }

    /// Answers from a bundle.
    #[must_use]
    pub fn bundle(bundle: Bundle) -> Self {
        Self::new(Source::Bundle(Box::new(bundle)), None)
    }

    fn new(source: Source, live: Option<Services>) -> Self {
        Self {
            source,
            live,
            scans: Semaphore::new(SCANS_MAX),
            stories: Cache::with_weighter(CACHED_STORIES, CACHED_EVENTS_MAX, Events),
        }
    }

    /// The source of the answers.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The bytes of a payload.
    pub async fn payload(&self, payload: &Payload) -> Result<Vec<u8>, Trouble> {
        Ok(self.source.payload(payload).await?)
    }

    /// The commands, where there is a running system.
    pub fn operations(&self) -> Option<&Operations> {
        self.live.as_ref().map(|services| &services.operations)
    }

    /// Takes a run of a request from the quotas of its tenant.
    pub fn take_quota(&self, tenant: &Tenant, groups: &[GroupOutline]) -> Result<(), Trouble> {
        let Some(services) = &self.live else {
            return Ok(());
        };
        (services.take_quota)(tenant, groups).map_err(Trouble::Exceeded)
    }

    /// A request up to now. For a visitor who may not see it, it does not exist.
    pub async fn story(&self, visit: &Visit, id: RequestId) -> Result<Arc<Story>, Trouble> {
        let absent = || {
            Trouble::NotFound(format!(
                "there is no request {id}: it was never submitted, or it is older than what the \
                 log keeps"
            ))
        };
        let story = match self.newest(id).await {
            Err(Trouble::NotFound(_)) => return Err(absent()),
            story => story?,
        };
        if visit.sees(&story.view.tenant, story.view.submitter.as_deref()) {
            return Ok(story);
        }
        Err(absent())
    }

    /// As `story`, for a visitor who wants to change the request.
    pub async fn changeable(&self, visit: &Visit, id: RequestId) -> Result<Arc<Story>, Trouble> {
        let story = self.story(visit, id).await?;
        visit.check(Action::Operate, &story.view.tenant)?;
        Ok(story)
    }

    /// A request up to the point that the visitor chose, and up to now.
    pub async fn then(&self, visit: &Visit, id: RequestId) -> Result<Then, Trouble> {
        let whole = self.story(visit, id).await?;
        let Some(at) = visit.fields.get("at") else {
            let story = whole.clone();
            return Ok(Then { story, whole });
        };
        let point: Point = at.parse().map_err(Trouble::Unclear)?;
        let story = Story::of(id, whole.commits.clone(), Some(point))?;
        let story = Arc::new(story);
        Ok(Then { story, whole })
    }

    async fn newest(&self, id: RequestId) -> Result<Arc<Story>, Trouble> {
        let known = self.stories.get(&id);
        let Source::Live(live) = &self.source else {
            if let Some(known) = known {
                return Ok(known);
            }
            return Ok(self.keep(Story::of(id, self.source.commits(id).await?, None)?));
        };
        let Some(known) = known else {
            return Ok(self.keep(Story::of(id, live.commits(id).await?, None)?));
        };
        let last = live.log.last_sequence(id).await?;
        if last == known.sequence() {
            return Ok(known);
        }
        Ok(self.keep(Story::of(id, live.commits(id).await?, None)?))
    }

    fn keep(&self, story: Story) -> Arc<Story> {
        let story = Arc::new(story);
        self.stories.insert(story.id, story.clone());
        story
    }

    /// Why a request is where it is. Where the broker does not answer, the log alone does.
    pub async fn why(&self, story: &Story) -> Explained {
        let (Source::Live(live), Some(services)) = (&self.source, &self.live) else {
            return Explained::of_log(story);
        };
        match Explanation::now(live, &services.task_types, story).await {
            Ok(explanation) => Explained {
                explanation,
                without: None,
            },
            Err(error) => Explained {
                without: Some(error.to_string()),
                ..Explained::of_log(story)
            },
        }
    }

    /// How far the view of a request is behind its log; `None` in a bundle.
    pub async fn freshness(&self, id: RequestId) -> Option<Freshness> {
        let services = self.live.as_ref()?;
        let views = async { Ok(services.views.clone()) };
        Some(Freshness::look(self.source.live()?, views, id).await)
    }
}

/// A request at a point.
pub struct Then {
    /// Up to the point.
    pub story: Arc<Story>,
    /// Up to now.
    pub whole: Arc<Story>,
}

/// The answer to "why".
pub struct Explained {
    pub explanation: Explanation,
    /// Why the broker's evidence is missing.
    pub without: Option<String>,
}

impl Explained {
    /// The answer from the log alone.
    pub fn of_log(story: &Story) -> Self {
        Self {
            explanation: Explanation::of_log(story),
            without: None,
        }
    }
}
