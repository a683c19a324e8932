//! How far the view is behind the log.

use nats::{LogReader, Position};
use runtime::Settings;

use crate::log::{self, Live};
use crate::output::{count, short};
use crate::story::Story;

/// How far the view is behind the log.
pub struct Freshness {
    /// The sequence that the view has seen; none where there is no view.
    pub view: Result<Option<u64>, String>,
    /// Where the projector stands.
    pub projector: Option<Position>,
}

impl Freshness {
    pub async fn look(live: &Live, settings: &Settings, story: &Story) -> Self {
        let shard = story.id.partition().shard(live.log.shards());
        let views = async {
            let views = log::views(settings)
                .await
                .map_err(|error| error.to_string())?;
            let view = views.get(story.id).await;
            view.map(|view| view.map(|view| view.seq))
                .map_err(|error| error.to_string())
        };
        let projector = live.connection.log_position(shard, LogReader::Projector);
        let (view, projector) = futures::join!(views, projector);
        Self {
            view,
            projector: projector.ok(),
        }
    }

    pub fn told(&self, story: &Story) -> String {
        let log = story.commits.last().map_or(0, |commit| commit.sequence);
        let view = match &self.view {
            Err(reason) => format!("the view is not to be had ({})", short(reason, 80)),
            Ok(None) if story.view.status.is_terminal() => {
                "there is no view: it has expired, or Redis was emptied".into()
            }
            Ok(None) => "there is no view yet".into(),
            Ok(Some(seq)) if *seq >= log => format!("the view is as new as the log (at {seq})"),
            Ok(Some(seq)) => format!("the view is behind: at {seq}"),
        };
        let projector = self
            .projector
            .as_ref()
            .map_or_else(String::new, |position| {
                match position.pending + position.unacked {
                    0 => "; the projector has projected all there is".to_owned(),
                    behind => format!("; the projector is {} behind", count(behind, "commit")),
                }
            });
        format!("log at {log}; {view}{projector}")
    }
}
