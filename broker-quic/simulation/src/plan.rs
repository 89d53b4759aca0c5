//! What a run is made from: a seed, its length, and what may go wrong in it.

use core::fmt;
use core::time::Duration;

use quince_core::Config;
use quince_model::Bounds;

use crate::random::Random;

/// What may go wrong; each can be left out to make a failing run simpler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chaos {
    /// Calls on the core are overtaken between their steps.
    Overtaking,
    /// Network connections break.
    Cuts,
    /// A client connects again while its older connection is there.
    Takeovers,
    /// Clients fall silent without a word.
    Vanishing,
    /// Minutes pass.
    Time,
    /// A client breaks the protocol.
    Hostility,
    /// Packets come in pieces, and clients read slowly.
    Pieces,
    /// Queues are so small that they fill up.
    Overload,
}

impl Chaos {
    /// All of it.
    pub const ALL: [Self; 8] = [
        Self::Overtaking,
        Self::Cuts,
        Self::Takeovers,
        Self::Vanishing,
        Self::Time,
        Self::Hostility,
        Self::Pieces,
        Self::Overload,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overtaking => "overtaking",
            Self::Cuts => "cuts",
            Self::Takeovers => "takeovers",
            Self::Vanishing => "vanishing",
            Self::Time => "time",
            Self::Hostility => "hostility",
            Self::Pieces => "pieces",
            Self::Overload => "overload",
        }
    }

    /// The one called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|chaos| chaos.name() == name)
    }
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What decides everything else.
    pub seed: u64,
    /// How many steps are taken before everybody comes to rest.
    pub steps: usize,
    /// How many clients there are.
    pub clients: usize,
    /// What may not go wrong.
    pub without: Vec<Chaos>,
}

impl Plan {
    /// A run with everything in it.
    #[must_use]
    pub const fn new(seed: u64, steps: usize) -> Self {
        Self {
            seed,
            steps,
            clients: 5,
            without: Vec::new(),
        }
    }

    pub(crate) fn has(&self, chaos: Chaos) -> bool {
        !self.without.contains(&chaos)
    }

    /// The broker's settings, small enough that every bound is met.
    pub(crate) fn config(&self, random: &mut Random) -> Config {
        let overload = self.has(Chaos::Overload) && random.chance(40);
        let pieces = self.has(Chaos::Pieces);
        Config {
            seed: [self.seed, 1],
            receive_maximum: random.pick(&[2, 3, 8, 256]),
            topic_alias_maximum: random.pick(&[0, 1, 4]),
            queue_messages: if overload {
                random.between(2, 12)
            } else {
                5000
            },
            outbox_bytes: if pieces {
                random.pick(&[64, 300, 65_536])
            } else {
                65_536
            },
            pause_limit: Duration::from_secs(30),
            ..Config::default()
        }
    }

    pub(crate) const fn bounds(config: &Config) -> Bounds {
        Bounds {
            patience: PATIENCE,
            queue_messages: config.queue_messages,
            stored_lose_nothing: true,
            one_order_of_retained: true,
        }
    }
}

/// Milliseconds within which everything that was done is known to everybody; the schedule keeps to it.
pub(crate) const PATIENCE: u64 = 8_000;

impl fmt::Display for Plan {
    /// The arguments that give this run again.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "--seed {} --steps {}", self.seed, self.steps)?;
        if self.clients != 5 {
            write!(formatter, " --clients {}", self.clients)?;
        }
        for chaos in &self.without {
            write!(formatter, " --without {}", chaos.name())?;
        }
        Ok(())
    }
}
