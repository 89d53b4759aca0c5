//! Whether a server kept what it acknowledged: a history of one run with crashes, and the count of everything that is wrong in it.
//!
//! The [`Judge`](crate::Judge) follows every packet and ends at the first fault. This one is for load: it knows messages, not packets, goes on
//! after a fault and counts. Clients say what they sent, what they were told and what they received; who is owed what is stated at
//! the end. A message that was neither acknowledged nor refused may have been taken or not. A refused message is no loss.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use quince_codec::QoS;

/// A message: numbers of one publisher rise in the order in which it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageName {
    /// The publisher, which sends to one topic.
    pub publisher: u16,
    /// Its number.
    pub number: u64,
}

impl fmt::Display for MessageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.publisher, self.number)
    }
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A message was acknowledged, and somebody who is owed it did not get it.
    Lost,
    /// A QoS 2 message came to one subscription more than once. [MQTT5-4.3.3-13] [MQTT3-4.3.3-2]
    Duplicate,
    /// A QoS 1 message that was sent once came again without DUP. [MQTT5-3.3.1-1] [MQTT3-3.3.1-1]
    RepeatedWithoutDup,
    /// A message came before an earlier one of the same publisher, topic and QoS. [MQTT5-4.6.0-6] [MQTT3-4.6.0-6]
    OutOfOrder,
    /// A message came that nobody sent in this run, or with another payload or QoS.
    Altered,
    /// A message that was refused, and not sent again, came all the same.
    RefusedButDelivered,
    /// A retained value that is neither the last acknowledged one nor one under way.
    WrongRetained,
    /// A subscription that was acknowledged is gone.
    SubscriptionLost,
    /// A subscription is there although its end was acknowledged.
    SubscriptionResurrected,
    /// A Session that has not ended is gone. [MQTT5-3.1.2-23]
    SessionLost,
    /// A client that did nothing wrong was disconnected, or what it had under way was never completed.
    BrokenOff,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Lost,
        Self::Duplicate,
        Self::RepeatedWithoutDup,
        Self::OutOfOrder,
        Self::Altered,
        Self::RefusedButDelivered,
        Self::WrongRetained,
        Self::SubscriptionLost,
        Self::SubscriptionResurrected,
        Self::SessionLost,
        Self::BrokenOff,
    ];
}

/// Something wrong, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub fault: Fault,
    /// Which message, topic or client.
    pub what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Unknown,
    Acknowledged,
    Refused,
}

#[derive(Clone, Debug)]
struct Sent {
    qos: QoS,
    /// When it was sent, each time: its places among all that was sent.
    attempts: Vec<u64>,
    fate: Fate,
}

#[derive(Clone, Copy, Debug)]
struct Receipt {
    message: MessageName,
    dup: bool,
}

/// Who is owed every message of some publishers that was acknowledged.
#[derive(Clone, Debug)]
pub struct Owed {
    /// What this is called in findings.
    pub name: &'static str,
    /// Whether they get the messages of one publisher and QoS in order.
    pub is_ordered: bool,
    /// One receiver, or all members of a shared subscription that together get each message once.
    pub receivers: Vec<u16>,
    /// Whose messages.
    pub publishers: Vec<u16>,
}

/// The messages of one run.
#[derive(Clone, Debug, Default)]
pub struct Deliveries {
    sent: BTreeMap<MessageName, Sent>,
    /// How many times anything was sent.
    attempts: u64,
    received: BTreeMap<u16, Vec<Receipt>>,
    findings: Vec<Finding>,
}

impl Deliveries {
    /// A PUBLISH of the message is about to be sent, for the first time or again.
    pub fn sent(&mut self, message: MessageName, qos: QoS) {
        self.attempts += 1;
        let sent = self.sent.entry(message).or_insert(Sent {
            qos,
            attempts: Vec::new(),
            fate: Fate::Unknown,
        });
        sent.attempts.push(self.attempts);
    }

    /// PUBACK or PUBREC came for it: with a Reason Code below 0x80, or as a refusal.
    pub fn answered(&mut self, message: MessageName, is_refusal: bool) {
        if let Some(sent) = self.sent.get_mut(&message) {
            sent.fate = if is_refusal {
                Fate::Refused
            } else {
                Fate::Acknowledged
            };
        }
    }

    /// A receiver was given a message. Of a QoS 2 message that was sent again under the same Packet Identifier before its PUBREL, only the
    /// first counts.
    pub fn received(&mut self, receiver: u16, message: MessageName, qos: QoS, dup: bool) {
        match self.sent.get(&message) {
            Some(sent) if sent.qos == qos => {
                let receipts = self.received.entry(receiver).or_default();
                receipts.push(Receipt { message, dup });
            }
            Some(sent) => {
                let what = format!(
                    "{receiver} got {message} at {qos:?}, sent at {:?}",
                    sent.qos
                );
                self.find(Fault::Altered, what);
            }
            None => self.find(
                Fault::Altered,
                format!("{receiver} got {message}, which was not sent"),
            ),
        }
    }

    /// Something else is wrong.
    pub fn find(&mut self, fault: Fault, what: String) {
        self.findings.push(Finding { fault, what });
    }

