//! When a Will Message may, must and must not be published.

use super::{Judge, Verdict, text};
use crate::history::{End, Moment};
use crate::message::{MessageId, WillState};
use crate::violation::Rule;

impl Judge {
    /// From `starts` on the will may be published, if it could not before.
    pub(super) fn cause_will(&mut self, will: Option<MessageId>, starts: Moment) {
        if let Some(id) = will {
            let message = self.messages.get_mut(id);
            message.starts.get_or_insert(starts);
            if let Some(state) = &mut message.will {
                state.cancelled = false;
            }
        }
    }

    fn will_state(&mut self, will: Option<MessageId>) -> Option<&mut WillState> {
        self.messages.get_mut(will?).will.as_mut()
    }

    /// A new CONNECT of the same client: it may put an end to the delay, in one way or the other.
    pub(super) fn disturb_will(&mut self, will: Option<MessageId>, clean_start: bool) {
        let now = self.now.time;
        if let Some(state) = self.will_state(will) {
            if clean_start {
                state.earliest = None;
            }
            // What was due before is due still.
            if state.delay > 0 && state.latest.is_none_or(|latest| latest >= now) {
                state.certain = false;
            }
        }
    }

    /// The Session went on: wills that wait for their delay are not published any more [MQTT5-3.1.3-9].
    pub(super) fn cancel_wills(&mut self, name: &str, connection: u64) {
        let now = self.now.time;
        let Some(client) = self.clients.get(name) else {
            return;
        };
        let (links, begun) = (client.links.clone(), client.session.begun);
        for number in links.into_iter().filter(|number| *number != connection) {
            let link = &self.links[&number];
            if link.connect < begun {
                // Its Session has ended, and that published its will.
                continue;
            }
            let in_time = match link.end {
                None => !link.excused && !link.may_time_out(now, self.bounds.patience),
                Some(_) => false,
            };
            let will = link.will;
            if let Some(state) = self.will_state(will)
                && state.delay > 0
                && (in_time || state.earliest.is_some_and(|earliest| earliest > now))
            {
                state.cancelled = true;
                state.certain = false;
            }
        }
    }

    /// What the end of a connection does to its will.
    pub(super) fn end_will(&mut self, connection: u64, end: End) -> Verdict {
        let now = self.now;
        let patience = self.bounds.patience;
        let link = &self.links[&connection];
        let Some(id) = link.will else { return Ok(()) };
        let silent = link.may_time_out(now.time, patience);
        let elsewhere = link.excused || silent || self.has_rival(connection);
        let accepted = link.connack.is_some();
        let goodbye = link.goodbye == Some(0);
        let (connect, keep_alive, expiry) = (link.connect, link.keep_alive, link.expiry);
        let client = self.clients.get(&link.client);
        let in_doubt = client.is_none_or(crate::client::Client::is_in_doubt);
        // A newer connection may go on with the Session before the delay has passed.
        let succeeded = client.is_some_and(|client| client.links.last() != Some(&connection));
        let message = self.messages.get_mut(id);
        let payload = text(&message.payload);
        let Some(state) = &mut message.will else {
            return Ok(());
        };
        if goodbye && end != End::Aborted && !elsewhere {
            // DISCONNECT took the will away [MQTT5-3.14.4-3] [MQTT3-3.14.4-3].
            state.cancelled = true;
            let early = state.unexplained.is_some();
            return self.demand(!early, Rule::Will, || {
                format!("{payload} was published though its client said goodbye")
            });
        }
        let by_client = end != End::ByServer && !elsewhere;
        if !by_client {
            // It may have ended any time before.
            message.starts = Some(connect);
            state.unexplained = None;
        }
        message.starts.get_or_insert(now);
        let delay = state.delay.min(expiry.unwrap_or(u64::MAX));
        state.certain = accepted && !goodbye && !in_doubt && (state.delay == 0 || !succeeded);
        if by_client && accepted && state.earliest.is_none() {
            state.earliest = Some(now.time.saturating_add(delay));
        }
        let noticed = match end {
            End::Vanished if keep_alive == 0 => None,
            End::Vanished => Some(now.time + keep_alive * 3 / 2),
            _ => Some(now.time),
        };
        state.latest = noticed.map(|at| at.saturating_add(delay).saturating_add(patience));
        Ok(())
    }

    /// A Will Message is delivered.
    pub(super) fn judge_will(&mut self, id: MessageId) -> Verdict {
        let now = self.now;
        let message = self.messages.get_mut(id);
        let (payload, starts) = (text(&message.payload), message.starts);
        let Some(state) = &mut message.will else {
            return Ok(());
        };
        if starts.is_none() {
            state.unexplained.get_or_insert(now);
        }
        let state = *state;
        self.demand(!state.cancelled, Rule::Will, || {
            format!("{payload} was published though its Session went on or its client said goodbye")
        })?;
        let early = state.earliest.is_some_and(|earliest| now.time < earliest);
        self.demand(!early, Rule::Will, || {
            format!("{payload} was published before its delay had passed")
        })
    }
}
