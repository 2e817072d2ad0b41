//! Carbon intensity by the hour, from a file that the user gives.
//!
//! A yearly mean says nothing about the hour: at night, at noon and in a storm the same grid differs by
//! factors. Where a table of the place's hours is at hand, each window of a ledger is billed with the
//! intensity of its own time.

use std::path::Path;

use attar_meter::{GramsPerKwh, Totals, Window, is_idle};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Grid, GridChoice, GridKind};
use crate::user_table::{TableColumn, TableError, UserRow, UserTable};

/// Intensities of one place in consecutive times.
#[derive(Debug, Clone, PartialEq)]
pub struct HourlyIntensity {
    name: String,
    kind: GridKind,
    /// When each begins, in seconds of UTC, and what it is; in order.
    steps: Vec<(f64, f64)>,
    /// When the last one ends.
    end: f64,
}

/// A time that the table does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name} has intensities from {first} to {last}, and none for {wanted}; give a table of that time, or a place by --region"
)]
pub struct HourlyError {
    /// The table.
    pub name: String,
    /// The beginning of its first time.
    pub first: Timestamp,
    /// The end of its last time.
    pub last: Timestamp,
    /// The time asked for.
    pub wanted: Timestamp,
}

/// Further apart than this two rows leave a hole.
const LONGEST_STEP: f64 = 86_400.0;

impl HourlyIntensity {
    /// Reads a comma-separated table with the columns `time` (the beginning of each hour, or of another
    /// step: `2026-03-01T10:00:00Z`; without a zone it is UTC) and `g_per_kwh`, in order; other columns
    /// are ignored, but for `kind` ([`GridKind`]). Each row holds until the next one begins, the last as
    /// long as the one before.
    ///
    /// # Errors
    /// If the file cannot be read, or has a row that is no time or no intensity, out of order or more than
    /// a day after the one before; the error names line and column.
    pub fn read(path: &Path) -> Result<Self, TableError> {
        let columns = [
            TableColumn::required("time", &["datetime", "Datetime (UTC)"]),
            TableColumn::required("g_per_kwh", &["g/kWh", "gCO2e/kWh", "Carbon intensity gCO₂eq/kWh (Life cycle)"]),
            TableColumn::optional("kind", &[]),
        ];
        let file = UserTable::read(path, &columns, true)?;
        let mut hours =
            Self { name: path.display().to_string(), kind: GridKind::Unstated, steps: Vec::new(), end: 0.0 };
        for row in file.rows() {
            let begin = time(&row).ok_or_else(|| row.wrong("time", "a time such as 2026-03-01T10:00:00Z"))?;
            let last = hours.steps.last().map(|(begin, _)| *begin);
            if last.is_some_and(|last| begin <= last || begin - last > LONGEST_STEP) {
                return Err(row.wrong("time", "a time after that of the row before, by a day at most"));
            }
            let wanted = "more than 0 and less than 2000 g/kWh";
            let intensity = row
                .number("g_per_kwh", wanted, |g| GramsPerKwh::new(g).is_ok())?
                .ok_or_else(|| row.wrong("g_per_kwh", wanted))?;
            let kinds = "life cycle, production, consumption or nothing, the same in all rows";
            let kind = GridKind::named(row.text("kind")).ok_or_else(|| row.wrong("kind", kinds))?;
            if hours.steps.is_empty() {
                hours.kind = kind;
            } else if hours.kind != kind {
                return Err(row.wrong("kind", kinds));
            }
            hours.end = begin + last.map_or(3600.0, |last| begin - last);
            hours.steps.push((begin, intensity));
        }
        Ok(hours)
    }

    /// The mean intensity of the time from one moment to another.
    ///
    /// # Errors
    /// If the table does not cover it.
    pub fn mean(&self, start: Timestamp, end: Timestamp) -> Result<f64, HourlyError> {
        let (from, until) = (seconds(start), seconds(end).max(seconds(start)));
        let first = self.steps.first().map_or(f64::INFINITY, |(begin, _)| *begin);
        // The clocks of two machines do not agree to the second.
        if from < first - 1.0 || until > self.end + 1.0 {
            let wanted = if from < first - 1.0 { start } else { end };
            let at = |seconds: f64| Timestamp::from_second(seconds as i64).unwrap_or(Timestamp::UNIX_EPOCH);
            return Err(HourlyError { name: self.name.clone(), first: at(first), last: at(self.end), wanted });
        }
        let place = self.steps.partition_point(|(begin, _)| *begin <= from).saturating_sub(1);
        let at = self.steps.get(place).map_or(0.0, |(_, intensity)| *intensity);
        if until <= from {
            return Ok(at);
        }
        let ends = self.steps.iter().skip(1).map(|(begin, _)| *begin).chain([f64::INFINITY]);
        let inside = self.steps.iter().zip(ends).skip(place).take_while(|((begin, _), _)| *begin < until);
        let sum: f64 =
            inside.map(|((begin, intensity), end)| (end.min(until) - begin.max(from)).max(0.0) * intensity).sum();
        // What lies before the first row, within the tolerance above, has its intensity.
        let early = (first - from).max(0.0) * at;
        Ok((sum + early) / (until - from))
    }

