//! What a report shows, before it has a form.

use attar_chart::Chart;

/// A part of a report.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Block {
    /// A heading: 1 is the title.
    Heading(u8, String),
    /// Sentences.
    Paragraph(String),
    /// The sentences that matter most.
    Lead(String),
    /// How the pictures that follow are read: said where they are shown.
    Hint(String),
    /// A line for each.
    List(Vec<String>),
    /// A table.
    Table(Table),
    /// Charts side by side.
    Figures(Vec<Figure>),
    /// Text as it stands.
    Code(String),
    /// Something that is not there, and why.
    LeftOut(String, String),
}

/// Rows and columns of text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    /// What it is about.
    pub(crate) caption: String,
    /// The column headings.
    pub(crate) head: Vec<String>,
    /// The cells, row by row; the first of each names the row.
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// A cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    /// What stands in it.
    pub(crate) text: String,
    /// How dark it is, from 0 to 1.
    pub(crate) shade: Option<f64>,
}

/// A chart with what it shows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    /// What it shows.
    pub(crate) caption: String,
    /// The same and its main numbers in sentences, for where there is no picture.
    pub(crate) description: String,
    /// The picture.
    pub(crate) svg: String,
    /// Whether it takes the whole width.
    pub(crate) is_wide: bool,
}

impl Figure {
    /// A chart under this caption.
    pub(crate) fn of(chart: &Chart, caption: String, is_wide: bool) -> Figure {
        Figure { caption, description: chart.frame().description.clone(), svg: chart.inline(), is_wide }
    }
}

impl Table {
    /// A table whose cells have no shades.
    pub(crate) fn new(caption: &str, head: &[&str], rows: Vec<Vec<String>>) -> Table {
        Table {
            caption: caption.into(),
            head: head.iter().map(|head| (*head).into()).collect(),
            rows: rows.into_iter().map(|row| row.into_iter().map(Cell::from).collect()).collect(),
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell { text, shade: None }
    }
}
