//! Text, from files to batches of token ids, and how good the answers to it are.
//!
//! The crate knows nothing of tensors and models; it is of use to anyone who trains or measures one.
//!
//! ```
//! use attar_text::batch::{BatchBudget, Order, assemble, plan_epoch};
//! use attar_text::layout::Split;
//! use attar_text::metrics::{Metric, Predictions, score};
//! use attar_text::random::Streams;
//! use attar_text::synthetic;
//! use attar_text::tokenizer::{Limit, TrainOptions, train_wordpiece};
//!
//! // All randomness comes from named streams of one seed.
//! let streams = Streams::new(42);
//! let train = synthetic::generate(&streams, 500, Split::Train);
//! let dev = synthetic::generate(&streams, 100, Split::Dev);
//! assert_eq!(dev.duplicates_with(&train), 0);
//!
//! // A vocabulary from the text, and the text as token ids.
//! let tokenizer = train_wordpiece(train.examples.iter().map(|e| &e.text), TrainOptions::new(400))?;
//! let encodings = train.encode(&tokenizer, Limit::new(64))?;
//!
//! // One epoch: batches of at most 512 tokens, without padding.
//! let lengths: Vec<u32> = encodings.iter().map(|encoding| encoding.len() as u32).collect();
//! let order = Order::Shuffled { stage: 0, epoch: 0 };
//! for rows in plan_epoch(&lengths, BatchBudget::of_tokens(512), order, &streams) {
//!     let batch = assemble(&rows, &encodings);
//!     assert!(batch.tokens() <= 512);
//! }
//!
//! // A score says how many rows it rests on and how sure it is.
//! let truth = dev.classes().ok_or("every row has a class")?;
//! let predicted = vec![0; dev.len()];
//! let predictions = Predictions::Classes { truth: &truth, predicted: &predicted, classes: dev.target.outputs() };
//! let accuracy = score(Metric::Accuracy, &predictions, &streams)?;
//! assert!(accuracy.interval.is_some_and(|interval| interval.high < 0.3));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The modules, in the order in which data flows
//! - [`random`]: the streams from which every random number of the project comes.
//! - [`table`]: rows of `.tsv`, `.csv` and `.jsonl` files; [`labeled`]: texts with their labels, samples
//!   and divisions of them, and the check for leaks; [`glue`] and [`layout`]: public data sets by name;
//!   [`synthetic`]: a data set without a download.
//! - [`corpus`]: lines of files larger than memory; [`unlabeled`]: texts without labels; [`noise`]: new ones made of labeled ones,
//!   [`augment`]: by words of similar meaning.
//! - [`vocabulary`] and [`tokenizer`]: text to ids, exactly as Hugging Face's `tokenizers` does it, for
//!   WordPiece and any other `tokenizer.json`.
//! - [`sequences`]: a corpus as token ids; [`masking`]: pieces hidden from a model that is to guess them;
//!   [`mixed`]: words cut with one of two vocabularies.
//! - [`align`]: which tokens of two tokenizers are the same words.
//! - [`batch`]: which rows go together, and their tokens one after the other.
//! - [`metrics`]: accuracy, F1, correlations, calibration, entities, with intervals.
//!
//! # Pitfalls
//! - GLUE files have no quotation: reading one with quoting switched on loses rows silently.
//! - A metric may be undefined, and is `None` then; an average must not take that for 0.
//! - The ids of `[PAD]`, `[CLS]` and the like differ between vocabularies: ask the tokenizer.
//! - Training and development data must share the order of classes: discover it once, then name it.

pub mod align;
pub mod augment;
pub mod batch;
pub mod corpus;
pub mod glue;
pub mod labeled;
pub mod layout;
pub mod masking;
pub mod metrics;
pub mod mixed;
pub mod noise;
pub mod random;
pub mod sequences;
pub mod synthetic;
pub mod table;
pub mod tokenizer;
pub mod unlabeled;
pub mod vocabulary;

mod compression;
mod files;
mod guard;
mod nearest;
