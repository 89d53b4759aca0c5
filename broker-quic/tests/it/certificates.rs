//! Certificates from files, client certificates and their revocation, and reading all of them again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quince_broker::{
    CertificateFiles, ClientCertificates, Demand, ListenerUrl, Scheme, Server, Settings,
};
use quinn::crypto::rustls::QuicClientConfig;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::version::TLS13;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::login::Login;
use crate::peer::{CONNECT_3, CONNECT_5, PINGREQ, PINGRESP, Peer, quic_dial, web_socket};

/// An authority, and a folder for what it signs.
pub(crate) struct Authority {
    folder: PathBuf,
    pub(crate) certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
pub(crate) struct Signed {
    pub(crate) certificate: Certificate,
    key: KeyPair,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed");
        let issuer = Issuer::new(params, key);
        Self {
            folder,
            certificate,
            issuer,
        }
    }

    pub(crate) fn sign(&self, name: &str, serial: u64) -> Signed {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from(serial));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        Signed { certificate, key }
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.join(name);
        fs::write(&file, text).expect("written");
        file
    }

    /// Writes the list of the revoked certificates with these serial numbers.
    fn revoke(&self, serials: &[u64]) -> PathBuf {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("signed");
        self.write("revoked.pem", &list.pem().expect("PEM"))
    }

    /// Writes a server certificate of that serial number over the one that may be there.
    pub(crate) fn serve(&self, serial: u64) -> CertificateFiles {
        let signed = self.sign("server", serial);
        CertificateFiles {
            chain: self.write("server.pem", &signed.certificate.pem()),
            key: self.write("server.key", &signed.key.serialize_pem()),
        }
    }

    /// A client that believes this authority, and shows `identity`.
    pub(crate) fn client(&self, identity: Option<&Signed>, alpn: &[u8]) -> ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(self.certificate.der().clone())
            .expect("an authority");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots);
        let mut config = match identity {
            Some(Signed { certificate, key }) => {
                let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
                let chain = vec![certificate.der().clone()];
                builder.with_client_auth_cert(chain, key).expect("a pair")
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        config
    }
}

async fn start(settings: Settings) -> Server {
    let loopback = "127.0.0.1:0".parse().expect("an address");
    let urls =
        [Scheme::Tls, Scheme::Wss, Scheme::Quic].map(|scheme| ListenerUrl::new(scheme, loopback));
    Server::bind(&urls, settings).await.expect("bound")
}

/// Whether CONNECT is answered over each of the three transports.
async fn let_in(server: &Server, authority: &Authority, identity: Option<&Signed>) -> [bool; 3] {
    let [tls, wss, quic] = [0, 1, 2].map(|index| server.listeners()[index].url().address());
    let over_tls = async {
        let config = authority.client(identity, b"mqtt");
        let mut stream = dial(tls, config).await.ok()?;
        stream.write_all(CONNECT_5).await.ok()?;
        stream.read_u8().await.ok()
    };
    let over_wss = async {
        let config = authority.client(identity, b"http/1.1");
        let stream = dial(wss, config).await.ok()?;
        web_socket(stream, "/mqtt", &["mqtt"])
            .await
            .ok()
            .map(|_| 0x20)
    };
    let over_quic = async {
        let config = authority.client(identity, b"mqtt");
        let config = QuicClientConfig::try_from(config).expect("QUIC cipher suites");
        let config = quinn::ClientConfig::new(Arc::new(config));
        let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().expect("an address"));
        let endpoint = endpoint.expect("a socket");
        let connecting = endpoint
            .connect_with(config, quic, "localhost")
            .expect("an address");
        let connection = connecting.await.ok()?;
        let (mut send, mut receive) = connection.open_bi().await.ok()?;
        send.write_all(CONNECT_5).await.ok()?;
        receive.read_u8().await.ok()
    };
    let answers = [over_tls.await, over_wss.await, over_quic.await];
    answers.map(|answer| answer == Some(0x20))
}

async fn dial(
    address: std::net::SocketAddr,
    config: ClientConfig,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).await?;
    let name = "localhost".try_into().expect("a name");
    TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
}

