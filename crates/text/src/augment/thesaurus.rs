//! Candidates that mean the same: synonyms of WordNet.

mod context;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use self::context::Context;
use super::candidates::{CandidateSource, Slot, SourceError};
use super::inflection::{Form, is_irregular};
use super::words::is_lower_case_word;
use crate::table::{self, Column, Header, Quoting, TableError, TableSpec};

/// The table of a folder with WordNet's synsets.
const FILE: &str = "oewn_synsets.tsv";
/// Of the senses of a word, one in so many at least is shared by a synonym: what `make` has in common with few of its
/// synonyms is hardly what it means in a text.
const SENSES_A_SHARED_ONE: usize = 8;
/// Least number of synsets that a synonym is in and of other entries that are made of it: what has only one is rare, as
/// `everyplace` and `preindication`.
const FAMILIAR: usize = 2;

/// Synonyms by WordNet, in the form in which the word stands.
///
/// A word is taken for the part of speech that its neighbors leave and that most of its senses have, an inflected one
/// for a form of its lemma: `films` becomes `movies`. Synonyms come first whose senses are mostly those of the word, and
/// after those of an adjective the similar ones. Left out are names, phrases, words that the dictionary shows to be rare, and
/// synonyms in few senses of a word that has many.
#[derive(Debug, Clone)]
pub struct Thesaurus {
    synsets: Vec<Synset>,
    /// Synsets of each word.
    senses: HashMap<String, Vec<u32>>,
    /// All members, phrases and names too, in lower case and in alphabetical order.
    entries: Vec<String>,
    found: HashMap<(String, Context), Vec<String>>,
}

