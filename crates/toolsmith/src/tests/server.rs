//! A server that says what arrives.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

/// The answer to every request. A number beyond 2^53 shows that nothing is rounded.
pub(super) const ANSWER: &str = "{\"id\":9007199254740993,\"price\":1.10}";
/// Headers that curl adds itself.
const OF_CURL: [&str; 6] = ["host", "user-agent", "accept-encoding", "content-length", "accept", "connection"];

pub(super) struct Server {
    pub(super) address: SocketAddr,
    requests: Receiver<String>,
}

impl Server {
    /// Serves until the test's process ends.
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(&stream.unwrap(), &sender);
            }
        });
        Server { address, requests }
    }

    /// Returns the requests since the last call.
    pub(super) fn arrived(&self) -> String {
        self.requests.try_iter().collect()
    }
}

/// Reports a request, then answers it: the first line, the headers in alphabetical order, and the body. A client that has its answer
/// finds the report.
fn serve(stream: &TcpStream, reports: &Sender<String>) {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).unwrap();
        String::from_utf8_lossy(&line).trim_end().to_owned()
    };
    let first = line();
    let mut headers = Vec::new();
    loop {
        let header = line();
        if header.is_empty() {
            break;
        }
        headers.push(header);
    }
    let value = |wanted: &str| {
        let fits = |header: &&String| header.to_ascii_lowercase().starts_with(wanted);
        headers.iter().find(fits).map(|header| header.split_once(':').unwrap().1.trim().to_owned())
    };
    let length = value("content-length:").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    // curl's own `Accept` is of no interest, that of a tool is.
    let is_shown = |header: &&String| {
        let name = header.split(':').next().unwrap().to_ascii_lowercase();
        !OF_CURL.contains(&name.as_str()) || (name == "accept" && !header.ends_with("*/*"))
    };
    let mut shown: Vec<String> = headers.iter().filter(is_shown).cloned().collect();
    shown.sort();
    let mut text = format!("{}\n", first.trim_end_matches(" HTTP/1.1"));
    for header in shown {
        let _ = writeln!(text, "  {header}");
    }
    let boundary = value("content-type:").and_then(|kind| kind.split_once("boundary=").map(|(_, b)| b.to_owned()));
    let mut body = body.escape_ascii().to_string().replace("\\\"", "\"").replace("\\'", "'");
    if let Some(boundary) = boundary {
        body = body.replace(&boundary, "BOUNDARY");
        text = text.replace(&boundary, "BOUNDARY");
    }
    if !body.is_empty() {
        let _ = writeln!(text, "  | {}", body.replace("\\r\\n", "\n  | "));
    }
    let (status, answer) = if first.contains("graphql-error") {
        (200, r#"{"errors":[{"message":"There is no such user."}],"data":null}"#)
    } else if first.contains("refused") {
        (422, r#"{"error":{"message":"It is refused."}}"#)
    } else {
        (200, ANSWER)
    };
    let length = answer.len();
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    // The test has ended if nobody takes the report.
    let _ = reports.send(text);
    (&mut &*stream).write_all((head + answer).as_bytes()).unwrap();
}
