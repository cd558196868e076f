//! A relay that takes every message after the same while, and keeps whose it was.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The header by which a message tells its number: the name of its reader.
const READER: &str = "To: ";

/// The relay; it ends with its value.
pub struct Sink {
    pub address: SocketAddr,
    order: Arc<Mutex<Vec<usize>>>,
    listening: JoinHandle<()>,
}

impl Sink {
    pub async fn start(takes: Duration) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let order = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&order);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    // Who goes away has said all that counts.
                    let _ = converse(stream, takes, &kept).await;
                });
            }
        });
        Ok(Self {
            address,
            order,
            listening,
        })
    }

    /// The numbers of the messages in the order in which they began to leave.
    pub fn order(&self) -> Vec<usize> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn converse(stream: TcpStream, takes: Duration, order: &Mutex<Vec<usize>>) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 sink ESMTP\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer = match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" => "250-sink\r\n250 8BITMIME\r\n",
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                acknowledge_at_once(stream.get_ref())?;
                take(&mut stream, order).await?;
                tokio::time::sleep(takes).await;
                "250 taken\r\n"
            }
            "QUIT" => return Ok(()),
            _ => "250 fine\r\n",
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// Reads a message to its end. Its reader's address begins with its number.
async fn take(stream: &mut BufReader<TcpStream>, order: &Mutex<Vec<usize>>) -> anyhow::Result<()> {
    let (mut line, mut number) = (Vec::new(), None);
    while line != b".\r\n" {
        line.clear();
        anyhow::ensure!(stream.read_until(b'\n', &mut line).await? > 0, "it broke off");
        let text = String::from_utf8_lossy(&line);
        if let Some(reader) = text.strip_prefix(READER).filter(|_| number.is_none()) {
            let digits = reader.split('<').next_back().unwrap_or_default();
            number = digits
                .split('@')
                .next()
                .and_then(|hex| usize::from_str_radix(hex, 16).ok());
        }
    }
    let number = number.ok_or_else(|| anyhow::anyhow!("a message without its number"))?;
    order.lock().unwrap_or_else(PoisonError::into_inner).push(number);
    Ok(())
}

/// Many senders hold the end of a message back until its beginning is acknowledged, and systems put that off for 40 ms.
#[cfg(target_os = "linux")]
fn acknowledge_at_once(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_quickack(true)
}

#[cfg(not(target_os = "linux"))]
fn acknowledge_at_once(_: &TcpStream) -> std::io::Result<()> {
    Ok(())
}
