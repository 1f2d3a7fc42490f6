//! A body that arrives asynchronously, as the blocking [`Read`] that [`crate::body`] wants.
//!
//! Bounded: the sender waits when the parser is behind, so memory does not grow with the body. A sender that is dropped
//! without [`BodySender::finish`] makes the read fail: a client that went away must not look like one that was done.
//!
//! A server gets a body in chunks of a few kilobytes. They are handed over many at once: waking the reader for each would
//! take longer than reading it.

use std::io::{self, Read};
use std::{mem, vec};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

/// Chunks are handed over when there are so many bytes, or so many chunks.
const GATHERED_BYTES: usize = 256 << 10;
const GATHERED_CHUNKS: usize = 64;

/// How often that may be done before the parser has taken any.
const WAITING_PARTS: usize = 4;

#[derive(Debug)]
enum Part {
    Chunks(Vec<Bytes>),
    End,
}

/// The end where the chunks go in.
#[derive(Debug)]
pub struct BodySender {
    parts: mpsc::Sender<Part>,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
}

/// The end where they are read, on a blocking thread.
#[derive(Debug)]
pub struct BodyReader {
    parts: mpsc::Receiver<Part>,
    chunks: vec::IntoIter<Bytes>,
    chunk: Bytes,
    ended: bool,
}

/// The reader is gone: it has failed and says why itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is no longer being read")]
pub struct ReaderGone;

/// Both ends of a body.
#[must_use]
pub fn body_stream() -> (BodySender, BodyReader) {
    let (sender, parts) = mpsc::channel(WAITING_PARTS);
    let reader = BodyReader { parts, chunks: Vec::new().into_iter(), chunk: Bytes::new(), ended: false };
    (BodySender { parts: sender, gathered: Vec::new(), gathered_bytes: 0 }, reader)
}

impl BodySender {
    /// Takes the next chunk, and hands over what has gathered once that is enough and there is room.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub async fn send(&mut self, chunk: Bytes) -> Result<(), ReaderGone> {
        self.gathered_bytes += chunk.len();
        self.gathered.push(chunk);
        if self.gathered_bytes < GATHERED_BYTES && self.gathered.len() < GATHERED_CHUNKS {
            return Ok(());
        }
        self.hand_over().await
    }

    async fn hand_over(&mut self) -> Result<(), ReaderGone> {
        self.gathered_bytes = 0;
        self.parts.send(Part::Chunks(mem::take(&mut self.gathered))).await.map_err(|_| ReaderGone)
    }

    /// Hands over the rest, and says that the body is complete.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub async fn finish(mut self) -> Result<(), ReaderGone> {
        self.hand_over().await?;
        self.parts.send(Part::End).await.map_err(|_| ReaderGone)
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() && !self.ended {
            if let Some(chunk) = self.chunks.next() {
                self.chunk = chunk;
                continue;
            }
            match self.parts.blocking_recv() {
                Some(Part::Chunks(chunks)) => self.chunks = chunks.into_iter(),
                Some(Part::End) => self.ended = true,
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the client went away")),
            }
        }
        let count = self.chunk.len().min(buffer.len());
        self.chunk.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn chunks_arrive_in_order_and_the_end_is_said() {
        let (mut sender, mut reader) = body_stream();
        let read = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        for _ in 0..1000 {
            sender.send(Bytes::from_static(b"ab")).await.unwrap();
            sender.send(Bytes::new()).await.unwrap();
        }
        sender.finish().await.unwrap();
        assert_eq!(read.await.unwrap().unwrap(), "ab".repeat(1000));
    }

    #[tokio::test]
    async fn a_client_that_goes_away_is_no_end() {
        let (mut sender, mut reader) = body_stream();
        sender.send(Bytes::from_static(b"ab")).await.unwrap();
        drop(sender);
        let read = tokio::task::spawn_blocking(move || reader.read_to_end(&mut Vec::new()));
        assert_eq!(read.await.unwrap().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_reader_that_is_gone_is_an_error_for_the_sender() {
        let (mut sender, reader) = body_stream();
        drop(reader);
        assert_eq!(sender.send(vec![0; GATHERED_BYTES].into()).await, Err(ReaderGone));
        assert_eq!(sender.finish().await, Err(ReaderGone));
    }
}
