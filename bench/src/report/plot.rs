//! The medians as bars, in an SVG of two columns.

use std::fmt::{self, Write};

use super::tables::number;
use crate::{
    case::{Group, Metric},
    results::{Results, Row},
};

/// Sizes in pixels.
const COLUMN: usize = 460;
const MARGIN: usize = 24;
const LEGEND: usize = 32;
const TITLE: usize = 34;
const ROW: usize = 31;
const BAR: usize = 11;
/// The longest bar; beside it is room for its number.
const LONGEST: f64 = 330.0;

/// Bars that are compared with each other.
struct Panel<'a> {
    title: String,
    bars: Vec<Bar<'a>>,
}

struct Bar<'a> {
    label: &'a str,
    median: f64,
    range: (f64, f64),
}

/// What is drawn, in this order.
const PANELS: [(Group, Metric); 8] = [
    (Group::File, Metric::Throughput),
    (Group::File, Metric::ServerCpu),
    (Group::Transport, Metric::Throughput),
    (Group::Small, Metric::Files),
    (Group::Clients, Metric::Throughput),
    (Group::Clients, Metric::Files),
    (Group::Sizes, Metric::Throughput),
    (Group::S3, Metric::Throughput),
];

/// Draws what was measured; whiskers go from the lowest to the highest value.
pub(super) fn draw(results: &Results) -> Result<String, fmt::Error> {
    let panels: Vec<Panel> = PANELS
        .into_iter()
        .flat_map(|(group, metric)| panels(results, group, metric))
        .filter(|panel| panel.bars.len() > 1)
        .collect();
    let (mut body, mut heights) = (String::new(), [MARGIN + LEGEND, MARGIN + LEGEND]);
    write_legend(&mut body)?;
    for panel in &panels {
        let column = usize::from(heights[1] < heights[0]);
        let x = MARGIN + column * (COLUMN + MARGIN);
        write_panel(&mut body, panel, x, heights[column])?;
        heights[column] += TITLE + panel.bars.len() * ROW + MARGIN;
    }
    let (width, height) = (2 * COLUMN + 3 * MARGIN, heights[0].max(heights[1]));
    let mut svg = String::new();
    writeln!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">
<style>.ours{{fill:#1769aa}}.others{{fill:#d98324}}.limit{{fill:#8a939b}}.range{{stroke:#22272b;stroke-width:1.2}}.title{{font-size:14px;font-weight:bold}}</style>
<rect width="{width}" height="{height}" fill="white"/>"#
    )?;
    writeln!(svg, "{body}</svg>")?;
    Ok(svg)
}

/// The bars of a column. Rows whose names begin with the size of their files
/// have a panel for each size.
fn panels(results: &Results, group: Group, metric: Metric) -> Vec<Panel<'_>> {
    let mut panels: Vec<Panel> = Vec::new();
    for row in results.rows.iter().filter(|row| row.group == group) {
        let Some(column) = row.column(metric) else { continue };
        let (title, label) = title_and_label(row, metric);
        let bar = Bar { label, median: column.median(), range: column.range() };
        match panels.iter_mut().find(|panel| panel.title == title) {
            Some(panel) => panel.bars.push(bar),
            None => panels.push(Panel { title, bars: vec![bar] }),
        }
    }
    panels
}

fn title_and_label(row: &Row, metric: Metric) -> (String, &str) {
    let of_size = row.name.split_once(": ").filter(|_| row.group == Group::Small);
    match of_size {
        Some((size, label)) => (format!("Files of {size}, {}", metric.title()), label),
        None => (format!("{}: {}", row.group.title(), metric.title()), &row.name),
    }
}

/// What the colours mean.
fn write_legend(svg: &mut String) -> fmt::Result {
    let meanings = [("ours", "Sluice"), ("others", "other servers"), ("limit", "the machine")];
    for (index, (class, meaning)) in meanings.into_iter().enumerate() {
        let x = MARGIN + index * 110;
        writeln!(
            svg,
            r#"<rect class="{class}" x="{x}" y="{MARGIN}" width="{BAR}" height="{BAR}"/>"#
        )?;
        writeln!(svg, r#"<text x="{}" y="{}">{meaning}</text>"#, x + 17, MARGIN + 10)?;
    }
    Ok(())
}

fn write_panel(svg: &mut String, panel: &Panel, x: usize, y: usize) -> fmt::Result {
    writeln!(svg, r#"<text class="title" x="{x}" y="{}">{}</text>"#, y + 14, panel.title)?;
    let most = panel.bars.iter().map(|bar| bar.range.1).fold(f64::MIN_POSITIVE, f64::max);
    let scaled = |value: f64| value / most * LONGEST;
    for (index, bar) in panel.bars.iter().enumerate() {
        let y = y + TITLE + index * ROW;
        let class = class(bar.label);
        let width = scaled(bar.median);
        writeln!(svg, r#"<text x="{x}" y="{y}">{}</text>"#, bar.label)?;
        writeln!(
            svg,
            r#"<rect class="{class}" x="{x}" y="{}" width="{width:.1}" height="{BAR}"/>"#,
            y + 4
        )?;
        let (from, to) = (x as f64 + scaled(bar.range.0), x as f64 + scaled(bar.range.1));
        let middle = y as f64 + 4.0 + BAR as f64 / 2.0;
        writeln!(
            svg,
            r#"<line class="range" x1="{from:.1}" y1="{middle}" x2="{to:.1}" y2="{middle}"/>"#
        )?;
        let end = to.max(x as f64 + width) + 6.0;
        let number = number(bar.median);
        writeln!(svg, r#"<text x="{end:.1}" y="{:.1}">{number}</text>"#, middle + 4.0)?;
    }
    Ok(())
}

/// Whose bar it is.
fn class(label: &str) -> &'static str {
    match label {
        label if label.contains("Sluice") => "ours",
        label if label.contains("tus") => "others",
        _ => "limit",
    }
}
