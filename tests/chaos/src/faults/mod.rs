//! The kinds of faults. Each begins, lasts, and ends by itself.

mod broker;
mod network;
mod redis;
mod role;

use std::time::Duration;

use futures::future::BoxFuture;

use crate::cluster::Cluster;
use crate::random::Random;
use crate::schedule::Planned;

/// What a fault is about. Faults of one lane never overlap, those of different lanes do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Brokers,
    Redis,
    Roles,
    Network,
}

impl Lane {
    pub const ALL: [Self; 4] = [Self::Brokers, Self::Redis, Self::Roles, Self::Network];

    pub fn name(self) -> &'static str {
        match self {
            Self::Brokers => "brokers",
            Self::Redis => "redis",
            Self::Roles => "roles",
            Self::Network => "network",
        }
    }

    /// How many of ten faults are of this lane.
    pub fn share(self) -> usize {
        match self {
            Self::Brokers | Self::Roles => 3,
            Self::Redis | Self::Network => 2,
        }
    }
}

/// What a fault may choose, and how long it lasts.
pub struct Aim {
    pub random: Random,
    pub lasting: Duration,
}

impl Aim {
    async fn hold(&self) {
        tokio::time::sleep(self.lasting).await;
    }

    /// One of so many.
    fn one_of(&mut self, count: usize) -> usize {
        self.random.below(count)
    }
}

type Inflict = for<'a> fn(&'a Cluster, &'a mut Aim) -> BoxFuture<'a, anyhow::Result<()>>;

pub struct Kind {
    pub name: &'static str,
    pub lane: Lane,
    /// How long it lasts, at least and at most.
    pub seconds: (f64, f64),
    inflict: Inflict,
}

impl Kind {
    const fn new(name: &'static str, lane: Lane, seconds: (f64, f64), inflict: Inflict) -> Self {
        Self {
            name,
            lane,
            seconds,
            inflict,
        }
    }
}

/// Every kind.
pub const KINDS: &[Kind] = &[
    Kind::new("kill-broker", Lane::Brokers, (1.0, 8.0), |c, a| {
        Box::pin(broker::kill(c, a))
    }),
    Kind::new("kill-leader", Lane::Brokers, (1.0, 8.0), |c, a| {
        Box::pin(broker::kill_leader(c, a))
    }),
    Kind::new("kill-two-brokers", Lane::Brokers, (1.0, 8.0), |c, a| {
        Box::pin(broker::kill_two(c, a))
    }),
    Kind::new("kill-all-brokers", Lane::Brokers, (0.5, 4.0), |c, a| {
        Box::pin(broker::kill_all(c, a))
    }),
    Kind::new("stop-broker", Lane::Brokers, (2.0, 15.0), |c, a| {
        Box::pin(broker::stop(c, a))
    }),
    Kind::new("stop-leader", Lane::Brokers, (2.0, 15.0), |c, a| {
        Box::pin(broker::stop_leader(c, a))
    }),
    Kind::new("roll-brokers", Lane::Brokers, (30.0, 40.0), |c, a| {
        Box::pin(broker::roll(c, a))
    }),
    Kind::new("step-streams", Lane::Brokers, (0.5, 4.0), |c, a| {
        Box::pin(broker::step_streams(c, a))
    }),
    Kind::new("step-consumers", Lane::Brokers, (0.5, 4.0), |c, a| {
        Box::pin(broker::step_consumers(c, a))
    }),
    Kind::new("fill-disk", Lane::Brokers, (3.0, 12.0), |c, a| {
        Box::pin(broker::fill_disk(c, a))
    }),
    Kind::new("flush-redis", Lane::Redis, (0.5, 1.0), |c, a| {
        Box::pin(redis::flush(c, a))
    }),
    Kind::new("flush-one-redis", Lane::Redis, (0.5, 1.0), |c, a| {
        Box::pin(redis::flush_one(c, a))
    }),
    Kind::new("fail-redis-over", Lane::Redis, (6.0, 12.0), |c, a| {
        Box::pin(redis::fail_over(c, a))
    }),
    Kind::new("set-redis-back", Lane::Redis, (2.0, 10.0), |c, a| {
        Box::pin(redis::set_back(c, a))
    }),
    Kind::new("stop-redis", Lane::Redis, (2.0, 12.0), |c, a| {
        Box::pin(redis::stop(c, a))
    }),
    Kind::new("kill-redis", Lane::Redis, (2.0, 12.0), |c, a| {
        Box::pin(redis::kill_all(c, a))
    }),
    Kind::new("fill-redis", Lane::Redis, (3.0, 12.0), |c, a| {
        Box::pin(redis::fill(c, a))
    }),
    Kind::new("kill-role", Lane::Roles, (0.5, 4.0), |c, a| {
        Box::pin(role::kill(c, a))
    }),
    Kind::new("kill-both-of-role", Lane::Roles, (0.5, 4.0), |c, a| {
        Box::pin(role::kill_both(c, a))
    }),
    Kind::new("kill-side", Lane::Roles, (0.5, 4.0), |c, a| {
        Box::pin(role::kill_side(c, a))
    }),
    Kind::new("stop-role", Lane::Roles, (2.0, 35.0), |c, a| {
        Box::pin(role::stop(c, a))
    }),
    Kind::new("roll-role", Lane::Roles, (3.0, 6.0), |c, a| {
        Box::pin(role::roll(c, a))
    }),
    Kind::new("roll-all-roles", Lane::Roles, (15.0, 25.0), |c, a| {
        Box::pin(role::roll_all(c, a))
    }),
    Kind::new("cut-process", Lane::Network, (2.0, 20.0), |c, a| {
        Box::pin(network::cut_process(c, a))
    }),
    Kind::new("cut-link", Lane::Network, (2.0, 20.0), |c, a| {
        Box::pin(network::cut_link(c, a))
    }),
    Kind::new("cut-side", Lane::Network, (2.0, 15.0), |c, a| {
        Box::pin(network::cut_side(c, a))
    }),
    Kind::new("cut-broker", Lane::Network, (2.0, 20.0), |c, a| {
        Box::pin(network::cut_broker(c, a))
    }),
    Kind::new("partition", Lane::Network, (2.0, 20.0), |c, a| {
        Box::pin(network::partition(c, a))
    }),
    Kind::new("slow-network", Lane::Network, (3.0, 15.0), |c, a| {
        Box::pin(network::slow(c, a))
    }),
    Kind::new("narrow-network", Lane::Network, (3.0, 15.0), |c, a| {
        Box::pin(network::narrow(c, a))
    }),
    Kind::new("reset-connections", Lane::Network, (1.0, 4.0), |c, a| {
        Box::pin(network::reset(c, a))
    }),
    Kind::new("cut-redis", Lane::Network, (2.0, 15.0), |c, a| {
        Box::pin(network::cut_redis(c, a))
    }),
    Kind::new("slow-redis", Lane::Network, (3.0, 15.0), |c, a| {
        Box::pin(network::slow_redis(c, a))
    }),
];

/// A fault that could not be had here, such as a full disk where nothing can be mounted.
#[derive(Debug)]
pub struct NotHere(pub &'static str);

impl std::fmt::Display for NotHere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotHere {}

/// Lets a fault come, last and end.
pub async fn inflict(cluster: &Cluster, planned: &Planned) -> anyhow::Result<()> {
    let mut aim = Aim {
        random: Random::new(planned.seed),
        lasting: planned.lasting,
    };
    (planned.kind.inflict)(cluster, &mut aim).await
}
