//! What a visitor can do with a request: each action as a link, or off with the reason.

use domain::access::Action;
use domain::request::Status;
use maud::{Markup, html};

use super::Facts;
use crate::origin::Origin;
use crate::urls;
use crate::visit::Visit;

pub fn actions(visit: &Visit, facts: &Facts) -> Markup {
    let status = facts.story.view.status.plain();
    let never = nothing_goes(visit, facts);
    let of_status = |fits: bool, reason: &str| (!fits).then(|| reason.to_owned());
    let all = [
        (
            "redrive",
            "Redrive…",
            of_status(status == Status::Failed, "it has not failed"),
        ),
        (
            "cancel",
            "Cancel…",
            of_status(!status.is_terminal(), "it has ended"),
        ),
        ("fork", "Fork…", None),
    ];
    html! {
        div.actions role="group" aria-label="Actions" {
            @for (name, title, off) in &all {
                @let off = never.as_ref().or(off.as_ref());
                @match off {
                    Some(reason) => span.off { s { (title.trim_end_matches('…')) } @if never.is_none() { " " small { (reason) } } },
                    None => a.do href=(url(visit, facts, name)) { (title) },
                }
            }
            @if let Some(never) = &never { small.faint { (never) } }
        }
    }
}

fn url(visit: &Visit, facts: &Facts, name: &str) -> String {
    let at = visit
        .fields
        .get("at")
        .map_or_else(String::new, |at| format!("?at={}", urls::part(at)));
    format!("{}/{name}{at}", urls::request(facts.story.id))
}

/// Why nothing can be done at all.
fn nothing_goes(visit: &Visit, facts: &Facts) -> Option<String> {
    if matches!(facts.origin, Origin::Bundle { .. }) {
        return Some("A bundle is a file: nothing in it can be changed.".into());
    }
    if visit.fields.get("at").is_some() {
        return Some("Actions are off in the past.".into());
    }
    let role = visit.lacks(Action::Operate, &facts.story.view.tenant)?;
    let who = visit.who.subject();
    Some(format!(
        "{who} may not operate: the role {role} is missing."
    ))
}
