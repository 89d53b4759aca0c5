//! Logins and rights of the daemon, over TCP: password and access files as people make them, and their reload.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use assert_cmd::prelude::*;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use quince_broker::{
    Access, AccessSettings, Admission, CertificateName, ClientCertificates, Demand, Keep,
    ListenerSettings, ListenerUrl, Scheme, Server, Settings, TokenAlgorithm, TokenSettings,
    set_password,
};
use serde_json::json;

use crate::certificates::Authority;
use crate::login::{Login, connack, log_in};
use crate::peer::{PINGREQ, PINGRESP, Peer};

const NOBODY: Admission = Admission {
    anonymous: false,
    certificate_name: None,
};

fn passwd(arguments: &[&str], password: &str) -> String {
    let mut child = Command::cargo_bin("quince-broker")
        .expect("built")
        .arg("passwd")
        .args(arguments)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut stdin = child.stdin.take().expect("piped");
    writeln!(stdin, "{password}").expect("written");
    drop(stdin);
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).expect("text")
}

/// A running broker; it ends with this value, also when a test fails.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// A daemon with the files in `folder`, and where it listens.
fn start(folder: &Path, more: &[&str]) -> (Daemon, SocketAddr) {
    let file = |name: &str| folder.join(name).display().to_string();
    let child = Command::cargo_bin("quince-broker")
        .expect("built")
        .args(["--listen", "tcp://127.0.0.1:0"])
        .args(["--password-file", &file("passwords")])
        .args(["--acl-file", &file("acl")])
        .args(more)
        .stdout(Stdio::piped())
        .stderr(fs::File::create(folder.join("log")).expect("a log"))
        .spawn()
        .expect("starts");
    let mut daemon = Daemon(child);
    let out = BufReader::new(daemon.0.stdout.take().expect("piped"));
    let lines: Vec<String> = out
        .lines()
        .map(|line| line.expect("text"))
        .take_while(|line| line != "ready")
        .collect();
    let address = lines[0].strip_prefix("tcp://").expect("over TCP");
    (daemon, address.parse().expect("an address"))
}

