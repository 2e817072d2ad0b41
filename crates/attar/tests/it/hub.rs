//! Models of the hub, from a small server of our own that speaks its protocol.

#[cfg(feature = "hub")]
mod server;

#[cfg(feature = "hub")]
mod with_hub {
    use std::path::Path;
    use std::process::{Command, Output};

    use super::server::{COMMIT, Fault, Hub, WEIGHTS, hash};
    use crate::common::{attar, complaint, json, student_recipe, succeed, workshop};

    /// Variables that would lead elsewhere.
    const FOREIGN: [&str; 11] = [
        "HF_TOKEN",
        "HF_TOKEN_PATH",
        "HUGGING_FACE_HUB_TOKEN",
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "http_proxy",
        "HTTP_PROXY",
        "ALL_PROXY",
        "all_proxy",
    ];

    fn call(hub: &str, home: &Path, more: &[(&str, &str)], arguments: &[&str]) -> Output {
        let mut command = attar(home, arguments);
        FOREIGN.iter().for_each(|name| _ = command.env_remove(name));
        command.env("HF_ENDPOINT", hub).env("HF_HOME", home.join("cache"));
        command.envs(more.iter().copied()).output().unwrap()
    }

    fn pull(hub: &Hub, home: &Path) -> Output {
        call(&hub.address, home, &[], &["pull", "owner/tiny"])
    }

    /// What a call that has to succeed prints.
    fn stdout(output: &Output) -> String {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    #[test]
    fn a_model_is_fetched_once_into_the_shared_cache() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let hub = Hub::start(Fault::None);
        let folder = home.join("cache/hub/models--owner--tiny");
        let snapshot = folder.join("snapshots").join(COMMIT);
        assert_eq!(Path::new(&stdout(&pull(&hub, home))), snapshot);
        assert_eq!(std::fs::read_to_string(folder.join("refs/main")).unwrap(), COMMIT);
        assert_eq!(std::fs::read_dir(folder.join("refs")).unwrap().count(), 1);
        assert_eq!(std::fs::read(folder.join("blobs").join(hash(hub.weights()))).unwrap(), hub.weights());
        #[cfg(unix)]
        assert!(std::fs::read_link(snapshot.join(WEIGHTS)).unwrap().starts_with("../../blobs"));
        // The next time only the list is asked for.
        hub.requests();
        stdout(&pull(&hub, home));
        let requests = hub.requests();
        assert!(requests.len() == 1 && requests[0].starts_with("/api/"), "{requests:?}");
        // A commit needs no reference, and a lost link no second transfer.
        std::fs::remove_file(snapshot.join(WEIGHTS)).unwrap();
        hub.ranges();
        stdout(&call(&hub.address, home, &[], &["pull", &format!("hf:owner/tiny@{COMMIT}")]));
        assert_eq!(std::fs::read(snapshot.join(WEIGHTS)).unwrap(), hub.weights());
        assert_eq!((hub.ranges().len(), std::fs::read_dir(folder.join("refs")).unwrap().count()), (0, 1));
    }

