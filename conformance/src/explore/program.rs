//! What clients do in one exploration: a list of actions, any part of which is a program too.
//!
//! An action that makes no sense when its turn comes (a publish without a connection) does nothing, so that
//! shrinking is leaving out.

use quince_codec::{QoS, RetainHandling, SubscriptionOptions, Version};

use super::random::Random;
use crate::player::Capabilities;

/// Topics, below the prefix of a run.
pub(crate) const TOPICS: [&str; 4] = ["a", "a/b", "a/c", "c"];
/// Topic Filters, below the prefix of a run.
pub(crate) const FILTERS: [&str; 6] = ["a", "a/b", "a/#", "+/b", "#", "a/+"];
const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
/// How many actions a program has at most.
const LONGEST: usize = 36;

/// A whole program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// What it was made from.
    pub seed: u64,
    /// The version that each client speaks.
    pub clients: Vec<Version>,
    /// What they do, in this order.
    pub actions: Vec<Action>,
}

/// What a Will Message is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WillPlan {
    /// Its topic, below the prefix.
    pub topic: String,
    /// Its QoS.
    pub qos: QoS,
    /// Whether it is to be retained.
    pub retain: bool,
    /// Will Delay Interval in seconds.
    pub delay: u32,
}

/// What a message is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishPlan {
    /// The topic, below the prefix.
    pub topic: String,
    /// The QoS.
    pub qos: QoS,
    /// RETAIN.
    pub retain: bool,
    /// Without a payload: removes what is retained.
    pub empty: bool,
    /// Message Expiry Interval in seconds, in version 5.0.
    pub expiry: Option<u32>,
}

/// What is subscribed to, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribePlan {
    /// The filter, below the prefix.
    pub filter: String,
    /// A member of a shared subscription.
    pub shared: bool,
    /// The options; version 3.1.1 has the QoS only.
    pub options: SubscriptionOptions,
    /// Subscription Identifier, in version 5.0.
    pub identifier: Option<u32>,
}

/// One action of one client, by its place in [`Program::clients`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Opens a connection, also where there is one: then it takes over.
    Connect {
        /// Who.
        client: usize,
        /// Clean Start.
        clean: bool,
        /// Session Expiry Interval in seconds, in version 5.0.
        expiry: u32,
        /// Receive Maximum, in version 5.0.
        receive_maximum: Option<u16>,
        /// The Will Message.
        will: Option<WillPlan>,
    },
    /// Publishes a message of its own.
    Publish {
        /// Who.
        client: usize,
        /// What.
        plan: PublishPlan,
    },
    /// Subscribes to one filter.
    Subscribe {
        /// Who.
        client: usize,
        /// To what.
        plan: SubscribePlan,
    },
    /// Ends a subscription.
    Unsubscribe {
        /// Who.
        client: usize,
        /// The filter, below the prefix.
        filter: String,
        /// A member of a shared subscription.
        shared: bool,
    },
    /// From now on answers wait.
    Hold {
        /// Who.
        client: usize,
    },
    /// Sends all answers that wait, and from now on at once.
    Answer {
        /// Who.
        client: usize,
    },
    /// DISCONNECT.
    Goodbye {
        /// Who.
        client: usize,
        /// With Reason Code 0x04, in version 5.0.
        with_will: bool,
    },
    /// Breaks the connection, perhaps in the middle of a PUBLISH.
    Cut {
        /// Who.
        client: usize,
        /// So many bytes of a last PUBLISH get through.
        after: Option<usize>,
    },
    /// Time passes.
    Wait {
        /// Milliseconds.
        millis: u64,
    },
    /// Everybody hears of everything.
    Settle,
}

impl Program {
    /// The program of a seed, in some of these versions.
    ///
    /// # Panics
    /// If there is no version.
    #[must_use]
    pub fn generate(seed: u64, versions: &[Version], capabilities: Capabilities) -> Self {
        let mut random = Random::new(seed);
        let count = random.pick(&[2, 3, 3, 4]);
        let clients: Vec<_> = (0..count).map(|_| random.pick(versions)).collect();
        let mut generator = Generator {
            expiries: clients
                .iter()
                .map(|_| random.pick(&[0, 2, 300, 300, 300]))
                .collect(),
            random,
            capabilities,
        };
        let mut actions: Vec<Action> = (0..count).map(|one| generator.connect(one)).collect();
        for _ in 0..generator.random.below(3) + 1 {
            let client = generator.random.below(count);
            let plan = generator.subscribe();
            actions.push(Action::Subscribe { client, plan });
        }
        actions.push(Action::Settle);
        let length = 6 + generator.random.below(LONGEST - 6);
        while actions.len() < length {
            let client = generator.random.below(count);
            actions.push(generator.action(client));
            if generator.random.chance(25) {
                actions.push(Action::Settle);
            }
        }
        Self {
            seed,
            clients,
            actions,
        }
    }
}

