use std::time::Duration;

use harness::Proxy;

use super::Aim;
use crate::brokers::BROKERS;
use crate::cluster::Cluster;
use crate::redis_nodes::NODES;
use crate::roles::{ROLES, Role, SIDES};

/// The delays of a slow network in milliseconds, in each direction.
const DELAYS_MS: [u64; 4] = [10, 25, 60, 120];
/// The bandwidths of a narrow network, in bytes per second of a connection.
const BANDWIDTHS: [u32; 3] = [60_000, 200_000, 500_000];
/// How often connections are reset in one fault.
const RESETS: u32 = 4;

async fn cut(cluster: &Cluster, aim: &Aim, what: &str, links: &[&Proxy]) {
    cluster.timeline.note(&format!("cut: {what}"));
    for link in links {
        link.cut();
    }
    aim.hold().await;
    for link in links {
        link.heal();
    }
}

fn one_role<'a>(cluster: &'a Cluster, aim: &mut Aim) -> &'a Role {
    &cluster.roles.all[aim.one_of(cluster.roles.all.len())]
}

fn side(cluster: &Cluster, side: usize) -> &[Role] {
    &cluster.roles.all[side * ROLES.len()..(side + 1) * ROLES.len()]
}

/// The links of all roles to the brokers.
fn all_links(cluster: &Cluster) -> impl Iterator<Item = &Proxy> {
    cluster.roles.all.iter().flat_map(|role| &role.links)
}

/// A process reaches no broker.
pub async fn cut_process(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let role = one_role(cluster, aim);
    let links: Vec<&Proxy> = role.links.iter().collect();
    let what = format!("{} from all brokers", role.process.name());
    cut(cluster, aim, &what, &links).await;
    Ok(())
}

/// A process does not reach one of the brokers.
pub async fn cut_link(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let role = one_role(cluster, aim);
    let broker = aim.one_of(BROKERS);
    let what = format!("{} from broker {broker}", role.process.name());
    cut(cluster, aim, &what, &[&role.links[broker]]).await;
    Ok(())
}

/// One of every role reaches no broker.
pub async fn cut_side(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let number = aim.one_of(SIDES.len());
    let roles = side(cluster, number).iter();
    let links: Vec<&Proxy> = roles.flat_map(|role| &role.links).collect();
    let what = format!("side {} from all brokers", SIDES[number]);
    cut(cluster, aim, &what, &links).await;
    Ok(())
}

/// A broker does not reach the others. Every role reaches it.
pub async fn cut_broker(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let broker = aim.one_of(BROKERS);
    let links = cluster.brokers.routes_of(broker);
    let what = format!("broker {broker} from the other brokers");
    cut(cluster, aim, &what, &links).await;
    Ok(())
}

/// A broker and one side are here, the other brokers and the other side are there.
pub async fn partition(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let broker = aim.one_of(BROKERS);
    let with = aim.one_of(SIDES.len());
    let mut links = cluster.brokers.routes_of(broker);
    for number in 0..SIDES.len() {
        for role in side(cluster, number) {
            let there = (0..BROKERS).filter(|other| (*other == broker) != (number == with));
            links.extend(there.map(|other| &role.links[other]));
        }
    }
    let what = format!("broker {broker} and side {} from the rest", SIDES[with]);
    cut(cluster, aim, &what, &links).await;
    Ok(())
}

/// Everything between roles and brokers, or between brokers, is slow.
pub async fn slow(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let delay = Duration::from_millis(*aim.random.pick(&DELAYS_MS));
    let between_brokers = aim.random.percent(50);
    let links: Vec<&Proxy> = if between_brokers {
        cluster.brokers.routes().collect()
    } else {
        all_links(cluster).collect()
    };
    let what = if between_brokers {
        "between brokers"
    } else {
        "to the brokers"
    };
    cluster
        .timeline
        .note(&format!("slow {what}: {delay:?} in each direction"));
    for link in &links {
        link.delay(delay);
    }
    aim.hold().await;
    for link in &links {
        link.heal();
    }
    Ok(())
}

/// Little passes between roles and brokers.
pub async fn narrow(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let limit = *aim.random.pick(&BANDWIDTHS);
    cluster
        .timeline
        .note(&format!("{limit} bytes/s to the brokers"));
    all_links(cluster).for_each(|link| link.limit(limit));
    aim.hold().await;
    all_links(cluster).for_each(Proxy::heal);
    Ok(())
}

/// Every connection to a broker is closed, several times.
pub async fn reset(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    for _ in 0..RESETS {
        all_links(cluster).for_each(Proxy::reset);
        tokio::time::sleep(aim.lasting / RESETS).await;
    }
    Ok(())
}

/// No client reaches one of the Redis nodes.
pub async fn cut_redis(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let node = aim.one_of(NODES);
    let what = format!("redis-{node} from its clients");
    cut(cluster, aim, &what, &[&cluster.redis.links[node]]).await;
    Ok(())
}

/// Redis answers late.
pub async fn slow_redis(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let delay = Duration::from_millis(5 * *aim.random.pick(&DELAYS_MS));
    cluster
        .timeline
        .note(&format!("Redis is slow: {delay:?} in each direction"));
    cluster
        .redis
        .links
        .iter()
        .for_each(|link| link.delay(delay));
    aim.hold().await;
    cluster.redis.links.iter().for_each(Proxy::heal);
    Ok(())
}
