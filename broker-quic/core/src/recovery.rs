//! A broker from what a store holds.

use std::sync::Arc;

use quince_codec::QoS;

use crate::config::Config;
use crate::delayed::Entry;
use crate::flow::Stage;
use crate::hub::Hub;
use crate::identifier::SessionId;
use crate::image::{Away, Image, Outgoing, SessionImage, Waits};
use crate::mailbox::Mailbox;
use crate::message::Delivery;
use crate::policy::Policy;
use crate::position::Position;
use crate::record::DeliveryId;
use crate::registry::{Aftermath, DueWill};
use crate::retained::Cursor;
use crate::session::{NEVER, Session, SessionWill};
use crate::time::Time;

impl Hub {
    /// The broker that made the records of `image`, without its connections.
    ///
    /// `now` counts on from the times that the earlier broker was told, so that deadlines honour the time in between: what
    /// became due meanwhile is done by the next [`Hub::handle_timeout`]. For a Session whose connection the crash has cut,
    /// Session Expiry Interval and Will Delay Interval begin now, since nobody can tell when it was cut.
    #[must_use]
    pub fn recover(config: Config, policy: Arc<dyn Policy>, image: &Image, now: Time) -> Self {
        let budget = Arc::clone(&image.budget);
        let hub = Self::empty(config, policy, budget, image.position);
        for (_, message) in image.retained.values() {
            hub.retained
                .shard(&message.topic)
                .restore(Arc::clone(message));
        }
        for (&record, (at, waiting)) in &image.delayed {
            let waiting = Arc::clone(waiting);
            let record = Some(record);
            hub.delayed.restore(*at, Entry { waiting, record });
        }
        for (&id, state) in &image.sessions {
            let session = state.session(&hub, id);
            let deadlines = state.deadlines(now);
            hub.registry().restore(&hub, session, deadlines);
        }
        hub.registry().begin_behind(image.last_session);
        let aftermath = Aftermath {
            wills: image
                .wills
                .iter()
                .map(|(&record, due)| DueWill {
                    will: Arc::clone(&due.will),
                    record: Some(record),
                    client_id: Arc::clone(&due.client_id),
                    principal: due.principal.clone(),
                    turn: 0,
                })
                .collect(),
            orphans: image
                .orphans
                .iter()
                .map(|(&id, waits)| waits.delivery(id))
                .collect(),
        };
        hub.settle(now, aftermath);
        hub
    }
}

impl SessionImage {
    fn session(&self, hub: &Hub, id: SessionId) -> Box<Session> {
        let mailbox = Arc::new(Mailbox::new(
            hub.config.queue_messages,
            hub.config.queue_bytes,
        ));
        let mut session = Session::new(id, Arc::clone(&self.client_id), mailbox);
        session.expiry = self.expiry;
        session.principal = self.principal.clone();
        session.is_recorded = true;
        session.subscriptions = self.subscriptions.clone();
        session.control.cursors = self.cursors().collect();
        session.will = self.will.as_ref().map(|(number, will)| SessionWill {
            will: Arc::clone(will),
            record: Some(*number),
        });
        let mut waiting = self.deliveries.clone();
        for (&flow_id, state) in &self.flows {
            let mailbox = Arc::clone(session.mailbox());
            let flow = session.flow(flow_id);
            for (packet_id, outgoing) in state.outgoing.values() {
                let stage = match outgoing {
                    Outgoing::Released => Stage::Released,
                    Outgoing::Published(delivery) => match waiting.remove(delivery) {
                        Some(waits) => Stage::Published(waits.delivery(*delivery)),
                        None => continue,
                    },
                };
                if let Stage::Published(delivery) = &stage {
                    mailbox.charge(delivery.allocated());
                }
                flow.restore(*packet_id, stage);
            }
            for packet_id in &state.incoming {
                flow.remember(*packet_id);
            }
        }
        for (id, waits) in &waiting {
            session.mailbox().restore(waits.delivery(*id));
        }
        Box::new(session)
    }

    fn cursors(&self) -> impl Iterator<Item = Cursor> {
        self.owed.iter().filter_map(|owed| {
            let filter = Arc::clone(&owed.filter);
            let subscription = self.subscriptions.get(&(owed.flow, Arc::clone(&filter)))?;
            let granted = subscription.options.qos;
            let cursor = Cursor::new(filter, granted, subscription.identifier);
            Some(cursor.resumed_behind(owed.last.as_ref()))
        })
    }

    fn deadlines(&self, now: Time) -> (Option<Time>, Option<Time>) {
        if let Some(Away { ends, will }) = self.away {
            return (ends, will);
        }
        let ends = (self.expiry != NEVER).then(|| now.plus_secs(u64::from(self.expiry)));
        let will = self
            .will
            .as_ref()
            .map(|(_, will)| now.plus_secs(u64::from(will.delay)));
        (ends, will)
    }
}

impl Waits {
    fn delivery(&self, id: DeliveryId) -> Delivery {
        Delivery {
            message: Arc::clone(&self.message),
            qos: self.queued.qos,
            retain: self.queued.retain,
            identifiers: self.queued.identifiers.clone(),
            after: Position::START,
            // Asked again when it leaves.
            authorized: 0,
            shared: self.queued.shared.clone(),
            id: Some(id),
            // A QoS 1 PUBLISH leaves before the record of it is durable. QoS 2 waits for that.
            may_repeat: self.queued.qos == QoS::AtLeastOnce,
        }
    }
}