/// Sends SIGHUP and waits until the log holds `words` once more.
async fn reload(daemon: &Daemon, folder: &Path, words: &str) {
    let count = || {
        let log = fs::read_to_string(folder.join("log")).expect("a log");
        log.matches(words).count()
    };
    let before = count();
    let status = Command::new("kill")
        .args(["-HUP", &daemon.0.id().to_string()])
        .status();
    assert!(status.expect("kill runs").success());
    tokio::time::timeout(crate::peer::PATIENCE, async {
        while count() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the log says it");
}

async fn ping(peer: &mut Peer) {
    peer.write(PINGREQ).await;
    assert_eq!(peer.read(2).await, PINGRESP);
}

/// SUBSCRIBE to `filter`, and the code that its SUBACK has.
async fn subscribe(peer: &mut Peer, filter: &str) -> u8 {
    let length = u8::try_from(filter.len()).expect("short");
    let mut packet = vec![0x82, length + 6, 0, 1, 0, 0, length];
    packet.extend(filter.as_bytes());
    packet.push(0);
    peer.write(&packet).await;
    let header = peer.read(2).await;
    assert_eq!(header[0], 0x90, "SUBACK");
    *peer
        .read(usize::from(header[1]))
        .await
        .last()
        .expect("a code")
}

/// PUBLISH at QoS 1 and the code of its PUBACK.
async fn publish(peer: &mut Peer, topic: &str) -> u8 {
    let length = u8::try_from(topic.len()).expect("short");
    let mut packet = vec![0x32, length + 11, 0, length];
    packet.extend(topic.as_bytes());
    packet.extend(b"\x00\x01\x00canary");
    peer.write(&packet).await;
    let header = peer.read(2).await;
    assert_eq!(header[0], 0x40, "PUBACK");
    let body = peer.read(usize::from(header[1])).await;
    body.get(2).copied().unwrap_or(0)
}

#[tokio::test]
async fn passwords_and_rules_are_read_again_while_clients_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let passwords = folder.join("passwords");
    let passwords = passwords.to_str().expect("text");
    assert!(passwd(&[passwords, "alice"], "one").contains("added"));
    assert!(passwd(&["--scram", passwords, "bob"], "two").contains("added"));
    fs::write(
        folder.join("acl"),
        "user alice\ntopic read news/#\nuser bob\ntopic write news/#\n",
    )
    .expect("written");
    let (daemon, address) = start(folder, &[]);
    let alice = Login::new("a").user("alice").password("one");
    let bob = Login::new("b").user("bob").password("two");

    // Who comes in.
    for (login, code) in [
        (Login::new("x").user("alice").password("two"), 0x86),
        (Login::new("x").user("carol").password("one"), 0x86),
        (Login::new("x").user("alice"), 0x86),
        (Login::new("x").user("").password("one"), 0x86),
        (Login::new("x"), 0x87),
    ] {
        assert_eq!(connack(address, &login).await, code);
    }
    let mut listener = Peer::tcp(address).await;
    assert_eq!(log_in(&mut listener, &alice).await, 0);
    let mut speaker = Peer::tcp(address).await;
    assert_eq!(log_in(&mut speaker, &bob).await, 0);
    assert_eq!(subscribe(&mut listener, "news/#").await, 0);
    assert_eq!(subscribe(&mut speaker, "news/#").await, 0x87);
    assert_eq!(publish(&mut speaker, "news/x").await, 0);
    assert_eq!(listener.read(17).await, b"\x30\x0f\x00\x06news/x\x00canary");
    // Nobody has another's session.
    let thief = Login::new("a").user("bob").password("two");
    assert_eq!(connack(address, &thief).await, 0x87);

    // A right that is gone.
    fs::write(folder.join("acl"), "user bob\ntopic write news/#\n").expect("written");
    reload(&daemon, folder, "access rules are read again").await;
    assert_eq!(
        publish(&mut speaker, "news/x").await,
        0x10,
        "nobody may have it"
    );
    ping(&mut listener).await;

    // Files that are broken, or gone, change nothing.
    fs::write(folder.join("acl"), "user alice\ntopci read news/#\n").expect("written");
    reload(&daemon, folder, "acl:2:1").await;
    fs::remove_file(folder.join("acl")).expect("was there");
    reload(&daemon, folder, "cannot be read").await;
    assert_eq!(publish(&mut speaker, "news/x").await, 0x10);
    assert_eq!(publish(&mut speaker, "other").await, 0x87);

    // A user that is gone, and one whose password is another.
    fs::write(folder.join("acl"), "pattern readwrite #\n").expect("written");
    passwd(&[passwords, "bob", "--delete"], "");
    passwd(&[passwords, "alice"], "three");
    let mut steady = Peer::tcp(address).await;
    passwd(&[passwords, "steady"], "four");
    reload(&daemon, folder, "access rules are read again").await;
    assert_eq!(
        log_in(
            &mut steady,
            &Login::new("s").user("steady").password("four")
        )
        .await,
        0
    );
    for peer in [&mut listener, &mut speaker] {
        let last = peer.read_to_end().await;
        assert_eq!((last[0], last[2]), (0xe0, 0x87), "{last:x?}");
    }
    assert_eq!(connack(address, &bob).await, 0x86);
    assert_eq!(connack(address, &alice).await, 0x86);
    reload(&daemon, folder, "access rules are read again").await;
    ping(&mut steady).await;
    let log = fs::read_to_string(folder.join("log")).expect("a log");
    for secret in ["one", "two", "three", "four", "canary", "$argon2", "SCRAM"] {
        assert!(
            !log.split_whitespace().any(|word| word.contains(secret)),
            "{log}"
        );
    }
}

/// Many devices have a name and a password set, wherever they connect.
#[tokio::test]
async fn where_nobody_can_log_in_a_name_means_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let acl = folder.path().join("acl");
    fs::write(&acl, "topic read open/#\nuser alice\ntopic read hers/#\n").expect("written");
    let access = Access::load(AccessSettings {
        acl_file: Some(acl),
        ..AccessSettings::default()
    })
    .expect("rules");
    let listeners = [true, false].map(|anonymous| ListenerSettings {
        url: "tcp://127.0.0.1:0".parse().expect("a URL"),
        connections: None,
        admission: Admission {
            anonymous,
            certificate_name: None,
        },
    });
    let server = Server::start(&listeners, Settings::default(), access)
        .await
        .expect("bound");
    for login in [
        Login::new("x"),
        Login::new("x").user("alice"),
        Login::new("x").password("one"),
        Login::new("x").user("alice").password("one"),
    ] {
        let mut peer = Peer::connect(&server, 0).await;
        assert_eq!(log_in(&mut peer, &login).await, 0);
        assert_eq!(subscribe(&mut peer, "open/x").await, 0);
        assert_eq!(subscribe(&mut peer, "hers/x").await, 0x87);
        let mut peer = Peer::connect(&server, 1).await;
        assert_eq!(log_in(&mut peer, &login).await, 0x87);
    }
    server.shut_down().await;
}

