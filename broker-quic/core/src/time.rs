//! Time as an argument: milliseconds since an origin that only the driver knows.

use core::time::Duration;

/// A point in time in whole milliseconds. The origin is the driver's own; only differences and order mean anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The origin.
    pub const ZERO: Self = Self(0);

    /// The point `milliseconds` after the origin.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since the origin.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This point plus `milliseconds`, stopping at the end of the range.
    #[must_use]
    pub const fn plus_millis(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// This point plus `seconds`, stopping at the end of the range.
    #[must_use]
    pub const fn plus_secs(self, seconds: u64) -> Self {
        self.plus_millis(seconds.saturating_mul(1000))
    }

    /// How long it is from `earlier` to this point; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Whole seconds left until `deadline`, a begun second counting as a whole one; zero when it has passed.
    #[must_use]
    pub(crate) fn seconds_until(self, deadline: Self) -> u32 {
        let left = deadline.0.saturating_sub(self.0).div_ceil(1000);
        u32::try_from(left).unwrap_or(u32::MAX)
    }
}

impl core::ops::Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        self.plus_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}
