//! The access matrix: rule files of every shape, principals, topics and ways to publish and to receive, each cell compared
//! with an oracle that knows only what mosquitto's manual says of its `acl_file`.
//!
//! Everything runs on the core in virtual time; each message is a canary that names its topic, so that a payload on a
//! connection that should not have it is seen wherever it came from.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use quince_broker::{Access, AccessSettings};
use quince_codec::{Packet, Property, QoS, Version};
use quince_core::Config;
use quince_core::bench::VirtualBroker;

use crate::net::{Client, Hello, Net, Q0, Q1, Q2, ack, farewell, hello, options, publish};

/// User name and Client Identifier of those who are judged.
const PEOPLE: [(Option<&str>, &str); 7] = [
    (None, "nobody"),
    (Some("alice"), "c1"),
    (Some("bob"), "alice"),
    (Some("#"), "c2"),
    (Some("+"), "#"),
    (Some("alice/a"), "+"),
    (Some("$SYS"), "c1/a"),
];

/// What is published to.
const TOPICS: [&str; 9] = [
    "t", "t/a", "t/alice", "t/c1", "t/a/b", "alice/a", "c1/a", "$SYS/a", "$other/a",
];

/// What is subscribed to.
const FILTERS: [&str; 8] = ["#", "+", "t/a", "t/+", "+/a", "t/#", "$SYS/#", "$other/+"];

/// What rules speak of.
const SHAPES: [&str; 11] = [
    "t/a", "t/+", "t/#", "#", "+/a", "t/%u", "t/%c", "%u/a", "%c/#", "$SYS/#", "$other/a",
];

/// One line of a rule file, and the section that it stands in.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    section: Option<&'static str>,
    keyword: &'static str,
    right: &'static str,
    filter: &'static str,
}

impl Line {
    fn new(section: Option<&'static str>, right: &'static str, filter: &'static str) -> Self {
        let keyword = if filter.contains('%') {
            "pattern"
        } else {
            "topic"
        };
        Self {
            section,
            keyword,
            right,
            filter,
        }
    }
}

/// Rules one by one, for everybody who can have some; and each shape granted with each shape denied.
fn rule_files() -> Vec<Vec<Line>> {
    let mut files = Vec::new();
    for filter in SHAPES {
        for right in ["read", "write", "readwrite", "deny"] {
            for section in [None, Some("alice"), Some("#")] {
                files.push(vec![Line::new(section, right, filter)]);
            }
        }
        let mut for_all = Line::new(None, "readwrite", filter);
        for_all.keyword = "pattern";
        files.push(vec![for_all]);
    }
    let rights = ["read", "write", "readwrite"];
    for (number, granted) in SHAPES.into_iter().enumerate() {
        for (other, denied) in SHAPES.into_iter().enumerate() {
            let section = [None, Some("alice"), Some("#")][(number + other) % 3];
            let grant = Line::new(section, rights[(number + 2 * other) % 3], granted);
            files.push(vec![grant, Line::new(section, "deny", denied)]);
            files.push(vec![Line::new(section, "deny", denied), grant]);
        }
    }
    // Root publishes, and sees what is published, unless a pattern denies it to everybody.
    for file in &mut files {
        let root = ["#", "$SYS/#", "$other/#"];
        file.extend(root.map(|filter| Line::new(Some("root"), "readwrite", filter)));
    }
    files
}

fn text(lines: &[Line]) -> String {
    let mut text = String::new();
    for section in [None, Some("alice"), Some("#"), Some("root")] {
        if let Some(user) = section {
            writeln!(text, "user {user}").expect("written");
        }
        for line in lines.iter().filter(|line| line.section == section) {
            writeln!(text, "{} {} {}", line.keyword, line.right, line.filter).expect("written");
        }
    }
    text
}

/// What the manual says, in its own order, and nothing clever.
mod oracle {
    use super::Line;

    fn level_matches(rule: &str, name: &str, user: Option<&str>, client: &str) -> bool {
        match rule {
            "+" => true,
            "%u" => user == Some(name),
            "%c" => client == name,
            _ => rule == name,
        }
    }

    fn matches(rule: &str, topic: &str, user: Option<&str>, client: &str) -> bool {
        if topic.starts_with('$') != rule.starts_with('$') {
            return false;
        }
        let names: Vec<&str> = topic.split('/').collect();
        let rule: Vec<&str> = rule.split('/').collect();
        let levels = rule.iter().filter(|level| **level != "#").count();
        let open = levels < rule.len();
        (names.len() == levels || open && names.len() > levels)
            && (0..levels).all(|at| level_matches(rule[at], names[at], user, client))
    }

