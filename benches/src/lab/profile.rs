//! Links that people know by name, and files with links of one's own.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use quince_link::{Bandwidth, GilbertElliott, Impairment, Jitter, Loss, Order, Step};
use serde::{Deserialize, Serialize};

/// The profiles that come with the lab, in the form of everybody's own.
pub(crate) const OURS: &str = include_str!("profiles.toml");

/// What an Ethernet frame carries: a queue has room for one packet at least.
const MTU: u64 = 1500;

/// A link by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    pub(crate) name: String,
    /// Where its numbers come from.
    #[serde(default)]
    pub(crate) source: String,
    /// From the client to the broker.
    up: Way,
    /// From the broker to the client; what is left out is as in `up`.
    #[serde(default)]
    down: Way,
    /// Times in which nothing gets through.
    #[serde(default)]
    blackouts: Vec<Blackout>,
}

/// One direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Way {
    /// How long each packet takes at least, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<f64>,
    /// What it takes longer, evenly between 0 and this, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter_ms: Option<f64>,
    /// Whether packets overtake each other by that.
    #[serde(skip_serializing_if = "Option::is_none")]
    overtaking: Option<bool>,
    /// Packets lost, each for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    loss_percent: Option<f64>,
    /// Times in which more is lost, at random.
    #[serde(skip_serializing_if = "Option::is_none")]
    bursts: Option<Bursts>,
    /// The rate of IP packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    kilobits_per_second: Option<u64>,
    /// How long what waits for that rate may take at most, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_ms: Option<u64>,
}

/// Loss in bursts: the model of Gilbert and Elliott, by time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bursts {
    /// From the end of one to the beginning of the next, on average, in milliseconds.
    every_ms: f64,
    /// How long one lasts on average, in milliseconds.
    last_ms: f64,
    /// Packets lost meanwhile.
    loss_percent: f64,
}

/// A time in which nothing gets through, in either direction, in milliseconds since the opening of the link.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Blackout {
    at_ms: u64,
    last_ms: u64,
}

/// What a file holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    profile: Vec<Profile>,
}

/// Reads profiles. `file` is how messages call the text.
///
/// # Errors
/// Where and what is wrong, and what was expected.
pub(crate) fn parse(file: &str, text: &str) -> Result<Vec<Profile>, String> {
    let read: File = toml::from_str(text).map_err(|error| format!("{file}: {error}"))?;
    let mut profiles: Vec<Profile> = Vec::new();
    for profile in read.profile {
        let name = profile.name.clone();
        profile
            .check()
            .map_err(|wrong| format!("{file}: profile '{name}': {wrong}"))?;
        if profiles.iter().any(|other| other.name == name) {
            return Err(format!("{file}: there are two profiles '{name}'"));
        }
        profiles.push(profile);
    }
    Ok(profiles)
}

/// The profiles of the lab.
///
/// # Panics
/// Never: a test reads them.
pub(crate) fn ours() -> Vec<Profile> {
    parse("the lab's own profiles", OURS).expect("a test reads them")
}

/// Reads the profiles of a file.
///
/// # Errors
/// When it cannot be read, or is wrong.
pub(crate) fn of_file(file: &Path) -> Result<Vec<Profile>, String> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
    let profiles = parse(&name.to_string(), &text)?;
    if profiles.is_empty() {
        return Err(format!("{name}: there is no [[profile]] in it"));
    }
    Ok(profiles)
}

fn milliseconds(value: f64) -> Duration {
    Duration::from_secs_f64(value / 1_000.0)
}

impl Way {
    fn or(self, other: Self) -> Self {
        Self {
            delay_ms: self.delay_ms.or(other.delay_ms),
            jitter_ms: self.jitter_ms.or(other.jitter_ms),
            overtaking: self.overtaking.or(other.overtaking),
            loss_percent: self.loss_percent.or(other.loss_percent),
            bursts: self.bursts.or(other.bursts),
            kilobits_per_second: self.kilobits_per_second.or(other.kilobits_per_second),
            queue_ms: self.queue_ms.or(other.queue_ms),
        }
    }

    fn delay(&self) -> f64 {
        self.delay_ms.unwrap_or(0.0)
    }

