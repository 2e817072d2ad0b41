//! Rows as two tokenizers read them.

use attar_text::align::{AlignedRow, Aligner, Alignment};
use attar_text::batch::{Batch, assemble};
use attar_text::labeled::Example;
use attar_text::tokenizer::{Encoding, Limit, Tokenizer};

use crate::Error;
use crate::encoded_rows::{EncodedRows, Reading, by_row};

/// Rows as a teacher and a student with vocabularies of their own read them, and the words that both have.
#[derive(Debug, Clone)]
pub(crate) struct AlignedRows {
    reading: Reading,
    /// As the teacher reads them, the sequences of the first row first.
    teacher: Vec<Encoding>,
    /// The words of each sequence.
    words: Vec<Alignment>,
}

impl AlignedRows {
    /// Encodes examples for both; also as the student reads them.
    ///
    /// # Errors
    /// If a tokenizer refuses a text, or a text has no word that both read.
    pub(crate) fn new(
        examples: &[Example],
        teacher: &Tokenizer,
        student: &Tokenizer,
        limit: Limit,
        reading: Reading,
    ) -> Result<(AlignedRows, EncodedRows), Error> {
        let texts = reading.texts(examples)?;
        let aligned =
            Aligner::new(teacher, student, limit).align_all(&texts).map_err(|error| by_row(error, reading))?;
        let mut rows = AlignedRows { reading, teacher: Vec::new(), words: Vec::new() };
        let mut students = Vec::with_capacity(aligned.len());
        for (index, AlignedRow { teacher, student, words }) in aligned.into_iter().enumerate() {
            if words.is_empty() {
                return Err(Error::refused(
                    format!("row {}", index / reading.sequences() + 1),
                    "a word, or a special token, that teacher and student both read",
                    format!("{:?}", texts[index].0),
                    "leave the row out, or give the student the teacher's vocabulary",
                ));
            }
            rows.teacher.push(teacher);
            rows.words.push(words);
            students.push(student);
        }
        Ok((rows, EncodedRows::of_sequences(students, reading)))
    }

    /// The batch of these rows as the teacher reads it.
    pub(crate) fn teacher_batch(&self, rows: &[u32]) -> Batch {
        Batch { rows: rows.to_vec(), ..assemble(&self.sequences(rows), &self.teacher) }
    }

    /// The words of a batch of these rows, which has `student` tokens in each sequence, and their number in each sequence.
    pub(crate) fn words(&self, rows: &[u32], student: &[u32]) -> (Alignment, Vec<u32>) {
        let sequences = self.sequences(rows);
        let all = Alignment::of_batch(sequences.iter().zip(student).map(|(&sequence, &ours)| {
            let sequence = sequence as usize;
            (&self.words[sequence], [self.teacher[sequence].len() as u32, ours])
        }));
        let counts = sequences.iter().map(|&sequence| self.words[sequence as usize].len() as u32).collect();
        (all, counts)
    }

    /// Places of the sequences of these rows.
    fn sequences(&self, rows: &[u32]) -> Vec<u32> {
        let per_row = self.reading.sequences() as u32;
        rows.iter().flat_map(|row| row * per_row..(row + 1) * per_row).collect()
    }
}