#[tokio::test]
async fn only_good_client_certificates_are_let_in() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let [good, revoked] = [7, 8].map(|serial| ours.sign("client", serial));
    let foreign = other.sign("client", 7);
    let mut settings = Settings::default();
    settings.tls.certificate = Some(ours.serve(1));
    settings.tls.clients = Some(ClientCertificates {
        authorities: ours.write("authority.pem", &ours.certificate.pem()),
        revocation_lists: vec![ours.revoke(&[8])],
        demand: Demand::Required,
    });
    for (demand, without) in [(Demand::Required, false), (Demand::Optional, true)] {
        settings.tls.clients.as_mut().expect("set").demand = demand;
        let server = start(settings.clone()).await;
        for (which, identity, expected) in [
            ("good", Some(&good), true),
            ("revoked", Some(&revoked), false),
            ("of another authority", Some(&foreign), false),
            ("none", None, without),
        ] {
            assert_eq!(
                let_in(&server, &ours, identity).await,
                [expected; 3],
                "{demand:?} {which}"
            );
        }
        server.shut_down().await;
    }
}

#[tokio::test]
async fn a_reload_changes_what_comes_and_leaves_what_is_there() {
    let ours = Authority::new("reload");
    let client = ours.sign("client", 7);
    let mut settings = Settings::default();
    settings.tls.certificate = Some(ours.serve(1));
    settings.tls.clients = Some(ClientCertificates {
        authorities: ours.write("authority.pem", &ours.certificate.pem()),
        revocation_lists: vec![ours.revoke(&[])],
        demand: Demand::Required,
    });
    let server = start(settings).await;
    let before = server.certificate();
    let address = server.listeners()[0].url().address();
    let stream = dial(address, ours.client(Some(&client), b"mqtt"))
        .await
        .expect("a handshake");
    let mut there = Peer::Stream(Box::new(stream));
    there.write(CONNECT_3).await;
    there.connected().await;

    // A broken file changes nothing.
    let list = ours.write("revoked.pem", "nothing");
    let error = server.reload_tls().expect_err("a broken file").to_string();
    assert!(
        error.contains(&list.display().to_string()) && error.contains("no PEM revocation list"),
        "{error}"
    );
    assert_eq!(server.certificate(), before);
    assert_eq!(let_in(&server, &ours, Some(&client)).await, [true; 3]);

    ours.serve(2);
    ours.revoke(&[]);
    server.reload_tls().expect("read again");
    assert_ne!(server.certificate(), before, "another certificate");
    let config = ours.client(Some(&client), b"mqtt");
    let stream = dial(address, config).await.expect("a handshake");
    let shown = stream.get_ref().1.peer_certificates().expect("a chain");
    assert_eq!(shown[0], server.certificate(), "and it is shown");

    there.write(PINGREQ).await;
    assert_eq!(there.read(2).await, PINGRESP, "who is there stays");
    server.shut_down().await;
}

/// CONNECT in 5.0, answered, over each of the three transports.
async fn connected(
    server: &Server,
    authority: &Authority,
    identity: &Signed,
    name: &str,
) -> [Peer; 3] {
    let address = |index: usize| server.listeners()[index].url().address();
    let shows = |alpn: &[u8]| authority.client(Some(identity), alpn);
    let web = dial(address(1), shows(b"http/1.1"))
        .await
        .expect("a handshake");
    let (endpoint, connection) = quic_dial(address(2), shows(b"mqtt"))
        .await
        .expect("a handshake");
    let (send, receive) = connection.open_bi().await.expect("a stream");
    let mut peers = [
        Peer::tls_as(address(0), shows(b"mqtt")).await,
        Peer::web(web).await,
        Peer::Quic {
            _endpoint: endpoint,
            send,
            receive,
        },
    ];
    for (index, peer) in peers.iter_mut().enumerate() {
        peer.write(&Login::new(&format!("{name}{index}")).bytes())
            .await;
        peer.connected().await;
    }
    peers
}

