//! Small plots, drawn by the server. Each column leads to the requests behind it.

use maud::{Markup, html};

/// The units of the height of a plot.
const HEIGHT: f64 = 100.0;

/// One column of a plot: its parts from the bottom up, with their states.
pub struct Column {
    /// The parts.
    pub parts: Vec<(&'static str, u64)>,
    /// What a person reads of it.
    pub label: String,
    /// Where it leads.
    pub url: Option<String>,
}

impl Column {
    fn whole(&self) -> u64 {
        self.parts.iter().map(|(_, count)| count).sum()
    }
}

/// Columns on one scale.
pub fn columns(name: &str, columns: &[Column]) -> Markup {
    let most = columns.iter().map(Column::whole).max().unwrap_or(0);
    let width = columns.len().max(1);
    html! {
        figure.plot {
            span.most aria-hidden="true" { "at most " (most) }
            svg viewBox=(format!("0 0 {width} {HEIGHT}")) preserveAspectRatio="none" role="group" aria-label=(name) {
                @for (index, column) in columns.iter().enumerate() {
                    (drawn(index, column, most))
                }
            }
        }
    }
}

fn drawn(index: usize, column: &Column, most: u64) -> Markup {
    let mut top = HEIGHT;
    let bars = html! {
        title { (column.label) }
        rect.hit x=(index) y="0" width="1" height="100" {}
        @for (state, count) in column.parts.iter().filter(|(_, count)| *count > 0) {
            @let height = (float(*count) / float(most.max(1)) * HEIGHT).max(1.0);
            ({ top = (top - height).max(0.0); "" })
            rect data-state=(state) x=(float(index as u64) + 0.08) y=(round(top)) width="0.84" height=(round(height)) {}
        }
    };
    html! {
        @match column.url.as_ref().filter(|_| column.whole() > 0) {
            Some(url) => a href=(url) aria-label=(column.label) { (bars) },
            None => g { (bars) },
        }
    }
}

/// A line of counts without an axis.
pub fn spark(counts: &[u64], state: &str) -> Markup {
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    html! {
        svg.spark viewBox=(format!("0 0 {} 20", counts.len().max(1))) preserveAspectRatio="none" aria-hidden="true" {
            @for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                @let height = (float(*count) / float(most) * 20.0).max(1.0);
                rect data-state=(state) x=(index) y=(round(20.0 - height)) width="0.8" height=(round(height)) {}
            }
        }
    }
}

#[allow(clippy::cast_precision_loss)] // A picture needs no more than 52 bits.
fn float(count: u64) -> f64 {
    count as f64
}

fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
