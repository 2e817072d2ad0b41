//! Which parts are stored as integers, and of what width.

use std::collections::BTreeSet;

use attar_model::quantized::{Int4Group, Storage};
use attar_runtime::Precision;
use attar_text::metrics::Score;
use attar_text::random::Streams;

use super::candidate::Candidate;
use super::scored_rows::ScoredRows;
use super::search::choose_float_units;
use super::units::{Form, Unit, WORDS, scale_method_name};
use super::{Embeddings, Gate, Options, Progress, QuantizedPart, Why};
use crate::score::Answers;
use crate::{DataFacts, Error};

/// A scale for each 32 columns: a row of few columns has one.
const INT4: Storage = Storage::Int4(Int4Group::Columns32);

/// What is decided, and what it is decided by.
pub(super) struct Choice<'a> {
    pub(super) candidate: Candidate,
    pub(super) units: Vec<Unit>,
    /// Units that the user keeps in floats.
    pub(super) asked: Vec<usize>,
    pub(super) options: &'a Options,
    pub(super) rows: Option<&'a ScoredRows>,
    pub(super) streams: Streams,
}

/// What becomes of each unit, and what the gate saw.
type Decision = (Vec<QuantizedPart>, Option<Gate>);

impl Choice<'_> {
    /// Leaves the weights as they are to be written.
    pub(super) fn decide(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<Decision, Error> {
        let texts = match self.rows {
            Some(rows) => Some(&rows.calibration),
            None => self.options.texts.as_ref().map(|(texts, _)| texts),
        };
        let exact = texts.map(|texts| self.candidate.outputs(Precision::F32, texts)).transpose()?;
        let texts = texts.zip(exact.as_ref().map(|(exact, _)| &exact[..]));
        if let Some((texts, _)) = texts {
            self.candidate.scale_columns(&self.units, texts)?;
        }

        let (mut forms, mut parts, mut int4) = (Vec::new(), Vec::new(), None);
        for (place, unit) in self.units.iter().enumerate() {
            let is_asked =
                self.asked.contains(&place) || (unit.is_table() && self.options.embeddings == Embeddings::F32);
            let storage =
                if unit.name == WORDS && self.options.embeddings == Embeddings::Int4 { INT4 } else { Storage::Int8 };
            let (form, error_alone) = self.candidate.best_alone(unit, storage, texts)?;
            forms.push((!is_asked).then_some(form));
            if unit.name == WORDS && self.options.embeddings == Embeddings::Auto && self.rows.is_some() && !is_asked {
                int4 = Some((place, self.candidate.best_alone(unit, INT4, texts)?));
            }
            let why = is_asked.then_some(Why::Asked);
            let name = unit.name.clone();
            parts.push(QuantizedPart { name, error_alone, stored_as: String::new(), scales: None, why });
            progress(Progress::Alone { done: place + 1, of: self.units.len() });
        }

        for (unit, form) in self.units.iter().zip(&forms) {
            self.candidate.store(unit, *form)?;
        }
        let mut gate = None;
        if let Some(data) = self.rows {
            let word_place = self.units.iter().position(|unit| unit.name == WORDS);
            let is_fixed = |place: &usize| {
                forms[*place].is_none() || (Some(*place) == word_place && self.options.embeddings != Embeddings::Auto)
            };
            let mut order: Vec<usize> = (0..self.units.len()).filter(|place| !is_fixed(place)).collect();
            order.sort_by(|&a, &b| parts[b].error_alone.total_cmp(&parts[a].error_alone));
            gate = Some(self.search(data, &order, &mut forms, &mut parts, int4, progress)?);
        }
        for ((part, unit), form) in parts.iter_mut().zip(&self.units).zip(&forms) {
            part.stored_as = self.candidate.storage(unit).to_string();
            part.scales = form.map(scale_method_name);
        }
        Ok((parts, gate))
    }

    /// Keeps in floats what the score asks for, then tries the word table as int4, whose place, form and error alone
    /// are given.
    fn search(
        &mut self,
        rows: &ScoredRows,
        order: &[usize],
        forms: &mut [Option<Form>],
        parts: &mut [QuantizedPart],
        int4: Option<(usize, (Form, f64))>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Gate, Error> {
        let reference = Reference::new(&self.candidate, rows)?;
        // Differences of shares carry the rounding of doubles.
        let max_loss = self.options.max_loss + 1e-9;
        let mut kept_now = BTreeSet::new();
        let (units, candidate) = (&self.units, &mut self.candidate);
        let mut set = |candidate: &mut Candidate, kept: &BTreeSet<usize>| -> Result<(), Error> {
            for &place in kept_now.symmetric_difference(kept) {
                candidate.store(&units[place], if kept.contains(&place) { None } else { forms[place] })?;
            }
            kept_now = kept.clone();
            Ok(())
        };
        let mut scored = 0;
        let found = choose_float_units(order, max_loss, |kept| {
            scored += 1;
            progress(Progress::Scoring { count: scored, kept: kept.len(), of: order.len() });
            set(candidate, kept)?;
            reference.loss(candidate)
        })?;
        let Some(found) = found else {
            return Err(Error::refused(
                "the score",
                format!("a loss of at most {} points of {}", self.options.max_loss, rows.metrics[0]),
                "a larger one even with every part in f32 that may be",
                "leave the word vectors to `--embeddings auto`, or allow more with `--max-loss`",
            ));
        };
        set(candidate, &found.units)?;
        for &place in &found.units {
            forms[place] = None;
            parts[place].why = Some(Why::HurtsScore);
        }

        let mut loss = found.loss;
        if let Some((place, (form, error))) = int4.filter(|&(place, _)| forms[place].is_some()) {
            progress(Progress::Int4Words);
            candidate.store(&units[place], Some(form))?;
            let lost = reference.loss(candidate)?;
            if lost <= max_loss {
                (forms[place], loss) = (Some(form), lost);
                parts[place].error_alone = error;
            } else {
                candidate.store(&units[place], forms[place])?;
                parts[place].why = Some(Why::Int4HurtsScore);
            }
        }
        reference.gate(&self.candidate, self.options, [loss, found.loss_without_floats], &self.streams)
    }
}

/// The model in f32 on the rows that are scored.
struct Reference<'a> {
    rows: &'a ScoredRows,
    answers: Answers,
    /// Its score in the metric that decides.
    score: f64,
}

