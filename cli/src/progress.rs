//! How transfers look while they are under way: bars on a terminal, a line now
//! and then elsewhere, or nothing. Always on standard error.

use std::{
    io::{self, IsTerminal},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use clap::ValueEnum;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use sluice_sdk::Progress;
use tokio::{task::JoinHandle, time};

use crate::{terminal, units};

/// Pause between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(2);
/// A file that is done in less time needs no bar of its own.
const BAR_FROM: u64 = 8 * 1024 * 1024;

const FILE_BAR: &str = "{prefix:26} [{wide_bar:.cyan}] {percent:>3}% {binary_bytes:>11} \
                        {binary_bytes_per_sec:>13} {eta:>4}";
const TOTAL_BAR: &str = "{prefix:26.bold} [{wide_bar:.green}] {percent:>3}% {binary_bytes:>11} \
                         {binary_bytes_per_sec:>13} {eta:>4}";
const UNKNOWN_SIZE: &str = "{prefix:26} {spinner} {binary_bytes:>11} {binary_bytes_per_sec:>13}";
const TROUBLE: &str = "{prefix:26} {binary_bytes:>11}  {wide_msg:.yellow}";

/// What `--progress` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    // Without comments for the help, which shows them on lines of their own.
    Auto,
    Bar,
    Plain,
    None,
}

/// All transfers of one command.
pub(crate) struct Board {
    totals: Arc<Totals>,
    look: Look,
    started: Instant,
}

enum Look {
    Bars { all: MultiProgress, total: Option<ProgressBar> },
    Lines(JoinHandle<()>),
    Nothing,
}

#[derive(Default)]
struct Totals {
    files: AtomicUsize,
    /// Counts only as long as all sizes are known.
    bytes: AtomicU64,
    size_unknown: bool,
    /// Whether more files may be expected at any time.
    growing: bool,
    files_done: AtomicUsize,
    there: AtomicU64,
    /// What was there before the command began.
    resumed: AtomicU64,
    /// Why something does not move.
    trouble: Mutex<Option<String>>,
}

impl Board {
    /// A board for files of these sizes; the size of a stream is not known.
    pub(crate) fn new(mode: ProgressMode, sizes: &[Option<u64>]) -> Self {
        Self::with(
            mode,
            Totals {
                files: sizes.len().into(),
                bytes: sizes.iter().flatten().sum::<u64>().into(),
                size_unknown: sizes.contains(&None),
                ..Totals::default()
            },
        )
    }

    /// A board for files that become known one after the other.
    pub(crate) fn growing(mode: ProgressMode) -> Self {
        Self::with(mode, Totals { growing: true, ..Totals::default() })
    }

    fn with(mode: ProgressMode, totals: Totals) -> Self {
        let totals = Arc::new(totals);
        let terminal = io::stderr().is_terminal();
        let look = match mode {
            ProgressMode::Bar => Look::bars(&totals),
            ProgressMode::Auto if terminal => Look::bars(&totals),
            ProgressMode::Auto | ProgressMode::Plain => Look::Lines(print_lines(totals.clone())),
            ProgressMode::None => Look::Nothing,
        };
        Self { totals, look, started: Instant::now() }
    }

    /// One more file, on a board that grows.
    pub(crate) fn expect(&self, size: u64) {
        self.totals.files.fetch_add(1, Ordering::Relaxed);
        let bytes = self.totals.bytes.fetch_add(size, Ordering::Relaxed) + size;
        if let Look::Bars { total: Some(total), .. } = &self.look {
            total.set_length(bytes);
        }
    }

    /// A place for one file, which is shown once it is under way.
    pub(crate) fn row(self: &Arc<Self>, name: &str, size: Option<u64>) -> Row {
        let bar = match &self.look {
            Look::Bars { all, total } if self.totals.is_one() || size.is_none_or(is_large) => {
                let bar = file_bar(name, size);
                Some(match total {
                    Some(total) => all.insert_before(total, bar),
                    None => all.add(bar),
                })
            }
            _ => None,
        };
        Row {
            board: self.clone(),
            bar,
            position: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            trouble: Mutex::default(),
        }
    }

    /// Prints above the bars.
    pub(crate) fn print<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.look {
            Look::Bars { all, .. } => all.suspend(print),
            Look::Lines(_) | Look::Nothing => print(),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Nothing more comes.
    pub(crate) fn finish(&self) {
        match &self.look {
            Look::Bars { all, total } => {
                if let Some(total) = total {
                    total.finish_and_clear();
                }
                let _ = all.clear();
            }
            Look::Lines(task) => task.abort(),
            Look::Nothing => {}
        }
    }
}

impl Look {
    fn bars(totals: &Totals) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let total = (!totals.is_one()).then(|| {
            let bytes = totals.known_bytes().unwrap_or(0);
            let bar = ProgressBar::new(bytes).with_style(style(TOTAL_BAR));
            let files = totals.files.load(Ordering::Relaxed);
            all.add(bar.with_prefix(format!("0 of {files} files")))
        });
        Self::Bars { all, total }
    }
}

/// One file on the board. Disappears when it is dropped.
pub(crate) struct Row {
    board: Arc<Board>,
    bar: Option<ProgressBar>,
    position: AtomicU64,
    resumed: AtomicU64,
    /// What is shown of [`Progress::trouble`].
    trouble: Mutex<Option<String>>,
}

impl Row {
    /// Shows how far the file is.
    pub(crate) fn update(&self, progress: &Progress) {
        self.move_to(progress.position());
        if let Some(bar) = &self.bar {
            if let Some(total) = progress.total {
                bar.set_length(total);
            }
            bar.set_position(progress.position());
        }
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if *trouble != progress.trouble {
            trouble.clone_from(&progress.trouble);
            self.show_trouble(progress);
        }
    }

