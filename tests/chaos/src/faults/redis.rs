use anyhow::Context as _;
use rustix::process::Signal;

use super::Aim;
use crate::cluster::Cluster;
use crate::redis_nodes::NODES;

/// Less than an empty Redis needs, so that every write is refused.
const NO_MEMORY: &str = "1mb";

pub async fn flush(cluster: &Cluster, _: &mut Aim) -> anyhow::Result<()> {
    cluster.redis.ask_masters(&["FLUSHALL"]).await
}

pub async fn flush_one(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let master = master(cluster, aim).await?;
    cluster.redis.ask::<()>(master, &["FLUSHALL"]).await
}

async fn master(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<usize> {
    let masters = cluster.redis.masters().await;
    let one = aim.one_of(masters.len());
    let master = masters.get(one).context("no Redis node is a master now")?;
    cluster
        .timeline
        .note(&format!("of masters {masters:?}: {master}"));
    Ok(*master)
}

/// A master dies, and its replica takes over with what it has. The old master comes back as the
/// replica of the new one.
pub async fn fail_over(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let master = master(cluster, aim).await?;
    cluster.redis.servers[master].kill().await;
    aim.hold().await;
    cluster.redis.servers[master].start().await?;
    cluster.redis.until_whole().await?;
    let masters = cluster.redis.masters().await;
    cluster
        .timeline
        .note(&format!("masters are {masters:?} now"));
    Ok(())
}

/// A master comes back with an older copy of its keys, as a replica that lagged behind would.
pub async fn set_back(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let master = master(cluster, aim).await?;
    cluster.redis.ask::<()>(master, &["SAVE"]).await?;
    aim.hold().await;
    cluster.redis.servers[master].kill().await;
    cluster.redis.servers[master].start().await?;
    cluster.redis.until_whole().await?;
    cluster.redis.wipe(master);
    Ok(())
}

pub async fn stop(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    for server in &cluster.redis.servers {
        server.signal(Signal::STOP).await;
    }
    aim.hold().await;
    for server in &cluster.redis.servers {
        server.signal(Signal::CONT).await;
    }
    cluster.redis.until_whole().await
}

/// Every node dies, and comes back empty.
pub async fn kill_all(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    for node in 0..NODES {
        cluster.redis.servers[node].kill().await;
        cluster.redis.wipe(node);
    }
    aim.hold().await;
    for server in &cluster.redis.servers {
        server.start().await?;
    }
    cluster.redis.until_whole().await
}

/// Every write is refused for want of memory.
pub async fn fill(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let limit = |bytes| ["CONFIG", "SET", "maxmemory", bytes];
    cluster.redis.ask_masters(&limit(NO_MEMORY)).await?;
    aim.hold().await;
    for node in 0..NODES {
        cluster.redis.ask::<()>(node, &limit("0")).await?;
    }
    Ok(())
}
