//! Checks that the log has no commit of a request. Only then may the API answer 404.

use std::time::Duration;

use async_nats::jetstream::stream::{ClusterInfo, Stream};
use domain::request::RequestId;
use futures::TryStreamExt;

use crate::{Connection, Error, subject};

/// How recently a leader must have heard from a majority for its word that nothing is there. A
/// leader that was cut off believes for about 10 s that it still leads, while another server may
/// take the lead after 4 s at the earliest and accept requests that the first one does not have.
const HEARD_WITHIN: Duration = Duration::from_secs(3);

/// Checks that a stream has nothing of a request. The leader says so itself, in one answer with how
/// recently it heard from the others.
pub(crate) async fn check(
    connection: &Connection,
    name: &str,
    stream: &Stream<()>,
    request: RequestId,
) -> Result<(), Error> {
    let failed = |error| connection.failed(format_args!("STREAM.INFO.{name}"), error);
    let at = subject::log(request);
    let mut told = stream.info_with_subjects(&at).await.map_err(failed)?;
    check_lead(told.info.cluster.as_ref())?;
    match told.try_next().await.map_err(Error::unavailable)? {
        None => Ok(()),
        Some(_) => Err(Error::Unavailable(format!(
            "a server that lags answered for request {request}"
        ))),
    }
}

/// Checks that the leader of a stream still leads it.
pub(crate) async fn is_led(connection: &Connection, name: &str) -> Result<(), Error> {
    let stream = connection.described(name).await?;
    check_lead(stream.cached_info().cluster.as_ref())
}

fn check_lead(cluster: Option<&ClusterInfo>) -> Result<(), Error> {
    if cluster.is_none_or(is_followed) {
        return Ok(());
    }
    Err(Error::Unavailable(
        "the server that answers may no longer lead the log".into(),
    ))
}

/// Whether this leader still leads: it and the servers that it has just heard from are a majority.
fn is_followed(cluster: &ClusterInfo) -> bool {
    let heard = cluster
        .replicas
        .iter()
        .filter(|replica| !replica.offline && replica.active < HEARD_WITHIN)
        .count();
    2 * (heard + 1) > cluster.replicas.len() + 1
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cluster(replicas: &[(u64, bool)]) -> ClusterInfo {
        let replicas = replicas.iter().map(|(seconds, offline)| {
            let active = seconds * 1_000_000_000;
            json!({"name": "n", "current": true, "active": active, "offline": offline})
        });
        let replicas: Vec<_> = replicas.collect();
        serde_json::from_value(json!({"leader": "n1", "replicas": replicas})).unwrap()
    }

    #[test]
    fn a_leader_alone_or_with_a_majority_is_believed_and_one_that_was_cut_off_is_not() {
        assert!(is_followed(&cluster(&[])));
        assert!(is_followed(&cluster(&[(0, false), (1, false)])));
        assert!(is_followed(&cluster(&[(0, false), (60, true)])));
        assert!(!is_followed(&cluster(&[(3, false), (4, false)])));
        assert!(!is_followed(&cluster(&[(0, true), (4, false)])));
        assert!(!is_followed(&cluster(&[
            (0, false),
            (9, false),
            (9, false),
            (9, true)
        ])));
    }
}
