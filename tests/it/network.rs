//! Tests a server behind a proxy, and one whose model API has a certificate of a private authority.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use engine::Engine as _;
use engine_docker::DockerEngine;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_util::task::TaskTracker;

use crate::compatibility::acme_api;
use crate::server::{Setup, TestServer, agent_image, printed};

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

/// An authority of a company, and a server that has its certificate for these names.
struct Private {
    directory: TempDir,
    port: u16,
    /// The server behind the one that has the certificate.
    behind: Arc<Mutex<Option<SocketAddr>>>,
}

impl Private {
    async fn start(names: &[&str]) -> Private {
        let directory = tempfile::tempdir().unwrap();
        let authority = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // A certificate whose issuer has the name of its subject is taken for self-signed.
        params.distinguished_name.push(DnType::CommonName, "An authority of a company");
        std::fs::write(directory.path().join("ca.pem"), params.self_signed(&authority).unwrap().pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        let certificate = own.signed_by(&key, &Issuer::from_params(&params, &authority)).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let behind: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
        TaskTracker::new().spawn(terminate_tls(listener, TlsAcceptor::from(Arc::new(config)), Arc::clone(&behind)));
        Private { directory, port, behind }
    }

    fn ca_file(&self) -> String {
        self.directory.path().join("ca.pem").display().to_string()
    }

    fn stands_before(&self, server: SocketAddr) {
        *self.behind.lock().unwrap() = Some(server);
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_if_it_is_named() {
    let private = Private::start(&["localhost"]).await;
    let base = format!("https://localhost:{}", private.port);
    let server = Setup::new().env("ANTHROPIC_BASE_URL", &base).env("CA_FILE", private.ca_file()).start().await;
    private.stands_before(model_of(&server));
    assert_eq!(server.say("s", "say:trusted").await, "trusted");
    server.finish().await;

    let unnamed = Setup::new().env("ANTHROPIC_BASE_URL", &base).start().await;
    let problem = unnamed.task("s", "say:hello").await.problem(503, "model_unreachable");
    assert!(problem["error"].as_str().unwrap().contains("certificate"), "{problem:#}");
    unnamed.finish().await;
}

#[tokio::test]
async fn a_sandbox_trusts_a_proxy_that_decrypts_if_its_image_was_built_with_the_authority() {
    const IMAGE: &str = "claude-runner-test-authorities";
    let (acme, _) = acme_api().await;
    let private = Private::start(&["acme.example"]).await;
    private.stands_before(acme.serving().address());
    let proxy = Proxy::start().await;
    proxy.knows("acme.example", ([127, 0, 0, 1], private.port).into());

    let mut build = Command::new(env!("CARGO_BIN_EXE_claude-runner"));
    build.args(["image", "build", "--tag", IMAGE, "--ca-file", &private.ca_file()]).env_remove("CLAUDE_VERSION");
    let built = build.output().await.unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    for (image, trusts) in [(IMAGE.to_owned(), true), (agent_image(), false)] {
        let setup = Setup::new().env("HTTPS_PROXY", proxy.url()).env("CA_FILE", private.ca_file());
        let server = setup.env("EGRESS_ALLOW", "acme.example").env("DOCKER_IMAGE", &image).start().await;
        let command = "bash:curl -s https://acme.example/health || echo \"{\\\"curl\\\": $?, \\\"list\\\": \\\"$NODE_EXTRA_CA_CERTS\\\"}\"";
        let answer = printed(&server.task("s", command).await.ok());
        let refused = json!({ "curl": 60, "list": "/etc/ssl/certs/ca-certificates.crt" });
        assert_eq!(answer, if trusts { json!({ "status": "ok" }) } else { refused }, "{image}");
        server.finish().await;

        let mut doctor = Command::new(env!("CARGO_BIN_EXE_claude-runner"));
        doctor.args(["doctor", "--json"]).current_dir(private.directory.path());
        let doctor = doctor.env("DOCKER_IMAGE", &image).env("CA_FILE", private.ca_file()).output().await.unwrap();
        let checks: Vec<serde_json::Value> = serde_json::from_slice(&doctor.stdout).unwrap();
        let check = checks.iter().find(|check| check["name"] == "image authorities").unwrap();
        assert_eq!(check["status"], if trusts { "ok" } else { "warn" }, "{check:#}");
    }
    let engine = DockerEngine::new(coordinator::config::docker_host().unwrap());
    engine.remove_image(IMAGE).await.unwrap();
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