    /// Shows that so many bytes are done.
    pub(crate) fn at(&self, position: u64) {
        self.move_to(position);
        if let Some(bar) = &self.bar {
            bar.set_position(position);
        }
    }

    fn show_trouble(&self, progress: &Progress) {
        let totals = &self.board.totals;
        totals.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&progress.trouble);
        let Some(bar) = &self.bar else { return };
        match (&progress.trouble, progress.total) {
            (Some(trouble), _) => {
                bar.set_style(style(TROUBLE));
                bar.set_message(format!("waiting: {trouble}"));
            }
            (None, Some(_)) => bar.set_style(style(FILE_BAR)),
            (None, None) => bar.set_style(style(UNKNOWN_SIZE)),
        }
    }

    /// These bytes were there already: they say nothing about the speed.
    pub(crate) fn resumed(&self, bytes: u64) {
        let before = self.resumed.swap(bytes, Ordering::Relaxed);
        let resumed = &self.board.totals.resumed;
        resumed.fetch_add(bytes.wrapping_sub(before), Ordering::Relaxed);
        self.move_to(bytes);
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
            bar.reset_eta();
        }
        if let Look::Bars { total: Some(total), .. } = &self.board.look {
            total.reset_eta();
        }
    }

    /// The file is done, and so are all its bytes.
    pub(crate) fn done(&self, size: u64) {
        self.move_to(size);
        let files_done = self.board.totals.files_done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Look::Bars { total: Some(total), .. } = &self.board.look {
            let files = self.board.totals.files.load(Ordering::Relaxed);
            total.set_prefix(format!("{files_done} of {files} files"));
        }
    }

    fn move_to(&self, position: u64) {
        let totals = &self.board.totals;
        let before = self.position.swap(position, Ordering::Relaxed);
        // Wraps around and back where a position falls.
        totals.there.fetch_add(position.wrapping_sub(before), Ordering::Relaxed);
        if let Look::Bars { total: Some(total), .. } = &self.board.look {
            total.set_position(totals.there.load(Ordering::Relaxed));
        }
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        if let (Some(bar), Look::Bars { all, .. }) = (&self.bar, &self.board.look) {
            bar.finish_and_clear();
            all.remove(bar);
        }
    }
}

impl Totals {
    /// Whether there is one file and will be no other.
    fn is_one(&self) -> bool {
        !self.growing && self.files.load(Ordering::Relaxed) == 1
    }

    fn known_bytes(&self) -> Option<u64> {
        (!self.size_unknown).then(|| self.bytes.load(Ordering::Relaxed))
    }

    fn line(&self, elapsed: Duration) -> String {
        let there = self.there.load(Ordering::Relaxed);
        let sent = there.saturating_sub(self.resumed.load(Ordering::Relaxed));
        let files = match self.files.load(Ordering::Relaxed) {
            _ if self.is_one() => String::new(),
            // What there will be is not known.
            _ if self.growing => {
                let done = self.files_done.load(Ordering::Relaxed);
                format!("{}, ", units::count(done, "file"))
            }
            files => format!("{} of {files} files, ", self.files_done.load(Ordering::Relaxed)),
        };
        let bytes = match self.known_bytes() {
            Some(bytes) if !self.growing => format!(
                "{} % ({} of {})",
                units::percent(there, bytes),
                units::bytes(there),
                units::bytes(bytes)
            ),
            _ => units::bytes(there).to_string(),
        };
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = trouble.iter().map(|trouble| format!("; waiting: {trouble}"));
        let trouble: String = trouble.collect();
        format!("{files}{bytes}, {}{trouble}", units::rate(sent, elapsed))
    }
}

fn print_lines(totals: Arc<Totals>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let started = Instant::now();
        loop {
            time::sleep(LINE_INTERVAL).await;
            terminal::note(&totals.line(started.elapsed()));
        }
    })
}

/// The bar of one file, as it is at its beginning.
pub(crate) fn file_bar(name: &str, size: Option<u64>) -> ProgressBar {
    let bar = match size {
        Some(size) => ProgressBar::new(size).with_style(style(FILE_BAR)),
        None => ProgressBar::no_length().with_style(style(UNKNOWN_SIZE)),
    };
    bar.with_prefix(shortened(name))
}

fn is_large(size: u64) -> bool {
    size > BAR_FROM
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("█▉▊▋▌▍▎▏ ")
}

/// The end of a name tells files apart.
fn shortened(name: &str) -> String {
    const WIDTH: usize = 26;
    let length = name.chars().count();
    match length.checked_sub(WIDTH) {
        None | Some(0) => name.to_owned(),
        Some(_) => format!("…{}", name.chars().skip(length - WIDTH + 1).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_valid() {
        for template in [FILE_BAR, TOTAL_BAR, UNKNOWN_SIZE, TROUBLE] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(shortened("holiday.mp4"), "holiday.mp4");
        let short = shortened("2024/summer/photographs/holiday.mp4");
        assert_eq!(short.chars().count(), 26);
        assert!(short.starts_with('…') && short.ends_with("/holiday.mp4"));
    }

    #[test]
    fn a_line_says_files_bytes_and_speed() {
        let totals = Totals { files: 3.into(), bytes: 4096.into(), ..Totals::default() };
        totals.there.store(2048, Ordering::Relaxed);
        totals.resumed.store(1024, Ordering::Relaxed);
        totals.files_done.store(1, Ordering::Relaxed);
        let line = totals.line(Duration::from_secs(1));
        assert_eq!(line, "1 of 3 files, 50 % (2.00 KiB of 4.00 KiB), 1.00 KiB/s");
    }
}