    /// How many messages were acknowledged, and how many refused.
    #[must_use]
    pub fn answers(&self) -> (u64, u64) {
        let count = |fate| self.sent.values().filter(|sent| sent.fate == fate).count() as u64;
        (count(Fate::Acknowledged), count(Fate::Refused))
    }

    /// How many messages were given to receivers.
    #[must_use]
    pub fn receipts(&self) -> usize {
        self.received.values().map(Vec::len).sum()
    }

    fn missing<'a>(&'a self, owed: &'a Owed) -> impl Iterator<Item = MessageName> + 'a {
        let had: BTreeSet<MessageName> = owed
            .receivers
            .iter()
            .filter_map(|receiver| self.received.get(receiver))
            .flatten()
            .map(|receipt| receipt.message)
            .collect();
        self.sent
            .iter()
            .filter(|(message, sent)| {
                sent.fate == Fate::Acknowledged && owed.publishers.contains(&message.publisher)
            })
            .map(|(&message, _)| message)
            .filter(move |message| !had.contains(message))
    }

    /// Whether everybody has what is owed.
    #[must_use]
    pub fn is_complete(&self, owed: &[Owed]) -> bool {
        owed.iter().all(|owed| self.missing(owed).next().is_none())
    }

    /// All that is wrong.
    #[must_use]
    pub fn judge(&self, owed: &[Owed]) -> Vec<Finding> {
        let mut findings = self.findings.clone();
        for owed in owed {
            let lost = self.missing(owed).map(|message| Finding {
                fault: Fault::Lost,
                what: format!("{message}, owed to '{}'", owed.name),
            });
            findings.extend(lost);
            self.judge_repeated(owed, &mut findings);
            for &receiver in owed.receivers.iter().filter(|_| owed.is_ordered) {
                if let Some(receipts) = self.received.get(&receiver) {
                    self.judge_order(receiver, receipts, &mut findings);
                }
            }
        }
        findings
    }

    fn judge_repeated(&self, owed: &Owed, findings: &mut Vec<Finding>) {
        let mut times: BTreeMap<MessageName, Vec<bool>> = BTreeMap::new();
        let receipts = owed
            .receivers
            .iter()
            .filter_map(|receiver| self.received.get(receiver))
            .flatten();
        for receipt in receipts {
            times.entry(receipt.message).or_default().push(receipt.dup);
        }
        for (message, dups) in times {
            let sent = &self.sent[&message];
            let what = || format!("{message} {} times at '{}'", dups.len(), owed.name);
            let fault = match sent.qos {
                QoS::ExactlyOnce if dups.len() > 1 => Some(Fault::Duplicate),
                // The first may have been lost on the way, so any of them may bear DUP, and all but one must.
                QoS::AtLeastOnce
                    if sent.attempts.len() == 1 && dups.iter().filter(|dup| !**dup).count() > 1 =>
                {
                    Some(Fault::RepeatedWithoutDup)
                }
                _ if sent.fate == Fate::Refused && sent.attempts.len() == 1 => {
                    Some(Fault::RefusedButDelivered)
                }
                _ => None,
            };
            findings.extend(fault.map(|fault| Finding {
                fault,
                what: what(),
            }));
        }
    }

    /// What comes for the first time must stand in the order in which it was sent, where of a message that was sent more than once each
    /// time may be the one that counts: a member of a shared subscription may be chosen at the second time only.
    fn judge_order(&self, receiver: u16, receipts: &[Receipt], findings: &mut Vec<Finding>) {
        let mut seen = BTreeSet::new();
        let mut latest: BTreeMap<(u16, QoS), (u64, MessageName)> = BTreeMap::new();
        for receipt in receipts {
            let message = receipt.message;
            if !seen.insert(message) {
                continue;
            }
            let sent = &self.sent[&message];
            let (place, before) = latest
                .entry((message.publisher, sent.qos))
                .or_insert((0, message));
            match sent.attempts.iter().find(|attempt| *attempt > place) {
                Some(&attempt) => (*place, *before) = (attempt, message),
                None => findings.push(Finding {
                    fault: Fault::OutOfOrder,
                    what: format!("{receiver} got {message} behind {before}"),
                }),
            }
        }
    }
}

/// One thing that clients set and read, one operation at a time: a retained value, or whether there is a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register<V> {
    possible: BTreeSet<V>,
}

impl<V: Ord + Clone + fmt::Debug> Register<V> {
    /// A register that holds `value`.
    pub fn new(value: V) -> Self {
        Self {
            possible: BTreeSet::from([value]),
        }
    }

    /// Somebody asks the server to set it: from now on it may have done so.
    pub fn begin(&mut self, value: V) {
        self.possible.insert(value);
    }

    /// The server has acknowledged that it is set: nothing else is possible any more.
    pub fn acknowledged(&mut self, value: V) {
        self.possible = BTreeSet::from([value]);
    }

    /// What was read. From then on it is that.
    ///
    /// # Errors
    /// When it cannot be that: what was possible.
    pub fn read(&mut self, value: V) -> Result<(), String> {
        let outcome = if self.possible.contains(&value) {
            Ok(())
        } else {
            Err(format!(
                "{value:?}, where {:?} was possible",
                Vec::from_iter(&self.possible)
            ))
        };
        self.acknowledged(value);
        outcome
    }
}
