//! How fast transfers go, and how much is under way at a time.

use clap::{Args, value_parser};
use futures::{Stream, StreamExt, stream::LocalBoxStream};
use sluice_sdk::{Client, RateLimit};

use crate::{
    failure::Failure,
    gate::Gate,
    remote::{DEFAULT_STREAMS, RemoteArguments},
    settings::Settings,
};

/// Most files in flight unless the command line says otherwise.
const DEFAULT_FILES: u16 = 64;
/// What each stream should move in a second, where there is a limit: servers
/// end streams on which nothing moves for half a minute.
const LEAST_FOR_A_STREAM: u64 = 64 * 1024;

/// For commands that read each file in one piece.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Speed")]
pub(crate) struct PaceArguments {
    /// Most files in flight, of which at most 8 are large; how many really are adapts to what helps
    /// [env: SLUICE_CONCURRENCY] [default: 64]
    #[arg(long, value_name = "COUNT", value_parser = value_parser!(u16).range(1..=1024))]
    concurrency: Option<u16>,
    /// Most bytes a second of the whole command, such as 10M (mebibytes) or 512K [env:
    /// SLUICE_LIMIT_RATE] [default: no limit]
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    limit_rate: Option<u64>,
}

/// For commands that send or fetch large files in several streams.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Speed")]
pub(crate) struct SpeedArguments {
    #[command(flatten)]
    pace: PaceArguments,
    /// Parallel streams for each large file [env: SLUICE_STREAMS] [default: 4, and more for a single
    /// upload if that helps]
    #[arg(long, value_name = "COUNT", value_parser = value_parser!(u16).range(1..=64))]
    streams: Option<u16>,
}

impl PaceArguments {
    /// The same with what the environment or the profile says, where the command
    /// line says nothing.
    pub(crate) fn settled(self, settings: &Settings) -> Self {
        Self {
            concurrency: self.concurrency.or(settings.concurrency.as_ref().map(|it| it.value)),
            limit_rate: self.limit_rate.or(settings.limit_rate.as_ref().map(|it| it.value)),
        }
    }

    /// A client of the server that keeps to the limit.
    pub(crate) async fn connect(
        &self,
        remote: &RemoteArguments,
        streams: u16,
    ) -> Result<Client, Failure> {
        let client = remote.connect_for(streams.max(DEFAULT_STREAMS)).await?;
        Ok(match self.limit_rate {
            Some(rate) => client.with_rate_limit(RateLimit::bytes_per_second(rate)),
            None => client,
        })
    }

    /// Most files in flight, each with so many streams.
    pub(crate) fn files(&self, streams: u16) -> usize {
        let files = self.streams_at_the_limit() / streams.max(1);
        self.concurrency.unwrap_or(DEFAULT_FILES).min(files.max(1)).into()
    }

    /// Lets files in, each with so many streams.
    pub(crate) fn gate(&self, client: &Client, streams: u16) -> Gate {
        Gate::new(client, self.files(streams))
    }

    fn streams_at_the_limit(&self) -> u16 {
        let streams = self.limit_rate.map(|rate| rate / LEAST_FOR_A_STREAM);
        streams.map_or(u16::MAX, |streams| u16::try_from(streams.max(1)).unwrap_or(u16::MAX))
    }
}

impl SpeedArguments {
    /// The same with what the environment or the profile says, where the command
    /// line says nothing.
    pub(crate) fn settled(self, remote: &RemoteArguments) -> Result<Self, Failure> {
        let settings = remote.settings()?;
        Ok(Self {
            streams: self.streams.or(settings.streams.as_ref().map(|it| it.value)),
            pace: self.pace.settled(&settings),
        })
    }

    /// A client of the server that keeps to the limit.
    pub(crate) async fn connect(&self, remote: &RemoteArguments) -> Result<Client, Failure> {
        self.pace.connect(remote, self.streams.unwrap_or(DEFAULT_STREAMS)).await
    }

    /// Streams for each large file: no more than the limit keeps busy.
    pub(crate) fn streams(&self) -> u16 {
        self.streams.unwrap_or(DEFAULT_STREAMS).min(self.pace.streams_at_the_limit())
    }

    /// The same for one of so many files. If it is the only one, it may have as
    /// many as help; several share what helps by their number.
    pub(crate) fn streams_of(&self, files: usize) -> Option<u16> {
        let is_set = self.streams.is_some() || self.pace.limit_rate.is_some();
        (is_set || files != 1).then(|| self.streams())
    }

    /// Most files in flight.
    pub(crate) fn files(&self) -> usize {
        self.pace.files(self.streams())
    }

    /// Works on so many files at a time. Where nothing is done about them, what
    /// is found out comes in their order.
    pub(crate) fn work_on<'a, F: Future + 'a>(
        &self,
        files: impl Stream<Item = F> + 'a,
        dry_run: bool,
    ) -> LocalBoxStream<'a, F::Output> {
        match dry_run {
            true => files.buffered(self.files()).boxed_local(),
            false => files.buffer_unordered(self.files()).boxed_local(),
        }
    }

    pub(crate) fn gate(&self, client: &Client) -> Gate {
        self.pace.gate(client, self.streams())
    }
}

/// Parses a rate for the command line. As with curl and rclone, `10M` are ten
/// mebibytes.
pub(crate) fn parse_rate(text: &str) -> Result<u64, String> {
    let text = text.strip_suffix("/s").unwrap_or(text);
    let size = match text.strip_suffix(['k', 'K', 'm', 'M', 'g', 'G']) {
        Some(_) => format!("{text}iB"),
        None => text.to_owned(),
    };
    let rate = size.parse::<bytesize::ByteSize>().map_err(|_| "a rate looks like 10M or 512K")?;
    match rate.as_u64() {
        LEAST_FOR_A_STREAM.. => Ok(rate.as_u64()),
        _ => Err("the least is 64K: a server takes slower streams for dead".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_as_with_curl_and_rclone() {
        for (text, rate) in [
            ("10M", 10 << 20),
            ("512k", 512 << 10),
            ("1G", 1 << 30),
            ("65536", 65536),
            ("10MB", 10_000_000),
            ("2MiB/s", 2 << 20),
        ] {
            assert_eq!(parse_rate(text), Ok(rate), "{text}");
        }
        for text in ["", "0", "M", "fast", "63K", "-1M"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn one_file_may_have_as_many_streams_as_help() {
        let speed = |limit_rate, streams| SpeedArguments {
            pace: PaceArguments { concurrency: None, limit_rate },
            streams,
        };
        assert_eq!(speed(None, None).streams_of(1), None);
        assert_eq!(speed(None, None).streams_of(2), Some(4));
        assert_eq!(speed(None, Some(2)).streams_of(1), Some(2));
        assert_eq!(speed(Some(1 << 20), None).streams_of(1), Some(4));
    }

    #[test]
    fn a_slow_command_has_few_streams() {
        let speed = |limit_rate| SpeedArguments {
            pace: PaceArguments { concurrency: None, limit_rate },
            streams: None,
        };
        let both = |limit| (speed(limit).files(), speed(limit).streams());
        assert_eq!(both(None), (64, 4));
        assert_eq!(both(Some(64 << 10)), (1, 1));
        assert_eq!(both(Some(1 << 20)), (4, 4));
        assert_eq!(both(Some(1 << 30)), (64, 4));
        let slow = PaceArguments { concurrency: None, limit_rate: Some(1 << 20) };
        assert_eq!(slow.files(1), 16);
    }
}
