//! SCRAM-SHA-256 over real connections. The client computes with nothing of the broker's.
//!
//! Clients are dropped before the server is shut down: it gives each that stays time to have its last bytes.

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quince_broker::{
    Access, AccessSettings, Admission, CertificateName, ClientCertificates, Demand, Keep,
    ListenerSettings, Server, Settings, delete_user, set_password,
};
use quince_codec::{Auth, Connect, Framer, Packet, Property, PropertyList, ReasonCode, Version};

use crate::certificates::Authority;
use crate::login::{Login, connack};
use crate::peer::Peer;

const METHOD: &str = "SCRAM-SHA-256";
const NONCE: &str = "fyko+d2lbbFgONRv9qkxdawL";
const FEW: NonZeroU32 = NonZeroU32::new(4096).expect("more than none");

/// A packet from the broker: its type, its code, its Authentication Data.
#[derive(Debug, PartialEq, Eq)]
struct Heard(&'static str, u8, Option<String>);

/// A client in the middle of a login.
struct Client {
    peer: Peer,
    framer: Framer,
}

fn sign(key: &[u8], message: &str) -> Vec<u8> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());
    tag.as_ref().to_vec()
}

/// The client's last message, and what the broker must answer, for the challenge to `n,,n=NAME,r=NONCE`.
fn prove(name: &str, password: &str, challenge: &str) -> (String, String) {
    let part = |key| {
        let mut parts = challenge.split(',');
        parts
            .find_map(|part| part.strip_prefix(key))
            .expect("there")
    };
    assert!(part("r=").starts_with(NONCE) && part("r=").len() > NONCE.len() + 16);
    let salt = STANDARD.decode(part("s=")).expect("base64");
    let iterations = part("i=").parse().expect("a number");
    let mut salted = [0; 32];
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(
        algorithm,
        iterations,
        &salt,
        password.as_bytes(),
        &mut salted,
    );
    let client_key = sign(&salted, "Client Key");
    let stored_key = digest::digest(&digest::SHA256, &client_key);
    let unproved = format!("c=biws,r={}", part("r="));
    let said = format!("n={name},r={NONCE},{challenge},{unproved}");
    let signature = sign(stored_key.as_ref(), &said);
    let proof: Vec<u8> = client_key
        .iter()
        .zip(signature)
        .map(|(a, b)| a ^ b)
        .collect();
    let last = format!("{unproved},p={}", STANDARD.encode(proof));
    let answer = sign(&sign(&salted, "Server Key"), &said);
    (last, format!("v={}", STANDARD.encode(answer)))
}

fn properties(method: &str, data: &str) -> PropertyList {
    let mut properties = PropertyList::new();
    properties.push(Property::AuthenticationMethod(method));
    properties.push(Property::AuthenticationData(data.as_bytes()));
    properties
}

impl Client {
    async fn begin(peer: Peer, user_name: Option<&str>, method: &str, first: &str) -> Self {
        let properties = properties(method, first);
        let connect = Packet::Connect(Connect {
            version: Version::V5_0,
            clean_start: true,
            keep_alive: 0,
            properties: properties.as_properties(),
            client_id: "",
            will: None,
            user_name,
            password: None,
        });
        let mut client = Self {
            peer,
            framer: Framer::new(1 << 16),
        };
        client.send(&connect).await;
        client
    }

    async fn dial(address: SocketAddr, name: &str) -> Self {
        let first = format!("n,,n={name},r={NONCE}");
        Self::begin(Peer::tcp(address).await, None, METHOD, &first).await
    }

    async fn send(&mut self, packet: &Packet<'_>) {
        let bytes = packet.to_bytes(Version::V5_0).expect("encoded");
        self.peer.write(&bytes).await;
    }

    async fn auth(&mut self, code: ReasonCode, method: &str, data: &str) {
        let properties = properties(method, data);
        let auth = Auth {
            reason_code: code,
            properties: properties.as_properties(),
        };
        self.send(&Packet::Auth(auth)).await;
    }

