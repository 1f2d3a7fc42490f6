//! A body that arrives asynchronously, as the blocking [`Read`] that [`crate::body`] wants.
//!
//! Bounded: the sender waits when the parser is behind, so memory does not grow with the body. A sender that is dropped
//! without [`BodySender::finish`] makes the read fail: a client that went away must not look like one that was done.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

/// Chunks that may wait for the parser.
const WAITING_CHUNKS: usize = 32;

enum Part {
    Chunk(Bytes),
    End,
}

/// The end where the chunks go in.
#[derive(Debug)]
pub struct BodySender(mpsc::Sender<Part>);

/// The end where they are read, on a blocking thread.
#[derive(Debug)]
pub struct BodyReader {
    parts: mpsc::Receiver<Part>,
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
    let (sender, parts) = mpsc::channel(WAITING_CHUNKS);
    (BodySender(sender), BodyReader { parts, chunk: Bytes::new(), ended: false })
}

impl BodySender {
    /// Hands over the next chunk, once there is room.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub async fn send(&self, chunk: Bytes) -> Result<(), ReaderGone> {
        self.0.send(Part::Chunk(chunk)).await.map_err(|_| ReaderGone)
    }

    /// Says that the body is complete.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub async fn finish(self) -> Result<(), ReaderGone> {
        self.0.send(Part::End).await.map_err(|_| ReaderGone)
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() && !self.ended {
            match self.parts.blocking_recv() {
                Some(Part::Chunk(chunk)) => self.chunk = chunk,
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
        let (sender, mut reader) = body_stream();
        let read = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        for _ in 0..100 {
            sender.send(Bytes::from_static(b"ab")).await.unwrap();
            sender.send(Bytes::new()).await.unwrap();
        }
        sender.finish().await.unwrap();
        assert_eq!(read.await.unwrap().unwrap(), "ab".repeat(100));
    }

    #[tokio::test]
    async fn a_client_that_goes_away_is_no_end() {
        let (sender, mut reader) = body_stream();
        sender.send(Bytes::from_static(b"ab")).await.unwrap();
        drop(sender);
        let read = tokio::task::spawn_blocking(move || reader.read_to_end(&mut Vec::new()));
        assert_eq!(read.await.unwrap().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_reader_that_is_gone_is_an_error_for_the_sender() {
        let (sender, reader) = body_stream();
        drop(reader);
        assert_eq!(sender.send(Bytes::new()).await, Err(ReaderGone));
    }
}
