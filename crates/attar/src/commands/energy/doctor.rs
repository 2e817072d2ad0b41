//! `attar energy doctor`: what can be measured here.

use attar_meter::doctor::{self, Diagnosis};
use attar_meter::source::Devices;
use attar_meter::{Host, SystemClock};

use crate::cli::energy::DoctorArgs;
use crate::console;

pub(crate) fn run(args: &DoctorArgs) -> anyhow::Result<()> {
    let diagnosis = doctor::diagnose(&Host::local(), Devices::default(), &SystemClock::new());
    if args.json {
        return console::json(&diagnosis);
    }
    console::say(text(&diagnosis).trim_end())?;
    Ok(())
}

fn text(diagnosis: &Diagnosis) -> String {
    let mut text = format!("{}\n\n", diagnosis.verdict.sentence);
    for finding in &diagnosis.findings {
        let used = if finding.used { ", used" } else { "" };
        text += &format!("{} ({}): {}{used}\n    {}\n", finding.source, finding.covers, finding.state, finding.why);
        for note in &finding.notes {
            text += &format!("    note: {note}\n");
        }
        if let Some(remedy) = &finding.remedy {
            text += &format!("    to change it: {remedy}\n");
        }
    }
    let host = &diagnosis.machine.host;
    text += &format!(
        "\nmachine: {}, {}",
        host.system,
        if host.cpu.name.is_empty() { "unnamed processor" } else { &host.cpu.name }
    );
    text += &format!(
        " (family {} model {} stepping {}{})\n",
        host.cpu.family,
        host.cpu.model,
        host.cpu.stepping,
        if host.cpu.virtual_machine { ", virtual machine" } else { "" }
    );
    for note in &diagnosis.machine.notes {
        text += &format!("note: {note}\n");
    }
    text
}
