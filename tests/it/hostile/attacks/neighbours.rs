//! Attacks on other sandboxes, the engine and the host by sockets. A script that reaches one prints REACHED.

use super::Attack;

/// The other sandbox's script, which provides a target: it listens on its loopback and on an abstract socket, and connects to both.
pub(in crate::hostile) const OTHER: &str = r#"
setsid -f perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(LocalAddr=>"0.0.0.0",LocalPort=>9999,Listen=>9) or die; while($c=$s->accept){print $c "REACHED\n";close $c}' >/dev/null 2>&1
setsid -f perl -MSocket -e 'socket(S,AF_UNIX,SOCK_STREAM,0);bind(S,pack_sockaddr_un("\0other"))or die;listen(S,9);while(accept(C,S)){syswrite C,"REACHED\n";close C}' >/dev/null 2>&1
for i in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/9999) 2>/dev/null && break; sleep 0.05; done
head -c 8 </dev/tcp/127.0.0.1/9999
for i in $(seq 100); do perl /workspace/attacks/abstract.pl && break; sleep 0.05; done
"#;

/// Reads a line from the abstract socket.
pub(in crate::hostile) const ABSTRACT: &str = r#"use Socket; socket(S,AF_UNIX,SOCK_STREAM,0); connect(S,pack_sockaddr_un("\0other")) or die "$!\n"; print scalar <S>;"#;

pub(super) fn attacks() -> Vec<Attack> {
    [
        ("another sandbox", "its port on the same loopback", "head -c 8 </dev/tcp/127.0.0.1/9999"),
        ("another sandbox", "its port on other addresses", "for a in 10.0.0.5 192.168.7.7 93.184.216.34; do timeout 1 head -c 8 </dev/tcp/$a/9999; done"),
        ("another sandbox", "its port by the proxy", "raw 'GET http://127.0.0.1:9999/ HTTP/1.1\\r\\nHost: 127.0.0.1:9999\\r\\nConnection: close\\r\\n\\r\\n'; tunnel 127.0.0.1:9999; tunnel localhost:9999"),
        ("another sandbox", "its abstract socket", "perl /workspace/attacks/abstract.pl"),
        ("another sandbox", "sockets of other links", "ls -a /run/link /run/link/.. ; for s in $(find / -xdev -type s 2>/dev/null) /run/link/../*/*.sock; do case $s in /run/link/agent.sock|/run/link/gateway.sock|/run/link/files.sock|'/run/link/../*/*.sock'|/run/link/../link/*) ;; *) echo REACHED $s;; esac; done"),
        ("another sandbox", "a link to the directory above the mounted one", "ln -s /run/link/../.. /tmp/up; ls /tmp/up/ | grep -c crt- ; find /tmp/up/ -maxdepth 3 -name 'gateway.sock' 2>/dev/null | grep -v '^/tmp/up/run/link/' | sed 's/^/REACHED /'"),
        ("another sandbox", "its name and workspace by the proxy", "plain sandbox:8787; tunnel sandbox:8787; plain host.docker.internal:8787"),
        ("the engine", "its sockets", "for s in /var/run/docker.sock /run/docker.sock /run/containerd/containerd.sock /proc/1/root/var/run/docker.sock; do curl -s --max-time 1 --unix-socket $s http://x/version && echo REACHED; done; echo done"),
        ("the engine", "its API by the gateway's socket", "curl -s --max-time 2 --unix-socket /run/link/gateway.sock http://docker/containers/json; curl -s --max-time 2 --unix-socket /run/link/gateway.sock http://127.0.0.1:2375/version"),
        ("the host", "the server's API by the agent's socket", "curl -s --max-time 2 --unix-socket /run/link/agent.sock http://x/sessions | grep -q sessionId && echo REACHED; curl -s --max-time 2 --unix-socket /run/link/agent.sock http://x/health | grep -q version && echo REACHED; echo done"),
        ("the host", "abstract sockets", "grep -c '@' /proc/net/unix; grep '@' /proc/net/unix | sed 's/^/REACHED /'"),
        ("the host", "other interfaces and routes", "sed -n 3,9p /proc/net/dev | grep -v ' lo:' | sed 's/^/REACHED /'; sed -n 2,9p /proc/net/route | sed 's/^/REACHED /'; echo done"),
    ]
    .into_iter()
    .map(|(class, name, script)| Attack::new(class, name, script))
    .collect()
}
