//! Spellings of hosts, rules, and kinds of addresses.

use domain::egress::{EgressRule, Grant, Host, Via, origins_in_env};

use crate::address::Reach;

#[test]
fn a_host_has_one_spelling() {
    for (text, spelled) in [
        ("example.com", "example.com"),
        ("EXAMPLE.Com.", "example.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("a_b.example", "a_b.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("[0:0:0:0:0:FFFF:127.0.0.1]", "[::ffff:127.0.0.1]"),
        ("3com.com", "3com.com"),
    ] {
        assert_eq!(text.parse::<Host>().unwrap().to_string(), spelled, "{text}");
    }
}

#[test]
fn odd_spellings_are_no_hosts() {
    for text in [
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "a.b..",
        "-a",
        "a-",
        "a b",
        "a\0b",
        "a\nb",
        "a%00b",
        "a/b",
        "a@b",
        "a:b",
        "a,b",
        "a*b",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "0X7F.0.0.1",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.01",
        "127.0.0.1.1",
        "1.2.3.4.5",
        "256.1.1.1",
        "127.0.0.0x1",
        "1.0x",
        "a.1",
        "127.0.0.1..",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "ｅxample.com",
        "bücher.example",
        "::1",
        "[::1",
        "::1]",
        "[::1%lo]",
        "[127.0.0.1]",
        "[]",
        "[[::1]]",
        "ⅼocalhost",
    ] {
        assert!(text.parse::<Host>().is_err(), "{text:?} is {:?}", text.parse::<Host>());
    }
    assert!(format!("{}.example", "a".repeat(64)).parse::<Host>().is_err());
    assert!(vec!["a"; 128].join(".").parse::<Host>().is_err());
}

#[test]
fn rules_grant_what_they_say_and_no_more() {
    use Via::{Plain, Tunnel};
    let cases: &[(&str, &str, u16, Via, Option<Grant>)] = &[
        ("example.com", "example.com", 443, Tunnel, Some(Grant::Name)),
        ("example.com", "example.com", 80, Plain, Some(Grant::Name)),
        ("example.com", "example.com", 80, Tunnel, None),
        ("example.com", "example.com", 22, Tunnel, None),
        ("example.com", "sub.example.com", 443, Tunnel, None),
        ("Example.com.", "example.com", 443, Tunnel, Some(Grant::Name)),
        ("example.com:8080", "example.com", 8080, Tunnel, Some(Grant::Name)),
        ("example.com:8080", "example.com", 8080, Plain, Some(Grant::Name)),
        ("example.com:8080", "example.com", 443, Tunnel, None),
        ("*.example.com", "a.b.example.com", 443, Tunnel, Some(Grant::Wildcard)),
        ("*.example.com", "example.com", 443, Tunnel, None),
        ("*.example.com", "evilexample.com", 443, Tunnel, None),
        ("*.example.com", "example.com.evil.com", 443, Tunnel, None),
        ("*.example.com:8443", "a.example.com", 8443, Tunnel, Some(Grant::Wildcard)),
        ("http://example.com:8080", "example.com", 8080, Plain, Some(Grant::Name)),
        ("http://example.com:8080", "example.com", 80, Plain, None),
        ("http://example.com/", "example.com", 80, Plain, Some(Grant::Name)),
        ("https://example.com", "example.com", 443, Tunnel, Some(Grant::Name)),
        ("https://example.com", "example.com", 443, Plain, None),
        ("https://example.com", "example.com", 80, Plain, None),
        ("host.docker.internal:3457", "host.docker.internal", 3457, Plain, Some(Grant::Name)),
        ("10.1.2.3:80", "10.1.2.3", 80, Plain, Some(Grant::Address)),
        ("[fd00::1]:8080", "[fd00:0::1]", 8080, Plain, Some(Grant::Address)),
        ("[fd00::1]", "[fd00::1]", 443, Tunnel, Some(Grant::Address)),
    ];
    for (rule, host, port, via, grant) in cases {
        let parsed: EgressRule = rule.parse().unwrap();
        assert_eq!(parsed.grants(&host.parse().unwrap(), *port, *via), *grant, "{rule} {host}:{port} {via:?}");
    }
    for bad in [
        "",
        "*",
        "*.",
        "*.1.2.3.4",
        "a b",
        "a:0",
        "a:70000",
        "a:b",
        "ftp://a",
        "http://a/path",
        "a*.b",
        "*.*.a",
        "0x7f.1",
    ] {
        assert!(bad.parse::<EgressRule>().is_err(), "{bad:?}");
    }
}

#[test]
fn origins_are_values_that_are_urls() {
    let values = [
        "http://a.example:3457/v1",
        "https://B.example",
        "http://a.example:3457",
        "see http://c.example",
        "d.example",
        "ftp://e",
        "",
    ];
    let rules: Vec<EgressRule> = origins_in_env(values).into_iter().map(EgressRule::from).collect();
    let expected: Vec<EgressRule> =
        ["http://a.example:3457", "https://b.example:443"].map(|rule| rule.parse().unwrap()).into();
    assert_eq!(rules, expected);
}

#[test]
fn addresses_are_public_or_not() {
    use Reach::{Metadata, Nobody, Private, Public};
    let cases = [
        ("1.1.1.1", Public),
        ("172.15.0.1", Public),
        ("172.32.0.1", Public),
        ("100.63.0.1", Public),
        ("100.128.0.1", Public),
        ("2606:4700::1111", Public),
        ("64:ff9b::101:101", Public),
        ("::ffff:1.1.1.1", Public),
        ("127.0.0.1", Private),
        ("127.255.255.254", Private),
        ("10.0.0.1", Private),
        ("172.16.0.1", Private),
        ("172.31.255.255", Private),
        ("192.168.0.1", Private),
        ("100.64.0.1", Private),
        ("198.18.0.1", Private),
        ("240.0.0.1", Private),
        ("192.0.2.1", Private),
        ("::1", Private),
        ("fc00::1", Private),
        ("fd12::1", Private),
        ("fec0::1", Private),
        ("2001::1", Private),
        ("2001:db8::1", Private),
        ("2002:7f00:1::", Private),
        ("2002:101:101::", Private),
        ("::ffff:0:127.0.0.1", Private),
        ("64:ff9b::10.0.0.1", Private),
        ("2001:0:7f00:1::", Private),
        ("3fff::1", Private),
        ("64:ff9b::7f00:1", Private),
        ("64:ff9b:1::1", Private),
        ("::ffff:127.0.0.1", Private),
        ("::7f00:1", Private),
        ("169.254.169.254", Metadata),
        ("169.254.0.1", Metadata),
        ("::ffff:169.254.169.254", Metadata),
        ("64:ff9b::a9fe:a9fe", Metadata),
        ("fe80::1", Metadata),
        ("fd00:ec2::254", Metadata),
        ("100.100.100.200", Metadata),
        ("0.0.0.0", Nobody),
        ("0.1.2.3", Nobody),
        ("224.0.0.1", Nobody),
        ("255.255.255.255", Nobody),
        ("::", Nobody),
        ("ff02::1", Nobody),
        ("::ffff:0.0.0.0", Nobody),
    ];
    for (address, reach) in cases {
        assert_eq!(Reach::of(address.parse().unwrap()), reach, "{address}");
    }
    assert!(!Private.is_open_to(Grant::Wildcard) && Private.is_open_to(Grant::Name));
    assert!(!Metadata.is_open_to(Grant::Name) && Metadata.is_open_to(Grant::Address));
    assert!(!Nobody.is_open_to(Grant::Address) && Public.is_open_to(Grant::Wildcard));
}