    fn check(&self) -> Result<(), String> {
        let within = |key: &str, value: Option<f64>, least: f64, most: f64| match value {
            Some(value) if !(least..=most).contains(&value) => Err(format!(
                "{key} = {value}: expected something from {least} to {most}"
            )),
            _ => Ok(()),
        };
        within("delay_ms", self.delay_ms, 0.0, 10_000.0)?;
        within("jitter_ms", self.jitter_ms, 0.0, 10_000.0)?;
        within("loss_percent", self.loss_percent, 0.0, 90.0)?;
        if let Some(bursts) = self.bursts {
            within("bursts.every_ms", Some(bursts.every_ms), 1.0, 3_600_000.0)?;
            within("bursts.last_ms", Some(bursts.last_ms), 1.0, 600_000.0)?;
            within("bursts.loss_percent", Some(bursts.loss_percent), 0.0, 100.0)?;
        }
        match (self.kilobits_per_second, self.queue_ms) {
            (Some(rate), Some(queue)) => {
                if !(1..=10_000_000).contains(&rate) {
                    return Err(format!(
                        "kilobits_per_second = {rate}: expected something from 1 to 10000000"
                    ));
                }
                if !(1..=60_000).contains(&queue) {
                    return Err(format!(
                        "queue_ms = {queue}: expected something from 1 to 60000"
                    ));
                }
                Ok(())
            }
            (None, None) => Ok(()),
            (Some(_), None) => Err("a rate needs a queue in front of it: queue_ms".to_owned()),
            (None, Some(_)) => {
                Err("a queue needs a rate behind it: kilobits_per_second".to_owned())
            }
        }
    }

    fn impairment(&self, blackouts: &[Range<Duration>]) -> Impairment {
        let share = |percent: f64| percent / 100.0;
        let good = share(self.loss_percent.unwrap_or(0.0));
        let loss = match self.bursts {
            Some(bursts) => Loss::GilbertElliott(GilbertElliott {
                step: Step::Millisecond,
                to_bad: 1.0 / bursts.every_ms,
                to_good: 1.0 / bursts.last_ms,
                loss_good: good,
                loss_bad: share(bursts.loss_percent),
            }),
            None if good > 0.0 => Loss::Independent { probability: good },
            None => Loss::None,
        };
        let order = match self.overtaking {
            Some(true) => Order::Free,
            Some(false) | None => Order::Kept,
        };
        let jitter = self.jitter_ms.filter(|most| *most > 0.0);
        let bandwidth = self.kilobits_per_second.zip(self.queue_ms);
        Impairment {
            delay: milliseconds(self.delay()),
            jitter: jitter.map(|most| Jitter {
                most: milliseconds(most),
                order,
            }),
            loss,
            bandwidth: bandwidth.map(|(rate, queue)| Bandwidth {
                bits_per_second: rate * 1_000,
                queue: (rate * queue / 8).max(MTU),
            }),
            blackouts: blackouts.to_vec(),
            ..Impairment::default()
        }
    }

    fn describe(&self) -> String {
        let mut parts = vec![format!("{} ms", self.delay())];
        if let Some(jitter) = self.jitter_ms.filter(|most| *most > 0.0) {
            parts.push(format!("+ 0 to {jitter} ms"));
        }
        if let Some(rate) = self.kilobits_per_second {
            parts.push(format!("{rate} kbit/s"));
        }
        if let Some(queue) = self.queue_ms {
            parts.push(format!("queue of {queue} ms"));
        }
        if let Some(loss) = self.loss_percent.filter(|loss| *loss > 0.0) {
            parts.push(format!("{loss} % lost"));
        }
        if let Some(bursts) = self.bursts {
            parts.push(format!(
                "{} % lost for {} ms every {} ms",
                bursts.loss_percent, bursts.last_ms, bursts.every_ms
            ));
        }
        parts.join(", ")
    }
}

impl Profile {
    fn down(&self) -> Way {
        self.down.or(self.up)
    }

    fn check(&self) -> Result<(), String> {
        let good = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.');
        if self.name.is_empty() || !self.name.chars().all(good) {
            return Err("a name has letters, digits, - and . only".to_owned());
        }
        self.up.check().map_err(|wrong| format!("up: {wrong}"))?;
        let down = self.down();
        down.check().map_err(|wrong| format!("down: {wrong}"))
    }

    /// Round trip time without jitter and queues, in milliseconds.
    pub(crate) fn rtt(&self) -> f64 {
        self.up.delay() + self.down().delay()
    }