#[tokio::test]
async fn who_is_revoked_or_has_lost_its_authority_has_to_leave() {
    let (ours, others) = (Authority::new("revocation"), Authority::new("predecessor"));
    let [good, bad] = [7, 8].map(|serial| ours.sign("client", serial));
    let both = ours.certificate.pem() + &others.certificate.pem();
    let mut settings = Settings::default();
    settings.tls.certificate = Some(ours.serve(1));
    settings.tls.clients = Some(ClientCertificates {
        authorities: ours.write("authority.pem", &both),
        revocation_lists: vec![ours.revoke(&[])],
        demand: Demand::Optional,
    });
    let server = start(settings).await;
    let mut stay = connected(&server, &ours, &good, "good").await;
    let mut leave = connected(&server, &ours, &bad, "bad").await;
    let tls = server.listeners()[0].url().address();
    let mut nameless = Peer::tls_as(tls, ours.client(None, b"mqtt")).await;
    nameless.write(CONNECT_5).await;
    nameless.connected().await;
    // Its handshake is done, its CONNECT is not: the certificate was good when it was seen.
    let mut slow = Peer::tls_as(tls, ours.client(Some(&bad), b"mqtt")).await;
    slow.write(&CONNECT_5[..3]).await;

    // A list that is broken takes nothing away, nor does one that revokes nobody who is here.
    ours.write("revoked.pem", "nothing");
    server.reload_tls().expect_err("a broken file");
    ours.revoke(&[9]);
    server.reload_tls().expect("read again");
    for peer in stay.iter_mut().chain(&mut leave) {
        peer.write(PINGREQ).await;
        assert_eq!(peer.read(2).await, PINGRESP);
    }

    ours.revoke(&[8]);
    server.reload_tls().expect("read again");
    for peer in &mut leave {
        let last = peer.read_to_end().await;
        assert_eq!((last[0], last[2]), (0xe0, 0x87), "{last:x?}");
    }
    assert_eq!(slow.read_to_end().await, b"");
    assert_eq!(let_in(&server, &ours, Some(&bad)).await, [false; 3]);
    for peer in stay.iter_mut().chain([&mut nameless]) {
        peer.write(PINGREQ).await;
        assert_eq!(peer.read(2).await, PINGRESP);
    }

    ours.write("authority.pem", &others.certificate.pem());
    server.reload_tls().expect("read again");
    for peer in &mut stay {
        let last = peer.read_to_end().await;
        assert_eq!((last[0], last[2]), (0xe0, 0x87), "{last:x?}");
    }
    nameless.write(PINGREQ).await;
    assert_eq!(nameless.read(2).await, PINGRESP);
    server.shut_down().await;
}

#[tokio::test]
async fn files_that_are_of_no_use_are_named() {
    let ours = Authority::new("broken");
    let good = ours.serve(1);
    let stranger = ours.write(
        "stranger.key",
        &KeyPair::generate().expect("a key").serialize_pem(),
    );
    let empty = ours.write("empty.pem", "");
    let nowhere = ours.folder.join("nowhere.pem");
    let pair = |chain: &Path, key: &Path| {
        let mut settings = Settings::default();
        settings.tls.certificate = Some(CertificateFiles {
            chain: chain.to_owned(),
            key: key.to_owned(),
        });
        settings
    };
    let clients = |authorities: &Path, list: &Path| {
        let mut settings = pair(&good.chain, &good.key);
        settings.tls.clients = Some(ClientCertificates {
            authorities: authorities.to_owned(),
            revocation_lists: vec![list.to_owned()],
            demand: Demand::Required,
        });
        settings
    };
    for (settings, expected) in [
        (pair(&nowhere, &good.key), "the certificate from"),
        (pair(&empty, &good.key), "no PEM certificate in it"),
        (pair(&good.key, &good.chain), "no PEM certificate in it"),
        (pair(&good.chain, &nowhere), "the private key from"),
        (pair(&good.chain, &good.chain), "no PEM private key in it"),
        (
            pair(&good.chain, &stranger),
            "is of no use with the certificate",
        ),
        (clients(&empty, &empty), "no PEM client authority in it"),
        (clients(&good.chain, &nowhere), "the revocation list from"),
    ] {
        let loopback = "127.0.0.1:0".parse().expect("an address");
        let urls = [ListenerUrl::new(Scheme::Tls, loopback)];
        let error = Server::bind(&urls, settings).await.expect_err(expected);
        let error = error.to_string();
        assert!(
            error.contains(expected) && error.contains(&ours.folder.display().to_string()),
            "{expected}: {error}"
        );
    }
}
