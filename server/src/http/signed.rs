//! What signed URLs lead to. The signature stands for the owner: here, and
//! nowhere else, nobody needs another credential.

use axum::{
    Router,
    extract::{Request, State},
    response::Response,
    routing::any,
};

use super::{refusal::refusal, signed_get, signed_put};
use crate::service::{Caller, Context, identity::access, signing::link::Grant};

/// Everything below the path of signed URLs. Whatever is not exactly a signed
/// URL gets one and the same answer.
pub fn routes(context: Context) -> Router {
    Router::new()
        .route("/signed/", any(answer))
        .route("/signed/{*rest}", any(answer))
        .with_state(context)
}

async fn answer(State(context): State<Context>, request: Request) -> Response {
    // As it was sent: nothing is decoded before the signature is checked.
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let path_and_query = uri.path_and_query().map_or("", |text| text.as_str());
    let granted = match context.signing.verify(&method, path_and_query).await {
        // What an account has signed is good as long as the account may act.
        Ok(grant) => {
            let caller = Caller::of_link(grant.owner());
            access::recheck(&context, caller).await.map(|()| grant)
        }
        Err(error) => Err(error),
    };
    match granted {
        Ok(Grant::Download(grant)) => {
            signed_get::answer(&context, grant, &request.into_parts().0).await
        }
        Ok(Grant::Part(grant)) => signed_put::answer(&context, grant, request).await,
        Err(error) => refusal(error),
    }
}
