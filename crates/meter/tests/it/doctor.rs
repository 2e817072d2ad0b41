//! What is said of machines of every kind, and that it is what a meter then does.

mod boards;
mod cases;
mod interfaces;
mod machine;
mod verdict;
