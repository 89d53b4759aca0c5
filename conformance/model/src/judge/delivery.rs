//! What the server delivers.

use std::collections::BTreeSet;

use quince_codec::{Publish, QoS, Version};

use super::{Judge, Verdict, text};
use crate::message::{MessageId, passed_on};
use crate::session::{InFlight, Subscription};
use crate::violation::{Rule, Violation};

/// How a message may have come to a client.
struct Ways<'a> {
    /// Subscriptions that may have taken it when it was published.
    takers: Vec<&'a Subscription>,
    /// Subscriptions that may have read it when they were made.
    readers: Vec<&'a Subscription>,
}

impl Ways<'_> {
    fn all(&self) -> impl Iterator<Item = &Subscription> {
        self.takers.iter().chain(&self.readers).copied()
    }

    /// How many filters may have taken it.
    fn filters(&self) -> BTreeSet<&str> {
        self.takers.iter().map(|one| one.filter.as_str()).collect()
    }

    /// Whether it can have come with RETAIN 1 because a subscription asks for that.
    fn as_published(&self) -> bool {
        self.takers
            .iter()
            .any(|one| one.options.retain_as_published)
    }
}

impl Judge {
    pub(super) fn on_delivery(&mut self, connection: u64, publish: &Publish<'_>) -> Verdict {
        let name = self.name_of(connection);
        let topic = self.resolve(connection, publish)?;
        self.take_packet_id(connection, publish)?;
        let known = self.clients.get(&name);
        let judged = known.is_some_and(|one| one.current == Some(connection) && !one.is_in_doubt());
        if publish.payload.is_empty() {
            let deleted = self
                .messages
                .retained(&topic)
                .any(|(_, message)| message.payload.is_empty());
            self.demand(deleted, Rule::Published, || {
                format!("{name} got an empty payload on {topic:?}")
            })?;
            if judged {
                self.put_in_flight(&name, connection, None, publish)?;
            }
            return Ok(());
        }
        let Some(id) = self.messages.find(publish.payload) else {
            return self.refuse(
                Rule::Published,
                format!("{name} got {}, which nobody sent", text(publish.payload)),
            );
        };
        self.judge_content(connection, id, &topic, publish)?;
        if self.messages.get(id).will.is_some() {
            self.judge_will(id)?;
        }
        if !judged || self.put_in_flight(&name, connection, Some(id), publish)? {
            return Ok(());
        }
        let session = &self.clients[&name].session;
        let message = self.messages.get(id);
        if message.doubtful || session.predates(message) {
            return Ok(());
        }
        self.judge_new(&name, connection, id, publish)
    }

    fn resolve(&mut self, connection: u64, publish: &Publish<'_>) -> Result<String, Violation> {
        let name = self.name_of(connection);
        let alias = publish.properties.topic_alias();
        let link = self.links.get_mut(&connection);
        let topic = match (alias, link) {
            (Some(alias), Some(link)) if publish.topic.is_empty() => {
                link.aliases_received.get(&alias).cloned()
            }
            (Some(alias), Some(link)) => {
                let topic = publish.topic.to_owned();
                link.aliases_received.insert(alias, topic.clone());
                Some(topic)
            }
            _ => Some(publish.topic.to_owned()),
        };
        let detail = || format!("{name} got a Topic Alias that means nothing");
        topic.map_or_else(|| self.refuse(Rule::Published, detail()), Ok)
    }

    /// What holds on one connection alone: identifiers in use, and Receive Maximum.
    fn take_packet_id(&mut self, connection: u64, publish: &Publish<'_>) -> Verdict {
        let name = self.name_of(connection);
        let (Some(packet_id), Some(link)) = (publish.packet_id, self.links.get_mut(&connection))
        else {
            return Ok(());
        };
        let before = link.unanswered.insert(packet_id.value(), publish.qos);
        let (count, most) = (link.unanswered.len(), link.receive_maximum);
        self.demand(before.is_none(), Rule::PacketIdentifier, || {
            format!("{name} has not answered {} yet", packet_id.value())
        })?;
        self.demand(count <= most, Rule::ReceiveMaximum, || {
            format!("{name} has {count} unanswered deliveries and takes {most}")
        })
    }

    /// Books a delivery above QoS 0; gives whether it only came again.
    fn put_in_flight(
        &mut self,
        name: &str,
        connection: u64,
        message: Option<MessageId>,
        publish: &Publish<'_>,
    ) -> Result<bool, Violation> {
        let (Some(packet_id), Some(client)) = (publish.packet_id, self.clients.get_mut(name))
        else {
            return Ok(false);
        };
        let packet_id = packet_id.value();
        let in_flight = InFlight {
            message,
            qos: publish.qos,
            connection,
        };
        let session = &mut client.session;
        let Some(before) = session.in_flight.insert(packet_id, in_flight) else {
            return Ok(false);
        };
        let same = before.message == message && before.qos == publish.qos;
        self.demand(same, Rule::PacketIdentifier, || {
            format!("{name} has {packet_id} in flight for another message")
        })?;
        self.demand(publish.dup, Rule::SentAgain, || {
            format!("{packet_id} came to {name} again without DUP")
        })?;
        Ok(true)
    }

