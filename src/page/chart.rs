//! The chart over time: stacked bars as an SVG, drawn by `plotters`.
//!
//! The page puts the SVG into its own document, so the scheme's colours and fonts apply: for a colour
//! there is its number here (`#0001NN`), which `chart.css` replaces. The geometry goes with it, so that
//! the page can show values under the pointer and pick a range without drawing anything itself.

use plotters::coord::Shift;
use plotters::prelude::*;
use serde_json::{Value, json};

/// Series with a colour of their own; what is beyond them is one grey series.
pub(super) const COLOURS: usize = 6;
/// The narrowest and the widest chart that is drawn, in pixels.
const WIDTH_MIN: u32 = 240;
const WIDTH_MAX: u32 = 4_000;
/// What is asked for without saying how wide.
pub(super) const WIDTH_USUAL: u32 = 1_160;
const HEIGHT: u32 = 264;
const HEIGHT_NARROW: u32 = 208;
const NARROW: u32 = 560;
const LABELS_LEFT: u32 = 50;
const LABELS_BELOW: u32 = 24;
const ROOM_ABOVE: u32 = 8;
/// Room for one label below the chart.
const LABEL_WIDTH: f64 = 68.0;
const GRID_LINES: usize = 7;
const GRID_LINES_NARROW: usize = 5;
const FONT: (&str, i32) = ("sans-serif", 11);

/// What the numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    Dollars,
    Count,
    Seconds,
}

/// What is drawn: a value for each series and bucket, the lowest series first.
pub(super) struct Bars<'a> {
    pub measure: Measure,
    /// Below each bucket, if there is room.
    pub labels: Vec<String>,
    /// By colour; `None` is grey.
    pub series: Vec<(Option<usize>, &'a [f64])>,
    pub width: u32,
}

/// The SVG, and where the bars are in it.
pub(super) fn draw(bars: &Bars<'_>) -> Result<(String, Value), String> {
    let width = bars.width.clamp(WIDTH_MIN, WIDTH_MAX);
    let height = if width < NARROW { HEIGHT_NARROW } else { HEIGHT };
    let mut svg = String::new();
    let plot = {
        let root = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        let plot = draw_on(&root, bars).map_err(|error| format!("no chart: {error}"))?;
        root.present().map_err(|error| format!("no chart: {error}"))?;
        plot
    };
    Ok((svg, plot))
}

type Drawn<T> = Result<T, Box<dyn std::error::Error>>;

fn draw_on(root: &DrawingArea<SVGBackend<'_>, Shift>, bars: &Bars<'_>) -> Drawn<Value> {
    let (count, top) = (bars.labels.len(), highest(bars));
    #[expect(clippy::cast_precision_loss, reason = "a few thousand buckets")]
    let across = 0.0..count.max(1) as f64;
    let mut chart = ChartBuilder::on(root)
        .margin_top(ROOM_ABOVE)
        .y_label_area_size(LABELS_LEFT)
        .x_label_area_size(LABELS_BELOW)
        .build_cartesian_2d(across.clone(), 0.0..top)?;
    let lines = colour(7).stroke_width(1);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .axis_style(TRANSPARENT)
        .set_all_tick_mark_size(0)
        .bold_line_style(lines)
        .light_line_style(TRANSPARENT)
        .y_labels(if bars.width < NARROW { GRID_LINES_NARROW } else { GRID_LINES })
        .y_max_light_lines(0)
        .y_label_style(FONT)
        .y_label_formatter(&|value| label(*value, bars.measure, top))
        .draw()?;
    let (x, y) = chart.plotting_area().get_pixel_range();
    let step = f64::from(x.end - x.start) / across.end;
    draw_bars(&mut chart, bars, step)?;
    root.draw(&PathElement::new(vec![(x.start, y.end), (x.end, y.end)], colour(8)))?;
    draw_labels(root, bars, (x.start, x.end, y.end), step)?;
    Ok(json!({ "left": x.start, "right": x.end, "top": y.start, "bottom": y.end }))
}

type Chart<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

fn draw_bars(chart: &mut Chart<'_, '_>, bars: &Bars<'_>, step: f64) -> Drawn<()> {
    // Between bars a sixth of their room, and never more than a few pixels.
    let gap = (step / 6.0).min(5.0) / step / 2.0;
    let mut floor = vec![0.0; bars.labels.len()];
    for (number, values) in &bars.series {
        let fill = colour(number.unwrap_or(COLOURS)).filled();
        let rectangles = values.iter().enumerate().filter(|(_, value)| **value > 0.0);
        let placed: Vec<_> = rectangles
            .map(|(index, value)| {
                let below = floor[index];
                floor[index] = below + value;
                #[expect(clippy::cast_precision_loss, reason = "a few thousand buckets")]
                let left = index as f64;
                Rectangle::new([(left + gap, below + value), (left + 1.0 - gap, below)], fill)
            })
            .collect();
        chart.draw_series(placed)?;
    }
    Ok(())
}

