//! The address of a client behind a trusted proxy: from `X-Forwarded-For`, or from the PROXY protocol, version 1 or 2, with
//! which a connection may begin (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).

use std::io;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};
use ppp::{HeaderResult, PartialResult as _, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::settings::TrustedProxies;

/// The longest header that is read, options of version 2 included.
const MAX_HEADER_BYTES: usize = 4096;
const V1_PREFIX: &[u8] = b"PROXY ";

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The beginning of a trusted proxy's connection.
pub(super) struct Preface {
    /// The client that the PROXY protocol names. `None`: the connection does not use it, or is the proxy's own.
    pub(super) client: Option<SocketAddr>,
    /// The bytes of the requests that were read with it.
    pub(super) rest: Vec<u8>,
}

/// Reads the header of the PROXY protocol, if there is one. Fails if it is cut or wrong.
pub(super) async fn read_preface(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Preface> {
    let mut read = Vec::new();
    loop {
        if !may_be_header(&read) {
            return Ok(Preface { client: None, rest: read });
        }
        let parsed = HeaderResult::parse(&read);
        if !read.is_empty() && parsed.is_complete() {
            let (length, client) = header(&parsed).ok_or(io::ErrorKind::InvalidData)?;
            return Ok(Preface { client, rest: read.split_off(length) });
        }
        if read.len() >= MAX_HEADER_BYTES || stream.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Returns true if these bytes begin a header, or are too few to decide. No HTTP request begins like one.
fn may_be_header(read: &[u8]) -> bool {
    [V1_PREFIX, v2::PROTOCOL_PREFIX].iter().any(|prefix| {
        let length = prefix.len().min(read.len());
        prefix[..length] == read[..length]
    })
}

/// The header's length, and the client that it names.
fn header(parsed: &HeaderResult<'_>) -> Option<(usize, Option<SocketAddr>)> {
    match parsed {
        HeaderResult::V1(Ok(header)) => {
            let client = match header.addresses {
                v1::Addresses::Tcp4(ends) => Some((IpAddr::V4(ends.source_address), ends.source_port).into()),
                v1::Addresses::Tcp6(ends) => Some((IpAddr::V6(ends.source_address), ends.source_port).into()),
                v1::Addresses::Unknown => None,
            };
            Some((header.header.len(), client))
        }
        HeaderResult::V2(Ok(header)) => {
            let client = match (header.command, header.addresses) {
                (v2::Command::Proxy, v2::Addresses::IPv4(ends)) => {
                    Some((IpAddr::V4(ends.source_address), ends.source_port).into())
                }
                (v2::Command::Proxy, v2::Addresses::IPv6(ends)) => {
                    Some((IpAddr::V6(ends.source_address), ends.source_port).into())
                }
                (v2::Command::Local | v2::Command::Proxy, _) => None,
            };
            Some((header.len(), client))
        }
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => None,
    }
}

/// Returns the address of the client that sent a request, which came from `peer`: behind trusted proxies, the last hop of
/// `X-Forwarded-For` that is none of them.
pub(super) fn client(proxies: &TrustedProxies, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let hops = headers.get_all(&X_FORWARDED_FOR).iter().rev();
    let hops = hops.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
    let mut client = peer;
    for hop in hops {
        if !proxies.contain(client) {
            break;
        }
        match parse_hop(hop.trim()) {
            Some(address) => client = address,
            // The earlier hops were not written by a trusted proxy.
            None => break,
        }
    }
    client
}

/// Parses an address, which some proxies write with its port.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop.trim_matches(['[', ']']).parse().ok();
    bare.or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::{client, read_preface};

    #[test]
    fn the_client_is_the_last_hop_that_is_not_trusted() {
        let proxies = "10.0.0.0/8, 2001:db8::1".parse().unwrap();
        let of = |peer: &str, values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            client(&proxies, peer.parse().unwrap(), &headers).to_string()
        };
        assert_eq!(of("192.0.2.7", &["198.51.100.1"]), "192.0.2.7", "nobody else's header is believed");
        assert_eq!(of("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(of("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(
            of("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.0.0.2"]),
            "198.51.100.1",
            "what a client wrote does not count"
        );
        assert_eq!(of("10.0.0.1", &["1.1.1.1", "198.51.100.1"]), "198.51.100.1", "several headers are one list");
        assert_eq!(of("2001:db8::1", &["[2001:db8::9]:443"]), "2001:db8::9");
        assert_eq!(of("10.0.0.1", &["198.51.100.1:5000"]), "198.51.100.1");
        assert_eq!(of("10.0.0.1", &["198.51.100.1, unknown"]), "10.0.0.1");
    }

    async fn preface(mut bytes: &[u8]) -> Option<(Option<String>, String)> {
        let preface = read_preface(&mut bytes).await.ok()?;
        let rest = [&preface.rest[..], bytes].concat();
        Some((preface.client.map(|client| client.to_string()), String::from_utf8(rest).unwrap()))
    }

    #[tokio::test]
    async fn a_connection_may_begin_with_the_proxy_protocol() {
        let (request, client) = ("GET / HTTP/1.1\r\n\r\n", "198.51.100.1:5000");
        let some = |client: Option<&str>| Some((client.map(str::to_owned), request.to_owned()));
        assert_eq!(preface(request.as_bytes()).await, some(None));
        let v1 = format!("PROXY TCP4 198.51.100.1 10.0.0.1 5000 80\r\n{request}");
        assert_eq!(preface(v1.as_bytes()).await, some(Some(client)));
        assert_eq!(preface(format!("PROXY UNKNOWN\r\n{request}").as_bytes()).await, some(None));
        let v2 = |command: u8| {
            let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
            header.extend([command, 0x11, 0, 12, 198, 51, 100, 1, 10, 0, 0, 1, 0x13, 0x88, 0, 80]);
            header.extend(request.as_bytes());
            header
        };
        assert_eq!(preface(&v2(0x21)).await, some(Some(client)));
        assert_eq!(preface(&v2(0x20)).await, some(None), "a proxy's own connection");
        for wrong in ["PROXY TCP4 198.51.100.1", "PROXY TCP9 a b 1 2\r\n", "PROXY "] {
            assert_eq!(preface(wrong.as_bytes()).await, None, "{wrong:?}");
        }
    }
}
