//! Candidates that a masked language model expects in the place of a word.

use anyhow::ensure;
use attar_runtime::{Input, Output, Session};
use attar_text::augment::{CandidateSource, Semantics, Slot, SourceError};
use attar_text::tokenizer::{LocatedEncoding, Tokenizer};

/// Tokens that are computed at a time: each has a logit for every piece of the vocabulary.
const TOKENS: usize = 256;

/// The likeliest words where a word of a single piece is masked.
pub(super) struct MaskedLm {
    session: Session,
    semantics: Semantics,
    mask: u32,
    /// The text of each id; `None` where it cannot be a candidate.
    words: Vec<Option<String>>,
}

/// A masked text.
struct Masked {
    slot: usize,
    ids: Vec<u32>,
    types: Vec<u32>,
    /// Where the mask is.
    at: usize,
}

impl MaskedLm {
    pub(super) fn new(session: Session, semantics: Semantics) -> anyhow::Result<Self> {
        let config = session.config();
        ensure!(
            config.head.has_masked_lm(),
            "no masked-language-model head: name a model that has one, or take its `embeddings:` instead"
        );
        let tokenizer = session.tokenizer();
        let Some(mask) = tokenizer.mask_id() else {
            anyhow::bail!("the tokenizer has no mask token: name another model")
        };
        let words = (0..config.vocabulary as u32).map(|id| word(tokenizer, id, semantics)).collect();
        Ok(Self { mask, words, session, semantics })
    }

    /// The row of a slot as the model reads it, and which of its texts the slot is in.
    fn read(&self, slot: &Slot<'_>) -> Result<(LocatedEncoding, usize), SourceError> {
        let (tokenizer, limit) = (self.session.tokenizer(), self.session.limit());
        Ok(match self.semantics {
            Semantics::Clean => (tokenizer.encode_located(&slot.row.text, slot.row.pair.as_deref(), limit)?, slot.text),
            // The published code shows the model the text a second time, without the mask.
            Semantics::Reference => (tokenizer.encode_located(slot.within(), Some(slot.within()), limit)?, 0),
        })
    }

    /// Where the word of a slot is, if it is a single piece.
    fn place(&self, slot: &Slot<'_>, read: &LocatedEncoding, text: usize) -> Option<usize> {
        let places = read.places.iter().enumerate().filter_map(|(at, place)| Some((at, place.as_ref()?)));
        let overlaps = |bytes: &std::ops::Range<usize>| bytes.start < slot.bytes.end && slot.bytes.start < bytes.end;
        let mut found = places.filter(|(_, place)| place.text == text && overlaps(&place.bytes));
        let (at, place) = found.next()?;
        let before = slot.within().get(place.bytes.start..slot.bytes.start).unwrap_or_default();
        let is_whole = found.next().is_none() && place.bytes.end >= slot.bytes.end && before.trim().is_empty();
        let id = read.encoding.ids[at];
        (is_whole && Some(id) != self.session.tokenizer().unk_id()).then_some(at)
    }

    /// The likeliest words, `most` of those that can be candidates; in reference semantics those of the `most` likeliest
    /// pieces that can be.
    fn likeliest(&self, logits: &[f32], most: usize) -> Vec<String> {
        let mut best: Vec<(f32, usize)> = Vec::with_capacity(most + 1);
        for (id, &logit) in logits.iter().enumerate() {
            if self.semantics == Semantics::Clean && self.words[id].is_none() {
                continue;
            }
            if best.len() == most && best.last().is_some_and(|last| logit <= last.0) {
                continue;
            }
            best.insert(best.partition_point(|other| other.0 >= logit), (logit, id));
            best.truncate(most);
        }
        best.into_iter().filter_map(|(_, id)| self.words[id].clone()).collect()
    }

    /// Computes masked texts of some tokens together.
    fn compute(
        &mut self,
        masked: &[Masked],
        most: usize,
        found: &mut [Option<Vec<String>>],
    ) -> Result<(), SourceError> {
        let ids: Vec<u32> = masked.iter().flat_map(|text| text.ids.iter().copied()).collect();
        let types: Vec<u32> = masked.iter().flat_map(|text| text.types.iter().copied()).collect();
        let lengths: Vec<u32> = masked.iter().map(|text| text.ids.len() as u32).collect();
        let width = self.session.config().vocabulary;
        let mut logits = vec![0.0; ids.len() * width];
        self.session.encoder().forward(Input::new(&ids, &types, &lengths)?, Output::Logits, &mut logits)?;
        let mut first = 0;
        for text in masked {
            let row = first + text.at;
            found[text.slot] = Some(self.likeliest(&logits[row * width..][..width], most));
            first += text.ids.len();
        }
        Ok(())
    }
}

impl CandidateSource for MaskedLm {
    fn candidates(&mut self, slots: &[Slot<'_>], most: usize) -> Result<Vec<Option<Vec<String>>>, SourceError> {
        let mut found = vec![None; slots.len()];
        let mut waiting: Vec<Masked> = Vec::new();
        let mut tokens = 0;
        let mut last: Option<(&Slot<'_>, LocatedEncoding, usize)> = None;
        for (index, slot) in slots.iter().enumerate() {
            // Slots of a text stand together.
            let is_same = |other: &Slot<'_>| std::ptr::eq(other.row, slot.row) && other.text == slot.text;
            if !last.as_ref().is_some_and(|(other, ..)| is_same(other)) {
                let (read, text) = self.read(slot)?;
                last = Some((slot, read, text));
            }
            let Some((_, read, text)) = &last else { continue };
            let Some(at) = self.place(slot, read, *text) else { continue };
            let mut ids = read.encoding.ids.clone();
            ids[at] = self.mask;
            if tokens + ids.len() > TOKENS && !waiting.is_empty() {
                self.compute(&std::mem::take(&mut waiting), most, &mut found)?;
                tokens = 0;
            }
            tokens += ids.len();
            waiting.push(Masked { slot: index, ids, types: read.encoding.types.clone(), at });
        }
        if !waiting.is_empty() {
            self.compute(&waiting, most, &mut found)?;
        }
        Ok(found)
    }
}

/// The text of an id, if it is a candidate: a whole word, or in reference semantics whatever does not go on with one.
fn word(tokenizer: &Tokenizer, id: u32, semantics: Semantics) -> Option<String> {
    let token = tokenizer.token(id)?;
    match semantics {
        Semantics::Reference => (!token.starts_with("##")).then_some(token),
        Semantics::Clean if tokenizer.is_special(id) || token.starts_with("##") => None,
        Semantics::Clean => {
            let word = token.trim_start_matches(['Ġ', '▁']);
            let is_word = word.chars().all(char::is_alphabetic) && word.chars().nth(1).is_some();
            (is_word && !word.chars().any(char::is_uppercase)).then(|| word.to_owned())
        }
    }
}
