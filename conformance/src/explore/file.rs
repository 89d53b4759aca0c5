//! Programs as KDL files, one node for each action, so that `replay` plays them again.

use std::fmt::Write as _;

use kdl::{KdlDocument, KdlNode};
use quince_codec::{QoS, RetainHandling, SubscriptionOptions, Version};

use super::program::{Action, Program, PublishPlan, SubscribePlan, WillPlan};

/// A program as text, with what was found as its first lines.
#[must_use]
pub fn write(program: &Program, found: &str) -> String {
    let mut text = String::new();
    for line in found.lines() {
        _ = writeln!(text, "// {line}");
    }
    _ = writeln!(text, "program seed=\"{}\" {{", program.seed);
    for version in &program.clients {
        _ = writeln!(text, "    client \"{version}\"");
    }
    for action in &program.actions {
        _ = writeln!(text, "    {}", line(action));
    }
    text.push_str("}\n");
    text
}

fn line(action: &Action) -> String {
    let optional = |name: &str, value: Option<u64>| {
        value.map_or_else(String::new, |value| format!(" {name}={value}"))
    };
    match action {
        Action::Connect {
            client,
            clean,
            expiry,
            receive_maximum,
            will,
        } => {
            let maximum = optional("receive-maximum", receive_maximum.map(u64::from));
            let will = will.as_ref().map_or_else(String::new, |will| {
                format!(
                    " will=\"{}\" will-qos={} will-retain=#{} will-delay={}",
                    will.topic, will.qos as u8, will.retain, will.delay
                )
            });
            format!("connect {client} clean=#{clean} expiry={expiry}{maximum}{will}")
        }
        Action::Publish { client, plan } => format!(
            "publish {client} topic=\"{}\" qos={} retain=#{} empty=#{}{}",
            plan.topic,
            plan.qos as u8,
            plan.retain,
            plan.empty,
            optional("expiry", plan.expiry.map(u64::from))
        ),
        Action::Subscribe { client, plan } => format!(
            "subscribe {client} filter=\"{}\" shared=#{} qos={} no-local=#{} as-published=#{} handling={}{}",
            plan.filter,
            plan.shared,
            plan.options.qos as u8,
            plan.options.no_local,
            plan.options.retain_as_published,
            plan.options.retain_handling as u8,
            optional("identifier", plan.identifier.map(u64::from))
        ),
        Action::Unsubscribe {
            client,
            filter,
            shared,
        } => format!("unsubscribe {client} filter=\"{filter}\" shared=#{shared}"),
        Action::Hold { client } => format!("hold {client}"),
        Action::Answer { client } => format!("answer {client}"),
        Action::Goodbye { client, with_will } => {
            format!("goodbye {client} with-will=#{with_will}")
        }
        Action::Cut { client, after } => {
            let after = after.and_then(|after| u64::try_from(after).ok());
            format!("cut {client}{}", optional("after", after))
        }
        Action::Wait { millis } => format!("wait millis={millis}"),
        Action::Settle => "settle".to_owned(),
    }
}

/// Reads a program; `None` if the text is a KDL document, but of something else.
///
/// # Errors
/// What is wrong, in words.
pub fn read(text: &str) -> Result<Option<Program>, String> {
    let document: KdlDocument = text
        .parse()
        .map_err(|error: kdl::KdlError| error.to_string())?;
    let Some(root) = document.get("program") else {
        return Ok(None);
    };
    let mut program = Program {
        seed: text_of(root, "seed")?
            .parse()
            .map_err(|_| "`seed` is a number in quotes".to_owned())?,
        clients: Vec::new(),
        actions: Vec::new(),
    };
    for node in root.iter_children() {
        if node.name().value() == "client" {
            let version = node.get(0).and_then(|value| value.as_string());
            let version: Option<Version> = version.and_then(|text| text.parse().ok());
            let version = version.ok_or("`client` needs a version of MQTT in quotes")?;
            program.clients.push(version);
        } else {
            let action = action(node, program.clients.len())
                .map_err(|why| format!("{}: {why}", node.to_string().trim()))?;
            program.actions.push(action);
        }
    }
    Ok(Some(program))
}

