//! The topics that a rule speaks of: a Topic Filter in which a level may stand for the client's own identity.
//!
//! An identity is one literal level and never syntax: a client called `#` or `a/b` gets nothing by it, since no level
//! of a Topic Name is called so.

use quince_core::Subject;

/// A rule's filter, taken apart once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter(Box<[Level]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    Text(Box<str>),
    /// `%u`: the user's name.
    User,
    /// `%c`: the Client Identifier.
    Client,
    /// `+`
    One,
    /// `#`
    Rest,
}

/// One level of a filter for one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    One,
    Rest,
}

/// A filter for one client: no identities left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pieces<'a>(Vec<Piece<'a>>);

/// Whether a filter's text may hold `%u` and `%c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identities {
    Refused,
    Substituted,
}

impl Filter {
    /// Takes a valid Topic Filter apart.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(crate) fn parse(
        text: &str,
        identities: Identities,
    ) -> Result<Self, (String, &'static str)> {
        let levels = text.split('/').map(|level| match level {
            "+" => Ok(Level::One),
            "#" => Ok(Level::Rest),
            "%u" if identities == Identities::Substituted => Ok(Level::User),
            "%c" if identities == Identities::Substituted => Ok(Level::Client),
            _ if !level.contains("%u") && !level.contains("%c") => {
                Ok(Level::Text(Box::from(level)))
            }
            _ if identities == Identities::Substituted => Err((
                format!("'{level}' has more in one level than the identity"),
                "%u and %c must be the only text of their level, as in devices/%u/state",
            )),
            _ => Err((
                format!("'{level}' would stand for no identity here"),
                "begin the line with `pattern` instead of `topic`",
            )),
        });
        levels.collect::<Result<_, _>>().map(Self)
    }

    /// Whether the rule speaks of this Topic Name, for this client.
    pub(crate) fn matches(&self, topic: &str, subject: Subject<'_>) -> bool {
        // A Topic Name that begins with `$` is matched by a rule that spells out its first level, and by no other.
        if topic.starts_with('$')
            && !matches!(self.0.first(), Some(Level::Text(text)) if text.starts_with('$'))
        {
            return false;
        }
        let mut names = topic.split('/');
        for level in &self.0 {
            let expected = match level {
                Level::Rest => return true,
                Level::One => None,
                Level::Text(text) => Some(&**text),
                Level::Client => Some(subject.client_id),
                Level::User => match subject.principal.name() {
                    Some(name) => Some(name),
                    None => return false,
                },
            };
            match (names.next(), expected) {
                (Some(name), Some(expected)) if name == expected => {}
                (Some(_), None) => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }

    /// The filter for one client; `None` where its identity is no possible level, so that nothing can match.
    pub(crate) fn resolve<'a>(&'a self, subject: Subject<'a>) -> Option<Pieces<'a>> {
        let pieces = self.0.iter().enumerate().map(|(index, level)| {
            let identity = match level {
                Level::Text(text) => return Some(Piece::Text(text)),
                Level::One => return Some(Piece::One),
                Level::Rest => return Some(Piece::Rest),
                Level::User => subject.principal.name()?,
                Level::Client => subject.client_id,
            };
            let is_level = !identity.contains(['/', '+', '#']);
            let is_reserved = index == 0 && identity.starts_with('$');
            (is_level && !is_reserved).then_some(Piece::Text(identity))
        });
        pieces.collect::<Option<_>>().map(Pieces)
    }
}

impl<'a> Pieces<'a> {
    /// A client's own Topic Filter.
    pub(crate) fn of(filter: &'a str) -> Self {
        Self(
            filter
                .split('/')
                .map(|level| match level {
                    "+" => Piece::One,
                    "#" => Piece::Rest,
                    _ => Piece::Text(level),
                })
                .collect(),
        )
    }

    /// The filter that matches exactly what both match; `None` where there is no such topic.
    pub(crate) fn intersection(&self, other: &Self) -> Option<Self> {
        if self.reserves() != other.reserves() {
            return None;
        }
        let mut both = Vec::with_capacity(self.0.len().max(other.0.len()));
        let (mut ours, mut theirs) = (self.0.iter(), other.0.iter());
        loop {
            match (ours.next(), theirs.next()) {
                // `a/#` matches `a` as well.
                (None, None) | (None, Some(Piece::Rest)) | (Some(Piece::Rest), None) => break,
                (None, Some(_)) | (Some(_), None) => return None,
                (Some(Piece::Rest), Some(next)) => {
                    both.push(*next);
                    both.extend(theirs);
                    break;
                }
                (Some(next), Some(Piece::Rest)) => {
                    both.push(*next);
                    both.extend(ours);
                    break;
                }
                (Some(Piece::One), Some(next)) | (Some(next), Some(Piece::One)) => both.push(*next),
                (Some(Piece::Text(text)), Some(Piece::Text(other))) => {
                    if text != other {
                        return None;
                    }
                    both.push(Piece::Text(text));
                }
            }
        }
        Some(Self(both))
    }

    /// Whether it matches everything that `other` matches.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        if self.reserves() != other.reserves() {
            return false;
        }
        let (mut ours, mut theirs) = (self.0.iter(), other.0.iter());
        loop {
            match (ours.next(), theirs.next()) {
                (Some(Piece::Rest), _) | (None, None) => return true,
                (Some(Piece::One), Some(Piece::One | Piece::Text(_))) => {}
                (Some(Piece::Text(text)), Some(Piece::Text(other))) if text == other => {}
                _ => return false,
            }
        }
    }

    /// Whether it matches topics that begin with `$`, and therefore no others.
    fn reserves(&self) -> bool {
        matches!(self.0.first(), Some(Piece::Text(text)) if text.starts_with('$'))
    }
}