    async fn answer(&mut self, data: &str) {
        self.auth(ReasonCode::CONTINUE_AUTHENTICATION, METHOD, data)
            .await;
    }

    async fn renew(&mut self, name: &str) {
        let first = format!("n,,n={name},r={NONCE}");
        self.auth(ReasonCode::RE_AUTHENTICATE, METHOD, &first).await;
    }

    async fn hear(&mut self) -> Heard {
        let frame = loop {
            if let Some(frame) = self.framer.next_frame().expect("well-formed") {
                break frame;
            }
            self.framer.push(&self.peer.read(1).await);
        };
        let (name, code, properties) = match frame.decode(Version::V5_0).expect("well-formed") {
            Packet::ConnAck(it) => ("CONNACK", it.code, it.properties),
            Packet::Auth(it) => ("AUTH", it.reason_code.0, it.properties),
            Packet::Disconnect(it) => ("DISCONNECT", it.reason_code.0, it.properties),
            other => panic!("{other:?}"),
        };
        if ["CONNACK", "AUTH"].contains(&name) && code < 0x80 {
            assert_eq!(properties.authentication_method(), Some(METHOD));
        }
        let data = properties.authentication_data();
        let data = data.map(|data| String::from_utf8(data.to_vec()).expect("text"));
        Heard(name, code, data)
    }

    async fn challenge(&mut self) -> String {
        match self.hear().await {
            Heard("AUTH", 0x18, Some(challenge)) => challenge,
            other => panic!("{other:?}"),
        }
    }

    /// One whole exchange from the challenge on; whether the broker's own proof was right is in what is heard.
    async fn prove(&mut self, name: &str, password: &str) -> Heard {
        let challenge = self.challenge().await;
        let (last, expected) = prove(name, password, &challenge);
        self.answer(&last).await;
        let heard = self.hear().await;
        if heard.1 < 0x80 {
            assert_eq!(heard.2.as_ref(), Some(&expected), "the broker's own proof");
        }
        heard
    }
}

fn in_file(folder: &Path, user: &str, password: &str, keep: Keep) {
    set_password(&folder.join("passwords"), user, password.as_bytes(), keep).expect("set");
}

async fn start(folder: &Path) -> (Server, SocketAddr) {
    in_file(folder, "alice", "one", Keep::Scram(FEW));
    in_file(folder, "bob", "two", Keep::Scram(FEW));
    in_file(folder, "hashed", "three", Keep::Argon2);
    let access = Access::load(AccessSettings {
        password_file: Some(folder.join("passwords")),
        ..AccessSettings::default()
    });
    serve(access.expect("users"), Settings::default(), None).await
}

async fn serve(
    access: Access,
    settings: Settings,
    certificate_name: Option<CertificateName>,
) -> (Server, SocketAddr) {
    let scheme = certificate_name.map_or("tcp", |_| "tls");
    let listener = ListenerSettings {
        url: format!("{scheme}://127.0.0.1:0").parse().expect("a URL"),
        connections: None,
        admission: Admission {
            anonymous: false,
            certificate_name,
        },
    };
    let server = Server::start(&[listener], settings, access)
        .await
        .expect("bound");
    let address = server.listeners()[0].url().address();
    (server, address)
}

fn is_refusal(heard: &Heard) -> bool {
    matches!(heard, Heard("CONNACK", 0x87, None))
}