fn action(node: &KdlNode, clients: usize) -> Result<Action, String> {
    let client = || -> Result<usize, String> {
        let index = node.get(0).and_then(|value| value.as_integer());
        let index = index.and_then(|index| usize::try_from(index).ok());
        index
            .filter(|index| *index < clients)
            .ok_or_else(|| "the first argument is one of the clients, from 0 on".to_owned())
    };
    Ok(match node.name().value() {
        "connect" => Action::Connect {
            client: client()?,
            clean: flag(node, "clean")?,
            expiry: number(node, "expiry")?.unwrap_or(0),
            receive_maximum: number(node, "receive-maximum")?,
            will: if node.get("will").is_some() {
                Some(WillPlan {
                    topic: text_of(node, "will")?,
                    qos: qos(node, "will-qos")?,
                    retain: flag(node, "will-retain")?,
                    delay: number(node, "will-delay")?.unwrap_or(0),
                })
            } else {
                None
            },
        },
        "publish" => Action::Publish {
            client: client()?,
            plan: PublishPlan {
                topic: text_of(node, "topic")?,
                qos: qos(node, "qos")?,
                retain: flag(node, "retain")?,
                empty: flag(node, "empty")?,
                expiry: number(node, "expiry")?,
            },
        },
        "subscribe" => Action::Subscribe {
            client: client()?,
            plan: SubscribePlan {
                filter: text_of(node, "filter")?,
                shared: flag(node, "shared")?,
                options: SubscriptionOptions {
                    qos: qos(node, "qos")?,
                    no_local: flag(node, "no-local")?,
                    retain_as_published: flag(node, "as-published")?,
                    retain_handling: match number::<u8>(node, "handling")? {
                        None | Some(0) => RetainHandling::SendAtSubscribe,
                        Some(1) => RetainHandling::SendIfNew,
                        Some(2) => RetainHandling::DoNotSend,
                        Some(_) => return Err("`handling` is 0, 1 or 2".to_owned()),
                    },
                },
                identifier: number(node, "identifier")?,
            },
        },
        "unsubscribe" => Action::Unsubscribe {
            client: client()?,
            filter: text_of(node, "filter")?,
            shared: flag(node, "shared")?,
        },
        "hold" => Action::Hold { client: client()? },
        "answer" => Action::Answer { client: client()? },
        "goodbye" => Action::Goodbye {
            client: client()?,
            with_will: flag(node, "with-will")?,
        },
        "cut" => Action::Cut {
            client: client()?,
            after: number(node, "after")?,
        },
        "wait" => Action::Wait {
            millis: number(node, "millis")?.unwrap_or(0),
        },
        "settle" => Action::Settle,
        other => return Err(format!("there is no action `{other}`")),
    })
}

fn text_of(node: &KdlNode, name: &str) -> Result<String, String> {
    let value = node.get(name).and_then(|value| value.as_string());
    value
        .map(str::to_owned)
        .ok_or_else(|| format!("`{name}` is a text in quotes"))
}

/// A flag; left out it is false.
fn flag(node: &KdlNode, name: &str) -> Result<bool, String> {
    node.get(name).map_or(Ok(false), |value| {
        value
            .as_bool()
            .ok_or_else(|| format!("`{name}` is #true or #false"))
    })
}

fn number<T: TryFrom<i128>>(node: &KdlNode, name: &str) -> Result<Option<T>, String> {
    let Some(value) = node.get(name) else {
        return Ok(None);
    };
    let number = value.as_integer().and_then(|value| T::try_from(value).ok());
    number
        .map(Some)
        .ok_or_else(|| format!("`{name}` is a number in its range"))
}

fn qos(node: &KdlNode, name: &str) -> Result<QoS, String> {
    let value = number::<u8>(node, name)?.unwrap_or(0);
    QoS::try_from(value).map_err(|_| format!("`{name}` is 0, 1 or 2"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::player::Capabilities;

    #[test]
    fn what_is_written_is_read_again() {
        for seed in 0..300 {
            let versions = [Version::V5_0, Version::V3_1_1];
            let program = Program::generate(seed, &versions, Capabilities::default());
            let text = write(&program, "Will at event 7\nsecond line");
            assert_eq!(read(&text), Ok(Some(program)), "{text}");
        }
        assert_eq!(read("scenario x {}"), Ok(None));
        for wrong in [
            "program seed=\"1\" { jump 0; }",
            "program seed=\"1\" { client \"5.0\"; hold 1; }",
            "program seed=1 {}",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_seed_is_the_program_that_it_always_was() {
        // FNV-1a over what is written for each: seeds stand in journals and in findings.
        let digest = (0..300).fold(0xcbf2_9ce4_8422_2325_u64, |digest, seed| {
            let versions = [Version::V5_0, Version::V3_1_1];
            let program = Program::generate(seed, &versions, Capabilities::default());
            let bytes = write(&program, "").into_bytes().into_iter();
            bytes.fold(digest, |digest, byte| {
                (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
        });
        assert_eq!(digest, 15_202_952_526_092_454_402);
    }
}