#[cfg(test)]
mod tests {
    use quince_core::Principal;

    use super::*;

    fn matches(filter: &str, topic: &str, name: Option<&str>, client_id: &str) -> bool {
        let filter = Filter::parse(filter, Identities::Substituted).expect("a filter");
        let principal = name.map_or_else(Principal::anonymous, Principal::named);
        filter.matches(
            topic,
            Subject {
                client_id,
                principal: &principal,
            },
        )
    }

    #[test]
    fn identities_are_levels_and_no_syntax() {
        assert!(matches("u/%u", "u/alice", Some("alice"), "c"));
        assert!(matches("c/%c/x", "c/c/x", None, "c"));
        assert!(!matches("u/%u", "u/alice", None, "c"));
        assert!(!matches("u/%u", "u/", None, "c"), "nobody is no empty name");
        for name in ["#", "+", "alice/x", "+/x", "%c", "/"] {
            for topic in ["u/alice", "u/alice/x", "u", "u/x/x", "u/"] {
                assert!(
                    !matches("u/%u", topic, Some(name), "alice"),
                    "{name} {topic}"
                );
                assert!(!matches("u/%c", topic, None, name), "{name} {topic}");
            }
        }
        // `$` at the front belongs to the broker, whatever a client is called.
        assert!(!matches("%u/#", "$SYS/x", Some("$SYS"), "c"));
        assert!(!matches("%c/#", "$SYS/x", None, "$SYS"));
        assert!(!matches("+/x", "$SYS/x", None, "c"));
        assert!(!matches("#", "$SYS/x", None, "c"));
        assert!(matches("$SYS/#", "$SYS/x", None, "c"));
    }

    #[test]
    fn intersections() {
        for (one, other, both) in [
            ("a/b", "a/b", Some("a/b")),
            ("a/b", "a/c", None),
            ("a/+", "+/b", Some("a/b")),
            ("a/#", "a", Some("a")),
            ("a/#", "+", Some("a")),
            ("a/#", "+/b/#", Some("a/b/#")),
            ("#", "a/+/c", Some("a/+/c")),
            ("a/b/#", "a/+", Some("a/b")),
            ("a", "a/b", None),
            ("#", "$SYS/#", None),
            ("+/x", "$SYS/x", None),
            ("$SYS/#", "$SYS/x", Some("$SYS/x")),
        ] {
            let (one, other) = (Pieces::of(one), Pieces::of(other));
            let both = both.map(Pieces::of);
            assert_eq!(one.intersection(&other), both);
            assert_eq!(other.intersection(&one), both);
            if let Some(both) = both {
                assert!(one.covers(&both) && other.covers(&both));
            }
        }
    }
}
