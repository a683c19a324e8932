//! Closing a connection whose peer still sends (RFC 9112, section 9.6). Closing it at once would
//! reset it, and the peer might never read the answer. The server therefore reads and drops the
//! peer's bytes, up to a limit and for a limited time.

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// The longest silence of the peer before the connection closes.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// How many bytes one read takes.
const READ_BYTES: usize = 16 * 1024;

/// How many bytes the server drops, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    pub bytes: usize,
    pub time: Duration,
}

/// A connection that closes as soon as the peer has sent everything.
pub struct Linger {
    left: usize,
    ends: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Linger {
    pub fn new(most: Most) -> Self {
        let now = Instant::now();
        let ends = now + most.time;
        Self {
            left: most.bytes,
            ends,
            timer: Box::pin(sleep_until(ends.min(now + SILENCE_MAX))),
        }
    }

    /// Ready when the peer has sent everything, has sent more than the limit, or has been silent
    /// for too long.
    pub fn poll_over(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let mut scratch = [MaybeUninit::uninit(); READ_BYTES];
        while self.left > 0 {
            let mut read = ReadBuf::uninit(&mut scratch);
            match Pin::new(&mut *stream).poll_read(cx, &mut read) {
                Poll::Pending => return self.timer.as_mut().poll(cx),
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                    let now = Instant::now();
                    if now >= self.ends {
                        break;
                    }
                    self.left = self.left.saturating_sub(read.filled().len());
                    let silent = now + SILENCE_MAX;
                    self.timer.as_mut().reset(silent.min(self.ends));
                }
                Poll::Ready(_) => break,
            }
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const MOST: Most = Most {
        bytes: 100_000,
        time: Duration::from_secs(30),
    };

    async fn over(mut linger: Linger, stream: &mut DuplexStream) -> usize {
        poll_fn(|cx| linger.poll_over(stream, cx)).await;
        linger.left
    }

    #[tokio::test(start_paused = true)]
    async fn incoming_bytes_are_dropped_until_the_peer_closes() {
        let (mut peer, mut own) = duplex(1_000);
        let sending = async move {
            peer.write_all(&vec![b'x'; 99_999]).await.unwrap();
            drop(peer);
        };
        let (left, ()) = tokio::join!(over(Linger::new(MOST), &mut own), sending);
        assert_eq!(left, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_bytes_are_dropped_than_the_limit() {
        let (mut peer, mut own) = duplex(200_000);
        peer.write_all(&vec![b'x'; 150_000]).await.unwrap();
        assert_eq!(over(Linger::new(MOST), &mut own).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_not_waited_for() {
        let (_peer, mut own) = duplex(1_000);
        let begun = Instant::now();
        over(Linger::new(MOST), &mut own).await;
        assert_eq!(begun.elapsed().as_secs(), SILENCE_MAX.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_is_waited_for_until_the_time_is_over() {
        let (mut peer, mut own) = duplex(1_000);
        let begun = Instant::now();
        let sending = async {
            while peer.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(4)).await;
            }
        };
        tokio::select! {
            _ = over(Linger::new(MOST), &mut own) => {}
            () = sending => {}
        }
        assert_eq!(begun.elapsed().as_secs(), MOST.time.as_secs());
    }
}
