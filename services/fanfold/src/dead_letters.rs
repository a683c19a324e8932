//! `fanfold dead-letters …`

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use domain::access::Tenant;
use domain::bulk::Action;
use domain::request::RequestId;
use jiff::Timestamp;
use nats::{Filter, Summary};
use operations::{Change, Operations, Why};
use runtime::{Form, printable};

use crate::operate::{why, why_if_said};

/// How many dead letters one page of the list holds.
const PAGE: usize = 500;

/// The subcommands on dead letters.
#[derive(Subcommand)]
pub enum DeadLetters {
    /// List dead letters, oldest first
    List {
        #[command(flatten)]
        which: Which,
        /// Maximum number to list
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// Print JSON, one dead letter per line
        #[arg(long)]
        json: bool,
    },
    /// Print a dead letter with its task document and every attempt, as JSON
    Show {
        /// The dead letter's id
        id: String,
    },
    /// Redrive the requests of dead letters, and put back messages that could not be read
    Redrive {
        #[command(flatten)]
        which: Which,
        /// Only print what would be done
        #[arg(long)]
        dry_run: bool,
        /// Why; it is recorded in the requests' histories
        #[arg(long, required_unless_present = "dry_run", default_value = "")]
        reason: String,
        /// The person for whom $USER is doing this
        #[arg(long)]
        by: Option<String>,
    },
    /// Discard dead letters
    Discard {
        /// Discard only this dead letter
        #[arg(conflicts_with_all = ["task_type", "code", "request", "since", "all"])]
        id: Option<String>,
        #[command(flatten)]
        which: Which,
        /// Discard all dead letters; needed if there is no filter
        #[arg(long)]
        all: bool,
        /// Only print what would be discarded
        #[arg(long)]
        dry_run: bool,
        /// Why; it is recorded
        #[arg(long, default_value = "")]
        reason: String,
        /// The person for whom $USER is doing this
        #[arg(long)]
        by: Option<String>,
    },
}

/// The filter for dead letters.
#[derive(Args)]
pub struct Which {
    /// Only dead letters of this tenant; a redrive and a discard are of the tenant `default` unless
    /// one is named
    #[arg(long)]
    tenant: Option<Tenant>,
    /// Only dead letters of this task type, or `unreadable`
    #[arg(long = "type", value_name = "TYPE")]
    task_type: Option<String>,
    /// Only dead letters whose last attempt failed with this code
    #[arg(long)]
    code: Option<String>,
    /// Only dead letters of this request
    #[arg(long, value_name = "ID")]
    request: Option<RequestId>,
    /// Only dead letters kept since then: a timestamp, or an age such as 2h or 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

impl Which {
    fn filter(&self) -> anyhow::Result<Filter> {
        let since = self.since.as_deref();
        let since = since.map(|text| runtime::since(text, Timestamp::now()));
        Ok(Filter {
            tenant: self.tenant.clone(),
            task_type: self.task_type.clone(),
            code: self.code.clone(),
            request: self.request,
            since: since.transpose()?,
        })
    }
}

pub async fn run(command: &DeadLetters, operations: &Operations) -> anyhow::Result<ExitCode> {
    match command {
        DeadLetters::List { which, limit, json } => {
            list(
                operations,
                &which.filter()?,
                limit.unwrap_or(usize::MAX),
                *json,
            )
            .await
        }
        DeadLetters::Show { id } => match operations.letters().get(id).await? {
            Some(kept) => {
                let text = serde_json::to_string_pretty(&kept.detail())?;
                writeln!(stdout(), "{}", printable(&text, Form::Json))?;
                Ok(ExitCode::SUCCESS)
            }
            None => bail!("there is no dead letter {id}"),
        },
        DeadLetters::Redrive {
            which,
            dry_run,
            reason,
            by,
        } => {
            let why = (!dry_run).then(|| why(by.as_deref(), reason)).transpose()?;
            change_all(operations, &which.filter()?, Action::Redrive, why).await
        }
        DeadLetters::Discard {
            id: Some(id),
            reason,
            by,
            ..
        } => {
            let why = why_if_said(by.as_deref(), reason)?;
            if !operations.discard(id, &why).await? {
                bail!("there is no dead letter {id}");
            }
            eprintln!("1 discarded");
            Ok(ExitCode::SUCCESS)
        }
        DeadLetters::Discard {
            which,
            all,
            dry_run,
            reason,
            by,
            ..
        } => {
            let filter = which.filter()?;
            if filter == Filter::default() && !all {
                bail!("say which: an id, a filter, or --all");
            }
            let why = (!dry_run).then(|| why_if_said(by.as_deref(), reason));
            let why = why.transpose()?;
            change_all(operations, &filter, Action::Discard, why).await
        }
    }
}

async fn list(
    operations: &Operations,
    filter: &Filter,
    limit: usize,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let (mut after, mut listed) = (0, 0);
    while listed < limit {
        let page = operations
            .letters()
            .page(filter, after, PAGE.min(limit - listed))
            .await?;
        for kept in &page.letters {
            let summary = kept.summary();
            if json {
                let text = serde_json::to_string(&summary)?;
                writeln!(stdout(), "{}", printable(&text, Form::Json))?;
            } else {
                let form = Form::Line { colours: false };
                writeln!(stdout(), "{}", printable(&line(&summary), form))?;
            }
        }
        listed += page.letters.len();
        let Some(next) = page.next else { break };
        after = next;
    }
    eprintln!("{listed} dead letters");
    Ok(ExitCode::SUCCESS)
}

fn line(letter: &Summary) -> String {
    let message: String = letter.message.chars().take(100).collect();
    format!(
        "{}  {}  {}  {}  {} attempts  {message}",
        letter.kept_at, letter.id, letter.kind, letter.code, letter.attempts,
    )
}

async fn change_all(
    operations: &Operations,
    filter: &Filter,
    action: Action,
    why: Option<Why>,
) -> anyhow::Result<ExitCode> {
    let done = match action {
        Action::Discard => "discarded",
        Action::Redrive | Action::Cancel => "redriven",
    };
    let would = if why.is_none() { "would be " } else { "" };
    let (mut after, mut until) = (0, None);
    let (mut letters, mut changed_count, mut refused_count, mut pending) = (0, 0, 0, 0);
    let tenant = filter.tenant.clone().unwrap_or_default();
    loop {
        let change = Change {
            action,
            filter: filter.clone(),
            after,
            until,
            why: why.clone(),
        };
        let changed = operations.change_letters(&tenant, change).await?;
        for answer in &changed.answers {
            let what = match &answer.refused {
                Some(refused) => format!("refused: {refused}"),
                None => format!("{would}{done}"),
            };
            match answer.request_id.filter(|_| action == Action::Redrive) {
                Some(request) => writeln!(stdout(), "{request}  {what}")?,
                None => writeln!(stdout(), "{}  {what}", answer.dead_letter)?,
            }
        }
        letters += changed.letters;
        changed_count += changed.done();
        refused_count += changed.refused();
        pending += changed.pending;
        if let Some(operation) = changed.operation.filter(|_| changed.pending > 0) {
            eprintln!("not all is answered yet: see `fanfold operation show {operation}`");
        }
        let Some(next) = changed.next else { break };
        (after, until) = (next, changed.until);
        eprintln!("{letters} dead letters so far");
    }
    let waits = match pending {
        0 => String::new(),
        pending => format!(", {pending} pending"),
    };
    eprintln!(
        "{letters} dead letters: {changed_count} {would}{done}, {refused_count} refused{waits}"
    );
    Ok(ExitCode::SUCCESS)
}
