//! Who gets a topic: an immutable snapshot of all subscriptions as a tree of topic levels.
//!
//! A change copies only the nodes on its path, and only those that a reader still holds (`Arc::make_mut`).
//! Readers take the `Arc`, match, and let go.

use std::collections::BTreeMap;
use std::sync::Arc;

use quince_codec::SubscriptionOptions;

use crate::identifier::{FlowId, SessionId};
use crate::mailbox::Mailbox;

/// Whose subscription it is. A Session may hold the same filter once per flow.
pub(crate) type SubscriberKey = (SessionId, FlowId);

/// One subscription as a publisher sees it.
#[derive(Clone, Debug)]
pub(crate) struct Subscriber {
    pub(crate) key: SubscriberKey,
    pub(crate) client_id: Arc<str>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) options: SubscriptionOptions,
    pub(crate) identifier: Option<u32>,
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
        let shared = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
        match shared {
            Some((share, filter)) => Self { share: Some(share), filter },
            None => Self { share: None, filter },
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
        let Some(share) = share else { return self.plain.remove(&key).is_some() };
        let Some(group) = self.shared.get_mut(share) else { return false };
        let removed = group.remove(&key).is_some();
        if group.is_empty() {
            self.shared.remove(share);
        }
        removed
    }

    fn collect<'a>(&'a self, matches: &mut Matches<'a>) {
        matches.plain.extend(self.plain.values());
        matches.shared.extend(self.shared.values().map(|group| group.values().collect::<Vec<_>>()));
    }
}

#[derive(Clone, Debug, Default)]
struct Node {
    children: BTreeMap<Arc<str>, Arc<Node>>,
    /// What follows the level `+`.
    single: Option<Arc<Node>>,
    /// Filters that end here.
    here: Subscribers,
    /// Filters that end with `#` below here, which includes here [section 4.7.1.2].
    below: Subscribers,
}

impl Node {
    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.single.is_none() && self.here.is_empty() && self.below.is_empty()
    }

    fn insert(&mut self, levels: Option<&str>, share: Option<&str>, subscriber: Subscriber) -> bool {
        let Some(levels) = levels else { return self.here.insert(share, subscriber) };
        let (level, rest) = split_level(levels);
        match level {
            "#" => self.below.insert(share, subscriber),
            "+" => Arc::make_mut(self.single.get_or_insert_default()).insert(rest, share, subscriber),
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
        let Some(levels) = levels else { return self.here.remove(share, key) };
        let (level, rest) = split_level(levels);
        match level {
            "#" => self.below.remove(share, key),
            "+" => {
                let Some(child) = &mut self.single else { return false };
                let removed = Arc::make_mut(child).remove(rest, share, key);
                if child.is_empty() {
                    self.single = None;
                }
                removed
            }
            _ => {
                let Some(child) = self.children.get_mut(level) else { return false };
                let removed = Arc::make_mut(child).remove(rest, share, key);
                if child.is_empty() {
                    self.children.remove(level);
                }
                removed
            }
        }
    }

    fn collect<'a>(&'a self, levels: Option<&str>, wildcards: Wildcards, matches: &mut Matches<'a>) {
        if wildcards == Wildcards::Match {
            self.below.collect(matches);
        }
        let Some(levels) = levels else { return self.here.collect(matches) };
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
        if self.root.insert(Some(route.filter), route.share, subscriber) {
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
        let wildcards = if topic.starts_with('$') { Wildcards::Skip } else { Wildcards::Match };
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