#[tokio::test]
async fn who_proves_the_password_comes_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, address) = start(folder.path()).await;
    let mut client = Client::dial(address, "alice").await;
    assert!(matches!(
        client.prove("alice", "one").await,
        Heard("CONNACK", 0, _)
    ));
    // The same user by a password that is sent.
    let login = Login::new("x").user("alice").password("one");
    assert_eq!(connack(address, &login).await, 0);
    let login = Login::new("x").user("alice").password("two");
    assert_eq!(connack(address, &login).await, 0x86);
    // User Name may say the same.
    let first = format!("n,,n=alice,r={NONCE}");
    for (user_name, lets_in) in [
        (Some("alice"), true),
        (Some("bob"), false),
        (Some(""), false),
    ] {
        let peer = Peer::tcp(address).await;
        let mut client = Client::begin(peer, user_name, METHOD, &first).await;
        if lets_in {
            assert!(matches!(
                client.prove("alice", "one").await,
                Heard("CONNACK", 0, _)
            ));
        } else {
            assert!(is_refusal(&client.hear().await), "{user_name:?}");
        }
    }
    drop(client);
    server.shut_down().await;
}

#[tokio::test]
async fn nothing_tells_an_unknown_user_from_a_wrong_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, address) = start(folder.path()).await;
    let shape = |challenge: &str| {
        let (nonce, rest) = challenge.split_once(",s=").expect("a salt");
        let (salt, iterations) = rest.split_once(",i=").expect("iterations");
        (nonce.len(), salt.len(), iterations.to_owned())
    };
    let mut shapes = Vec::new();
    for (name, password) in [
        ("alice", "two"),
        ("alice", ""),
        ("hashed", "three"),
        ("mallory", "one"),
        ("", "one"),
    ] {
        let mut salts = Vec::new();
        for _ in 0..2 {
            let mut client = Client::dial(address, name).await;
            let challenge = client.challenge().await;
            shapes.push(shape(&challenge));
            salts.push(challenge.split_once(",s=").expect("a salt").1.to_owned());
            client.answer(&prove(name, password, &challenge).0).await;
            let heard = client.hear().await;
            assert!(is_refusal(&heard), "{name}: {heard:?}");
        }
        assert_eq!(salts[0], salts[1], "{name} has the same salt each time");
    }
    shapes.dedup();
    assert_eq!(shapes.len(), 1, "{shapes:?}");
    server.shut_down().await;
}

#[tokio::test]
async fn what_is_no_exchange_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, address) = start(folder.path()).await;
    for first in [
        "",
        "alice",
        "p=tls-exporter,,n=alice,r=x",
        "n,a=bob,n=alice,r=x",
    ] {
        let peer = Peer::tcp(address).await;
        let mut client = Client::begin(peer, None, METHOD, first).await;
        assert!(is_refusal(&client.hear().await), "{first}");
    }
    let mut client = Client::dial(address, "alice").await;
    client.challenge().await;
    client.answer("").await;
    assert!(is_refusal(&client.hear().await));
    // A proof is good once, for the challenge that it was made for.
    let mut one = Client::dial(address, "alice").await;
    let mut two = Client::dial(address, "alice").await;
    let (last, _) = prove("alice", "one", &one.challenge().await);
    two.challenge().await;
    two.answer(&last).await;
    assert!(is_refusal(&two.hear().await), "another's proof");
    one.answer(&last).await;
    assert!(matches!(one.hear().await, Heard("CONNACK", 0, _)));
    let first = format!("n,,n=alice,r={NONCE}");
    let peer = Peer::tcp(address).await;
    let mut client = Client::begin(peer, None, "SCRAM-SHA-1", &first).await;
    assert_eq!(client.hear().await, Heard("CONNACK", 0x8c, None));
    drop((client, one, two));
    server.shut_down().await;
    // Without a password file there is no method.
    let access = Access::load(AccessSettings::default()).expect("nothing to read");
    let (server, address) = serve(access, Settings::default(), None).await;
    let mut client = Client::dial(address, "alice").await;
    assert_eq!(client.hear().await, Heard("CONNACK", 0x8c, None));
    drop(client);
    server.shut_down().await;
}

