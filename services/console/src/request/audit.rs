//! Who did what to a request, and why.

use history::audit::deeds;
use history::story::Story;
use maud::{Markup, html};

use crate::{part, urls};

pub fn audit(story: &Story) -> Markup {
    let deeds = deeds(story);
    html! {
        section aria-labelledby="audit" {
            h2.unseen #audit { "Audit" }
            div.scroll tabindex="0" role="group" aria-label="Audit" {
                table {
                    thead { tr {
                        th.number scope="col" { "Log" }
                        th scope="col" { "Time" }
                        th scope="col" { "Who" }
                        th scope="col" { "What" }
                        th.wide scope="col" { "Why" }
                    } }
                    tbody {
                        @for deed in &deeds {
                            tr {
                                td.number { a href=(urls::event(story.id, deed.sequence)) { (deed.sequence) } }
                                td { (part::time(deed.at)) }
                                td { (deed.by) @if let Some(person) = &deed.on_behalf_of { span.faint { " for " (person) } } }
                                td { (deed.what) }
                                td.wide { @if let Some(reason) = &deed.reason { (reason) } @else { span.faint { "a submission needs no reason" } } }
                            }
                        }
                    }
                }
            }
        }
    }
}