impl Program {
    /// The versions that its clients speak, oldest first.
    #[must_use]
    pub fn versions(&self) -> Vec<Version> {
        let speaks = |version: &Version| self.clients.contains(version);
        Version::ALL.into_iter().filter(speaks).collect()
    }

    /// The same without `count` actions from `at` on.
    #[must_use]
    pub fn without(&self, at: usize, count: usize) -> Self {
        let mut shorter = self.clone();
        let end = (at + count).min(shorter.actions.len());
        shorter.actions.drain(at..end);
        shorter
    }

    /// The same without clients that do nothing; the others are numbered anew.
    #[must_use]
    pub fn without_idle_clients(&self) -> Self {
        let mut fewer = self.clone();
        for client in (0..self.clients.len()).rev() {
            let acts = |action: &Action| action.client() == Some(client);
            if fewer.actions.iter().any(acts) || fewer.clients.len() == 1 {
                continue;
            }
            fewer.clients.remove(client);
            for action in &mut fewer.actions {
                if let Some(number) = action.client_mut().filter(|number| **number > client) {
                    *number -= 1;
                }
            }
        }
        fewer
    }

    /// Plainer actions that could stand in the place of one of this program, by that place.
    #[must_use]
    pub fn plainer(&self) -> Vec<(usize, Action)> {
        let actions = self.actions.iter().enumerate();
        actions
            .flat_map(|(place, action)| {
                let all = action.plainer().into_iter();
                all.map(move |plainer| (place, plainer))
            })
            .collect()
    }

    /// The same with other actions in some places.
    #[must_use]
    pub fn with(&self, replaced: &[(usize, Action)]) -> Self {
        let mut other = self.clone();
        for (place, action) in replaced {
            other.actions[*place] = action.clone();
        }
        other
    }
}

impl Action {
    /// Whose action it is; `None` if it is everybody's.
    #[must_use]
    pub fn client(&self) -> Option<usize> {
        self.clone().client_mut().copied()
    }

    fn client_mut(&mut self) -> Option<&mut usize> {
        match self {
            Self::Connect { client, .. }
            | Self::Publish { client, .. }
            | Self::Subscribe { client, .. }
            | Self::Unsubscribe { client, .. }
            | Self::Hold { client }
            | Self::Answer { client }
            | Self::Goodbye { client, .. }
            | Self::Cut { client, .. } => Some(client),
            Self::Wait { .. } | Self::Settle => None,
        }
    }

    fn qos_mut(&mut self) -> Option<&mut QoS> {
        match self {
            Self::Publish { plan, .. } => Some(&mut plan.qos),
            Self::Subscribe { plan, .. } => Some(&mut plan.options.qos),
            _ => None,
        }
    }

    /// The same with one thing less to it, in every way there is.
    fn plainer(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let mut add = |change: &dyn Fn(&mut Self)| {
            let mut plainer = self.clone();
            change(&mut plainer);
            if plainer != *self {
                all.push(plainer);
            }
        };
        add(&|action| {
            if let Self::Connect { will, .. } = action {
                *will = None;
            }
        });
        add(&|action| {
            if let Self::Connect {
                will: Some(will), ..
            } = action
            {
                (will.retain, will.delay) = (false, 0);
            }
        });
        add(&|action| {
            if let Self::Connect {
                receive_maximum, ..
            } = action
            {
                *receive_maximum = None;
            }
        });
        add(&|action| {
            if let Self::Publish { plan, .. } = action {
                (plan.retain, plan.empty) = (false, false);
            }
        });
        add(&|action| {
            if let Self::Publish { plan, .. } = action {
                plan.expiry = None;
            }
        });
        add(&|action| {
            if let Some(qos) = action.qos_mut() {
                *qos = (*qos).min(QoS::AtLeastOnce);
            }
        });
        add(&|action| {
            if let Some(qos) = action.qos_mut() {
                *qos = QoS::AtMostOnce;
            }
        });
        add(&|action| {
            if let Self::Subscribe { plan, .. } = action {
                (plan.options.no_local, plan.options.retain_as_published) = (false, false);
            }
        });
        add(&|action| {
            if let Self::Subscribe { plan, .. } = action {
                plan.identifier = None;
            }
        });
        add(&|action| {
            if let Self::Subscribe { plan, .. } = action {
                plan.options.retain_handling = RetainHandling::SendAtSubscribe;
            }
        });
        add(&|action| {
            if let Self::Cut { after, .. } = action {
                *after = None;
            }
        });
        all
    }
}

