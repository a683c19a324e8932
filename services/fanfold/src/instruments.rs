//! The instruments of this process: those of its roles, its build, and the settings that its
//! promises rest on.

use metrics::{Metrics, Part};
use runtime::Settings;

use crate::command_line::Role;

/// The commit that this program was built from, if the build says it.
const REVISION: &str = match option_env!("FANFOLD_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// The instruments of a process with this role.
pub fn of(role: Role, settings: &Settings) -> Metrics {
    let metrics = Metrics::of(&parts(role));
    let version = env!("CARGO_PKG_VERSION");
    metrics.process.is(version, REVISION, role.name());
    #[cfg(feature = "jemalloc")]
    metrics.process.allocator.look_with(look);
    metrics.pulses.set_limit(settings.process.loop_silent_max);
    metrics
}

/// The parts of which a process with this role tells the metrics.
fn parts(role: Role) -> Vec<Part> {
    let views = role.includes(Role::Api) || role.includes(Role::Projector);
    let parts = [
        (true, Part::Process),
        (cfg!(feature = "jemalloc"), Part::Allocator),
        (role.includes(Role::Api), Part::Api),
        (role.includes(Role::Orchestrator), Part::Orchestrator),
        (role.includes(Role::Worker), Part::Worker),
        (role.includes(Role::Projector), Part::Projector),
        (views, Part::Views),
        (role.includes(Role::Webhooks), Part::Webhooks),
    ];
    let parts = parts.into_iter().filter(|(runs, _)| *runs);
    parts.map(|(_, part)| part).collect()
}

/// Asks the allocator.
#[cfg(feature = "jemalloc")]
fn look(allocator: &metrics::Allocator) {
    use metrics::Level as _;
    use tikv_jemalloc_ctl::{epoch, stats};

    // Its figures are from the last epoch.
    if epoch::advance().is_err() {
        return;
    }
    for (gauge, bytes) in [
        (&allocator.allocated, stats::allocated::read()),
        (&allocator.active, stats::active::read()),
        (&allocator.resident, stats::resident::read()),
    ] {
        if let Ok(bytes) = bytes {
            gauge.count(bytes as u64);
        }
    }
}

/// Tells the settings that promises rest on. How often the broker syncs to disk is known only if
/// this process has started it.
pub fn tell(metrics: &Metrics, settings: &Settings, own_broker: bool) {
    let deployment = &settings.deployment;
    let sync = if own_broker {
        settings.connections.nats_sync_interval.as_str()
    } else {
        "unknown"
    };
    for (name, value) in [
        ("NATS_SYNC_INTERVAL", sync.to_owned()),
        ("REPLICAS", deployment.replicas.to_string()),
        ("SHARDS", deployment.shards.to_string()),
        (
            "LOG_MAX_AGE_SECONDS",
            deployment.log_max_age.as_secs().to_string(),
        ),
        (
            "REQUEST_TTL_SECONDS",
            deployment.request_ttl.as_secs().to_string(),
        ),
        (
            "MAX_TASK_ATTEMPTS",
            settings.worker.max_task_attempts.to_string(),
        ),
        ("FAIL_FAST", deployment.fail_fast.to_string()),
    ] {
        metrics.process.rests_on(name, &value);
    }
}
