//! The statement: what was recorded, how, where and with which factors, as sentences.

use std::collections::BTreeSet;

use attar_meter::{CONFIDENCE, LedgerHeader, Method, Pue, Seconds, busy_while_idle};

use super::Report;
use super::describe::{count, distinct, machine, source, time};
use crate::grid::GridChoice;

impl Report {
    /// What a reader must know besides the numbers: a paragraph each, in plain words.
    pub fn statement(&self) -> Vec<String> {
        let mut paragraphs = vec![self.what()];
        paragraphs.extend(self.meters());
        paragraphs.extend(self.jobs());
        paragraphs.extend(self.overlaps.iter().map(|overlap| format!("Overlap: {overlap}.")));
        paragraphs.push(self.energy());
        paragraphs.push(self.scope());
        paragraphs.extend(distinct(self.headers.iter().flat_map(|header| &header.sources).map(source)));
        paragraphs.extend(distinct(self.headers.iter().filter_map(why)));
        paragraphs.extend(distinct(self.headers.iter().map(|header| format!("Machine: {}.", machine(&header.host)))));
        paragraphs.extend(self.idle());
        paragraphs.extend(self.attribution.notes.iter().map(|note| format!("Attribution: {note}.")));
        paragraphs.push(self.building());
        paragraphs.push(self.grid());
        paragraphs.extend(self.further());
        paragraphs.extend(self.money());
        paragraphs.push(format!("Not included: {}.", self.bill.exclusions.join("; ")));
        paragraphs.push(self.gaps());
        paragraphs.extend(self.torn_lines());
        paragraphs
    }

    fn what(&self) -> String {
        let begin = self.windows.iter().map(|window| window.start).min();
        let end = self.windows.iter().map(|window| window.end).max();
        let span = begin.zip(end).map(|(begin, end)| format!(", from {} to {}", time(begin), time(end)));
        format!(
            "Recorded: {} in {} and {}{}.",
            self.totals.active(),
            count(self.totals.phases.len(), "phase"),
            count(self.windows.len(), "window"),
            span.unwrap_or_default()
        )
    }

    fn meters(&self) -> Option<String> {
        let versions = distinct(self.headers.iter().map(|header| header.version.clone())).join(", ");
        match self.headers.len() {
            0 => Some(
                "Meter: unknown, because the ledger has no header; machine and sources are unknown too.".to_owned(),
            ),
            1 => Some(format!("Meter: attar-meter {versions}.")),
            meters => Some(format!(
                "Meters: {meters} wrote this, treated as consecutive (attar-meter {versions}); \
                 their times and energies are summed."
            )),
        }
    }

    /// The jobs of a batch system, with their ranks and machines.
    fn jobs(&self) -> Option<String> {
        let jobs = self.headers.iter().filter_map(|header| Some((header, header.job.as_ref()?)));
        let mut each: Vec<(String, Vec<&LedgerHeader>)> = Vec::new();
        for (header, job) in jobs {
            let name = job.id.as_ref().map_or_else(|| job.scheduler.clone(), |id| format!("{} {id}", job.scheduler));
            match each.iter_mut().find(|(known, _)| *known == name) {
                Some((_, headers)) => headers.push(header),
                None => each.push((name, vec![header])),
            }
        }
        let said = each.iter().map(|(name, headers)| {
            let jobs = headers.iter().filter_map(|header| header.job.as_ref());
            let ranks = jobs.clone().filter_map(|job| job.rank).collect::<BTreeSet<_>>().len();
            let machines = headers.iter().filter_map(|header| header.host.boot.as_ref()).collect::<BTreeSet<_>>().len();
            let of = jobs.filter_map(|job| job.ranks).max().map(|all| format!(" of {all}")).unwrap_or_default();
            format!("{name}: {}{of} on {}", count(ranks, "rank"), count(machines, "machine"))
        });
        (!each.is_empty()).then(|| format!("Job: {}.", said.collect::<Vec<_>>().join("; ")))
    }

    /// What the machine drew while it was left alone.
    fn idle(&self) -> Option<String> {
        let (energy, seconds) = (self.idle.energy()?, self.idle.active());
        let power = energy.map(|joules| joules / seconds);
        if seconds <= Seconds::ZERO {
            return None;
        }
        Some(match busy_while_idle(&self.windows, self.headers.iter().flat_map(|header| &header.sources)) {
            None => format!("Idle power: {power}, watched for {seconds}; not part of the bill."),
            Some(busy) => format!(
                "The machine was to be left alone for {seconds}, and drew {power}, but {busy:.2} of its cores were \
                 busy: that is not idle power. It is not part of the bill."
            ),
        })
    }

