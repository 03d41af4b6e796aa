//! The configuration of a server, without starting one.

use std::env;

use sluice_server::{
    config::{Config, Overrides, ValueOrigin},
    edge::Tls,
};

use crate::{
    command::serve::ServerArguments,
    failure::Failure,
    remote::RemoteArguments,
    settings::{KeySource, ShownSetting, variable},
};

/// What the command line says, as for `sluice serve`.
pub(in crate::command) fn overrides(
    remote: &RemoteArguments,
    server: &ServerArguments,
) -> Overrides {
    let path = |name| env::var_os(name).filter(|value| !value.is_empty()).map(Into::into);
    Overrides {
        config_file: remote.config.clone().or_else(|| path("SLUICE_CONFIG")),
        data_dir: remote.data_dir.clone().or_else(|| path(variable::DATA_DIR)),
        listen: server.listen,
        log_level: server.log_level.clone(),
    }
}

/// The configuration, which was found to be right.
pub(in crate::command) fn check(overrides: &Overrides) -> Result<Config, Failure> {
    let config = Config::load(overrides, &KeySource::default_folder())
        .map_err(|error| Failure::usage(error.to_string()))?;
    sluice_server::logging::check(&config.log)
        .map_err(|error| Failure::usage(format!("configuration: {error}")))?;
    if config.tls.is_on() {
        Tls::load(&config.tls)
            .map_err(|error| Failure::usage(format!("configuration: {error}")))?;
    }
    Ok(config)
}

/// Every setting of a server that would be started so.
pub(super) fn shown(overrides: &Overrides) -> Result<Vec<ShownSetting>, Failure> {
    let effective = Config::effective(overrides, &KeySource::default_folder());
    let effective = effective.map_err(|error| Failure::usage(error.to_string()))?;
    let shown = effective.into_iter().map(|it| ShownSetting {
        key: it.key,
        value: it.value,
        origin: match &it.origin {
            ValueOrigin::Flag(_) => "flag",
            ValueOrigin::Environment(_) => "environment",
            ValueOrigin::File { .. } => "file",
            ValueOrigin::Default => "default",
        },
        source: match it.origin {
            ValueOrigin::Default => None,
            origin => Some(origin.to_string()),
        },
    });
    Ok(shown.collect())
}
