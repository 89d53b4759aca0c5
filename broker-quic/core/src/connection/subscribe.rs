//! SUBSCRIBE and UNSUBSCRIBE.

use std::sync::Arc;

use quince_codec::topic::validate_topic_filter;
use quince_codec::{QoS, ReasonCode, RetainHandling, Subscribe, Unsubscribe, Version};

use super::ending::Ending;
use super::exchange::Exchange;
use crate::policy::Action;
use crate::position::Position;
use crate::record::Change;
use crate::retained::Cursor;
use crate::routes::Route;
use crate::session::Subscription;

impl Exchange<'_> {
    pub(crate) fn on_subscribe(&mut self, subscribe: &Subscribe<'_>) -> Result<(), Ending> {
        self.check_user_properties(subscribe.properties.user_properties().count())?;
        let identifier = subscribe.properties.subscription_identifiers().next();
        let mut codes = Vec::new();
        let mut after = Position::START;
        for subscription in subscribe.subscriptions.iter() {
            let mut options = subscription.options;
            // Granted with less rather than refused [MQTT5-3.2.2-10].
            options.qos = options.qos.min(self.hub.config.maximum_qos);
            let wanted = Subscription {
                options,
                identifier,
            };
            let code = match self.subscribe(subscription.filter, wanted) {
                Ok((granted, record)) => {
                    after = after.max(record);
                    granted as u8
                }
                Err(refused) => self.refused_code(subscription.options.qos, refused)?,
            };
            codes.push(code);
        }
        let gate = self.gate(after);
        self.link
            .send_sub_ack(self.stream, subscribe.packet_id, &codes, gate)
    }

    /// How SUBACK says that a subscription was not made, as far as the version can say so.
    fn refused_code(&self, wanted: QoS, refused: ReasonCode) -> Result<u8, Ending> {
        match (self.link.version, refused) {
            (Version::V5_0, _) => Ok(refused.0),
            // The one failure that it has [MQTT3-3.9.3-2].
            (Version::V3_1_1, _) => Ok(0x80),
            // It has none: who may not subscribe is granted what it wanted all the same (section 3.8 there).
            (Version::V3_1, ReasonCode::NOT_AUTHORIZED) => Ok(wanted as u8),
            (Version::V3_1, _) => Err(Ending::silent(refused)),
        }
    }

    /// Makes one subscription, or says why not.
    fn subscribe(
        &mut self,
        filter: &str,
        wanted: Subscription,
    ) -> Result<(QoS, Position), ReasonCode> {
        if !is_filter(filter, self.hub.config.topic_levels) {
            return Err(ReasonCode::TOPIC_FILTER_INVALID);
        }
        if !self.is_allowed(Action::Subscribe(filter)) {
            return Err(ReasonCode::NOT_AUTHORIZED);
        }
        if self.session.is_recorded_on(self.flow) && self.hub.log.is_full() {
            return Err(ReasonCode::QUOTA_EXCEEDED);
        }
        let filter: Arc<str> = Arc::from(filter);
        let key = (self.flow, Arc::clone(&filter));
        let is_new = !self.session.subscriptions.contains_key(&key);
        if is_new && self.session.subscriptions.len() >= self.hub.config.subscriptions_per_session {
            return Err(ReasonCode::QUOTA_EXCEEDED);
        }
        let mut record =
            self.hub
                .registry()
                .subscribe(self.hub, self.session, (self.flow, &filter), wanted);
        let granted = wanted.options.qos;
        // [MQTT5-3.3.1-9] [MQTT5-3.3.1-10] [MQTT5-3.3.1-11] [MQTT3-3.3.1-6]; none for a shared subscription.
        let reads_retained = match wanted.options.retain_handling {
            RetainHandling::SendAtSubscribe => true,
            RetainHandling::SendIfNew => is_new,
            RetainHandling::DoNotSend => false,
        };
        if reads_retained && Route::of(&filter).share.is_none() {
            self.session
                .flow(self.flow)
                .cursors
                .retain(|cursor| cursor.filter != filter);
            let owed = self.record(|_| Change::RetainedOwed {
                session: self.session.id,
                flow: self.flow,
                filter: Arc::clone(&filter),
                last: None,
            });
            record = record.max(owed);
            self.session.flow(self.flow).cursors.push_back(Cursor::new(
                filter,
                granted,
                wanted.identifier,
            ));
        }
        Ok((granted, record))
    }

    pub(crate) fn on_unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) -> Result<(), Ending> {
        self.check_user_properties(unsubscribe.properties.user_properties().count())?;
        let mut codes = Vec::new();
        let mut after = Position::START;
        for filter in unsubscribe.filters.iter() {
            let removed =
                self.hub
                    .registry()
                    .unsubscribe(self.hub, self.session, self.flow, filter);
            after = after.max(removed.unwrap_or_default());
            let code = match removed {
                Some(_) => ReasonCode::SUCCESS,
                None if is_filter(filter, self.hub.config.topic_levels) => {
                    ReasonCode::NO_SUBSCRIPTION_EXISTED
                }
                None => ReasonCode::TOPIC_FILTER_INVALID,
            };
            codes.push(code.0);
        }
        let gate = self.gate(after);
        self.link
            .send_unsub_ack(self.stream, unsubscribe.packet_id, &codes, gate)
    }

    fn check_user_properties(&self, count: usize) -> Result<(), Ending> {
        if count > self.hub.config.user_properties {
            return Err(Ending::error(ReasonCode::QUOTA_EXCEEDED));
        }
        Ok(())
    }
}

/// Whether `filter` is one, and within the limit on levels.
///
/// A Shared Subscription is judged, and works, in the same way in all versions, so that a Session can change version.
fn is_filter(filter: &str, levels: usize) -> bool {
    filter.split('/').count() <= levels && validate_topic_filter(filter, Version::V5_0).is_ok()
}
