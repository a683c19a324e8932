//! The socket of a connection, which ends what takes too long, and gives the errors that are
//! found below the routes the form of all others.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::StatusCode;
use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::failure::Problem;
use crate::line::{Line, Phase};
use crate::linger::{self, Linger};

/// How long a connection may take over what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Between two calls, and before the first.
    pub idle: Duration,
    /// For a head, from its first byte on.
    pub head: Duration,
    /// While the peer takes nothing of what is written.
    pub write: Duration,
    /// Over what still comes of a call when it is answered.
    pub rest: linger::Most,
}

/// A socket with the line it belongs to.
pub struct Socket {
    stream: TcpStream,
    line: Arc<Line>,
    patience: Patience,
    reading: Pin<Box<Sleep>>,
    writing: Option<Pin<Box<Sleep>>>,
    /// Since when the peer takes nothing.
    stalled: Option<Instant>,
    /// An answer of our own in place of one that the HTTP implementation made.
    instead: Option<Bytes>,
    /// Where it is closed, and the peer may still send.
    linger: Option<Linger>,
}

impl Socket {
    pub fn new(stream: TcpStream, line: Arc<Line>, patience: Patience) -> Self {
        prepare(&stream, patience);
        Self {
            stream,
            line,
            patience,
            reading: Box::pin(sleep_until(Instant::now() + patience.idle)),
            writing: None,
            stalled: None,
            instead: None,
            linger: None,
        }
    }

    /// Whether it is over with a peer that nothing comes from; otherwise it is looked again then.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = match self.line.phase() {
            Phase::Idle(since) => since + self.patience.idle,
            Phase::Head(since) => since + self.patience.head,
            Phase::Call | Phase::Answered { .. } => return Poll::Pending,
            Phase::Closing => return Poll::Ready(()),
        };
        poll_until(&mut self.reading, deadline, cx)
    }

    /// What a write came to: an error where the peer takes nothing for too long.
    fn written<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let since = *self.stalled.get_or_insert_with(Instant::now);
        let deadline = since + self.patience.write;
        let timer = self
            .writing
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        ready!(poll_until(timer, deadline, cx));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }

    /// Whether an answer is being written that is none to a call: one in its place, then.
    fn stands_in(&mut self, first: &[u8]) -> bool {
        if self.instead.is_none() && matches!(self.line.phase(), Phase::Idle(_) | Phase::Head(_)) {
            self.instead = refused_below(first).map(|problem| problem.written_plainly());
            if self.instead.is_some() {
                self.line.called();
                self.line.leave(true);
            }
        }
        self.instead.is_some()
    }

    /// Writes what stands in for `length` bytes, whole.
    fn poll_instead(&mut self, cx: &mut Context<'_>, length: usize) -> Poll<io::Result<usize>> {
        while let Some(instead) = &mut self.instead {
            if instead.is_empty() {
                self.instead = None;
                break;
            }
            let written = Pin::new(&mut self.stream).poll_write(cx, instead);
            if let Poll::Ready(Ok(written)) = written {
                instead.advance(written);
            }
            ready!(self.written(written, cx))?;
        }
        Poll::Ready(Ok(length))
    }
}

/// Small packets are not kept back; and a peer that takes nothing loses the connection also while
/// the kernel still takes in what is written, where it has such a limit.
fn prepare(stream: &TcpStream, patience: Patience) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its small packets back");
    }
    #[cfg(target_os = "linux")]
    {
        let limit = u32::try_from(patience.write.as_millis()).unwrap_or(u32::MAX);
        if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, limit) {
            tracing::debug!(%error, "the kernel has no limit for what a peer does not take");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = patience;
}

/// Ready where the deadline has passed; otherwise it is polled again then.
fn poll_until(timer: &mut Pin<Box<Sleep>>, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
    if timer.deadline() > deadline {
        timer.as_mut().reset(deadline);
    }
    // One that was set for an earlier deadline is set anew when it goes off.
    while timer.as_mut().poll(cx).is_ready() {
        if Instant::now() >= deadline {
            return Poll::Ready(());
        }
        timer.as_mut().reset(deadline);
    }
    Poll::Pending
}

/// The problem that the HTTP implementation answers with an empty body.
fn refused_below(answer: &[u8]) -> Option<Problem> {
    let status = answer.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    let status = StatusCode::from_bytes(status).ok()?;
    let (code, message) = match status {
        StatusCode::BAD_REQUEST => ("invalid-request", "this is not HTTP/1.1 as it is to be"),
        StatusCode::URI_TOO_LONG => ("uri-too-long", "the URI is too long"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (
            "head-too-large",
            "the head is larger than HTTP_HEADER_MAX_BYTES, or has more than 100 headers",
        ),
        _ => return None,
    };
    Some(Problem::new(status, code, message))
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        socket.line.register(cx.waker());
        if socket.line.phase() == Phase::Closing {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        match Pin::new(&mut socket.stream).poll_read(cx, buf) {
            // To whoever reads, the peer has closed it.
            Poll::Pending => socket.poll_over(cx).map(Ok),
            read @ Poll::Ready(_) => {
                if buf.filled().len() > before {
                    socket.line.came();
                }
                read
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        if socket.stands_in(buf) {
            return socket.poll_instead(cx, buf.len());
        }
        let written = Pin::new(&mut socket.stream).poll_write(cx, buf);
        socket.written(written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        if socket.stands_in(bufs.first().map_or(&[], |first| first)) {
            return socket.poll_instead(cx, bufs.iter().map(|buf| buf.len()).sum());
        }
        let written = Pin::new(&mut socket.stream).poll_write_vectored(cx, bufs);
        socket.written(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        ready!(Pin::new(&mut socket.stream).poll_flush(cx))?;
        // It may not be read again before something comes: the deadline is set here.
        if socket.line.written() && socket.poll_over(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        let linger = match &mut socket.linger {
            Some(linger) => linger,
            none => {
                ready!(Pin::new(&mut socket.stream).poll_shutdown(cx))?;
                if !socket.line.is_left() {
                    return Poll::Ready(Ok(()));
                }
                socket.line.lingers();
                none.insert(Linger::new(socket.patience.rest))
            }
        };
        socket.line.register(cx.waker());
        if socket.line.phase() == Phase::Closing {
            return Poll::Ready(Ok(()));
        }
        linger.poll_over(&mut socket.stream, cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_below_the_routes_is_a_problem_and_no_other_answer_is() {
        let plain = |answer: &str| {
            let problem = refused_below(answer.as_bytes())?;
            Some(String::from_utf8(problem.written_plainly().to_vec()).unwrap())
        };
        for (line, code) in [
            ("400 Bad Request", "invalid-request"),
            ("414 URI Too Long", "uri-too-long"),
            ("431 Request Header Fields Too Large", "head-too-large"),
        ] {
            let answer = plain(&format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n")).unwrap();
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {line}\r\n")),
                "{answer}"
            );
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(
                head.contains("content-type: application/problem+json"),
                "{head}"
            );
            assert!(
                head.contains(&format!("content-length: {}", body.len())),
                "{head}"
            );
            assert!(body.contains(&format!("\"code\":\"{code}\"")), "{body}");
        }
        assert_eq!(plain("HTTP/1.1 200 OK\r\n\r\n"), None);
        assert_eq!(plain("HTTP/1.1 100 Continue\r\n\r\n"), None);
        assert_eq!(plain(""), None);
    }
}