struct Generator {
    random: Random,
    capabilities: Capabilities,
    expiries: Vec<u32>,
}

impl Generator {
    fn action(&mut self, client: usize) -> Action {
        match self.random.below(100) {
            0..=36 => Action::Publish {
                client,
                plan: self.publish(),
            },
            37..=52 => Action::Subscribe {
                client,
                plan: self.subscribe(),
            },
            53..=57 => {
                let (filter, shared) = self.filter();
                Action::Unsubscribe {
                    client,
                    filter,
                    shared,
                }
            }
            58..=63 => Action::Hold { client },
            64..=68 => Action::Answer { client },
            69..=74 => Action::Goodbye {
                client,
                with_will: self.random.chance(30),
            },
            75..=83 => Action::Cut {
                client,
                after: self.random.chance(30).then(|| self.random.below(40)),
            },
            84..=96 => self.connect(client),
            97..=98 => Action::Wait {
                millis: self.random.pick(&[50, 1200, 4500]),
            },
            _ => Action::Settle,
        }
    }

    fn topic(&mut self) -> String {
        self.random.pick(&TOPICS).to_owned()
    }

    fn filter(&mut self) -> (String, bool) {
        let mut filter = self.random.pick(&FILTERS);
        while !self.capabilities.wildcard_subscriptions && filter.contains(['+', '#']) {
            filter = self.random.pick(&FILTERS);
        }
        let shared = self.capabilities.shared_subscriptions && self.random.chance(20);
        (filter.to_owned(), shared)
    }

    fn qos(&mut self) -> QoS {
        let most = usize::try_from(self.capabilities.maximum_qos).unwrap_or(usize::MAX);
        QOS[self.random.below(QOS.len()).min(most)]
    }

    fn connect(&mut self, client: usize) -> Action {
        let will = self.random.chance(30).then(|| WillPlan {
            topic: self.topic(),
            qos: self.qos(),
            retain: self.capabilities.retain && self.random.chance(20),
            delay: self.random.pick(&[0, 0, 1, 5]),
        });
        Action::Connect {
            client,
            clean: self.random.chance(15),
            expiry: self.expiries[client],
            receive_maximum: self.random.pick(&[None, None, Some(1), Some(2), Some(5)]),
            will,
        }
    }

    fn publish(&mut self) -> PublishPlan {
        let retain = self.capabilities.retain && self.random.chance(35);
        PublishPlan {
            topic: self.topic(),
            qos: self.qos(),
            retain,
            empty: retain && self.random.chance(15),
            expiry: self.random.pick(&[None, None, None, Some(1), Some(60)]),
        }
    }

    fn subscribe(&mut self) -> SubscribePlan {
        let (filter, shared) = self.filter();
        let handlings = [
            RetainHandling::SendAtSubscribe,
            RetainHandling::SendAtSubscribe,
            RetainHandling::SendIfNew,
            RetainHandling::DoNotSend,
        ];
        SubscribePlan {
            filter,
            shared,
            options: SubscriptionOptions {
                qos: self.qos(),
                no_local: !shared && self.random.chance(20),
                retain_as_published: self.random.chance(30),
                retain_handling: self.random.pick(&handlings),
            },
            identifier: (self.capabilities.subscription_identifiers && self.random.chance(30))
                .then(|| self.random.pick(&[1, 2, 300])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_one_program_and_capabilities_bound_it() {
        let few = Capabilities {
            maximum_qos: 1,
            retain: false,
            shared_subscriptions: false,
            wildcard_subscriptions: false,
            subscription_identifiers: false,
            ..Capabilities::default()
        };
        for seed in 0..200 {
            let program = Program::generate(seed, &[Version::V5_0], few);
            assert_eq!(program, Program::generate(seed, &[Version::V5_0], few));
            assert_ne!(
                program.actions,
                Program::generate(seed + 1, &[Version::V5_0], few).actions
            );
            for action in &program.actions {
                match action {
                    Action::Publish { plan, .. } => {
                        assert!(plan.qos <= QoS::AtLeastOnce && !plan.retain);
                    }
                    Action::Subscribe { plan, .. } => {
                        assert!(plan.options.qos <= QoS::AtLeastOnce);
                        assert!(!plan.filter.contains(['+', '#']));
                        assert!(!plan.shared && plan.identifier.is_none());
                    }
                    _ => {}
                }
            }
        }
    }
}
