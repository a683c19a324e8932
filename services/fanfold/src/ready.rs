//! The message of `up` when everything runs.

use std::net::SocketAddr;
use std::path::Path;

use runtime::Settings;

use crate::build;

/// A document small enough for a command line: a bond at the market's rate, worth its principal.
const SAMPLE: &str = "<vnml><project><group name=\"demo\"><valuation name=\"bond\">\
<market><rate>0.03</rate></market><instrument><bond><principal>100</principal>\
<coupon><rate>0.05</rate><frequency>2</frequency></coupon><term>3</term></bond></instrument>\
<analytics><price><amount/></price></analytics></valuation></group></project></vnml>";

/// The message for the person who started `up`.
pub fn block(
    settings: &Settings,
    address: Option<SocketAddr>,
    admin: Option<SocketAddr>,
) -> String {
    let mut lines = vec!["Fanfold is ready.".to_owned(), String::new()];
    let mut line = |name: &str, value: String| lines.push(format!("  {name:<9} {value}"));
    let scheme = if settings.api.http_tls_cert.is_empty() {
        "http"
    } else {
        "https"
    };
    match address {
        Some(address) => {
            line("address", format!("{scheme}://{address}"));
            line(
                "try",
                format!(
                    "curl -H 'Content-Type: application/xml' '{scheme}://{address}/valuation?sync=Y' -d '{SAMPLE}'"
                ),
            );
        }
        None => line("address", "none: ENABLE_HTTP is false".into()),
    }
    if let Some(admin) = admin {
        line("console", format!("{scheme}://{admin}/console/"));
        line(
            "admin",
            format!("{scheme}://{admin} (/healthz, /readyz, /metrics)"),
        );
    }
    let folder = Path::new(&settings.connections.data_dir);
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.into());
    line(
        "data",
        format!(
            "{} (where this process started the servers)",
            folder.display()
        ),
    );
    line("promise", promise(settings));
    line("build", build::in_use());
    line("stop", "Ctrl-C".into());
    lines.join("\n")
}

/// The failures that an acknowledged write survives, as far as this process knows.
fn promise(settings: &Settings) -> String {
    let given = settings.nats_is_given();
    match settings.connections.nats_sync_interval.as_str() {
        _ if given => {
            "that of the NATS server at NATS_URL: sync_interval always, or three replicas, \
             for no loss in a power cut"
                .into()
        }
        "always" => "an accepted request is synced to disk before its 202".into(),
        interval => format!("a power cut may lose what was accepted in the last {interval}"),
    }
}
