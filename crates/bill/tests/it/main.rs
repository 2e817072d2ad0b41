//! Tests through the public interface: ledgers, files of users, and scripted sources.

// The attribute tells the linter that functions without `#[test]` are part of tests too.
#[cfg(test)]
mod bill;
#[cfg(test)]
mod break_even;
#[cfg(test)]
mod exposition;
#[cfg(test)]
mod forecast;
#[cfg(test)]
mod ledgers;
#[cfg(test)]
mod overlap;
#[cfg(test)]
mod report;
#[cfg(test)]
#[path = "../../../meter/tests/it/scripted.rs"]
mod scripted;
#[cfg(test)]
mod strubell;
#[cfg(test)]
mod user_files;
