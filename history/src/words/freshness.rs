//! How far the view is behind the log, in words.

use crate::freshness::Freshness;
use crate::story::Story;

use super::{count, short};

/// How far the view of a request is behind its log.
#[must_use]
pub fn freshness(freshness: &Freshness, story: &Story) -> String {
    let log = story.sequence();
    let view = match &freshness.view {
        Err(reason) => {
            let reason = short(&reason.to_string(), 80);
            format!("the view is unavailable ({reason})")
        }
        Ok(None) if story.view.status.is_terminal() => {
            "there is no view: it has expired, or Redis was emptied".into()
        }
        Ok(None) => "there is no view yet".into(),
        Ok(Some(seq)) if *seq >= log => format!("the view is as new as the log (at {seq})"),
        Ok(Some(seq)) => format!("the view is behind: at {seq}"),
    };
    let projector =
        freshness
            .projector
            .as_ref()
            .map_or_else(String::new, |position| {
                match position.pending + position.unacked {
                    0 => "; the projector has projected every commit".to_owned(),
                    behind => format!("; the projector is {} behind", count(behind, "commit")),
                }
            });
    format!("log at {log}; {view}{projector}")
}
