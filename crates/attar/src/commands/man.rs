//! `attar man`: a manual page for each command.

use anyhow::Context;
use clap::CommandFactory;

use crate::cli::{Cli, ManArgs};
use crate::console;

pub(crate) fn run(args: &ManArgs) -> anyhow::Result<()> {
    let folder = args.folder.display();
    let context = || format!("cannot write manual pages to {folder}");
    std::fs::create_dir_all(&args.folder).with_context(context)?;
    clap_mangen::generate_to(Cli::command(), &args.folder).with_context(context)?;
    console::note(format!("wrote the manual pages to {folder}; attar.1 is the first"));
    Ok(())
}
