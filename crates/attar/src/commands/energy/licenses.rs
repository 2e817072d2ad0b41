//! `attar energy licenses`: the embedded data and whose they are.

use std::collections::BTreeMap;

use attar_bill::licenses;

use crate::{console, tables};

pub(crate) fn run() -> anyhow::Result<()> {
    let mut table = tables::table(&["file", "what", "source", "year", "license"]);
    // Everything here is words.
    table.column_iter_mut().for_each(|column| column.set_cell_alignment(comfy_table::CellAlignment::Left));
    let mut notices: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in licenses() {
        let commit = one.commit.get(..8).map(|commit| format!(" @{commit}")).unwrap_or_default();
        table.add_row([
            one.file.to_owned(),
            one.what.to_owned(),
            format!("{}{commit}", one.source),
            one.year.to_string(),
            one.license.to_owned(),
        ]);
        if !one.notice.is_empty() {
            let files = notices.entry(one.notice).or_default();
            if !files.contains(&one.file) {
                files.push(one.file);
            }
        }
    }
    console::say(table.to_string())?;
    for (notice, files) in notices {
        console::say(format!("\n{}\nfor {}\n\n{}", "-".repeat(72), files.join(", "), notice.trim_end()))?;
    }
    Ok(())
}
