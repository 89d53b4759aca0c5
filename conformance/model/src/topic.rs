//! Whether a Topic Filter matches a Topic Name, level by level, as the specifications tell it (section 4.7).

use quince_codec::SharedSubscription;

/// Whether `filter` matches `topic`. A Shared Subscription matches by the filter behind its share name.
///
/// Both are taken to be valid.
#[must_use]
pub fn matches(filter: &str, topic: &str) -> bool {
    let filter = match SharedSubscription::parse(filter) {
        Ok(Some(shared)) => shared.filter,
        _ => filter,
    };
    // [MQTT5-4.7.2-1] [MQTT3-4.7.2-1]
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        // `a/#` matches `a` too: it stands for the parent level and what is below it.
        if wanted == "#" {
            return true;
        }
        match levels.next() {
            Some(level) if wanted == "+" || wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

/// Whether `filter` is a Shared Subscription.
#[must_use]
pub fn is_shared(filter: &str) -> bool {
    matches!(SharedSubscription::parse(filter), Ok(Some(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_section_4_7_tells() {
        for (filter, topic, expected) in [
            ("a/b", "a/b", true),
            ("a/b", "a/B", false),
            ("a", "a/b", false),
            ("a/b", "a", false),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/#", "ab", false),
            ("#", "a/b", true),
            ("#", "/", true),
            ("+", "a", true),
            ("+", "/a", false),
            ("/+", "/a", true),
            ("+/+", "/a", true),
            ("a/+", "a", false),
            ("a/+", "a/", true),
            ("a/+/c", "a/b/c", true),
            ("+/b/#", "a/b", true),
            ("#", "$x", false),
            ("+/a", "$x/a", false),
            ("$x/#", "$x/a", true),
            ("$x/+", "$x/a", true),
            ("$share/g/a/+", "a/b", true),
            ("$share/g/#", "$x", false),
            ("$share/g/a", "b", false),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
    }
}
