//! `fanfold topology`: the streams and consumers at the broker, and the permissions of the roles.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use nats::{Actor, Connection, Creates, Error, Options, Permissions, Topology};
use projections::permissions as at_redis;
use runtime::Settings;

use crate::agreement::{adopted, agree};
use crate::command_line::Role;
use crate::roles::topology;

/// The code of `topology check` where something is missing or different.
const FINDINGS: u8 = 2;

/// The command with what it does.
#[derive(Subcommand)]
pub enum TopologyCommand {
    /// Create or check streams and consumers at NATS, or print what a role may do
    Topology {
        #[command(subcommand)]
        does: Does,
    },
}

/// What the command does.
#[derive(Subcommand)]
pub enum Does {
    /// Create what is missing, and store the facts of the deployment where nobody has
    #[command(
        after_help = "Example:\n  NATS_CREDS_FILE=admin.creds fanfold topology apply\n\nWith \
                      TOPOLOGY=check the roles then only look. `fanfold deployment set` changes \
                      what is there."
    )]
    Apply(Scope),
    /// Check that everything is there; exits with 2 where it is not
    Check(Scope),
    /// Print the permissions of a role at NATS and Redis
    Permissions {
        /// The role
        #[arg(long, value_enum)]
        role: Named,
        /// Print only those of one server
        #[arg(long, value_enum)]
        only: Option<Server>,
    },
}

/// What is created or checked.
#[derive(Args, Clone, Copy)]
pub struct Scope {
    /// Also the stream and the consumers of webhooks; the feed is delivered from then on
    #[arg(long)]
    webhooks: bool,
    /// Also the consumer of traces; the feed is delivered from then on
    #[arg(long)]
    traces: bool,
}

/// A role by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Named {
    /// Every role in one process
    Up,
    /// The HTTP API
    Api,
    /// The orchestrator
    Orchestrator,
    /// A worker
    Worker,
    /// The projector
    Projector,
    /// The sender of webhooks
    Webhooks,
    /// The sender of traces
    Tracer,
    /// The console, which asks and does what people do at the command line
    Console,
    /// The commands of people, such as `requests` and `replay`
    Operator,
    /// `topology apply` and `deployment set`
    Topology,
}

/// A server with users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Server {
    /// NATS
    Nats,
    /// Redis
    Redis,
}

pub fn run(command: &TopologyCommand, settings: &Settings) -> anyhow::Result<ExitCode> {
    let TopologyCommand::Topology { does } = command;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match does {
            Does::Apply(scope) => apply(settings, *scope).await,
            Does::Check(scope) => check(settings, *scope).await,
            Does::Permissions { role, only } => print(settings, *role, *only),
        }
    })
}

async fn connect(settings: &Settings, creates: Creates) -> anyhow::Result<Connection> {
    let options = Options {
        creates,
        ..settings
            .connections
            .nats("fanfold-topology", Actor::Topology)?
    };
    Ok(Connection::open(&options).await?)
}

fn within(scope: Scope, settings: &Settings) -> Topology {
    Topology {
        webhooks: scope.webhooks,
        traces: scope.traces,
        ..topology(settings)
    }
}

async fn apply(settings: &Settings, scope: Scope) -> anyhow::Result<ExitCode> {
    let connection = connect(settings, Creates::All).await?;
    // Only the roles that run tasks know the task types, and this command stores them.
    let settings = agree(Role::Up, settings, &connection).await?;
    within(scope, &settings).declare(&connection).await?;
    writeln!(stdout(), "everything is there")?;
    Ok(ExitCode::SUCCESS)
}

async fn check(settings: &Settings, scope: Scope) -> anyhow::Result<ExitCode> {
    let connection = connect(settings, Creates::Nothing).await?;
    let settings = adopted(settings, &connection).await?;
    match within(scope, &settings).declare(&connection).await {
        Ok(()) => {
            writeln!(stdout(), "everything is there")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error @ Error::Unsuitable(_)) => {
            writeln!(stdout(), "{error}")?;
            Ok(ExitCode::from(FINDINGS))
        }
        Err(error) => Err(error.into()),
    }
}

/// The users at NATS of a role.
fn at_nats(role: Named) -> Vec<Actor> {
    vec![match role {
        Named::Up => return Role::Up.actors(true, true),
        Named::Api => Actor::Api,
        Named::Orchestrator => Actor::Orchestrator,
        Named::Worker => Actor::Worker,
        Named::Projector => Actor::Projector,
        Named::Webhooks => Actor::Webhooks,
        Named::Tracer => Actor::Tracer,
        Named::Operator | Named::Console => Actor::Operator,
        Named::Topology => Actor::Topology,
    }]
}

/// The users at Redis of a role.
fn of_redis(role: Named) -> &'static [at_redis::Actor] {
    use at_redis::Actor::{Api, Operator, Projector};
    match role {
        Named::Up => &[Api, Projector],
        Named::Api => &[Api],
        Named::Projector => &[Projector],
        Named::Operator | Named::Console => &[Operator],
        Named::Orchestrator | Named::Worker | Named::Webhooks | Named::Tracer | Named::Topology => {
            &[]
        }
    }
}

fn print(settings: &Settings, role: Named, only: Option<Server>) -> anyhow::Result<ExitCode> {
    let mut out = stdout();
    if only != Some(Server::Redis) {
        let access = settings.connections.access();
        let all = Permissions::of_all(&at_nats(role), &topology(settings), &access);
        writeln!(out, "{all}")?;
    }
    if only != Some(Server::Nats) {
        let prefix = &settings.connections.redis_prefix;
        let actors = of_redis(role).iter();
        let mut rules: Vec<String> = Vec::new();
        for rule in actors.flat_map(|actor| at_redis::rules(*actor, prefix)) {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        if !rules.is_empty() {
            writeln!(out, "{}", rules.join(" ")).context("printing the rules of Redis")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