#[tokio::test]
async fn the_daemon_lets_anybody_in_if_it_is_told_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    fs::write(folder.join("passwords"), PASSWORDS).expect("written");
    fs::write(folder.join("acl"), "topic read #\n").expect("written");
    for (more, code) in [(&[][..], 0x87), (&["--allow-anonymous"][..], 0)] {
        let (_daemon, address) = start(folder, more);
        assert_eq!(connack(address, &Login::new("x")).await, code, "{more:?}");
        // Who gives a name has to prove it all the same.
        let wrong = Login::new("x").user("alice").password("wrong");
        assert_eq!(connack(address, &wrong).await, 0x86, "{more:?}");
    }
}

#[tokio::test]
async fn a_token_is_a_password_until_it_ends() {
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    let folder = tempfile::tempdir().expect("a folder");
    let key_file = folder.path().join("key");
    fs::write(&key_file, SECRET).expect("written");
    let access = Access::load(AccessSettings {
        tokens: Some(TokenSettings {
            algorithm: TokenAlgorithm::Hs256,
            key_file: key_file.clone(),
            audience: "mqtt".to_owned(),
            issuer: None,
            name_claim: "sub".to_owned(),
            leeway: Duration::ZERO,
        }),
        ..AccessSettings::default()
    })
    .expect("a key");
    let server = serve(access).await;
    let address = server.listeners()[0].url().address();
    let token = |seconds: u64| {
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
        let claims = json!({"sub": "alice", "aud": "mqtt", "exp": now.as_secs() + seconds});
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        encode(&Header::new(Algorithm::HS256), &claims, &key).expect("signed")
    };
    let (short, long) = (token(2), token(600));
    for (login, code) in [
        (Login::new("x").user("alice").password(&long), 0),
        (Login::new("x").password(&long), 0),
        (Login::new("x").user("bob").password(&long), 0x86),
        (Login::new("x").user("alice").password("alice"), 0x86),
        (Login::new("x"), 0x87),
    ] {
        assert_eq!(connack(address, &login).await, code);
    }
    let mut brief = Peer::tcp(address).await;
    assert_eq!(
        log_in(&mut brief, &Login::new("b").password(&short)).await,
        0
    );
    let mut lasting = Peer::tcp(address).await;
    assert_eq!(
        log_in(&mut lasting, &Login::new("l").password(&long)).await,
        0
    );
    let last = brief.read_to_end().await;
    assert_eq!((last[0], last[2]), (0xe0, 0xa0), "{last:x?}");
    ping(&mut lasting).await;
    // Whoever had the old key is not to be believed any longer.
    fs::write(&key_file, format!("another {SECRET}")).expect("written");
    server.reload().expect("a key");
    let last = lasting.read_to_end().await;
    assert_eq!((last[0], last[2]), (0xe0, 0x87), "{last:x?}");
    assert_eq!(
        connack(address, &Login::new("l").password(&long)).await,
        0x86
    );
    server.shut_down().await;
}

