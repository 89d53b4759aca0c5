//! The one order of retained messages, and what new subscriptions are owed of them.

use super::{Judge, Verdict, text};
use crate::client::Client;
use crate::message::{Message, MessageId};
use crate::violation::Rule;

impl Judge {
    /// A message with RETAIN 1 came to a subscription that was there when it was published.
    pub(super) fn note_sequence(&mut self, name: &str, id: MessageId) {
        let now = self.now;
        let topic = self.messages.get(id).topic.clone();
        if let Some(client) = self.clients.get_mut(name) {
            let sequence = client.session.sequence.entry(topic).or_default();
            sequence.push((id, now));
        }
    }

    /// Whether a message has one place in an order: sent again, it may have been published again.
    fn came_once(&self, id: MessageId) -> bool {
        let message = self.messages.get(id);
        message.sends == 1 && !message.doubtful
    }

    /// A new subscription got a retained message: nobody had seen a later one when it was made.
    pub(super) fn judge_one_order(&self, name: &str, id: MessageId) -> Verdict {
        if !self.bounds.one_order_of_retained {
            return Ok(());
        }
        if !self.came_once(id) {
            return Ok(());
        }
        let message = self.messages.get(id);
        let session = &self.clients[name].session;
        let youngest = session
            .subscriptions
            .iter()
            .filter(|one| one.may_read_retained(&message.topic))
            .map(|one| one.asked)
            .min();
        let Some(asked) = youngest else { return Ok(()) };
        for (witness, client) in &self.clients {
            let Some(sequence) = client.session.sequence.get(&message.topic) else {
                continue;
            };
            let after = sequence
                .iter()
                .skip_while(|(seen, _)| *seen != id)
                .skip(1)
                .find(|(later, at)| *at < asked && self.came_once(*later));
            if let Some((later, _)) = after {
                let later = text(&self.messages.get(*later).payload);
                return self.refuse(
                    Rule::OneOrder,
                    format!(
                        "{name} got {}, but {witness} had seen {later} behind it",
                        text(&message.payload)
                    ),
                );
            }
        }
        Ok(())
    }

    /// All clients saw the retained messages of a topic in one order.
    pub(super) fn judge_sequences(&self) -> Verdict {
        if !self.bounds.one_order_of_retained {
            return Ok(());
        }
        for topic in self.messages.retained_topics() {
            let sequences: Vec<Vec<MessageId>> = self
                .clients
                .values()
                .filter_map(|client| client.session.sequence.get(topic))
                .map(|sequence| {
                    let ids = sequence.iter().map(|(id, _)| *id);
                    ids.filter(|id| self.came_once(*id)).collect()
                })
                .collect();
            for (index, one) in sequences.iter().enumerate() {
                for other in &sequences[index + 1..] {
                    let common = |of: &[MessageId], with: &[MessageId]| -> Vec<MessageId> {
                        of.iter().filter(|id| with.contains(id)).copied().collect()
                    };
                    self.demand(
                        common(one, other) == common(other, one),
                        Rule::OneOrder,
                        || format!("two clients saw {topic:?} in different orders"),
                    )?;
                }
            }
        }
        Ok(())
    }

    /// The message that a topic holds certainly at the end, and has held since it was published.
    fn certain_value(&self, topic: &str) -> Option<(MessageId, &Message)> {
        let (id, value) = self.messages.retained(topic).find(|(_, one)| {
            one.accepted.is_some()
                && one.done.is_some()
                && self.messages.retained(topic).all(|(_, other)| {
                    core::ptr::eq(*one, other)
                        || other.starts.is_none()
                        || other
                            .done
                            .zip(one.starts)
                            .is_some_and(|(done, starts)| done < starts)
                })
        })?;
        let keeps = !value.payload.is_empty()
            && value.expiry.is_none()
            && !value.refused
            && !value.doubtful;
        keeps.then_some((id, value))
    }

    /// Whoever subscribed has the retained messages that were there. One that was published at the same time came the one way
    /// or the other.
    pub(super) fn judge_retained_owed(&self, name: &str, client: &Client) -> Verdict {
        for one in &client.session.subscriptions {
            let Some((granted_at, granted)) = one.granted else {
                continue;
            };
            let unconditional =
                one.options.retain_handling == quince_codec::RetainHandling::SendAtSubscribe;
            if one.revoked.is_some() || one.is_shared() || !unconditional {
                continue;
            }
            for topic in self.messages.retained_topics() {
                if !crate::topic::matches(&one.filter, topic) {
                    continue;
                }
                let Some((id, value)) = self.certain_value(topic) else {
                    continue;
                };
                let surely_kept = !client.session.predates(value)
                    && value.qos.min(granted) > quince_codec::QoS::AtMostOnce
                    && !(one.options.no_local && value.publisher == name);
                let before = value.done.is_some_and(|done| done < one.asked);
                let at_once = value.starts.is_some_and(|starts| starts < granted_at);
                let came = client
                    .session
                    .copies
                    .get(&id)
                    .is_some_and(|copies| copies.retained > 0 || (!before && copies.plain > 0));
                if !before && !at_once {
                    // It is owed as a message, not as a retained one.
                    continue;
                }
                self.demand(came || !surely_kept, Rule::Retained, || {
                    format!(
                        "{name} subscribed to {:?} and never got the retained {}",
                        one.filter,
                        text(&value.payload)
                    )
                })?;
            }
        }
        Ok(())
    }
}
