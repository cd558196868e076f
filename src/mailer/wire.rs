//! One connection to a relay: a command, then its one answer, and nothing between them.
//!
//! Whatever the relay says out of turn ends the connection: an answer that was sent before its command, by a faulty relay
//! or by somebody on the line before TLS began, would otherwise be taken for the answer to that command.

use std::fmt::Display;
use std::io;

use futures_util::FutureExt;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::commands::{Auth, Ehlo, Starttls};
use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::tls::Tls;

/// The longest line of an answer, in bytes; the standard has 512.
const LINE_BYTES_MAX: u64 = 4096;
/// The most lines of one answer.
const LINES_MAX: usize = 100;

/// An answer that says yes.
pub(super) const DONE: Codes = (200, 299);
/// The answer to DATA that asks for the content.
pub(super) const GO_ON: Codes = (354, 354);

/// The first and the last code that is the answer hoped for.
type Codes = (u16, u16);

/// What the relay said.
pub(super) struct Reply {
    /// Three digits.
    pub(super) code: u16,
    /// The text of all lines.
    pub(super) text: String,
}

/// Why a command was not answered as hoped for.
pub(super) enum Fault {
    /// The relay said no, by a code of 400 and more.
    Refused(Reply),
    /// The connection broke, or what was said on it was no SMTP.
    Broken,
}

impl From<io::Error> for Fault {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

/// A way to write and read, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// A connection whose greetings are over.
pub(super) struct Wire {
    stream: BufReader<Box<dyn Stream>>,
    /// What the relay says it can do, in capitals, a line each.
    features: String,
}

impl Wire {
    /// Connects, with TLS from the first byte where `tls` is given, and exchanges the greetings.
    pub(super) async fn connect(host: &str, port: u16, tls: Option<&Tls>) -> Result<Self, Fault> {
        let tcp = TcpStream::connect((host, port)).await?;
        // A command is one small packet, and waiting to fill it up would only wait for the answer to the one before.
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match tls {
            Some(tls) => Box::new(tls.connector.connect(tls.name.clone(), tcp).await?),
            None => Box::new(tcp),
        };
        let mut wire = Self {
            stream: BufReader::new(stream),
            features: String::new(),
        };
        wire.answer(DONE).await?;
        wire.greet().await?;
        Ok(wire)
    }

    /// Begins TLS on a plain connection; without it, the connection is of no more use.
    pub(super) async fn start_tls(mut self, tls: &Tls) -> Result<Self, Fault> {
        if !self.features.lines().any(|line| line == "STARTTLS") {
            return Err(Fault::Broken);
        }
        self.command(Starttls, DONE).await?;
        self.quiet()?;
        let plain = self.stream.into_inner();
        let stream: Box<dyn Stream> = Box::new(tls.connector.connect(tls.name.clone(), plain).await?);
        self.stream = BufReader::new(stream);
        self.greet().await?;
        Ok(self)
    }

    /// Logs in by PLAIN, or by LOGIN where that is all the relay knows.
    pub(super) async fn log_in(&mut self, who: &Credentials) -> Result<(), Fault> {
        let said = |mechanism, challenge: Option<&str>| {
            Auth::new(mechanism, who.clone(), challenge.map(str::to_owned)).map_err(|_| Fault::Broken)
        };
        if self.offers_login_by("PLAIN") {
            self.command(said(Mechanism::Plain, None)?, DONE).await?;
            return Ok(());
        }
        if !self.offers_login_by("LOGIN") {
            return Err(Fault::Broken);
        }
        self.command("AUTH LOGIN\r\n", (334, 334)).await?;
        self.command(said(Mechanism::Login, Some("Username"))?, (334, 334))
            .await?;
        self.command(said(Mechanism::Login, Some("Password"))?, DONE).await?;
        Ok(())
    }

    fn offers_login_by(&self, mechanism: &str) -> bool {
        let mut offers = self.features.lines().filter_map(|line| line.strip_prefix("AUTH "));
        offers.any(|offer| offer.split_whitespace().any(|word| word == mechanism))
    }

    /// Sends one command and awaits an answer within `hoped`.
    pub(super) async fn command(&mut self, command: impl Display, hoped: Codes) -> Result<(), Fault> {
        self.quiet()?;
        self.write(command.to_string().as_bytes()).await?;
        self.answer(hoped).await.map(drop)
    }

    /// Sends the content, all but the dot that ends it: as yet the relay cannot have taken the message.
    pub(super) async fn content(&mut self, content: &[u8]) -> Result<(), Fault> {
        self.write(&stuffed(content)).await?;
        self.quiet()
    }