#[tokio::test]
async fn logins_beyond_those_that_may_wait_are_told_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("passwords");
    set_password(&file, "alice", b"one", Keep::Argon2).expect("set");
    let access = Access::load(AccessSettings {
        password_file: Some(file),
        concurrent_logins: 1,
        waiting_logins: 0,
        ..AccessSettings::default()
    })
    .expect("users");
    let server = serve(access).await;
    let address = server.listeners()[0].url().address();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        tasks.spawn(async move {
            let id = format!("c{number}");
            connack(address, &Login::new(&id).user("alice").password("one")).await
        });
    }
    let codes = tasks.join_all().await;
    assert!(codes.contains(&0), "{codes:?}");
    assert!(codes.contains(&0x89), "{codes:?}");
    assert!(
        codes.iter().all(|code| [0, 0x89].contains(code)),
        "{codes:?}"
    );
    server.shut_down().await;
}

/// PUBLISH at QoS 0 as it arrives.
fn canary(topic: &str) -> Vec<u8> {
    let length = u8::try_from(topic.len()).expect("short");
    let mut packet = vec![0x30, length + 9, 0, length];
    packet.extend(topic.as_bytes());
    packet.extend(b"\x00canary");
    packet
}

const PASSWORDS: &str = include_str!("../data/mosquitto-7.passwords");

#[tokio::test]
async fn rules_are_the_same_over_every_transport() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        Some(path)
    };
    let access = Access::load(AccessSettings {
        password_file: file("passwords", PASSWORDS),
        acl_file: file(
            "acl",
            "user alice\ntopic read #\ntopic deny +/secret\nuser bob\ntopic write #\npattern readwrite own/%u/%c\n",
        ),
        ..AccessSettings::default()
    })
    .expect("users and rules");
    let listeners = Scheme::ALL.map(|scheme| ListenerSettings {
        url: ListenerUrl::new(scheme, "127.0.0.1:0".parse().expect("an address")),
        connections: None,
        admission: NOBODY,
    });
    let server = Server::start(&listeners, Settings::default(), access)
        .await
        .expect("bound");
    let mut readers = Vec::new();
    for (index, scheme) in Scheme::ALL.into_iter().enumerate() {
        for (login, code) in [
            (Login::new("x"), 0x87),
            (Login::new("x").user("alice"), 0x86),
            (Login::new("x").user("alice").password("pässwörd"), 0x86),
        ] {
            let mut peer = Peer::connect(&server, index).await;
            assert_eq!(log_in(&mut peer, &login).await, code, "{scheme}");
        }
        let id = format!("reader{index}");
        let alice = Login::new(&id).user("alice").password("correct horse");
        let mut reader = Peer::connect(&server, index).await;
        assert_eq!(log_in(&mut reader, &alice).await, 0, "{scheme}");
        assert_eq!(subscribe(&mut reader, "a/secret").await, 0x87, "{scheme}");
        assert_eq!(subscribe(&mut reader, "own/bob/+").await, 0, "{scheme}");
        assert_eq!(subscribe(&mut reader, "$SYS/#").await, 0x87, "{scheme}");
        assert_eq!(subscribe(&mut reader, "#").await, 0, "{scheme}");
        assert_eq!(publish(&mut reader, "a/open").await, 0x87, "{scheme}");
        readers.push((scheme, id, reader));
    }
    for (index, scheme) in Scheme::ALL.into_iter().enumerate() {
        let id = format!("writer{index}");
        let bob = Login::new(&id).user("bob").password("pässwörd");
        let mut writer = Peer::connect(&server, index).await;
        assert_eq!(log_in(&mut writer, &bob).await, 0, "{scheme}");
        assert_eq!(publish(&mut writer, "a/secret").await, 0x10, "{scheme}");
        assert_eq!(publish(&mut writer, "$SYS/x").await, 0x87, "{scheme}");
        assert_eq!(publish(&mut writer, "a/open").await, 0, "{scheme}");
        for (to, _, reader) in &mut readers {
            let expected = canary("a/open");
            assert_eq!(
                reader.read(expected.len()).await,
                expected,
                "from {scheme} to {to}"
            );
            ping(reader).await;
        }
    }
    server.shut_down().await;
}

