use rustix::process::Signal;

use super::Aim;
use crate::cluster::Cluster;
use crate::process::Process;
use crate::roles::{ROLES, Roles, SIDES};

pub async fn kill(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let one = aim.one_of(cluster.roles.all.len());
    kill_these(cluster, aim, &[one]).await
}

pub async fn kill_both(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let role = aim.one_of(ROLES.len());
    kill_these(cluster, aim, &Roles::both(role)).await
}

/// Every role of one side dies, as with its machine.
pub async fn kill_side(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let first = aim.one_of(SIDES.len()) * ROLES.len();
    let side: Vec<usize> = (first..first + ROLES.len()).collect();
    kill_these(cluster, aim, &side).await
}

async fn kill_these(cluster: &Cluster, aim: &Aim, numbers: &[usize]) -> anyhow::Result<()> {
    let processes = || {
        numbers
            .iter()
            .map(|number| &cluster.roles.all[*number].process)
    };
    let names: Vec<&str> = processes().map(Process::name).collect();
    cluster
        .timeline
        .note(&format!("kill -9 of {}", names.join(", ")));
    for process in processes() {
        process.kill().await;
    }
    aim.hold().await;
    for process in processes() {
        process.start().await?;
    }
    Ok(())
}

pub async fn stop(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let one = aim.one_of(cluster.roles.all.len());
    let process = &cluster.roles.all[one].process;
    cluster
        .timeline
        .note(&format!("SIGSTOP of {}", process.name()));
    process.signal(Signal::STOP).await;
    aim.hold().await;
    process.signal(Signal::CONT).await;
    Ok(())
}

/// A rolling restart of one role.
pub async fn roll(cluster: &Cluster, aim: &mut Aim) -> anyhow::Result<()> {
    let role = aim.one_of(ROLES.len());
    for number in Roles::both(role) {
        cluster.roles.roll(number).await?;
    }
    Ok(())
}

/// A rolling restart of every role.
pub async fn roll_all(cluster: &Cluster, _: &mut Aim) -> anyhow::Result<()> {
    for role in 0..ROLES.len() {
        for number in Roles::both(role) {
            cluster.roles.roll(number).await?;
        }
    }
    Ok(())
}
