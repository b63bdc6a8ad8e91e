//! Tests a server behind a proxy, and one whose model API has a certificate of a private authority.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_util::task::TaskTracker;

use crate::compatibility::acme_api;
use crate::server::{Setup, TestServer, printed};

/// `me:secret` in base64.
const AUTHORIZATION: &str = "proxy-authorization: basic bwu6c2vjcmv0";

/// A proxy like a company's: it alone knows names, and it wants a password.
#[derive(Clone)]
struct Proxy {
    address: SocketAddr,
    hosts: Arc<Mutex<BTreeMap<&'static str, SocketAddr>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let proxy = Proxy { address, hosts: Arc::default(), asked: Arc::default() };
        let serving = proxy.clone();
        TaskTracker::new().spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                TaskTracker::new().spawn(serving.clone().serve(client));
            }
        });
        proxy
    }

    fn url(&self) -> String {
        format!("http://me:secret@{}", self.address)
    }

    fn knows(&self, host: &'static str, address: SocketAddr) {
        self.hosts.lock().unwrap().insert(host, address);
    }

    fn asked_for(&self, start: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|line| line.starts_with(start))
    }

    async fn serve(self, mut client: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = client.read_u8().await else { return };
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let line = head.lines().next().unwrap().to_owned();
        self.asked.lock().unwrap().push(line.clone());
        if !head.to_ascii_lowercase().contains(AUTHORIZATION) {
            let _ = client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").await;
            return;
        }
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let authority = target.trim_start_matches("http://").split('/').next().unwrap();
        let host = authority.split(':').next().unwrap();
        let address = self.hosts.lock().unwrap().get(host).copied();
        let Some(address) = address else {
            let _ = client.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
            return;
        };
        let mut server = TcpStream::connect(address).await.unwrap();
        if method == "CONNECT" {
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        } else {
            server.write_all(head.replacen(&format!("http://{authority}"), "", 1).as_bytes()).await.unwrap();
        }
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}

fn model_of(server: &TestServer) -> SocketAddr {
    server.model.url().trim_start_matches("http://").parse().unwrap()
}

#[tokio::test]
async fn everything_outside_is_reached_through_the_proxy() {
    let (acme, _) = acme_api().await;
    let proxy = Proxy::start().await;
    proxy.knows("acme.example", acme.serving().address());
    let setup = Setup::new().env("HTTP_PROXY", proxy.url()).env("HTTPS_PROXY", proxy.url());
    let setup = setup.env("ANTHROPIC_BASE_URL", "http://model.example");
    let server = setup.env("EGRESS_ALLOW", "http://acme.example,acme.example:8443").start().await;
    proxy.knows("model.example", model_of(&server));

    assert_eq!(server.say("s", "say:by the proxy").await, "by the proxy");
    assert!(proxy.asked_for("POST http://model.example/v1/messages"), "{:?}", proxy.asked.lock().unwrap());

    // By plain http, and by a tunnel.
    let plain = server.task("s", "bash:curl -s http://acme.example/health").await.ok();
    assert_eq!(printed(&plain), json!({ "status": "ok" }), "{plain:#}");
    assert!(proxy.asked_for("GET http://acme.example:80/health") || proxy.asked_for("GET http://acme.example/health"));
    let tunnel = server.task("s", "bash:curl -s --proxytunnel http://acme.example:8443/health").await.ok();
    assert_eq!(printed(&tunnel), json!({ "status": "ok" }), "{tunnel:#}");
    assert!(proxy.asked_for("CONNECT acme.example:8443"));
    // The proxy changes nothing about what a sandbox may reach.
    let refused = server.task("s", "bash:curl -s http://other.example/").await.ok();
    assert_eq!(printed(&refused)["code"], "egress_refused", "{refused:#}");

    let ready = server.get("/ready").await.ok();
    let network = ready["checks"].as_array().unwrap().iter().find(|check| check["name"] == "network").unwrap();
    let detail = network["detail"].as_str().unwrap();
    assert!(detail.contains(&proxy.address.to_string()) && !detail.contains("secret"), "{detail}");
    server.finish().await;
}

#[tokio::test]
async fn a_private_authority_is_trusted_if_it_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    let authority = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(&ca_file, params.self_signed(&authority).unwrap().pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = own.signed_by(&key, &Issuer::from_params(&params, &authority)).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let behind: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
    TaskTracker::new().spawn(terminate_tls(listener, TlsAcceptor::from(Arc::new(config)), Arc::clone(&behind)));

    let named = Setup::new().env("ANTHROPIC_BASE_URL", &base).env("CA_FILE", ca_file.display().to_string());
    let server = named.start().await;
    *behind.lock().unwrap() = Some(model_of(&server));
    assert_eq!(server.say("s", "say:trusted").await, "trusted");
    server.finish().await;

    let unnamed = Setup::new().env("ANTHROPIC_BASE_URL", &base).start().await;
    let problem = unnamed.task("s", "say:hello").await.problem(503, "model_unreachable");
    assert!(problem["error"].as_str().unwrap().contains("certificate"), "{problem:#}");
    unnamed.finish().await;
}

async fn terminate_tls(listener: TcpListener, acceptor: TlsAcceptor, behind: Arc<Mutex<Option<SocketAddr>>>) {
    while let Ok((client, _)) = listener.accept().await {
        let (acceptor, behind) = (acceptor.clone(), Arc::clone(&behind));
        TaskTracker::new().spawn(async move {
            let Ok(client) = acceptor.accept(client).await else { return };
            let address = behind.lock().unwrap().unwrap();
            forward(client, TcpStream::connect(address).await.unwrap()).await;
        });
    }
}

async fn forward(mut client: impl AsyncRead + AsyncWrite + Unpin, mut server: TcpStream) {
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
