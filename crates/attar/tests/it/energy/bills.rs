//! What bills hold and leave out, from outside.

use super::{close, report, run};
use crate::common::{fail, write};

const PRICES: &str = "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GpuInfo,SpotPrice\n\
                      m5.large,,,2,8,0.096,us-east-1,,0.04\n";

#[test]
fn making_a_server_is_charged_only_where_asked_for_and_by_its_part() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "prices.csv", PRICES);
    assert!(run(folder.path(), &["-q"], &["sleep", "0.1"]).status.success());
    let priced = ["--price-file", "prices.csv", "--instance", "aws/m5.large"];
    let for_its_price = report(folder.path(), "run", &priced);
    assert_eq!(for_its_price["embodied"], serde_json::Value::Null);
    let asked = ["--instance", "aws/m5.large", "--embodied", "instance"];
    let part = report(folder.path(), "run", &asked);
    close(part["embodied"]["share"].as_f64().unwrap(), 2.0 / 96.0, 1e-12);
    assert!(part["embodied"]["source"].as_str().unwrap().ends_with("2 of 96 vCPUs"), "{}", part["embodied"]);
    let own = report(folder.path(), "run", &[&asked[..], &["--embodied-share", "0.5"]].concat());
    close(own["embodied"]["share"].as_f64().unwrap(), 0.5, 1e-12);
    for (flags, said) in [
        (&["--instance", "aws/m5.large"][..], "--embodied instance"),
        (&["--embodied", "instance"], "--instance"),
        (&["--embodied", "some"], "instance"),
        (&["--embodied-share", "0.5"], "--embodied"),
        (&["--embodied", "instance", "--instance", "gcp/f1-micro"], "--embodied-share"),
    ] {
        let error = fail(folder.path(), &[&["energy", "report", "run"], flags].concat());
        assert!(error.contains(said), "{said} is missing in {error}");
    }
}
