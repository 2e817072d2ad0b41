//! `attar`: distil BERT-class models into students of a few megabytes.

fn main() {}