    /// The grid to bill these windows with: its intensity is the mean, weighted by each window's energy.
    ///
    /// # Errors
    /// If the table does not cover a window.
    pub fn of_windows<'a>(&self, windows: impl IntoIterator<Item = &'a Window>) -> Result<Grid, HourlyError> {
        let (mut weighted, mut weights) = (0.0, 0.0);
        for window in windows.into_iter().filter(|window| !is_idle(&window.phase)) {
            let intensity = self.mean(window.start, window.end)?;
            let joules: f64 = window.energy.values().map(|energy| energy.joules.value().get()).sum();
            // Without energy the time weighs, so that there is a mean at all.
            let weight = if joules > 0.0 { joules } else { window.active_s.get() * f64::MIN_POSITIVE };
            weighted += intensity * weight;
            weights += weight;
        }
        let first = self.steps.first().map_or(0.0, |(_, intensity)| *intensity);
        let mean = if weights > 0.0 { weighted / weights } else { first };
        Ok(Grid {
            region: self.name.clone(),
            // A mean of numbers of that range is one of them.
            g_per_kwh: GramsPerKwh::new(mean).unwrap_or(GramsPerKwh::raw(first)),
            year: None,
            source: "by the hour, weighted by energy".to_owned(),
            license: "not known: the user's file".to_owned(),
            carbon_free: None,
            choice: GridChoice::File,
            kind: self.kind,
            country: None,
        })
    }

    /// For each phase of some totals, in their order, the grid of its windows.
    ///
    /// # Errors
    /// If the table does not cover a window.
    pub fn of_phases(&self, totals: &Totals, windows: &[Window]) -> Result<Vec<Grid>, HourlyError> {
        let mut by_phase = std::collections::HashMap::<&str, Vec<&Window>>::new();
        for window in windows {
            by_phase.entry(&window.phase).or_default().push(window);
        }
        let of = |phase: &str| self.of_windows(by_phase.get(phase).into_iter().flatten().copied());
        totals.phases.iter().map(|phase| of(&phase.phase)).collect()
    }
}

fn time(row: &UserRow<'_>) -> Option<f64> {
    let text = row.text("time");
    let zoned = text.parse::<Timestamp>().ok();
    let plain = || Some(text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
    zoned.or_else(plain).map(seconds)
}

fn seconds(time: Timestamp) -> f64 {
    time.as_nanosecond() as f64 * 1e-9
}

#[cfg(test)]
mod tests {
    use attar_testing::assert_close_relative;

    use super::*;

    fn read(text: &str) -> Result<HourlyIntensity, TableError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        HourlyIntensity::read(file.path())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn each_time_has_the_intensity_of_its_hour() {
        let hours = read(
            "time,other,g_per_kwh,kind\n2026-03-01T10:00:00Z,x,100,consumption\n2026-03-01T12:00:00+01:00,y,300,consumption\n\
             2026-03-01 12:00:00,z,500,consumption\n",
        )
        .unwrap();
        let mean = |from: &str, until: &str| hours.mean(at(from), at(until));
        assert_eq!(mean("2026-03-01T10:15:00Z", "2026-03-01T10:45:00Z"), Ok(100.0));
        assert_close_relative("half", mean("2026-03-01T10:30:00Z", "2026-03-01T11:30:00Z").unwrap(), 200.0, 1e-9);
        assert_close_relative("all", mean("2026-03-01T10:00:00Z", "2026-03-01T13:00:00Z").unwrap(), 300.0, 1e-9);
        assert_eq!(mean("2026-03-01T12:59:59Z", "2026-03-01T12:59:59Z"), Ok(500.0));
        assert_eq!(hours.kind, GridKind::Consumption);
        let error = mean("2026-03-01T12:30:00Z", "2026-03-01T14:00:00Z").unwrap_err().to_string();
        assert!(
            error.contains("from 2026-03-01T10:00:00Z to 2026-03-01T13:00:00Z, and none for 2026-03-01T14"),
            "{error}"
        );
        assert!(mean("2026-03-01T09:00:00Z", "2026-03-01T10:30:00Z").is_err());
    }

    #[test]
    fn what_is_no_table_of_hours_is_refused_where_it_fails() {
        for (rows, said) in [
            ("2026-03-01T10:00:00Z,0\n", "line 2, column `g_per_kwh`"),
            ("noon,100\n", "line 2, column `time`"),
            ("2026-03-01T10:00:00Z,100\n2026-03-01T10:00:00Z,100\n", "line 3, column `time`"),
            ("2026-03-01T10:00:00Z,100\n2026-03-05T10:00:00Z,100\n", "by a day at most"),
        ] {
            let error = read(&format!("time,g_per_kwh\n{rows}")).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        assert!(read("hour,g_per_kwh\n1,2\n").unwrap_err().to_string().contains("lacks time"));
    }
}