    /// Sends the dot that ends the content and awaits the answer: from here on the relay may have taken the message.
    pub(super) async fn end(&mut self) -> Result<(), Fault> {
        self.write(b".\r\n").await?;
        self.answer(DONE).await.map(drop)
    }

    async fn greet(&mut self) -> Result<(), Fault> {
        self.quiet()?;
        self.write(Ehlo::new(ClientId::default()).to_string().as_bytes())
            .await?;
        self.features = self.answer(DONE).await?.text.to_ascii_uppercase();
        Ok(())
    }

    /// Nothing was said out of turn, as far as it has arrived.
    fn quiet(&mut self) -> Result<(), Fault> {
        match self.stream.fill_buf().now_or_never() {
            None => Ok(()),
            Some(_) => Err(Fault::Broken),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    async fn answer(&mut self, hoped: Codes) -> Result<Reply, Fault> {
        let mut reply = Reply {
            code: 0,
            text: String::new(),
        };
        for _ in 0..LINES_MAX {
            let mut line = Vec::new();
            (&mut self.stream)
                .take(LINE_BYTES_MAX)
                .read_until(b'\n', &mut line)
                .await?;
            let (code, goes_on, text) = parsed(&line).ok_or(Fault::Broken)?;
            if !matches!(reply.code, 0) && reply.code != code {
                return Err(Fault::Broken);
            }
            reply.code = code;
            reply.text.push_str(&text);
            if goes_on {
                reply.text.push('\n');
                continue;
            }
            return match code {
                400..=599 => Err(Fault::Refused(reply)),
                _ if (hoped.0..=hoped.1).contains(&code) => Ok(reply),
                _ => Err(Fault::Broken),
            };
        }
        Err(Fault::Broken)
    }
}

/// A whole line of an answer: its code, whether more lines follow, its text.
fn parsed(line: &[u8]) -> Option<(u16, bool, String)> {
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (digits, rest) = line.split_at_checked(3)?;
    let code = digits.iter().try_fold(0, |code, digit| {
        digit.is_ascii_digit().then(|| code * 10 + u16::from(digit - b'0'))
    })?;
    let goes_on = match rest.first() {
        None | Some(b' ') => false,
        Some(b'-') => true,
        Some(_) => return None,
    };
    let text = String::from_utf8_lossy(rest.get(1..).unwrap_or_default()).into_owned();
    Some((code, goes_on, text))
}

/// The content as it goes over the wire: every line ends in CRLF, whatever it ended in, and a dot that begins one is
/// doubled, so that no relay can see the end of the message where we see none.
fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 64);
    for line in lines(content) {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The lines of a content as the relay will see them, whatever they end in here.
pub(super) fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = content;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = match after {
            [b'\r', b'\n', next @ ..] | [_, next @ ..] => next,
            [] => after,
        };
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_ends_alike_and_no_dot_stands_alone() {
        let rows: [(&[u8], &[u8]); 7] = [
            (b"", b""),
            (b"a\r\nb", b"a\r\nb\r\n"),
            (b"a\n.\nb\n", b"a\r\n..\r\nb\r\n"),
            (b"a\r.\rb", b"a\r\n..\r\nb\r\n"),
            (b"a\n.\r\nb", b"a\r\n..\r\nb\r\n"),
            (b".", b"..\r\n"),
            (b"\r\n\r\n..x\r\n", b"\r\n\r\n...x\r\n"),
        ];
        for (content, sent) in rows {
            assert_eq!(stuffed(content), sent, "{}", content.escape_ascii());
        }
    }

    #[test]
    fn only_whole_lines_are_answers() {
        let good = |code, goes_on, text: &str| Some((code, goes_on, text.to_owned()));
        let rows: [(&[u8], _); 10] = [
            (b"250 ok\r\n", good(250, false, "ok")),
            (b"250-more\r\n", good(250, true, "more")),
            (b"250\r\n", good(250, false, "")),
            (b"250 ok\n", good(250, false, "ok")),
            (b"250 \xff\r\n", good(250, false, "\u{fffd}")),
            (b"250 ok", None),
            (b"25\r\n", None),
            (b"2500 ok\r\n", None),
            (b"+50 ok\r\n", None),
            (b"", None),
        ];
        for (line, expected) in rows {
            assert_eq!(parsed(line), expected, "{}", line.escape_ascii());
        }
    }
}
