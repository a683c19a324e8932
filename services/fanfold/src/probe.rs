//! `fanfold probe`: asks a process how it is, for containers that have no shell.

use std::io::{Write as _, stdout};
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use reqwest::{Client, Url};
use runtime::Settings;

/// How long a process may take to answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The command.
#[derive(Subcommand)]
pub enum ProbeCommand {
    /// Ask a process whether it is ready, or whether it lives
    #[command(
        after_help = "Exits with 0 where it is, and with 1 where it is not or does not answer.\n\n\
                      Example:\n  fanfold probe --live http://127.0.0.1:8081"
    )]
    Probe {
        /// Ask whether its loops turn
        #[arg(long, conflicts_with = "ready")]
        live: bool,
        /// Ask whether it should get traffic; this is the default
        #[arg(long)]
        ready: bool,
        /// The listener [default: the admin listener of the settings, or else the API's]
        url: Option<String>,
    },
}

pub fn run(command: &ProbeCommand, settings: &Settings) -> anyhow::Result<ExitCode> {
    let ProbeCommand::Probe { live, url, .. } = command;
    let url = match url {
        Some(url) => url.clone(),
        None => own(settings),
    };
    let path = if *live { "/healthz" } else { "/readyz" };
    let url: Url = format!("{}{path}", url.trim_end_matches('/'))
        .parse()
        .with_context(|| format!("not a URL: {url}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (is_well, said) = runtime.block_on(ask(url))?;
    writeln!(stdout(), "{said}")?;
    Ok(if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The listener that the settings of a process name.
fn own(settings: &Settings) -> String {
    let (api, process) = (&settings.api, &settings.process);
    match process.admin_port {
        Some(port) => base(settings, process.admin_host, port),
        None => base(settings, api.http_host, api.http_port),
    }
}

/// The URL of a listener of this machine.
pub fn base(settings: &Settings, host: IpAddr, port: u16) -> String {
    let api = &settings.api;
    let scheme = if api.http_tls_cert.is_empty() {
        "http"
    } else {
        "https"
    };
    // Whoever listens on all addresses listens on this one.
    let host = match host {
        IpAddr::V4(host) if host.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V4(host) => host.to_string(),
        IpAddr::V6(host) if host.is_unspecified() => "[::1]".to_owned(),
        IpAddr::V6(host) => format!("[{host}]"),
    };
    format!("{scheme}://{host}:{port}")
}

/// Asks, and returns whether the process is well, with its answer.
async fn ask(url: Url) -> anyhow::Result<(bool, String)> {
    // If another provider is already installed, it serves just as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let is_own = match url.host() {
        Some(url::Host::Ipv4(host)) => host.is_loopback(),
        Some(url::Host::Ipv6(host)) => host.is_loopback(),
        _ => false,
    };
    if !is_own && url.scheme() == "https" {
        bail!("{url}: over https, a probe asks this machine only: name it as 127.0.0.1");
    }
    let client = Client::builder()
        .no_proxy()
        .timeout(TIMEOUT)
        // No other certificate is asked for, and a container may have none that it trusts.
        .tls_certs_only([])
        // The certificate has the name by which callers know this machine.
        .danger_accept_invalid_certs(is_own)
        .build()?;
    let answer = client.get(url.clone()).send().await;
    let answer = answer.with_context(|| format!("no answer from {url}"))?;
    let is_well = answer.status().is_success();
    Ok((is_well, answer.text().await?))
}