/// Words that mean the same.
#[derive(Debug, Clone)]
struct Synset {
    part: PartOfSpeech,
    members: Vec<String>,
    similar: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum PartOfSpeech {
    Noun,
    Verb,
    Adjective,
    Adverb,
}

/// Why synsets could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ThesaurusError {
    /// The table cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A value that is not what its column has.
    #[error("{}: line {line}: expected {expected}, found {found:?}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the column has.
        expected: &'static str,
        /// The value.
        found: String,
    },
    /// No synset.
    #[error("{}: no synset, expected one a line: id, part of speech, members joined by |, hypernyms, similar synsets", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl Thesaurus {
    /// Reads synsets: a tab-separated table without header of id, part of speech (`n`, `v`, `a`, `s` or `r`), members
    /// joined by `|`, and ids of hypernyms and of similar synsets, joined by spaces. A folder stands for its
    /// `oewn_synsets.tsv`.
    ///
    /// # Errors
    /// [`ThesaurusError`].
    pub fn read(path: &Path) -> Result<Self, ThesaurusError> {
        let path = if path.is_dir() { path.join(FILE) } else { path.to_owned() };
        let spec = TableSpec { header: Header::Absent, quoting: Quoting::Off, ..TableSpec::new(&path) };
        let rows = table::read(&spec, &[1, 2, 3, 5].map(Column::Number))?.rows;
        let ids: HashMap<&str, u32> =
            rows.iter().enumerate().map(|(index, row)| (row.values[0].as_str(), index as u32)).collect();
        let mut synsets = Vec::with_capacity(rows.len());
        let mut senses: HashMap<String, Vec<u32>> = HashMap::new();
        let members = rows.iter().flat_map(|row| row.values[2].split('|'));
        let mut entries: Vec<String> = members.map(str::to_lowercase).collect();
        entries.sort_unstable();
        for (index, row) in rows.iter().enumerate() {
            let refused = |expected, found: &str| ThesaurusError::Value {
                path: path.clone(),
                line: row.line,
                expected,
                found: found.to_owned(),
            };
            let part = match row.values[1].as_str() {
                "n" => PartOfSpeech::Noun,
                "v" => PartOfSpeech::Verb,
                "a" | "s" => PartOfSpeech::Adjective,
                "r" => PartOfSpeech::Adverb,
                other => return Err(refused("a part of speech, one of n, v, a, s and r", other)),
            };
            let similar = row.values[3].split_whitespace();
            let known = |id: &str| ids.get(id).copied().ok_or_else(|| refused("ids of synsets of the file", id));
            let similar = similar.map(known).collect::<Result<Vec<u32>, _>>()?;
            let members = row.values[2].split('|').filter(|member| is_lower_case_word(member)).map(str::to_owned);
            let members: Vec<String> = members.collect();
            for member in &members {
                senses.entry(member.clone()).or_default().push(index as u32);
            }
            synsets.push(Synset { part, members, similar });
        }
        match synsets.is_empty() {
            true => Err(ThesaurusError::Empty { path }),
            false => Ok(Self { synsets, senses, entries, found: HashMap::new() }),
        }
    }

    /// Number of synsets.
    pub fn len(&self) -> usize {
        self.synsets.len()
    }

    /// Whether there is no synset; never so for one that was read.
    pub fn is_empty(&self) -> bool {
        self.synsets.is_empty()
    }

    /// Synonyms of a word between such words, the nearest first.
    fn synonyms(&self, word: &str, context: Context) -> Vec<String> {
        let Some((lemma, part, form)) = self.analyzed(word, context) else { return Vec::new() };
        let own = self.senses_of(&lemma, part);
        let mut shared: HashMap<&str, usize> = HashMap::new();
        for member in own.iter().flat_map(|&sense| &self.synsets[sense as usize].members) {
            *shared.entry(member).or_default() += 1;
        }
        shared.remove(lemma.as_str());
        shared.retain(|_, shared| *shared * SENSES_A_SHARED_ONE >= own.len());
        // How much of what a synonym means the word means too; as integers, so that ties are exact.
        let share = |word: &str, shared: usize| shared * 1_000 / self.senses_of(word, part).len().max(1);
        let mut ranked: Vec<(Reverse<usize>, &str)> =
            shared.iter().map(|(&word, &count)| (Reverse(share(word, count)), word)).collect();
        ranked.sort_unstable();
        // Verbs and adjectives of many senses are similar to too much.
        let is_plain = part == PartOfSpeech::Adjective && own.len() <= SENSES_A_SHARED_ONE;
        let similar = own.iter().filter(|_| is_plain).flat_map(|&sense| &self.synsets[sense as usize].similar);
        let similar = similar.filter_map(|&other| self.synsets[other as usize].members.first());
        let similar = similar.filter(|word| **word != lemma && !shared.contains_key(word.as_str()));
        let words = ranked.into_iter().map(|(_, word)| word).chain(similar.map(String::as_str));
        let mut known = HashSet::new();
        // `chop-chop` and the like are of another register than the plain words that they stand beside.
        let is_apt = |candidate: &&str| !candidate.contains('-') || word.contains('-');
        let words = words.filter(is_apt).filter(|&word| self.is_familiar(word));
        words.filter(|&word| known.insert(word)).filter_map(|word| form.of(word)).collect()
    }

    /// Lemma, part of speech and form of a word that can stand there; of several, those with the most senses.
    fn analyzed(&self, word: &str, context: Context) -> Option<(String, PartOfSpeech, Form)> {
        use PartOfSpeech::{Adjective, Adverb, Noun, Verb};
        let mut best = None;
        let mut most = 0;
        let mut consider = |lemma: String, part: PartOfSpeech, form: Form| {
            let senses = self.senses_of(&lemma, part).len();
            if senses > most && context.allows(part, form) {
                most = senses;
                best = Some((lemma, part, form));
            }
        };
        for part in [Noun, Verb, Adjective, Adverb] {
            consider(word.to_owned(), part, Form::Base);
        }
        // In the dictionary as they are, `building` and `tired` rarely stand for forms of `build` and `tire`; `times` does,
        // and so do the irregular ones.
        let is_entry = self.senses.contains_key(word);
        for form in Form::INFLECTED {
            let may_be = match form {
                Form::Gerund => !is_entry,
                Form::Past | Form::PastParticiple => !is_entry || is_irregular(word),
                _ => true,
            };
            let part = if form.is_of_verb() { Verb } else { Noun };
            form.lemmas(word).into_iter().filter(|_| may_be).for_each(|lemma| consider(lemma, part, form));
        }
        best
    }

    /// Whether the dictionary has more of a word than one sense. Entries are counted with each synset that has them.
    fn is_familiar(&self, word: &str) -> bool {
        let first = self.entries.partition_point(|entry| entry.as_str() < word);
        self.entries[first..].iter().take(FAMILIAR).filter(|entry| entry.starts_with(word)).count() == FAMILIAR
    }

    fn senses_of(&self, word: &str, part: PartOfSpeech) -> Vec<u32> {
        let senses = self.senses.get(word).into_iter().flatten().copied();
        senses.filter(|&sense| self.synsets[sense as usize].part == part).collect()
    }
}

impl CandidateSource for Thesaurus {
    fn candidates(&mut self, slots: &[Slot<'_>], most: usize) -> Result<Vec<Option<Vec<String>>>, SourceError> {
        let of = |slot: &Slot<'_>| {
            let context = Context::of(slot);
            let key = (slot.word.clone(), context);
            if !self.found.contains_key(&key) {
                let synonyms = self.synonyms(&slot.word, context);
                self.found.insert(key.clone(), synonyms);
            }
            let found = &self.found[&key];
            (!found.is_empty()).then(|| found[..found.len().min(most)].to_vec())
        };
        Ok(slots.iter().map(of).collect())
    }
}
