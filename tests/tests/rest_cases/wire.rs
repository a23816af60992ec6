//! Requests sent as they stand, byte by byte: no client tidies a path or a header here.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use motley_tests::sandbox::Reply;

/// What is sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// HTTP method.
    pub(crate) method: String,
    /// Path with query.
    pub(crate) target: String,
    /// Headers in their order, several of one name included.
    pub(crate) headers: Vec<(String, String)>,
}

impl Sent {
    /// Sends it to `host` (with port) on a connection of its own and reads the answer.
    ///
    /// # Errors
    /// When there is no answer, or it is no HTTP.
    pub(crate) fn send(&self, host: &str) -> Result<Reply> {
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut head = format!("{} {} HTTP/1.1\r\nhost: {host}\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if self.method == "POST" {
            head += "content-length: 0\r\n";
        }
        stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        parse(&String::from_utf8_lossy(&bytes))
            .with_context(|| format!("{} {} was not answered", self.method, self.target))
    }
}

fn parse(answer: &str) -> Option<Reply> {
    let (head, text) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    Some(Reply { status, headers, text: text.to_owned() })
}
