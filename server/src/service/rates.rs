//! How many requests somebody may make in a second.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use sluice_domain::{Error, Reason, Result};

use super::Caller;
use crate::ports::Actor;

/// Where somebody comes from: an IPv4 address, or an IPv6 network of 64 bits,
/// because whoever has one address of it has all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl Network {
    /// The network of an address.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from(network))
            }
            address => address,
        })
    }
}

/// Requests in a second; twice as many at once.
#[derive(Debug, Clone, Copy)]
pub struct RateLimits {
    /// From one address.
    pub per_address: NonZeroU32,
    /// By one account, with whatever credentials.
    pub per_account: NonZeroU32,
    /// With one session or API key.
    pub per_credential: NonZeroU32,
}

/// Counts requests.
pub struct Rates {
    addresses: DefaultKeyedRateLimiter<Network>,
    accounts: DefaultKeyedRateLimiter<sluice_domain::AccountId>,
    actors: DefaultKeyedRateLimiter<Actor>,
    clock: DefaultClock,
}

impl Rates {
    /// Nobody has asked for anything yet.
    pub fn new(limits: RateLimits) -> Self {
        let quota =
            |rate: NonZeroU32| Quota::per_second(rate).allow_burst(rate.saturating_add(rate.get()));
        Self {
            addresses: RateLimiter::keyed(quota(limits.per_address)),
            accounts: RateLimiter::keyed(quota(limits.per_account)),
            actors: RateLimiter::keyed(quota(limits.per_credential)),
            clock: DefaultClock::default(),
        }
    }

    /// Lets a request in, or says when to come again.
    pub fn of_address(&self, address: IpAddr) -> Result<()> {
        self.allow(&self.addresses, &Network::of(address), "from this address")
    }

    /// The same once it is known whose it is.
    pub fn of_caller(&self, caller: Caller) -> Result<()> {
        self.allow(&self.accounts, &caller.owner, "of this account")?;
        match caller.credential.actor() {
            Actor::Signature => Ok(()),
            actor => self.allow(&self.actors, &actor, "with this credential"),
        }
    }

    /// Forgets those who have asked for nothing for so long that it makes no
    /// difference.
    pub fn forget(&self) {
        self.addresses.retain_recent();
        self.accounts.retain_recent();
        self.actors.retain_recent();
    }

    fn allow<K: std::hash::Hash + Eq + Clone>(
        &self,
        limiter: &DefaultKeyedRateLimiter<K>,
        key: &K,
        whose: &str,
    ) -> Result<()> {
        limiter.check_key(key).map_err(|until| {
            let message = format!("too many requests {whose}; slow down");
            let wait = until.wait_time_from(self.clock.now());
            Error::new(Reason::RateLimited, message).retry_after(wait)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_of_a_network_count_as_one() {
        let network = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }

    #[test]
    fn what_is_too_much_is_refused_with_a_time_to_wait() {
        let one = NonZeroU32::MIN;
        let limits = RateLimits { per_address: one, per_account: one, per_credential: one };
        let rates = Rates::new(limits);
        let ask = || rates.of_address(IpAddr::from([192, 0, 2, 1]));
        let refused: Vec<_> = (0..10).filter_map(|_| ask().err()).collect();
        assert!(refused.len() >= 7, "{} refused", refused.len());
        for error in refused {
            assert_eq!(error.reason, Reason::RateLimited);
            assert!(error.retry_after.is_some_and(|wait| !wait.is_zero()));
        }
    }
}