#[tokio::test]
async fn a_certificate_is_a_login() {
    let authority = Authority::new("logins");
    let device = authority.sign("device7", 7);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, device.certificate.der());
    let fingerprint: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        Some(path)
    };
    let access = Access::load(AccessSettings {
        password_file: file("passwords", PASSWORDS),
        acl_file: file(
            "acl",
            &format!("user device7\ntopic read a/#\nuser sha256:{fingerprint}\ntopic read b/#\n"),
        ),
        ..AccessSettings::default()
    })
    .expect("users and rules");
    let names = [
        Some(CertificateName::CommonName),
        Some(CertificateName::Sha256),
        None,
    ];
    let listeners = names.map(|certificate_name| ListenerSettings {
        url: "tls://127.0.0.1:0".parse().expect("a URL"),
        connections: None,
        admission: Admission {
            anonymous: false,
            certificate_name,
        },
    });
    let mut settings = Settings::default();
    settings.tls.certificate = Some(authority.serve(1));
    settings.tls.clients = Some(ClientCertificates {
        authorities: authority.write("clients.pem", &authority.certificate.pem()),
        revocation_lists: Vec::new(),
        demand: Demand::Optional,
    });
    let server = Server::start(&listeners, settings, access)
        .await
        .expect("bound");
    let shows = |identity, index: usize| {
        let address = server.listeners()[index].url().address();
        let config = authority.client(identity, b"mqtt");
        async move { Peer::tls_as(address, config).await }
    };
    let alice = || Login::new("a").user("alice").password("correct horse");
    for (identity, index, login, code) in [
        (Some(&device), 0, Login::new("d"), 0),
        (Some(&device), 0, Login::new("d").user("device7"), 0),
        // A password does not make another of who shows a certificate.
        (Some(&device), 0, alice(), 0x87),
        (Some(&device), 1, Login::new("e"), 0),
        (Some(&device), 1, Login::new("e").user("device7"), 0x87),
        // Where names are not taken from certificates, one is a key to the door and no more.
        (Some(&device), 2, Login::new("f"), 0x87),
        (Some(&device), 2, Login::new("f").user("device7"), 0x86),
        (Some(&device), 2, alice(), 0),
        (None, 0, Login::new("g"), 0x87),
        (None, 0, Login::new("g").user("device7"), 0x86),
        (None, 0, alice(), 0),
    ] {
        let mut peer = shows(identity, index).await;
        assert_eq!(log_in(&mut peer, &login).await, code, "listener {index}");
    }
    for (index, granted, refused) in [(0, "a/x", "b/x"), (1, "b/x", "a/x")] {
        let mut peer = shows(Some(&device), index).await;
        let id = format!("rights{index}");
        assert_eq!(log_in(&mut peer, &Login::new(&id)).await, 0);
        assert_eq!(subscribe(&mut peer, granted).await, 0);
        assert_eq!(subscribe(&mut peer, refused).await, 0x87);
    }
    server.shut_down().await;
}

async fn serve(access: Access) -> Server {
    let listener = ListenerSettings {
        url: "tcp://127.0.0.1:0".parse().expect("a URL"),
        connections: None,
        admission: NOBODY,
    };
    Server::start(&[listener], Settings::default(), access)
        .await
        .expect("bound")
}