fn draw_labels(
    root: &DrawingArea<SVGBackend<'_>, Shift>,
    bars: &Bars<'_>,
    (left, right, bottom): (i32, i32, i32),
    step: f64,
) -> Drawn<()> {
    use plotters::style::text_anchor::{HPos, Pos, VPos};

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few pixels")]
    let each = (LABEL_WIDTH / step).ceil().max(1.0) as usize;
    let style = TextStyle::from(FONT).pos(Pos::new(HPos::Center, VPos::Top));
    let half = LABEL_WIDTH / 2.0;
    for (index, label) in bars.labels.iter().enumerate().step_by(each) {
        #[expect(clippy::cast_precision_loss, reason = "a few thousand buckets")]
        let middle = f64::from(left) + (index as f64 + 0.5) * step;
        let middle = middle.clamp(half - 8.0, f64::from(right) - half + 14.0);
        #[expect(clippy::cast_possible_truncation, reason = "a pixel")]
        let at = (middle.round() as i32, bottom + 8);
        root.draw(&Text::new(label.clone(), at, style.clone()))?;
    }
    Ok(())
}

/// The number of a colour, as a colour.
fn colour(number: usize) -> RGBColor {
    RGBColor(0, 1, u8::try_from(number).unwrap_or(u8::MAX))
}

/// The top of the scale: a little above the highest bar, and never nothing.
fn highest(bars: &Bars<'_>) -> f64 {
    let sums = (0..bars.labels.len())
        .map(|index| bars.series.iter().map(|(_, values)| values[index].max(0.0)).sum::<f64>());
    let most = sums.fold(0.0, f64::max);
    match bars.measure {
        _ if most > 0.0 && bars.measure != Measure::Count => most * 1.06,
        Measure::Count if most >= 1.0 => most * 1.06,
        _ => 1.0,
    }
}

fn label(value: f64, measure: Measure, top: f64) -> String {
    match measure {
        Measure::Dollars if value == 0.0 => "$0".to_owned(),
        Measure::Dollars if top < 0.05 => format!("${value:.3}"),
        Measure::Dollars if top < 5.0 => format!("${value:.2}"),
        Measure::Dollars => format!("${}", compact(value)),
        Measure::Count => compact(value),
        Measure::Seconds if top < 300.0 => format!("{value:.0} s"),
        Measure::Seconds if top < 7_200.0 => format!("{:.0} m", value / 60.0),
        Measure::Seconds => format!("{} h", compact((value / 360.0).round() / 10.0)),
    }
}

/// At most four characters and a letter.
fn compact(value: f64) -> String {
    let (value, letter) = match value {
        value if value >= 1e9 => (value / 1e9, "B"),
        value if value >= 1e6 => (value / 1e6, "M"),
        value if value >= 1e4 => (value / 1e3, "k"),
        value => (value, ""),
    };
    let digits = if value < 10.0 && value.fract() > 0.04 { 1 } else { 0 };
    format!("{value:.digits$}{letter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars(series: Vec<(Option<usize>, &[f64])>, width: u32) -> (String, Value) {
        let labels = (0..series[0].1.len()).map(|day| format!("{} Nov", day + 1)).collect();
        draw(&Bars { measure: Measure::Dollars, labels, series, width }).unwrap()
    }

    #[test]
    fn bars_are_stacked_in_the_colours_of_their_series() {
        let (svg, plot) = bars(vec![(Some(0), &[1.0, 3.0]), (None, &[2.0, 0.0])], 600);
        assert_eq!(svg.matches(r##"fill="#000100""##).count(), 2, "{svg}");
        assert_eq!(svg.matches(r##"fill="#000106""##).count(), 1, "{svg}");
        assert!(svg.contains("1 Nov") && svg.contains("2 Nov"), "{svg}");
        assert_eq!(plot["left"], LABELS_LEFT);
        assert!(!svg.contains("style="), "a policy without inline styles lets it through");
    }

    #[test]
    fn nothing_is_drawn_as_nothing() {
        let (svg, _) = bars(vec![(Some(0), &[0.0, -1.0])], 1);
        assert!(!svg.contains(r##"fill="#000100""##), "{svg}");
        assert!(svg.contains(r#"width="240""#), "the narrowest: {svg}");
    }

    #[test]
    fn labels_are_short() {
        assert_eq!(label(1_200.0, Measure::Dollars, 2_000.0), "$1200");
        assert_eq!(label(0.25, Measure::Dollars, 1.0), "$0.25");
        assert_eq!(label(12_500_000.0, Measure::Count, 2e7), "12M");
        assert_eq!(label(5_400.0, Measure::Seconds, 20_000.0), "1.5 h");
    }
}
