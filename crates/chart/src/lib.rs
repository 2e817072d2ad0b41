//! Charts as SVG, by templates: axes, lines, points with intervals, bars, bands, heat maps.
//!
//! A [`Chart`] is a frame of two [`Axis`]es to which marks are added in the order in which they are drawn; what it has of
//! names becomes a legend below it. Colors, dashes and shapes belong to the number of a series, and they are named in
//! [`STYLE`] alone: a page has it once and takes [`Chart::inline`], a file of its own is [`Chart::standalone`].
//!
//! ```
//! use attar_chart::{Axis, Chart, Frame, Range};
//!
//! let mut chart = Chart::new(Frame {
//!     title: "Accuracy by size".into(),
//!     description: "Two models; the smaller one is nearly as good.".into(),
//!     width: 380.0,
//!     height: 240.0,
//!     x: Axis::log("bytes", 1e6, 1e9),
//!     y: Axis::linear("accuracy", 0.8, 1.0),
//! });
//! chart.name_points(0, "teacher");
//! chart.point(0, Range::exact(4.4e8), Range { value: 0.93, low: 0.91, high: 0.95 });
//! assert!(chart.standalone().starts_with("<svg"));
//! ```
//!
//! What holds for every chart: a number that is not finite is not drawn, a text is escaped and has no control
//! characters, the same calls give the same bytes, and there is a title and a description for those who do not see it.
//! The colors are those of Okabe and Ito (Color Universal Design, 2008).

mod axis;
mod chart;
mod heat_map;
mod legend;
mod shape;
mod style;
mod text;
mod thin;

pub use axis::{Axis, AxisScale};
pub use chart::{Chart, Frame, Range};
pub use heat_map::{HeatMap, heat_map};
pub use style::{SERIES, STYLE};
pub use text::{escaped, shortened};
pub use thin::thinned;
