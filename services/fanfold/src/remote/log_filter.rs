//! `fanfold log-filter`: has a running process log more or less for a time.

use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use reqwest::header::CONTENT_TYPE;
use runtime::Settings;
use serde_json::json;

use super::api::{Api, ApiArgs};
use crate::{admin, probe};

/// The arguments of the command.
#[derive(Args)]
#[command(
    after_help = "A filter is a level, and levels of targets. `calls` is the target of a line for each \
                  call.\n\n\
                  Example:\n  fanfold log-filter info,worker=debug,calls=debug --minutes 5"
)]
pub struct LogFilterArgs {
    /// The filter; without it, the present one is printed
    filter: Option<String>,
    /// How long it holds; then that of `RUST_LOG` holds again
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// The admin listener of the process [default: that of the settings]
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// File with the key or the JWT to call with; unset: the variable `FANFOLD_KEY`, if it is set
    #[arg(long, env = "FANFOLD_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// File with the certificates of the authorities to trust, instead of those of the system
    #[arg(long, env = "FANFOLD_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
}

pub async fn run(args: &LogFilterArgs, settings: &Settings) -> anyhow::Result<ExitCode> {
    let process = &settings.process;
    let port = process.admin_port.unwrap_or(admin::USUAL_PORT);
    let own = || probe::base(settings, process.admin_host, port);
    let api = Api::of(
        &ApiArgs {
            url: Some(args.admin.clone().unwrap_or_else(own)),
            key_file: args.key_file.clone(),
            ca: args.ca.clone(),
        },
        settings,
    )?;
    let call = || match &args.filter {
        None => api.get("/log-filter"),
        Some(filter) => {
            let seconds = args.minutes.saturating_mul(60);
            let wanted = json!({ "filter": filter, "seconds": seconds });
            api.put("/log-filter")
                .header(CONTENT_TYPE, "application/json")
                .body(wanted.to_string())
        }
    };
    let said = api.answer(call).await?.text().await?;
    writeln!(stdout(), "{said}")?;
    Ok(ExitCode::SUCCESS)
}
