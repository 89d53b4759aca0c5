//! What is missing at the end of a history.

use std::collections::BTreeSet;

use super::{Judge, Verdict, text};
use crate::client::Client;
use crate::message::Message;
use crate::session::Subscription;
use crate::violation::Rule;

impl Judge {
    pub(super) fn on_finish(&mut self) -> Verdict {
        self.judge_answers()?;
        self.judge_wills_owed()?;
        for (name, client) in &self.clients {
            if !self.is_served(client) {
                continue;
            }
            let older = client
                .session
                .in_flight
                .iter()
                .find(|(_, one)| Some(one.connection) != client.current);
            if let Some((packet_id, _)) = older {
                return self.refuse(
                    Rule::SentAgain,
                    format!("{packet_id} was in flight to {name} and was not sent again"),
                );
            }
            self.judge_owed(name, client)?;
            self.judge_retained_owed(name, client)?;
        }
        self.judge_shared_owed()?;
        self.judge_sequences()
    }

    /// Whether a client is connected, and its Session is known.
    fn is_served(&self, client: &Client) -> bool {
        let link = client.current.and_then(|current| self.links.get(&current));
        !client.is_in_doubt() && link.is_some_and(|link| link.is_open() && !link.excused)
    }

    fn judge_answers(&self) -> Verdict {
        for link in self.links.values() {
            if !link.is_open() || link.excused || link.goodbye.is_some() {
                continue;
            }
            let missing = [
                ("PINGREQ", link.pings.len()),
                ("PUBLISH or PUBREL", link.sending.len()),
                ("SUBSCRIBE", link.subscribing.len()),
                ("UNSUBSCRIBE", link.unsubscribing.len()),
            ];
            for (what, count) in missing {
                self.demand(count == 0, Rule::Answered, || {
                    format!("{count} {what} of {} are not answered", link.client)
                })?;
            }
        }
        Ok(())
    }

    /// Whether so much may have been due to the client that some of it may be lost.
    fn may_have_lost(&self, name: &str, client: &Client, owed: &Message) -> bool {
        let session = &client.session;
        let is_will = owed.will.is_some();
        if self.bounds.stored_lose_nothing && session.always_stored && !is_will {
            return false;
        }
        let due: usize = self
            .messages
            .iter()
            .map(|(_, message)| {
                let read = session
                    .subscriptions
                    .iter()
                    .filter(|one| message.retain && one.may_read_retained(&message.topic));
                session.takers(name, message) * message.sends + read.count()
            })
            .sum();
        due > self.bounds.queue_messages
    }

    fn may_have_expired(&self, message: &Message) -> bool {
        let since = message.starts.map_or(0, |starts| starts.time);
        message
            .expiry
            .is_some_and(|expiry| self.now.time >= since.saturating_add(expiry))
    }

    /// Messages that the server took for a Session that certainly subscribed.
    fn judge_owed(&self, name: &str, client: &Client) -> Verdict {
        for (id, message) in self.messages.iter() {
            if message.doubtful
                || message.payload.is_empty()
                || client.session.predates(message)
                || client.session.copies.contains_key(&id)
                || self.may_have_expired(message)
            {
                continue;
            }
            let subscriptions = client.session.subscriptions.iter();
            let owed = subscriptions
                .filter(|one| !one.is_shared())
                .find(|one| one.must_take(name, message));
            if let Some(owed) = owed
                && !self.may_have_lost(name, client, message)
            {
                let rule = if message.will.is_some() {
                    Rule::Will
                } else {
                    Rule::AtLeastOnce
                };
                return self.refuse(
                    rule,
                    format!(
                        "{name} subscribed to {:?} and never got {} on {:?}",
                        owed.filter,
                        text(&message.payload),
                        message.topic
                    ),
                );
            }
        }
        Ok(())
    }

    /// Every Will Message that came had a cause; those that are due count as taken from now on.
    fn judge_wills_owed(&mut self) -> Verdict {
        let now = self.now;
        let wills: Vec<_> = self
            .messages
            .iter()
            .filter_map(|(id, message)| message.will.map(|state| (id, state, message.link)))
            .collect();
        for (id, state, connection) in wills {
            let open = self.links.get(&connection).is_some_and(|link| {
                link.end.is_none()
                    && !link.excused
                    && !link.may_time_out(now.time, self.bounds.patience)
            });
            let rival = self.has_rival(connection);
            self.demand(
                state.unexplained.is_none() || !open || rival,
                Rule::Will,
                || {
                    format!(
                        "{} was published, but its connection is well",
                        text(&self.messages.get(id).payload)
                    )
                },
            )?;
            let due = state.certain
                && !state.cancelled
                && state.latest.is_some_and(|latest| latest < now.time);
            if due {
                self.messages.get_mut(id).accepted = Some(now);
            }
        }
        Ok(())
    }

    /// A message for a shared subscription whose members are all well reached one of them.
    fn judge_shared_owed(&self) -> Verdict {
        let filters: BTreeSet<&str> = self
            .clients
            .values()
            .flat_map(|client| &client.session.subscriptions)
            .filter(|one| one.is_shared())
            .map(|one| one.filter.as_str())
            .collect();
        for filter in filters {
            for (id, message) in self.messages.iter() {
                if message.doubtful || message.payload.is_empty() || message.will.is_some() {
                    continue;
                }
                if self.is_owed_to_group(filter, message) {
                    let came = self
                        .clients
                        .values()
                        .any(|client| client.session.copies.contains_key(&id));
                    self.demand(came, Rule::Shared, || {
                        format!("{} came to no member of {filter}", text(&message.payload))
                    })?;
                }
            }
        }
        Ok(())
    }

    fn is_owed_to_group(&self, filter: &str, message: &Message) -> bool {
        let Some(starts) = message.starts else {
            return false;
        };
        let bereaved = self.bereaved.get(filter).is_some_and(|at| *at > starts);
        if bereaved || self.may_have_expired(message) {
            return false;
        }
        let mut members = 0;
        for (name, client) in &self.clients {
            let mine =
                |one: &&Subscription| one.filter == filter && one.may_take_live(name, message);
            let mut taking = client.session.subscriptions.iter().filter(mine).peekable();
            if taking.peek().is_none() {
                if client.is_in_doubt() {
                    return false;
                }
                continue;
            }
            let certain = self.is_served(client)
                && !client.session.predates(message)
                && taking.all(|one| one.must_take(name, message))
                && !self.may_have_lost(name, client, message);
            if !certain {
                return false;
            }
            members += 1;
        }
        members > 0
    }
}
