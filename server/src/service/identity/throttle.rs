//! Who tries to sign in too often.
//!
//! Strangers are limited by the address that they come from and by the account
//! that they try. A device that has signed in to the account before has a limit
//! of its own, so that strangers cannot lock it out (OWASP, "Device cookies").

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use sha2::{Digest, Sha256};
use sluice_domain::{EmailAddress, Error, Reason, Result};
use uuid::Uuid;

use crate::service::rates::Network;

/// How often somebody may try: so many times at once, and then once in a while.
#[derive(Debug, Clone, Copy)]
pub struct Tries {
    /// At once.
    pub burst: NonZeroU32,
    /// Then once in this time.
    pub every: Duration,
}

impl Tries {
    fn quota(self) -> Quota {
        let every = self.every.max(Duration::from_nanos(1));
        Quota::with_period(every)
            .unwrap_or(Quota::per_second(NonZeroU32::MIN))
            .allow_burst(self.burst)
    }
}

/// Limits of signing in.
#[derive(Debug, Clone, Copy)]
pub struct SignInLimits {
    /// From one address.
    pub per_address: Tries,
    /// To one account, by strangers, and by each device that is known.
    pub per_account: Tries,
}

/// Counts tries.
pub struct SignInThrottle {
    addresses: DefaultKeyedRateLimiter<Network>,
    accounts: DefaultKeyedRateLimiter<[u8; 32]>,
    devices: DefaultKeyedRateLimiter<Uuid>,
    clock: DefaultClock,
}

impl SignInThrottle {
    /// Nobody has tried yet.
    pub fn new(limits: SignInLimits) -> Self {
        let (address, account) = (limits.per_address.quota(), limits.per_account.quota());
        Self {
            addresses: RateLimiter::keyed(address),
            accounts: RateLimiter::keyed(account),
            devices: RateLimiter::keyed(account),
            clock: DefaultClock::default(),
        }
    }

    /// Lets a stranger try, or says when to come again.
    pub fn stranger(&self, address: Option<IpAddr>, email: Option<&EmailAddress>) -> Result<()> {
        if let Some(address) = address {
            self.allow(&self.addresses, &Network::of(address))?;
        }
        match email {
            // The address itself need not be kept.
            Some(email) => self.allow(&self.accounts, &Sha256::digest(email.as_str()).into()),
            None => Ok(()),
        }
    }

    /// The same for a device that is known.
    pub fn device(&self, device: Uuid) -> Result<()> {
        self.allow(&self.devices, &device)
    }

    /// Forgets those who have not tried for so long that it makes no difference.
    pub fn forget(&self) {
        self.addresses.retain_recent();
        self.accounts.retain_recent();
        self.devices.retain_recent();
    }

    fn allow<K: std::hash::Hash + Eq + Clone>(
        &self,
        limiter: &DefaultKeyedRateLimiter<K>,
        key: &K,
    ) -> Result<()> {
        limiter.check_key(key).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            Error::new(Reason::RateLimited, "too many tries to sign in; wait before the next one")
                .retry_after(wait)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle() -> SignInThrottle {
        let tries = |burst| Tries {
            burst: NonZeroU32::new(burst).unwrap(),
            every: Duration::from_secs(3600),
        };
        SignInThrottle::new(SignInLimits { per_address: tries(20), per_account: tries(5) })
    }

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    fn email(text: &str) -> EmailAddress {
        EmailAddress::parse(text, "email").unwrap()
    }

    #[test]
    fn one_in_a_hundred_sprayed_tries_gets_through_at_most() {
        let throttle = throttle();
        let through = (0..10_000)
            .filter(|n| throttle.stranger(address(1), Some(&email(&format!("a{n}@b.c")))).is_ok());
        assert!(through.count() <= 100);
    }

    #[test]
    fn strangers_do_not_lock_out_a_device() {
        let throttle = throttle();
        let ada = email("ada@example.com");
        let refused = (0..100).filter_map(|n| throttle.stranger(address(n), Some(&ada)).err());
        let refused: Vec<_> = refused.collect();
        assert_eq!(refused.len(), 95);
        assert!(refused.iter().all(|error| error.retry_after.is_some()));
        throttle.device(Uuid::from_u128(7)).unwrap();
    }

    #[test]
    fn a_device_is_limited_too() {
        let throttle = throttle();
        let through = (0..100).filter(|_| throttle.device(Uuid::from_u128(7)).is_ok()).count();
        assert_eq!(through, 5);
    }
}
