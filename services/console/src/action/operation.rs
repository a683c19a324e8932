//! Drafting, starting, pausing, resuming and cancelling a bulk operation.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use domain::access::{Action as Access, Tenant};
use domain::bulk::{Action, Actor, Command, OperationId, PER_SECOND_DEFAULT, PER_SECOND_MAX, Plan};
use maud::{Markup, html};
use nats::Filter;
use operations::{Folded, Order, Select, Why};

use super::form::{Form, why};
use crate::commands::{Shown, cli, curl, quoted, tenant_flag};
use crate::fields::Fields;
use crate::frame::{Page, Part};
use crate::page::operation::{parse_id, read};
use crate::trouble::Trouble;
use crate::visit::Visit;
use crate::{Console, urls};

/// A command to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Start,
    Pause,
    Resume,
    Cancel,
}

impl Act {
    fn of(word: &str) -> Result<Self, Trouble> {
        match word {
            "start" => Ok(Self::Start),
            "pause" => Ok(Self::Pause),
            "resume" => Ok(Self::Resume),
            "cancel" => Ok(Self::Cancel),
            _ => Err(Trouble::NotFound(format!("there is no action {word}"))),
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Start => "Start the operation",
            Self::Pause => "Pause the operation",
            Self::Resume => "Resume the operation",
            Self::Cancel => "Cancel the operation",
        }
    }

    const fn will(self) -> &'static str {
        match self {
            Self::Start => {
                "It acts on the items that were selected, and on nothing else. It can be paused and \
                 cancelled at any time."
            }
            Self::Pause => {
                "It asks for nothing more until it is resumed. What was asked for goes on."
            }
            Self::Resume => "It goes on with the items that wait.",
            Self::Cancel => {
                "The items that wait are skipped, for good. What was asked for goes on, and is \
                 followed to its end."
            }
        }
    }

    /// The command, with what the form says.
    fn command(self, visit: &Visit, fields: &Fields) -> Result<Command, Trouble> {
        let actor = Actor {
            by: visit.who.subject().as_str().to_owned(),
            on_behalf_of: None,
        };
        Ok(match self {
            Self::Start => Command::Start {
                plan: plan(fields)?,
                actor,
            },
            Self::Pause => Command::Pause { actor },
            Self::Resume => Command::Resume { actor },
            Self::Cancel => {
                let why = why(visit, fields)?;
                Command::Cancel {
                    actor: why.actor(),
                    reason: why.reason().to_owned(),
                }
            }
        })
    }
}

fn plan(fields: &Fields) -> Result<Plan, Trouble> {
    let number = |name: &str, default: u32| match fields.get(name).unwrap_or_default() {
        "" => Ok(default),
        text => text
            .parse()
            .map_err(|_| Trouble::Unclear(format!("{name} is a number from 0 on"))),
    };
    let most = number("stop-after-failures", 0)?;
    Ok(Plan {
        canary: number("canary", 0)?,
        per_second: number("per-second", PER_SECOND_DEFAULT)?,
        stop_after_failures: (most > 0).then_some(most),
    })
}

/// The fields of a plan.
fn plan_fields() -> Markup {
    html! {
        label for="canary" { "How many to try first; one that fails pauses the operation" }
        input #canary name="canary" type="number" min="0" value="5";
        label for="per-second" { "How many a second at most" }
        input #per-second name="per-second" type="number" min="1" max=(PER_SECOND_MAX) value=(PER_SECOND_DEFAULT);
        label for="stop-after-failures" { "Stop after so many have failed; 0 for never" }
        input #stop-after-failures name="stop-after-failures" type="number" min="0" value="20";
    }
}

/// Says what will happen.
pub async fn ask(
    State(console): State<Arc<Console>>,
    Path((id, act)): Path<(String, String)>,
    visit: Visit,
) -> Response {
    let page = asked(&console, &visit, &id, &act).await;
    console.answer(&visit, page)
}

async fn asked(console: &Console, visit: &Visit, id: &str, act: &str) -> Result<Page, Trouble> {
    let (id, act) = (parse_id(id)?, Act::of(act)?);
    let folded = read(visit, Access::Operate, console.operations()?, id).await?;
    let tried = match act {
        Act::Cancel => Command::Cancel {
            actor: Actor::default(),
            reason: String::new(),
        },
        act => act.command(visit, &Fields::parse(b""))?,
    };
    let decided = domain::bulk::decide(&folded.state, tried);
    let off = decided.err().map(|rejection| rejection.to_string());
    let counts = folded.told().map(|told| told.counts()).unwrap_or_default();
    let form = Form {
        button: act.title(),
        more: html! { @if act == Act::Start { (plan_fields()) } },
        wants_reason: act == Act::Cancel,
        off: off.as_deref(),
        back: urls::operation(id),
    };
    Ok(Page {
        part: Some(Part::Operations),
        title: act.title().to_owned(),
        body: html! {
            section.ask {
                nav.trail aria-label="Where this is" { a href=(urls::OPERATIONS) { "Operations" } " › " a.id href=(urls::operation(id)) { (id) } }
                h1 { (act.title()) }
                p.answer { (act.will()) }
                p { (counts) "." }
                (console.form(visit, &form))
            }
        },
        commands: commands(console, id, act),
    })
}

fn commands(console: &Console, id: OperationId, act: Act) -> Vec<Shown> {
    let word = act.word();
    let mut commands = vec![cli(format!("fanfold operation {word} {id}"))];
    if let Some(api) = console.origin.api() {
        commands.push(curl(format!(
            "curl {api}/operations/{id}/{word} -H 'Content-Type: application/json' -d '{{}}'"
        )));
    }
    commands
}

