//! What the product's own tools say in the end.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;

use crate::check::Checked;
use crate::cluster::Cluster;

/// How long a tool may take.
const LIMIT: Duration = Duration::from_mins(3);
/// How long the verifiers of the projectors may take to mend every view. The last faults may have
/// emptied Redis, or set it back.
const MENDED_WITHIN: Duration = Duration::from_mins(10);
/// The pause before the views are verified again.
const VERIFY_PAUSE: Duration = Duration::from_secs(5);
/// How old work must be to be stuck.
const STUCK_AFTER: &str = "30";

/// Runs a tool. Returns whether it found nothing, and what it wrote.
async fn run(cluster: &Cluster, args: &[&str]) -> (bool, String) {
    let output = Command::new(&cluster.binary)
        .args(args)
        .envs(cluster.tool_settings())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(LIMIT, output).await {
        Err(_) => (false, format!("it did not end within {LIMIT:?}")),
        Ok(Err(error)) => (false, error.to_string()),
        Ok(Ok(output)) => {
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text).trim().to_owned();
            (output.status.success(), text)
        }
    }
}

/// Every view equals the fold of its log, by itself and after a while.
pub async fn verify(cluster: &Cluster, checked: &mut Checked) {
    let begun = Instant::now();
    let (fine, text) = loop {
        let (fine, text) = run(cluster, &["replay", "verify", "--all"]).await;
        if fine || begun.elapsed() > MENDED_WITHIN {
            break (fine, text);
        }
        tokio::time::sleep(VERIFY_PAUSE).await;
    };
    let waited = format!(
        "{:.0} s after the checks began",
        begun.elapsed().as_secs_f64()
    );
    checked.figure("views verified", waited);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    checked.figure("replay verify", lines.last().unwrap_or(&"").to_string());
    if !fine {
        for line in &lines {
            checked.found("views", "replay verify --all", (*line).to_owned());
        }
    }
}

/// No request is without progress for longer than its timeouts explain.
pub async fn stuck(cluster: &Cluster, checked: &mut Checked) {
    let (fine, text) = run(cluster, &["requests", "stuck", "--after", STUCK_AFTER]).await;
    checked.figure(
        "requests stuck",
        text.lines().last().unwrap_or("").to_owned(),
    );
    if !fine {
        for line in text.lines() {
            checked.found("stuck", "requests stuck", line.to_owned());
        }
    }
}
