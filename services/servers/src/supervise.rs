use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::{Error, Server};

/// How often a server may end within [`WINDOW`] before it is given up.
const ENDS_MAX: usize = 5;
/// See [`ENDS_MAX`].
const WINDOW: Duration = Duration::from_mins(1);

/// How often the staging of a server is checked.
const TEND_EVERY: Duration = Duration::from_secs(2);

/// Restarts a server whenever it ends, until `stop` completes, and then stops it in order. An error
/// says that it ends repeatedly.
pub async fn supervise(mut server: Server, stop: impl Future<Output = ()>) -> Result<(), Error> {
    let mut ends: VecDeque<Instant> = VecDeque::new();
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
            () = tokio::time::sleep(TEND_EVERY) => {
                server.tend();
                continue;
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
