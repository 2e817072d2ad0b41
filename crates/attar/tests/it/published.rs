//! Models, tokenizers and tables as people publish them, in families and commands that the other tests leave out: each has
//! the right answer, computed from the pieces that a text has by hand, or a refusal that names what cannot be done.

mod commands;
mod labels;
mod layouts;
mod paper;
mod tokenizers;
mod weights;
