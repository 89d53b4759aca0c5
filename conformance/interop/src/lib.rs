//! What every foreign client has to do through our broker, whatever its API, and the daemon that it does it with.
//!
//! Needs `QUINCE_BROKER`: the path of the built daemon; and `QUINCE_GRID`: the file that collects what held.

use std::fs::OpenOptions;
use std::future::Future;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::timeout;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A version of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 3.1.1
    V3,
    /// 5.0
    V5,
}

/// A running daemon; dropping it ends it.
pub struct Broker {
    process: Child,
    urls: Vec<String>,
}

impl Broker {
    /// Starts the daemon with these arguments.
    pub fn start(arguments: &[&str]) -> Self {
        let path = std::env::var_os("QUINCE_BROKER").expect("QUINCE_BROKER names the built daemon");
        let mut process = Command::new(path)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the daemon starts");
        let out = process.stdout.take().expect("its output is piped");
        let lines = BufReader::new(out).lines().map(|line| line.expect("text"));
        let lines = lines.take_while(|line| line != "ready");
        let url = |line: String| line.split(' ').next().expect("the URL").to_owned();
        Self {
            process,
            urls: lines.map(url).collect(),
        }
    }

    /// The real URL of its listener of that scheme.
    pub fn url(&self, scheme: &str) -> &str {
        let begins = |url: &&String| url.starts_with(&format!("{scheme}://"));
        self.urls.iter().find(begins).expect("a listener")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Who connects, and how.
#[derive(Clone, Copy, Debug)]
pub struct Hello<'a> {
    /// Where to.
    pub url: &'a str,
    /// In which version.
    pub version: Version,
    /// The Client Identifier.
    pub id: &'a str,
    /// Where a Will Message with the payload `gone` is to go.
    pub will: Option<&'a str>,
    /// Whether the session outlives the connection, and is gone on with.
    pub keep: bool,
}

/// A message as a client hands it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it says.
    pub payload: Vec<u8>,
    /// Its QoS.
    pub qos: u8,
    /// RETAIN.
    pub retain: bool,
}

/// A foreign client, connected.
pub trait Peer: Sized {
    /// Connects; with Session Present.
    fn connect(hello: Hello<'_>) -> impl Future<Output = (Self, bool)>;
    /// Subscribes at QoS 2, and is granted it.
    fn subscribe(&mut self, filter: &str) -> impl Future<Output = ()>;
    /// Publishes, and waits for the end of the exchange.
    fn publish(
        &mut self,
        topic: &str,
        payload: &str,
        qos: u8,
        retain: bool,
    ) -> impl Future<Output = ()>;
    /// The next message.
    fn next(&mut self) -> impl Future<Output = Message>;
    /// Says goodbye.
    fn end(self) -> impl Future<Output = ()>;
    /// Is gone without a word.
    fn vanish(&mut self) -> impl Future<Output = ()>;
    /// Connects again after that; with Session Present. Some clients go on with a session only in the same object.
    fn come_back(self, hello: Hello<'_>) -> impl Future<Output = (Self, bool)> {
        Self::connect(hello)
    }
}

/// The outcome of something that a client does, which must come in time.
pub async fn in_time<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("in time")
}

/// Every check with one client, at this URL, in this version.
pub async fn all_is_there<P: Peer>(name: &str, url: &str, version: Version) {
    let prefix = format!(
        "{name}-{}-{version:?}",
        url.split(':').next().unwrap_or("?")
    );
    let hello = Hello {
        url,
        version,
        id: "",
        will: None,
        keep: false,
    };
    exchange::<P>(hello, &prefix).await;
    held(name, hello, &["QoS 0", "QoS 1", "QoS 2", "retained"]);
    will::<P>(hello, &prefix).await;
    held(name, hello, &["will"]);
    resume::<P>(hello, &prefix).await;
    held(name, hello, &["resume"]);
    shared::<P>(hello, &prefix).await;
    held(name, hello, &["shared"]);
}

/// Notes cells of the grid that held, in the file that `QUINCE_GRID` names; `grid.py` prints them.
fn held(name: &str, hello: Hello<'_>, capabilities: &[&str]) {
    let transport = hello.url.split(':').next().expect("a scheme");
    let version = match hello.version {
        Version::V3 => "3.1.1",
        Version::V5 => "5.0",
    };
    let rows = capabilities.iter();
    let cells: String = rows
        .map(|capability| format!("{name}\t{transport}\t{version}\t{capability}\n"))
        .collect();
    let path = std::env::var_os("QUINCE_GRID").expect("QUINCE_GRID names the file of the grid");
    let grid = OpenOptions::new().create(true).append(true).open(path);
    let mut grid = grid.expect("it opens");
    grid.write_all(cells.as_bytes()).expect("written");
}

