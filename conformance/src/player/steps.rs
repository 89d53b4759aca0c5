//! Runs steps in order. Blocks are unrolled onto a stack, so that nothing here is recursive.

use quince_codec::Version;

use super::{Player, Stop, message::Message};
use crate::{
    link::Link,
    scenario::{
        Action, PacketTemplate, Step,
        expression::{Expression, Literal, Value, hex},
        field::PacketName,
        malformed::variable_byte_integer,
        model::{Carried, Sent},
    },
    verdict::Direction,
};

/// The most rounds of one `repeat`.
const MOST_ROUNDS: u64 = 100_000;

/// What is still to be done.
enum Work<'a> {
    Step(&'a Step),
    /// Sets the counter of a `repeat`.
    Count(&'a str, u64),
    /// The block is done.
    Leave,
}

impl<'a, L: Link> Player<'a, L> {
    /// Does steps in order. When one fails, the path to it stays for the report.
    pub(super) async fn run(&mut self, steps: &'a [Step]) -> Result<(), Stop> {
        let mut stack: Vec<Work<'a>> = steps.iter().rev().map(Work::Step).collect();
        while let Some(work) = stack.pop() {
            match work {
                Work::Count(name, value) => self.bind(name, Value::Number(value)),
                Work::Leave => self.leave(),
                Work::Step(step) => {
                    self.path.push(step);
                    self.begun.insert(step.id);
                    stack.push(Work::Leave);
                    match &step.action {
                        Action::Either(alternatives) => {
                            let chosen = self.choose(alternatives).await?;
                            stack.extend(alternatives[chosen].iter().rev().map(Work::Step));
                        }
                        Action::Only(versions, inner) if versions.contains(&self.version) => {
                            stack.extend(inner.iter().rev().map(Work::Step));
                        }
                        Action::Only(..) => {}
                        Action::Repeat {
                            count,
                            from,
                            variable,
                            steps,
                        } => {
                            let variables = self.variables();
                            let (count, from) =
                                (count.number(&variables)?, from.number(&variables)?);
                            if count > MOST_ROUNDS {
                                return Err(Stop::Error(format!("more than {MOST_ROUNDS} rounds")));
                            }
                            for round in (0..count).rev() {
                                stack.extend(steps.iter().rev().map(Work::Step));
                                stack.extend(
                                    variable.iter().map(|name| Work::Count(name, from + round)),
                                );
                            }
                        }
                        action => self.act(step, action).await?,
                    }
                }
            }
        }
        Ok(())
    }

    fn leave(&mut self) {
        if let Some(name) = self.path.pop().and_then(|step| step.name.clone()) {
            self.ended.insert(name, self.link.now());
        }
    }

    async fn act(&mut self, step: &'a Step, action: &'a Action) -> Result<(), Stop> {
        match action {
            Action::Connect {
                client,
                connect,
                expect,
                again,
            } => {
                if *again {
                    self.abandon(client).await;
                }
                self.connect(client, connect, expect, *again).await
            }
            Action::Open { client } => self.open_step(client, step).await,
            Action::Stream { client, of } => self.open_stream(client, of).await,
            Action::Ended { client, .. } if self.is_blind() => {
                self.abandon(client).await;
                Ok(())
            }
            Action::Ended {
                client,
                end,
                timing,
            } => self.stream_ended(client, end, timing).await,
            Action::Send {
                client,
                what,
                first,
                chunks,
                carried,
            } => {
                let bytes = self.ready_to_send(client, what).await?;
                match carried {
                    Carried::Plain => {
                        self.send_pieces(client, bytes, first.as_ref(), chunks.as_ref())
                            .await
                    }
                    Carried::Text => self.send_text(client, &bytes).await,
                }
            }
            Action::Rest { client, first } => self.send_rest(client, first.as_ref()).await,
            Action::Expect(expectation) => self.expect(step.id, expectation).await,
            Action::Subscribe { client, subscribe } => self.subscribe(client, subscribe).await,
            Action::Publish { client, publish } => self.publish(client, publish).await,
            Action::Quiet { client, sentinel } => match sentinel {
                _ if self.is_blind() => Ok(()),
                None => self.quiet(client).await,
                Some(sentinel) => self.quiet_by(client, sentinel).await,
            },
            Action::Alive { .. } if self.is_blind() => Ok(()),
            Action::Alive { client } => self.alive(client).await,
            Action::Closed { client, .. } if self.is_blind() => {
                self.abandon(client).await;
                Ok(())
            }
            Action::Closed {
                client,
                code,
                silently,
                timing,
            } => self.closed(client, code.as_ref(), *silently, timing).await,
            Action::Disconnect { client, disconnect } => self.disconnect(client, disconnect).await,
            Action::Drop { .. } | Action::Finish { .. } | Action::Reset { .. } => {
                self.end_own_side(action).await
            }
            Action::Wait(time) => {
                let until = self.link.now() + time.milliseconds(&self.variables())?;
                while self.link.now() < until {
                    self.pump(until).await;
                }
                Ok(())
            }
            Action::Unordered(steps) => self.unordered(steps).await,
            Action::Optional(expectation) => {
                self.client(&expectation.client)
                    .optional
                    .push(expectation.clone());
                Ok(())
            }
            Action::Ignore(expectation) => {
                self.client(&expectation.client)
                    .ignored
                    .push(expectation.clone());
                Ok(())
            }
            Action::Either(_) | Action::Repeat { .. } | Action::Only(..) => Ok(()),
        }
    }

    /// A client ends its connection, or its side of it.
    async fn end_own_side(&mut self, action: &Action) -> Result<(), Stop> {
        match action {
            Action::Drop { client } => {
                self.open_link(client)?;
                self.note(client, Direction::Sent, "closes the connection at once");
                self.abandon(client).await;
                Ok(())
            }
            Action::Finish { client } => {
                let id = self.open_link(client)?;
                self.note(client, Direction::Sent, "ends its sending side");
                self.link.finish(id).await;
                Ok(())
            }
            Action::Reset { client, code } => {
                let id = self.open_link(client)?;
                let code = code.number(&self.variables())?;
                let code =
                    u32::try_from(code).map_err(|_| format!("{code} is no code of a reset"))?;
                self.note(
                    client,
                    Direction::Sent,
                    &format!("resets its sending side, code {code}"),
                );
                self.link.reset(id, code).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn open_step(&mut self, client: &str, step: &Step) -> Result<(), Stop> {
        match self.open(client).await {
            // Named, it is not the scene but the subject.
            Err(Stop::Inconclusive(words)) if step.name.is_some() => Err(Stop::mismatch(words)),
            opened => opened.map(drop),
        }
    }

    fn bytes_to_send(&mut self, client: &str, what: &Sent) -> Result<Vec<u8>, Stop> {
        let variables = self.variables();
        Ok(match what {
            Sent::Raw(parts) => parts.bytes(&variables)?,
            Sent::Framed(first_byte, parts) => {
                let first_byte = first_byte.number(&variables)?;
                let first_byte =
                    u8::try_from(first_byte).map_err(|_| format!("{first_byte} is no byte"))?;
                let body = parts.bytes(&variables)?;
                [
                    vec![first_byte],
                    variable_byte_integer(body.len() as u64),
                    body,
                ]
                .concat()
            }
            Sent::Packet(template, edit) => {
                let message = self.packet_to_send(client, template)?;
                let bytes = message.encode(self.version)?;
                match edit {
                    Some(edit) => edit.apply(&bytes, &variables)?,
                    None => bytes,
                }
            }
        })
    }

    /// The bytes of what is to be sent. Opens a connection where there is none, and refuses to send into the middle of a packet.
    async fn ready_to_send(&mut self, client: &str, what: &Sent) -> Result<Vec<u8>, Stop> {
        let bytes = self.bytes_to_send(client, what)?;
        if self.client(client).link.is_none() {
            self.open(client).await?;
        }
        if !self.client(client).rest.is_empty() {
            return Err(Stop::Error(format!(
                "{client} still has to send the rest of a packet"
            )));
        }
        Ok(bytes)
    }

    async fn send_text(&mut self, client: &str, bytes: &[u8]) -> Result<(), Stop> {
        let id = self.open_link(client)?;
        let shown = hex(bytes);
        self.trace(client, format!("-> text message {shown}"));
        self.note(
            client,
            Direction::Sent,
            &format!("a text message of {} bytes: {shown}", bytes.len()),
        );
        if let Err(error) = self.link.write_text(id, bytes).await {
            return Err(Stop::Error(format!(
                "{client} could not send a text message: {error}"
            )));
        }
        Ok(())
    }

    async fn send_pieces(
        &mut self,
        client: &str,
        bytes: Vec<u8>,
        first: Option<&Expression>,
        chunks: Option<&Expression>,
    ) -> Result<(), Stop> {
        let variables = self.variables();
        let chunk = chunks.map(|size| size.number(&variables)).transpose()?;
        let first = first.map(|count| count.number(&variables)).transpose()?;
        let now = usize::try_from(first.unwrap_or(u64::MAX))
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        // The trail keeps the packet whole, so that a prefix in it can be recognised.
        self.trace(client, format!("-> {} bytes of {}", now, hex(&bytes)));
        self.client(client).rest = bytes[now..].to_vec();
        let size = usize::try_from(chunk.unwrap_or(u64::MAX))
            .unwrap_or(usize::MAX)
            .max(1);
        for piece in bytes[..now].chunks(size) {
            self.write_piece(client, piece).await?;
        }
        Ok(())
    }

    async fn send_rest(&mut self, client: &str, first: Option<&Expression>) -> Result<(), Stop> {
        let first = first
            .map(|count| count.number(&self.variables()))
            .transpose()?;
        let mut rest = std::mem::take(&mut self.client(client).rest);
        if rest.is_empty() {
            return Err(Stop::Error(format!("{client} has nothing left to send")));
        }
        let now = usize::try_from(first.unwrap_or(u64::MAX))
            .unwrap_or(usize::MAX)
            .min(rest.len());
        let later = rest.split_off(now);
        self.client(client).rest = later;
        self.trace(client, format!("-> {} bytes more", rest.len()));
        self.write_piece(client, &rest).await
    }

    /// The packet that a template means, with the defaults of CONNECT.
    pub(super) fn packet_to_send(
        &mut self,
        client: &str,
        template: &PacketTemplate,
    ) -> Result<Message, Stop> {
        let variables = self.variables();
        if template.packet != Some(PacketName::Connect) {
            return Ok(Message::build(template, self.version, &variables)?);
        }
        let mut message = Message::bare(PacketName::Connect);
        let default_id =
            Expression::plain(Literal::Text(format!("${{c}}{client}"))).text(&variables)?;
        message.put("client-id", Value::Text(default_id));
        message.put("clean-start", Value::Flag(true));
        message.put("keep-alive", Value::Number(60));
        message.apply(template, self.version, &variables)?;
        if let Some((name, password)) = &self.options.credentials
            && message.value("user-name").is_none()
            && message.value("password").is_none()
        {
            message.put("user-name", Value::Text(name.clone()));
            message.put("password", Value::Bytes(password.clone()));
        }
        if let Some(Value::Text(id)) = message.value("client-id") {
            let id = id.clone();
            self.client(client).client_id = Some(id);
        }
        Ok(message)
    }

    /// The packet types that a version has differ only by AUTH; what the scenario sends in 3.1.1 is checked by the parser.
    pub(super) const fn is_five(&self) -> bool {
        matches!(self.version, Version::V5_0)
    }
}

/// Bytes for a message.
pub(super) fn shown(bytes: &[u8]) -> String {
    hex(bytes)
}