/// Does it.
pub async fn act(
    State(console): State<Arc<Console>>,
    Path((id, act)): Path<(String, String)>,
    visit: Visit,
    body: Bytes,
) -> Response {
    match acted(&console, &visit, &id, &act, &body).await {
        Ok(id) => to(id),
        Err(trouble) => console.trouble(&visit, &trouble),
    }
}

async fn acted(
    console: &Console,
    visit: &Visit,
    id: &str,
    act: &str,
    body: &[u8],
) -> Result<OperationId, Trouble> {
    let (id, act) = (parse_id(id)?, Act::of(act)?);
    let fields = console.posted(visit, body)?;
    let command = act.command(visit, &fields)?;
    let operations = console.operations()?;
    let folded = read(visit, Access::Operate, operations, id).await?;
    take_quota(console, &folded, act)?;
    operations.bulk_command(id, command).await?;
    tracing::info!(operation = %id, by = %visit.who.subject(), "{} by the console", act.word());
    Ok(id)
}

/// Takes the start of a redrive from the quotas of its tenant.
fn take_quota(console: &Console, folded: &Folded, act: Act) -> Result<(), Trouble> {
    let drafted = folded.operation().map(|operation| &operation.drafted);
    match drafted {
        Some(drafted) if act == Act::Start && drafted.action == Action::Redrive => {
            console.questions.take_quota(&drafted.tenant, &[])
        }
        _ => Ok(()),
    }
}

/// Says what a draft is, for the dead letters that a filter selects.
pub async fn ask_new(State(console): State<Arc<Console>>, visit: Visit) -> Response {
    let page = asked_new(&console, &visit);
    console.answer(&visit, page)
}

fn asked_new(console: &Console, visit: &Visit) -> Result<Page, Trouble> {
    console.operations()?;
    let action = action(&visit.fields)?;
    let tenant = tenant(visit, &visit.fields)?;
    filter(&tenant, &visit.fields)?;
    let form = Form {
        button: "Select, and say what would happen",
        more: html! {
            @for name in ["action", "tenant", "type", "code", "request"] {
                @if let Some(value) = visit.fields.get(name) { input type="hidden" name=(name) value=(value); }
            }
        },
        wants_reason: true,
        off: None,
        back: urls::DEAD_LETTERS.to_owned(),
    };
    let mut line = format!(
        "fanfold operation start {action}{} --dry-run --reason '…'",
        tenant_flag(Some(&tenant))
    );
    for (flag, name) in [
        ("--type", "type"),
        ("--code", "code"),
        ("--request", "request"),
    ] {
        if let Some(value) = visit.fields.get(name) {
            line = format!("{line} {flag} {}", quoted(value));
        }
    }
    Ok(Page {
        part: Some(Part::Operations),
        title: format!("Operation: {action}"),
        body: html! {
            section.ask {
                nav.trail aria-label="Where this is" { a href=(urls::OPERATIONS) { "Operations" } " › new" }
                h1 { "Draft an operation: " (action) }
                p.answer {
                    "All dead letters that match now are selected, on this page or not. "
                    "Nothing happens to them before you have seen what would happen, and start it."
                }
                dl.facts {
                    @for name in ["tenant", "type", "code", "request"] {
                        @if let Some(value) = visit.fields.get(name) { div { dt { (name) } dd { code { (value) } } } }
                    }
                }
                (console.form(visit, &form))
            }
        },
        commands: vec![cli(line)],
    })
}

fn action(fields: &Fields) -> Result<Action, Trouble> {
    let word = fields.get("action").unwrap_or_default();
    let action: Result<Action, _> = word.parse();
    action.map_err(|error| Trouble::Unclear(error.to_string()))
}

/// The tenant that the form names, in which the visitor may operate.
fn tenant(visit: &Visit, fields: &Fields) -> Result<Tenant, Trouble> {
    let named = fields.get("tenant").map(str::parse::<Tenant>).transpose();
    let tenant = named.map_err(|error| Trouble::Unclear(error.to_string()))?;
    let tenant = tenant.unwrap_or_default();
    visit.check(Access::Operate, &tenant)?;
    Ok(tenant)
}

fn filter(tenant: &Tenant, fields: &Fields) -> Result<Filter, Trouble> {
    let request = fields.get("request").map(crate::request::parse_id);
    Ok(Filter {
        tenant: Some(tenant.clone()),
        task_type: fields.get("type").map(str::to_owned),
        code: fields.get("code").map(str::to_owned),
        request: request.transpose()?,
        since: None,
    })
}

/// Makes the draft.
pub async fn draft(State(console): State<Arc<Console>>, visit: Visit, body: Bytes) -> Response {
    match drafted(&console, &visit, &body).await {
        Ok(id) => to(id),
        Err(trouble) => console.trouble(&visit, &trouble),
    }
}

async fn drafted(console: &Console, visit: &Visit, body: &[u8]) -> Result<OperationId, Trouble> {
    let fields = console.posted(visit, body)?;
    let why: Why = why(visit, &fields)?;
    let tenant = tenant(visit, &fields)?;
    let order = Order {
        tenant: tenant.clone(),
        action: action(&fields)?,
        select: Select::Letters {
            filter: filter(&tenant, &fields)?,
            after: 0,
            until: None,
            in_parts: false,
        },
        why,
    };
    let (folded, _) = console.operations()?.draft(order).await?;
    tracing::info!(operation = %folded.id, by = %visit.who.subject(), "drafted by the console");
    Ok(folded.id)
}

fn to(id: OperationId) -> Response {
    let location = [(header::LOCATION, urls::operation(id))];
    (StatusCode::SEE_OTHER, location).into_response()
}