async fn connect<P: Peer>(hello: Hello<'_>, prefix: &str, who: &str) -> P {
    let id = format!("{prefix}-{who}");
    in_time(P::connect(Hello { id: &id, ..hello })).await.0
}

async fn exchange<P: Peer>(hello: Hello<'_>, prefix: &str) {
    let mut publisher: P = connect(hello, prefix, "p").await;
    let mut subscriber: P = connect(hello, prefix, "s").await;
    subscriber.subscribe(&format!("{prefix}/live/#")).await;
    for qos in [0, 1, 2] {
        let payload = format!("at {qos}");
        let topic = format!("{prefix}/live/topic");
        publisher.publish(&topic, &payload, qos, false).await;
        let expected = Message {
            payload: payload.into(),
            qos,
            retain: false,
        };
        assert_eq!(in_time(subscriber.next()).await, expected);
    }
    let topic = format!("{prefix}/kept");
    publisher.publish(&topic, "kept", 1, true).await;
    subscriber.subscribe(&topic).await;
    let kept = in_time(subscriber.next()).await;
    assert_eq!((kept.payload, kept.retain), (b"kept".to_vec(), true));
    publisher.end().await;
    subscriber.end().await;
}

async fn will<P: Peer>(hello: Hello<'_>, prefix: &str) {
    let topic = format!("{prefix}/will");
    let mut watcher: P = connect(hello, prefix, "w").await;
    watcher.subscribe(&topic).await;
    let hello = Hello {
        will: Some(&topic),
        ..hello
    };
    connect::<P>(hello, prefix, "d").await.end().await;
    watcher.publish(&topic, "between", 1, false).await;
    connect::<P>(hello, prefix, "v").await.vanish().await;
    // Who said goodbye left no will.
    for expected in ["between", "gone"] {
        assert_eq!(in_time(watcher.next()).await.payload, expected.as_bytes());
    }
    watcher.end().await;
}

async fn resume<P: Peer>(hello: Hello<'_>, prefix: &str) {
    let topic = format!("{prefix}/while-away");
    let id = format!("{prefix}-r");
    let sleeper = Hello {
        id: &id,
        keep: true,
        ..hello
    };
    let (mut asleep, present) = in_time(P::connect(sleeper)).await;
    assert!(!present);
    asleep.subscribe(&topic).await;
    asleep.vanish().await;
    let mut publisher: P = connect(hello, prefix, "p2").await;
    for qos in [1, 2] {
        publisher
            .publish(&topic, &format!("{qos}"), qos, false)
            .await;
    }
    publisher.end().await;
    let (mut awake, present) = in_time(asleep.come_back(sleeper)).await;
    assert!(present);
    for expected in ["1", "2"] {
        assert_eq!(in_time(awake.next()).await.payload, expected.as_bytes());
    }
    awake.end().await;
}

async fn shared<P: Peer>(hello: Hello<'_>, prefix: &str) {
    let mut members: [P; 2] = [
        connect(hello, prefix, "m0").await,
        connect(hello, prefix, "m1").await,
    ];
    for member in &mut members {
        member
            .subscribe(&format!("$share/group/{prefix}/work"))
            .await;
        // A message after all others on each connection closes the count.
        member.subscribe(&format!("{prefix}/end")).await;
    }
    let mut publisher: P = connect(hello, prefix, "p3").await;
    for number in 0..10 {
        let topic = format!("{prefix}/work");
        publisher
            .publish(&topic, &format!("{number}"), 1, false)
            .await;
    }
    publisher
        .publish(&format!("{prefix}/end"), "end", 1, false)
        .await;
    let mut got = Vec::new();
    for member in &mut members {
        loop {
            let payload = in_time(member.next()).await.payload;
            if payload == b"end" {
                break;
            }
            got.push(payload);
        }
    }
    got.sort();
    let expected: Vec<_> = (0..10)
        .map(|number| format!("{number}").into_bytes())
        .collect();
    assert_eq!(got, expected, "each once, to one of the two");
    for peer in members.into_iter().chain([publisher]) {
        peer.end().await;
    }
}
