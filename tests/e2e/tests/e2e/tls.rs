//! TLS on the main listener, and browsers from other origins.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use windlass_harness::{Database, Server, ServerOptions};

/// A server that speaks TLS with a certificate of its own, and the certificate.
struct Encrypted {
    server: Server,
    certificate: CertificateDer<'static>,
    // The server reads its files when it starts; a restart would need them again.
    _files: TempDir,
}

impl Encrypted {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(environment: &[(&str, &str)]) -> Self {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let issued = issued.expect("a certificate can be made");
        let files = TempDir::with_prefix("windlass-tls-").expect("a temporary directory");
        let certificate = files.path().join("certificate.pem");
        let key = files.path().join("key.pem");
        fs::write(&certificate, issued.cert.pem()).expect("it can be written");
        fs::write(&key, issued.signing_key.serialize_pem()).expect("it can be written");
        let variable = |name: &str, path: &std::path::Path| {
            (name.to_owned(), path.to_str().expect("its path is text").to_owned())
        };
        let mut options = ServerOptions::on(Database::Sqlite);
        options.environment = vec![
            variable("WINDLASS_TLS_CERTIFICATE", &certificate),
            variable("WINDLASS_TLS_KEY", &key),
        ];
        let more = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        options.environment.extend(more);
        let server = Server::start_with(options);
        Self { server, certificate: issued.cert.der().clone(), _files: files }
    }

    fn address(&self) -> &str {
        self.server.address().trim_start_matches("https://")
    }

    /// Shakes hands, offering one protocol, and answers which was taken and what came back until
    /// the server ended the connection.
    async fn ask(&self, protocol: &[u8], request: &[u8]) -> (Option<Vec<u8>>, String) {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("it is a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the defaults fit")
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(self.address()).await.expect("it listens");
        let name = ServerName::try_from("localhost").expect("it is a name");
        let connector = TlsConnector::from(Arc::new(client));
        let mut stream = connector.connect(name, stream).await.expect("a handshake");
        let taken = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        stream.write_all(request).await.expect("it is read");
        let mut answer = Vec::new();
        // Servers may end a connection without the closing words of TLS.
        _ = stream.read_to_end(&mut answer).await;
        (taken, String::from_utf8_lossy(&answer).into_owned())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_protocols_are_spoken_over_tls() {
    let encrypted = Encrypted::start();
    let request = b"GET /api/v1/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let (taken, answer) = encrypted.ask(b"http/1.1", request).await;
    assert_eq!(taken.as_deref(), Some(&b"http/1.1"[..]));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with(r#""version":"1.0.0"}"#), "{answer}");
    // The preface of HTTP/2 with empty settings, then GOAWAY: the server's own settings come back.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\
        \x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let (taken, answer) = encrypted.ask(b"h2", preface).await;
    assert_eq!(taken.as_deref(), Some(&b"h2"[..]));
    assert!(answer.len() >= 9, "{answer:?}");
    assert_eq!(answer.as_bytes()[3], 4, "a frame of settings comes first: {answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_keeps_silent_after_the_handshake_is_cut_off() {
    let encrypted = Encrypted::start_with(&[("WINDLASS_RECEIVE_SECONDS", "1")]);
    for protocol in [&b"h2"[..], b"http/1.1"] {
        let silent = encrypted.ask(protocol, b"");
        let ended = tokio::time::timeout(Duration::from_secs(20), silent).await;
        let (_, answer) = ended.expect("the connection ends");
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_may_call_from_the_configured_origin_alone() {
    let mut options = ServerOptions::on(Database::Sqlite);
    let origins = r#"["https://console.example"]"#.to_owned();
    options.environment = vec![("WINDLASS_CORS_ORIGINS".to_owned(), origins)];
    let server = Server::start_with(options);
    let preflight = async |origin: &str| {
        let request = server.client().request(Method::OPTIONS, "/api/v1/projects");
        request
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
            .send()
            .await
            .expect(200)
    };
    let allowed = preflight("https://console.example").await;
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://console.example"));
    let headers = allowed.header("access-control-allow-headers").expect("it answers the question");
    assert!(headers.contains("authorization"), "{headers}");
    let other = preflight("https://elsewhere.example").await;
    assert_eq!(other.header("access-control-allow-origin"), None);
}
