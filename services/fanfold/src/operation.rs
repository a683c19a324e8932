//! `fanfold operation …`: bulk operations.

use std::io::{Write as _, stdout};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use domain::access::{Scope, Tenant};
use domain::bulk::{Action, Command, OperationId, PER_SECOND_DEFAULT, Phase, Plan};
use domain::request::RequestId;
use operations::{Folded, Operations, Order, Page, Select};
use runtime::{Form, printable};

use crate::operate::{why, why_if_said};
use crate::operation::which::Which;

mod which;

/// How many items `show` prints at most.
const ITEMS_MAX: usize = 10_000;
/// How often `start --wait` looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The subcommands on bulk operations.
#[derive(Subcommand)]
pub enum OperationCommand {
    /// Select what matches, say what would happen, and do it; or start a draft
    Start(Box<Start>),
    /// List the operations, newest first
    List {
        /// Only operations of this tenant
        #[arg(long)]
        tenant: Option<Tenant>,
        /// Print JSON, one operation per line
        #[arg(long)]
        json: bool,
    },
    /// Show an operation with its counts
    Show {
        /// The operation
        id: OperationId,
        /// Also print the items: all, or those that are pending, running, done, failed, refused or
        /// skipped
        #[arg(long, value_name = "STATUS", num_args = 0..=1, default_missing_value = "all")]
        items: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Ask for nothing more until the operation is resumed
    Pause(On),
    /// Go on with a paused operation
    Resume(On),
    /// Ask for nothing more, ever; what was asked for is followed to its end
    Cancel(On),
}

/// An operation, with the person and the reason.
#[derive(Args)]
pub struct On {
    /// The operation
    id: OperationId,
    /// Why
    #[arg(long, default_value = "")]
    reason: String,
    /// The person for whom $USER is doing this
    #[arg(long)]
    by: Option<String>,
}

/// What to start.
#[derive(Args)]
pub struct Start {
    /// `redrive`, `cancel` or `discard`; or the id of a draft
    what: What,
    /// Only these requests
    #[arg(value_name = "ID")]
    ids: Vec<RequestId>,
    #[command(flatten)]
    which: Which,
    /// Why; it is recorded in the requests' histories
    #[arg(long, default_value = "")]
    reason: String,
    /// The person for whom $USER is doing this
    #[arg(long)]
    by: Option<String>,
    /// How many are tried first; one that fails pauses the operation
    #[arg(long, value_name = "N", default_value_t = 0)]
    canary: u32,
    /// How many are asked for in a second at most
    #[arg(long, value_name = "N", default_value_t = PER_SECOND_DEFAULT)]
    per_second: u32,
    /// Stop after so many have failed
    #[arg(long, value_name = "N")]
    stop_after_failures: Option<u32>,
    /// Only fix the selection in a draft, and say what would happen
    #[arg(long)]
    dry_run: bool,
    /// Wait until the operation ends or pauses; exit with 1 unless all is done
    #[arg(long)]
    wait: bool,
}

/// An action on a new selection, or a draft.
#[derive(Clone, Copy)]
enum What {
    Action(Action),
    Draft(OperationId),
}

impl FromStr for What {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(action) = text.parse() {
            return Ok(Self::Action(action));
        }
        let wrong =
            |_| "`redrive`, `cancel`, `discard` or the id of a draft is expected".to_owned();
        text.parse().map(Self::Draft).map_err(wrong)
    }
}

pub async fn run(command: &OperationCommand, operations: &Operations) -> anyhow::Result<ExitCode> {
    match command {
        OperationCommand::Start(start) => self::start(start, operations).await,
        OperationCommand::List { tenant, json } => {
            let scope = tenant.clone().map_or(Scope::Every, Scope::One);
            list(operations, &scope, *json).await
        }
        OperationCommand::Show { id, items, json } => {
            show(operations, *id, items.as_deref(), *json).await
        }
        OperationCommand::Pause(on) => {
            let actor = why_if_said(on.by.as_deref(), &on.reason)?.actor();
            give(operations, on.id, Command::Pause { actor }).await
        }
        OperationCommand::Resume(on) => {
            let actor = why_if_said(on.by.as_deref(), &on.reason)?.actor();
            give(operations, on.id, Command::Resume { actor }).await
        }
        OperationCommand::Cancel(on) => {
            let why = why_if_said(on.by.as_deref(), &on.reason)?;
            let (actor, reason) = (why.actor(), why.reason().to_owned());
            give(operations, on.id, Command::Cancel { actor, reason }).await
        }
    }
}

