//! Tests through the public interface: fake system trees, scripted clocks and sources.

// The attribute tells the linter that functions without `#[test]` are part of tests too.
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod gpus;
#[cfg(test)]
mod hardware;
#[cfg(test)]
mod hwmon;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod meter;
#[cfg(test)]
mod modeled;
#[cfg(test)]
mod perf;
#[cfg(test)]
mod powercap;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod replayed;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod select;
#[cfg(test)]
mod sweeps;
#[cfg(test)]
mod tree;
