//! What kind of network an address belongs to, and whether it is this host's own.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use super::rule::Grant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Public,
    /// Loopback, private networks, and all else that is not on the internet
    Private,
    /// Link-local addresses and those under which clouds hand out a machine's credentials
    Metadata,
    /// What no connection can be meant for
    Nobody,
}

impl Reach {
    /// Whether a host that was allowed in this way may turn out to have such an address. A name's owner decides where it
    /// points, so a name is never enough for a metadata service, and one found by a wildcard only for the internet.
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

fn of_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        [0 | 224..=239, ..] | [255, 255, 255, 255] => Reach::Nobody,
        // Besides link-local: Alibaba Cloud and Oracle Cloud.
        [169, 254, ..] | [100, 100, 100, 200] | [192, 0, 0, 192] => Reach::Metadata,
        [10 | 127 | 240..=255, ..] | [100, 64..=127, ..] | [172, 16..=31, ..] |
[192, 0, 0 | 2, _] | [192, 88, 99, _] | [192, 168, ..] | [198, 18 | 19, ..] |
[198, 51, 100, _] | [203, 0, 113, _] => Reach::Private,
        _ => Reach::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Reach {
    let segments = address.segments();
    let last_v4 = || of_v4(Ipv4Addr::from_bits((u32::from(segments[6]) << 16) | u32::from(segments[7])));
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] | [0xff00..=0xffff, ..] => Reach::Nobody,
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Private,
        // An IPv4 address in IPv6's clothes (RFC 4291, 6052) is where it leads.
        [0, 0, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => last_v4(),
        // 6to4 (RFC 3056) has it further in front.
        [0x2002, high, low, ..] => of_v4(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low))),
        [0xfe80..=0xfebf, ..] | [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254] => Reach::Metadata,
        // Teredo and other protocol assignments, documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Reach::Private,
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Private,
    }
}

/// Whether `address` is one of this host's: then it can be bound to. Any doubt counts as yes.
pub(super) fn is_local(address: IpAddr) -> bool {
    match UdpSocket::bind((address.to_canonical(), 0)) {
        Ok(_) => true,
        // The second: a system without IPv6.
        Err(error) => {
            error.kind() != ErrorKind::AddrNotAvailable
                && error.kind() != ErrorKind::Unsupported
                && error.raw_os_error() != Some(nix::libc::EAFNOSUPPORT)
        }
    }
}
