//! The questions about the whole system.

use domain::access::{Scope, Tenant};
use history::failures::Failures;
use history::recent::{Looked, Recent};
use history::source::Source;
use jiff::{SignedDuration, Timestamp};
use operations::Standing;

use super::Questions;
use crate::trouble::Trouble;

/// A setting of this process, as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingLine {
    /// Its name.
    pub name: &'static str,
    /// Its value; masked where it is secret.
    pub value: String,
    /// Where the value comes from.
    pub source: String,
    /// What it does.
    pub about: &'static str,
}

impl Questions {
    /// How the system stands, for visitors of a scope. `None` for a bundle, and where others than
    /// the tenant of the scope have requests too: it counts the requests and the queues of all.
    pub async fn standing_for(&self, scope: &Scope) -> Option<Standing> {
        if let Scope::One(tenant) = scope {
            let tenants = self.live.as_ref()?.views.tenants().await.ok()?;
            let is_only = tenant.is_default() && tenants.iter().all(Tenant::is_default);
            if !is_only {
                return None;
            }
        }
        self.standing().await
    }

    /// How the system stands; `None` for a bundle.
    pub async fn standing(&self) -> Option<Standing> {
        let (live, services) = (self.source.live()?, self.live.as_ref()?);
        let (connection, shards) = (&live.connection, live.log.shards());
        let (views, types) = (&services.views, &services.task_types);
        // It asks for so much that its future is boxed.
        let look = Standing::look(connection, views, &services.stuck, shards, types);
        Some(Box::pin(look).await)
    }

    /// What happened to the requests of a scope in the last day; in a bundle, in the last day of the
    /// bundle.
    pub async fn recent(&self, scope: &Scope, now: Timestamp) -> Result<Looked, Trouble> {
        match (&self.source, &self.live) {
            (Source::Live(_), Some(services)) => Ok(services.recent.look(scope, now).await?),
            (Source::Bundle(bundle), _) => {
                let mut recent = Recent::default();
                for commit in bundle.commits.iter().filter(|c| scope.includes(&c.tenant)) {
                    recent.take_in(commit);
                }
                Ok(Looked {
                    recent,
                    only_up_to: None,
                })
            }
            (Source::Live(_), None) => Err(Trouble::Away("there is no running system".into())),
        }
    }

    /// The failures of a scope in the last period of this length. The last commit of a bundle ends its period.
    pub async fn failures(
        &self,
        scope: &Scope,
        now: Timestamp,
        length: SignedDuration,
    ) -> Result<Failures, Trouble> {
        let closed = |_| Trouble::Away("the console is stopping".into());
        let _turn = self.scans.acquire().await.map_err(closed)?;
        let until = self.present(now);
        let since = until.checked_sub(length).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(Failures::of(&self.source, scope, since, until).await?)
    }

    /// Now; for a bundle, the time of its last commit.
    pub fn present(&self, now: Timestamp) -> Timestamp {
        match &self.source {
            Source::Live(_) => now,
            Source::Bundle(bundle) => {
                let times = bundle.commits.iter().map(|commit| commit.at);
                times.max().unwrap_or(now)
            }
        }
    }

    /// The settings of this process.
    pub fn settings(&self) -> &[SettingLine] {
        self.live
            .as_ref()
            .map_or(&[], |services| services.settings.as_slice())
    }
}
