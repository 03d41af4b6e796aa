//! What a browser does with a file: the header `Content-Disposition` (RFC 6266).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::service::signing::link::Disposition;

/// Types that a browser may show: none can hold script, nor anything else that
/// acts. HTML, SVG, XML and PDF are not among them, and never may be.
const HARMLESS: [&str; 20] = [
    "audio/aac",
    "audio/flac",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/wav",
    "audio/webm",
    "audio/x-wav",
    "image/avif",
    "image/bmp",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "text/plain",
    "video/mp4",
    "video/mpeg",
    "video/ogg",
    "video/quicktime",
    "video/webm",
];

/// All but the attr-char of RFC 8187.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Whether a browser may show a file of this type: if that was wanted and it is
/// harmless.
pub fn is_shown(wanted: Disposition, content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim_end();
    wanted == Disposition::Inline && HARMLESS.contains(&essence)
}

/// The value of `Content-Disposition` for a file that is shown, or else saved
/// under the last segment of its name.
pub fn content_disposition(is_shown: bool, name: &str) -> String {
    let kind = if is_shown { "inline" } else { "attachment" };
    let name = name.rsplit('/').next().unwrap_or_default();
    // For programs that do not know `filename*`. Browsers differ in what they
    // make of quotes, backslashes and percent signs, so there are none.
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    if plain == name {
        return format!("{kind}; filename=\"{plain}\"");
    }
    let encoded = utf8_percent_encode(name, ENCODED);
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_types_are_shown() {
        let shown = |content_type| is_shown(Disposition::Inline, content_type);
        for content_type in ["image/png", "text/plain; charset=utf-8", "video/mp4"] {
            assert!(shown(content_type), "{content_type}");
        }
        for content_type in [
            "text/html",
            "image/svg+xml",
            "application/xhtml+xml",
            "text/xml",
            "application/pdf",
            "text/javascript",
            "application/octet-stream",
            "image/png+xml",
            "image/*",
            "",
        ] {
            assert!(!shown(content_type), "{content_type}");
        }
        assert!(!is_shown(Disposition::Attachment, "image/png"));
        assert_eq!(content_disposition(true, "a"), "inline; filename=\"a\"");
    }

    #[test]
    fn a_name_is_its_last_segment_and_cannot_break_out() {
        for (name, expect) in [
            ("a/b/report 1.txt", "filename=\"report 1.txt\""),
            ("a\"; x=\"y", "filename=\"a_; x=_y\"; filename*=UTF-8''a%22%3B%20x%3D%22y"),
            ("100%.txt", "filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
            ("naïve.txt", "filename=\"na_ve.txt\"; filename*=UTF-8''na%C3%AFve.txt"),
            ("\u{202e}gpj.exe", "filename=\"_gpj.exe\"; filename*=UTF-8''%E2%80%AEgpj.exe"),
            ("a'b*c(d)", "filename=\"a'b*c(d)\""),
        ] {
            let value = content_disposition(false, name);
            assert_eq!(value, format!("attachment; {expect}"));
        }
    }
}
