//! The socket of a connection. It ends anything that takes too long. It also gives errors from
//! below the routes the same form as all others.

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

use crate::http::line::{Line, Phase};
use crate::http::linger::{self, Linger};
use crate::http::problem::Problem;
use crate::http::stream::Stream;

/// The timeouts of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Between two calls, and before the first one.
    pub idle: Duration,
    /// For the head of a call, from its first byte on.
    pub head: Duration,
    /// While the peer accepts no output.
    pub write: Duration,
    /// The limits on the rest of a call that still arrives after its answer.
    pub rest: linger::Most,
}

/// A socket with its connection's state.
pub struct Socket {
    stream: Stream,
    line: Arc<Line>,
    patience: Patience,
    reading: Pin<Box<Sleep>>,
    writing: Option<Pin<Box<Sleep>>>,
    /// Since when the peer has accepted no output.
    stalled: Option<Instant>,
    /// Our own answer in place of one from the HTTP implementation.
    instead: Option<Bytes>,
    /// Set when the connection is closing and the peer may still send.
    linger: Option<Linger>,
}

impl Socket {
    pub fn new(stream: Stream, line: Arc<Line>, patience: Patience) -> Self {
        prepare(stream.tcp(), patience);
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

    /// Ready when the peer has been silent for too long. Otherwise the task wakes at the deadline.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = match self.line.phase() {
            Phase::Idle(since) => since + self.patience.idle,
            Phase::Head(since) => since + self.patience.head,
            Phase::Call | Phase::Answered { .. } => return Poll::Pending,
            Phase::Closing => return Poll::Ready(()),
        };
        poll_until(&mut self.reading, deadline, cx)
    }

    /// Passes on the result of a write, or an error when the peer has accepted no output for too
    /// long.
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

    /// Whether the HTTP implementation is writing an answer that belongs to no call. Our own answer
    /// then replaces it.
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

    /// Writes the whole replacement for `length` bytes.
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

/// Sends small packets without delay. Where the system has such a limit, it also drops a peer that
/// acknowledges nothing while the kernel still buffers the output.
fn prepare(stream: &TcpStream, patience: Patience) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY on a connection");
    }
    #[cfg(target_os = "linux")]
    {
        let limit = u32::try_from(patience.write.as_millis()).unwrap_or(u32::MAX);
        if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, limit) {
            tracing::debug!(%error, "could not set a time limit for data that a peer does not acknowledge");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = patience;
}

/// Ready once the deadline has passed. Otherwise the task wakes at the deadline.
fn poll_until(timer: &mut Pin<Box<Sleep>>, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
    if timer.deadline() > deadline {
        timer.as_mut().reset(deadline);
    }
    // A timer that was set for an earlier deadline is reset when it fires.
    while timer.as_mut().poll(cx).is_ready() {
        if Instant::now() >= deadline {
            return Poll::Ready(());
        }
        timer.as_mut().reset(deadline);
    }
    Poll::Pending
}

/// The problem for an error that the HTTP implementation answers with an empty body.
fn refused_below(answer: &[u8]) -> Option<Problem> {
    let status = answer.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    let status = StatusCode::from_bytes(status).ok()?;
    let (code, message) = match status {
        StatusCode::BAD_REQUEST => ("invalid-request", "this is not valid HTTP/1.1"),
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
            // To the reader, the peer has closed the connection.
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
        // The HTTP implementation may not read again before bytes arrive, so the deadline is set
        // here.
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
    fn only_a_refusal_below_the_routes_is_turned_into_a_problem() {
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