    fn allowed(lines: &[Line], right: &str, topic: &str, user: Option<&str>, client: &str) -> bool {
        let speaking: Vec<&str> = lines
            .iter()
            .filter(|line| line.keyword == "pattern" || line.section == user)
            .filter(|line| matches(line.filter, topic, user, client))
            .map(|line| line.right)
            .collect();
        !speaking.contains(&"deny")
            && (speaking.contains(&right) || speaking.contains(&"readwrite"))
    }

    pub(super) fn may_read(lines: &[Line], topic: &str, user: Option<&str>, client: &str) -> bool {
        allowed(lines, "read", topic, user, client)
    }

    pub(super) fn may_write(lines: &[Line], topic: &str, user: Option<&str>, client: &str) -> bool {
        // Only the broker speaks below $SYS: a choice of ours, which docs/access.md states.
        !topic.starts_with("$SYS") && allowed(lines, "write", topic, user, client)
    }

    /// Whether a client's own filter, which names no identity, matches a topic [section 4.7].
    pub(super) fn filter_matches(filter: &str, topic: &str) -> bool {
        matches(filter, topic, None, "")
    }
}

/// Topics enough that a filter which matches anything readable matches one of these.
fn universe() -> Vec<String> {
    let names = [
        "t", "a", "b", "nobody", "alice", "bob", "c1", "c2", "$SYS", "$other", "else",
    ];
    let mut topics = Vec::new();
    for first in names {
        topics.push(first.to_owned());
        topics.extend(names.map(|second| format!("{first}/{second}")));
        topics.extend(["a", "else"].map(|second| format!("{first}/{second}/else")));
    }
    topics
}

/// One rule file with everybody at work.
struct Cell<'a> {
    net: Net,
    lines: &'a [Line],
    version: Version,
    root: Client,
    universe: &'a [String],
    judged: usize,
}

type Person = (Option<&'static str>, &'static str);

impl<'a> Cell<'a> {
    fn new(lines: &'a [Line], version: Version, universe: &'a [String]) -> Self {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        std::io::Write::write_all(&mut file, text(lines).as_bytes()).expect("written");
        let access = Access::load(AccessSettings {
            acl_file: Some(file.path().to_path_buf()),
            ..AccessSettings::default()
        })
        .expect("rules");
        let broker = VirtualBroker::with_policy(Config::default(), access.policy());
        let mut net = Net::over(broker);
        let mut root = hello(Version::V5_0, "root");
        root.user_name = Some("root");
        let root = net.client(&root);
        for filter in ["#", "$SYS/#", "$other/#"] {
            net.subscribe_with(root, 1, &[], &[(filter, options(Q0))]);
        }
        net.read(root);
        Self {
            net,
            lines,
            version,
            root,
            universe,
            judged: 0,
        }
    }