    /// What else the bill is computed with.
    fn further(&self) -> Vec<String> {
        let bill = &self.bill;
        let market = bill
            .market
            .as_ref()
            .map(|market| format!("Market-based: {market}. Not added to the location-based figure."));
        let water = bill.water.as_ref().map(|water| format!("Water: {water}."));
        let embodied = bill.embodied.as_ref().map(|embodied| {
            let (total, life) = (embodied.total(), embodied.lifetime());
            format!(
                "Embodied emissions: {total} over a lifetime of {life}, share {} ({}).",
                embodied.share(),
                embodied.source()
            )
        });
        [market, water, embodied].into_iter().flatten().collect()
    }

    fn energy(&self) -> String {
        let Some((energy, method)) = self.bill.total.energy_kwh.zip(self.bill.total.method) else {
            return "Energy: none was read, so only time is known. That is not zero energy.".to_owned();
        };
        let how = match method {
            Method::Measured => "read from counters or sensors",
            Method::Apportioned => "at least in part a share of something measured",
            Method::Replayed => "at least in part from a trace that was recorded at another time",
            Method::Modeled => "at least in part computed from load and tables or a given power",
        };
        if energy.low() == energy.high() {
            return format!("Energy: {energy}, {method} ({how}); its error is not known, so no interval is given.");
        }
        let percent = 100.0 * CONFIDENCE;
        let without: Vec<String> = self.totals.without_interval().map(|component| component.to_string()).collect();
        let lacking = if without.is_empty() {
            String::new()
        } else {
            format!(" The error of {} is not known and not in it.", without.join(", "))
        };
        format!(
            "Energy: {energy}, {method} ({how}); brackets show the {percent:.0} % interval, here and in all \
             tables.{lacking}"
        )
    }

    /// Whose energy it is.
    fn scope(&self) -> String {
        let own = self.attribution.own().filter(|_| self.attribution.idle().is_some());
        let own = own.map(|own| format!("; of what it drew beyond idle power, {own} are theirs")).unwrap_or_default();
        format!("Scope: {}{own}.", self.bill.scope())
    }

    fn building(&self) -> String {
        let pue = self.bill.tariff.pue();
        match self.bill.total.facility_kwh {
            _ if pue == Pue::ONE => "PUE: 1, so no facility overhead is added.".to_owned(),
            Some(energy) => format!("PUE: {}, so the facility used {energy}.", pue.get()),
            None => format!("PUE: {}.", pue.get()),
        }
    }

    fn grid(&self) -> String {
        let grid = &self.bill.grid;
        let carbon = self.bill.total.carbon_g.map(|carbon| format!(", which makes {carbon}")).unwrap_or_default();
        let advice = match grid.choice {
            GridChoice::Unspecified => " Name the country, or give g/kWh, for a carbon figure of this location.",
            _ => "",
        };
        format!("Grid: {grid}{carbon}.{advice}")
    }

    fn money(&self) -> Option<String> {
        let tariff = &self.bill.tariff;
        let power = tariff.electricity().map(|price| format!("{} {}/kWh", price.amount(), price.currency()));
        let rent = tariff
            .device_hour()
            .map(|price| format!("{} {} for an hour of the machine", price.amount(), price.currency()));
        let prices = power.into_iter().chain(rent).collect::<Vec<_>>().join(" and ");
        let sum = self.bill.total.money.map(|money| format!(" come to {money}")).unwrap_or_default();
        (!prices.is_empty()).then(|| format!("Money: {prices}{sum}."))
    }

    fn gaps(&self) -> String {
        if self.bill.gaps.is_empty() {
            return "Gaps: none was noted.".to_owned();
        }
        let gaps = self.bill.gaps.iter().map(|gap| format!("{}: {}, {} in all", gap.of, gap.kind, gap.seconds));
        format!("Gaps: {}.", gaps.collect::<Vec<_>>().join("; "))
    }

    fn torn_lines(&self) -> Option<String> {
        let torn = self.torn.len();
        (torn > 0).then(|| {
            let lines = count(torn, "line");
            format!(
                "Torn: {lines} of the ledger could not be read, as after a crash; what it held is not in any number."
            )
        })
    }
}

fn why(header: &LedgerHeader) -> Option<String> {
    (!header.reasons.is_empty()).then(|| format!("Why these sources: {}.", header.reasons.join("; ")))
}
