//! Settings of earlier versions, with what to do instead.

use super::table::LIMITS;

const AWS: &str = "the environment variable with the prefix AWS_ takes its place";
const PORTS: &str = "`up` takes the usual port, or a free one where that is taken, and writes its \
     address to servers.json in DATA_DIR, where the tools find it";
const OF_THE_TYPE: &str = "in the file, in the [[task-types]] entry whose name is `default`";

/// The removed settings that are not limits now.
const REMOVED: [(&str, &str, &str); 11] = [
    (
        "HEALTH_PORT",
        "set ADMIN_PORT",
        "the admin listener answers /healthz, /readyz and /metrics",
    ),
    ("NATS_PORT", "unset it", PORTS),
    ("REDIS_PORT", "unset it", PORTS),
    ("S3_ACCESS_KEY_ID", "set AWS_ACCESS_KEY_ID", AWS),
    ("S3_SECRET_ACCESS_KEY", "set AWS_SECRET_ACCESS_KEY", AWS),
    ("S3_SESSION_TOKEN", "set AWS_SESSION_TOKEN", AWS),
    ("S3_REGION", "set AWS_REGION", AWS),
    (
        "HREF_PLAIN_HTTP",
        "unset it",
        "an http:// entry in HREF_ALLOW is the consent to plain http to that host",
    ),
    (
        "HREF_PRIVATE_ADDRESSES",
        "unset it",
        "write private:https://host in HREF_ALLOW for each host whose addresses are not public",
    ),
    ("TASK_TIMEOUT_MS", "set time-limit-ms", OF_THE_TYPE),
    ("RETRY_DELAY_MS", "set retry.initial_ms", OF_THE_TYPE),
];

/// The names of all removed settings.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let limits = LIMITS.iter().map(|limit| limit.name);
    let others = REMOVED.iter().map(|(name, ..)| *name);
    others.chain(limits.filter(|name| !REMOVED.iter().any(|(other, ..)| other == name)))
}

/// The error text for a removed setting.
pub(super) fn instead(name: &str) -> Option<String> {
    if let Some((_, todo, because)) = REMOVED.iter().find(|(known, ..)| *known == name) {
        return Some(format!("{name} was removed: {todo}; {because}"));
    }
    let limit = LIMITS.iter().find(|limit| limit.name == name)?;
    Some(format!(
        "{name} was removed: unset it; it is a limit with the fixed value {} now (see Limits in \
         docs/configuration.md)",
        limit.default
    ))
}