    fn hello(&self, person: Person) -> Hello<'static> {
        let mut hello = hello(self.version, person.1).stored(1000);
        hello.user_name = person.0;
        hello
    }

    fn may_read(&self, person: Person, topic: &str) -> bool {
        oracle::may_read(self.lines, topic, person.0, person.1)
    }

    fn may_write(&self, person: Person, topic: &str) -> bool {
        oracle::may_write(self.lines, topic, person.0, person.1)
    }

    #[track_caller]
    fn judge(&mut self, is: bool, what: impl FnOnce() -> String) {
        self.judged += 1;
        assert!(is, "{}\n{}", what(), text(self.lines));
    }

    /// The payloads that a client got, acknowledged. No payload names a topic that it may not read.
    #[track_caller]
    fn take(&mut self, person: Person, client: Client) -> (Vec<String>, Vec<String>) {
        let (mut payloads, mut others) = (Vec::new(), Vec::new());
        for line in self.net.read(client) {
            let Some(rest) = line.strip_prefix("PUBLISH ") else {
                others.push(line);
                continue;
            };
            for word in rest.split(' ') {
                match word.split_once('=') {
                    Some(("id", number)) => {
                        let number = number.parse().expect("a number");
                        self.net.send(client, &Packet::PubAck(ack(number)));
                    }
                    Some((topic, payload)) => {
                        let (_, canary) = payload.split_once(':').expect("a canary");
                        assert_eq!(canary, topic);
                        let allowed = self.may_read(person, topic);
                        self.judge(allowed, || format!("{person:?} got {line}"));
                        payloads.push(payload.to_owned());
                    }
                    None => {}
                }
            }
        }
        (payloads, others)
    }

    /// Demands exactly the canaries that these filters match and the client may read.
    #[track_caller]
    fn expect(&mut self, person: Person, got: Vec<String>, way: &str, filters: &[&str]) {
        let got: BTreeSet<String> = got.into_iter().collect();
        let expected: BTreeSet<String> = TOPICS
            .into_iter()
            .filter(|topic| self.may_write(ROOT, topic) && self.may_read(person, topic))
            .filter(|topic| {
                filters
                    .iter()
                    .any(|filter| oracle::filter_matches(filter, topic))
            })
            .map(|topic| format!("{way}:{topic}"))
            .collect();
        self.judged += TOPICS.len();
        assert_eq!(
            got,
            expected,
            "{way} {person:?} {filters:?}\n{}",
            text(self.lines)
        );
    }

    /// Root sends one canary to each topic.
    #[track_caller]
    fn send_canaries(&mut self, way: &str, retain: bool) {
        for topic in TOPICS {
            let payload = format!("{way}:{topic}");
            let mut message = publish(Q1, 1, topic, &payload);
            message.retain = retain;
            self.net.publish(self.root, message);
        }
        self.take(ROOT, self.root);
    }

    /// Subscribes to every filter; those that were granted, and what came at once.
    #[track_caller]
    fn subscribe(
        &mut self,
        person: Person,
        client: Client,
        prefix: &str,
    ) -> (Vec<&'static str>, Vec<String>) {
        let (mut granted, mut retained) = (Vec::new(), Vec::new());
        for filter in FILTERS {
            let whole = format!("{prefix}{filter}");
            self.net
                .subscribe_with(client, 7, &[], &[(&whole, options(Q1))]);
            let expected = self
                .universe
                .iter()
                .any(|topic| oracle::filter_matches(filter, topic) && self.may_read(person, topic));
            let code = match (expected, self.version) {
                (true, _) => "01",
                (false, Version::V5_0) => "87",
                (false, Version::V3_1 | Version::V3_1_1) => "80",
            };
            let (payloads, others) = self.take(person, client);
            let is = others.len() == 1 && others[0].starts_with(&format!("SUBACK 7 {code}"));
            self.judge(is, || {
                format!("{person:?} subscribes to {whole}: {others:?}")
            });
            if expected {
                granted.push(filter);
            }
            retained.extend(payloads);
        }
        (granted, retained)
    }

    /// Retained, live and queued messages, one person after the other, all at once.
    #[track_caller]
    fn receive(&mut self) {
        self.send_canaries("retained", true);
        let mut connected = Vec::new();
        for person in PEOPLE {
            let client = self.net.client(&self.hello(person));
            let (granted, retained) = self.subscribe(person, client, "");
            self.expect(person, retained, "retained", &granted);
            connected.push((person, client, granted));
        }
        self.send_canaries("live", false);
        for (person, client, granted) in &connected {
            let (got, _) = self.take(*person, *client);
            self.expect(*person, got, "live", granted);
            self.net.abort(*client);
        }
        self.send_canaries("queued", false);
        for (person, _, granted) in &connected {
            let client = self.net.dial(&self.hello(*person));
            let (got, _) = self.take(*person, client);
            self.expect(*person, got, "queued", granted);
            self.net.abort(client);
        }
    }

    /// Publishes in every way, seen by root.
    #[track_caller]
    fn send(&mut self) {
        for person in PEOPLE {
            let client = self.net.dial(&self.hello(person));
            self.take(person, client);
            for topic in TOPICS {
                for qos in [Q0, Q1, Q2] {
                    self.send_one(person, client, (qos, topic), &[]);
                }
                if self.version == Version::V5_0 {
                    self.send_one(person, client, (Q1, topic), &[Property::TopicAlias(1)]);
                    // Now by the alias alone.
                    self.send_aliased(person, client, topic);
                }
            }
            self.net.abort(client);
            for topic in TOPICS {
                self.send_will(person, topic);
            }
        }
    }

    #[track_caller]
    fn send_one(
        &mut self,
        person: Person,
        client: Client,
        (qos, topic): (QoS, &str),
        properties: &[Property<'_>],
    ) {
        let payload = format!("sent:{topic}");
        let message = publish(qos, 9, topic, &payload);
        self.net.publish_with(client, message, properties);
        let (_, others) = self.take(person, client);
        self.seen_by_root(person, topic, "sent");
        self.acknowledged(person, client, (qos, topic), &others);
    }

    #[track_caller]
    fn send_aliased(&mut self, person: Person, client: Client, topic: &str) {
        let payload = format!("aliased:{topic}");
        let message = publish(Q1, 9, "", &payload);
        self.net
            .publish_with(client, message, &[Property::TopicAlias(1)]);
        let (_, others) = self.take(person, client);
        self.seen_by_root(person, topic, "aliased");
        self.acknowledged(person, client, (Q1, topic), &others);
    }

    /// What the publisher hears.
    #[track_caller]
    fn acknowledged(
        &mut self,
        person: Person,
        client: Client,
        (qos, topic): (QoS, &str),
        others: &[String],
    ) {
        let packet = match qos {
            QoS::AtMostOnce => {
                self.judge(others.is_empty(), || {
                    format!("{person:?} {topic}: {others:?}")
                });
                return;
            }
            QoS::AtLeastOnce => "PUBACK",
            QoS::ExactlyOnce => "PUBREC",
        };
        let refused = self.version == Version::V5_0 && !self.may_write(person, topic);
        let says = others.len() == 1 && others[0].starts_with(&format!("{packet} 9"));
        let is = says && others[0].starts_with(&format!("{packet} 9 87")) == refused;
        self.judge(is, || {
            format!("{person:?} publishes to {topic}: {others:?}")
        });
        if qos == QoS::ExactlyOnce && !refused {
            self.net.send(client, &Packet::PubRel(ack(9)));
            self.take(person, client);
        }
    }

    #[track_caller]
    fn seen_by_root(&mut self, person: Person, topic: &str, way: &str) {
        let (got, _) = self.take(ROOT, self.root);
        let expected = self.may_write(person, topic) && self.may_read(ROOT, topic);
        let expected: Vec<String> = expected
            .then(|| format!("{way}:{topic}"))
            .into_iter()
            .collect();
        self.judge(got == expected, || {
            format!("{person:?} {way} to {topic}: root got {got:?}")
        });
    }

    #[track_caller]
    fn send_will(&mut self, person: Person, topic: &str) {
        let payload = format!("will:{topic}");
        let mut hello = hello(self.version, person.1).will(farewell(topic, &payload));
        hello.user_name = person.0;
        let client = self.net.dial(&hello);
        let code = match (self.may_write(person, topic), self.version) {
            (true, _) => "CONNACK 00",
            (false, Version::V5_0) => "CONNACK 87",
            (false, Version::V3_1 | Version::V3_1_1) => "CONNACK 05",
        };
        let lines = self.net.read(client);
        let is = lines.len() == 1 && lines[0].starts_with(code);
        self.judge(is, || {
            format!("{person:?} has a will for {topic}: {lines:?}")
        });
        self.net.abort(client);
        self.seen_by_root(person, topic, "will");
    }

    /// One shared subscription for everybody: each message goes to one who may have it, if there is one.
    #[track_caller]
    fn share(&mut self) {
        let mut members = Vec::new();
        for person in PEOPLE {
            let mut hello = hello(self.version, person.1);
            hello.user_name = person.0;
            let client = self.net.client(&hello);
            let (granted, retained) = self.subscribe(person, client, "$share/g/");
            assert!(
                retained.is_empty(),
                "a shared subscription gets nothing retained"
            );
            members.push((person, client, granted));
        }
        self.send_canaries("shared", false);
        let mut got = Vec::new();
        for (person, client, _) in &members {
            got.extend(self.take(*person, *client).0);
        }
        for topic in TOPICS {
            // One group for each filter.
            let expected = FILTERS
                .into_iter()
                .filter(|filter| {
                    oracle::filter_matches(filter, topic) && self.may_write(ROOT, topic)
                })
                .filter(|filter| {
                    members.iter().any(|(person, _, granted)| {
                        granted.contains(filter) && self.may_read(*person, topic)
                    })
                })
                .count();
            let payload = format!("shared:{topic}");
            let count = got.iter().filter(|got| **got == payload).count();
            self.judge(count == expected, || {
                format!("{topic} came {count} times, not {expected}")
            });
        }
    }
}

