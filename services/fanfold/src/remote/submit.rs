//! `fanfold submit`.

use std::fs;
use std::io::{Read as _, Write as _, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use domain::request::RequestId;
use reqwest::header::CONTENT_TYPE;
use runtime::Settings;
use serde::Deserialize;

use super::api::Failure;
use super::{Api, ApiArgs, REQUEST_FAILED, watch};

/// How long one call waits at the API. A longer wait is several calls.
const WAIT: Duration = Duration::from_secs(30);

/// The code of a problem that says that the request has not ended.
const NOT_READY: &str = "not-ready";

/// What to submit, and what to do then.
#[derive(Args)]
pub struct SubmitArgs {
    /// The document; `-` reads it from the standard input
    file: PathBuf,
    /// Wait for the end, and print the response document
    #[arg(long, conflicts_with = "follow")]
    wait: bool,
    /// Print each event of the request until its end
    #[arg(long)]
    follow: bool,
    /// Write the response document to this file
    #[arg(long, short, value_name = "FILE", requires = "wait")]
    output: Option<PathBuf>,
    /// The same key and document are the same request; unset: this call is a request of its own
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// A header that stays with the request, such as `x-desk: rates`; may be repeated
    #[arg(long, short = 'H', value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    #[command(flatten)]
    api: ApiArgs,
}

/// The answer to an accepted document.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    request_id: RequestId,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

pub async fn run(args: &SubmitArgs, settings: &Settings) -> anyhow::Result<ExitCode> {
    let api = Api::of(&args.api, settings)?;
    let document = document(&args.file)?;
    let accepted = submit(&api, args, document).await?;
    let id = accepted.request_id;
    if args.wait {
        eprintln!("accepted {id}");
        return wait(&api, id, args.output.as_deref()).await;
    }
    writeln!(stdout(), "{id}")?;
    if args.follow {
        return watch::follow(&api, id, false).await;
    }
    eprintln!("accepted; `fanfold watch {id}` follows it");
    Ok(ExitCode::SUCCESS)
}

fn document(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut document = Vec::new();
        stdin().read_to_end(&mut document)?;
        return Ok(document);
    }
    fs::read(file).with_context(|| file.display().to_string())
}

async fn submit(api: &Api, args: &SubmitArgs, document: Vec<u8>) -> anyhow::Result<Accepted> {
    // With a key, a repeat of the call is the same request.
    let own = || uuid::Uuid::now_v7().to_string();
    let key = args.idempotency_key.clone().unwrap_or_else(own);
    let document = bytes::Bytes::from(document);
    let call = || {
        let call = api.post("/valuation");
        let call = call.header(CONTENT_TYPE, "application/xml");
        let call = call.header("idempotency-key", &key);
        let fields = args.header.iter();
        let call = fields.fold(call, |call, (name, value)| call.header(name, value));
        call.body(document.clone())
    };
    let answer = api.answer(call).await.map_err(|failure| anyhow!(failure))?;
    let body = answer.bytes().await?;
    serde_json::from_slice(&body).context("this is not the answer of a Fanfold")
}

/// Waits for the end of a request and writes its response.
async fn wait(api: &Api, id: RequestId, output: Option<&Path>) -> anyhow::Result<ExitCode> {
    let path = format!("/valuation/{id}/results");
    let begun = Instant::now();
    let prefer = format!("wait={}", WAIT.as_secs());
    loop {
        let asked = Instant::now();
        let call = || api.get(&path).header("prefer", &prefer);
        let problem = match api.answer(call).await {
            Ok(answer) => {
                write(&answer.bytes().await?, output)?;
                return Ok(ExitCode::SUCCESS);
            }
            Err(Failure::Told(problem)) => problem,
            Err(silent) => bail!(silent),
        };
        if problem.ended {
            eprintln!("{problem}");
            return Ok(ExitCode::from(REQUEST_FAILED));
        }
        if problem.code != NOT_READY {
            bail!("{problem}");
        }
        eprintln!("not ended after {} s", begun.elapsed().as_secs());
        // An API that is about to stop lets nobody wait.
        let left = Duration::from_secs(1).saturating_sub(asked.elapsed());
        tokio::time::sleep(left).await;
    }
}

fn write(response: &[u8], output: Option<&Path>) -> anyhow::Result<()> {
    match output {
        Some(path) => fs::write(path, response).with_context(|| path.display().to_string()),
        None => Ok(stdout().write_all(response)?),
    }
}
