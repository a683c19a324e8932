//! The list of the documents of a request.

use history::document::{DocumentName, known};
use history::story::Story;
use maud::{Markup, html};

use crate::urls;

pub fn documents(story: &Story) -> Markup {
    html! {
        section aria-labelledby="documents" {
            h2.unseen #documents { "Documents" }
            div.scroll tabindex="0" role="group" aria-label="Documents" {
                table.list {
                    thead { tr {
                        th scope="col" { "Document" }
                        th.number scope="col" { "Bytes" }
                        th.wide scope="col" { "Where it is from" }
                    } }
                    tbody {
                        @for document in known(story) {
                            tr {
                                td { a href=(urls::document(story.id, document.name)) { (document.name) } }
                                td.number { @if let Some(bytes) = document.bytes { (bytes) } @else { span.faint { "–" } } }
                                td.wide { (document.origin) }
                            }
                        }
                        @if !story.view.groups.is_empty() {
                            tr {
                                td { a href=(format!("{}?tab=tasks", urls::request(story.id))) { "task-G-N, result-G-N" } }
                                td.number { span.faint { "–" } }
                                td.wide { "the document and the result of each task, on the page of the task" }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The command that prints a document.
pub fn command(story: &Story, name: DocumentName, flag: &str) -> String {
    format!("fanfold replay document {} {name}{flag}", story.id)
}
