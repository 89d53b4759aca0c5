//! Which texts are Topic Names, Topic Filters and Shared Subscriptions.

use quince_codec::Version::{V3_1_1, V5_0};
use quince_codec::topic::{
    SharedSubscription, TopicFilterError as Filter, TopicNameError as Name, validate_topic_filter,
    validate_topic_name,
};

#[test]
fn names() {
    let longest = "x".repeat(65_535);
    for good in ["a", "/", "a/", "/a", "a//b", "$SYS/a", " ", "ä", &longest] {
        assert_eq!(validate_topic_name(good), Ok(()), "{good:?}");
    }
    let too_long = "x".repeat(65_536);
    let bad = [
        ("", Name::Empty),
        ("#", Name::Wildcard),
        ("a/+", Name::Wildcard),
        ("a#b", Name::Wildcard),
        ("a\0", Name::NullCharacter),
        (&too_long, Name::TooLong),
    ];
    for (name, error) in bad {
        assert_eq!(validate_topic_name(name), Err(error), "{name:?}");
    }
}

#[test]
fn filters() {
    let longest = "x".repeat(65_535);
    for good in [
        "a", "#", "+", "a/#", "/#", "+/+", "a/+/b", "/", "+/#", "$SYS/#", "$share", &longest,
    ] {
        for version in [V3_1_1, V5_0] {
            assert_eq!(
                validate_topic_filter(good, version),
                Ok(()),
                "{good:?} {version}"
            );
        }
    }
    let too_long = "x".repeat(65_536);
    let bad = [
        ("", Filter::Empty),
        ("a#", Filter::MultiLevelWildcard),
        ("#/a", Filter::MultiLevelWildcard),
        ("##", Filter::MultiLevelWildcard),
        ("a/#/", Filter::MultiLevelWildcard),
        ("a+", Filter::SingleLevelWildcard),
        ("+a/b", Filter::SingleLevelWildcard),
        ("a/++", Filter::SingleLevelWildcard),
        ("a\0", Filter::NullCharacter),
        (&too_long, Filter::TooLong),
    ];
    for (filter, error) in bad {
        for version in [V3_1_1, V5_0] {
            assert_eq!(
                validate_topic_filter(filter, version),
                Err(error),
                "{filter:?} {version}"
            );
        }
    }
}

#[test]
fn shared_subscriptions() {
    let shared = SharedSubscription {
        share_name: "g",
        filter: "a/#",
    };
    assert_eq!(SharedSubscription::parse("$share/g/a/#"), Ok(Some(shared)));
    let leading = SharedSubscription {
        share_name: "g",
        filter: "/",
    };
    assert_eq!(SharedSubscription::parse("$share/g//"), Ok(Some(leading)));
    for plain in ["a", "$share", "$shared/g/a", "$SHARE/g/a"] {
        assert_eq!(SharedSubscription::parse(plain), Ok(None), "{plain:?}");
    }
    let bad = [
        ("$share/", Filter::ShareName),
        ("$share//a", Filter::ShareName),
        ("$share/g+/a", Filter::ShareName),
        ("$share/#/a", Filter::ShareName),
        ("$share/g", Filter::ShareWithoutFilter),
        ("$share/g/", Filter::ShareWithoutFilter),
        ("$share/g/a#", Filter::MultiLevelWildcard),
    ];
    for (filter, error) in bad {
        assert_eq!(
            validate_topic_filter(filter, V5_0),
            Err(error),
            "{filter:?}"
        );
    }
    // Before version 5.0 these are ordinary filters, and only the wildcard rules count.
    for (filter, valid) in [
        ("$share/", true),
        ("$share/g", true),
        ("$share/#/a", false),
        ("$share/g/#", true),
    ] {
        assert_eq!(
            validate_topic_filter(filter, V3_1_1).is_ok(),
            valid,
            "{filter:?}"
        );
    }
}
