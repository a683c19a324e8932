//! The command line: a subcommand, and a flag for every setting.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgMatches, FromArgMatches as _, Subcommand};
use clap_complete::Shell;
use nats::Actor;
use projections::permissions as at_redis;
use replay::ReplayCommand;
use runtime::{Secrecy, Settings, SettingsError};

use crate::build;
use crate::deployment::DeploymentCommand;
use crate::document::DocumentCommand;
use crate::help;
use crate::keys::KeysCommand;
use crate::operate::OperateCommand;
use crate::remote::RemoteCommand;
use crate::topology::TopologyCommand;

/// The parsed command line.
pub struct CommandLine {
    pub command: Command,
    pub settings: Settings,
}

/// The subcommands.
pub enum Command {
    Role(Role),
    Config,
    /// The console of a bundle.
    Bundle(PathBuf),
    Deployment(DeploymentCommand),
    Document(DocumentCommand),
    Replay(Box<ReplayCommand>),
    Completions(Shell),
    Keys(KeysCommand),
    Operate(OperateCommand),
    Remote(RemoteCommand),
    Topology(TopologyCommand),
    /// Help on the command with this name.
    Help(Vec<String>),
}

/// The roles that run in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Up,
    Api,
    Orchestrator,
    Worker,
    Projector,
    Webhooks,
    Console,
}

impl Role {
    const ALL: [(Self, &'static str, &'static str); 7] = [
        (
            Self::Up,
            "up",
            "Run every role in one process, with its own NATS and Redis unless they are given",
        ),
        (Self::Api, "api", "Run the HTTP API"),
        (
            Self::Orchestrator,
            "orchestrator",
            "Run the role that decides what happens next to each request",
        ),
        (Self::Worker, "worker", "Run tasks"),
        (
            Self::Projector,
            "projector",
            "Run the role that folds the log into views and the lifecycle feed",
        ),
        (
            Self::Webhooks,
            "webhooks",
            "Run the role that tells callbacks how requests ended",
        ),
        (
            Self::Console,
            "console",
            "Run the console: pages about every request, or about a bundle with --from",
        ),
    ];

    /// Whether this process runs a role.
    pub fn includes(self, role: Self) -> bool {
        self == Self::Up || self == role
    }

    /// Whether this process needs the definitions of all task types.
    pub fn defines_task_types(self) -> bool {
        self.includes(Self::Orchestrator) || self.includes(Self::Worker)
    }

    /// How many roles this process may run that share its cores. The console works only while
    /// somebody looks.
    pub fn count(self) -> usize {
        let shares = |role: Self| !matches!(role, Self::Up | Self::Console);
        Self::ALL
            .iter()
            .filter(|(role, ..)| self == Self::Up && shares(*role))
            .count()
            .max(1)
    }

    /// The role as a user of NATS. `up` creates the queues, as the orchestrator does. The console
    /// asks and does what people do at the command line.
    pub fn actor(self) -> Actor {
        match self {
            Self::Up | Self::Orchestrator => Actor::Orchestrator,
            Self::Api => Actor::Api,
            Self::Worker => Actor::Worker,
            Self::Projector => Actor::Projector,
            Self::Webhooks => Actor::Webhooks,
            Self::Console => Actor::Operator,
        }
    }

    /// The roles of this process as users of NATS. `webhooks` says whether `up` sends some.
    pub fn actors(self, webhooks: bool) -> &'static [Actor] {
        use Actor::{Api, Operator, Orchestrator, Projector, Webhooks, Worker};
        match self {
            Self::Up if webhooks => &[Orchestrator, Api, Worker, Projector, Webhooks],
            Self::Up => &[Orchestrator, Api, Worker, Projector],
            Self::Orchestrator => &[Orchestrator],
            Self::Api => &[Api],
            Self::Worker => &[Worker],
            Self::Projector => &[Projector],
            Self::Webhooks => &[Webhooks],
            Self::Console => &[Operator],
        }
    }

    /// The role as a user of Redis.
    pub fn at_redis(self) -> at_redis::Actor {
        match self {
            Self::Api => at_redis::Actor::Api,
            Self::Console => at_redis::Actor::Operator,
            _ => at_redis::Actor::Projector,
        }
    }

    /// The name of the role, as in the subcommand and the connection names.
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(role, ..)| *role == self);
        found.map_or("fanfold", |(_, name, _)| name)
    }
}

/// The flag that names a bundle.
const BUNDLE: &str = "from";

pub fn definition() -> clap::Command {
    let mut app = clap::Command::new("fanfold")
        .version(format!(
            "{} ({})",
            env!("CARGO_PKG_VERSION"),
            build::description()
        ))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .arg(
            Arg::new("config")
                .long("config")
                .env("FANFOLD_CONFIG")
                .value_name("FILE")
                .global(true)
                .hide(true)
                .help("Read settings from a TOML file"),
        );
    for (role, name, about) in Role::ALL {
        let mut command = clap::Command::new(name).about(about);
        if role == Role::Console {
            command = command.arg(
                Arg::new(BUNDLE)
                    .long(BUNDLE)
                    .value_name("BUNDLE")
                    .value_parser(clap::value_parser!(PathBuf))
                    .help("Show this bundle, without any server"),
            );
        }
        app = app.subcommand(command);
    }
    app = app.subcommand(
        clap::Command::new("config").about("Print the effective settings, with secrets masked"),
    );
    app = app.subcommand(
        clap::Command::new("completions")
            .about("Print the completion script of a shell")
            .after_help("Example:\n  fanfold completions bash > /etc/bash_completion.d/fanfold")
            .arg(
                Arg::new("shell")
                    .required(true)
                    .value_parser(clap::value_parser!(Shell)),
            ),
    );
    app = app.subcommand(
        clap::Command::new("help")
            .about("Explain a command, or with `settings` every setting")
            .arg(Arg::new("command").num_args(0..).value_name("COMMAND")),
    );
    for setting in Settings::definitions() {
        // Every user of the machine can read a command line, so a secret is no flag.
        if setting.secrecy != Secrecy::Secret {
            app = app.arg(flag(setting.name, setting.flag()).help(setting.about));
        }
        if setting.secrecy != Secrecy::Open {
            let about = format!("File that has the value of {}.", setting.name);
            app = app.arg(flag(&setting.file(), format!("{}-file", setting.flag())).help(about));
        }
    }
    let app = OperateCommand::augment_subcommands(DocumentCommand::augment_subcommands(app));
    let app = RemoteCommand::augment_subcommands(KeysCommand::augment_subcommands(app));
    let app = TopologyCommand::augment_subcommands(app);
    let app = DeploymentCommand::augment_subcommands(ReplayCommand::augment_subcommands(app));
    let overview = help::overview(&app);
    app.about(help::ABOUT)
        .help_template(help::TEMPLATE)
        .after_help(overview)
}

