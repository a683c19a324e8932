//! The frame around every page.

use maud::{DOCTYPE, Markup, html};

use crate::commands::Shown;
use crate::origin::Origin;
use crate::part::icon;
use crate::visit::{Theme, Visit};
use crate::{assets, urls};

/// The parts of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Overview,
    Requests,
    Failures,
    DeadLetters,
    System,
}

impl Part {
    const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Overview, "Overview", "/console/"),
        (Self::Requests, "Requests", urls::REQUESTS),
        (Self::Failures, "Failures", "/console/failures"),
        (Self::DeadLetters, "Dead letters", urls::DEAD_LETTERS),
        (Self::System, "System", urls::SYSTEM),
    ];
}

/// What a page adds to the frame.
pub struct Page {
    pub part: Option<Part>,
    pub title: String,
    pub body: Markup,
    /// The commands that say the same.
    pub commands: Vec<Shown>,
}

/// The whole page.
pub fn document(origin: &Origin, visit: &Visit, page: &Page) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-theme=(visit.theme.name()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) " · Fanfold" }
                link rel="icon" href=(assets::icon()) type="image/svg+xml";
                link rel="stylesheet" href=(assets::style());
                meta name="changes" content=(assets::changes());
                script type="module" src=(assets::script()) {}
                script type="module" src=(assets::live()) {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                (top(origin, visit, page))
                @let bands = bands(origin);
                @if !bands.is_empty() {
                    aside aria-label="What to know first" {
                        @for band in &bands { p.band { (icon::warning()) (band) } }
                    }
                }
                main #main tabindex="-1" { (page.body) }
                @if !page.commands.is_empty() { (commands(&page.commands)) }
            }
        }
    }
}

fn top(origin: &Origin, visit: &Visit, page: &Page) -> Markup {
    html! {
        header.top {
            a.mark href="/console/" { (icon::mark()) span { "Fanfold" } }
            nav aria-label="Parts of the console" {
                @for (part, name, path) in Part::ALL {
                    @let here = page.part == Some(part);
                    a href=(path) aria-current=[here.then_some("page")] { (name) }
                }
            }
            form.search action="/console/requests" role="search" {
                label.unseen for="search" { "Search requests" }
                input #search name="q" type="search" placeholder="id, or status:failed label:x-desk=rates since:2h"
                    autocomplete="off" spellcheck="false" value=[visit.fields.get("q")];
                @if let Some(tenant) = visit.fields.get("tenant") { input type="hidden" name="tenant" value=(tenant); }
            }
            (who(origin, visit))
            (themes(visit))
        }
    }
}

fn who(origin: &Origin, visit: &Visit) -> Markup {
    let subject = visit.who.subject().as_str();
    html! {
        @match origin {
            Origin::Live { tells_callers_apart: true, .. } => {
                span.who { (subject) }
                form method="post" action="/console/sign-out" { button type="submit" { "Sign out" } }
            }
            Origin::Live { .. } | Origin::Bundle { .. } => {}
        }
    }
}

/// The links that change the theme. A browser keeps the choice in a cookie.
fn themes(visit: &Visit) -> Markup {
    let all = [
        (Theme::System, "Auto"),
        (Theme::Light, "Light"),
        (Theme::Dark, "Dark"),
    ];
    html! {
        nav.themes aria-label="Colors" {
            @for (theme, name) in all {
                @let here = theme == visit.theme;
                a href=(visit.with("theme", Some(theme.name()))) rel="nofollow" aria-current=[here.then_some("true")] { (name) }
            }
        }
    }
}

/// What everybody must know before anything else.
fn bands(origin: &Origin) -> Vec<String> {
    match origin {
        Origin::Live {
            tells_callers_apart: true,
            ..
        } => Vec::new(),
        Origin::Live { .. } => vec![
            "Callers are not told apart: everybody who reaches this page can act as anyone. \
             Set AUTH_KEYS_FILE or AUTH_ISSUER to change that."
                .to_owned(),
        ],
        Origin::Bundle {
            file,
            redacted,
            damage,
        } => {
            let masked = if *redacted {
                " Its documents are masked."
            } else {
                ""
            };
            let read = format!("This is the bundle {file}, not a running system.{masked}");
            let damaged = damage.as_ref().map(|damage| format!("{file}: {damage}."));
            std::iter::once(read).chain(damaged).collect()
        }
    }
}

fn commands(commands: &[Shown]) -> Markup {
    html! {
        section.commands aria-label="This page as a command" {
            h2 { "This page as a command" }
            @for shown in commands {
                p.command {
                    span.kind { (shown.kind) }
                    code { (shown.line) }
                    button.copy type="button" hidden data-copy=(shown.line) { "Copy" }
                }
            }
        }
    }
}
