//! Which stream of a QUIC connection carries which message.

use std::collections::BTreeMap;

use quince_codec::{Packet, Publish};
use tokio::time::timeout;

use crate::client::{Client, ClientError};
use crate::transport::Flow;

/// How a client spreads what it publishes over the streams of its connection. Anything but [`StreamStrategy::Single`] needs QUIC,
/// and a broker that serves data streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamStrategy {
    /// Everything on the control stream, as on TCP.
    #[default]
    Single,
    /// A stream for each topic, for as long as the broker gives credit for one more; then topics share streams.
    PerTopic,
    /// A stream for each message, which ends with it. While the broker gives no credit for one more, sending waits.
    PerMessage,
}

/// What was decided so far.
#[derive(Debug, Default)]
pub(crate) struct Assigned {
    by_topic: BTreeMap<String, Flow>,
}

impl Client {
    /// Sends a PUBLISH on the stream that `strategy` has for it, and tells which. Its answers come on the same one, for
    /// [`Client::receive_from`].
    ///
    /// Packet Identifiers are those of a stream: one that is free on another may be in flight here.
    ///
    /// # Errors
    /// When the packet cannot be encoded, or the stream or the connection has ended, or the transport has one stream only and the
    /// strategy needs more.
    pub async fn publish(
        &mut self,
        strategy: StreamStrategy,
        publish: &Publish<'_>,
    ) -> Result<Flow, ClientError> {
        let flow = match strategy {
            StreamStrategy::Single => Flow::CONTROL,
            StreamStrategy::PerTopic => self.flow_of(publish.topic).await?,
            StreamStrategy::PerMessage => self.open_flow().await?,
        };
        self.send_on(flow, &Packet::Publish(*publish)).await?;
        if strategy == StreamStrategy::PerMessage {
            self.finish(flow).await?;
        }
        Ok(flow)
    }

    async fn flow_of(&mut self, topic: &str) -> Result<Flow, ClientError> {
        if let Some(flow) = self.assigned.by_topic.get(topic) {
            return Ok(*flow);
        }
        // Asked once: where there is no credit at this moment, the stream that carries the fewest topics takes one more.
        let opened = timeout(std::time::Duration::ZERO, self.open_flow()).await;
        let flow = match opened {
            Ok(opened) => opened?,
            Err(_) => self.assigned.least_used(),
        };
        self.assigned.by_topic.insert(topic.to_owned(), flow);
        Ok(flow)
    }
}

impl Assigned {
    fn least_used(&self) -> Flow {
        let mut topics: BTreeMap<Flow, usize> = BTreeMap::new();
        for flow in self.by_topic.values() {
            *topics.entry(*flow).or_default() += 1;
        }
        let least = topics.into_iter().min_by_key(|(_, topics)| *topics);
        least.map_or(Flow::CONTROL, |(flow, _)| flow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_without_a_stream_of_their_own_share_evenly() {
        let mut assigned = Assigned::default();
        assert_eq!(assigned.least_used(), Flow::CONTROL);
        for (topic, flow) in [("a", 1), ("b", 2)] {
            assigned.by_topic.insert(topic.to_owned(), Flow(flow));
        }
        for (topic, expected) in [("c", 1), ("d", 2), ("e", 1)] {
            let flow = assigned.least_used();
            assert_eq!(flow, Flow(expected));
            assigned.by_topic.insert(topic.to_owned(), flow);
        }
    }
}
