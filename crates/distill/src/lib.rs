//! Distillation of BERT-class encoders.
