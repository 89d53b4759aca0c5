//! Who gets a topic: an immutable snapshot of all subscriptions as a tree of topic levels.
//!
//! A change copies only the nodes on its path, and only those that a reader still holds (`Arc::make_mut`).
//! Readers take the `Arc`, match, and let go.

use std::collections::BTreeMap;
use std::sync::Arc;

use quince_codec::SubscriptionOptions;
use quince_codec::topic::SharedSubscription;

use crate::identifier::{FlowId, SessionId};
use crate::mailbox::Mailbox;
use crate::policy::{Principal, Subject};

/// Whose subscription it is. A Session may hold the same filter once per flow.
pub(crate) type SubscriberKey = (SessionId, FlowId);

/// One subscription as a publisher sees it.
#[derive(Clone, Debug)]
pub(crate) struct Subscriber {
    pub(crate) key: SubscriberKey,
    pub(crate) client_id: Arc<str>,
    pub(crate) principal: Principal,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) options: SubscriptionOptions,
    pub(crate) identifier: Option<u32>,
    /// The whole filter of a shared subscription, so that a message can be given to another member.
    pub(crate) shared: Option<Arc<str>>,
}

impl Subscriber {
    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            client_id: &self.client_id,
            principal: &self.principal,
        }
    }
}

/// A filter as the tree stores it: without `$share/name/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route<'a> {
    pub(crate) share: Option<&'a str>,
    pub(crate) filter: &'a str,
}

impl<'a> Route<'a> {
    /// Takes a valid Topic Filter apart. Shared subscriptions exist from version 5.0 on, but a name that starts with
    /// `$share/` means the same to all clients here, so that Sessions can change version.
    pub(crate) fn of(filter: &'a str) -> Self {
        match SharedSubscription::parse(filter).ok().flatten() {
            Some(SharedSubscription { share_name, filter }) => Self {
                share: Some(share_name),
                filter,
            },
            None => Self {
                share: None,
                filter,
            },
        }
    }
}

type Group = BTreeMap<SubscriberKey, Subscriber>;

/// The subscriptions that end at one place of the tree.
#[derive(Clone, Debug, Default)]
struct Subscribers {
    plain: Group,
    shared: BTreeMap<Arc<str>, Group>,
}

impl Subscribers {
    fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.shared.is_empty()
    }

    fn insert(&mut self, share: Option<&str>, subscriber: Subscriber) -> bool {
        let group = match share {
            None => &mut self.plain,
            Some(share) => match self.shared.get_mut(share) {
                Some(_) => self.shared.get_mut(share).unwrap_or(&mut self.plain),
                None => self.shared.entry(Arc::from(share)).or_default(),
            },
        };
        group.insert(subscriber.key, subscriber).is_none()
    }

    fn remove(&mut self, share: Option<&str>, key: SubscriberKey) -> bool {
        let Some(share) = share else {
            return self.plain.remove(&key).is_some();
        };
        let Some(group) = self.shared.get_mut(share) else {
            return false;
        };
        let removed = group.remove(&key).is_some();
        if group.is_empty() {
            self.shared.remove(share);
        }
        removed
    }

    fn collect<'a>(&'a self, matches: &mut Matches<'a>) {
        matches.plain.extend(self.plain.values());
        matches.shared.extend(
            self.shared
                .values()
                .map(|group| group.values().collect::<Vec<_>>()),
        );
    }
}

#[derive(Clone, Debug, Default)]
struct Node {
    children: BTreeMap<Arc<str>, Arc<Self>>,
    /// What follows the level `+`.
    single: Option<Arc<Self>>,
    /// Filters that end here.
    here: Subscribers,
    /// Filters that end with `#` below here, which includes here [section 4.7.1.2].
    below: Subscribers,
}

