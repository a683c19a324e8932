//! Small drawings. Each state has a shape of its own, so that nobody needs its color.

use maud::{Markup, html};

/// The mark of the product: sheets that are fanned out.
pub fn mark() -> Markup {
    html! {
        svg.icon viewBox="0 0 16 16" aria-hidden="true" {
            path d="M2 13 8 2l6 11" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linejoin="round" {}
            path d="M5 13 8 2l3 11M8 2v11" fill="none" stroke="currentColor" stroke-width="1.1" opacity=".65" {}
        }
    }
}

/// A warning.
pub fn warning() -> Markup {
    html! {
        svg.icon viewBox="0 0 16 16" aria-hidden="true" {
            path d="M8 1.8 15 14H1z" fill="none" stroke="currentColor" stroke-width="1.4" stroke-linejoin="round" {}
            path d="M8 6.2v3.6M8 11.4v1.2" stroke="currentColor" stroke-width="1.5" {}
        }
    }
}

/// The shape of a state.
pub fn state(word: &str) -> Markup {
    let shape = match word {
        "succeeded" | "completed" => html! {
            circle cx="8" cy="8" r="7" fill="currentColor" {}
            path.cut d="m4.6 8.2 2.3 2.4 4.5-5" fill="none" stroke-width="1.8" {}
        },
        "failed" => html! {
            rect x="1.6" y="1.6" width="12.8" height="12.8" rx="2.5" fill="currentColor" {}
            path.cut d="m5.2 5.2 5.6 5.6m0-5.6-5.6 5.6" fill="none" stroke-width="1.8" {}
        },
        "running" => html! {
            circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.6" {}
            path d="M8 1.8a6.2 6.2 0 0 1 0 12.4z" fill="currentColor" {}
        },
        "cancelled" | "stopped" => html! {
            circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.6" {}
            path d="m3.6 12.4 8.8-8.8" stroke="currentColor" stroke-width="1.6" {}
        },
        _ => html! {
            circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.6" stroke-dasharray="2.4 2.4" {}
        },
    };
    html! { svg.icon viewBox="0 0 16 16" aria-hidden="true" { (shape) } }
}
