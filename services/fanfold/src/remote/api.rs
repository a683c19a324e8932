//! The HTTP API, as these commands call it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::header::RETRY_AFTER;
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode};
use runtime::Settings;
use secrecy::{ExposeSecret as _, SecretString};

use super::problem::Problem;

/// The credential of the caller, unless a file has it.
const KEY: &str = "FANFOLD_KEY";
/// How long the commands repeat a call that has no answer, or an answer that asks for a repeat.
const PATIENCE: Duration = Duration::from_mins(1);
/// The first pause before a repeat where the answer names none; each further one doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may stay silent. An event stream has a heartbeat each 15 s.
const READ_TIMEOUT: Duration = Duration::from_mins(1);

/// Where the API is, and who calls it.
#[derive(Args)]
pub struct ApiArgs {
    /// Address of the API [the API of this machine's settings]
    #[arg(long, env = "FANFOLD_URL", value_name = "URL")]
    url: Option<String>,
    /// File with the key or the JWT to call with; unset: the variable `FANFOLD_KEY`, if it is set
    #[arg(long, env = "FANFOLD_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// File with the certificates of the authorities to trust, instead of those of the system
    #[arg(long, env = "FANFOLD_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// The API at one address.
pub struct Api {
    client: Client,
    base: String,
    credential: Option<SecretString>,
}

impl Api {
    pub fn of(args: &ApiArgs, settings: &Settings) -> anyhow::Result<Self> {
        // The first use chooses the provider for the process. Another one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT);
        let builder = match &args.ca {
            Some(path) => builder.tls_certs_only(authorities(path)?),
            None => builder,
        };
        let base = args.url.clone().unwrap_or_else(|| local(settings));
        Ok(Self {
            client: builder.build()?,
            base: base.trim_end_matches('/').to_owned(),
            credential: credential(args.key_file.as_deref())?,
        })
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.credited(self.client.get(format!("{}{path}", self.base)))
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.credited(self.client.post(format!("{}{path}", self.base)))
    }

    fn credited(&self, call: RequestBuilder) -> RequestBuilder {
        match &self.credential {
            Some(credential) => call.bearer_auth(credential.expose_secret()),
            None => call,
        }
    }

    /// Makes a call that may be made twice, until it has an answer that says no more than to try
    /// again. An error answer is an error, with the problem that it tells.
    pub async fn answer(&self, call: impl Fn() -> RequestBuilder) -> Result<Response, Failure> {
        let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let failure = match call().send().await {
                Ok(answer) if answer.status().as_u16() < 400 => return Ok(answer),
                Ok(answer) => {
                    pause = asked_for(&answer).unwrap_or(pause);
                    let may_pass = matches!(
                        answer.status(),
                        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
                    );
                    let failure = Failure::Told(Box::new(Problem::of(answer).await));
                    if !may_pass {
                        return Err(failure);
                    }
                    failure
                }
                Err(error) => Failure::Silent(self.base.clone(), error.without_url()),
            };
            if begun.elapsed() + pause > PATIENCE {
                return Err(failure);
            }
            eprintln!("{failure}; trying again");
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

/// Why a call has no answer that serves.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The API says why.
    #[error("{0}")]
    Told(Box<Problem>),
    /// The API did not answer.
    #[error("the API at {0} does not answer: {why}", why = causes(.1))]
    Silent(String, reqwest::Error),
}

fn causes(error: &reqwest::Error) -> String {
    let chain = std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source());
    let said: Vec<String> = chain.map(ToString::to_string).collect();
    said.join(": ")
}

fn asked_for(answer: &Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// The API that these settings start on this machine.
fn local(settings: &Settings) -> String {
    let scheme = if settings.api.http_tls_cert.is_empty() {
        "http"
    } else {
        "https"
    };
    format!("{scheme}://localhost:{}", settings.api.http_port)
}

fn credential(file: Option<&Path>) -> anyhow::Result<Option<SecretString>> {
    let Some(path) = file else {
        return Ok(std::env::var(KEY).ok().map(SecretString::from));
    };
    let text = fs::read_to_string(path);
    let text = text.with_context(|| format!("--key-file {}", path.display()))?;
    let text = text.trim();
    if text.is_empty() {
        bail!("--key-file {}: it is empty", path.display());
    }
    Ok(Some(SecretString::from(text)))
}

fn authorities(path: &Path) -> anyhow::Result<Vec<Certificate>> {
    let read = fs::read(path).with_context(|| format!("--ca {}", path.display()))?;
    let found = Certificate::from_pem_bundle(&read);
    let found = found.with_context(|| format!("--ca {}", path.display()))?;
    if found.is_empty() {
        bail!("--ca {}: it has no certificate", path.display());
    }
    Ok(found)
}