    #[test]
    fn names_of_the_hub_stand_for_directories() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let hub = Hub::start(Fault::None);
        let text = "turn on the lights";
        let expected = succeed(workshop(), &["predict", "teacher", "--json", text]);
        let predict = ["predict", "hf:owner/tiny", "--json", text];
        assert_eq!(stdout(&call(&hub.address, home, &[], &predict)), expected.trim());
        // Without the hub, from the cache alone: because the user says so, or with a warning.
        let gone = "http://127.0.0.1:9";
        let offline = call(gone, home, &[("HF_HUB_OFFLINE", "1")], &predict);
        assert_eq!(stdout(&offline), expected.trim());
        let warning = "cannot be reached, so the model in the cache is used";
        assert!(!String::from_utf8_lossy(&offline.stderr).contains(warning));
        let away = call(gone, home, &[], &["inspect", "hf:owner/tiny", "--json"]);
        assert!(String::from_utf8_lossy(&away.stderr).contains(warning));
        json(&stdout(&away));
        // A hub that is overloaded is as good as none.
        hub.set_fault(Fault::Busy);
        let busy = call(&hub.address, home, &[], &predict);
        assert!(String::from_utf8_lossy(&busy.stderr).contains("answers 503, so the model in the cache is used"));
        assert_eq!(stdout(&busy), expected.trim());
        hub.set_fault(Fault::None);
        // In a recipe too, where it is kept from becoming a path of the recipe's folder.
        let teacher = format!("{}/teacher", workshop().display());
        let recipe = student_recipe(home, &[(teacher.as_str(), "hf:owner/tiny"), ("epochs = 6", "steps = 1")])
            .display()
            .to_string();
        assert!(!std::fs::read_to_string(&recipe).unwrap().contains(&teacher));
        stdout(&call(&hub.address, home, &[], &["plan", &recipe, "--probe", "0", "--json"]));
    }

    #[test]
    fn a_broken_transfer_goes_on_where_it_stopped() {
        let home = tempfile::tempdir().unwrap();
        let hub = Hub::start(Fault::CutOff(2));
        stdout(&pull(&hub, home.path()));
        let length = hub.weights().len();
        let third = length / 3;
        let second = third + (length - third) / 3;
        assert_eq!(hub.ranges(), ["bytes=0-".into(), format!("bytes={third}-"), format!("bytes={second}-")]);
        // Broken more often than it is taken up: what has arrived is kept for the next call.
        let home = tempfile::tempdir().unwrap();
        hub.set_fault(Fault::CutOff(100));
        let told = complaint(&pull(&hub, home.path()));
        assert!(told.contains(WEIGHTS) && told.contains("what has arrived is kept"), "{told}");
        hub.set_fault(Fault::None);
        hub.ranges();
        let snapshot = stdout(&pull(&hub, home.path()));
        let ranges = hub.ranges();
        assert!(ranges.len() == 1 && ranges[0] != "bytes=0-", "{ranges:?}");
        assert_eq!(std::fs::read(Path::new(&snapshot).join(WEIGHTS)).unwrap(), hub.weights());
        // Broken off between the last byte and the renaming.
        let home = tempfile::tempdir().unwrap();
        let blobs = home.path().join("cache/hub/models--owner--tiny/blobs");
        std::fs::create_dir_all(&blobs).unwrap();
        std::fs::write(blobs.join(format!("{}.part", hash(hub.weights()))), hub.weights()).unwrap();
        stdout(&pull(&hub, home.path()));
        assert!(hub.ranges().is_empty());
    }

    #[test]
    fn a_kept_part_outlives_a_request_that_fails() {
        let home = tempfile::tempdir().unwrap();
        let hub = Hub::start(Fault::Dropped(2));
        let blobs = home.path().join("cache/hub/models--owner--tiny/blobs");
        std::fs::create_dir_all(&blobs).unwrap();
        let half = hub.weights().len() / 2;
        std::fs::write(blobs.join(format!("{}.part", hash(hub.weights()))), &hub.weights()[..half]).unwrap();
        let snapshot = stdout(&pull(&hub, home.path()));
        assert_eq!(hub.ranges(), vec![format!("bytes={half}-"); 3]);
        assert_eq!(std::fs::read(Path::new(&snapshot).join(WEIGHTS)).unwrap(), hub.weights());
    }

    #[test]
    fn a_file_that_was_not_checked_is_checked_the_next_time() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let hub = Hub::start(Fault::CutOff(100));
        let stored = home.join("cache/hub/models--owner--tiny/blobs").join(hash(hub.weights()));
        let mark = stored.with_extension("unchecked");
        complaint(&pull(&hub, home));
        assert!(mark.exists());
        hub.set_fault(Fault::None);
        let snapshot = stdout(&pull(&hub, home));
        assert!(!mark.exists());
        // As an interrupted check leaves it: in the snapshot, with its mark. What is whole is not fetched again.
        std::fs::write(&mark, "").unwrap();
        hub.ranges();
        stdout(&pull(&hub, home));
        assert!(!mark.exists() && hub.ranges().is_empty());
        let damaged = [&hub.weights()[1..], &[0]].concat();
        let removed = |output: &Output| String::from_utf8_lossy(&output.stderr).contains("has been removed");
        for offline in [&[][..], &[("HF_HUB_OFFLINE", "1")]] {
            std::fs::write(&stored, &damaged).unwrap();
            std::fs::write(&mark, "").unwrap();
            let output = call(&hub.address, home, offline, &["pull", "owner/tiny"]);
            assert!(removed(&output) && !mark.exists(), "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(stored.exists(), offline.is_empty());
        }
        stdout(&pull(&hub, home));
        assert_eq!(std::fs::read(Path::new(&snapshot).join(WEIGHTS)).unwrap(), hub.weights());
    }

    #[test]
    fn a_file_of_no_bytes_is_one() {
        let home = tempfile::tempdir().unwrap();
        let hub = Hub::start(Fault::Empty);
        let snapshot = stdout(&pull(&hub, home.path()));
        assert_eq!(std::fs::read(Path::new(&snapshot).join("README.md")).unwrap(), b"");
        hub.requests();
        stdout(&pull(&hub, home.path()));
        assert_eq!(hub.requests().len(), 1);
    }

    #[test]
    fn damaged_files_are_refused_and_fetched_anew() {
        let home = tempfile::tempdir().unwrap();
        let hub = Hub::start(Fault::Damaged);
        let told = complaint(&pull(&hub, home.path()));
        assert!(told.contains(WEIGHTS) && told.contains("SHA-256") && told.contains("try again"), "{told}");
        hub.set_fault(Fault::None);
        stdout(&pull(&hub, home.path()));
    }

    #[test]
    fn refusals_state_the_way_out() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        for status in ["401 Unauthorized", "403 Forbidden"] {
            let hub = Hub::start_for(Fault::None, Some(("secret", status)));
            let told = complaint(&pull(&hub, home));
            assert!(told.contains("HF_TOKEN") && told.contains("conditions"), "{told}");
            stdout(&call(&hub.address, home, &[("HF_TOKEN", "secret")], &["pull", "owner/tiny"]));
        }
        let hub = Hub::start(Fault::None);
        let told = complaint(&call(&hub.address, home, &[], &["pull", "owner/other"]));
        assert!(told.contains("no owner/other at main") && told.contains("spelling"), "{told}");
        for variable in ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"] {
            let told = complaint(&call(&hub.address, home, &[(variable, "1")], &["predict", "hf:owner/other", "x"]));
            assert!(told.contains("not in the cache") && told.contains(&format!("and {variable} forbids")), "{told}");
        }
        let told = complaint(&call(&hub.address, home, &[], &["pull", "not a name"]));
        assert!(told.contains("OWNER/NAME"), "{told}");
        let told = complaint(&call(
            &hub.address,
            home,
            &[],
            &["contract", "--teacher", "hf:owner/tiny", "--student", "hf:owner/tiny", "--data", "x.csv"],
        ));
        assert!(told.contains("attar pull"), "{told}");
        hub.set_fault(Fault::Busy);
        // A model that the cache has not.
        let told = complaint(&call(&hub.address, home, &[], &["pull", "owner/other"]));
        assert!(told.contains("503") && told.contains("later"), "{told}");
    }

    #[test]
    fn nothing_is_written_outside_the_cache() {
        let home = tempfile::tempdir().unwrap();
        let hub = Hub::start(Fault::Hostile);
        let told = complaint(&pull(&hub, home.path()));
        assert!(told.contains("ETag") && told.contains("HF_ENDPOINT"), "{told}");
        let is_evil = |path: &Path| path.to_string_lossy().contains("evil");
        let mut folders = vec![home.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                assert!(!is_evil(&path), "{}", path.display());
                folders.extend(path.is_dir().then_some(path));
            }
        }
        let requests = hub.requests();
        assert!(!requests.iter().any(|path| path.contains("evil")), "{requests:?}");
    }

    #[test]
    #[ignore = "needs a Python with huggingface_hub in ATTAR_PYTHON"]
    fn python_finds_everything_in_the_cache() {
        let Ok(python) = std::env::var("ATTAR_PYTHON") else { return };
        let hub = Hub::start(Fault::None);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/hub_cache.py");
        let fetch = |home: &Path| {
            let mut command = Command::new(&python);
            FOREIGN.iter().for_each(|name| _ = command.env_remove(name));
            let command = command.arg(script).env("HF_ENDPOINT", &hub.address).env("HF_HOME", home.join("cache"));
            json(&stdout(&command.env("HF_HUB_DISABLE_XET", "1").output().unwrap()))
        };
        // What attar has fetched Python does not fetch.
        let home = tempfile::tempdir().unwrap();
        let snapshot = stdout(&pull(&hub, home.path()));
        hub.requests();
        hub.ranges();
        let found = fetch(home.path());
        assert_eq!(found["snapshot"], snapshot.as_str());
        assert_eq!((&found["warnings"], &found["repos"][0]["id"]), (&0.into(), &"owner/tiny".into()));
        assert_eq!(
            (&found["repos"][0]["files"], &found["repos"][0]["refs"]),
            (&3.into(), &serde_json::json!(["main"]))
        );
        let requests = hub.requests();
        assert!(requests.iter().all(|path| path.starts_with("/api/")) && hub.ranges().is_empty(), "{requests:?}");
        // And the other way round.
        let home = tempfile::tempdir().unwrap();
        let found = fetch(home.path());
        hub.requests();
        assert_eq!(found["snapshot"], stdout(&pull(&hub, home.path())).as_str());
        let requests = hub.requests();
        assert!(requests.len() == 1, "{requests:?}");
    }
}

#[cfg(not(feature = "hub"))]
#[test]
fn a_program_without_the_hub_says_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    for call in [&["pull", "owner/tiny"][..], &["predict", "hf:owner/tiny", "text"], &["serve", "tiny=hf:owner/tiny"]] {
        let told = crate::common::fail(folder.path(), call);
        assert!(told.contains("--features hub") && told.contains("hf download owner/tiny"), "{told}");
    }
}
