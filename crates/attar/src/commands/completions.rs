//! `attar completions`: what a shell needs to complete commands and flags.

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs};
use crate::console;

pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "attar", &mut script);
    console::say(String::from_utf8(script)?.trim_end())?;
    Ok(())
}
