//! The page of one request.

mod actions;
mod audit;
pub mod document;
mod documents;
mod events;
pub mod group;
mod groups;
mod head;
mod scrubber;
mod story;
pub mod task;
mod tasks;
mod why;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use domain::request::RequestId;
use history::freshness::Freshness;
use history::story::Story;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::Console;
use crate::commands::{Shown, cli, curl, quoted};
use crate::fields::Fields;
use crate::frame::{Page, Part};
use crate::origin::Origin;
use crate::part;
use crate::questions::{Explained, Then};
use crate::trouble::Trouble;
use crate::visit::Visit;

/// The tabs of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tab {
    Story,
    Tasks,
    Events,
    Documents,
    Audit,
}

impl Tab {
    const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Story, "story", "Story"),
        (Self::Tasks, "tasks", "Tasks"),
        (Self::Events, "events", "Events"),
        (Self::Documents, "documents", "Documents"),
        (Self::Audit, "audit", "Audit"),
    ];

    fn of(visit: &Visit) -> Self {
        let asked = visit.fields.get("tab").unwrap_or_default();
        let found = Self::ALL.into_iter().find(|(_, name, _)| *name == asked);
        found.map_or(Self::Story, |(tab, ..)| tab)
    }
}

/// What the page of a request is made from.
pub struct Facts<'a> {
    /// The request up to the point that the visitor chose.
    pub story: &'a Story,
    /// The request up to now.
    pub whole: &'a Story,
    pub explained: &'a Explained,
    pub freshness: Option<&'a Freshness>,
    pub origin: &'a Origin,
}

impl Facts<'_> {
    /// Now, or the time of the point that the visitor chose.
    pub fn present(&self, visit: &Visit) -> Timestamp {
        match visit.fields.get("at") {
            Some(_) => self.story.last_at(),
            None => visit.now,
        }
    }
}

/// Shows a request.
pub async fn show(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
    visit: Visit,
) -> Response {
    let page = page(&console, &visit, &id).await;
    console.answer(&visit, page)
}

/// The id in a path.
pub fn parse_id(text: &str) -> Result<RequestId, Trouble> {
    text.parse()
        .map_err(|error: domain::request::InvalidId| Trouble::Unclear(error.to_string()))
}

async fn page(console: &Console, visit: &Visit, id: &str) -> Result<Page, Trouble> {
    let Then { story, whole } = console.questions.then(visit, parse_id(id)?).await?;
    let (explained, freshness) = if story.later > 0 {
        // The broker knows how things are, and not how they were.
        (Explained::of_log(&story), None)
    } else {
        futures::join!(
            console.questions.why(&story),
            console.questions.freshness(story.id)
        )
    };
    let facts = Facts {
        story: &story,
        whole: &whole,
        explained: &explained,
        freshness: freshness.as_ref(),
        origin: &console.origin,
    };
    Ok(Page {
        part: Some(Part::Requests),
        title: title(&story),
        body: body(visit, &facts),
        commands: commands(visit, &facts),
    })
}

/// The title: the status first, for a row of tabs.
fn title(story: &Story) -> String {
    let id = story.id.to_string();
    let tail = id.get(24..).unwrap_or(&id).to_owned();
    format!("{} · …{tail}", story.view.status.as_str())
}

/// The content of the page.
pub fn body(visit: &Visit, facts: &Facts) -> Markup {
    let tab = Tab::of(visit);
    html! {
        @if visit.fields.get("at").is_none() { (part::topic(&format!("request:{}", facts.story.id))) }
        (scrubber::band(visit, facts))
        div data-live="head" { (head::head(visit, facts)) }
        div data-live="scrubber" { (scrubber::scrubber(visit, facts)) }
        div data-live="why" { (why::why(visit, facts)) }
        div data-live="groups" { (groups::groups(facts.story, facts.present(visit))) }
        nav.tabs aria-label="About this request" {
            @for (each, name, title) in Tab::ALL {
                @let url = tab_url(visit, name);
                a href=(url) aria-current=[(each == tab).then_some("page")] { (title) }
            }
        }
        div data-live="tab" {
            @match tab {
                Tab::Story => (story::story(facts.story)),
                Tab::Tasks => (tasks::tasks(visit, facts.story)),
                Tab::Events => (events::events(visit, facts.story)),
                Tab::Documents => (documents::documents(facts.story)),
                Tab::Audit => (audit::audit(facts.story)),
            }
        }
    }
}

/// Another tab at the same point.
fn tab_url(visit: &Visit, name: &str) -> String {
    let fields = Fields::default().with("at", visit.fields.get("at"));
    format!(
        "{}{}",
        visit.uri.path(),
        fields.with("tab", Some(name)).query()
    )
}

/// The commands that say the same as the page.
fn commands(visit: &Visit, facts: &Facts) -> Vec<Shown> {
    let (id, flag) = (facts.story.id, facts.origin.flag());
    if let Some(at) = visit.fields.get("at") {
        let at = quoted(at);
        return vec![
            cli(format!("fanfold replay show {id} --at {at}{flag}")),
            cli(format!("fanfold replay state {id} --at {at}{flag}")),
        ];
    }
    let mut commands = vec![
        cli(format!("fanfold replay why {id}{flag}")),
        cli(format!("fanfold replay show {id}{flag}")),
    ];
    if Tab::of(visit) == Tab::Events {
        commands.push(cli(format!(
            "fanfold replay show {id} --unfolded --json{flag}"
        )));
    }
    if let Some(api) = facts.origin.api() {
        let path = match Tab::of(visit) {
            Tab::Tasks => "tasks",
            Tab::Events => "events",
            Tab::Story | Tab::Documents | Tab::Audit => "status",
        };
        commands.push(curl(format!("curl {api}/valuation/{id}/{path}")));
    }
    commands
}
