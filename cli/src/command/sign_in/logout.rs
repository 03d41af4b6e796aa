//! `sluice logout`: ends the session that `sluice login` has begun.

use clap::Args;
use serde::Serialize;
use sluice_sdk::Kind;

use super::place;
use crate::{
    credentials::{Login, LoginStore, Secret},
    display::DisplayArguments,
    event::print_event,
    exit::Exit,
    failure::Failure,
    remote::RemoteArguments,
    settings::Settings,
    terminal,
};

#[derive(Debug, Args)]
pub(crate) struct LogoutArguments {
    #[command(flatten)]
    pub(in crate::command) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// What was ended as JSON.
#[derive(Debug, Serialize)]
struct SignedOutView<'a> {
    server: &'a str,
}

impl LogoutArguments {
    pub(in crate::command) async fn run(self) -> Result<Exit, Failure> {
        let settings = self.remote.settings()?;
        let credentials = place()?;
        let server = &*settings.server.value;
        let login = credentials.login(server)?;
        let Some(secret) = &login.secret else {
            terminal::note(&format!("nobody has signed in to {server}"));
            return Ok(Exit::Success);
        };
        let ended = match secret {
            Secret::Session(_) => end(&settings, credentials.store(server, &login)).await,
            Secret::ApiKey(_) => Ok(()),
        };
        // Whatever the server says: nothing is left here.
        credentials.change(server, Login::forget)?;
        ended?;
        if self.display.json {
            print_event("signed_out", &SignedOutView { server })?;
        }
        terminal::note(&match secret {
            Secret::Session(_) => format!("signed out of {server}"),
            Secret::ApiKey(_) => format!(
                "the API key for {server} is forgotten here; it is still good, until `sluice keys \
                 revoke`"
            ),
        });
        Ok(Exit::Success)
    }
}

/// Ends the session on the server. One that the server does not take any more
/// has ended.
async fn end(settings: &Settings, store: LoginStore) -> Result<(), Failure> {
    let session = settings.anonymous()?.with_session(store);
    let ended = match session {
        Ok(client) => client.logout().await,
        Err(error) => Err(error),
    };
    match ended.map_err(|error| (error.kind(), Failure::from(error))) {
        Ok(()) => Ok(()),
        Err((Kind::Server, failure)) if failure.exit == Exit::Denied => Ok(()),
        Err((_, failure)) => {
            let message = format!(
                "the session is forgotten here, but could not be ended on the server: {}",
                failure.message
            );
            let hint = "end it with `sluice sessions revoke` after signing in again";
            Err(Failure::new(failure.exit, message).hint(hint))
        }
    }
}