    /// The delay of the faster direction.
    pub(crate) fn one_way(&self) -> Duration {
        milliseconds(self.up.delay().min(self.down().delay()))
    }

    /// What happens to packets to the broker, and to those from it.
    pub(crate) fn impairments(&self) -> (Impairment, Impairment) {
        let blackouts: Vec<_> = self
            .blackouts
            .iter()
            .map(|blackout| {
                let begin = Duration::from_millis(blackout.at_ms);
                begin..begin + Duration::from_millis(blackout.last_ms)
            })
            .collect();
        let (up, down) = (self.up, self.down());
        (up.impairment(&blackouts), down.impairment(&blackouts))
    }

    /// Its figures, a line for each direction.
    pub(crate) fn describe(&self) -> Vec<String> {
        let mut lines = vec![
            format!("to the broker: {}", self.up.describe()),
            format!("from the broker: {}", self.down().describe()),
        ];
        if !self.blackouts.is_empty() {
            let times: Vec<_> = self
                .blackouts
                .iter()
                .map(|blackout| format!("{} ms at {}", blackout.last_ms, blackout.at_ms))
                .collect();
            lines.push(format!("silent for {}", times.join(", ")));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_are_sound_and_say_where_their_numbers_come_from() {
        let ours = ours();
        assert_eq!(ours.len(), 9);
        for profile in ours {
            assert!(!profile.source.is_empty(), "{}", profile.name);
            let (a_to_b, b_to_a) = profile.impairments();
            let config = quince_link::Config {
                a_to_b,
                b_to_a,
                ..quince_link::Config::default()
            };
            assert_eq!(config.check(), Ok(()), "{}", profile.name);
        }
    }

    #[test]
    fn what_down_leaves_out_is_as_in_up() {
        let text = "[[profile]]\nname = 'mine'\nup = { delay_ms = 10, loss_percent = 1, kilobits_per_second = 80, queue_ms = 1000 }\n\
                    down = { delay_ms = 30, kilobits_per_second = 800 }\nblackouts = [{ at_ms = 5, last_ms = 2 }]\n";
        let profile = &parse("file", text).expect("sound")[0];
        assert!((profile.rtt() - 40.0).abs() < f64::EPSILON);
        assert_eq!(profile.one_way(), Duration::from_millis(10));
        let (up, down) = profile.impairments();
        let bandwidth = |bits_per_second, queue| {
            Some(Bandwidth {
                bits_per_second,
                queue,
            })
        };
        assert_eq!(up.bandwidth, bandwidth(80_000, 10_000));
        assert_eq!(down.bandwidth, bandwidth(800_000, 100_000));
        assert_eq!(down.delay, Duration::from_millis(30));
        assert_eq!(down.loss, Loss::Independent { probability: 0.01 });
        let blackout = Duration::from_millis(5)..Duration::from_millis(7);
        assert_eq!(
            [up.blackouts, down.blackouts],
            [[blackout.clone()], [blackout]]
        );
    }

    #[test]
    fn mistakes_are_shown_with_their_place() {
        let profile = |rest: &str| format!("[[profile]]\nname = 'mine'\n{rest}\n");
        for (text, expected) in [
            (profile("up = { delai_ms = 1 }"), "unknown field `delai_ms`"),
            (profile("up = { delai_ms = 1 }"), "line 3"),
            (
                profile("up = { delay_ms = -1 }"),
                "up: delay_ms = -1: expected something from 0",
            ),
            (
                profile("up = {}\ndown = { loss_percent = 101 }"),
                "down: loss_percent = 101",
            ),
            (profile("up = { kilobits_per_second = 5 }"), "needs a queue"),
            (profile("up = { queue_ms = 5 }"), "needs a rate"),
            (
                profile("up = { bursts = { every_ms = 0, last_ms = 1, loss_percent = 1 } }"),
                "bursts.every_ms",
            ),
            (profile(""), "missing field `up`"),
            (
                profile("up = {}") + &profile("up = {}"),
                "two profiles 'mine'",
            ),
            (
                "[[profile]]\nname = 'a b'\nup = {}".to_owned(),
                "a name has letters",
            ),
            ("profiles = 1".to_owned(), "unknown field `profiles`"),
        ] {
            let error = parse("my.toml", &text).expect_err(&text);
            assert!(error.starts_with("my.toml: "), "{error}");
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