impl Node {
    fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.single.is_none()
            && self.here.is_empty()
            && self.below.is_empty()
    }

    fn insert(
        &mut self,
        levels: Option<&str>,
        share: Option<&str>,
        subscriber: Subscriber,
    ) -> bool {
        let Some(levels) = levels else {
            return self.here.insert(share, subscriber);
        };
        let (level, rest) = split_level(levels);
        match level {
            "#" => self.below.insert(share, subscriber),
            "+" => {
                Arc::make_mut(self.single.get_or_insert_default()).insert(rest, share, subscriber)
            }
            _ => {
                if !self.children.contains_key(level) {
                    self.children.insert(Arc::from(level), Arc::default());
                }
                let child = self.children.get_mut(level);
                child.is_some_and(|child| Arc::make_mut(child).insert(rest, share, subscriber))
            }
        }
    }

    fn remove(&mut self, levels: Option<&str>, share: Option<&str>, key: SubscriberKey) -> bool {
        let Some(levels) = levels else {
            return self.here.remove(share, key);
        };
        let (level, rest) = split_level(levels);
        match level {
            "#" => self.below.remove(share, key),
            "+" => {
                let Some(child) = &mut self.single else {
                    return false;
                };
                let removed = Arc::make_mut(child).remove(rest, share, key);
                if child.is_empty() {
                    self.single = None;
                }
                removed
            }
            _ => {
                let Some(child) = self.children.get_mut(level) else {
                    return false;
                };
                let removed = Arc::make_mut(child).remove(rest, share, key);
                if child.is_empty() {
                    self.children.remove(level);
                }
                removed
            }
        }
    }

    fn collect<'a>(
        &'a self,
        levels: Option<&str>,
        wildcards: Wildcards,
        matches: &mut Matches<'a>,
    ) {
        if wildcards == Wildcards::Match {
            self.below.collect(matches);
        }
        let Some(levels) = levels else {
            return self.here.collect(matches);
        };
        let (level, rest) = split_level(levels);
        if let Some(child) = self.children.get(level) {
            child.collect(rest, Wildcards::Match, matches);
        }
        if wildcards == Wildcards::Match
            && let Some(child) = &self.single
        {
            child.collect(rest, Wildcards::Match, matches);
        }
    }
}

/// Whether the wildcards at this level match the topic's level.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wildcards {
    Match,
    Skip,
}

fn split_level(levels: &str) -> (&str, Option<&str>) {
    match levels.split_once('/') {
        Some((level, rest)) => (level, Some(rest)),
        None => (levels, None),
    }
}

/// What a topic matches, in an order that depends on nothing but the tree.
#[derive(Debug, Default)]
pub(crate) struct Matches<'a> {
    /// Every matching non-shared subscription; a Session may be here more than once.
    pub(crate) plain: Vec<&'a Subscriber>,
    /// The members of every matching shared subscription, in the order of their Sessions.
    pub(crate) shared: Vec<Vec<&'a Subscriber>>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    root: Node,
    subscriptions: usize,
}

impl Routes {
    /// Puts a subscription in, in place of an older one with the same key and filter. `filter` must be valid.
    pub(crate) fn insert(&mut self, filter: &str, subscriber: Subscriber) {
        let route = Route::of(filter);
        if self
            .root
            .insert(Some(route.filter), route.share, subscriber)
        {
            self.subscriptions += 1;
        }
    }

    /// Takes a subscription out; false when it is not there.
    pub(crate) fn remove(&mut self, filter: &str, key: SubscriberKey) -> bool {
        let route = Route::of(filter);
        let removed = self.root.remove(Some(route.filter), route.share, key);
        if removed {
            self.subscriptions -= 1;
        }
        removed
    }

    /// Finds everything that matches a valid Topic Name.
    ///
    /// Filters that start with a wildcard do not match a topic that starts with `$` [MQTT5-4.7.2-1] [MQTT3-4.7.2-1].
    pub(crate) fn matches(&self, topic: &str) -> Matches<'_> {
        let wildcards = if topic.starts_with('$') {
            Wildcards::Skip
        } else {
            Wildcards::Match
        };
        let mut matches = Matches::default();
        self.root.collect(Some(topic), wildcards, &mut matches);
        matches
    }

    /// How many subscriptions there are.
    pub(crate) fn subscriptions(&self) -> usize {
        self.subscriptions
    }
}

