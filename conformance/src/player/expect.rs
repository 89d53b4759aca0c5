//! Expectations: the next packet of a client, and the end of its connection.

use super::{
    FailureKind, Player, Stop,
    client::{Arrived, End, Item},
    message::{Mismatch, UnnamedCode},
    seconds,
    steps::shown,
};
use crate::{
    link::Link,
    scenario::{
        Expectation, StepId,
        expression::{Expression, Value},
        field::{Kind, PacketName},
        model::{Expected, StreamEnd, Timing},
        pattern::{Errors, Pattern},
    },
};

/// When something must come, on the link's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) start: u64,
    pub(super) earliest: u64,
    pub(super) latest: u64,
}

pub(super) type Bindings = Vec<(String, Value)>;

impl<L: Link> Player<'_, L> {
    /// The times of an expectation that begins now.
    pub(super) fn window(&self, timing: &Timing) -> Result<Window, Stop> {
        let variables = self.variables();
        let start = match &timing.since {
            Some(name) => *self
                .ended
                .get(name)
                .ok_or_else(|| format!("the step ({name}) has not ended yet"))?,
            None => self.link.now(),
        };
        let time = |expression: &Option<Expression>| {
            expression
                .as_ref()
                .map(|expression| expression.milliseconds(&variables))
                .transpose()
        };
        let earliest = time(&timing.not_before)?.map_or(0, |time| start + time);
        let latest = match time(&timing.within)? {
            Some(within) => start + within,
            None => self.deadline(self.link.now().max(earliest)),
        };
        Ok(Window {
            start,
            earliest,
            latest,
        })
    }

    /// Waits until something lies in the queue of a client. False when the deadline came first or nothing can come.
    pub(super) async fn wait_for_item(&mut self, client: &str, deadline: u64) -> bool {
        loop {
            let state = self.client(client);
            if !state.queue.is_empty() {
                return true;
            }
            if state.link.is_none() || state.ended || !self.pump(deadline).await {
                return !self.client(client).queue.is_empty();
            }
        }
    }

    /// The next packet of a client must be the expected one.
    pub(super) async fn expect(
        &mut self,
        id: StepId,
        expectation: &Expectation,
    ) -> Result<(), Stop> {
        let client = expectation.client.as_str();
        let window = self.window(&expectation.timing)?;
        loop {
            if !self.wait_for_item(client, window.latest).await {
                if self.options.blind == Some(id) {
                    return Ok(());
                }
                let expected = self.describe_expected(&expectation.what);
                return Err(self
                    .nothing_came(client, &format!("expected {expected}"), window)
                    .await);
            }
            let Some(item) = self.client(client).queue.front().cloned() else {
                continue;
            };
            match self.judge(id, expectation, &item)? {
                Ok(bindings) => {
                    if !item.is_end() {
                        self.consume(client);
                    }
                    if self.options.blind != Some(id) {
                        Self::check_time(&item, window)?;
                    }
                    self.met(client, bindings);
                    return Ok(());
                }
                Err(differences) => {
                    if !self.tolerate(client, &item)? {
                        let expected = self.describe_expected(&expectation.what);
                        return Err(mismatch(&expected, &item, &differences));
                    }
                }
            }
        }
    }

    /// Compares what came with what is expected: the bindings, or the differences. A blind expectation accepts anything.
    pub(super) fn judge(
        &self,
        id: StepId,
        expectation: &Expectation,
        item: &Item,
    ) -> Result<Result<Bindings, Vec<String>>, Stop> {
        let judged = self.compare(expectation, item)?;
        if self.options.blind == Some(id) {
            return Ok(Ok(
                judged.unwrap_or_else(|_| self.blind_bindings(&expectation.what, item))
            ));
        }
        Ok(judged)
    }

    fn compare(
        &self,
        expectation: &Expectation,
        item: &Item,
    ) -> Result<Result<Bindings, Vec<String>>, Stop> {
        if let (Arrived::Packet(bytes, _), Some(at_most)) = (&item.what, &expectation.at_most) {
            let at_most = at_most.number(&self.variables())?;
            let size = bytes.len() as u64;
            if size > at_most {
                let difference =
                    format!("the packet has {size} bytes, at most {at_most} are allowed");
                return Ok(Err(vec![difference]));
            }
        }
        match (&item.what, &expectation.what) {
            (Arrived::Packet(bytes, _), Expected::Raw(parts)) => {
                let wanted = parts.bytes(&self.variables())?;
                if *bytes == wanted {
                    return Ok(Ok(Vec::new()));
                }
                Ok(Err(vec![format!(
                    "the bytes are {}, expected {}",
                    shown(bytes),
                    shown(&wanted)
                )]))
            }
            (Arrived::Packet(_, Ok(message)), Expected::Packet(template)) => {
                match message.compare(
                    template,
                    self.version,
                    &self.variables(),
                    UnnamedCode::MustBeSuccess,
                ) {
                    Ok(bindings) => Ok(Ok(bindings)),
                    Err(Mismatch::Differs(differences)) => Ok(Err(differences)),
                    Err(Mismatch::Scenario(words)) => Err(Stop::Error(words)),
                }
            }
            _ => Ok(Err(Vec::new())),
        }
    }

    /// What a blind expectation can still bind of a packet that it would not have accepted.
    fn blind_bindings(&self, expected: &Expected, item: &Item) -> Bindings {
        use crate::scenario::{expression::Literal, model::Content};
        let (Expected::Packet(template), Some(message)) = (expected, item.message()) else {
            return Vec::new();
        };
        let bound = template
            .parts_in(self.version)
            .filter_map(|content| match content {
                Content::Field(field, expressions) => {
                    let [
                        Expression {
                            annotation: Some(kind),
                            literal: Literal::Text(name),
                            ..
                        },
                    ] = &expressions[..]
                    else {
                        return None;
                    };
                    let value = message.value(field.name)?;
                    (kind == "as").then(|| (name.clone(), value.clone()))
                }
                _ => None,
            });
        bound.collect()
    }

    /// Takes the front of a queue.
    pub(super) fn consume(&mut self, client: &str) {
        let state = self.client(client);
        let Some(item) = state.queue.pop_front() else {
            return;
        };
        let is_connack = item
            .message()
            .is_some_and(|message| message.packet == PacketName::ConnAck);
        state.connack |= is_connack;
        self.trace(client, item.trace());
    }

    /// An expectation of a client was met: bindings hold, what was optional is over.
    pub(super) fn met(&mut self, client: &str, bindings: Bindings) {
        for (name, value) in bindings {
            self.bind(&name, value);
        }
        self.client(client).optional.clear();
    }

    fn check_time(item: &Item, window: Window) -> Result<(), Stop> {
        let after = item.time.saturating_sub(window.start);
        if item.time < window.earliest {
            let bound = window.earliest - window.start;
            let words = format!(
                "{} came after {}, not before {} was allowed",
                item.describe(),
                seconds(after),
                seconds(bound)
            );
            return Err(Stop::mismatch(words));
        }
        if item.time > window.latest {
            let bound = window.latest.saturating_sub(window.start);
            let words = format!(
                "{} came after {}, within {} was allowed",
                item.describe(),
                seconds(after),
                seconds(bound)
            );
            return Err(Stop::mismatch(words));
        }
        Ok(())
    }

    /// Takes the front of a queue if `optional` or `ignore` allows it.
    pub(super) fn tolerate(&mut self, client: &str, item: &Item) -> Result<bool, Stop> {
        let optional = self.client(client).optional.clone();
        for (index, expectation) in optional.iter().enumerate() {
            if self.compare(expectation, item)?.is_ok() {
                self.client(client).optional.remove(index);
                self.client(client).queue.pop_front();
                return Ok(true);
            }
        }
        let ignored = self.client(client).ignored.clone();
        for expectation in &ignored {
            if self.compare(expectation, item)?.is_ok() {
                self.client(client).queue.pop_front();
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is expected, in words.
    pub(super) fn describe_expected(&self, expected: &Expected) -> String {
        match (self.path.last(), expected) {
            (Some(step), Expected::Packet(template)) => {
                let name = template.packet.map_or("a packet", PacketName::name);
                // The step as written, from the packet on, is the best description of its patterns.
                step.text
                    .find(name)
                    .map_or_else(|| name.to_owned(), |at| step.text[at..].to_owned())
            }
            (_, Expected::Raw(parts)) => match parts.bytes(&self.variables()) {
                Ok(bytes) => format!("the bytes {}", shown(&bytes)),
                Err(_) => "certain bytes".to_owned(),
            },
            (None, Expected::Packet(_)) => "a packet".to_owned(),
        }
    }

    /// The server closes the connection, perhaps after an announcement.
    pub(super) async fn closed(
        &mut self,
        client: &str,
        code: Option<&Expression>,
        silently: bool,
        timing: &Timing,
    ) -> Result<(), Stop> {
        let window = self.window(timing)?;
        let mut announced = false;
        loop {
            let expected = "expected the server to close the connection";
            let item = self.next_before_an_end(client, expected, window).await?;
            if item.is_end() {
                return self.take_end(client, &item, window).await;
            }
            if !announced && !silently && self.announces(client, code, &item)? {
                announced = true;
                self.consume(client);
            } else if !self.tolerate(client, &item)? {
                return Err(mismatch("the end of the connection", &item, &[]));
            }
        }
    }

    /// What comes next to a client that waits for an end, perhaps that one. It stays in the queue.
    async fn next_before_an_end(
        &mut self,
        client: &str,
        expected: &str,
        window: Window,
    ) -> Result<Item, Stop> {
        if !self.wait_for_item(client, window.latest).await {
            self.open_link(client)?;
            return Err(self.nothing_came(client, expected, window).await);
        }
        let next = self.client(client).queue.front().cloned();
        next.ok_or_else(|| Stop::Error("an item vanished".to_owned()))
    }

    /// Takes the end that was waited for; nothing is left of the connection, or of the stream.
    async fn take_end(&mut self, client: &str, item: &Item, window: Window) -> Result<(), Stop> {
        self.consume(client);
        Self::check_time(item, window)?;
        self.met(client, Vec::new());
        self.abandon(client).await;
        Ok(())
    }

    /// The server ends a data stream in that way; nothing comes before.
    pub(super) async fn stream_ended(
        &mut self,
        client: &str,
        expected: &StreamEnd,
        timing: &Timing,
    ) -> Result<(), Stop> {
        let words = match expected {
            StreamEnd::Finished => "the end of the stream",
            StreamEnd::Aborted(_) => "a reset of the stream",
        };
        let window = self.window(timing)?;
        loop {
            let expected_words = format!("expected {words}");
            let item = self
                .next_before_an_end(client, &expected_words, window)
                .await?;
            let ends_so = match (expected, item.end()) {
                (StreamEnd::Finished, Some(End::Finished)) => true,
                (StreamEnd::Aborted(None), Some(End::Reset(_))) => true,
                (StreamEnd::Aborted(Some(code)), Some(End::Reset(found))) => {
                    let kind = Kind::Number(u64::MAX);
                    let pattern = Pattern::read(code, kind, Errors::AllButZero, &self.variables())?;
                    pattern.matches(Some(&Value::Number(*found)))
                }
                _ => false,
            };
            if ends_so {
                return self.take_end(client, &item, window).await;
            }
            if item.is_end() || !self.tolerate(client, &item)? {
                return Err(mismatch(words, &item, &[]));
            }
        }
    }

    /// Whether a packet may come right before a close.
    pub(super) fn announces(
        &mut self,
        client: &str,
        code: Option<&Expression>,
        item: &Item,
    ) -> Result<bool, Stop> {
        let errors = if self.is_five() {
            Errors::FromEighty
        } else {
            Errors::AllButZero
        };
        let pattern = match code {
            Some(code) => Pattern::read(code, Kind::Number(0xff), errors, &self.variables())?,
            None => errors.error(),
        };
        let is_five = self.is_five();
        let before_connack = !self.client(client).connack;
        let announces = item.message().is_some_and(|message| match message.packet {
            PacketName::Disconnect => is_five && pattern.matches(message.value("code")),
            PacketName::ConnAck => before_connack && pattern.matches(message.value("code")),
            _ => false,
        });
        Ok(announces)
    }

    /// The failure of a step for which nothing came: asks the broker whether it is still there.
    pub(super) async fn nothing_came(
        &mut self,
        client: &str,
        expected: &str,
        window: Window,
    ) -> Stop {
        let waited = seconds(window.latest.saturating_sub(window.start));
        let state = self.client(client);
        if state.link.is_none() || state.ended {
            return Stop::Fail(
                FailureKind::Mismatch,
                format!("{expected}, but the connection of {client} has ended"),
            );
        }
        if !state.connack || !state.rest.is_empty() {
            return Stop::Fail(
                FailureKind::Silence,
                format!("{expected}, but nothing came within {waited}"),
            );
        }
        let answered = self.answers_ping(client).await;
        let (kind, words) = if answered {
            (
                FailureKind::Barrier,
                "although the broker answers a PINGREQ",
            )
        } else {
            (
                FailureKind::Silence,
                "and the broker does not answer a PINGREQ either",
            )
        };
        Stop::Fail(
            kind,
            format!("{expected}, but nothing came to {client} within {waited}, {words}"),
        )
    }
}

/// Expected and actual, side by side.
pub(super) fn mismatch(expected: &str, item: &Item, differences: &[String]) -> Stop {
    let mut words = format!("expected {expected}\n     got {}", item.describe());
    for difference in differences {
        words.push_str("\n         ");
        words.push_str(difference);
    }
    Stop::mismatch(words)
}