/// The flag of a setting.
fn flag(name: &str, long: String) -> Arg {
    Arg::new(name.to_owned())
        .long(long)
        .value_name("VALUE")
        .global(true)
        .hide(true)
}

/// Parses the command line, the environment and the file.
pub fn parse() -> anyhow::Result<CommandLine> {
    let matches = match definition().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => match removed(&error) {
            Some(removed) => return Err(removed.into()),
            None => usage(&error),
        },
    };
    let (name, inner) = matches.subcommand().unwrap_or(("", &matches));
    let settings = settings(inner)?;
    let role = Role::ALL.iter().find(|(_, role, _)| *role == name);
    let bundle = || inner.get_one::<PathBuf>(BUNDLE).cloned();
    let command = match (role, name) {
        (Some((Role::Console, ..)), _) if bundle().is_some() => {
            Command::Bundle(bundle().unwrap_or_default())
        }
        (Some((role, ..)), _) => Command::Role(*role),
        (None, "config") => Command::Config,
        (None, "replay") => Command::Replay(Box::new(ReplayCommand::from_arg_matches(&matches)?)),
        (None, "help") => {
            let words = inner.get_many::<String>("command");
            Command::Help(words.unwrap_or_default().cloned().collect())
        }
        (None, "completions") => {
            let shell = inner.get_one::<Shell>("shell").copied();
            Command::Completions(shell.unwrap_or(Shell::Bash))
        }
        (None, "deployment") => Command::Deployment(DeploymentCommand::from_arg_matches(&matches)?),
        (None, "topology") => Command::Topology(TopologyCommand::from_arg_matches(&matches)?),
        (None, "keys") => Command::Keys(KeysCommand::from_arg_matches(&matches)?),
        (None, name) if OperateCommand::has_subcommand(name) => {
            Command::Operate(OperateCommand::from_arg_matches(&matches)?)
        }
        (None, name) if RemoteCommand::has_subcommand(name) => {
            Command::Remote(RemoteCommand::from_arg_matches(&matches)?)
        }
        (None, _) => Command::Document(DocumentCommand::from_arg_matches(&matches)?),
    };
    Ok(CommandLine { command, settings })
}

/// Why a flag of an earlier version is unknown.
fn removed(error: &clap::Error) -> Option<SettingsError> {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) => Settings::removed_flag(flag),
        _ => None,
    }
}

/// Prints help or a usage error, and exits. A usage error exits with 1, because 2 means findings.
fn usage(error: &clap::Error) -> ! {
    // If printing fails, there is no other way to report it.
    let _ = error.print();
    std::process::exit(i32::from(error.use_stderr()))
}

/// Prints the completion script of a shell.
pub fn completions(shell: Shell) -> std::io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut definition(), "fanfold", &mut script);
    std::io::stdout().write_all(&script)
}

/// Prints help on a command.
pub fn print_help(words: &[String]) -> anyhow::Result<()> {
    let mut app = definition();
    app.build();
    let text = help::of(&mut app, words).map_err(anyhow::Error::msg)?;
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn settings(matches: &ArgMatches) -> anyhow::Result<Settings> {
    let names = Settings::definitions().iter().flat_map(|setting| {
        let own = (setting.secrecy != Secrecy::Secret).then(|| setting.name.to_owned());
        let file = (setting.secrecy != Secrecy::Open).then(|| setting.file());
        own.into_iter().chain(file)
    });
    let flags: BTreeMap<String, String> = names
        .filter_map(|name| {
            let given = matches.get_one::<String>(&name)?;
            Some((name, given.clone()))
        })
        .collect();
    let file = matches.get_one::<String>("config").map(PathBuf::from);
    let environment = |name: &str| std::env::var(name).ok();
    let flag = |name: &str| flags.get(name).cloned();
    Ok(Settings::load(file.as_deref(), environment, flag)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_of_an_earlier_version_is_refused_with_its_replacement() {
        for (line, instead) in [
            (
                &["up", "--nats-port", "4222"][..],
                "servers.json in DATA_DIR",
            ),
            (&["api", "--submissions-max=3"], "the fixed value 1000"),
            (&["requests", "stuck", "--s3-region", "x"], "set AWS_REGION"),
        ] {
            let line = ["fanfold"].iter().chain(line);
            let error = definition().try_get_matches_from(line).unwrap_err();
            let said = removed(&error).unwrap().to_string();
            assert!(said.contains(instead), "{said}");
        }
        let error = definition().try_get_matches_from(["fanfold", "up", "--no-such"]);
        assert!(removed(&error.unwrap_err()).is_none());
    }
}