    /// What the message itself tells, whoever it comes to.
    fn judge_content(
        &self,
        connection: u64,
        id: MessageId,
        topic: &str,
        publish: &Publish<'_>,
    ) -> Verdict {
        let message = self.messages.get(id);
        let payload = text(&message.payload);
        self.demand(message.topic == topic, Rule::Published, || {
            format!(
                "{payload} was sent to {:?} and came on {topic:?}",
                message.topic
            )
        })?;
        self.demand(publish.qos <= message.qos, Rule::GrantedQoS, || {
            format!("{payload} came at {:?}", publish.qos)
        })?;
        self.demand(message.retain || !publish.retain, Rule::RetainFlag, || {
            format!("{payload} came with RETAIN 1")
        })?;
        let now = self.now.time;
        let Some(link) = self.links.get(&connection) else {
            return Ok(());
        };
        let is_v5 = link.version == Version::V5_0;
        if is_v5 {
            let properties = passed_on(publish.properties);
            self.demand(properties == message.properties, Rule::Published, || {
                format!(
                    "{payload} came with {properties:?}, not {:?}",
                    message.properties
                )
            })?;
        }
        let told = publish.properties.message_expiry_interval();
        let Some(expiry) = message.expiry else {
            return self.demand(told.is_none(), Rule::Expiry, || {
                format!("{payload} came with a Message Expiry Interval")
            });
        };
        // The server has had it since PUBACK at the latest, and since PUBLISH at the earliest.
        let waited_least = message.done.map_or(0, |done| {
            now.saturating_sub(self.bounds.patience)
                .saturating_sub(done.time)
        });
        let waited_most = message.starts.map_or(now, |starts| now - starts.time);
        let started = publish.dup || waited_least <= expiry.saturating_add(1000);
        self.demand(started, Rule::Expiry, || {
            format!("{payload} came {waited_least} ms after it was taken")
        })?;
        if !is_v5 || publish.dup {
            return Ok(());
        }
        let left = told.map(|seconds| u64::from(seconds) * 1000);
        let longest = expiry.saturating_sub(waited_least).saturating_add(1000);
        let shortest = expiry.saturating_sub(waited_most).saturating_sub(1000);
        let true_left = left.is_some_and(|left| left <= longest.min(expiry) && left >= shortest);
        self.demand(true_left, Rule::Expiry, || {
            format!("{payload} came with {left:?} ms left, not {shortest} to {longest}")
        })
    }

    /// A copy that did not come before.
    fn judge_new(
        &mut self,
        name: &str,
        connection: u64,
        id: MessageId,
        publish: &Publish<'_>,
    ) -> Verdict {
        let message = self.messages.get(id);
        let session = &self.clients[name].session;
        let subscriptions = || session.subscriptions.iter();
        let ways = Ways {
            takers: subscriptions()
                .filter(|one| one.may_take(name, message))
                .collect(),
            readers: subscriptions()
                .filter(|one| one.may_read_retained(&message.topic))
                .filter(|one| self.messages.may_be_retained_after(id, one.asked))
                .collect(),
        };
        let version = self.links[&connection].version;
        self.judge_ways(name, id, publish, &ways)?;
        self.judge_options(id, publish, &ways, version)?;
        let payload = text(&message.payload);
        let effects = match message.qos {
            QoS::AtLeastOnce => message.sends,
            QoS::AtMostOnce | QoS::ExactlyOnce => 1,
        };
        let live = ways.filters().len() * effects;
        let read = ways.readers.len();
        let as_published = ways.as_published();
        let filters = ways.filters();
        let only_shared = match filters.first() {
            Some(filter) if filters.len() == 1 && crate::topic::is_shared(filter) => {
                ways.readers.is_empty().then(|| (*filter).to_owned())
            }
            _ => None,
        };
        // Sent again, it may have been published again, or only then: the first time it may have been refused.
        let in_order = message.sends == 1;
        let any_shared = ways.all().any(Subscription::is_shared);
        let (is_will, starts) = (message.will.is_some(), message.starts);
        let lane = (
            message.publisher.clone(),
            message.topic.clone(),
            message.qos,
            publish.qos,
        );
        let is_retained = message.retain;
        // A QoS 1 delivery whose answer was lost comes again, marked; the client has no memory of it.
        let again = publish.dup && publish.qos == QoS::AtLeastOnce;
        let Some(client) = self.clients.get_mut(name) else {
            return Ok(());
        };
        let copies = client.session.copies.entry(id).or_default();
        let first = copies.plain + copies.retained == 0;
        let first_of_its_kind = if publish.retain {
            copies.retained == 0
        } else {
            copies.plain == 0
        };
        if !again || first_of_its_kind {
            copies.plain += usize::from(!publish.retain);
            copies.retained += usize::from(publish.retain);
        }
        let copies = *copies;
        let most_retained = read + if as_published { live } else { 0 };
        let too_many = copies.plain > live
            || copies.retained > most_retained
            || copies.plain + copies.retained > live + read;
        self.demand(!too_many, Rule::ExactlyOnce, || {
            format!(
                "{name} got {payload} {copies:?}, and {live} live and {read} retained are allowed"
            )
        })?;
        if let Some(filter) = only_shared {
            self.judge_shared(filter, id, publish.qos, again)?;
        }
        if first && in_order && !is_will && !any_shared && !publish.retain {
            self.judge_order(name, id, lane)?;
        }
        let is_live = read == 0 || !publish.retain;
        if first && in_order && is_retained && is_live && !any_shared && starts.is_some() {
            self.note_sequence(name, id);
        }
        if publish.retain && !as_published {
            self.judge_one_order(name, id)?;
        }
        Ok(())
    }

