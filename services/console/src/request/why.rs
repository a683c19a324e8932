//! Why a request is where it is, with the evidence and with what can be done.

use history::next::{self, Step};
use history::why::Evidence;
use history::words;
use maud::{Markup, html};

use super::Facts;
use crate::urls;
use crate::visit::Visit;

pub fn why(visit: &Visit, facts: &Facts) -> Markup {
    let (story, why) = (facts.story, &facts.explained.explanation);
    let statements = why.statements.iter();
    let said: Vec<String> = statements
        .map(|said| words::statement(said, facts.present(visit)))
        .collect();
    html! {
        section.why data-state=(story.view.status.as_str()) aria-labelledby="why" {
            div.said {
                h2 #why { "Why" }
                @if let Some((first, others)) = said.split_first() {
                    p.answer { (first) }
                    @for other in others { p { (other) } }
                }
                @if let Some(reason) = &facts.explained.without {
                    p.gap { "The broker's evidence is missing: " (reason) ". The log alone says the above." }
                }
                (steps(facts))
            }
            details open[!story.view.status.is_terminal() || story.view.failure().is_some()] {
                summary { "Evidence" }
                ul.evidence { @for piece in &why.evidence { li { (evidence(facts, piece)) } } }
            }
        }
    }
}

/// A piece of evidence, as a link to what it is about.
fn evidence(facts: &Facts, piece: &Evidence) -> Markup {
    let said = words::evidence(piece);
    let id = facts.story.id;
    let url = match piece {
        Evidence::Event(recorded) => Some(urls::event(id, recorded.sequence)),
        Evidence::EarlierEvents(_) => Some(format!("{}?tab=events", urls::request(id))),
        Evidence::Queued(queued, _) => Some(urls::task(queued.task)),
        Evidence::Report(_) | Evidence::Consumer(_) | Evidence::Usual { .. } => None,
    };
    html! {
        @match url {
            Some(url) => a href=(url) { (said) },
            None => (said),
        }
    }
}

/// What can be done next, as the command line says it.
fn steps(facts: &Facts) -> Markup {
    let steps = next::steps(facts.story)
        .into_iter()
        .filter(|step| *step != Step::Why);
    let steps: Vec<Step> = steps.collect();
    html! {
        @if !steps.is_empty() {
            h3 { "Next" }
            ul.next {
                @for step in steps { li { (line(facts, step)) } }
            }
        }
    }
}

fn line(facts: &Facts, step: Step) -> Markup {
    let command = step.command(facts.story.id);
    html! {
        @match step {
            Step::Task(group, task) => {
                a href=(format!("{}/tasks/{group}/{task}", urls::request(facts.story.id))) { "Look at task " (group) "." (task) } " "
            },
            Step::Follow => "Follow it ",
            Step::Redrive => "Run what failed again ",
            Step::Fork(_) => "Submit it anew with another document ",
            Step::Export => "Keep everything about it in one file ",
            Step::Why => "",
        }
        code { (command) }
    }
}
