//! Any bytes as the body of a request to any route: an answer or a refusal, and the server goes on.

#![no_main]

#[path = "../../crates/attar/tests/hostile/requests.rs"]
mod requests;

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;

thread_local! {
    static CLIENT: RefCell<requests::Client> = {
        let folder = tempfile::tempdir().expect("there is room for small models");
        RefCell::new(requests::Client::start(folder.path()))
    };
}

fuzz_target!(|bytes: &[u8]| CLIENT.with_borrow_mut(|client| client.ask(bytes)));
