//! Alternatives and unordered groups.

use super::{
    Player, Stop,
    client::Item,
    expect::{Window, mismatch},
};
use crate::{
    link::Link,
    scenario::{Action, Step, model::Timing},
};

impl<'a, L: Link> Player<'a, L> {
    /// Waits until something lies in the queue of one of these clients; gives what came first.
    async fn first_item(&mut self, clients: &[&str], deadline: u64) -> Option<(String, Item)> {
        loop {
            let fronts = clients.iter().filter_map(|name| {
                let item = self.clients.get(*name)?.queue.front()?;
                Some(((*name).to_owned(), item.clone()))
            });
            if let Some(first) = fronts.min_by_key(|(_, item)| item.order) {
                return Some(first);
            }
            if !self.pump(deadline).await {
                return None;
            }
        }
    }

    /// The alternative that what comes next belongs to.
    pub(super) async fn choose(&mut self, alternatives: &'a [Vec<Step>]) -> Result<usize, Stop> {
        let starts: Vec<&Step> = alternatives
            .iter()
            .filter_map(|steps| steps.first())
            .collect();
        let clients: Vec<&str> = starts.iter().filter_map(|step| client_of(step)).collect();
        let window = self.latest_of(&starts)?;
        let expected = || {
            starts
                .iter()
                .map(|step| step.text.as_str())
                .collect::<Vec<_>>()
                .join("\n      or ")
        };
        loop {
            let Some((client, item)) = self.first_item(&clients, window.latest).await else {
                let words = format!("expected {}", expected());
                return Err(self
                    .nothing_came(clients.first().unwrap_or(&""), &words, window)
                    .await);
            };
            for (index, step) in starts.iter().enumerate() {
                if client_of(step) == Some(client.as_str())
                    && self.begins_with(step, &client, &item)?
                {
                    return Ok(index);
                }
            }
            if !self.tolerate(&client, &item)? {
                return Err(mismatch(&expected(), &item, &[]));
            }
        }
    }

    fn begins_with(&mut self, step: &Step, client: &str, item: &Item) -> Result<bool, Stop> {
        match &step.action {
            Action::Expect(expectation) => Ok(self.judge(step.id, expectation, item)?.is_ok()),
            Action::Closed { .. } if item.is_end() => Ok(true),
            Action::Closed { code, silently, .. } => {
                Ok(!silently && self.announces(client, code.as_ref(), item)?)
            }
            _ => Ok(false),
        }
    }

    fn latest_of(&self, steps: &[&Step]) -> Result<Window, Stop> {
        let mut window = self.window(&Timing::default())?;
        let mut latest = 0;
        for step in steps {
            let timing = match &step.action {
                Action::Expect(expectation) => &expectation.timing,
                Action::Closed { timing, .. } => timing,
                _ => continue,
            };
            latest = latest.max(self.window(timing)?.latest);
        }
        window.latest = latest;
        Ok(window)
    }

    /// All of these, in any order, and nothing else.
    pub(super) async fn unordered(&mut self, steps: &'a [Step]) -> Result<(), Stop> {
        let mut remaining: Vec<&'a Step> = steps.iter().collect();
        self.begun.extend(remaining.iter().map(|step| step.id));
        let window = self.latest_of(&remaining)?;
        while !remaining.is_empty() {
            let clients: Vec<&str> = remaining
                .iter()
                .filter_map(|step| client_of(step))
                .collect();
            let Some((client, item)) = self.first_item(&clients, window.latest).await else {
                remaining.retain(|step| self.options.blind != Some(step.id));
                let Some(step) = remaining.first() else { break };
                self.path.push(step);
                let name = client_of(step).unwrap_or_default();
                return Err(self
                    .nothing_came(name, &format!("expected {}", step.text), window)
                    .await);
            };
            match self.matching(&remaining, &client, &item)? {
                Some((index, bindings)) => {
                    let step = remaining.remove(index);
                    self.path.push(step);
                    self.consume(&client);
                    self.path.pop();
                    self.met(&client, bindings);
                }
                None if self.tolerate(&client, &item)? => {}
                None => return Err(self.unexpected(&remaining, &client, &item)),
            }
        }
        Ok(())
    }

    /// The expectation that a packet meets; a blind one only if no other does.
    fn matching(
        &self,
        remaining: &[&'a Step],
        client: &str,
        item: &Item,
    ) -> Result<Option<(usize, super::expect::Bindings)>, Stop> {
        let mut order: Vec<usize> = (0..remaining.len()).collect();
        order.sort_by_key(|index| self.options.blind == Some(remaining[*index].id));
        for index in order {
            let step = remaining[index];
            if let Action::Expect(expectation) = &step.action
                && expectation.client == client
                && let Ok(bindings) = self.judge(step.id, expectation, item)?
            {
                return Ok(Some((index, bindings)));
            }
        }
        Ok(None)
    }

    /// A packet that meets none: the blame falls on the expectation of the same packet, if there is just one.
    fn unexpected(&mut self, remaining: &[&'a Step], client: &str, item: &Item) -> Stop {
        let same_client: Vec<&&Step> = remaining
            .iter()
            .filter(|step| client_of(step) == Some(client))
            .collect();
        let packet = item.message().map(|message| message.packet.name());
        let same_packet: Vec<&&Step> = same_client
            .iter()
            .filter(|step| packet.is_some_and(|packet| step.text.contains(packet)))
            .copied()
            .collect();
        let expected = remaining
            .iter()
            .map(|step| step.text.as_str())
            .collect::<Vec<_>>()
            .join("\n     and ");
        match (&same_packet[..], &same_client[..]) {
            ([step], _) | ([], [step]) => self.path.push(step),
            _ => {}
        }
        mismatch(&expected, item, &[])
    }
}

fn client_of(step: &Step) -> Option<&str> {
    match &step.action {
        Action::Expect(expectation) => Some(&expectation.client),
        Action::Closed { client, .. } => Some(client),
        _ => None,
    }
}
