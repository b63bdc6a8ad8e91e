//! The name server of the network. It knows some names. A question for any other name or an invalid packet is a hit.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::UdpSocket;
use tokio_util::task::TaskTracker;

/// The names and their addresses.
const NAMES: [(&str, &str); 26] = [
    ("allowed.test", "93.184.216.34"),
    ("public.open.test", "93.184.216.34"),
    // This name has the model's address.
    ("model.open.test", "127.0.0.1"),
    ("meta-named.test", "169.254.169.254"),
    ("private10.open.test", "10.0.0.5"),
    ("private172.open.test", "172.16.0.5"),
    ("private192.open.test", "192.168.7.7"),
    ("loopback.open.test", "127.0.0.1"),
    ("loopback2.open.test", "127.8.8.8"),
    ("metadata.open.test", "169.254.169.254"),
    ("alibaba.open.test", "100.100.100.200"),
    ("carrier.open.test", "100.64.0.5"),
    ("multicast.open.test", "224.0.0.5"),
    ("nowhere.open.test", "0.0.0.0"),
    ("documentation.open.test", "192.0.2.5"),
    ("benchmark.open.test", "198.18.0.5"),
    ("reserved.open.test", "240.0.0.5"),
    ("loopback6.open.test", "::1"),
    ("mapped.open.test", "::ffff:10.0.0.5"),
    ("local6.open.test", "fd00::5"),
    ("link6.open.test", "fe80::5"),
    ("nat64.open.test", "64:ff9b::a00:5"),
    ("sixtofour.open.test", "2002:a00:5::1"),
    ("teredo.open.test", "2001:0:a00:5::1"),
    ("metadata6.open.test", "fd00:ec2::254"),
    ("compatible.open.test", "::a00:5"),
];
/// Resolves to the allowed host the first time and to an internal address afterwards.
const REBINDS: &str = "rebind.open.test";
const REBINDS_TO: [&str; 2] = ["93.184.216.34", "10.0.0.5"];

const A: u16 = 1;
const AAAA: u16 = 28;

pub(in crate::hostile) struct Names {
    hits: Arc<AtomicU64>,
    rebound: Arc<AtomicU64>,
}

impl Names {
    pub(super) async fn open() -> Names {
        let (hits, rebound) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let server = UdpSocket::bind("127.0.0.1:53").await.unwrap();
        TaskTracker::new().spawn(answer(server, Arc::clone(&hits), Arc::clone(&rebound)));
        Names { hits, rebound }
    }

    pub(in crate::hostile) fn hits(&self) -> u64 {
        self.hits.load(Ordering::SeqCst)
    }

    /// Returns the number of look-ups of the IPv4 address of [`REBINDS`].
    pub(in crate::hostile) fn rebound(&self) -> u64 {
        self.rebound.load(Ordering::SeqCst)
    }
}

async fn answer(socket: UdpSocket, hits: Arc<AtomicU64>, rebound: Arc<AtomicU64>) {
    let mut buffer = [0; 2048];
    while let Ok((bytes, client)) = socket.recv_from(&mut buffer).await {
        let packet = &buffer[..bytes];
        let Some((name, kind, end)) = question(packet) else {
            hits.fetch_add(bytes as u64, Ordering::SeqCst);
            continue;
        };
        let addresses: Vec<IpAddr> = if name == REBINDS {
            let place = if kind == A { rebound.fetch_add(1, Ordering::SeqCst).min(1) } else { 2 };
            REBINDS_TO.get(usize::try_from(place).unwrap()).into_iter().map(|text| text.parse().unwrap()).collect()
        } else {
            NAMES.iter().filter(|(known, _)| *known == name).map(|(_, text)| text.parse().unwrap()).collect()
        };
        if addresses.is_empty() && name != REBINDS {
            hits.fetch_add(bytes as u64, Ordering::SeqCst);
        }
        let _ = socket.send_to(&reply(packet, end, kind, &addresses), client).await;
    }
}

/// Returns the name, the type and the end of a packet's only question.
fn question(packet: &[u8]) -> Option<(String, u16, usize)> {
    if packet.get(4..6)? != [0, 1] {
        return None;
    }
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let length = usize::from(*packet.get(at)?);
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8(packet.get(at + 1..=at + length)?.to_vec()).ok()?);
        at += length + 1;
    }
    let kind = packet.get(at + 1..at + 3)?;
    Some((labels.join(".").to_ascii_lowercase(), u16::from_be_bytes([kind[0], kind[1]]), at + 5))
}

/// Returns the addresses of the requested family.
fn reply(packet: &[u8], end: usize, kind: u16, addresses: &[IpAddr]) -> Vec<u8> {
    let of_kind = |address: &&IpAddr| (kind == A && address.is_ipv4()) || (kind == AAAA && address.is_ipv6());
    let answers: Vec<&IpAddr> = addresses.iter().filter(of_kind).collect();
    // The code 3 means that the name does not exist.
    let code = if addresses.is_empty() { 3 } else { 0 };
    let mut reply = packet[..2].to_vec();
    reply.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(answers.len()).unwrap(), 0, 0, 0, 0]);
    reply.extend(&packet[12..end]);
    for address in answers {
        let octets = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        // The answer has the question's name and type, the internet class, and a time to live of zero.
        reply.extend([0xc0, 12, kind.to_be_bytes()[0], kind.to_be_bytes()[1], 0, 1, 0, 0, 0, 0, 0]);
        reply.push(u8::try_from(octets.len()).unwrap());
        reply.extend(octets);
    }
    reply
}
