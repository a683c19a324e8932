//! The console of this process: its pages behind the gates of the API's callers, on the admin
//! listener; or the pages of a bundle, without any server.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use api::auth::gated_page;
use api::{Auth, QuotasInForce};
use axum::Router;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::from_fn_with_state;
use console::{Console, NoRandomNumbers, Origin, Questions, Route, SettingLine, TakeQuota};
use history::bundle::Bundle;
use history::live::Live;
use nats::{Connection, Log};
use operations::{Operations, StuckWatch};
use projections::Store;
use runtime::{Documents, Settings, Shutdown, start_logs};

use crate::admin;
use crate::command_line::Role;

/// The pages on a running system whose API has this address.
pub fn live(
    connection: Connection,
    log: Log,
    views: Store,
    settings: &Settings,
    api: Option<SocketAddr>,
    shutdown: &Shutdown,
) -> Result<Arc<Console>, NoRandomNumbers> {
    let deployment = &settings.deployment;
    let operations = Operations::new(connection.clone(), log, Documents::default(), deployment);
    let live = Live::on(connection, deployment.shards);
    let task_types = settings.task_types.names();
    let stuck = StuckWatch::of_open(
        live.connection.clone(),
        deployment.shards,
        deployment.request_timeout,
    );
    let lines = setting_lines(settings);
    // The console counts apart from an API in this process, as another instance does.
    let quotas = QuotasInForce::new(&settings.tenants);
    let take_quota: TakeQuota = Box::new(move |tenant, groups| quotas.take(tenant, groups));
    let questions = Questions::live(
        live, views, operations, stuck, task_types, lines, take_quota,
    );
    let usual = SocketAddr::new(settings.api.http_host, settings.api.http_port);
    let origin = Origin::Live {
        api: format!("{}://{}", scheme(settings), api.unwrap_or(usual)),
        tells_callers_apart: settings.callers.is_on(),
    };
    Ok(Arc::new(Console::new(questions, origin, shutdown.clone())?))
}

/// The settings as `fanfold config` shows them.
fn setting_lines(settings: &Settings) -> Vec<SettingLine> {
    let definitions = Settings::definitions().iter();
    definitions
        .map(|definition| SettingLine {
            name: definition.name,
            value: settings.shown(definition),
            source: settings.source(definition).to_string(),
            about: definition.about,
        })
        .collect()
}

fn scheme(settings: &Settings) -> &'static str {
    if settings.api.http_tls_cert.is_empty() {
        "http"
    } else {
        "https"
    }
}

/// The routes of the console, each behind the gate of its action.
pub fn router(console: &Arc<Console>) -> Router {
    let routes = console::routes(console).into_iter();
    let routes = routes.fold(
        Router::new(),
        |router,
         Route {
             path,
             action,
             route,
         }| {
            let console = console.clone();
            let refused = move |parts: &Parts, status: StatusCode, reason: &str| {
                console::refused(&console, parts, status, reason)
            };
            let route = match action {
                Some(action) => gated_page(action, route, refused),
                None => route,
            };
            router.route(path, route)
        },
    );
    routes.layer(from_fn_with_state(console.clone(), console::session))
}

/// Serves the pages of a bundle until the process is asked to end.
pub fn open_bundle(path: &Path, settings: &Settings) -> anyhow::Result<ExitCode> {
    start_logs(&settings.process).map_err(|wrong| settings.wrong(wrong))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve_bundle(path, settings))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve_bundle(path: &Path, settings: &Settings) -> anyhow::Result<()> {
    let bundle = Bundle::read(path)?;
    let origin = Origin::Bundle {
        file: path.display().to_string(),
        redacted: bundle.header.redacted,
        damage: bundle.damage.clone(),
    };
    let shutdown = Shutdown::new();
    let console = Console::new(Questions::bundle(bundle), origin, shutdown.clone())?;
    let console = Arc::new(console);
    let listener = admin::bind(Role::Console, &settings.process).await?;
    let listener = listener.context("the console has no listener")?;
    let address = listener.local_addr()?;
    println!(
        "The console of {} is at {}://{address}/console/ until Ctrl-C.",
        path.display(),
        scheme(settings)
    );
    let auth = Arc::new(Auth::new(&settings.callers, Vec::new())?);
    let router = api::guarded(router(&console), auth);
    let signals = tokio::spawn(
        shutdown
            .clone()
            .on_signals(settings.process.shutdown_grace)?,
    );
    let served = api::serve(listener, router, &settings.api, &shutdown).await;
    shutdown.hard();
    signals.await?;
    served.context("the console failed")
}
