//! How much to have in flight: more as long as that helps, half when the server
//! asks to slow down.

/// More in flight has to move this much more to be worth it.
const HELPS: f64 = 1.05;
/// Samples between two attempts to have more in flight.
const PAUSE: u32 = 6;
/// How much a new sample changes what is expected of the present number.
const WEIGHT: f64 = 0.3;

/// Decides by samples, without a clock of its own.
#[derive(Debug)]
pub struct Tempo {
    limit: usize,
    most: usize,
    phase: Phase,
}

/// What was moved for each second, where more is better.
type Rate = f64;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Nothing is known.
    Unknown { doubling: bool },
    /// Whether this is better than the rate of the smaller number is to be seen.
    Trying { before: usize, rate: Rate, doubling: bool },
    /// More did not help lately.
    Content { rate: Rate, pause: u32 },
}

/// A look at some time of work.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// What was moved for each second, in any unit; more is better.
    pub rate: f64,
    /// Whether there was more to do than was allowed in flight.
    pub was_full: bool,
    /// Whether the server asked to slow down.
    pub was_slowed: bool,
}

impl Tempo {
    /// Begins with `first` and never allows more than `most`, nor less than one.
    pub fn new(first: usize, most: usize) -> Self {
        let most = most.max(1);
        Self { limit: first.clamp(1, most), most, phase: Phase::Unknown { doubling: true } }
    }

    /// How much may be in flight.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Learns from some time of work.
    pub fn observe(&mut self, sample: Sample) {
        if sample.was_slowed {
            self.limit = (self.limit / 2).max(1);
            self.phase = Phase::Content { rate: sample.rate / 2.0, pause: PAUSE };
            return;
        }
        if !sample.was_full {
            return;
        }
        match self.phase {
            Phase::Unknown { doubling } => self.try_more(sample.rate, doubling),
            Phase::Trying { rate, doubling, .. } if sample.rate > rate * HELPS => {
                self.try_more(sample.rate, doubling);
            }
            Phase::Trying { before, rate, .. } => {
                self.limit = before;
                self.phase = Phase::Content { rate, pause: PAUSE };
            }
            Phase::Content { rate, pause } => {
                let rate = WEIGHT.mul_add(sample.rate - rate, rate);
                match pause.checked_sub(1) {
                    Some(pause) => self.phase = Phase::Content { rate, pause },
                    None => self.try_more(rate, false),
                }
            }
        }
    }

    fn try_more(&mut self, rate: Rate, doubling: bool) {
        let before = self.limit;
        let step = if doubling { before } else { (before / 8).max(1) };
        self.limit = (before + step).min(self.most);
        self.phase = match self.limit > before {
            true => Phase::Trying { before, rate, doubling },
            false => Phase::Content { rate, pause: PAUSE },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: usize = 8;

    /// Lets a server of this behaviour be used; answers the last limit.
    fn after(samples: u32, most: usize, behaviour: impl Fn(usize) -> (Rate, bool)) -> usize {
        let mut tempo = Tempo::new(FIRST, most);
        for _ in 0..samples {
            let (rate, was_slowed) = behaviour(tempo.limit());
            tempo.observe(Sample { rate, was_full: true, was_slowed });
            assert!((1..=most).contains(&tempo.limit()), "{tempo:?}");
        }
        tempo.limit()
    }

    #[test]
    fn what_always_helps_is_used_up_to_the_limit() {
        assert_eq!(after(10, 64, |limit| (limit as f64, false)), 64);
        assert_eq!(after(10, 3, |limit| (limit as f64, false)), 3);
        assert_eq!(after(10, 1, |limit| (limit as f64, false)), 1);
    }

    #[test]
    fn what_does_not_help_is_left() {
        let limit = after(100, 1000, |limit| (limit.min(40) as f64, false));
        // Twice as many at first, an eighth more later: so exact it is.
        assert!((40..=72).contains(&limit), "{limit} in flight where 40 are enough");
        assert_eq!(after(5, 1000, |_| (100.0, false)), FIRST);
    }

    #[test]
    fn a_server_that_asks_to_slow_down_is_obeyed_and_tried_again_later() {
        let mut tempo = Tempo::new(FIRST, 64);
        let sample = |rate, was_slowed| Sample { rate, was_full: true, was_slowed };
        tempo.observe(sample(8.0, false));
        tempo.observe(sample(16.0, false));
        assert_eq!(tempo.limit(), 32);
        tempo.observe(sample(10.0, true));
        tempo.observe(sample(10.0, true));
        assert_eq!(tempo.limit(), 8);
        for _ in 0..PAUSE {
            tempo.observe(sample(8.0, false));
            assert_eq!(tempo.limit(), 8);
        }
        tempo.observe(sample(8.0, false));
        assert_eq!(tempo.limit(), 9);

        // A server that refuses more than ten at a time.
        let limit = after(200, 64, |limit| (limit.min(10) as f64, limit > 10));
        assert!((4..=11).contains(&limit), "{limit} in flight");
    }

    #[test]
    fn where_there_is_little_to_do_nothing_is_learnt() {
        let mut tempo = Tempo::new(FIRST, 64);
        tempo.observe(Sample { rate: 1.0, was_full: false, was_slowed: false });
        assert_eq!(tempo.limit(), FIRST);
    }
}