    /// Some subscription brings it, with this RETAIN.
    fn judge_ways(
        &self,
        name: &str,
        id: MessageId,
        publish: &Publish<'_>,
        ways: &Ways<'_>,
    ) -> Verdict {
        let message = self.messages.get(id);
        let payload = text(&message.payload);
        let subscriptions = &self.clients[name].session.subscriptions;
        let reads = subscriptions
            .iter()
            .any(|one| one.may_read_retained(&message.topic));
        if ways.takers.is_empty() && !(publish.retain && reads) {
            return self.refuse(
                Rule::Subscribed,
                format!("{name} got {payload} on {:?}", message.topic),
            );
        }
        if !publish.retain {
            let plain = !message.retain
                || ways
                    .takers
                    .iter()
                    .any(|one| !one.options.retain_as_published);
            return self.demand(plain, Rule::RetainFlag, || {
                format!("{payload} came to {name} with RETAIN 0")
            });
        }
        if ways.as_published() || !ways.readers.is_empty() {
            return Ok(());
        }
        if reads {
            return self.refuse(
                Rule::Retained,
                format!("{name} got {payload}, which a later retained message has replaced"),
            );
        }
        self.refuse(
            Rule::RetainFlag,
            format!("{payload} came to {name} with RETAIN 1"),
        )
    }

    /// QoS and Subscription Identifiers are those of what brings it.
    fn judge_options(
        &self,
        id: MessageId,
        publish: &Publish<'_>,
        ways: &Ways<'_>,
        version: Version,
    ) -> Verdict {
        let message = self.messages.get(id);
        let payload = text(&message.payload);
        let granted = ways
            .all()
            .any(|one| one.may_grant(message.qos, publish.qos));
        self.demand(granted, Rule::GrantedQoS, || {
            format!(
                "{payload} came at {:?}, which no subscription grants",
                publish.qos
            )
        })?;
        if version != Version::V5_0 {
            return Ok(());
        }
        let told: Vec<u32> = publish.properties.subscription_identifiers().collect();
        let known = told
            .iter()
            .all(|told| ways.all().any(|one| one.identifier == Some(*told)));
        let complete = !told.is_empty() || ways.all().any(|one| one.identifier.is_none());
        self.demand(known && complete, Rule::SubscriptionIdentifier, || {
            let expected: Vec<_> = ways.all().map(|one| one.identifier).collect();
            format!("{payload} came with identifiers {told:?} of {expected:?}")
        })
    }

    /// One member gets it; at QoS 1 another one may, if the first never answered.
    fn judge_shared(&mut self, filter: String, id: MessageId, qos: QoS, again: bool) -> Verdict {
        if again || qos == QoS::AtLeastOnce || self.messages.get(id).sends > 1 {
            return Ok(());
        }
        let detail = format!("{filter} brought {}", text(&self.messages.get(id).payload));
        let copies = self.shared.entry((filter, id, qos)).or_default();
        *copies += 1;
        let copies = *copies;
        self.demand(copies == 1, Rule::Shared, || {
            format!("{detail} {copies} times")
        })
    }

    fn judge_order(&mut self, name: &str, id: MessageId, lane: crate::session::Lane) -> Verdict {
        let message = self.messages.get(id);
        let (Some(starts), Some(client)) = (message.starts, self.clients.get_mut(name)) else {
            return Ok(());
        };
        let latest = client.session.latest.entry(lane).or_insert(starts);
        let late = starts < *latest;
        *latest = starts.max(*latest);
        self.demand(!late, Rule::Order, || {
            format!("{name} got {} behind a later one", text(&message.payload))
        })
    }
}