impl<'a> Reference<'a> {
    fn new(candidate: &Candidate, rows: &'a ScoredRows) -> Result<Reference<'a>, Error> {
        let (logits, width) = candidate.outputs(Precision::F32, &rows.dev_texts)?;
        let (answers, decides) = (rows.answers(&logits, width), rows.metrics[0]);
        let score = rows.truth.value(decides, &answers)?.ok_or_else(|| {
            let expected = format!("rows on which {decides} of the f32 model is defined");
            Error::refused(&rows.dev.name, expected, "others", "score other rows, or by another metric (`--metric`)")
        })?;
        Ok(Reference { rows, answers, score })
    }

    /// Points of the score, of a hundred, that a candidate loses.
    fn loss(&self, candidate: &Candidate) -> Result<f64, Error> {
        let decides = self.rows.metrics[0];
        let sign = if decides.higher_is_better() { 100.0 } else { -100.0 };
        let value = self.rows.truth.value(decides, &self.quantized(candidate)?)?;
        Ok(value.map_or(f64::INFINITY, |value| sign * (self.score - value)))
    }

    fn quantized(&self, candidate: &Candidate) -> Result<Answers, Error> {
        let (logits, width) = candidate.outputs(Precision::Int8, &self.rows.dev_texts)?;
        Ok(self.rows.answers(&logits, width))
    }

    /// What the score was; `losses` are those in the end and with everything as int8.
    fn gate(
        &self,
        candidate: &Candidate,
        options: &Options,
        [loss, loss_without_floats]: [f64; 2],
        streams: &Streams,
    ) -> Result<Gate, Error> {
        let (rows, quantized) = (self.rows, self.quantized(candidate)?);
        let scores = |answers: &Answers| -> Result<Vec<Score>, Error> {
            rows.metrics.iter().map(|&metric| rows.truth.score(metric, answers, streams)).collect()
        };
        Ok(Gate {
            data: DataFacts { name: rows.dev.name.clone(), rows: rows.dev.len(), sha256: rows.dev.content_hash() },
            max_loss: options.max_loss,
            loss,
            loss_without_floats,
            f32: scores(&self.answers)?,
            quantized: scores(&quantized)?,
            difference: rows.truth.difference(rows.metrics[0], &quantized, &self.answers, streams)?,
        })
    }
}
