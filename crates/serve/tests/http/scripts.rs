//! The page in Chromium.

use std::process::Command;

use attar_serve::Keys;

use crate::access::KEYS;
use crate::client::Running;
use crate::models::{all, bundle};

#[test]
#[ignore = "needs node with playwright-core and axe-core, and Chromium"]
fn in_chromium() {
    let open = Running::new(all(), |_| ());
    let keyed = Running::new(vec![bundle("intents")], |options| {
        // Without the limit of requests.
        options.keys = Some(Keys::parse(&KEYS.replace(" 2\n", "\n")).unwrap());
    });
    let output = Command::new("node")
        .args(["--test", "tests/page.test.mjs"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("ATTAR_OPEN", format!("http://{}", open.address))
        .env("ATTAR_KEYED", format!("http://{}", keyed.address))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("# fail 0") && !said.contains("# pass 0\n"), "{said}");
}