#[tokio::test]
async fn a_client_proves_itself_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, address) = start(folder.path()).await;
    let connected = async || {
        let mut client = Client::dial(address, "alice").await;
        assert!(matches!(
            client.prove("alice", "one").await,
            Heard("CONNACK", 0, _)
        ));
        client
    };
    let mut client = connected().await;
    for _ in 0..2 {
        client.renew("alice").await;
        assert!(matches!(
            client.prove("alice", "one").await,
            Heard("AUTH", 0, _)
        ));
    }
    // As somebody else, with another password, by another method.
    client.renew("bob").await;
    assert_eq!(
        client.prove("bob", "two").await,
        Heard("DISCONNECT", 0x87, None)
    );
    let mut client = connected().await;
    client.renew("alice").await;
    assert_eq!(
        client.prove("alice", "two").await,
        Heard("DISCONNECT", 0x87, None)
    );
    let mut client = connected().await;
    let first = format!("n,,n=alice,r={NONCE}");
    client
        .auth(ReasonCode::RE_AUTHENTICATE, "SCRAM-SHA-1", &first)
        .await;
    assert_eq!(client.hear().await, Heard("DISCONNECT", 0x82, None));
    drop(client);
    server.shut_down().await;
}

#[tokio::test]
async fn a_password_that_changes_meanwhile_is_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, address) = start(folder.path()).await;
    let mut inside = Client::dial(address, "alice").await;
    assert!(matches!(
        inside.prove("alice", "one").await,
        Heard("CONNACK", 0, _)
    ));
    let mut late = Client::dial(address, "alice").await;
    let (late_proof, _) = prove("alice", "one", &late.challenge().await);
    let mut later = Client::dial(address, "bob").await;
    let (later_proof, _) = prove("bob", "two", &later.challenge().await);
    in_file(folder.path(), "alice", "one", Keep::Scram(FEW));
    delete_user(&folder.path().join("passwords"), "bob").expect("deleted");
    server.reload().expect("users");
    assert_eq!(inside.hear().await, Heard("DISCONNECT", 0x87, None));
    late.answer(&late_proof).await;
    assert!(is_refusal(&late.hear().await));
    later.answer(&later_proof).await;
    assert!(is_refusal(&later.hear().await));
    // A file that is broken changes nothing.
    fs::write(
        folder.path().join("passwords"),
        "alice:SCRAM-SHA-256$1:AA==$A:A\n",
    )
    .expect("written");
    let problem = server.reload().expect_err("broken").to_string();
    assert!(problem.contains("iterations"), "{problem}");
    let mut client = Client::dial(address, "alice").await;
    assert!(matches!(
        client.prove("alice", "one").await,
        Heard("CONNACK", 0, _)
    ));
    drop((client, inside, late, later));
    server.shut_down().await;
}

#[tokio::test]
async fn a_certificate_and_a_proof_must_agree() {
    let authority = Authority::new("exchanges");
    let alice = authority.sign("alice", 7);
    let folder = tempfile::tempdir().expect("a folder");
    for (user, password) in [("alice", "one"), ("bob", "two")] {
        in_file(folder.path(), user, password, Keep::Scram(FEW));
    }
    let access = Access::load(AccessSettings {
        password_file: Some(folder.path().join("passwords")),
        ..AccessSettings::default()
    });
    let mut settings = Settings::default();
    settings.tls.certificate = Some(authority.serve(1));
    settings.tls.clients = Some(ClientCertificates {
        authorities: authority.write("clients.pem", &authority.certificate.pem()),
        revocation_lists: Vec::new(),
        demand: Demand::Required,
    });
    let name = Some(CertificateName::CommonName);
    let (server, address) = serve(access.expect("users"), settings, name).await;
    for (user, password, code) in [
        ("alice", "one", 0),
        ("bob", "two", 0x87),
        ("alice", "two", 0x87),
    ] {
        let peer = Peer::tls_as(address, authority.client(Some(&alice), b"mqtt")).await;
        let first = format!("n,,n={user},r={NONCE}");
        let mut client = Client::begin(peer, None, METHOD, &first).await;
        let heard = client.prove(user, password).await;
        assert_eq!((heard.0, heard.1), ("CONNACK", code), "{user}");
    }
    server.shut_down().await;
}
