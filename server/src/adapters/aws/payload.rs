//! Whether a request's signature covers its body.

use aws_runtime::auth::PayloadSigningOverride;
use aws_sdk_s3::{
    config::{
        ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextMut,
    },
    error::BoxError,
};

/// Tells the signer of one request what it needs to know of the body, which it
/// cannot read itself.
#[derive(Debug)]
pub(super) struct SignedPayload(PayloadSigningOverride);

impl SignedPayload {
    /// The body is not signed; its checksum is.
    pub(super) fn unsigned() -> Self {
        Self(PayloadSigningOverride::UnsignedPayload)
    }

    /// The body has this SHA-256, in hexadecimal digits.
    pub(super) fn of(sha256: String) -> Self {
        Self(PayloadSigningOverride::Precomputed(sha256))
    }
}

impl Intercept for SignedPayload {
    fn name(&self) -> &'static str {
        "SignedPayload"
    }

    fn modify_before_signing(
        &self,
        _: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(self.0.clone());
        Ok(())
    }
}
