//! `sluice whoami`: whose name commands are made in.

use clap::Args;

use crate::{
    display::DisplayArguments,
    event::print_event,
    exit::Exit,
    failure::Failure,
    remote::RemoteArguments,
    remote_account::{AccountView, print_fields},
    settings::KeySource,
};

#[derive(Debug, Args)]
pub(crate) struct WhoamiArguments {
    #[command(flatten)]
    pub(in crate::command) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

impl WhoamiArguments {
    pub(in crate::command) async fn run(self) -> Result<Exit, Failure> {
        let settings = self.remote.settings()?;
        let account = settings.connect(1).await?.account().await?;
        let view = AccountView::from(&account);
        if self.display.json {
            print_event("account", &view)?;
            return Ok(Exit::Success);
        }
        let by = match &settings.key.value {
            KeySource::Login(path) => format!("the login in {}", path.display()),
            KeySource::File(path) | KeySource::ThisMachine(path) => {
                format!("the API key in {}", path.display())
            }
            KeySource::Variable | KeySource::Missing => format!("{}", settings.key.origin),
        };
        let mut lines = view.lines();
        lines.extend([("server", settings.server.value.clone()), ("by", by)]);
        print_fields(&lines)?;
        Ok(Exit::Success)
    }
}
