//! Topic Names, Topic Filters and Shared Subscriptions: which are valid (sections 4.7 and 4.8).

use core::fmt;

use crate::Version;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::reader::Reader;
use crate::scan::contains_any;

/// The longest Topic Name of version 3.1, in characters (section 2.2 there).
const NAME_CHARACTERS_3_1: usize = 32_767;

/// Why a text is no Topic Name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TopicNameError {
    /// It is empty [MQTT5-4.7.3-1] [MQTT3-4.7.3-1].
    Empty,
    /// It holds `+` or `#` [MQTT5-3.3.2-2] [MQTT3-3.3.2-2].
    Wildcard,
    /// It holds U+0000 [MQTT5-4.7.3-2] [MQTT3-4.7.3-2].
    NullCharacter,
    /// It is longer than 65,535 bytes [MQTT5-4.7.3-3] [MQTT3-4.7.3-3].
    TooLong,
}

/// Why a text is no Topic Filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TopicFilterError {
    /// It is empty [MQTT5-4.7.3-1] [MQTT3-4.7.3-1].
    Empty,
    /// `#` is not the whole last level [MQTT5-4.7.1-1] [MQTT3-4.7.1-2].
    MultiLevelWildcard,
    /// `+` is not the whole of its level [MQTT5-4.7.1-2] [MQTT3-4.7.1-3].
    SingleLevelWildcard,
    /// It holds U+0000 [MQTT5-4.7.3-2] [MQTT3-4.7.3-2].
    NullCharacter,
    /// It is longer than 65,535 bytes [MQTT5-4.7.3-3] [MQTT3-4.7.3-3].
    TooLong,
    /// The share name is empty or holds a wildcard [MQTT5-4.8.2-1] [MQTT5-4.8.2-2].
    ShareName,
    /// No Topic Filter follows the share name [MQTT5-4.8.2-2].
    ShareWithoutFilter,
}

impl fmt::Display for TopicNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a Topic Name has at least one character",
            Self::Wildcard => "a Topic Name has no + and no #",
            Self::NullCharacter => "a Topic Name has no U+0000",
            Self::TooLong => "a Topic Name has at most 65,535 bytes",
        })
    }
}

impl core::error::Error for TopicNameError {}

impl fmt::Display for TopicFilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a Topic Filter has at least one character",
            Self::MultiLevelWildcard => "# is the whole last level of a Topic Filter",
            Self::SingleLevelWildcard => "+ is a whole level of a Topic Filter",
            Self::NullCharacter => "a Topic Filter has no U+0000",
            Self::TooLong => "a Topic Filter has at most 65,535 bytes",
            Self::ShareName => "a share name has at least one character, and no + and no #",
            Self::ShareWithoutFilter => "a Topic Filter follows the share name",
        })
    }
}

impl core::error::Error for TopicFilterError {}

/// Whether `name` is a Topic Name, in any version; in PUBLISH and CONNECT version 3.1 takes at most 32,767 characters.
///
/// # Errors
/// If it is none, and why.
#[inline]
pub fn validate_topic_name(name: &str) -> Result<(), TopicNameError> {
    if name.is_empty() {
        return Err(TopicNameError::Empty);
    }
    if name.len() > usize::from(u16::MAX) {
        return Err(TopicNameError::TooLong);
    }
    let bytes = name.as_bytes();
    if !contains_any(bytes, [0, b'+', b'#']) {
        Ok(())
    } else if contains_any(bytes, [0]) {
        Err(TopicNameError::NullCharacter)
    } else {
        Err(TopicNameError::Wildcard)
    }
}

/// Reads the Topic Name of a packet of `version`, which may also be empty.
#[inline(always)]
pub(crate) fn decode_name<'a>(
    reader: &mut Reader<'a>,
    version: Version,
) -> Result<&'a str, DecodeError> {
    let start = *reader;
    let name = reader.topic_name()?;
    if version == Version::V3_1 && name.chars().count() > NAME_CHARACTERS_3_1 {
        return Err(start.error(DecodeErrorKind::TopicNameTooLong));
    }
    Ok(name)
}

/// Whether `filter` is a Topic Filter, or from version 5.0 on a Shared Subscription.
///
/// Before version 5.0 `$share/` at the front has no meaning of its own.
///
/// # Errors
/// If it is none, and why.
pub fn validate_topic_filter(filter: &str, version: Version) -> Result<(), TopicFilterError> {
    if filter.len() > usize::from(u16::MAX) {
        return Err(TopicFilterError::TooLong);
    }
    if filter.contains('\0') {
        return Err(TopicFilterError::NullCharacter);
    }
    match version {
        Version::V3_1 | Version::V3_1_1 => validate_levels(filter),
        Version::V5_0 => validate_levels(
            SharedSubscription::parse(filter)?.map_or(filter, |shared| shared.filter),
        ),
    }
}

fn validate_levels(filter: &str) -> Result<(), TopicFilterError> {
    if filter.is_empty() {
        return Err(TopicFilterError::Empty);
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Err(TopicFilterError::MultiLevelWildcard);
        }
        if level.contains('+') && level != "+" {
            return Err(TopicFilterError::SingleLevelWildcard);
        }
    }
    Ok(())
}

/// A Shared Subscription taken apart: `$share/share_name/filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SharedSubscription<'a> {
    /// Who shares.
    pub share_name: &'a str,
    /// What is shared; not empty, otherwise unchecked.
    pub filter: &'a str,
}

impl<'a> SharedSubscription<'a> {
    /// What a filter must begin with to be a Shared Subscription.
    pub const PREFIX: &'static str = "$share/";

    /// Takes a filter of version 5.0 apart; `None` if it is an ordinary one.
    ///
    /// # Errors
    /// If it begins like a Shared Subscription but has no valid share name, or no filter after it.
    pub fn parse(filter: &'a str) -> Result<Option<Self>, TopicFilterError> {
        let Some(shared) = filter.strip_prefix(Self::PREFIX) else {
            return Ok(None);
        };
        let (share_name, filter) = shared.split_once('/').unwrap_or((shared, ""));
        if share_name.is_empty() || share_name.contains(['+', '#']) {
            return Err(TopicFilterError::ShareName);
        }
        if filter.is_empty() {
            return Err(TopicFilterError::ShareWithoutFilter);
        }
        Ok(Some(Self { share_name, filter }))
    }
}
