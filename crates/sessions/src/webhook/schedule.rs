//! The time of the next attempt after a delivery failed.

use std::time::Duration;

/// Delays grow fourfold up to a bound. With the defaults, 11 attempts from 5 s on, the last attempt is about a day
/// after the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySchedule {
    /// The number of attempts, including the first.
    pub attempts: u32,
    pub first_delay: Duration,
}

impl RetrySchedule {
    const GROWTH: u32 = 4;
    const LONGEST: Duration = Duration::from_hours(6);

    /// Returns the delay after `tries` attempts. `None`: no attempt follows. `asked` is the receiver's Retry-After. `jitter` is
    /// random, from 0 to 1, so that deliveries that failed together are not repeated together.
    pub fn delay(&self, tries: u32, asked: Option<Duration>, jitter: f64) -> Option<Duration> {
        if tries >= self.attempts {
            return None;
        }
        let grown = self.first_delay.saturating_mul(Self::GROWTH.saturating_pow(tries.saturating_sub(1)));
        let spread = grown.min(Self::LONGEST).mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0));
        Some(spread.max(asked.unwrap_or_default().min(Self::LONGEST)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::RetrySchedule;

    #[test]
    fn waits_grow_to_a_bound_and_are_over_after_about_a_day() {
        let schedule = RetrySchedule { attempts: 11, first_delay: Duration::from_secs(5) };
        let delays: Vec<Duration> = (1..).map_while(|tries| schedule.delay(tries, None, 0.5)).collect();
        let seconds: Vec<u64> = delays.iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [5, 20, 80, 320, 1280, 5120, 20480, 21600, 21600, 21600]);
        let hours = delays.iter().sum::<Duration>().as_secs() / 3600;
        assert!((20..30).contains(&hours), "{hours} h");
        assert_eq!(schedule.delay(2, None, 0.0), Some(Duration::from_secs(16)));
        assert_eq!(schedule.delay(2, None, 1.0), Some(Duration::from_secs(24)));
        assert_eq!(schedule.delay(2, Some(Duration::from_mins(1)), 0.5), Some(Duration::from_mins(1)));
        assert_eq!(schedule.delay(2, Some(Duration::from_hours(99)), 0.5), Some(Duration::from_hours(6)));
        assert_eq!(schedule.delay(11, Some(Duration::from_secs(1)), 0.5), None);
        let once = RetrySchedule { attempts: 1, first_delay: Duration::from_secs(5) };
        assert_eq!(once.delay(1, None, 0.5), None);
    }
}
