//! Records as bytes: a kind, then its fields. Numbers are LEB128, texts and blocks are preceded by their length.
//!
//! A reader believes no length: it takes from what is there, or fails.

use core::fmt;
use std::sync::Arc;

use quince_codec::property::Place;
use quince_codec::topic::{validate_topic_filter, validate_topic_name};
use quince_codec::{
    PacketId, PacketType, Properties, PropertyList, QoS, RetainHandling, SubscriptionOptions,
    Version,
};

use super::{Change, DeliveryId, Exchanged, Origin, Publication, Queued, Record, Retention};
use crate::delayed::Waiting;
use crate::identifier::{FlowId, SessionId};
use crate::message::{Budget, Message};
use crate::policy::{Identity, Principal};
use crate::session::{Subscription, Will};
use crate::time::Time;

/// Bytes that are no record of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordError;

impl fmt::Display for RecordError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("these bytes are no record")
    }
}

impl core::error::Error for RecordError {}

type Read<T> = Result<T, RecordError>;

impl Record {
    /// Appends the record to `bytes`.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        Writer(bytes).change(&self.0);
    }

    /// Takes one record from the front of `bytes`; its messages are charged to `budget`, whether or not there is room.
    pub(crate) fn decode(bytes: &mut &[u8], budget: &Arc<Budget>) -> Read<Self> {
        let mut reader = Reader { bytes, budget };
        reader.change().map(Self)
    }
}

struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn number(&mut self, number: impl Into<u64>) {
        let mut number = number.into();
        while number > 0x7f {
            self.byte((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.byte((number & 0x7f) as u8);
    }

    fn block(&mut self, block: &[u8]) {
        self.number(block.len() as u64);
        self.0.extend_from_slice(block);
    }

    fn text(&mut self, text: &str) {
        self.block(text.as_bytes());
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn flag(&mut self, flag: bool) {
        self.byte(u8::from(flag));
    }

    fn time(&mut self, time: Option<Time>) {
        self.optional(time, |writer, time| writer.number(time.as_millis()));
    }

    fn principal(&mut self, principal: &Principal) {
        self.optional(principal.name(), Self::text);
        self.optional(principal.credential(), Self::number);
    }

    fn identity(&mut self, identity: &Identity) {
        self.text(&identity.client_id);
        self.principal(&identity.principal);
    }

    fn exchanged(&mut self, exchanged: Exchanged) {
        self.number(exchanged.session.0);
        self.number(exchanged.flow.number());
        self.number(exchanged.packet_id.value());
    }

    fn delivery(&mut self, delivery: DeliveryId) {
        self.number(delivery.record);
        self.number(delivery.place);
    }

    fn origin(&mut self, origin: Origin) {
        match origin {
            Origin::Nothing => self.byte(0),
            Origin::Received(exchanged) => {
                self.byte(1);
                self.exchanged(exchanged);
            }
            Origin::Will(number) => {
                self.byte(2);
                self.number(number);
            }
            Origin::Delayed(number) => {
                self.byte(3);
                self.number(number);
            }
            Origin::Orphan(delivery) => {
                self.byte(4);
                self.delivery(delivery);
            }
            Origin::Owed(session) => self.session(5, session),
        }
    }

    fn content(&mut self, topic: &str, properties: Properties<'_>, payload: &[u8]) {
        self.text(topic);
        self.block(properties.raw());
        self.block(payload);
    }

    fn message(&mut self, message: &Message) {
        let properties = message.properties.as_properties();
        self.content(&message.topic, properties, &message.payload);
        self.byte(message.qos.into());
        self.flag(message.retain);
        self.time(message.expires);
        self.optional(message.retained_by.as_deref(), Self::identity);
    }

    fn will(&mut self, will: &Will) {
        self.content(&will.topic, will.properties.as_properties(), &will.payload);
        self.byte(will.qos.into());
        self.flag(will.retain);
        self.number(will.delay);
    }

    fn waiting(&mut self, waiting: &Waiting) {
        let properties = waiting.properties.as_properties();
        self.content(&waiting.topic, properties, &waiting.payload);
        self.byte(waiting.qos.into());
        self.flag(waiting.retain);
        self.time(waiting.expires);
        self.identity(&waiting.publisher);
        self.number(waiting.turn);
    }

    fn subscription(&mut self, subscription: Subscription) {
        let options = subscription.options;
        self.byte(options.qos.into());
        self.flag(options.no_local);
        self.flag(options.retain_as_published);
        self.byte(options.retain_handling as u8);
        self.optional(subscription.identifier, Self::number);
    }

    fn queued(&mut self, queued: &Queued) {
        self.number(queued.place);
        self.number(queued.session.0);
        self.number(queued.flow.number());
        self.byte(queued.qos.into());
        self.flag(queued.retain);
        self.number(queued.identifiers.len() as u64);
        queued
            .identifiers
            .iter()
            .for_each(|&identifier| self.number(identifier));
        self.optional(queued.shared.as_deref(), Self::text);
    }

    fn publication(&mut self, publication: &Publication) {
        self.number(publication.number);
        self.message(&publication.message);
        self.byte(publication.retention as u8);
        self.number(publication.queued.len() as u64);
        publication
            .queued
            .iter()
            .for_each(|queued| self.queued(queued));
        self.origin(publication.origin);
    }

    fn session(&mut self, kind: u8, session: SessionId) {
        self.byte(kind);
        self.number(session.0);
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::SessionBegan {
                session,
                client_id,
                principal,
                expiry,
            } => {
                self.session(1, *session);
                self.text(client_id);
                self.principal(principal);
                self.number(*expiry);
            }
            Change::SessionResumed {
                session,
                principal,
                expiry,
            } => {
                self.session(2, *session);
                self.principal(principal);
                self.number(*expiry);
            }
            Change::WillSet {
                session,
                number,
                will,
            } => {
                self.session(3, *session);
                self.number(*number);
                self.will(will);
            }
            Change::WillDue { session } => self.session(4, *session),
            Change::SessionAway {
                session,
                expiry,
                ends,
                will,
            } => {
                self.session(5, *session);
                self.number(*expiry);
                self.time(*ends);
                self.time(*will);
            }
            Change::SessionEnded { session } => self.session(6, *session),
            Change::SessionForgotten { session } => self.session(7, *session),
            Change::Subscribed {
                session,
                flow,
                filter,
                subscription,
            } => {
                self.session(8, *session);
                self.number(flow.number());
                self.text(filter);
                self.subscription(*subscription);
            }
            Change::Unsubscribed {
                session,
                flow,
                filter,
            } => {
                self.session(9, *session);
                self.number(flow.number());
                self.text(filter);
            }
            change => self.message_change(change),
        }
    }

    fn message_change(&mut self, change: &Change) {
        match change {
            Change::Published(publication) => {
                self.byte(10);
                self.publication(publication);
            }
            Change::Delayed {
                number,
                at,
                waiting,
                origin,
            } => {
                self.byte(11);
                self.number(*number);
                self.number(at.as_millis());
                self.waiting(waiting);
                self.origin(*origin);
            }
            Change::Done(origin) => {
                self.byte(12);
                self.origin(*origin);
            }
            Change::Sent {
                exchanged,
                delivery,
            } => {
                self.byte(13);
                self.exchanged(*exchanged);
                self.delivery(*delivery);
            }
            Change::Settled { session, delivery } => {
                self.session(14, *session);
                self.delivery(*delivery);
            }
            Change::Released(exchanged) => {
                self.byte(15);
                self.exchanged(*exchanged);
            }
            Change::Completed(exchanged) => {
                self.byte(16);
                self.exchanged(*exchanged);
            }
            Change::Forgotten(exchanged) => {
                self.byte(17);
                self.exchanged(*exchanged);
            }
            Change::RetainedOwed {
                session,
                flow,
                filter,
                last,
            } => {
                self.session(18, *session);
                self.number(flow.number());
                self.text(filter);
                self.optional(last.as_deref(), Self::text);
            }
            Change::RetainedRead { session } => self.session(19, *session),
            // `change` has written every other.
            _ => {}
        }
    }
}

struct Reader<'a, 'b> {
    bytes: &'a mut &'b [u8],
    budget: &'a Arc<Budget>,
}

impl<'b> Reader<'_, 'b> {
    fn take(&mut self, count: usize) -> Read<&'b [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(RecordError)?;
        *self.bytes = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Read<u8> {
        Ok(self.take(1)?[0])
    }

    fn long(&mut self) -> Read<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits << shift;
            if shifted >> shift != bits {
                return Err(RecordError);
            }
            number |= shifted;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(RecordError)
    }

    fn number<T: TryFrom<u64>>(&mut self) -> Read<T> {
        T::try_from(self.long()?).map_err(|_| RecordError)
    }

    fn block(&mut self) -> Read<&'b [u8]> {
        let length = self.number()?;
        self.take(length)
    }

    /// A text that can stand in a packet: what is read here may be sent.
    fn text(&mut self) -> Read<&'b str> {
        let text = core::str::from_utf8(self.block()?).map_err(|_| RecordError)?;
        let fits = text.len() <= usize::from(u16::MAX) && !text.contains('\0');
        fits.then_some(text).ok_or(RecordError)
    }

    fn topic(&mut self) -> Read<&'b str> {
        let topic = self.text()?;
        validate_topic_name(topic).map_err(|_| RecordError)?;
        Ok(topic)
    }

    fn filter(&mut self) -> Read<Arc<str>> {
        let filter = self.text()?;
        // What stands behind `$share/NAME/` is seen by the subscription itself.
        validate_topic_filter(filter, Version::V3_1_1).map_err(|_| RecordError)?;
        Ok(Arc::from(filter))
    }

    fn flag(&mut self) -> Read<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(RecordError),
        }
    }

    fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        if self.flag()? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    fn point(&mut self) -> Read<Time> {
        self.long().map(Time::from_millis)
    }

    fn time(&mut self) -> Read<Option<Time>> {
        self.optional(Self::point)
    }

    fn qos(&mut self) -> Read<QoS> {
        QoS::try_from(self.byte()?).map_err(|_| RecordError)
    }

    fn session(&mut self) -> Read<SessionId> {
        self.long().map(SessionId)
    }

    fn flow(&mut self) -> Read<FlowId> {
        self.long().map(FlowId::new)
    }

    fn shared_text(&mut self) -> Read<Arc<str>> {
        self.text().map(Arc::from)
    }

    fn properties(&mut self, place: Place) -> Read<PropertyList> {
        let block = self.block()?;
        let properties = Properties::parse(block, place).map_err(|_| RecordError)?;
        Ok(PropertyList::from(properties))
    }

    fn principal(&mut self) -> Read<Principal> {
        let name = self.optional(Self::text)?;
        let credential = self.optional(Self::long)?;
        let principal = name.map_or_else(Principal::anonymous, Principal::named);
        Ok(match credential {
            Some(credential) => principal.with_credential(credential),
            None => principal,
        })
    }

    fn identity(&mut self) -> Read<Identity> {
        Ok(Identity {
            client_id: self.shared_text()?,
            principal: self.principal()?,
        })
    }

    fn exchanged(&mut self) -> Read<Exchanged> {
        Ok(Exchanged {
            session: self.session()?,
            flow: self.flow()?,
            packet_id: PacketId::new(self.number()?).ok_or(RecordError)?,
        })
    }

    fn delivery(&mut self) -> Read<DeliveryId> {
        Ok(DeliveryId {
            record: self.long()?,
            place: self.number()?,
        })
    }

    fn origin(&mut self) -> Read<Origin> {
        Ok(match self.byte()? {
            0 => Origin::Nothing,
            1 => Origin::Received(self.exchanged()?),
            2 => Origin::Will(self.long()?),
            3 => Origin::Delayed(self.long()?),
            4 => Origin::Orphan(self.delivery()?),
            5 => Origin::Owed(self.session()?),
            _ => return Err(RecordError),
        })
    }

    fn message(&mut self) -> Read<Arc<Message>> {
        let topic: Arc<str> = Arc::from(self.topic()?);
        let properties = self.properties(Place::Packet(PacketType::Publish))?;
        let payload = Box::from(self.block()?);
        let (qos, retain) = (self.qos()?, self.flag()?);
        let expires = self.time()?;
        let retained_by = self.optional(Self::identity)?;
        let bytes = Message::size(
            &topic,
            properties.as_properties(),
            &payload,
            retained_by.as_ref(),
        );
        Ok(Arc::new(Message {
            topic,
            properties,
            payload,
            qos,
            retain,
            expires,
            retained_by: retained_by.map(Box::new),
            charge: self.budget.charge_anyway(bytes),
        }))
    }

    fn will(&mut self) -> Read<Arc<Will>> {
        let topic: Box<str> = Box::from(self.topic()?);
        let properties = self.properties(Place::Will)?;
        let payload: Box<[u8]> = Box::from(self.block()?);
        let bytes = Will::size(&topic, properties.as_properties(), &payload);
        Ok(Arc::new(Will {
            topic,
            properties,
            payload,
            qos: self.qos()?,
            retain: self.flag()?,
            delay: self.number()?,
            _charge: self.budget.charge_anyway(bytes),
        }))
    }

    fn waiting(&mut self) -> Read<Arc<Waiting>> {
        let topic: Box<str> = Box::from(self.topic()?);
        let properties = self.properties(Place::Packet(PacketType::Publish))?;
        let payload: Box<[u8]> = Box::from(self.block()?);
        let (qos, retain) = (self.qos()?, self.flag()?);
        let expires = self.time()?;
        let publisher = self.identity()?;
        let bytes = Waiting::size(&topic, properties.as_properties(), &payload, &publisher);
        Ok(Arc::new(Waiting {
            topic,
            properties,
            payload,
            qos,
            retain,
            expires,
            publisher,
            turn: self.long()?,
            _charge: self.budget.charge_anyway(bytes),
        }))
    }

    fn subscription(&mut self) -> Read<Subscription> {
        let options = SubscriptionOptions {
            qos: self.qos()?,
            no_local: self.flag()?,
            retain_as_published: self.flag()?,
            retain_handling: RetainHandling::try_from(self.byte()?).map_err(|_| RecordError)?,
        };
        let identifier = self.optional(Self::number)?;
        Ok(Subscription {
            options,
            identifier,
        })
    }

    fn queued(&mut self) -> Read<Queued> {
        Ok(Queued {
            place: self.number()?,
            session: self.session()?,
            flow: self.flow()?,
            qos: self.qos()?,
            retain: self.flag()?,
            identifiers: self.list(Self::number)?,
            shared: self.optional(Self::shared_text)?,
        })
    }

    /// A list whose length is not believed: every element takes at least a byte.
    fn list<T>(&mut self, read: impl Fn(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let count: usize = self.number()?;
        if count > self.bytes.len() {
            return Err(RecordError);
        }
        (0..count).map(|_| read(self)).collect()
    }

    fn publication(&mut self) -> Read<Publication> {
        Ok(Publication {
            number: self.long()?,
            message: self.message()?,
            retention: match self.byte()? {
                0 => Retention::Untouched,
                1 => Retention::Kept,
                2 => Retention::Removed,
                _ => return Err(RecordError),
            },
            queued: self.list(Self::queued)?,
            origin: self.origin()?,
        })
    }

    fn change(&mut self) -> Read<Change> {
        let kind = self.byte()?;
        if kind > 9 {
            return self.message_change(kind);
        }
        let session = self.session()?;
        Ok(match kind {
            1 => Change::SessionBegan {
                session,
                client_id: self.shared_text()?,
                principal: self.principal()?,
                expiry: self.number()?,
            },
            2 => Change::SessionResumed {
                session,
                principal: self.principal()?,
                expiry: self.number()?,
            },
            3 => Change::WillSet {
                session,
                number: self.long()?,
                will: self.will()?,
            },
            4 => Change::WillDue { session },
            5 => Change::SessionAway {
                session,
                expiry: self.number()?,
                ends: self.time()?,
                will: self.time()?,
            },
            6 => Change::SessionEnded { session },
            7 => Change::SessionForgotten { session },
            8 => Change::Subscribed {
                session,
                flow: self.flow()?,
                filter: self.filter()?,
                subscription: self.subscription()?,
            },
            9 => Change::Unsubscribed {
                session,
                flow: self.flow()?,
                filter: self.filter()?,
            },
            _ => return Err(RecordError),
        })
    }

    fn message_change(&mut self, kind: u8) -> Read<Change> {
        Ok(match kind {
            10 => Change::Published(Box::new(self.publication()?)),
            11 => Change::Delayed {
                number: self.long()?,
                at: self.point()?,
                waiting: self.waiting()?,
                origin: self.origin()?,
            },
            12 => Change::Done(self.origin()?),
            13 => Change::Sent {
                exchanged: self.exchanged()?,
                delivery: self.delivery()?,
            },
            14 => Change::Settled {
                session: self.session()?,
                delivery: self.delivery()?,
            },
            15 => Change::Released(self.exchanged()?),
            16 => Change::Completed(self.exchanged()?),
            17 => Change::Forgotten(self.exchanged()?),
            18 => Change::RetainedOwed {
                session: self.session()?,
                flow: self.flow()?,
                filter: self.filter()?,
                last: self.optional(Self::shared_text)?,
            },
            19 => Change::RetainedRead {
                session: self.session()?,
            },
            _ => return Err(RecordError),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Read<Record> {
        Record::decode(&mut &*bytes, &Budget::new(1000))
    }

    /// A record with this text in it, and the same with others.
    fn with_text(text: &str, change: impl Fn(Arc<str>) -> Change) {
        let encoded = |text: &str| {
            let mut bytes = Vec::new();
            Record(change(Arc::from(text))).encode(&mut bytes);
            bytes
        };
        assert!(decode(&encoded(text)).is_ok(), "{text}");
        for wrong in ["a\0b", &"x".repeat(65_536)] {
            assert_eq!(decode(&encoded(wrong)).map(drop), Err(RecordError));
        }
    }

    #[test]
    fn texts_that_could_not_be_sent_are_no_record() {
        let session = SessionId(1);
        with_text("a/+/#", |filter| Change::Unsubscribed {
            session,
            flow: FlowId::CONTROL,
            filter,
        });
        with_text("a/b", |last| Change::RetainedOwed {
            session,
            flow: FlowId::CONTROL,
            filter: Arc::from("#"),
            last: Some(last),
        });
        let budget = Budget::new(1000);
        let will = |topic: Arc<str>| Change::WillSet {
            session,
            number: 1,
            will: Arc::new(Will {
                topic: Box::from(&*topic),
                properties: PropertyList::new(),
                payload: Box::default(),
                qos: QoS::AtMostOnce,
                retain: false,
                delay: 0,
                _charge: budget.charge_anyway(1),
            }),
        };
        with_text("a/b", will);
        for no_topic in ["", "a/+", "#"] {
            let mut bytes = Vec::new();
            Record(will(Arc::from(no_topic))).encode(&mut bytes);
            assert_eq!(decode(&bytes).map(drop), Err(RecordError), "{no_topic}");
        }
    }
}