const ROOT: Person = (Some("root"), "root");

#[test]
fn every_cell_is_as_the_manual_says() {
    let files = rule_files();
    let universe = universe();
    let mut judged = 0;
    for (number, lines) in files.iter().enumerate() {
        // The older version has no words for half of it: every fourth file.
        let version = if number % 4 == 3 {
            Version::V3_1_1
        } else {
            Version::V5_0
        };
        let mut cell = Cell::new(lines, version, &universe);
        cell.receive();
        cell.send();
        cell.share();
        judged += cell.judged;
    }
    assert!(
        judged > 200_000,
        "only {judged} cells of {} files",
        files.len()
    );
}

#[test]
fn without_rules_everybody_may_do_everything_but_speak_for_the_broker() {
    let access = Access::load(AccessSettings::default()).expect("nothing to read");
    let mut net = Net::over(VirtualBroker::with_policy(
        Config::default(),
        access.policy(),
    ));
    let client = net.client(&hello(Version::V5_0, "a"));
    net.subscribe(client, &[("#", Q0), ("$SYS/#", Q0)]);
    net.publish(client, publish(Q1, 1, "$SYS/x", "canary:$SYS/x"));
    assert_eq!(net.read_without_reason(client), ["PUBACK 1 87"]);
    net.publish(client, publish(Q0, 0, "x", "y"));
    assert_eq!(net.read(client), ["PUBLISH q0 x=y"]);
}
