//! TCP transports (<https://core.telegram.org/mtproto/mtproto-transports>): full, intermediate and abridged, told apart by their first
//! bytes.

use std::io::{Error, ErrorKind, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// The largest packet accepted.
const LIMIT: usize = 2 << 20;

/// How packets are framed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Framing {
    Full,
    Intermediate,
    Abridged,
}

/// The receiving half.
pub struct Reader {
    stream: BufReader<OwnedReadHalf>,
    framing: Framing,
    /// The first length of a full transport, read while looking for the framing.
    peeked: Option<[u8; 4]>,
}

/// The sending half.
pub struct Writer {
    stream: OwnedWriteHalf,
    framing: Framing,
    sequence: u32,
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

/// Finds out the framing of a new connection.
pub async fn accept(read: OwnedReadHalf, stream: OwnedWriteHalf) -> Result<(Reader, Writer)> {
    let mut read = BufReader::with_capacity(4096, read);
    let first = read.read_u8().await?;
    let (framing, peeked) = if first == 0xef {
        (Framing::Abridged, None)
    } else {
        let mut head = [first, 0, 0, 0];
        read.read_exact(&mut head[1..]).await?;
        if head == [0xee; 4] { (Framing::Intermediate, None) } else { (Framing::Full, Some(head)) }
    };
    Ok((Reader { stream: read, framing, peeked }, Writer { stream, framing, sequence: 0 }))
}

impl Reader {
    /// The next packet. Errors: end of stream, too long, or damaged.
    pub async fn next(&mut self) -> Result<Vec<u8>> {
        match self.framing {
            Framing::Full => self.next_full().await,
            Framing::Intermediate => {
                let length = self.stream.read_u32_le().await? as usize;
                self.take(length).await
            }
            Framing::Abridged => {
                let mut words = (self.stream.read_u8().await? & 0x7f) as usize;
                if words == 0x7f {
                    let mut bytes = [0; 4];
                    self.stream.read_exact(&mut bytes[..3]).await?;
                    words = u32::from_le_bytes(bytes) as usize;
                }
                self.take(words * 4).await
            }
        }
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        if length > LIMIT {
            return Err(invalid("packet too long"));
        }
        let mut packet = vec![0; length];
        self.stream.read_exact(&mut packet).await?;
        Ok(packet)
    }

    async fn next_full(&mut self) -> Result<Vec<u8>> {
        let head = match self.peeked.take() {
            Some(head) => head,
            None => {
                let mut head = [0; 4];
                self.stream.read_exact(&mut head).await?;
                head
            }
        };
        let length = u32::from_le_bytes(head) as usize;
        if length < 12 {
            return Err(invalid("packet too short"));
        }
        let mut rest = self.take(length - 4).await?;
        let mut crc = crc32fast::Hasher::new();
        crc.update(&head);
        crc.update(&rest[..length - 8]);
        if rest[length - 8..] != crc.finalize().to_le_bytes() {
            return Err(invalid("wrong checksum"));
        }
        rest.truncate(length - 8);
        rest.drain(..4);
        Ok(rest)
    }
}

impl Writer {
    /// Sends one packet, whose length is a multiple of four.
    pub async fn send(&mut self, packet: &[u8]) -> Result<()> {
        let mut out = Vec::with_capacity(packet.len() + 12);
        match self.framing {
            Framing::Full => {
                out.extend_from_slice(&(packet.len() as u32 + 12).to_le_bytes());
                out.extend_from_slice(&self.sequence.to_le_bytes());
                out.extend_from_slice(packet);
                out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
                self.sequence += 1;
            }
            Framing::Intermediate => {
                out.extend_from_slice(&(packet.len() as u32).to_le_bytes());
                out.extend_from_slice(packet);
            }
            Framing::Abridged => {
                let words = packet.len() as u32 / 4;
                if words < 0x7f {
                    out.push(words as u8);
                } else {
                    out.extend_from_slice(&(0x7f | words << 8).to_le_bytes());
                }
                out.extend_from_slice(packet);
            }
        }
        self.stream.write_all(&out).await
    }

    /// Sends a transport error: 404 for an unknown key.
    pub async fn error(&mut self, code: i32) -> Result<()> {
        let code = (-code).to_le_bytes();
        match self.framing {
            // Clients read 12 bytes before they look at the length.
            Framing::Full => self.stream.write_all(&[code, code, code].concat()).await,
            Framing::Intermediate | Framing::Abridged => self.send(&code).await,
        }
    }

    /// Says that nothing more comes.
    pub async fn finish(&mut self) {
        if let Err(error) = self.stream.shutdown().await {
            tracing::debug!(%error, "shutdown");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpStream};

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    async fn accepted(prefix: &[u8]) -> (TcpStream, Result<(Reader, Writer)>) {
        let (mut client, server) = pair().await;
        client.write_all(prefix).await.unwrap();
        let (read, write) = server.into_split();
        (client, accept(read, write).await)
    }

    #[tokio::test]
    async fn every_framing_carries_short_and_long_packets_both_ways() {
        for (framing, prefix) in
            [(Framing::Full, &[][..]), (Framing::Intermediate, &[0xee; 4][..]), (Framing::Abridged, &[0xef][..])]
        {
            for length in [8usize, 504, 508, 4096] {
                let body: Vec<u8> = (0..length).map(|n| n as u8).collect();
                let (client, server) = pair().await;
                let (client_read, client_write) = client.into_split();
                let mut client_writer = Writer { stream: client_write, framing, sequence: 0 };
                client_writer.stream.write_all(prefix).await.unwrap();
                client_writer.send(&body).await.unwrap();
                client_writer.send(&body).await.unwrap();
                let (read, write) = server.into_split();
                let (mut reader, mut writer) = accept(read, write).await.unwrap();
                assert_eq!(reader.framing, framing);
                assert_eq!(reader.next().await.unwrap(), body);
                assert_eq!(reader.next().await.unwrap(), body);
                writer.send(&body).await.unwrap();
                let mut client_reader = Reader { stream: BufReader::new(client_read), framing, peeked: None };
                assert_eq!(client_reader.next().await.unwrap(), body);
            }
        }
    }

    #[tokio::test]
    async fn garbage_and_oversized_packets_are_errors() {
        for garbage in
            [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xee, 0xee, 0xee, 0xee, 0xff, 0xff, 0xff, 0x7f], &[4, 0, 0, 0, 1, 2, 3, 4]]
        {
            let (client, accepted) = accepted(garbage).await;
            assert!(accepted.unwrap().0.next().await.is_err());
            drop(client);
        }
        let mut damaged = vec![16, 0, 0, 0];
        damaged.extend([0; 12]);
        assert!(accepted(&damaged).await.1.unwrap().0.next().await.is_err());
    }
}
