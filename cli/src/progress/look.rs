//! What is on the screen.

use std::sync::atomic::Ordering;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use super::totals::Totals;

/// A file that is done in less time needs no bar of its own.
const BAR_FROM: u64 = 8 * 1024 * 1024;

pub(super) const FILE_BAR: &str = "{prefix:26} [{wide_bar:.cyan}] {percent:>3}% {binary_bytes:>11} \
                        {binary_bytes_per_sec:>13} {eta:>4}";
const TOTAL_BAR: &str = "{prefix:26.bold} [{wide_bar:.green}] {percent:>3}% {binary_bytes:>11} \
                         {binary_bytes_per_sec:>13} {eta:>4}";
pub(super) const UNKNOWN_SIZE: &str =
    "{prefix:26} {spinner} {binary_bytes:>11} {binary_bytes_per_sec:>13}";
pub(super) const TROUBLE: &str = "{prefix:26} {binary_bytes:>11}  {wide_msg:.yellow}";

/// How progress is shown.
pub(super) enum Look {
    Bars { all: MultiProgress, total: Option<ProgressBar> },
    Lines(JoinHandle<()>),
    Nothing,
}

impl Look {
    pub(super) fn bars(totals: &Totals) -> Self {
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

/// The bar of one file, as it is at its beginning.
pub(crate) fn file_bar(name: &str, size: Option<u64>) -> ProgressBar {
    let bar = match size {
        Some(size) => ProgressBar::new(size).with_style(style(FILE_BAR)),
        None => ProgressBar::no_length().with_style(style(UNKNOWN_SIZE)),
    };
    bar.with_prefix(shortened(name))
}

/// Whether a file is worth a bar among others.
pub(super) fn is_large(size: u64) -> bool {
    size > BAR_FROM
}

pub(super) fn style(template: &str) -> ProgressStyle {
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
}
