use futures::TryStreamExt as _;
use rustix::process::Signal;

use super::{Aim, NotHere};
use crate::brokers::BROKERS;
use crate::cluster::Cluster;

pub async fn kill(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let one = aim.one_of(BROKERS);
    kill_these(cluster, aim, &[one]).await
}

pub async fn kill_leader(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let leader = leader(cluster, aim).await?;
    kill_these(cluster, aim, &[leader]).await
}

pub async fn kill_two(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let spared = aim.one_of(BROKERS);
    let two: Vec<usize> = (0..BROKERS).filter(|number| *number != spared).collect();
    kill_these(cluster, aim, &two).await
}

pub async fn kill_all(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    kill_these(cluster, aim, &[0, 1, 2]).await
}

async fn kill_these(cluster: &Cluster, aim: &Aim, numbers: &[usize]) -> anyhow::Result<()> {
    cluster
        .timeline
        .note(&format!("kill -9 of brokers {numbers:?}"));
    for number in numbers {
        cluster.brokers.servers[*number].kill().await;
    }
    aim.hold().await;
    for number in numbers {
        cluster.brokers.servers[*number].start().await?;
    }
    for number in numbers {
        cluster.brokers.until_serves(*number).await?;
    }
    Ok(())
}

pub async fn stop(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let one = aim.one_of(BROKERS);
    stop_this(cluster, aim, one).await
}

pub async fn stop_leader(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let leader = leader(cluster, aim).await?;
    stop_this(cluster, aim, leader).await
}

async fn stop_this(cluster: &Cluster, aim: &Aim, number: usize) -> anyhow::Result<()> {
    let server = &cluster.brokers.servers[number];
    cluster
        .timeline
        .note(&format!("SIGSTOP of broker {number}"));
    server.signal(Signal::STOP).await;
    aim.hold().await;
    server.signal(Signal::CONT).await;
    cluster.brokers.until_serves(number).await
}

/// The server that leads one of the streams.
async fn leader(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<usize> {
    let streams = cluster.streams().await?;
    let stream = aim.random.pick(&streams);
    let leader = cluster.brokers.leader(stream).await;
    cluster
        .timeline
        .note(&format!("broker {leader:?} leads {stream}"));
    // A stream may be without a leader just now.
    Ok(leader.unwrap_or_else(|| aim.one_of(BROKERS)))
}

pub async fn roll(cluster: &Cluster, _: &mut Aim) -> anyhow::Result<()> {
    for number in 0..BROKERS {
        cluster.brokers.roll(number).await?;
    }
    Ok(())
}

pub async fn step_streams(cluster: &Cluster, _: &mut Aim) -> anyhow::Result<()> {
    for stream in cluster.streams().await? {
        step(cluster, &format!("STREAM.LEADER.STEPDOWN.{stream}")).await;
    }
    Ok(())
}

pub async fn step_consumers(cluster: &Cluster, _: &mut Aim) -> anyhow::Result<()> {
    for stream in cluster.streams().await? {
        let stream = cluster.jetstream().get_stream(stream).await?;
        let consumers: Vec<String> = stream.consumer_names().try_collect().await?;
        let stream = &stream.cached_info().config.name;
        for consumer in consumers {
            step(
                cluster,
                &format!("CONSUMER.LEADER.STEPDOWN.{stream}.{consumer}"),
            )
            .await;
        }
    }
    Ok(())
}

async fn step(cluster: &Cluster, what: &str) {
    match cluster.ask_broker(&format!("$JS.API.{what}")).await {
        Ok(answer) if answer["success"] == true => {}
        // A consumer of a scan may be gone, or there may be no leader that could step down.
        Ok(answer) => cluster.timeline.note(&format!("{what}: {answer}")),
        Err(error) => cluster.timeline.note(&format!("{what}: {error:#}")),
    }
}

pub async fn fill_disk(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let Some(disk) = &cluster.brokers.disk else {
        return Err(NotHere("nothing can be mounted").into());
    };
    let number = BROKERS - 1;
    disk.fill()?;
    aim.hold().await;
    disk.empty()?;
    // A server whose disk was full does nothing with JetStream until it is restarted.
    cluster.brokers.servers[number].kill().await;
    cluster.brokers.restart(number).await
}