async fn start(start: &Start, operations: &Operations) -> anyhow::Result<ExitCode> {
    let id = match start.what {
        What::Draft(id) => id,
        What::Action(action) => {
            let drafted = operations.draft(start.order(action)?).await;
            let (folded, _) = drafted.context("nothing was started")?;
            for line in outlook(&folded) {
                writeln!(stdout(), "{line}")?;
            }
            folded.id
        }
    };
    if start.dry_run {
        eprintln!("a draft: start it with `fanfold operation start {id}`");
        return Ok(ExitCode::SUCCESS);
    }
    let plan = Plan {
        canary: start.canary,
        per_second: start.per_second,
        stop_after_failures: start.stop_after_failures,
    };
    let actor = why_if_said(start.by.as_deref(), &start.reason)?.actor();
    let folded = operations.start(id, plan, actor).await?;
    writeln!(stdout(), "{}", line(&folded))?;
    if start.wait {
        return wait(operations, id).await;
    }
    eprintln!("see how it goes with `fanfold operation show {id}`");
    Ok(ExitCode::SUCCESS)
}

impl Start {
    fn order(&self, action: Action) -> anyhow::Result<Order> {
        let by = self.by.as_deref();
        let why = match action {
            Action::Discard => why_if_said(by, &self.reason)?,
            Action::Redrive | Action::Cancel => why(by, &self.reason)?,
        };
        let select = match self.ids.as_slice() {
            [] => self.which.select(action)?,
            ids => Select::Ids(ids.to_vec()),
        };
        Ok(Order {
            tenant: self.which.tenant.clone(),
            action,
            select,
            why,
        })
    }
}

/// What would happen, a line for each case.
fn outlook(folded: &Folded) -> Vec<String> {
    let Some(operation) = folded.operation() else {
        return Vec::new();
    };
    let (action, outlook) = (operation.drafted.action, &operation.drafted.outlook);
    let mut lines = vec![format!("{:>6}  would be acted on: {action}", outlook.act)];
    for (reason, count) in &outlook.refuse {
        lines.push(format!("{count:>6}  would be refused: {reason}"));
    }
    for (reason, count) in &outlook.skip {
        lines.push(format!("{count:>6}  would be skipped: {reason}"));
    }
    lines.push(format!("{:>6}  selected", operation.counts.selected()));
    lines
}

/// Waits until nothing more happens by itself.
async fn wait(operations: &Operations, id: OperationId) -> anyhow::Result<ExitCode> {
    loop {
        let folded = read(operations, id).await?;
        let operation = folded.operation().context("the operation is gone")?;
        let counts = operation.counts;
        let paused = matches!(operation.phase, Phase::Paused(_)) && !operation.is_open();
        if paused || folded.has_ended() {
            writeln!(stdout(), "{}", line(&folded))?;
            let all = counts.done == counts.selected();
            return Ok(ExitCode::from(u8::from(!all)));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn give(
    operations: &Operations,
    id: OperationId,
    command: Command,
) -> anyhow::Result<ExitCode> {
    let folded = operations.bulk_command(id, command).await?;
    writeln!(stdout(), "{}", line(&folded))?;
    Ok(ExitCode::SUCCESS)
}

async fn list(operations: &Operations, scope: &Scope, json: bool) -> anyhow::Result<ExitCode> {
    let all = operations.bulk_operations(scope).await?;
    for folded in &all {
        if json {
            let text = serde_json::to_string(&folded.told())?;
            writeln!(stdout(), "{}", printable(&text, Form::Json))?;
        } else {
            let form = Form::Line { colours: false };
            writeln!(stdout(), "{}", printable(&line(folded), form))?;
        }
    }
    eprintln!("{} operations", all.len());
    Ok(ExitCode::SUCCESS)
}

async fn show(
    operations: &Operations,
    id: OperationId,
    items: Option<&str>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let folded = read(operations, id).await?;
    let form = Form::Line { colours: false };
    if json {
        let text = serde_json::to_string_pretty(&folded.told())?;
        writeln!(stdout(), "{}", printable(&text, Form::Json))?;
    } else {
        writeln!(stdout(), "{}", printable(&line(&folded), form))?;
        let note = folded.told().and_then(|told| told.note);
        for text in note.into_iter().chain(outlook(&folded)) {
            writeln!(stdout(), "{}", printable(&text, form))?;
        }
    }
    let Some(status) = items else {
        return Ok(ExitCode::SUCCESS);
    };
    let operation = folded.operation().context("the operation is gone")?;
    let selection = operations.selection(operation).await?;
    let page = Page {
        status: Some(status).filter(|status| *status != "all"),
        from: 0,
        limit: ITEMS_MAX,
    };
    for item in folded.items(&selection, page).items {
        let what = item.request_id.map(|id| id.to_string());
        let what = what.or(item.dead_letter).unwrap_or_default();
        let reason = item.reason.unwrap_or_default();
        let text = format!("{what}  {}  {reason}", item.status);
        writeln!(stdout(), "{}", printable(text.trim_end(), form))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn read(operations: &Operations, id: OperationId) -> anyhow::Result<Folded> {
    match operations.bulk_operation(id).await? {
        Some(folded) => Ok(folded),
        None => bail!("there is no operation {id}"),
    }
}

/// An operation in one line.
fn line(folded: &Folded) -> String {
    let Some(told) = folded.told() else {
        return folded.id.to_string();
    };
    format!(
        "{}  {:<7}  {:<9}  {}  {}: {}",
        told.id,
        told.action,
        told.status,
        told.counts(),
        told.by,
        told.reason,
    )
}
