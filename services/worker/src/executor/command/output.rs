//! The output of a program, kept within bounds.

use std::collections::VecDeque;
use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

/// How much is read at a time: a pipe's usual capacity.
const CHUNK: usize = 64 * 1024;

/// A result as it comes in, up to a limit.
#[derive(Debug)]
pub(super) struct Bounded {
    pub bytes: BytesMut,
    limit: usize,
}

impl Bounded {
    pub fn new(limit: usize) -> Self {
        Self {
            bytes: BytesMut::new(),
            limit,
        }
    }

    /// Reads to the end; false if there was more than the limit, of which the rest is unread.
    pub async fn fill(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<bool> {
        loop {
            self.bytes.reserve(CHUNK.min(self.limit) + 1);
            let read = from.read_buf(&mut self.bytes).await?;
            if self.bytes.len() > self.limit {
                return Ok(false);
            }
            if read == 0 {
                return Ok(true);
            }
        }
    }
}

/// The last bytes of what was written, as many as are kept.
#[derive(Debug)]
pub(super) struct Tail {
    bytes: VecDeque<u8>,
    limit: usize,
}

impl Tail {
    pub fn new(limit: usize) -> Self {
        Self {
            bytes: VecDeque::with_capacity(limit),
            limit,
        }
    }

    /// Reads to the end and keeps the last of it.
    pub async fn fill(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        while from.read_buf(&mut chunk).await? > 0 {
            self.push(&chunk);
            chunk.clear();
        }
        Ok(())
    }

    fn push(&mut self, chunk: &[u8]) {
        let chunk = &chunk[chunk.len().saturating_sub(self.limit)..];
        let over = (self.bytes.len() + chunk.len()).saturating_sub(self.limit);
        self.bytes.drain(..over);
        self.bytes.extend(chunk);
    }

    /// The bytes as text, never longer than the limit; what is no UTF-8 is left out.
    pub fn text(&self) -> String {
        let bytes: Vec<u8> = self.bytes.iter().copied().collect();
        bytes.utf8_chunks().map(|chunk| chunk.valid()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_result_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() {
        let mut bounded = Bounded::new(3);
        assert!(bounded.fill(&mut &b"abc"[..]).await.unwrap());
        assert_eq!(&bounded.bytes[..], b"abc");
        assert!(!Bounded::new(3).fill(&mut &b"abcd"[..]).await.unwrap());
    }

    #[tokio::test]
    async fn the_tail_keeps_the_last_bytes() {
        let mut tail = Tail::new(4);
        tail.fill(&mut &b"ab"[..]).await.unwrap();
        tail.fill(&mut &b"cdefg"[..]).await.unwrap();
        tail.fill(&mut &b"h"[..]).await.unwrap();
        assert_eq!(tail.text(), "efgh");
    }

    #[tokio::test]
    async fn a_character_cut_in_half_is_left_out() {
        let mut tail = Tail::new(4);
        tail.fill(&mut "xéé!".as_bytes()).await.unwrap();
        assert_eq!(tail.text(), "é!");
    }

    #[tokio::test]
    async fn a_tail_of_zero_bytes_keeps_nothing() {
        let mut tail = Tail::new(0);
        tail.fill(&mut &b"abc"[..]).await.unwrap();
        assert_eq!(tail.text(), "");
    }
}