/// Whether one filter, without `$share/name/`, matches one topic; for the retained store.
pub(crate) fn filter_matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut topic_levels = topic.split('/');
    for level in filter.split('/') {
        if level == "#" {
            return true;
        }
        match topic_levels.next() {
            Some(name) if level == "+" || level == name => {}
            _ => return false,
        }
    }
    topic_levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use quince_codec::{QoS, RetainHandling};

    use super::*;

    fn subscriber(session: u64) -> Subscriber {
        Subscriber {
            key: (SessionId(session), FlowId::CONTROL),
            client_id: Arc::from(format!("c{session}")),
            principal: Principal::anonymous(),
            mailbox: Arc::new(Mailbox::new(1, 1)),
            options: SubscriptionOptions {
                qos: QoS::AtMostOnce,
                no_local: false,
                retain_as_published: false,
                retain_handling: RetainHandling::SendAtSubscribe,
            },
            identifier: None,
            shared: None,
        }
    }

    /// Section 4.7 said again, level by level and without a tree.
    fn naive(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            (["#"], _) => true,
            ([], []) => true,
            (["+", filter @ ..], [_, topic @ ..]) => naive(filter, topic),
            ([level, filter @ ..], [name, topic @ ..]) => level == name && naive(filter, topic),
            _ => false,
        }
    }

    fn naive_matches(filter: &str, topic: &str) -> bool {
        let hidden = topic.starts_with('$') && (filter.starts_with('+') || filter.starts_with('#'));
        !hidden
            && naive(
                &filter.split('/').collect::<Vec<_>>(),
                &topic.split('/').collect::<Vec<_>>(),
            )
    }

    fn topic() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!["a", "b", "", "$a", "ab"]), 1..5)
            .prop_map(|levels| levels.join("/"))
            .prop_filter("at least one character", |topic| !topic.is_empty())
    }

    fn filter() -> impl Strategy<Value = String> {
        let level = prop::sample::select(vec!["a", "b", "", "$a", "ab", "+", "+"]);
        (prop::collection::vec(level, 0..5), any::<bool>())
            .prop_map(|(mut levels, multi)| {
                if multi {
                    levels.push("#");
                }
                levels.join("/")
            })
            .prop_filter("at least one character", |filter| !filter.is_empty())
    }

    proptest! {
        #[test]
        fn the_tree_and_the_retained_matcher_agree_with_the_naive_one(
            changes in prop::collection::vec((any::<bool>(), 0_u64..4, 0_usize..3, filter()), 1..40),
            topics in prop::collection::vec(topic(), 1..10),
        ) {
            let mut routes = Routes::default();
            let mut held: BTreeSet<(Option<&str>, String, u64)> = BTreeSet::new();
            for (insert, session, share, filter) in changes {
                let share = [None, Some("g"), Some("h")][share];
                let whole = share.map_or_else(|| filter.clone(), |share| format!("$share/{share}/{filter}"));
                let key = (share, filter, session);
                // An older snapshot must not see a change.
                let before = routes.clone();
                let subscriptions = before.subscriptions();
                if insert {
                    routes.insert(&whole, subscriber(session));
                    held.insert(key);
                } else {
                    let removed = routes.remove(&whole, (SessionId(session), FlowId::CONTROL));
                    prop_assert_eq!(removed, held.remove(&key));
                }
                prop_assert_eq!(before.subscriptions(), subscriptions);
                prop_assert_eq!(routes.subscriptions(), held.len());
            }
            for topic in &topics {
                let matches = routes.matches(topic);
                let mut plain: Vec<u64> = matches.plain.iter().map(|found| found.key.0.0).collect();
                let mut shared: Vec<Vec<u64>> =
                    matches.shared.iter().map(|group| group.iter().map(|found| found.key.0.0).collect()).collect();
                plain.sort_unstable();
                shared.sort();
                let expected = |wanted: Option<&'static str>| {
                    held.iter().filter(move |(share, filter, _)| *share == wanted && naive_matches(filter, topic))
                };
                let mut expected_plain: Vec<u64> = expected(None).map(|(_, _, session)| *session).collect();
                expected_plain.sort_unstable();
                prop_assert_eq!(plain, expected_plain, "{}", topic);
                let mut groups: BTreeMap<(&str, &str), Vec<u64>> = BTreeMap::new();
                for share in ["g", "h"] {
                    for (_, filter, session) in expected(Some(share)) {
                        groups.entry((share, filter)).or_default().push(*session);
                    }
                }
                let mut expected_shared: Vec<Vec<u64>> = groups.into_values().collect();
                expected_shared.sort();
                prop_assert_eq!(shared, expected_shared, "{}", topic);
                for (_, filter, _) in &held {
                    prop_assert_eq!(filter_matches(filter, topic), naive_matches(filter, topic));
                }
            }
            for (share, filter, session) in held {
                let whole = share.map_or_else(|| filter.clone(), |share| format!("$share/{share}/{filter}"));
                prop_assert!(routes.remove(&whole, (SessionId(session), FlowId::CONTROL)));
            }
            prop_assert!(routes.root.is_empty(), "nothing is left behind");
        }
    }
}
