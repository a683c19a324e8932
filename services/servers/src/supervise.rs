use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::{Error, Server};

/// How often a server may end within [`WINDOW`] before it is given up.
const ENDS_MAX: usize = 5;
/// See [`ENDS_MAX`].
const WINDOW: Duration = Duration::from_mins(1);

/// How often the staging and the health of a server are checked.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The least time between two restarts of a server that is not healthy.
const HEAL_EVERY: Duration = Duration::from_secs(30);

/// Restarts a server whenever it ends or cannot work any more, until `stop` completes, and then
/// stops it in order. An error says that it ends repeatedly.
pub async fn supervise(mut server: Server, stop: impl Future<Output = ()>) -> Result<(), Error> {
    let mut ends: VecDeque<Instant> = VecDeque::new();
    let mut healed: Option<Instant> = None;
    tokio::pin!(stop);
    loop {
        tokio::select! {
            ended = server.ended() => {
                tracing::error!(server = server.name(), ?ended, "it ended; starting it again");
            }
            () = &mut stop => {
                server.stop().await;
                return Ok(());
            }
            () = tokio::time::sleep(LOOK_EVERY) => {
                server.tend();
                if healed.is_some_and(|healed| healed.elapsed() < HEAL_EVERY) {
                    continue;
                }
                if let Some(reason) = server.needs_restart().await {
                    healed = Some(Instant::now());
                    tracing::error!(server = server.name(), reason, "restarting it");
                    server.restart().await?;
                }
                continue;
            }
        }
        // On a full disk, it could not even write its process id.
        while server.is_disk_full() {
            tokio::select! {
                () = &mut stop => return Ok(()),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        ends.push_back(Instant::now());
        ends.retain(|end| end.elapsed() < WINDOW);
        if ends.len() >= ENDS_MAX {
            return Err(Error::KeepsEnding {
                program: server.name(),
                times: ends.len(),
                log: server.log(),
            });
        }
        server.restart().await?;
    }
}
