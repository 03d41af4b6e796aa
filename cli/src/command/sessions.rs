//! `sluice sessions`: where the account is signed in.

use std::io::Write;

use clap::{Args, Subcommand};
use futures::{StreamExt, TryStreamExt};
use serde::Serialize;
use sluice_sdk::Session;

use super::examples;
use crate::{
    display::DisplayArguments, event::print_event, exit::Exit, failure::Failure,
    remote::RemoteArguments, terminal, units,
};

#[derive(Debug, Args)]
pub(crate) struct SessionsArguments {
    #[command(subcommand)]
    command: SessionsCommand,
}

#[derive(Debug, Subcommand)]
enum SessionsCommand {
    /// List the sessions that are open
    #[command(after_help = examples::SESSIONS_LS)]
    Ls(ListArguments),
    /// End sessions, wherever they are
    #[command(after_help = examples::SESSIONS_REVOKE)]
    Revoke(RevokeArguments),
}

#[derive(Debug, Args)]
struct ListArguments {
    #[command(flatten)]
    display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

#[derive(Debug, Args)]
struct RevokeArguments {
    /// Id of the session
    #[arg(value_name = "ID", required_unless_present = "others")]
    id: Option<String>,
    /// All but the one that this command is run with
    #[arg(long, conflicts_with = "id")]
    others: bool,
    #[command(flatten)]
    display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// A session as JSON.
#[derive(Debug, Serialize)]
struct SessionView<'a> {
    session_id: &'a str,
    user_agent: &'a str,
    address: &'a str,
    create_time: Option<String>,
    refresh_time: Option<String>,
    expire_time: Option<String>,
    current: bool,
}

/// What was ended as JSON.
#[derive(Debug, Serialize)]
struct RevokedView<'a> {
    /// Absent for all others.
    session_id: Option<&'a str>,
    count: u32,
}

impl SessionsArguments {
    /// What the command prints, and how.
    pub(crate) fn display(&self) -> &DisplayArguments {
        match &self.command {
            SessionsCommand::Ls(arguments) => &arguments.display,
            SessionsCommand::Revoke(arguments) => &arguments.display,
        }
    }

    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        match self.command {
            SessionsCommand::Ls(arguments) => arguments.run().await,
            SessionsCommand::Revoke(arguments) => arguments.run().await,
        }
    }
}

impl ListArguments {
    async fn run(self) -> Result<Exit, Failure> {
        let client = self.remote.connect().await?;
        let mut sessions = client.sessions().boxed();
        while let Some(session) = sessions.try_next().await? {
            let view = SessionView::from(&session);
            match self.display.json {
                true => print_event("session", &view)?,
                false => writeln!(std::io::stdout().lock(), "{}", view.line())?,
            }
        }
        Ok(Exit::Success)
    }
}

impl RevokeArguments {
    async fn run(self) -> Result<Exit, Failure> {
        let client = self.remote.connect().await?;
        let session_id = self.id.as_deref();
        let count = match session_id {
            Some(id) => {
                let revoked = client.revoke_session(id).await;
                revoked.map_err(|error| Failure::from(error).about(id))?;
                1
            }
            None => client.revoke_other_sessions().await?,
        };
        if self.display.json {
            print_event("sessions_revoked", &RevokedView { session_id, count })?;
        }
        let ended = units::count(count as usize, "session");
        terminal::note(&format!("{ended} ended"));
        Ok(Exit::Success)
    }
}

impl<'a> From<&'a Session> for SessionView<'a> {
    fn from(session: &'a Session) -> Self {
        Self {
            session_id: &session.id,
            user_agent: &session.user_agent,
            address: &session.address,
            create_time: session.create_time.map(|time| time.to_string()),
            refresh_time: session.refresh_time.map(|time| time.to_string()),
            expire_time: session.expire_time.map(|time| time.to_string()),
            current: session.current,
        }
    }
}

impl SessionView<'_> {
    /// The same as a line for people.
    fn line(&self) -> String {
        let Self { session_id, user_agent, address, .. } = self;
        let used = self.refresh_time.as_deref().unwrap_or("-");
        let current = if self.current { "  (this one)" } else { "" };
        format!("{session_id}  {used}  {address}  {user_agent}{current}")
    }
}
