//! Determines the kind of network that an address belongs to, and whether it is this host's own.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use domain::egress::Grant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Public,
    /// Loopback, private networks, and all else that is not on the internet
    Private,
    /// Link-local addresses and those under which clouds hand out a machine's credentials
    Metadata,
    /// No connection can be meant for it
    Nobody,
}

impl Reach {
    /// Returns true if a host that was allowed in this way may resolve to such an address. A name's owner decides where it points,
    /// so a name never allows a metadata service, and a name that a wildcard matched allows only the internet.
    pub(super) fn is_open_to(self, grant: Grant) -> bool {
        match self {
            Reach::Public => true,
            Reach::Private => grant >= Grant::Name,
            Reach::Metadata => grant >= Grant::Address,
            Reach::Nobody => false,
        }
    }

    pub(super) fn of(address: IpAddr) -> Reach {
        match address.to_canonical() {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

/// Networks that are not on the internet (IANA's registry of special-purpose addresses). The first match counts.
const V4: [([u8; 4], u32, Reach); 17] = [
    ([0, 0, 0, 0], 8, Reach::Nobody),
    ([224, 0, 0, 0], 4, Reach::Nobody), // multicast
    ([255, 255, 255, 255], 32, Reach::Nobody),
    ([169, 254, 0, 0], 16, Reach::Metadata),
    ([100, 100, 100, 200], 32, Reach::Metadata), // Alibaba Cloud
    ([192, 0, 0, 192], 32, Reach::Metadata),     // Oracle Cloud
    ([10, 0, 0, 0], 8, Reach::Private),
    ([127, 0, 0, 0], 8, Reach::Private),
    ([100, 64, 0, 0], 10, Reach::Private), // shared by carriers
    ([172, 16, 0, 0], 12, Reach::Private),
    ([192, 0, 0, 0], 24, Reach::Private),
    ([192, 0, 2, 0], 24, Reach::Private), // documentation
    ([192, 168, 0, 0], 16, Reach::Private),
    ([198, 18, 0, 0], 15, Reach::Private),   // benchmarks
    ([198, 51, 100, 0], 24, Reach::Private), // documentation
    ([203, 0, 113, 0], 24, Reach::Private),  // documentation
    ([240, 0, 0, 0], 4, Reach::Private),
];

fn of_v4(address: Ipv4Addr) -> Reach {
    let is_in = |network: [u8; 4], length: u32| {
        (address.to_bits() ^ Ipv4Addr::from(network).to_bits()).leading_zeros() >= length
    };
    V4.iter().find(|(network, length, _)| is_in(*network, *length)).map_or(Reach::Public, |(_, _, reach)| *reach)
}

fn of_v6(address: Ipv6Addr) -> Reach {
    if address.is_loopback() {
        return Reach::Private;
    }
    let segments = address.segments();
    let last_v4 = || of_v4(Ipv4Addr::from_bits((u32::from(segments[6]) << 16) | u32::from(segments[7])));
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] | [0xff00..=0xffff, ..] => Reach::Nobody,
        // An IPv6 address that embeds an IPv4 address (RFC 4291, 6052) counts as that address.
        [0, 0, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => last_v4(),
        [0xfe80..=0xfebf, ..] | [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254] => Reach::Metadata,
        // Teredo and other protocol assignments, documentation, 6to4: these tunnels are obsolete and may lead anywhere.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] | [0x2002, ..] => Reach::Private,
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Private,
    }
}

/// Returns true if `address` is one of this host's, so that it can be bound. Any doubt counts as true.
pub(super) fn is_local(address: IpAddr) -> bool {
    match UdpSocket::bind((address.to_canonical(), 0)) {
        Ok(_) => true,
        // All errors but the first mean a system without IPv6.
        Err(error) => {
            error.kind() != ErrorKind::AddrNotAvailable
                && error.kind() != ErrorKind::Unsupported
                && error.raw_os_error() != Some(nix::libc::EAFNOSUPPORT)
        }
    }
}
